//! Words on answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::RecordKind;

/// A client's word on an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedbackRecord<'l> {
    /// [`RecordKind::Feedback`], or [`RecordKind::ShadowFeedback`] on another model's answer than the client's.
    pub kind: RecordKind,
    /// The time, as RFC 3339.
    #[serde(default)]
    pub time: Cow<'l, str>,
    /// The answer's `x-request-id`.
    pub request_id: Cow<'l, str>,
    /// The client, when clients have keys.
    #[serde(default)]
    pub client: Option<Cow<'l, str>>,
    /// Set where the operator spoke, on the admin plane: of whichever client's answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operator: bool,
    /// The quality of the answer, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<f64>,
    /// The correctness of the answer, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<f64>,
    /// The client's comment, where the operator wants texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Cow<'l, str>>,
}
