//! Reads one JSON document as it passes and keeps what accounting needs: the `usage` object, the `type`, the
//! `service_tier`, the `sequence_number`, whether `choices` is empty, whether it is the last one, a sample of the text,
//! and names of state ([`super::state`]).
//!
//! Usage is on the top level (Gemini calls it `usageMetadata`), in `message` and `response`, in a choice (Moonshot), or in
//! `x_groq`; that of the top level counts before the others. Ollama's counts are members of the document itself.
//!
//! A list of documents (Gemini's stream without `alt=sse`) is read as its documents, one after the other.
//!
//! A document is never buffered: an answer of any size costs [`capture::MAX_USAGE`] bytes and a few words of state, wherever in
//! it the chunks are cut. What is no JSON is no error here, it just yields nothing.

mod capture;
mod envelope_id;
mod escape;
mod key;
mod short_string;
mod slots;
mod string;

use serde_json::Value;

#[cfg(test)]
use self::capture::MAX_USAGE;
use self::capture::UsageCapture;
use self::envelope_id::EnvelopeId;
pub(super) use self::escape::StringEscape;
use self::key::{ScannedKey, StringPurpose, TopNumber};
use self::short_string::ShortString;
pub(super) use self::slots::{DocumentSlots, SlotKind};
use super::ServiceTier;
use super::sample::AnswerSample;
use super::state::{AnswerNames, StateKey};

/// The characters that JSON's structure is made of, and the one that opens a string.
static STRUCTURAL: [bool; 256] = {
    let mut table = [false; 256];
    let characters = b"\"{}[]:,";
    let mut index = 0;
    while index < characters.len() {
        table[characters[index] as usize] = true;
        index += 1;
    }
    table
};

/// The state of reading one document.
#[derive(Debug, Default)]
pub(super) struct DocumentScan {
    text_keys: &'static [&'static str],
    depth: u32,
    string: Option<StringPurpose>,
    escape: StringEscape,
    name: ShortString,
    /// The key whose value comes next; `None` where a name may come.
    key: Option<ScannedKey>,
    /// The key on the first level that leads here.
    outer: Option<ScannedKey>,
    capture: Option<UsageCapture>,
    captured: Vec<u8>,
    usage: Option<Value>,
    usage_is_outer: bool,
    kind: ShortString,
    tier: Option<ServiceTier>,
    /// The numbers of the top level, by [`TopNumber`].
    numbers: [Option<u64>; 3],
    choices: ChoicesState,
    /// True when the top level has more than an event with the usage alone has: an error, a text, an object.
    has_more: bool,
    opened: bool,
    /// True while a list of documents is open.
    listed: bool,
    alien: bool,
    /// True when the document says that it is the last one: Ollama's `done`, the `finishReason` of Gemini's candidates.
    is_last: bool,
    /// True when the document is of Gemini's: it has `candidates`.
    has_candidates: bool,
    envelope_id: EnvelopeId,
    /// The depth within a list of sealed parts.
    sealed_list: Option<u32>,
    /// The names of state that were met; those of all documents of an answer.
    names: AnswerNames,
    /// The parts that may be others in the next document, if this one comes in one piece.
    slots: DocumentSlots,
}

/// The state of the top-level `choices`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ChoicesState {
    /// The key was not seen.
    #[default]
    Absent,
    /// An array whose first element or end is still to come.
    Opened,
    /// The array is empty.
    Empty,
    /// The array has an element.
    Filled,
}

