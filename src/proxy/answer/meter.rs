//! The meter of an answer: measures the answer while it passes, and ends a stream that the upstream cut in the stream's
//! own shape.
//!
//! Nothing waits here: a chunk leaves as it came, see [`UsageFilter`] for the one exception. The opening is read here
//! too, and held back by `attempt`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use pingora::http::ResponseHeader;
use pointsman_core::prompt::state::StateName;
use pointsman_core::usage::{
    AnswerFormat, AnswerFraming, AnswerOpening, OpeningVerdict, StateScope, UsageEvent, UsageFilter, UsageReader,
};
use tokio::time::Instant;

use super::encoded::EncodedAnswer;
use super::rejection::Rejection;
use crate::proxy::attempt::withheld::LONGEST_HOLD;

/// The measures of one successful answer, taken while it passes.
pub(in crate::proxy) struct AnswerMeter {
    /// Reads the body; absent when it is compressed, or neither JSON nor a stream of events.
    filter: Option<UsageFilter>,
    /// Reads a compressed body, where its tokens must be known all the same.
    encoded: Option<EncodedAnswer>,
    framing: Option<AnswerFraming>,
    /// Reads the opening, until it is known whether an answer follows.
    opening: Option<AnswerOpening>,
    /// The moment in which the answer's header came.
    began: Instant,
    first: Option<Instant>,
    last: Option<Instant>,
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
        let mut meter = Self::new(&answer.headers, path, event);
        if let Some(filter) = &mut meter.filter {
            filter.look_for_names(scope);
        }
        if meter.filter.as_ref().is_some_and(UsageFilter::may_shorten) {
            answer.remove_header(&header::CONTENT_LENGTH); // Pingora chunks an answer without
        }
        Some(meter)
    }

    fn new(headers: &HeaderMap, path: &str, event: UsageEvent) -> Self {
        let framing = framing(headers).filter(|_| !is_encoded(headers));
        let reader = framing.map(|framing| UsageReader::new(AnswerFormat::of_path(path), framing));
        let filter = reader.map(|reader| UsageFilter::new(reader, event));
        Self { filter, encoded: None, framing, opening: None, began: Instant::now(), first: None, last: None }
    }

    /// Reads the opening too, where it can be; returns whether it can.
    pub(in crate::proxy) fn read_opening(&mut self) -> bool {
        self.opening = self.framing.map(AnswerOpening::new);
        self.opening.is_some()
    }

    /// Reads a chunk of the opening; returns the verdict on it once, when it is known.
    pub(in crate::proxy) fn open(&mut self, chunk: Option<&Bytes>, end_of_stream: bool) -> Option<OpeningVerdict> {
        let opening = self.opening.as_mut()?;
        let mut verdict = opening.push(chunk.map_or(&[], |chunk| &chunk[..]));
        if end_of_stream {
            verdict = opening.finish();
        }
        let verdict = match verdict {
            OpeningVerdict::Open if self.began.elapsed() < LONGEST_HOLD => return None,
            OpeningVerdict::Open => OpeningVerdict::Begun,
            known => known.clone(),
        };
        self.opening = None;
        Some(verdict)
    }

    /// Reads the body of the answer to a request for `path` even if it is compressed.
    pub(in crate::proxy) fn read_encoded(&mut self, headers: &HeaderMap, path: &str) {
        let reader = framing(headers).map(|framing| UsageReader::new(AnswerFormat::of_path(path), framing));
        self.encoded = reader.filter(|_| is_encoded(headers)).and_then(|reader| EncodedAnswer::begin(headers, reader));
    }

    /// Returns what was read of the body, if it could be.
    pub(in crate::proxy) fn reader(&self) -> Option<&UsageReader> {
        self.filter.as_ref().map(UsageFilter::reader).or(self.encoded.as_ref().map(EncodedAnswer::reader))
    }

    /// Takes the names of state that have come since the last call.
    pub(in crate::proxy) fn take_names(&mut self) -> Vec<StateName> {
        self.filter.as_mut().map(UsageFilter::take_names).unwrap_or_default()
    }

    /// Returns whether the answer is a stream of events that can be read.
    pub(in crate::proxy) fn is_stream(&self) -> bool {
        self.framing == Some(AnswerFraming::Events)
    }

    /// Returns the time from the first chunk to the last; `None` when all came at once.
    pub(in crate::proxy) fn streamed_for(&self) -> Option<Duration> {
        Some(self.last?.duration_since(self.first?)).filter(|time| !time.is_zero())
    }

    /// Reads a chunk of the answer and leaves in `body` what the client gets now. Returns how long after the chunk
    /// before it came, in a stream.
    pub(in crate::proxy) fn pass(&mut self, body: &mut Option<Bytes>, end_of_stream: bool) -> Option<Duration> {
        let has_bytes = body.as_ref().is_some_and(|chunk| !chunk.is_empty());
        let gap = if self.is_stream() && has_bytes { self.tick(Instant::now()) } else { None };
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
        gap
    }

    /// Marks that a chunk came; returns how long after the one before.
    fn tick(&mut self, now: Instant) -> Option<Duration> {
        self.first.get_or_insert(now);
        self.last.replace(now).map(|last| now.duration_since(last))
    }

    /// Returns the last words of a stream that the upstream cut: none after its last event. `None` for other answers.
    pub(in crate::proxy) fn break_off(&mut self, rejection: &Rejection) -> Option<Bytes> {
        let filter = self.filter.as_mut().filter(|_| self.framing == Some(AnswerFraming::Events))?;
        let is_whole = filter.reader().has_ended();
        Some(if is_whole { Bytes::new() } else { filter.break_off(rejection.code().as_str(), &rejection.to_string()) })
    }
}

