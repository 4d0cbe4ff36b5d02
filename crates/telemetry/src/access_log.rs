//! The access line: one record for each request, written when it has ended.
//!
//! Says what happened, never what was asked: no query string (keys travel in some), no headers, no prompt.

use std::time::Duration;

use tracing::info;

/// The target of the records, so that `RUST_LOG=access=off` silences them.
pub const TARGET: &str = "access";

/// The longest path that is written, in bytes; a longer one is cut.
const MAX_PATH: usize = 256;

/// One request that ended. Absent fields are left out of the record.
#[derive(Debug, Clone, Copy)]
pub struct AccessLine<'r> {
    /// The request's method.
    pub method: &'r str,
    /// The request's path; anything from `?` on is cut off before it is written.
    pub path: &'r str,
    /// The status that the client got; absent when the client left first.
    pub status: Option<u16>,
    /// The client whose key the request had, where clients have keys.
    pub client: Option<&'r str>,
    /// The policy that matched.
    pub policy: Option<&'r str>,
    /// The model that was chosen, as the catalog names it.
    pub model: Option<&'r str>,
    /// The position of the rule that chose or denied.
    pub rule: Option<usize>,
    /// The reason of the choice.
    pub reason: Option<&'static str>,
    /// The kind of state that the request names, and what is known of it: `known`, `unknown` or `gone`.
    pub state: Option<&'r str>,
    /// The classifier's best label.
    pub label: Option<&'r str>,
    /// The text that the label is about.
    pub label_from: Option<&'static str>,
    /// The score that the decision rests on.
    pub score: Option<f32>,
    /// The reason why the classifier's encoder did not answer.
    pub degraded: Option<&'static str>,
    /// The policy that only watched.
    pub shadow_policy: Option<&'r str>,
    /// The model that the watching policy would have chosen.
    pub shadow_model: Option<&'r str>,
    /// The code of the error that the watching policy would have answered.
    pub shadow_denied: Option<&'static str>,
    /// The check that an answer failed, so that another model was asked.
    pub escalated: Option<&'r str>,
    /// The part of the response cache in the answer, of a policy that has one.
    pub cache: Option<&'r str>,
    /// The provider that was asked last.
    pub provider: Option<&'r str>,
    /// The name of the key that it was asked with, where the provider has several.
    pub key: Option<&'r str>,
    /// The code of Pointsman's own error answer.
    pub code: Option<&'static str>,
    /// The translation, where the request was translated: `messages->chat`.
    pub translation: Option<&'r str>,
    /// The fields that it did not carry over as they were: `dropped=top_k; changed=thinking`.
    pub translation_losses: Option<&'r str>,
    /// Requests sent to providers.
    pub attempts: u32,
    /// Tokens of the prompt; absent when nobody knows.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer; absent when nobody knows.
    pub output_tokens: Option<u64>,
    /// The cost of the tokens by the catalog's prices.
    pub cost_usd: Option<f64>,
    /// The time from the request's first byte to the answer's first.
    pub first_byte: Option<Duration>,
    /// The time from the request's first byte to the answer's last.
    pub duration: Duration,
    /// Pointsman's own share of the duration.
    pub overhead: Duration,
    /// The id of the request in headers and logs.
    pub request_id: &'r str,
    /// The id of the request's trace, where requests are traced.
    pub trace_id: Option<&'r str>,
    /// The generation that decided.
    pub generation: u64,
}

impl AccessLine<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        info!(
            target: TARGET,
            method = self.method,
            path = path_only(self.path),
            status = self.status,
            client = self.client,
            policy = self.policy,
            model = self.model,
            rule = self.rule,
            reason = self.reason,
            state = self.state,
            label = self.label,
            label_from = self.label_from,
            score = self.score.map(|score| rounded(score.into(), 1e4)),
            degraded = self.degraded,
            shadow_policy = self.shadow_policy,
            shadow_model = self.shadow_model,
            shadow_denied = self.shadow_denied,
            escalated = self.escalated,
            cache = self.cache,
            provider = self.provider,
            key = self.key,
            code = self.code,
            translation = self.translation,
            translation_losses = self.translation_losses,
            attempts = self.attempts,
            input_tokens = self.input_tokens,
            output_tokens = self.output_tokens,
            cost_usd = self.cost_usd.map(|dollars| rounded(dollars, 1e9)),
            first_byte_ms = self.first_byte.map(milliseconds),
            duration_ms = milliseconds(self.duration),
            overhead_us = u64::try_from(self.overhead.as_micros()).unwrap_or(u64::MAX),
            request_id = self.request_id,
            trace_id = self.trace_id,
            generation = self.generation,
            "Request"
        );
    }
}

