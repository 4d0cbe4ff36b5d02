//! Token usage out of answers as they pass, without keeping them.
//!
//! A [`UsageReader`] is fed an answer's chunks, cut anywhere, and knows afterwards what the upstream said it used,
//! whether the answer ended as its API says, and enough of its text to estimate what the upstream did not say. Events
//! and whole JSON answers go through the same scanner, which keeps the `usage` object (4 KiB at most) and a sample of
//! the text (8 KiB at most), never an event or an answer: those of the responses API repeat the whole output.
//!
//! A [`UsageFilter`] passes the bytes on, without the usage event that only Pointsman asked for. An [`AnswerTextReader`]
//! keeps the text itself, bounded, of the few answers that are logged.
//!
//! Pure: the caller has the clock and the socket. What an upstream sends is not trusted here; nonsense is no usage.

mod answer_text;
mod anthropic;
mod bill;
mod billed;
mod bounds;
mod counts;
mod events;
mod filter;
mod framing;
mod gemini;
mod logprobs;
mod openai;
mod opening;
mod responses;
mod sample;
mod scan;
mod sse;
mod state;
mod template;

use serde_json::Value;

pub use self::answer_text::{AnswerText, AnswerTextReader, ToolCallText};
pub use self::bill::{ServiceTier, Usage};
pub use self::bounds::UsageBounds;
use self::counts::ReportedCounts;
use self::events::EventVerdict;
pub use self::filter::{UsageEvent, UsageFilter};
pub use self::framing::AnswerFraming;
pub use self::logprobs::LogprobFilter;
pub use self::opening::{AnswerError, AnswerOpening, OpeningVerdict};
use self::responses::BrokenResponse;
use self::sample::AnswerSample;
use self::scan::DocumentScan;
use self::sse::EventLines;
use self::state::AnswerNames;
pub use self::state::StateScope;
use self::template::{EventTemplate, RepeatedEvent};
use crate::features::TokenCounter;
use crate::prompt::Dialect;
use crate::prompt::state::StateName;

/// The form in which an API writes its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFormat {
    /// OpenAI's chat completions, completions and embeddings.
    OpenAi,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Anthropic,
    /// Google's contents.
    Gemini,
}

/// Reads the usage out of one answer.
#[derive(Debug)]
pub struct UsageReader {
    framing: AnswerFraming,
    lines: EventLines,
    /// The newest event that the next may be like.
    template: EventTemplate,
    state: AnswerState,
}

#[derive(Debug)]
struct AnswerState {
    shape: AnswerFormat,
    scan: DocumentScan,
    text: AnswerSample,
    counts: ReportedCounts,
    /// The newest service tier that events named.
    tier: Option<ServiceTier>,
    /// The number of the newest event, where the API numbers them.
    sequence: Option<u64>,
    /// The number of bytes of `[DONE]` that the current event's data is; `None` once it is something else.
    done: Option<usize>,
    /// True once an event was of Gemini's.
    is_gemini: bool,
    ended: bool,
}

impl AnswerFormat {
    /// Returns the shape of the answers to requests for `path`.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        match Dialect::of_path(path) {
            Some(dialect) if dialect.is_anthropic() => Self::Anthropic,
            Some(dialect) if dialect.is_responses() => Self::Responses,
            Some(dialect) if dialect.is_google() => Self::Gemini,
            Some(_) => Self::OpenAi,
            None => Self::of_last_segment(path),
        }
    }

    /// Guesses the shape on a path of an unknown API.
    fn of_last_segment(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("messages") => Self::Anthropic,
            Some("responses") => Self::Responses,
            _ => Self::OpenAi,
        }
    }

    const fn text_keys(self, framing: AnswerFraming) -> &'static [&'static str] {
        match (self, framing) {
            (Self::OpenAi, _) => openai::TEXT,
            (Self::Responses, AnswerFraming::Json) => responses::TEXT,
            (Self::Responses, AnswerFraming::Events) => responses::TEXT_IN_STREAM,
            (Self::Anthropic, _) => anthropic::TEXT,
            (Self::Gemini, _) => gemini::TEXT,
        }
    }

    fn counts(self, usage: &Value) -> ReportedCounts {
        match self {
            Self::OpenAi | Self::Responses => openai::counts(usage),
            Self::Anthropic => anthropic::counts(usage),
            Self::Gemini => gemini::counts(usage),
        }
    }
}

