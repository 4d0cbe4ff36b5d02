//! Streams of Google's: each event is an answer with more of its parts.
//!
//! Nothing marks a stream's end but the reason that every answer in it gives. Where the counts came with it the end is
//! there; else they may come in one more event, and the end is that of the connection.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::wire::{AnswerForm, CandidateForm, FunctionCallForm, PartForm};
use super::{answer_reader, error, finish, function_name, logprobs, usage};
use crate::conversion::cited_page;
use crate::events::ServerEvent;
use crate::json::Text;
use crate::loss::Field;
use crate::neutral::{CallKind, PartDelta, PartKind, Stop, StopReason, StreamEvent};
use crate::translation::EventReader;

/// The kinds of parts that go on over events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PieceKind {
    Text,
    Thinking,
}

/// One of the answers of a stream.
struct ChoiceState {
    index: u64,
    open: Option<(usize, PieceKind)>,
    has_calls: bool,
    has_stopped: bool,
}

/// A reader of one stream.
#[derive(Default)]
pub(super) struct GeminiEventReader {
    choices: Vec<ChoiceState>,
    parts: usize,
    state: StreamProgress,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum StreamProgress {
    #[default]
    Fresh,
    Begun,
    /// Every answer has ended, and the counts have not come.
    Stopped,
    Over,
}

/// The taker of the events.
type EventSink<'f> = dyn FnMut(StreamEvent<'_>) + 'f;

impl EventReader for GeminiEventReader {
    fn read(&mut self, event: ServerEvent<'_>, found: &mut EventSink<'_>) {
        let Ok(form) = serde_json::from_str::<AnswerForm<'_>>(event.data) else { return };
        if self.state == StreamProgress::Over {
            return;
        }
        if form.error.is_some() {
            self.state = StreamProgress::Over;
            found(StreamEvent::Failed(error::read(0, event.data.as_bytes())));
            return;
        }
        self.answer(form, found);
    }

    fn finish(&mut self, found: &mut EventSink<'_>) {
        if self.state == StreamProgress::Stopped {
            self.state = StreamProgress::Over;
            found(StreamEvent::End);
        }
    }
}