/// Cuts the query, the fragment and whatever is too long.
pub(super) fn path_only(path: &str) -> &str {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    &path[..path.floor_char_boundary(end.min(MAX_PATH))]
}

fn milliseconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1e3, 1e3)
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::logging::LogFormat;
    use crate::logging::capture::captured;

    const LINE: AccessLine<'_> = AccessLine {
        method: "POST",
        path: "/v1/chat/completions?api_key=sk-planted#frag",
        status: Some(200),
        client: Some("team"),
        policy: Some("auto"),
        model: Some("small"),
        rule: None,
        reason: Some("tier"),
        state: Some("response known"),
        label: Some("simple"),
        label_from: Some("ask"),
        score: Some(0.82),
        degraded: Some("deadline"),
        shadow_policy: None,
        shadow_model: None,
        shadow_denied: None,
        escalated: None,
        cache: None,
        provider: Some("openai"),
        key: Some("second"),
        code: None,
        translation: Some("messages->chat"),
        translation_losses: Some("dropped=top_k"),
        attempts: 1,
        input_tokens: Some(100),
        output_tokens: Some(20),
        cost_usd: Some(0.000_014),
        first_byte: Some(Duration::from_micros(1_234_567)),
        duration: Duration::from_micros(12_345_678),
        overhead: Duration::from_micros(2100),
        request_id: "01J9",
        trace_id: Some("0af7651916cd43dd8448eb211c80319c"),
        generation: 3,
    };

    fn written(line: AccessLine<'_>) -> Value {
        let text = captured(LogFormat::Json, "", || line.emit());
        let mut record: Value = serde_json::from_str(&text).expect("one JSON record");
        record.as_object_mut().expect("an object").remove("timestamp").expect("a timestamp");
        record
    }

    #[test]
    fn the_line_has_these_fields_and_no_query_string() {
        assert_eq!(
            written(LINE),
            json!({
                "level": "INFO", "target": "access", "message": "Request",
                "method": "POST", "path": "/v1/chat/completions", "status": 200,
                "client": "team", "policy": "auto", "model": "small", "reason": "tier", "state": "response known", "label": "simple", "label_from": "ask", "score": 0.82,
                "degraded": "deadline", "provider": "openai", "key": "second", "attempts": 1,
                "translation": "messages->chat", "translation_losses": "dropped=top_k",
                "input_tokens": 100, "output_tokens": 20, "cost_usd": 0.000_014, "first_byte_ms": 1234.567,
                "duration_ms": 12345.678, "overhead_us": 2100, "request_id": "01J9", "trace_id": "0af7651916cd43dd8448eb211c80319c", "generation": 3,
            })
        );
    }

    #[test]
    fn a_request_that_no_policy_matched_says_nothing_about_a_decision() {
        let line =
            AccessLine { trace_id: None, policy: None, model: None, reason: None, score: None, status: None, ..LINE };

        let record = written(line);

        for absent in ["policy", "model", "reason", "score", "status", "code", "trace_id"] {
            assert!(record.get(absent).is_none(), "`{absent}` in {record}");
        }
    }

    #[test]
    fn a_rejected_request_says_its_code() {
        assert_eq!(written(AccessLine { code: Some("invalid_json"), ..LINE })["code"], "invalid_json");
    }

    #[test]
    fn what_a_policy_that_only_watches_would_have_done_is_told_apart_from_what_was_done() {
        let line = AccessLine { policy: None, model: None, reason: None, rule: Some(2), ..LINE };
        let record =
            written(AccessLine { shadow_policy: Some("auto"), shadow_denied: Some("denied_by_policy"), ..line });

        assert_eq!(
            (&record["shadow_policy"], &record["shadow_denied"], &record["rule"]),
            (&json!("auto"), &json!("denied_by_policy"), &json!(2))
        );
        assert!(record.get("policy").is_none() && record.get("shadow_model").is_none(), "{record}");
    }

    #[test]
    fn the_text_line_leaks_no_query_string_either() {
        let text = captured(LogFormat::Text, "", || LINE.emit());

        assert!(text.contains("path=\"/v1/chat/completions\""), "{text}");
        assert!(!text.contains("planted"), "{text}");
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        let path = "é".repeat(MAX_PATH);

        assert_eq!(path_only(&path).len(), MAX_PATH);
        assert_eq!(path_only(&format!("x{path}")).len(), MAX_PATH - 1);
    }
}
