//! Whole answers of Google's.

use std::borrow::Cow;

use super::thought;
use super::wire::{AnswerForm, CandidateForm, FeedbackForm, FunctionCallForm, PartForm};
use super::{finish, function_name, media, usage};
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::{self, Text};
use crate::neutral::{CallKind, NeutralAnswer, NeutralChoice, Part, PartBody, Stop, StopReason, ToolCall};
use crate::refusal::TranslationRefusal;

/// Reads a whole answer.
pub(super) fn read(body: &[u8]) -> Result<NeutralAnswer<'_>, TranslationRefusal> {
    let form: AnswerForm<'_> =
        serde_json::from_slice(body).map_err(|problem| TranslationRefusal::malformed("body", problem.to_string()))?;
    let candidates = form.candidates.unwrap_or_default();
    let mut choices: Vec<_> = candidates
        .into_iter()
        .enumerate()
        .map(|(place, candidate)| (candidate.index.unwrap_or(place as u64), choice(candidate)))
        .collect();
    choices.sort_by_key(|(index, _)| *index);
    let mut choices: Vec<_> = choices.into_iter().map(|(_, choice)| choice).collect();
    if choices.is_empty() {
        let feedback = form.prompt_feedback.ok_or_else(|| TranslationRefusal::malformed("candidates", "missing"))?;
        choices.push(NeutralChoice { parts: Vec::new(), stop: blocked(feedback), logprobs: None });
    }
    Ok(NeutralAnswer {
        id: form.response_id.map(|id| id.0),
        model: form.model_version.map(|model| model.0),
        created: None,
        choices,
        usage: form.usage_metadata.as_ref().map(usage::read),
        service_tier: None,
    })
}

fn choice(candidate: CandidateForm<'_>) -> NeutralChoice<'_> {
    let forms = candidate.content.and_then(|content| content.parts).unwrap_or_default();
    let mut parts: Vec<_> = forms.into_iter().filter_map(part).collect();
    let cited = candidate.grounding_metadata.or(candidate.citation_metadata);
    let last = parts.iter_mut().rev().find_map(|part| match &mut part.body {
        PartBody::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(citations) = last {
        *citations = cited;
    }
    let has_calls = parts.iter().any(|part| matches!(part.body, PartBody::ToolCall(_)));
    let reason = candidate.finish_reason.map_or(Cow::Borrowed("FINISH_REASON_UNSPECIFIED"), |reason| reason.0);
    let mut stop = finish::read(&reason, candidate.finish_message.map(|message| message.0));
    if has_calls && stop.reason == StopReason::EndTurn {
        stop.reason = StopReason::ToolUse;
    }
    // Changed into OpenAI's form before: see `canonical`.
    NeutralChoice { parts, stop, logprobs: candidate.logprobs_result.filter(|raw| !json::is_null(raw)) }
}

/// Returns the stop of an answer that was not written: its prompt was blocked.
pub(super) fn blocked(feedback: FeedbackForm<'_>) -> Stop<'_> {
    let reason = feedback.block_reason.map_or(Cow::Borrowed("BLOCKED_REASON_UNSPECIFIED"), |reason| reason.0);
    let detail = match feedback.block_reason_message {
        Some(Text(message)) => Cow::Owned(format!("{reason}: {message}")),
        None => reason,
    };
    Stop { reason: StopReason::ContentFilter, detail: Some(detail) }
}

fn part(form: PartForm<'_>) -> Option<Part<'_>> {
    let native = form.native();
    let sealed = form.thought_signature.map(seal);
    if let Some(Text(text)) = form.text {
        return text_part(text, form.thought == Some(true), sealed);
    }
    let body = if let Some(call) = form.function_call {
        PartBody::ToolCall(tool_call(call))
    } else if let Some(raw) = form.inline_data {
        media::read_inline(raw)?
    } else if let Some(raw) = form.file_data {
        media::read_file(raw)?
    } else {
        let (kind, raw) = native?;
        PartBody::Native { kind: Cow::Borrowed(kind), raw }
    };
    Some(Part { body, cache: None, sealed })
}

fn text_part<'b>(text: Cow<'b, str>, is_thought: bool, sealed: Option<VendorSeal<'b>>) -> Option<Part<'b>> {
    if text.is_empty() && sealed.is_none() {
        return None;
    }
    // An empty text with a signature only carries it: a thought without text, for clients of every API.
    if is_thought || text.is_empty() {
        return Some(Part::new(PartBody::Thinking(thought::restored(text, sealed))));
    }
    let mut part = Part::text(text);
    part.sealed = sealed;
    Some(part)
}

/// Returns the seal of a part's signature.
pub(super) fn seal(signature: Text<'_>) -> VendorSeal<'_> {
    VendorSeal::of_field(DialectFamily::Gemini, signature.0)
}

fn tool_call(call: FunctionCallForm<'_>) -> ToolCall<'_> {
    ToolCall {
        id: call.id.map(|id| id.0).unwrap_or_default(),
        name: call.name.map(|name| function_name::original(name.0)).unwrap_or_default(),
        arguments: Cow::Borrowed(call.args.map_or("{}", |args| args.get())),
        kind: CallKind::Function,
    }
}
