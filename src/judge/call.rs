//! A judge's question as its provider gets it: path, header fields and body.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};

use super::HEADER;
use super::decision_call::DecisionCall;
use crate::upstream::ChatCall;

const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (judge)");

/// A question in the words of the judge's API.
pub(super) enum JudgeCall {
    Chat(Box<ChatCall>),
    Decision { path: String, call: DecisionCall },
}

impl JudgeCall {
    /// Returns the fields that the API wants.
    pub(super) fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        match self {
            Self::Chat(chat) => &chat.call.fields,
            Self::Decision { .. } => &[],
        }
    }

    /// Returns the path and the body.
    pub(super) fn request(&self) -> (&str, &Bytes) {
        match self {
            Self::Chat(chat) => (&chat.call.path, &chat.call.body),
            Self::Decision { path, call } => (path, call.body()),
        }
    }
}

/// Returns the fields of every question of a judge's.
pub(super) fn own_fields() -> [(HeaderName, HeaderValue); 2] {
    [
        (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
        (HeaderName::from_static(HEADER), HeaderValue::from_static("1")),
    ]
}
