//! A parameter that a model's API refuses: the answer that says so is withheld from the client until it is whole, and
//! the model is asked once more without the parameter. It is remembered with the deployment, so that it is refused once.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use pointsman_core::model_family::RefusedParameter;

use super::UpstreamAttempts;
use crate::upstream::Deployment;

/// The search for refused parameters in an error body.
#[derive(Debug)]
pub(super) struct RefusalSearch {
    /// The body that was sent.
    sent: Bytes,
    target: Arc<Deployment>,
    found: FoundRefusals,
}

/// The refused parameters that a search found, for whoever asks again.
#[derive(Debug, Clone, Default)]
pub(super) struct FoundRefusals(Arc<Mutex<Vec<RefusedParameter>>>);

impl RefusalSearch {
    /// Looks through an error body. Returns whether it refuses parameters without which the model can be asked.
    pub(super) fn finds_in(&self, answer: &[u8]) -> bool {
        let mut refused = RefusedParameter::all_in(answer, &self.sent);
        refused.retain(|parameter| self.target.profile.may_leave_out(&parameter.name));
        let is_found = !refused.is_empty();
        *self.found.0.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        is_found
    }
}

impl UpstreamAttempts {
    /// Returns the search for refused parameters in an answer of `status`, where the model may be asked once more.
    pub(super) fn refusal_search(&self, status: StatusCode) -> Option<RefusalSearch> {
        let says_so = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY);
        let is_wanted = says_so && self.limit.without_refused && self.may_try_again();
        let (target, sent) = (self.target().filter(|_| is_wanted)?, self.body.bytes()?);
        Some(RefusalSearch { sent: sent.clone(), target: Arc::clone(target), found: self.refused.clone() })
    }

    /// Prepares to ask the model once more without the parameters that its API has just refused. Returns those that
    /// were not known.
    pub(in crate::proxy) fn leave_out_refused(&mut self) -> Vec<RefusedParameter> {
        let refused = std::mem::take(&mut *self.refused.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.body.leave_out(&refused);
        self.tried.pop(); // the peer did nothing wrong
        self.target().map(|target| target.refused.learn(&refused)).unwrap_or_default()
    }
}
