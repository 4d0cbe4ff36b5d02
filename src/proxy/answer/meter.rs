//! The meter of an answer: measures the answer while it passes, and ends a stream that the upstream cut in the stream's
//! own shape.
//!
//! Nothing waits here: a chunk leaves as it came, see [`UsageFilter`] for the one exception. The opening is read here
//! too, and held back by `attempt`. On a path whose requests are read, the first bytes of an answer say whether it is a
//! stream or JSON where its header does not, or is wrong.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use pingora::http::ResponseHeader;
use pointsman_core::prompt::Dialect;
use pointsman_core::prompt::state::{StateKind, StateName};
use pointsman_core::usage::{
    AnswerFormat, AnswerFraming, AnswerOpening, OpeningVerdict, StateScope, UsageEvent, UsageFilter, UsageReader,
};
use pointsman_telemetry::ChunkGaps;
use tokio::time::Instant;

use super::encoded::EncodedAnswer;
use super::list_place::ListPlace;
use super::rejection::{AnswerShape, Rejection};
use crate::proxy::attempt::withheld::LONGEST_HOLD;

/// The types of JSON: one document, or one in each line (Ollama).
const JSON: [&str; 5] =
    ["application/json", "application/x-json", "application/x-ndjson", "application/ndjson", "application/jsonl"];

/// The types beside `text/` that JSON and event streams come as, too.
const VAGUE: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

/// The measures of one successful answer, taken while it passes.
pub(in crate::proxy) struct AnswerMeter {
    /// Reads the body; absent when it is compressed, or neither JSON nor a stream of events.
    filter: Option<UsageFilter>,
    /// Reads a compressed body, where its tokens must be known all the same.
    encoded: Option<EncodedAnswer>,
    framing: Option<AnswerFraming>,
    /// The place that a stream has come to which is a list of documents (Google, without `alt=sse`).
    list: Option<ListPlace>,
    /// The purpose of the first bytes, which are still to come and prove the framing.
    beginning: Option<AnswerBeginning>,
    /// Reads the opening, until it is known whether an answer follows.
    opening: Option<OpeningReader>,
    /// The first name of a response that came.
    response: Option<StateName>,
    /// The moment in which the answer's header came.
    began: Instant,
    first: Option<Instant>,
    last: Option<Instant>,
    /// The moment in which the first words of a stream came.
    words: Option<Instant>,
    /// Where the times between chunks are noted, once there were two.
    gaps: Option<ChunkGaps>,
}

/// The making of a reader for an answer whose framing its first bytes prove.
#[derive(Clone, Copy)]
struct AnswerBeginning {
    format: AnswerFormat,
    event: UsageEvent,
    scope: Option<StateScope>,
}

/// The reader of an opening.
enum OpeningReader {
    /// One for the framing of the answer.
    Framed(AnswerOpening),
    /// None, since nothing says the framing.
    Unframed,
}

impl AnswerBeginning {
    fn filter(self, framing: AnswerFraming) -> UsageFilter {
        let mut filter = UsageFilter::new(UsageReader::new(self.format, framing), self.event);
        if let Some(scope) = self.scope {
            filter.look_for_names(scope);
        }
        filter
    }

    /// Returns whether bytes may be removed, so that the answer's length is not known beforehand.
    fn may_shorten(self) -> bool {
        self.event == UsageEvent::Remove
    }
}

impl AnswerMeter {
    /// Begins to measure a successful answer to a request for `path`; returns `None` for any other.
    pub(in crate::proxy) fn begin(
        answer: &mut ResponseHeader,
        path: &str,
        event: UsageEvent,
        scope: StateScope,
    ) -> Option<Self> {
        if !answer.status.is_success() {
            return None;
        }
        let wanted = AnswerBeginning { format: AnswerFormat::of_path(path), event, scope: Some(scope) };
        let mut meter = Self::new(&answer.headers, wanted);
        if answer.status == StatusCode::NO_CONTENT || Dialect::of_path(path).is_none() {
            meter.beginning = None;
        }
        let may_shorten = meter.filter.as_ref().is_some_and(UsageFilter::may_shorten);
        if may_shorten || meter.beginning.is_some_and(AnswerBeginning::may_shorten) {
            answer.remove_header(&header::CONTENT_LENGTH); // Pingora chunks an answer without
        }
        Some(meter)
    }

