//! Translations between two APIs: of requests, whole answers, streams and errors.

pub(crate) mod answer_losses;
pub(crate) mod long_names;
mod memo;
mod pair_joining;
mod stream;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

pub use self::memo::{NativeCall, NativeTool, RequestMemo};
pub use self::stream::StreamTranslator;
use crate::conversion::cited_page::cited_pages;
use crate::events::ServerEvent;
use crate::family::DialectFamily;
use crate::loss::LossReport;
use crate::neutral::{NeutralAnswer, NeutralError, NeutralRequest, StreamEvent};
use crate::refusal::TranslationRefusal;

/// A translation of what clients of one API send to upstreams of another, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Translation {
    /// The client's API.
    pub client: DialectFamily,
    /// The upstream's API.
    pub upstream: DialectFamily,
}

/// The facts of the model that a request goes to.
#[derive(Debug, Clone, Copy, Default)]
pub struct TranslationTarget<'t> {
    /// The name of the model with its provider.
    pub model: &'t str,
    /// The most tokens that an answer of the model's may have. Anthropic's API wants a limit in every request.
    pub max_output: Option<u64>,
}

/// A request in the upstream's words.
#[derive(Debug, Clone)]
pub struct TranslatedRequest {
    /// The body.
    pub body: Vec<u8>,
    /// The place of the model's name in the body, quotes included; empty in APIs whose path names it.
    pub model_span: Range<usize>,
    /// True where the answer comes as a stream.
    pub stream: bool,
    /// The part of the request that the answer's translation must know.
    pub memo: RequestMemo,
    /// The parts that were not carried over as they were.
    pub losses: LossReport,
}

impl TranslatedRequest {
    pub(crate) fn unless_refused(self) -> Result<Self, TranslationRefusal> {
        match self.losses.refusal() {
            Some(loss) => Err(TranslationRefusal::Unsayable(loss.clone())),
            None => Ok(self),
        }
    }
}

/// A whole answer in the client's words.
#[derive(Debug, Clone)]
pub struct TranslatedAnswer {
    /// The body.
    pub body: Vec<u8>,
    /// The parts that the client's API has no words for.
    pub losses: LossReport,
}

/// The facts that an answer's translation is told beside the answer.
#[derive(Debug, Clone, Copy)]
pub struct AnswerDetails<'d> {
    /// The seconds since 1970, for APIs that say when an answer was made where the upstream's does not.
    pub now: u64,
    /// An id that no other answer has, for APIs whose ids the upstream's does not give: letters and digits.
    pub unique: &'d str,
    /// The part of the request that is kept for its answer.
    pub memo: &'d RequestMemo,
}

/// The reading and writing of one API.
pub(crate) trait Api: Sync {
    /// Returns a request's body in the form that [`Self::read_request`] borrows from: JSON that no other API takes as it
    /// is, such as schemas of the vendor's own form, is another there.
    fn canonical_request<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        Cow::Borrowed(body)
    }

    /// Returns an answer's body in the form that [`Self::read_answer`] borrows from.
    fn canonical_answer<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        Cow::Borrowed(body)
    }

    /// Reads a request.
    fn read_request<'b>(
        &self,
        body: &'b [u8],
        losses: &mut LossReport,
    ) -> Result<NeutralRequest<'b>, TranslationRefusal>;

    /// Writes a request. The place of the model's name in it is returned.
    fn write_request(
        &self,
        request: &NeutralRequest<'_>,
        target: &TranslationTarget<'_>,
        writing: &mut RequestWriting<'_>,
    ) -> Range<usize>;

    /// Takes what other vendors sealed out of a request that goes to a model of this API's own vendor; every other byte
    /// stays. `None` where the API has no such way: the request is read and written then.
    fn clean_request(
        &self,
        _body: &[u8],
        _target: &TranslationTarget<'_>,
        _losses: &mut LossReport,
    ) -> Option<Result<CleanedRequest, TranslationRefusal>> {
        None
    }

    /// Returns what the writing of an answer to this client's `body` must know beyond the neutral request: fields that
    /// the API's answers repeat.
    fn memo(&self, request: &NeutralRequest<'_>, body: &[u8]) -> RequestMemo;

    /// Reads a whole answer.
    fn read_answer<'b>(&self, body: &'b [u8]) -> Result<NeutralAnswer<'b>, TranslationRefusal>;

    /// Writes a whole answer.
    fn write_answer(&self, answer: &NeutralAnswer<'_>, details: &AnswerDetails<'_>) -> Vec<u8>;

    /// Tells whether answers of this API can hold media.
    fn says_media(&self) -> bool {
        false
    }

    /// Tells whether answers of this API have a word for a part that only another API knows.
    fn says_native(&self, _kind: &str, _raw: &RawValue) -> bool {
        false
    }

    /// Tells whether answers of this API can say citations of another's.
    fn says_citation(&self, citations: &RawValue) -> bool {
        !cited_pages(citations, "").is_empty()
    }

    /// Returns a reader of one stream's events.
    fn event_reader(&self) -> Box<dyn EventReader>;

    /// Returns a writer of one stream's events.
    fn event_writer(&self, details: &AnswerDetails<'_>) -> Box<dyn EventWriter>;

    /// Reads the body of an answer with an error's status; whatever it holds.
    fn read_error<'b>(&self, status: u16, body: &'b [u8]) -> NeutralError<'b>;

    /// Writes the body of an error.
    fn write_error(&self, error: &NeutralError<'_>, status: u16) -> Vec<u8>;
}

/// A request without what other vendors sealed.
pub(crate) struct CleanedRequest {
    pub(crate) body: Vec<u8>,
    /// The place of the model's name in the body, quotes included.
    pub(crate) model_span: Range<usize>,
    pub(crate) stream: bool,
}

/// The results of a writer of requests.
pub(crate) struct RequestWriting<'w> {
    /// The body, empty at the beginning.
    pub(crate) body: &'w mut Vec<u8>,
    /// The parts that were not carried over as they were.
    pub(crate) losses: &'w mut LossReport,
}

/// A reader of one stream.
pub(crate) trait EventReader: Send + Sync {
    /// Reads an event, and gives what it means to `found`, in order. An event that makes no sense is no event.
    fn read(&mut self, event: ServerEvent<'_>, found: &mut dyn FnMut(StreamEvent<'_>));

    /// Gives what is known once the upstream has ended its stream in good order: in APIs whose streams may end without a
    /// mark, that the answer is whole.
    fn finish(&mut self, _found: &mut dyn FnMut(StreamEvent<'_>)) {}
}

/// A writer of one stream.
pub(crate) trait EventWriter: Send + Sync {
    /// Writes what an event is in the client's API to the end of `out`, whole events with their empty lines.
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>);
}
