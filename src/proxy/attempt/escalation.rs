//! The way on where an answer of the cheap model has failed its check: the strong model, as if it were the first.
//!
//! An escalation is no retry: it takes none of the retry budget, none of the attempts and none of the time that failures
//! may take.

use std::collections::BTreeMap;
use std::sync::Arc;

use pingora::proxy::Session;
use pointsman_core::prompt::{BodyEdits, Dialect};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::body_adapter::StreamHold;
use super::{AttemptDestination, UpstreamAttempts};
use crate::router::SubstituteRule;
use crate::upstream::Deployment;

/// The item of a response that says the log probabilities of its text.
const LOGPROBS_ITEM: &str = "message.output_text.logprobs";

/// What became of the wish for log probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum LogprobRequest {
    /// They are asked for, and the client did not.
    Added,
    /// The client asks for them itself, or the API says none.
    Untouched,
}

impl UpstreamAttempts {
    /// Keeps the answer that has just begun from the client until it was checked.
    pub(in crate::proxy) fn hold_for_check(&mut self, session: &mut Session, limits: Option<StreamHold>) {
        self.adapter.hold_for_check(session, self.shorter_idle(), limits);
    }

    /// Goes on to the strong model; false where its API cannot say the request, or its quota was used up meanwhile and the
    /// client can still get the cheap answer.
    pub(in crate::proxy) fn escalate_to(&mut self, strong: &Arc<Deployment>) -> bool {
        self.credential.set_aside();
        let rule = if self.adapter.has_kept() { SubstituteRule::PassOver } else { SubstituteRule::Serve };
        if !self.alternatives.admit(strong, rule) || self.body.prepare_for(strong).is_err() {
            return false;
        }
        self.alternatives.remove(strong);
        self.destination = Some(AttemptDestination::Model(Arc::clone(strong)));
        self.uncounted = self.count;
        self.limit.since = Instant::now();
        (self.tried, self.excused, self.kept_at) = (Vec::new(), Vec::new(), None);
        true
    }

    /// Goes back to the cheap model, whose answer the client gets after all.
    pub(in crate::proxy) fn return_to(&mut self, cheap: &Arc<Deployment>) {
        self.credential.take_back();
        self.destination = Some(AttemptDestination::Model(Arc::clone(cheap)));
    }

    /// Asks the model for the log probabilities of its tokens; the client has asked in `client`'s words.
    pub(in crate::proxy) fn ask_for_logprobs(&mut self, client: Dialect) -> LogprobRequest {
        let dialect = self.body.translation().map_or(client, |translation| translation.answer_dialect());
        let body = self.body.bytes().and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let Some(set) = body.and_then(|body| wanted(dialect, &body)) else { return LogprobRequest::Untouched };
        self.body.edit(&BodyEdits::new(&[], &BTreeMap::new(), &set));
        LogprobRequest::Added
    }
}

/// Returns what asks for log probabilities in a dialect; `None` where they are asked for, or there are none.
fn wanted(dialect: Dialect, body: &Value) -> Option<BTreeMap<String, Value>> {
    let set = match dialect {
        Dialect::ChatCompletions if body["logprobs"] != true => ("logprobs".to_owned(), json!(true)),
        Dialect::Responses => {
            let mut items = body["include"].as_array().cloned().unwrap_or_default();
            if items.iter().any(|item| item == LOGPROBS_ITEM) {
                return None;
            }
            items.push(json!(LOGPROBS_ITEM));
            ("include".to_owned(), Value::Array(items))
        }
        dialect if dialect.is_google() && dialect.generates() => {
            let settings = &body["generationConfig"];
            if settings["responseLogprobs"] == true || body.get("generation_config").is_some() {
                return None;
            }
            ("generationConfig.responseLogprobs".to_owned(), json!(true))
        }
        _ => return None,
    };
    Some(BTreeMap::from([set]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_asked_for_in_each_api_s_words_unless_the_client_does() {
        let asked = |dialect, body: Value| wanted(dialect, &body).map(|set| json!(set));

        assert_eq!(asked(Dialect::ChatCompletions, json!({})), Some(json!({"logprobs": true})));
        assert_eq!(asked(Dialect::ChatCompletions, json!({"logprobs": true})), None);
        let items = json!(["reasoning.encrypted_content", LOGPROBS_ITEM]);
        assert_eq!(
            asked(Dialect::Responses, json!({"include": ["reasoning.encrypted_content"]})),
            Some(json!({"include": items}))
        );
        assert_eq!(asked(Dialect::Responses, json!({"include": items})), None);
        assert_eq!(
            asked(Dialect::GenerateContent, json!({})),
            Some(json!({"generationConfig.responseLogprobs": true}))
        );
        assert_eq!(asked(Dialect::Messages, json!({})), None);
    }
}