impl DocumentScan {
    pub(super) fn new(text_keys: &'static [&'static str]) -> Self {
        Self { text_keys, ..Self::default() }
    }

    /// Starts a new document.
    pub(super) fn reset(&mut self) {
        // Field by field: an event has a few hundred bytes, and the whole state is as large.
        let Self { depth, string, escape, name, key, outer, capture, usage, usage_is_outer, kind, .. } = self;
        (*depth, *string, *escape, *key, *outer) = (0, None, StringEscape::None, None, None);
        (*capture, *usage, *usage_is_outer) = (None, None, false);
        name.clear();
        kind.clear();
        self.captured.clear();
        let Self { tier, numbers, choices, has_more, opened, listed, alien, is_last, has_candidates, .. } = self;
        (*tier, *numbers, *choices) = (None, [None; 3], ChoicesState::Absent);
        (*has_more, *opened, *listed, *alien) = (false, false, false, false);
        (*is_last, *has_candidates, self.sealed_list) = (false, false, None);
        self.envelope_id.abandon();
        self.slots.clear();
    }

    /// Returns the names of state that were met.
    pub(super) fn names_mut(&mut self) -> &mut AnswerNames {
        &mut self.names
    }

    /// Reads on.
    pub(super) fn feed(&mut self, bytes: &[u8], text: &mut AnswerSample) {
        let mut at = 0;
        while at < bytes.len() {
            let (capture, rest) = (self.capture, &bytes[at..]);
            let consumed = match self.string {
                Some(purpose) => {
                    let consumed = self.quoted(purpose, rest, text);
                    if self.string.is_none() {
                        self.slots.close(purpose, at + consumed - 1); // without the quote
                    }
                    consumed
                }
                None => {
                    if self.key == Some(ScannedKey::Number(TopNumber::Sequence)) {
                        self.slots.number(rest, at);
                    }
                    let consumed = self.structure(rest);
                    self.slots.open(at + consumed);
                    consumed
                }
            };
            if let Some(capture) = capture {
                self.capture_piece(capture, &rest[..consumed]);
            }
            at += consumed;
        }
    }

    /// Returns the service tier that the document names.
    pub(super) fn tier(&self) -> Option<ServiceTier> {
        self.tier
    }

    /// Returns the last `usage` object that was complete.
    pub(super) fn usage(&self) -> Option<&Value> {
        self.usage.as_ref()
    }

    #[cfg(test)]
    fn choices(&self) -> ChoicesState {
        self.choices
    }

    /// Returns whether the document's top-level `type` is `kind`.
    pub(super) fn is_kind(&self, kind: &str) -> bool {
        self.kind.is(kind)
    }

    /// Returns the document's top-level `sequence_number`.
    pub(super) fn sequence(&self) -> Option<u64> {
        self.numbers[TopNumber::Sequence as usize]
    }

    /// Returns Ollama's counts: the document's top-level `prompt_eval_count` and `eval_count`.
    pub(super) fn eval_counts(&self) -> [Option<u64>; 2] {
        [TopNumber::PromptEval, TopNumber::Eval].map(|number| self.numbers[number as usize])
    }

    /// Returns whether the document has a `usage`, no choice, and nothing else that a client may wait for.
    pub(super) fn is_usage_alone(&self) -> bool {
        let has_none = match self.choices {
            ChoicesState::Empty => true,
            ChoicesState::Absent => !self.has_more,
            ChoicesState::Opened | ChoicesState::Filled => false,
        };
        self.is_complete() && has_none && self.usage.is_some()
    }

    /// Returns whether the document says that it is the last one.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Returns whether the document is of Gemini's.
    pub(super) fn has_candidates(&self) -> bool {
        self.has_candidates
    }

    /// Returns the id of the first message or response that documents were about; empty where none has one.
    pub(super) fn envelope_id(&self) -> &str {
        self.envelope_id.text()
    }

    /// Returns whether the document was an object, or a list of them, and is over.
    pub(super) fn is_complete(&self) -> bool {
        self.opened && self.depth == 0 && !self.alien && !self.listed
    }

    /// Returns the parts that may be others in a document that is like this one otherwise, and leads to the same outcome
    /// but for its text and its number; `None` where no other does.
    pub(super) fn slots(&self) -> Option<&DocumentSlots> {
        let counts = self.captured.is_empty() && self.eval_counts() == [None; 2];
        (counts && self.is_complete() && !self.is_last).then_some(&self.slots)
    }

    /// Reads up to the next string or the event's number, or, while a `usage` is kept, up to the next structural
    /// character.
    fn structure(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && self.string.is_none() {
            at += self.punctuation(&bytes[at..]);
            if self.capture.is_some() || self.key == Some(ScannedKey::Number(TopNumber::Sequence)) {
                break;
            }
        }
        at
    }

    /// Reads up to the next structural character.
    fn punctuation(&mut self, bytes: &[u8]) -> usize {
        let end = bytes.iter().position(|byte| STRUCTURAL[usize::from(*byte)]);
        let run = &bytes[..end.unwrap_or(bytes.len())];
        let byte = end.map(|end| bytes[end]);
        if self.depth == 0 {
            let blank = is_blank(run);
            let at = run.len() + usize::from(byte.is_some());
            if self.steps_in_list(byte) {
                self.alien |= !blank;
                return at;
            }
            self.alien |= !blank || byte.is_some_and(|byte| byte != b'{' || self.opened && !self.listed);
        }
        if self.choices == ChoicesState::Opened && (byte.is_some() || !is_blank(run)) {
            let is_empty = byte == Some(b']') && is_blank(run);
            self.choices = if is_empty { ChoicesState::Empty } else { ChoicesState::Filled };
        }
        match self.key {
            Some(ScannedKey::Number(number)) => self.count(number, run),
            Some(ScannedKey::Done) => self.is_last |= run.contains(&b't'), // of `true`, wherever it is cut
            _ => {}
        }
        if let Some(byte) = byte {
            self.step(byte);
        }
        run.len() + usize::from(byte.is_some())
    }

    /// Takes what separates the documents of a list; returns whether `byte` does.
    fn steps_in_list(&mut self, byte: Option<u8>) -> bool {
        match byte {
            Some(b'[') if !self.opened => (self.opened, self.listed) = (true, true),
            Some(b']') if self.listed => self.listed = false,
            Some(b',') if self.listed => {}
            _ => return false,
        }
        true
    }

    /// Reads on in a number.
    fn count(&mut self, number: TopNumber, digits: &[u8]) {
        let number = &mut self.numbers[number as usize];
        *number = counted(*number, digits);
    }

    fn step(&mut self, byte: u8) {
        match byte {
            b'"' => self.open_string(),
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.sealed_list = self.sealed_list.filter(|list| self.depth >= *list);
                self.key = None;
            }
            b':' => {
                self.key = Some(self.classify());
                if self.depth == 1 {
                    self.outer = self.key;
                    self.has_candidates |= self.key == Some(ScannedKey::Candidates);
                }
                if self.depth == 2 && self.outer == Some(ScannedKey::Envelope) && self.name.is("id") {
                    self.envelope_id.expect();
                }
                if let Some(ScannedKey::Number(number)) = self.key {
                    self.numbers[number as usize] = None;
                }
            }
            _ => self.key = None,
        }
    }

    fn open(&mut self, byte: u8) {
        self.opened = true;
        let is_usual = matches!(self.key, None | Some(ScannedKey::Usage | ScannedKey::Choices | ScannedKey::Groq));
        self.has_more |= self.depth == 1 && !is_usual;
        self.depth = self.depth.saturating_add(1);
        match self.key.take() {
            Some(ScannedKey::Usage) if byte == b'{' && self.capture.is_none() => {
                let is_outer = self.outer != Some(ScannedKey::Choices) && self.outer != Some(ScannedKey::Groq);
                self.capture = Some(UsageCapture { depth: self.depth, is_outer });
                self.captured.clear();
                self.captured.push(byte);
            }
            Some(ScannedKey::State(StateKey::SealedList)) => self.sealed_list = self.sealed_list.or(Some(self.depth)),
            Some(ScannedKey::Choices) => {
                self.choices = if byte == b'[' { ChoicesState::Opened } else { ChoicesState::Filled };
            }
            _ => {}
        }
    }
}

/// Returns a number of which `before` had come, with more digits.
pub(super) fn counted(before: Option<u64>, digits: &[u8]) -> Option<u64> {
    let digits = digits.iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(before, |number, digit| {
        Some(number.unwrap_or_default().saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

fn is_blank(run: &[u8]) -> bool {
    run.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests;
