//! Whole answers in the words of Google's API.

use std::borrow::Cow;

use super::thought::NO_SIGNATURE;
use super::{answer_parts, citations, finish, logprobs, part_writer, thought, usage};
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::neutral::{NeutralAnswer, NeutralChoice, Part, PartBody, Stop, StopReason};
use crate::translation::AnswerDetails;

/// Writes a whole answer.
pub(super) fn write(answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut members = ObjectWriter::open(&mut out);
    let mut candidates = ListWriter::open(members.key("candidates"));
    for (index, choice) in answer.choices.iter().enumerate() {
        candidate(choice, index, candidates.next());
    }
    candidates.close();
    if let Some(usage) = &answer.usage {
        usage::write(usage, &mut members);
    }
    if let Some(model) = &answer.model {
        members.text("modelVersion", model);
    }
    members.text("responseId", answer.id.as_deref().unwrap_or(details.unique));
    members.close();
    out
}

fn candidate(choice: &NeutralChoice<'_>, index: usize, out: &mut Vec<u8>) {
    let mut writer = CandidateWriter::default();
    let mut members = ObjectWriter::open(out);
    members.within("content", |members| {
        let mut parts = ListWriter::open(members.key("parts"));
        for part in &choice.parts {
            writer.part(part, &mut parts);
        }
        if parts.is_empty() {
            // Google's SDKs drop a turn whose content has no part.
            answer_parts::text("", None, parts.next());
        }
        parts.close();
        members.text("role", "model");
    });
    let stop = writer.stop(&choice.stop);
    write_stop(&stop, &mut members);
    members.number("index", index as u64);
    let cited = choice.parts.iter().rev().find_map(|part| match &part.body {
        PartBody::Text { citations, .. } => *citations,
        _ => None,
    });
    if let Some(cited) = cited {
        citations::write(cited, &mut members);
    }
    if let Some(raw) = choice.logprobs {
        logprobs::write_google(raw, &mut members);
    }
    members.close();
}

/// Writes a stop as members of a candidate.
pub(super) fn write_stop(stop: &Stop<'_>, members: &mut ObjectWriter<'_>) {
    let (reason, message) = finish::write(stop);
    members.text("finishReason", reason);
    if let Some(message) = message {
        members.text("finishMessage", message);
    }
}

/// A writer of the parts of one answer.
#[derive(Default)]
struct CandidateWriter<'p> {
    /// The seal of the last thought, which clients that drop thoughts keep with the call after it.
    thought_seal: Option<Cow<'p, str>>,
    /// True once a call was written: Google's models sign the first of an answer.
    has_call: bool,
    has_refusal: bool,
    malformed: Option<&'p str>,
}

impl<'p> CandidateWriter<'p> {
    fn part(&mut self, part: &'p Part<'_>, parts: &mut ListWriter<'_>) {
        let own = part.sealed.as_ref().map(answer_parts::signature);
        match &part.body {
            PartBody::Text { text, .. } => answer_parts::text(text, own.as_deref(), parts.next()),
            PartBody::Refusal(text) => {
                self.has_refusal = true;
                answer_parts::text(text, own.as_deref(), parts.next());
            }
            PartBody::Thinking(thinking) => {
                let seal = thought::field(thinking);
                answer_parts::thought(&thinking.text, seal.as_deref(), parts.next());
                self.thought_seal = seal.filter(|_| thinking.sealed.as_ref().is_some_and(thought::is_kept_by_calls));
            }
            PartBody::ToolCall(call) => {
                let seal = own.or_else(|| self.thought_seal.take());
                let seal = seal.or_else(|| (!self.has_call).then_some(Cow::Borrowed(NO_SIGNATURE)));
                self.has_call = true;
                let mut written = Vec::new();
                if answer_parts::call(call, seal.as_deref(), &mut written) {
                    parts.next().extend_from_slice(&written);
                } else {
                    self.malformed = Some(&call.name);
                }
            }
            PartBody::Native { kind, raw } => native(kind, raw.get(), own.as_deref(), parts),
            PartBody::ToolResult(_) => {}
            body => medium(body, parts),
        }
    }

    /// Returns why the answer has ended: a call that is none and a refusal are no clean ends.
    fn stop<'s>(&self, stop: &'s Stop<'_>) -> Stop<'s> {
        let is_clean = matches!(stop.reason, StopReason::EndTurn | StopReason::StopText | StopReason::ToolUse);
        match self.malformed {
            Some(name) if is_clean => answer_parts::malformed_call(name),
            _ if is_clean && self.has_refusal => Stop::of(StopReason::Refusal),
            _ => Stop { reason: stop.reason, detail: stop.detail.as_deref().map(Cow::Borrowed) },
        }
    }
}

/// Writes a part that only Google's API knows; nothing for one of another's.
fn native(kind: &str, raw: &str, signature: Option<&str>, parts: &mut ListWriter<'_>) {
    if !part_writer::is_own_native(kind) {
        return;
    }
    let mut members = ObjectWriter::open(parts.next());
    members.raw(kind, raw);
    if let Some(signature) = signature {
        members.text("thoughtSignature", signature);
    }
    members.close();
}

fn medium(body: &PartBody<'_>, parts: &mut ListWriter<'_>) {
    if let Some(source) = part_writer::source_of(body) {
        let mut members = ObjectWriter::open(parts.next());
        part_writer::write_source(source, &mut members);
        members.close();
    }
}
