//! A prompt that turns out to be too long for its model: the error that says so is withheld from the client until it is
//! whole, and a model with a larger window is asked.

use bytes::{Bytes, BytesMut};
use pingora::protocols::http::HttpTask;
use pingora::{Error, Result};
use pointsman_core::usage::AnswerError;
use serde::Deserialize;

use super::body_wait::WaitToTell;
use super::fallback::RetryLedger;
use super::missing_model::ModelSearch;
use super::refused_parameter::RefusalSearch;
use super::{AttemptDestination, UpstreamAttempts, missing_model};
use crate::upstream::{AttemptFailure, CONTEXT_LENGTH, NO_MODEL_FOR_KEY, REFUSED_PARAMETER};

/// The largest error body that is withheld; a larger one is no error of this kind.
const MOST: usize = 64 * 1024;

/// The part of an answer that has come and that the client has not seen.
#[derive(Default)]
pub(in crate::proxy) struct WithheldAnswer {
    tasks: Vec<HttpTask>,
    body: BytesMut,
    search: ErrorSearch,
    wait: WaitToTell,
}

/// What is looked for in an error body.
#[derive(Debug, Default)]
pub(in crate::proxy) struct ErrorSearch {
    pub(super) length: Option<LengthSearch>,
    pub(super) refusal: Option<RefusalSearch>,
    pub(super) model: Option<ModelSearch>,
}

impl ErrorSearch {
    /// Returns whether anything is looked for.
    pub(super) const fn is_any(&self) -> bool {
        self.length.is_some() || self.refusal.is_some() || self.model.is_some()
    }

    /// Looks through a whole error body.
    ///
    /// # Errors
    /// [`CONTEXT_LENGTH`] if it says that the prompt is too long, [`NO_MODEL_FOR_KEY`] if the model is missing, and
    /// [`REFUSED_PARAMETER`] if it refuses a parameter.
    pub(super) fn look_through(&self, body: &Bytes) -> Result<()> {
        if self.length.is_some() && says(body, is_too_long) {
            return Error::e_explain(CONTEXT_LENGTH, "the model's window is too small");
        }
        if self.model.is_some() && says(body, missing_model::is_said) {
            return Error::e_explain(NO_MODEL_FOR_KEY, "the key may not ask for the model");
        }
        if self.refusal.as_ref().is_some_and(|search| search.finds_in(body)) {
            return Error::e_explain(REFUSED_PARAMETER, "the model's API refuses a parameter");
        }
        Ok(())
    }
}

/// The search for a prompt that is too long in an error body.
#[derive(Debug)]
pub(in crate::proxy) struct LengthSearch;

/// The words of providers for a prompt that is too long, in lower case.
const TOO_LONG: [&str; 12] = [
    // OpenAI, vLLM, DeepSeek, Mistral.
    "maximum context length",
    // OpenAI's responses.
    "exceeds the context window",
    // Anthropic, of the prompt alone, and with the answer asked for.
    "prompt is too long",
    "exceed context limit",
    // Gemini.
    "exceeds the maximum number of tokens",
    // Amazon Bedrock.
    "input is too long for requested model",
    // xAI.
    "maximum prompt length is",
    // vLLM, of what its tokenizer made.
    "longer than the maximum model length",
    // SGLang, Together.
    "longer than the model's context length",
    // llama.cpp.
    "exceeds the available context size",
    // Text Generation Inference.
    "`inputs` tokens + `max_new_tokens` must be",
    // Cohere.
    "too many tokens: ",
];