    fn new(headers: &HeaderMap, wanted: AnswerBeginning) -> Self {
        let kind = AnswerType::of(headers);
        let framing = kind.framing();
        let filter = framing.map(|framing| wanted.filter(framing));
        let beginning = kind.may_be_read().then_some(wanted);
        let began = Instant::now();
        Self {
            filter,
            encoded: None,
            framing,
            list: None,
            beginning,
            opening: None,
            response: None,
            began,
            first: None,
            last: None,
            words: None,
            gaps: None,
        }
    }

    /// Returns where the times between chunks are noted; `find` says it the first time.
    pub(in crate::proxy) fn gaps(&mut self, find: impl FnOnce() -> ChunkGaps) -> &ChunkGaps {
        self.gaps.get_or_insert_with(find)
    }

    /// Reads the opening too, where it can be; returns whether it can.
    pub(in crate::proxy) fn read_opening(&mut self) -> bool {
        let framed = self.framing.map(|framing| OpeningReader::Framed(AnswerOpening::new(framing)));
        self.opening = framed.or(self.beginning.map(|_| OpeningReader::Unframed));
        self.opening.is_some()
    }

    /// Reads a chunk of the opening; returns the verdict on it once, when it is known.
    pub(in crate::proxy) fn open(&mut self, chunk: Option<&Bytes>, end_of_stream: bool) -> Option<OpeningVerdict> {
        self.opening.as_ref()?;
        let bytes = chunk.map_or(&[][..], |chunk| &chunk[..]);
        self.find_framing(bytes);
        let verdict = match self.opening.as_mut()? {
            OpeningReader::Framed(opening) => {
                opening.push(bytes);
                if end_of_stream { opening.finish().clone() } else { opening.verdict().clone() }
            }
            OpeningReader::Unframed if self.beginning.is_none() => OpeningVerdict::Begun,
            OpeningReader::Unframed if end_of_stream => OpeningVerdict::Empty,
            OpeningReader::Unframed => OpeningVerdict::Open,
        };
        let verdict = match verdict {
            OpeningVerdict::Open if self.began.elapsed() < LONGEST_HOLD => return None,
            OpeningVerdict::Open => OpeningVerdict::Begun,
            known => known,
        };
        self.opening = None;
        Some(verdict)
    }

    /// Reads the answer as what its first bytes prove it to be, whatever its header says.
    fn find_framing(&mut self, chunk: &[u8]) {
        if self.beginning.is_none() || AnswerFraming::is_blank(chunk) {
            return;
        }
        let Some(wanted) = self.beginning.take() else { return };
        let is_list = wanted.format == AnswerFormat::Gemini && chunk.trim_ascii_start().starts_with(b"[");
        self.list = is_list.then(ListPlace::default);
        let Some(framing) = AnswerFraming::of_beginning(chunk).filter(|found| Some(*found) != self.framing) else {
            return;
        };
        self.framing = Some(framing);
        self.filter = Some(wanted.filter(framing));
        if self.opening.is_some() {
            self.opening = Some(OpeningReader::Framed(AnswerOpening::new(framing)));
        }
    }

    /// Reads the body of the answer to a request for `path` even if it is compressed.
    pub(in crate::proxy) fn read_encoded(&mut self, headers: &HeaderMap, path: &str) {
        let kind = AnswerType::of(headers);
        let framing = kind.declared.filter(|_| kind.is_encoded);
        let reader = framing.map(|framing| UsageReader::new(AnswerFormat::of_path(path), framing));
        self.encoded = reader.and_then(|reader| EncodedAnswer::begin(headers, reader));
    }

    /// Returns what was read of the body, if it could be.
    pub(in crate::proxy) fn reader(&self) -> Option<&UsageReader> {
        self.filter.as_ref().map(UsageFilter::reader).or(self.encoded.as_ref().map(EncodedAnswer::reader))
    }

    /// Takes the names of state that have come since the last call.
    pub(in crate::proxy) fn take_names(&mut self) -> Vec<StateName> {
        let names = self.filter.as_mut().map(UsageFilter::take_names).unwrap_or_default();
        self.response = self.response.or_else(|| names.iter().copied().find(|name| name.kind == StateKind::Response));
        names
    }

    /// Returns the name of the response that the answer is, as far as it was taken.
    pub(in crate::proxy) const fn response(&self) -> Option<StateName> {
        self.response
    }

    /// Returns whether the answer is a stream of events that can be read.
    pub(in crate::proxy) fn is_stream(&self) -> bool {
        self.framing == Some(AnswerFraming::Events)
    }

