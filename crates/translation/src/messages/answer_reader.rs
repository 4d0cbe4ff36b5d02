//! Whole answers, read.

use super::content_reader::{BlockPlace, ContentReader};
use super::stop;
use super::usage::UsageCounts;
use crate::json::Fields;
use crate::loss::LossReport;
use crate::neutral::{NeutralAnswer, NeutralChoice, Part, PartBody, Stop, StopReason};
use crate::refusal::TranslationRefusal;

/// Reads an answer.
pub(super) fn read(body: &[u8]) -> Result<NeutralAnswer<'_>, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    let content = fields.get("content").ok_or_else(|| TranslationRefusal::malformed("content", "no list"))?;
    // An answer says what there is: what is lost of a request is said when the request is translated.
    let mut losses = LossReport::default();
    let mut reader = ContentReader::new(&mut losses, BlockPlace::Answer);
    let parts = reader.content(content).ok_or_else(|| TranslationRefusal::malformed("content", "no list"))?;
    let usage = fields.object("usage");
    let counts = usage.as_ref().map(|usage| {
        let mut counts = UsageCounts::default();
        counts.read(usage);
        counts.neutral()
    });
    let stop = stop::read(&fields).unwrap_or_else(|| Stop::of(reason_of(&parts)));
    Ok(NeutralAnswer {
        id: fields.text("id"),
        model: fields.text("model"),
        created: None,
        choices: vec![NeutralChoice { parts, stop, logprobs: None }],
        usage: counts,
        service_tier: usage.and_then(|usage| usage.text("service_tier")),
    })
}

/// Returns the reason of an answer that gives none, as some servers' do.
fn reason_of(parts: &[Part<'_>]) -> StopReason {
    let has_calls = parts.iter().any(|part| matches!(part.body, PartBody::ToolCall(_)));
    if has_calls { StopReason::ToolUse } else { StopReason::EndTurn }
}
