//! Whole answers in the form of chat completions, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::stop::{self, AnswerHolds};
use super::{thought, turns_reader, usage};
use crate::conversion::tool_name;
use crate::json::{self, Fields};
use crate::neutral::{Audio, MediaSource, NeutralAnswer, NeutralChoice, Part, PartBody, Stop, StopReason, ToolCall};
use crate::refusal::TranslationRefusal;

/// Reads an answer.
pub(super) fn read(body: &[u8]) -> Result<NeutralAnswer<'_>, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    let choices: Vec<_> = fields.list("choices").into_iter().filter_map(choice).collect();
    if choices.is_empty() {
        return Err(TranslationRefusal::malformed("choices", "must hold an answer"));
    }
    Ok(NeutralAnswer {
        id: fields.text("id").filter(|id| !id.is_empty()),
        model: fields.text("model").filter(|model| !model.is_empty()),
        created: fields.value("created"),
        choices,
        usage: fields.object("usage").map(|fields| usage::read(&fields)),
        service_tier: fields.text("service_tier"),
    })
}

fn choice(raw: &RawValue) -> Option<NeutralChoice<'_>> {
    let fields = Fields::of(raw)?;
    let message = fields.object("message").unwrap_or_default();
    let parts = message_parts(&message);
    let holds = AnswerHolds {
        calls: parts.iter().any(|part| matches!(part.body, PartBody::ToolCall(_))),
        refusal: parts.iter().any(|part| matches!(part.body, PartBody::Refusal(_))),
    };
    Some(NeutralChoice { parts, stop: holds.corrected(stop(&fields)), logprobs: logprobs(&fields) })
}

fn stop<'b>(choice: &Fields<'b>) -> Stop<'b> {
    if let Some(error) = choice.object("error") {
        return Stop { reason: StopReason::Failed, detail: error.text("message") };
    }
    let Some(reason) = choice.text("finish_reason") else {
        return Stop { reason: StopReason::Other, detail: None };
    };
    // vLLM says here which text has come.
    let text = choice.text("stop_reason").filter(|_| reason == "stop");
    if text.is_some() {
        return Stop { reason: StopReason::StopText, detail: text };
    }
    let Stop { reason: kind, detail } = stop::read(&reason);
    let detail = detail.map(|detail| Cow::Owned(detail.into_owned()));
    Stop { reason: kind, detail }
}

/// Returns the probabilities of a choice's tokens as a list.
pub(super) fn logprobs<'b>(choice: &Fields<'b>) -> Option<&'b RawValue> {
    let logprobs = choice.object("logprobs")?;
    logprobs.get("content").or_else(|| logprobs.get("refusal"))
}

fn message_parts<'b>(message: &Fields<'b>) -> Vec<Part<'b>> {
    let mut parts = thought::read(message);
    let begin = parts.len();
    if let Some(raw) = message.get("content") {
        match json::text(raw) {
            Some(text) if text.is_empty() => {}
            Some(text) => parts.push(Part::text(text)),
            None => parts.extend(json::list(raw).unwrap_or_default().into_iter().filter_map(turns_reader::part)),
        }
    }
    if let Some(Part { body: PartBody::Text { citations, .. }, sealed, .. }) =
        parts.get_mut(begin..).and_then(<[_]>::last_mut)
    {
        *citations = message.get("annotations").filter(|raw| raw.get() != "[]");
        *sealed = thought::signature(message);
    }
    if let Some(refusal) = message.text("refusal").filter(|refusal| !refusal.is_empty()) {
        parts.push(Part::new(PartBody::Refusal(refusal)));
    }
    if let Some(sound) = message.object("audio") {
        parts.extend(audio(&sound));
    }
    parts.extend(message.list("tool_calls").into_iter().filter_map(turns_reader::call).map(with_own_name));
    let function =
        message.object("function_call").and_then(|call| turns_reader::function_call(&call, Cow::Borrowed("")));
    parts.extend(function.map(|call: ToolCall<'b>| Part::new(PartBody::ToolCall(call))));
    parts
}

/// Returns a call under the name that the client gave its tool.
fn with_own_name(mut part: Part<'_>) -> Part<'_> {
    if let PartBody::ToolCall(call) = &mut part.body {
        call.name = tool_name::original(std::mem::take(&mut call.name));
    }
    part
}

fn audio<'b>(sound: &Fields<'b>) -> Option<Part<'b>> {
    // The format is the one that the client asked for; the answer does not say it.
    let source = MediaSource::Base64 { media_type: Cow::Borrowed("audio/wav"), data: sound.text("data")? };
    Some(Part::new(PartBody::Audio(Audio { source, transcript: sound.text("transcript") })))
}