fn framing(headers: &HeaderMap) -> Option<AnswerFraming> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "text/event-stream" => Some(AnswerFraming::Events),
        kind if kind == "application/json" || kind.ends_with("+json") => Some(AnswerFraming::Json),
        _ => None,
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn meter(kind: &'static str, encoding: &'static str) -> AnswerMeter {
        let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, encoding)];
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        AnswerMeter::new(&headers, "/v1/chat/completions", UsageEvent::Remove)
    }

    #[test]
    fn json_and_streams_are_read_unless_they_are_compressed() {
        for (kind, encoding, read) in [
            ("application/json", "", true),
            ("Application/JSON; charset=utf-8", "identity", true),
            ("application/problem+json", "", true),
            ("text/event-stream; charset=utf-8", "", true),
            ("text/event-stream", "gzip", false),
            ("application/json", "br", false),
            ("audio/mpeg", "", false),
            ("", "", false),
        ] {
            assert_eq!(meter(kind, encoding).reader().is_some(), read, "{kind} {encoding}");
        }
    }

    #[test]
    fn a_compressed_body_passes_as_it_is() {
        let mut body = Some(Bytes::from_static(b"data: {\"choices\":["));

        meter("text/event-stream", "gzip").pass(&mut body, false);

        assert_eq!(body.expect("untouched"), "data: {\"choices\":[");
    }

    #[test]
    fn what_is_held_back_leaves_at_the_end() {
        let mut meter = meter("text/event-stream", "");
        let mut body = Some(Bytes::from_static(b"data: {\"choices\":["));

        meter.pass(&mut body, false);
        assert_eq!(body, None);
        meter.pass(&mut body, true);

        assert_eq!(body.expect("what was held back"), "data: {\"choices\":[");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_stream_is_from_its_first_chunk_to_its_last() {
        let mut meter = meter("text/event-stream", "");

        let first = meter.tick(Instant::now());
        let at_once = meter.streamed_for();
        tokio::time::advance(Duration::from_millis(30)).await;
        let second = meter.tick(Instant::now());

        assert_eq!((first, at_once), (None, None));
        assert_eq!((second, meter.streamed_for()), (Some(Duration::from_millis(30)), Some(Duration::from_millis(30))));
    }
}
