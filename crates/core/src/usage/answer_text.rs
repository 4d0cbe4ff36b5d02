//! The text of an answer as its client gets it, for a log: its words, its calls of tools and why it has ended.
//!
//! Reads any of the APIs, whole or as a stream, in chunks that are cut anywhere. Memory is bounded: of the text
//! [`AnswerTextReader::new`]'s `max_bytes`, of a stream one event ([`MAX_EVENT`] at most), of a whole answer its first
//! four times `max_bytes`. Thoughts are no part of the text; of several answers to one request only the first is read.

mod anthropic;
mod cut_json;
mod draft;
mod gemini;
mod openai;
mod responses;

use serde_json::Value;

use self::cut_json::opened;
use self::draft::AnswerDraft;
pub use self::draft::{AnswerText, ToolCallText};
use super::sse::{EventLines, EventPiece};
use super::{AnswerFormat, AnswerFraming};

/// The part of an event that is held; nearly all have a few hundred bytes.
const MAX_EVENT: usize = 64 << 10;

/// The part of a whole answer that is held, in parts of the text that is kept: JSON takes more bytes than the text in it.
const DOCUMENT_PARTS: usize = 4;

/// Reads the text out of one answer.
#[derive(Debug)]
pub struct AnswerTextReader {
    format: AnswerFormat,
    state: ReadingState,
    draft: AnswerDraft,
    /// The event or the document that is open.
    held: HeldBytes,
}

#[derive(Debug)]
enum ReadingState {
    /// Nothing but blanks has come.
    Waiting,
    /// One document.
    Document,
    /// A stream of events.
    Events(EventLines),
    /// Something that is neither, such as what is compressed.
    Unreadable,
}

/// The beginning of something, up to a limit.
#[derive(Debug)]
struct HeldBytes {
    bytes: Vec<u8>,
    limit: usize,
    is_cut: bool,
}

impl AnswerTextReader {
    /// Makes a reader for one answer, of whose text `max_bytes` are kept.
    #[must_use]
    pub fn new(format: AnswerFormat, max_bytes: usize) -> Self {
        let limit = MAX_EVENT.max(max_bytes.saturating_mul(DOCUMENT_PARTS));
        let held = HeldBytes { bytes: Vec::new(), limit, is_cut: false };
        Self { format, state: ReadingState::Waiting, draft: AnswerDraft::new(max_bytes), held }
    }

    /// Reads on.
    pub fn push(&mut self, chunk: &[u8]) {
        if matches!(self.state, ReadingState::Waiting) {
            if AnswerFraming::is_blank(chunk) {
                return;
            }
            self.state = match AnswerFraming::of_beginning(chunk) {
                Some(AnswerFraming::Json) => ReadingState::Document,
                Some(AnswerFraming::Events) => ReadingState::Events(EventLines::default()),
                None => ReadingState::Unreadable,
            };
            if matches!(self.state, ReadingState::Events(_)) {
                self.held.limit = MAX_EVENT;
            }
        }
        let Self { format, state, draft, held } = self;
        match state {
            ReadingState::Document => held.extend(chunk),
            ReadingState::Events(lines) => lines.feed(chunk, |piece| match piece {
                EventPiece::Opened(_) => held.clear(),
                EventPiece::Name(_) => {}
                EventPiece::Data { bytes, .. } => held.extend(bytes),
                EventPiece::Joined => held.extend(b"\n"),
                EventPiece::Ended(_) => read_event(*format, held, draft),
            }),
            ReadingState::Waiting | ReadingState::Unreadable => {}
        }
    }

    /// Returns the bytes of a document that [`Self::finish`] parses.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held.bytes.len()
    }

    /// Returns what has come of a stream so far; of a whole answer nothing is known before its end.
    #[must_use]
    pub const fn so_far(&self) -> &AnswerText {
        self.draft.so_far()
    }

    /// Returns what was read; `None` where nothing of it is an answer of its API.
    #[must_use]
    pub fn finish(mut self) -> Option<AnswerText> {
        match self.state {
            ReadingState::Document => {
                let document = self.held.value()?;
                read_document(self.format, &document, &mut self.draft);
                self.draft.is_truncated |= self.held.is_cut;
            }
            // An event that no empty line ended is none.
            ReadingState::Events(_) => {}
            ReadingState::Waiting | ReadingState::Unreadable => return None,
        }
        self.draft.finish()
    }
}

impl HeldBytes {
    fn clear(&mut self) {
        self.bytes.clear();
        self.is_cut = false;
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        self.is_cut |= room < bytes.len();
    }

    /// Returns the JSON that was held; of one that was cut what came before.
    fn value(&self) -> Option<Value> {
        if self.is_cut { opened(&self.bytes) } else { serde_json::from_slice(&self.bytes).ok() }
    }
}

fn read_event(format: AnswerFormat, held: &HeldBytes, draft: &mut AnswerDraft) {
    let Some(event) = held.value() else { return };
    match format {
        AnswerFormat::OpenAi => openai::read(&event, draft),
        AnswerFormat::Responses => responses::read_event(&event, draft),
        AnswerFormat::Anthropic => anthropic::read_event(&event, draft),
        AnswerFormat::Gemini => gemini::read(&event, draft),
    }
}

fn read_document(format: AnswerFormat, document: &Value, draft: &mut AnswerDraft) {
    match format {
        AnswerFormat::OpenAi => openai::read(document, draft),
        AnswerFormat::Responses => responses::read(document, draft),
        AnswerFormat::Anthropic => anthropic::read(document, draft),
        AnswerFormat::Gemini => match document.as_array() {
            Some(documents) => documents.iter().for_each(|document| gemini::read(document, draft)),
            None => gemini::read(document, draft),
        },
    }
}

#[cfg(test)]
mod tests;
