//! The record of a request: metrics, the access line, its trace, the decision log, and clients' feedback.
//!
//! [`Recorder`] reads what the request's context knows and changes nothing of what happens to the request.

mod account;
mod attempts;
mod background;
mod decision_line;
pub(crate) mod feedback;
mod operation;
mod redacted_texts;
mod request_ids;
mod request_owners;
mod seen_decision;
pub(super) mod traced;
mod usage_bill;

use std::sync::Arc;

use pointsman_telemetry::Metrics;

pub(super) use self::operation::AttemptOperation;
pub(super) use self::redacted_texts::{RedactedTexts, TextEnd};
pub(super) use self::request_ids::RequestIds;
pub(super) use self::request_owners::RequestOwners;
pub(super) use self::usage_bill::UsageBill;
use crate::router::Router;

/// Records attempts as they end, and requests when they are over.
pub(super) struct Recorder {
    pub(super) router: Arc<Router>,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// Makes a recorder; `router` is told what its decisions came to.
    pub(super) const fn new(router: Arc<Router>, metrics: Arc<Metrics>) -> Self {
        Self { router, metrics }
    }
}