    /// Returns whether the answer comes piece by piece, as the model writes it: as events, or as a list of documents.
    pub(in crate::proxy) fn is_gradual(&self) -> bool {
        self.is_stream() || self.list.is_some()
    }

    /// Returns whether the answer is a stream of events; `None` where that is not known.
    pub(in crate::proxy) fn is_known_stream(&self) -> Option<bool> {
        self.framing.map(|framing| framing == AnswerFraming::Events)
    }

    /// Returns whether nothing is to follow that a client waits for: its stream came to the end that its API says.
    pub(in crate::proxy) fn has_said_all(&self) -> bool {
        self.reader().is_some_and(UsageReader::is_last_word)
    }

    /// Returns when the first chunk of a stream came.
    pub(in crate::proxy) const fn first_chunk(&self) -> Option<Instant> {
        self.first
    }

    /// Returns when the first words of a stream came: what a model wrote, as far as its API's events are known.
    pub(in crate::proxy) const fn first_words(&self) -> Option<Instant> {
        self.words
    }

    /// Returns the time from the first chunk to the last; `None` when all came at once.
    pub(in crate::proxy) fn streamed_for(&self) -> Option<Duration> {
        Some(self.last?.duration_since(self.first?)).filter(|time| !time.is_zero())
    }

    /// Reads a chunk of the answer and leaves in `body` what the client gets now. Returns how long after the chunk
    /// before it came, in a stream.
    pub(in crate::proxy) fn pass(&mut self, body: &mut Option<Bytes>, end_of_stream: bool) -> Option<Duration> {
        self.find_framing(body.as_deref().unwrap_or_default());
        let has_bytes = body.as_ref().is_some_and(|chunk| !chunk.is_empty());
        let gap = if self.is_gradual() && has_bytes { self.tick(Instant::now()) } else { None };
        self.list.iter_mut().zip(body.as_ref()).for_each(|(list, chunk)| list.push(chunk));
        if let Some(encoded) = &mut self.encoded {
            encoded.push(body.as_deref().unwrap_or_default());
            if end_of_stream {
                encoded.finish();
            }
        }
        if let Some(filter) = &mut self.filter {
            let passed = body.take().map_or_else(Bytes::new, |chunk| filter.push(chunk));
            let rest = if end_of_stream { filter.finish() } else { Bytes::new() };
            let out = if rest.is_empty() { passed } else { [passed, rest].concat().into() };
            *body = Some(out).filter(|out| !out.is_empty());
        }
        if self.words.is_none() && self.reader().is_some_and(|reader| reader.text_bytes() > 0) {
            self.words = self.last;
        }
        gap
    }

    /// Marks that a chunk came; returns how long after the one before.
    fn tick(&mut self, now: Instant) -> Option<Duration> {
        self.first.get_or_insert(now);
        self.last.replace(now).map(|last| now.duration_since(last))
    }

    /// Returns the last words of a stream that the upstream cut: none after its last event. `None` for other answers.
    pub(in crate::proxy) fn break_off(&mut self, rejection: &Rejection) -> Option<Bytes> {
        if let Some(list) = &self.list {
            return list.last_words(&rejection.body(AnswerShape::Google));
        }
        let filter = self.filter.as_mut().filter(|_| self.framing == Some(AnswerFraming::Events))?;
        let is_whole = filter.reader().has_ended();
        Some(if is_whole { Bytes::new() } else { filter.break_off(rejection.code().as_str(), &rejection.to_string()) })
    }
}

/// The type of an answer, as its header has it.
#[derive(Clone, Copy)]
struct AnswerType {
    declared: Option<AnswerFraming>,
    /// Says no more than that it may be text.
    is_vague: bool,
    is_encoded: bool,
}

impl AnswerType {
    fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap_or_default());
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let declared = match &*kind {
            "text/event-stream" => Some(AnswerFraming::Events),
            kind if JSON.contains(&kind) || kind.ends_with("+json") => Some(AnswerFraming::Json),
            _ => None,
        };
        let is_vague = kind.is_empty() || kind.starts_with("text/") || VAGUE.contains(&&*kind);
        Self { declared, is_vague, is_encoded: is_encoded(headers) }
    }

    fn framing(self) -> Option<AnswerFraming> {
        self.declared.filter(|_| !self.is_encoded)
    }

    fn may_be_read(self) -> bool {
        !self.is_encoded && (self.is_vague || self.declared.is_some())
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests;
