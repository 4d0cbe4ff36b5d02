//! Whole answers in the form of chat completions, written.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::stop::{self, AnswerHolds};
use super::{annotation, thought, usage};
use crate::conversion::custom_tool;
use crate::json::writer::{ObjectWriter, push_list};
use crate::neutral::{CallKind, NeutralAnswer, NeutralChoice, Part, PartBody, Stop, StopReason, Thinking, ToolCall};
use crate::translation::{AnswerDetails, RequestMemo};

/// Writes an answer.
pub(super) fn write(answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    object.and_text("id", &id(answer.id.as_deref(), details.unique)).value("object", "chat.completion");
    object.value("created", &answer.created.unwrap_or(details.now));
    object.value("model", answer.model.as_deref().unwrap_or_default());
    let mut writer = ChatChoiceWriter { details, made_ids: 0 };
    push_list(object.key("choices"), answer.choices.iter().enumerate(), |out, (index, choice)| {
        writer.choice(out, index, choice);
    });
    if let Some(used) = &answer.usage {
        usage::write(used, object.key("usage"));
    }
    object.optional("service_tier", answer.service_tier.as_deref().and_then(service_tier));
    object.close();
    out
}

/// Returns the answer's id: that of its vendor, else one that is made.
pub(super) fn id<'i>(vendors: Option<&'i str>, unique: &str) -> Cow<'i, str> {
    vendors.map_or_else(|| Cow::Owned(format!("chatcmpl-{unique}")), Cow::Borrowed)
}

/// Returns the tier of service in the words of this API; `None` for those that it does not have.
pub(super) fn service_tier(tier: &str) -> Option<&'static str> {
    Some(match tier {
        "default" | "standard" => "default",
        "auto" => "auto",
        "flex" => "flex",
        "scale" => "scale",
        "priority" => "priority",
        "fast" => "fast",
        _ => return None,
    })
}

/// Returns the form in which the client knows the calls of a tool.
pub(super) fn call_kind(memo: &RequestMemo, own: CallKind, name: &str) -> CallKind {
    if own == CallKind::Custom { own } else { memo.kind_of(name) }
}

struct ChatChoiceWriter<'d> {
    details: &'d AnswerDetails<'d>,
    made_ids: usize,
}

