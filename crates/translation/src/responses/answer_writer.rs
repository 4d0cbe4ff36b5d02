//! Whole answers, written.

use serde_json::value::RawValue;

use super::answer_reader::holds_of;
use super::event_parts::push_elements;
use super::item_writer::{
    CallItem, MessageItem, MessagePart, OutputCallForm, ThoughtItem, Wording, write_call_seal, write_search,
};
use super::response_object::{ResponseHead, ResponseState, ResponseStatus};
use super::{citation, thoughts};
use crate::json::{self, Fields};
use crate::neutral::{NeutralAnswer, NeutralChoice, Part, PartBody, Thinking, ToolCall};
use crate::translation::AnswerDetails;

/// Writes a whole answer.
pub(super) fn write(answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8> {
    let mut head = ResponseHead::new(details);
    head.learn(answer.id.as_deref(), answer.model.as_deref(), answer.created);
    let mut output = OutputWriter { details, output: Vec::new(), items: 0, message: Vec::new() };
    let mut status = ResponseStatus::Failed { code: "server_error", message: "the upstream's answer is empty" };
    if let Some(choice) = answer.choices.first() {
        status = ResponseStatus::of_stop(choice.stop.reason, choice.stop.detail.as_deref(), holds_of(&choice.parts));
        output.choice(choice, status);
    }
    let mut out = Vec::with_capacity(output.output.len() + head.repeated.len() + 512);
    let state = ResponseState {
        status: &status,
        output: &output.output,
        usage: answer.usage.as_ref(),
        service_tier: answer.service_tier.as_deref(),
    };
    head.write(&state, &mut out);
    out
}

/// A writer of the items of one answer.
struct OutputWriter<'d> {
    details: &'d AnswerDetails<'d>,
    /// The elements of the list.
    output: Vec<u8>,
    items: usize,
    /// The parts of the message that is open: the elements of a list.
    message: Vec<u8>,
}

impl OutputWriter<'_> {
    fn choice(&mut self, choice: &NeutralChoice<'_>, status: ResponseStatus<'_>) {
        let mut logprobs = choice.logprobs;
        for part in &choice.parts {
            self.part(part, &mut logprobs);
        }
        let is_cut = matches!(status, ResponseStatus::Incomplete(_));
        self.end_message(if is_cut { "incomplete" } else { "completed" });
    }

    fn part(&mut self, part: &Part<'_>, logprobs: &mut Option<&RawValue>) {
        match &part.body {
            PartBody::Text { text, citations } => {
                let mut annotations = Vec::new();
                if let Some(citations) = citations {
                    citation::write_each(citations, text, &mut |annotation| {
                        push_elements(&mut annotations, annotation);
                    });
                }
                let logprobs = logprobs.take().map(logprob_elements).unwrap_or_default();
                self.say(&MessagePart { text, wording: Wording::Text, annotations: &annotations, logprobs: &logprobs });
            }
            PartBody::Refusal(text) => {
                self.say(&MessagePart { text, wording: Wording::Refusal, annotations: &[], logprobs: &[] });
            }
            PartBody::Thinking(thought) => self.thought(thought),
            PartBody::ToolCall(call) => self.call(call, part),
            PartBody::Native { raw, .. } => {
                let id = self.item_id("ws");
                let mut item = Vec::new();
                if write_search(&id, raw, &mut item) {
                    self.end_message("completed");
                    self.element().extend_from_slice(&item);
                }
            }
            PartBody::Image(_)
            | PartBody::Document(_)
            | PartBody::Audio(_)
            | PartBody::Video(_)
            | PartBody::ToolResult(_) => {}
        }
    }

    fn say(&mut self, part: &MessagePart<'_>) {
        if !self.message.is_empty() {
            self.message.push(b',');
        }
        part.write(&mut self.message);
    }

    fn end_message(&mut self, status: &str) {
        if self.message.is_empty() {
            return;
        }
        let content = std::mem::take(&mut self.message);
        let id = self.item_id("msg");
        MessageItem { id: &id, status, content: &content }.write(self.element());
    }

    fn thought(&mut self, thought: &Thinking<'_>) {
        self.end_message("completed");
        let id = self.item_id("rs");
        let field = match &thought.sealed {
            Some(sealed) if thought.is_redacted => thoughts::hidden_field(sealed),
            sealed => thoughts::field(sealed.as_ref()),
        };
        let is_summary = thought.is_summary;
        ThoughtItem { id: &id, text: &thought.text, is_summary, field: Some(&field) }.write(self.element());
    }

    fn call(&mut self, call: &ToolCall<'_>, part: &Part<'_>) {
        self.end_message("completed");
        let call_id = if call.id.is_empty() { self.item_id("call") } else { call.id.to_string() };
        if let Some(sealed) = &part.sealed {
            let id = self.item_id("rs");
            write_call_seal(&id, sealed, &call_id, self.element());
        }
        let (form, namespaced) = OutputCallForm::of(&call.name, call.kind, self.details.memo);
        let id = self.item_id(CallItem::id_prefix(&form));
        let item = CallItem { id, call_id, name: call.name.to_string(), namespaced, form };
        item.write(&item.input(&call.arguments), "completed", self.element());
    }

    /// Begins an element of the output.
    fn element(&mut self) -> &mut Vec<u8> {
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        self.items += 1;
        &mut self.output
    }

    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.details.unique, self.items)
    }
}

/// Returns the elements of the list of probabilities, which chat completions have one level below.
pub(super) fn logprob_elements(raw: &RawValue) -> Vec<u8> {
    let list = match Fields::of(raw) {
        Some(fields) => fields.get("content").and_then(json::list),
        None => json::list(raw),
    };
    let elements: Vec<&str> = list.unwrap_or_default().into_iter().map(RawValue::get).collect();
    elements.join(",").into_bytes()
}
