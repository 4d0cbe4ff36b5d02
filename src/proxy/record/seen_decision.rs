//! A request that somebody looks at, once it is over: one line of what was asked, chosen and paid, and the explanation
//! that was made with the decision.
//!
//! Shows no words of the prompt, nor of a judge on it, unless the decision log may write them, and then as they are
//! written there.

use std::time::{Duration, SystemTime};

use pingora::http::RequestHeader;
use pointsman_core::policy::Decision;
use pointsman_telemetry::LoggedText;
use serde_json::{Value, json};

use super::Recorder;
use super::decision_line::RequestTotals;
use super::redacted_texts::{RedactedTexts, TextEnd};
use crate::proxy::answer::rejection::RejectionCode;
use crate::proxy::context::RequestContext;
use crate::router::Verdict;
use crate::snapshot::Snapshot;

impl Recorder {
    /// Shows a request that is over to whoever looks, where a place was taken for it.
    pub(super) fn show(&self, header: &RequestHeader, ctx: &mut RequestContext, over: RequestTotals) {
        let Some(mut explanation) = ctx.explanation.take() else { return };
        let text = logged_text(&ctx.snapshot, &ctx.kept);
        if text.is_none() {
            conceal_rationales(&mut explanation);
        }
        let mut summary = summary(header, ctx, over);
        summary["text"] = json!(text);
        self.router.feed().show(summary, *explanation);
    }
}

fn summary(header: &RequestHeader, ctx: &RequestContext, over: RequestTotals) -> Value {
    let verdict = ctx.verdict.as_ref();
    let finding = verdict.and_then(Verdict::finding);
    let decision: Option<&Decision> = finding.and_then(|finding| finding.result.ok());
    let denial = finding.and_then(|finding| finding.result.err());
    json!({
        "at": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        "request_id": ctx.request_id,
        "client": ctx.client_name(),
        "path": header.uri.path(),
        "policy": finding.and_then(|finding| finding.policy()),
        "model": decision.map(|decision| &decision.model),
        "answered_by": ctx.attempts.model().or(ctx.replay().map(|kept| &kept.model)),
        "cache": ctx.cache.as_ref().map(|used| used.word()),
        "provider": ctx.attempts.provider().map(|provider| &provider.name),
        "reason": decision.map_or_else(|| denial.map_or("pass", |denial| denial.code), |it| it.reason.as_str()),
        "rule": finding.and_then(|finding| finding.by().rule()),
        "label": decision.and_then(|decision| decision.label.as_deref()),
        "score": decision.and_then(|decision| decision.score),
        "applied": verdict.is_some_and(Verdict::is_applied),
        "status": over.status,
        "error": ctx.rejected.map(RejectionCode::as_str),
        "attempts": ctx.attempts.count(),
        "input_tokens": over.usage.map(|usage| usage.input),
        "output_tokens": over.usage.map(|usage| usage.output),
        "cost_usd": over.cost,
        "baseline_cost_usd": over.baseline,
        "first_byte_ms": ctx.clock.first_byte().map(milliseconds),
        "duration_ms": milliseconds(over.duration),
        "overhead_us": u64::try_from(ctx.clock.overhead().as_micros()).unwrap_or(u64::MAX),
        "generation": ctx.snapshot.generation,
    })
}

/// Returns the prompt's text as the decision log writes it, if it does.
fn logged_text(snapshot: &Snapshot, kept: &LoggedText) -> Option<String> {
    let (log, text) = (snapshot.decision_log.as_ref()?, kept.text.as_deref()?);
    let end = if text.len() < kept.bytes { TextEnd::Cut } else { TextEnd::Whole };
    Some(RedactedTexts::new(log).of(text, end).into_owned())
}

/// Takes the words of judges out of an explanation: they may quote the prompt.
fn conceal_rationales(explanation: &mut Value) {
    match explanation {
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(key, value)| if key == "rationale" { *value = Value::Null } else { conceal_rationales(value) }),
        Value::Array(values) => values.iter_mut().for_each(conceal_rationales),
        _ => {}
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_words_of_a_judge_are_left_wherever_they_stand() {
        let mut explanation = json!({
            "model": "small", "rationale": "it says hello",
            "judges": [{"label": "easy", "rationale": "a greeting"}], "stages": [{"deep": {"rationale": "x"}}],
        });

        conceal_rationales(&mut explanation);

        assert_eq!(explanation["model"], "small");
        assert!(!explanation.to_string().contains("hello") && !explanation.to_string().contains("greeting"));
        assert_eq!(explanation["stages"][0]["deep"]["rationale"], Value::Null);
    }
}