impl UsageReader {
    /// Makes a reader for one answer.
    #[must_use]
    pub fn new(shape: AnswerFormat, framing: AnswerFraming) -> Self {
        let state = AnswerState {
            shape,
            scan: DocumentScan::new(shape.text_keys(framing)),
            text: AnswerSample::default(),
            counts: ReportedCounts::default(),
            tier: None,
            sequence: None,
            done: None,
            is_gemini: false,
            ended: false,
        };
        Self { framing, lines: EventLines::default(), template: EventTemplate::default(), state }
    }

    /// Looks for names of state too, in answers of this scope.
    pub fn look_for_names(&mut self, scope: StateScope) {
        *self.state.scan.names_mut() = AnswerNames::new(scope);
    }

    /// Takes the names of state that were found since the last call.
    pub fn take_names(&mut self) -> Vec<StateName> {
        self.state.scan.names_mut().take()
    }

    /// Reads on.
    pub fn push(&mut self, chunk: &[u8]) {
        self.read(chunk, |_| {});
    }

    /// Returns whether the answer came to the end that its API says: a whole JSON object, `[DONE]`, `message_stop`,
    /// `response.completed`, Gemini's `finishReason` and the like.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self.framing {
            AnswerFraming::Json => self.state.scan.is_complete(),
            AnswerFraming::Events => self.state.ended,
        }
    }

    /// Returns whether nothing is to follow that a client waits for: a stream, of events or of lines, that came to its
    /// end.
    #[must_use]
    pub fn is_last_word(&self) -> bool {
        match self.framing {
            // A list of Google's documents ends after its last one.
            AnswerFraming::Json if self.state.shape == AnswerFormat::Gemini => {
                self.state.scan.is_last() && self.state.scan.is_complete()
            }
            AnswerFraming::Json => self.state.scan.is_last(),
            AnswerFraming::Events => self.state.ended,
        }
    }

    /// Returns how many bytes of generated text passed.
    #[must_use]
    pub fn text_bytes(&self) -> u64 {
        self.state.text.bytes()
    }

    /// Returns what the answer of a model of which nothing is known used; as [`UsageReader::usage_within`].
    #[must_use]
    pub fn usage(&self, prompt_tokens: impl FnOnce() -> u64, counter: &TokenCounter) -> Option<Usage> {
        self.usage_within(&UsageBounds::UNKNOWN_MODEL, prompt_tokens, counter)
    }

    /// Returns what the answer used; `None` if it neither said so nor had any text. Of what it said beyond `bounds`
    /// nothing is believed, as if it had not been said; nor an output that its text is too long for.
    ///
    /// What the upstream did not say is estimated: the input as `prompt_tokens`, which is not asked otherwise, the
    /// output by counting the text's tokens (all of a short text, a sample of a long one), which takes under a
    /// millisecond.
    #[must_use]
    pub fn usage_within(
        &self,
        bounds: &UsageBounds,
        prompt_tokens: impl FnOnce() -> u64,
        counter: &TokenCounter,
    ) -> Option<Usage> {
        let said = self.counts();
        if said == ReportedCounts::default() && self.state.text.bytes() == 0 {
            return None;
        }
        let is_beyond = !bounds.allow(&said);
        let counts = if is_beyond { ReportedCounts::default() } else { said };
        let has_more = counts.output.is_some_and(|output| bounds::has_more_text(self.state.text.bytes(), output));
        let counts = if has_more { counts.without_output() } else { counts };
        let usage = Usage {
            input: counts.input.unwrap_or_else(prompt_tokens),
            output: counts.output.unwrap_or_else(|| self.state.text.tokens(counter)),
            estimated: self.is_estimated(&counts),
            disbelieved: is_beyond || has_more,
            ..Usage::of_parts(&counts)
        };
        Some(usage.consistent())
    }

    /// An answer that names its input only has none to estimate: embeddings have no output.
    fn is_estimated(&self, counts: &ReportedCounts) -> bool {
        let ReportedCounts { input, output, .. } = counts;
        input.is_none() || (output.is_none() && self.state.text.bytes() > 0)
    }

    /// Returns the counts of the last `usage` of a whole document, or of all events of a stream together.
    fn counts(&self) -> ReportedCounts {
        let AnswerState { shape, scan, counts, tier, .. } = &self.state;
        let (said, tier) = match self.framing {
            AnswerFraming::Json => (self.state.said().unwrap_or_default(), scan.tier()),
            AnswerFraming::Events => (*counts, *tier),
        };
        if said == ReportedCounts::default() {
            return said;
        }
        ReportedCounts { tier: said.tier.or(tier), ..said }.summed(*shape)
    }

    fn has_usage_events(&self) -> bool {
        self.framing == AnswerFraming::Events && self.state.shape == AnswerFormat::OpenAi
    }
}