/// The parts of an error body that say what is wrong: OpenAI's shape, and what vLLM, Anthropic and xAI make of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error: Option<ErrorDetail>,
    #[serde(flatten)]
    bare: ErrorFields,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorDetail {
    InFields(ErrorFields),
    InWords(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorFields {
    code: Option<serde_json::Value>,
    message: Option<String>,
}

impl UpstreamAttempts {
    /// Goes on to a model with a larger window. The answer that said so was withheld, so the client has seen nothing.
    pub(in crate::proxy) fn widen(&mut self, retries: &RetryLedger) -> bool {
        if let Some(AttemptDestination::Model(target)) = &self.destination {
            self.alternatives.keep_wider_than(target);
        }
        self.try_again(AttemptFailure::ContextLength, retries)
    }
}

impl WithheldAnswer {
    /// Withholds an error to look for these in it.
    pub(super) fn new(search: ErrorSearch) -> Self {
        Self { search, ..Self::default() }
    }

    /// Withholds an error whose header is to tell a wait.
    pub(super) fn telling(wait: WaitToTell) -> Self {
        Self { wait, ..Self::default() }
    }

    /// Takes more of the answer. Returns all of it when it may go out, and nothing while there is more to come.
    ///
    /// # Errors
    /// When it is whole, [`CONTEXT_LENGTH`] if it says that the prompt is too long, and [`REFUSED_PARAMETER`] if it refuses
    /// a parameter; nothing of it has gone out then.
    pub(in crate::proxy) fn push(&mut self, tasks: Vec<HttpTask>) -> Result<Option<Vec<HttpTask>>> {
        let mut ended = false;
        for task in &tasks {
            if let HttpTask::Body(Some(bytes), _) = task {
                self.body.extend_from_slice(bytes);
            }
            ended |= task.is_end() || matches!(task, HttpTask::Done | HttpTask::Failed(_));
        }
        self.tasks.extend(tasks);
        if !ended && self.body.len() <= MOST {
            return Ok(None);
        }
        let body = self.body.split().freeze();
        if ended {
            self.search.look_through(&body)?;
        }
        let mut tasks = std::mem::take(&mut self.tasks);
        if let Some(HttpTask::Header(header, _)) = tasks.first_mut() {
            self.wait.say(header);
        }
        Ok(Some(tasks))
    }
}

/// Returns whether an error body says what `is_said` finds in its code and message.
fn says(body: &Bytes, is_said: fn(Option<&str>, &str) -> bool) -> bool {
    let Ok(parsed) = serde_json::from_slice::<ErrorBody>(body) else { return false };
    let ErrorFields { code, message } = match parsed.error {
        Some(ErrorDetail::InFields(fields)) => fields,
        Some(ErrorDetail::InWords(message)) => ErrorFields { message: Some(message), ..parsed.bare },
        None => parsed.bare,
    };
    is_said(code.as_ref().and_then(|code| code.as_str()), &message.unwrap_or_default())
}

/// Returns whether an error that came in an answer says that the prompt does not fit the model's context window.
pub(in crate::proxy) fn is_said_by(error: &AnswerError) -> bool {
    is_too_long(error.code.as_deref(), &error.message)
}

fn is_too_long(code: Option<&str>, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    code == Some("context_length_exceeded") || TOO_LONG.iter().any(|known| message.contains(known))
}

#[cfg(test)]
mod tests {
    use pingora::http::ResponseHeader;

    use super::*;

    fn header() -> HttpTask {
        HttpTask::Header(Box::new(ResponseHeader::build(400, None).expect("a header")), false)
    }

    fn body(text: &str, end: bool) -> HttpTask {
        HttpTask::Body(Some(Bytes::copy_from_slice(text.as_bytes())), end)
    }

    #[test]
    fn every_known_way_to_say_too_long_is_understood() {
        for said in [
            r#"{"error": {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}}"#,
            r#"{"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}"#,
            r#"{"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens"}}"#,
            r#"{"error": {"message": "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"}}"#,
            r#"{"error": {"message": "Your input exceeds the context window of this model."}}"#,
            r#"{"code": "invalid-argument", "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}"#,
            r#"{"error": {"message": "The decoder prompt (length 8357) is longer than the maximum model length of 8192.", "code": 400}}"#,
            r#"{"message": "The input (250000 tokens) is longer than the model's context length (200000 tokens)."}"#,
            r#"{"error": {"code": 400, "message": "the request exceeds the available context size, try increasing it", "type": "exceed_context_size_error"}}"#,
        ] {
            assert!(says(&Bytes::from_static(said.as_bytes()), is_too_long), "{said}");
        }
        for said in [
            r#"{"error": {"message": "bad image", "code": "invalid_image"}}"#,
            r#"{"error": "no"}"#,
            "too long",
            "[]",
            "",
        ] {
            assert!(!says(&Bytes::copy_from_slice(said.as_bytes()), is_too_long), "{said}");
        }
    }

    #[test]
    fn another_error_goes_out_whole_once_it_has_ended() {
        let mut withheld = WithheldAnswer::default();

        assert!(withheld.push(vec![header(), body("{\"error\": {\"mess", false)]).expect("no verdict yet").is_none());
        let tasks = withheld.push(vec![body("age\": \"bad\"}}", true)]).expect("another error").expect("it has ended");

        assert_eq!(tasks.len(), 3);
    }

    #[test]
    fn a_prompt_that_is_too_long_fails_the_attempt() {
        let mut withheld = WithheldAnswer::new(ErrorSearch { length: Some(LengthSearch), ..ErrorSearch::default() });

        let error = withheld.push(vec![header(), body(r#"{"error": {"code": "context_length_exceeded"}}"#, true)]);

        assert_eq!(*error.expect_err("too long").etype(), CONTEXT_LENGTH);
    }

    #[test]
    fn a_body_that_is_too_large_to_be_an_error_is_not_withheld() {
        let mut withheld = WithheldAnswer::default();

        assert!(withheld.push(vec![header(), body(&"x".repeat(MOST), false)]).expect("at the limit").is_none());
        assert!(withheld.push(vec![body("x", false)]).expect("beyond it").is_some());
    }
}
