//! Whole answers, written.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::block_writer::{is_own_kind, write_input};
use super::citations;
use super::stop::{self, SaidParts};
use super::tool_names;
use super::usage;
use crate::conversion::sealed::VendorSeal;
use crate::conversion::tool_id;
use crate::family::DialectFamily;
use crate::json::writer::{ObjectWriter, push_list, push_value};
use crate::neutral::{NeutralAnswer, Part, PartBody, Stop, StopReason, Thinking, ToolCall};
use crate::translation::AnswerDetails;

/// Writes an answer.
pub(super) fn write(answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut message = ObjectWriter::open(&mut out);
    message.text("id", &message_id(answer.id.as_deref(), details.unique));
    message.word("type", "message");
    message.word("role", "assistant");
    message.value("model", answer.model.as_deref().unwrap_or_default());
    let choice = answer.choices.first();
    let content = message.key("content");
    content.push(b'[');
    let mut blocks = AnswerBlocks { out: content, unique: details.unique, calls: 0, said: SaidParts::default() };
    for part in choice.map(|choice| choice.parts.as_slice()).unwrap_or_default() {
        blocks.write(part);
    }
    let said = blocks.said;
    content.push(b']');
    let failed = Stop::of(StopReason::Failed);
    stop::write(&mut message, choice.map_or(&failed, |choice| &choice.stop), said);
    usage::write(message.key("usage"), &answer.usage.unwrap_or_default(), answer.service_tier.as_deref());
    message.close();
    out
}

/// Returns the id of an answer.
pub(super) fn message_id<'a>(id: Option<&'a str>, unique: &str) -> Cow<'a, str> {
    match id {
        Some(id) if !id.is_empty() => Cow::Borrowed(id),
        _ => Cow::Owned(format!("msg_{unique}")),
    }
}

/// Returns the id of a call: the upstream's, or one of the answer's where the upstream's API gave none.
pub(super) fn call_id<'a>(id: &'a str, unique: &str, number: usize) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("call_{unique}_{number}")) } else { tool_id::legal(id) }
}

/// Returns the signature of a thought. A thought without a seal is marked as another vendor's all the same, so that it
/// never goes to Anthropic's models: only chat completions take such a thought back.
pub(super) fn signature<'a>(sealed: Option<&'a VendorSeal<'_>>) -> Cow<'a, str> {
    match sealed {
        Some(sealed) => sealed.to_field(DialectFamily::Messages),
        None => Cow::Owned(VendorSeal::new(DialectFamily::Chat, "").to_field(DialectFamily::Messages).into_owned()),
    }
}

fn write_citations(block: &mut ObjectWriter<'_>, raw: &RawValue, text: &str) {
    let mut written: Vec<Vec<u8>> = Vec::new();
    citations::write_each(raw, text, &mut |citation| written.push(citation.to_vec()));
    if !written.is_empty() {
        push_list(block.key("citations"), written, |out, citation| out.extend_from_slice(&citation));
    }
}

struct AnswerBlocks<'w, 'd> {
    out: &'w mut Vec<u8>,
    unique: &'d str,
    calls: usize,
    said: SaidParts,
}

impl AnswerBlocks<'_, '_> {
    fn write(&mut self, part: &Part<'_>) {
        match &part.body {
            PartBody::Text { text, citations } if !text.is_empty() => {
                let mut block = self.block("text");
                block.text("text", text);
                if let Some(citations) = citations {
                    write_citations(&mut block, citations, text);
                }
                block.close();
            }
            PartBody::Refusal(text) => {
                self.said.has_refusal = true;
                if !text.is_empty() {
                    let mut block = self.block("text");
                    block.text("text", text);
                    block.close();
                }
            }
            PartBody::Thinking(thinking) => self.thought(thinking),
            PartBody::ToolCall(call) => self.call(call, part.sealed.as_ref()),
            PartBody::Native { kind, raw } if is_own_kind(kind) => {
                self.comma();
                self.out.extend_from_slice(raw.get().as_bytes());
            }
            // Answers of this API hold nothing else.
            _ => {}
        }
    }

    fn thought(&mut self, thinking: &Thinking<'_>) {
        let sealed = signature(thinking.sealed.as_ref());
        if thinking.is_redacted {
            let mut block = self.block("redacted_thinking");
            block.text("data", &sealed);
            return block.close();
        }
        let mut block = self.block("thinking");
        block.text("thinking", &thinking.text);
        block.text("signature", &sealed);
        block.close();
    }

    fn call(&mut self, call: &ToolCall<'_>, sealed: Option<&VendorSeal<'_>>) {
        if let Some(sealed) = sealed {
            let mut block = self.block("thinking");
            block.word("thinking", "");
            block.text("signature", &sealed.to_field(DialectFamily::Messages));
            block.close();
        }
        self.said.has_calls = true;
        let id = call_id(&call.id, self.unique, self.calls);
        self.calls += 1;
        let mut block = self.block("tool_use");
        block.text("id", &id);
        push_value(block.key("name"), &*tool_names::written(&call.name));
        write_input(block.key("input"), call);
        block.close();
    }

    fn block(&mut self, kind: &'static str) -> ObjectWriter<'_> {
        self.comma();
        ObjectWriter::of_type(kind, self.out)
    }

    fn comma(&mut self) {
        if self.out.last() != Some(&b'[') {
            self.out.push(b',');
        }
    }
}