impl AnswerState {
    fn data(&mut self, bytes: &[u8]) {
        let rest = self.done.map(|matched| &openai::DONE[matched..]);
        self.done =
            rest.and_then(|rest| rest.starts_with(bytes).then(|| openai::DONE.len() - rest.len() + bytes.len()));
        self.feed(bytes);
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.scan.feed(bytes, &mut self.text);
    }

    /// Returns the event that tells a client its stream broke, as this API writes it.
    fn error_event(&self, code: &str, message: &str) -> String {
        match self.shape {
            AnswerFormat::Gemini => gemini::error_event(code, message),
            AnswerFormat::OpenAi if self.is_gemini => gemini::error_event(code, message),
            AnswerFormat::OpenAi => openai::error_event(code, message),
            AnswerFormat::Responses => {
                let sequence = self.sequence.map_or(0, |newest| newest.saturating_add(1));
                responses::error_event(code, message, &BrokenResponse { id: self.scan.envelope_id(), sequence })
            }
            AnswerFormat::Anthropic => anthropic::error_event(code, message),
        }
    }

    fn verdict(&self) -> EventVerdict {
        if self.scan.is_usage_alone() && self.shape == AnswerFormat::OpenAi {
            EventVerdict::Usage
        } else {
            EventVerdict::Other
        }
    }

    fn end_event(&mut self) {
        self.ended |= match self.shape {
            // Gemini and Ollama have their own last words, on paths of their own.
            AnswerFormat::OpenAi => self.done == Some(openai::DONE.len()) || self.scan.is_last(),
            AnswerFormat::Responses => responses::ENDS.iter().any(|kind| self.scan.is_kind(kind)),
            AnswerFormat::Anthropic => self.scan.is_kind(anthropic::END),
            // A prompt that was blocked has no candidates.
            AnswerFormat::Gemini => {
                let is_blocked = || !self.scan.has_candidates() && self.scan.usage().is_some();
                self.scan.is_complete() && (self.scan.is_last() || is_blocked())
            }
        };
        self.is_gemini |= self.scan.has_candidates();
        self.sequence = self.scan.sequence().or(self.sequence);
        self.tier = self.scan.tier().or(self.tier);
        self.add_usage();
    }

    /// Takes an event that is like one before.
    fn repeat(&mut self, event: &RepeatedEvent) {
        self.sequence = event.sequence.or(self.sequence);
        self.tier = event.tier.or(self.tier);
    }

    /// Returns what the document at hand says: in its usage, or where Ollama says it.
    fn said(&self) -> Option<ReportedCounts> {
        let [input, output] = self.scan.eval_counts();
        let evaluated = input.or(output).map(|_| ReportedCounts { input, output, ..ReportedCounts::default() });
        self.scan.usage().map(|usage| self.shape.counts(usage)).or(evaluated)
    }

    /// Adds the usage of the event at hand, field by field; the newest number counts, as streams count up.
    fn add_usage(&mut self) {
        let Some(mut counts) = self.said() else { return };
        if self.shape == AnswerFormat::Anthropic && self.scan.is_kind(anthropic::START) {
            counts.output = None;
        }
        self.counts = counts.over(self.counts);
    }
}

#[cfg(test)]
mod tests;