impl ChatChoiceWriter<'_> {
    fn choice(&mut self, out: &mut Vec<u8>, index: usize, choice: &NeutralChoice<'_>) {
        let mut object = ObjectWriter::open(out);
        object.value("index", &index);
        let holds = self.message(object.key("message"), choice);
        write_logprobs(&mut object, choice.logprobs);
        let stop = holds.corrected(Stop::of(choice.stop.reason));
        object.value("finish_reason", self.word(stop.reason)).close();
    }

    fn word(&self, reason: StopReason) -> &'static str {
        let is_first_form = reason == StopReason::ToolUse && self.details.memo.wants_function_call;
        if is_first_form { "function_call" } else { stop::word(reason) }
    }

    fn message(&mut self, out: &mut Vec<u8>, choice: &NeutralChoice<'_>) -> AnswerHolds {
        let mut message = ObjectWriter::open(out);
        let refusal = choice.parts.iter().find_map(|part| match &part.body {
            PartBody::Refusal(words) => Some(&**words),
            _ => None,
        });
        let calls: Vec<_> = choice.parts.iter().filter_map(call).collect();
        let holds = AnswerHolds { calls: !calls.is_empty(), refusal: refusal.is_some() };
        let text = text(&choice.parts);
        let is_spoken = !text.is_empty() || !holds.calls && refusal.is_none();
        message.word("role", "assistant");
        if is_spoken {
            message.text("content", &text);
        } else {
            message.raw("content", "null");
        }
        message.value("refusal", &refusal.or_else(|| stop::refusal_words(&choice.stop)));
        let thoughts: Vec<&Thinking<'_>> = choice.parts.iter().filter_map(thinking).collect();
        thought::write(&mut message, &thoughts);
        annotations(&mut message, &choice.parts);
        if let Some(seal) =
            choice.parts.iter().filter(|part| call(part).is_none()).find_map(|part| part.sealed.as_ref())
        {
            thought::write_signature(&mut message, seal);
        }
        match calls.first() {
            None => {}
            Some((_, call)) if self.details.memo.wants_function_call => {
                let mut function = message.object("function_call");
                function.and_text("name", &call.name).and_text("arguments", &call.arguments).close();
            }
            Some(_) => push_list(message.key("tool_calls"), &calls, |out, call| self.call(out, *call)),
        }
        message.close();
        holds
    }

    fn call(&mut self, out: &mut Vec<u8>, (part, call): CallPart<'_, '_>) {
        let mut object = ObjectWriter::open(out);
        let id = match &*call.id {
            "" => {
                self.made_ids += 1;
                Cow::Owned(format!("call_{}_{}", self.details.unique, self.made_ids - 1))
            }
            id => Cow::Borrowed(id),
        };
        object.text("id", &id);
        if call_kind(self.details.memo, call.kind, &call.name) == CallKind::Custom {
            let input = match call.kind {
                CallKind::Custom => Cow::Borrowed(&*call.arguments),
                CallKind::Function => custom_tool::unwrap(&call.arguments),
            };
            object.value("type", "custom");
            object.object("custom").and_text("name", &call.name).and_text("input", &input).close();
        } else {
            let arguments = if call.arguments.is_empty() { "{}" } else { &*call.arguments };
            object.value("type", "function");
            object.object("function").and_text("name", &call.name).value("arguments", arguments).close();
        }
        if let Some(seal) = &part.sealed {
            thought::write_signature(&mut object, seal);
        }
        object.close();
    }
}

/// A call, and the part that it is.
type CallPart<'p, 'b> = (&'p Part<'b>, &'p ToolCall<'b>);

fn call<'p, 'b>(part: &'p Part<'b>) -> Option<CallPart<'p, 'b>> {
    match &part.body {
        PartBody::ToolCall(call) => Some((part, call)),
        _ => None,
    }
}

fn thinking<'p, 'b>(part: &'p Part<'b>) -> Option<&'p Thinking<'b>> {
    match &part.body {
        PartBody::Thinking(thought) => Some(thought),
        _ => None,
    }
}

fn text<'p>(parts: &'p [Part<'_>]) -> Cow<'p, str> {
    let texts = parts.iter().filter_map(|part| match &part.body {
        PartBody::Text { text, .. } => Some(&**text),
        _ => None,
    });
    texts.fold(Cow::Borrowed(""), |all, text| if all.is_empty() { Cow::Borrowed(text) } else { all + text })
}

fn annotations(message: &mut ObjectWriter<'_>, parts: &[Part<'_>]) {
    if parts.iter().all(|part| !matches!(part.body, PartBody::Text { citations: Some(_), .. })) {
        return;
    }
    let mut written = Vec::new();
    let mut begin = 0;
    for part in parts {
        let PartBody::Text { text, citations } = &part.body else { continue };
        if let Some(raw) = citations {
            annotation::write(raw, text, begin, &mut written);
        }
        begin += text.chars().count();
    }
    if !written.is_empty() {
        let out = message.key("annotations");
        out.push(b'[');
        out.append(&mut written);
        out.push(b']');
    }
}

/// Writes the probabilities of tokens, which are a list, or in this API's whole form.
pub(super) fn write_logprobs(choice: &mut ObjectWriter<'_>, logprobs: Option<&RawValue>) {
    match logprobs.map(RawValue::get) {
        None => {
            choice.raw("logprobs", "null");
        }
        Some(list) if list.starts_with('[') => {
            choice.within("logprobs", |logprobs| {
                logprobs.raw("content", list);
                logprobs.raw("refusal", "null");
            });
        }
        Some(whole) => {
            choice.raw("logprobs", whole);
        }
    }
}