impl GeminiEventReader {
    fn answer(&mut self, form: AnswerForm<'_>, found: &mut EventSink<'_>) {
        let usage = form.usage_metadata.as_ref().map(usage::read);
        if self.state == StreamProgress::Fresh {
            self.state = StreamProgress::Begun;
            let id = form.response_id.map(|id| id.0);
            let model = form.model_version.map(|model| model.0);
            found(StreamEvent::Begin { id, model, created: None, usage });
        }
        let candidates = form.candidates.unwrap_or_default();
        if let (true, Some(feedback)) = (candidates.is_empty(), form.prompt_feedback)
            && feedback.block_reason.is_some()
        {
            let at = self.choice(0);
            self.choices[at].has_stopped = true;
            found(StreamEvent::Stop { choice: 0, stop: answer_reader::blocked(feedback) });
        }
        for (place, candidate) in candidates.into_iter().enumerate() {
            let at = self.choice(candidate.index.unwrap_or(place as u64));
            self.candidate(at, candidate, found);
        }
        let has_stopped = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.has_stopped);
        if has_stopped {
            self.state = StreamProgress::Stopped;
            if let Some(usage) = usage {
                self.state = StreamProgress::Over;
                found(StreamEvent::Usage(usage));
                found(StreamEvent::End);
            }
        }
    }

    fn choice(&mut self, index: u64) -> usize {
        let known = self.choices.iter().position(|choice| choice.index == index);
        known.unwrap_or_else(|| {
            self.choices.push(ChoiceState { index, open: None, has_calls: false, has_stopped: false });
            self.choices.len() - 1
        })
    }

    fn candidate(&mut self, at: usize, candidate: CandidateForm<'_>, found: &mut EventSink<'_>) {
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.part(at, part, found);
        }
        self.notes(at, &candidate.logprobs_result, candidate.grounding_metadata.or(candidate.citation_metadata), found);
        let Some(Text(reason)) = candidate.finish_reason else { return };
        if self.choices[at].has_stopped {
            return;
        }
        self.close(at, found);
        let choice = &mut self.choices[at];
        choice.has_stopped = true;
        let mut stop: Stop<'_> = finish::read(&reason, candidate.finish_message.map(|message| message.0));
        if choice.has_calls && stop.reason == StopReason::EndTurn {
            stop.reason = StopReason::ToolUse;
        }
        found(StreamEvent::Stop { choice: choice.index, stop });
    }

    /// Gives what is said about the text so far.
    fn notes(
        &mut self,
        at: usize,
        probabilities: &Option<&RawValue>,
        cited: Option<&RawValue>,
        found: &mut EventSink<'_>,
    ) {
        let Some((part, PieceKind::Text)) = self.choices[at].open else {
            if cited.is_some_and(cited_page::is_any) {
                found(StreamEvent::Unplaced(Field::Citations));
            }
            return;
        };
        if let Some(raw) = cited {
            found(StreamEvent::Delta { part, delta: PartDelta::Citation(raw) });
        }
        let open = probabilities.and_then(logprobs::to_open);
        if let Some(raw) = open.as_deref().and_then(|open| serde_json::from_slice::<&RawValue>(open).ok()) {
            found(StreamEvent::Delta { part, delta: PartDelta::Logprobs(raw) });
        }
    }

    fn part(&mut self, at: usize, form: PartForm<'_>, found: &mut EventSink<'_>) {
        let native = form.native();
        let signature = form.thought_signature;
        if let Some(Text(text)) = form.text {
            let is_thought = form.thought == Some(true) || (text.is_empty() && signature.is_some());
            let kind = if is_thought { PieceKind::Thinking } else { PieceKind::Text };
            if !text.is_empty() || signature.is_some() {
                self.text(at, kind, StreamedText { text, signature }, found);
            }
            return;
        }
        let kind = if let Some(call) = form.function_call {
            self.choices[at].has_calls = true;
            self.call(at, call, signature, found);
            return;
        } else if let Some(raw) = form.inline_data {
            PartKind::Native { kind: Cow::Borrowed("inlineData"), raw }
        } else if let Some(raw) = form.file_data {
            PartKind::Native { kind: Cow::Borrowed("fileData"), raw }
        } else if let Some((kind, raw)) = native {
            PartKind::Native { kind: Cow::Borrowed(kind), raw }
        } else {
            return;
        };
        let part = self.open(at, kind, found);
        seal(part, signature, found);
        found(StreamEvent::Close { part });
    }

    fn text(&mut self, at: usize, kind: PieceKind, piece: StreamedText<'_>, found: &mut EventSink<'_>) {
        let part = match self.choices[at].open {
            Some((part, open)) if open == kind => part,
            _ => {
                let part_kind = match kind {
                    PieceKind::Text => PartKind::Text,
                    PieceKind::Thinking => PartKind::Thinking { is_summary: true, is_redacted: false },
                };
                let part = self.open(at, part_kind, found);
                self.choices[at].open = Some((part, kind));
                part
            }
        };
        if !piece.text.is_empty() {
            found(StreamEvent::Delta { part, delta: PartDelta::Text(piece.text) });
        }
        seal(part, piece.signature, found);
    }

    /// Gives a call. Its seal comes before its arguments: some clients keep it in a part before the call.
    fn call(&mut self, at: usize, call: FunctionCallForm<'_>, signature: Option<Text<'_>>, found: &mut EventSink<'_>) {
        let kind = PartKind::ToolCall {
            id: call.id.map(|id| id.0).unwrap_or_default(),
            name: call.name.map(|name| function_name::original(name.0)).unwrap_or_default(),
            kind: CallKind::Function,
        };
        let part = self.open(at, kind, found);
        seal(part, signature, found);
        let arguments = Cow::Borrowed(call.args.map_or("{}", |args| args.get()));
        found(StreamEvent::Delta { part, delta: PartDelta::Arguments(arguments) });
        found(StreamEvent::Close { part });
    }

    /// Opens a part, after the one that is open.
    fn open(&mut self, at: usize, kind: PartKind<'_>, found: &mut EventSink<'_>) -> usize {
        self.close(at, found);
        let part = self.parts;
        self.parts += 1;
        found(StreamEvent::Open { part, choice: self.choices[at].index, kind });
        part
    }

    fn close(&mut self, at: usize, found: &mut EventSink<'_>) {
        if let Some((part, _)) = self.choices[at].open.take() {
            found(StreamEvent::Close { part });
        }
    }
}

/// A piece of a text.
struct StreamedText<'b> {
    text: Cow<'b, str>,
    signature: Option<Text<'b>>,
}

fn seal(part: usize, signature: Option<Text<'_>>, found: &mut EventSink<'_>) {
    if let Some(signature) = signature {
        found(StreamEvent::Delta { part, delta: PartDelta::Sealed(answer_reader::seal(signature)) });
    }
}
