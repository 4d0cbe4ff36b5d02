//! A model that one of a provider's keys may not ask for: the 404 that says so is withheld from the client until it is
//! whole, and another key is tried.
//!
//! A 403 needs no look: it says as much by itself. A 404 may be about a file or a response that the request names, which is
//! no matter of keys.

use super::UpstreamAttempts;
use super::fallback::RetryLedger;
use crate::upstream::{AttemptFailure, KeyRequest};

/// The codes by which providers say that there is no such model, or none for this key: OpenAI's and Azure's.
const CODES: [&str; 2] = ["model_not_found", "DeploymentNotFound"];

/// The search for a model that a key may not ask for in an error body.
#[derive(Debug)]
pub(in crate::proxy) struct ModelSearch;

impl UpstreamAttempts {
    /// Returns the search for a missing model in an answer of `status`, where another key could be tried.
    pub(super) fn model_search(&self, status: http::StatusCode) -> Option<ModelSearch> {
        let is_wanted = status == http::StatusCode::NOT_FOUND && self.may_try_again() && self.has_other_key();
        is_wanted.then_some(ModelSearch)
    }

    /// Goes on to another key, after the one that was taken may not ask for the model. The answer that said so was withheld,
    /// so the client has seen nothing.
    pub(in crate::proxy) fn try_other_key(&mut self, retries: &RetryLedger) -> bool {
        if let (Some(key), Some(target)) = (self.credential.key(), self.target()) {
            key.refused_for(&target.upstream_name, 404);
        }
        self.try_again(AttemptFailure::NoModelForKey, retries)
    }

    fn has_other_key(&self) -> bool {
        let (Some(key), Some(target)) = (self.credential.key(), self.target()) else { return false };
        let refused: Vec<_> = self.credential.refused().iter().chain([key]).cloned().collect();
        let request = KeyRequest { model: Some(&target.upstream_name), refused: &refused, ..KeyRequest::default() };
        self.credential.may_change() && target.provider.credential.ring().is_some_and(|ring| ring.has_ready(request))
    }
}

/// Returns whether an error says that there is no such model, or none for the key.
pub(super) fn is_said(code: Option<&str>, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    code.is_some_and(|code| CODES.contains(&code))
        // Anthropic.
        || message.starts_with("model: ")
        // Google.
        || (message.starts_with("models/") && message.contains("is not found"))
        // xAI, vLLM.
        || (message.starts_with("the model ") && message.contains("does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_way_to_say_that_a_model_is_missing_is_understood_and_no_other_404() {
        for (code, message) in [
            (Some("model_not_found"), "The model `x` does not exist or you do not have access to it."),
            (Some("DeploymentNotFound"), "The API deployment for this resource does not exist."),
            (None, "model: claude-x"),
            (
                Some("404"),
                "models/gemini-x is not found for API version v1beta, or is not supported for generateContent.",
            ),
            (None, "The model grok-x does not exist or your team t does not have access to it."),
        ] {
            assert!(is_said(code, message), "{message}");
        }
        for (code, message) in [
            (Some("previous_response_not_found"), "Previous response with id 'resp_1' not found."),
            (None, "No such File object: file-1"),
            (None, "Not Found"),
            (None, ""),
        ] {
            assert!(!is_said(code, message), "{message}");
        }
    }
}
