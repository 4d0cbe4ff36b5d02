//! The answer to a translated request, put into the words of the client's API as it comes: a stream event by event, a whole
//! answer and an error when they are whole.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use pointsman_translation::neutral::ErrorKind;
use pointsman_translation::{AnswerDetails, LossReport, StreamTranslator, Translation};

use super::meter::AnswerMeter;
use super::rejection::Rejection;
use crate::proxy::attempt::translated::AttemptTranslation;
use crate::proxy::downstream::decode::{BodyDecoder, BodyEncoding};
use crate::proxy::large_work;

/// The largest answer that is collected, and the most that one chunk of a compressed one may hold.
const MOST: usize = 64 << 20;

/// An answer on its way from one API into another.
pub(in crate::proxy) struct AnswerTranslation {
    request: Arc<AttemptTranslation>,
    status: StatusCode,
    /// The seconds since 1970.
    now: u64,
    /// An id that no other answer has.
    unique: String,
    /// The wait that the answer's header asks for.
    wait: Option<Duration>,
    progress: TranslationProgress,
    /// The parts of an answer, which has ended, that the client's API had no words for.
    losses: LossReport,
    decoder: Option<BodyDecoder>,
    /// True while the client has seen nothing of an answer that will go out when it is whole.
    awaits: bool,
}

/// How far an answer has come.
enum TranslationProgress {
    /// Nothing of it has come.
    Waiting,
    Streaming(Box<StreamTranslator>),
    Collecting(BytesMut),
    /// All that the client gets has been said.
    Over,
}

impl AnswerTranslation {
    /// Begins the translation of an answer, whose length and encoding are another from now on; `None` for one that has no
    /// body to translate.
    pub(in crate::proxy) fn begin(
        answer: &mut ResponseHeader,
        request: &Arc<AttemptTranslation>,
        unique: &str,
    ) -> Result<Option<Self>> {
        let status = answer.status;
        let is_bodiless = status == StatusCode::NO_CONTENT || status.is_redirection() || status.is_informational();
        let is_empty = answer.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length == "0");
        if is_bodiless || is_empty {
            return Ok(None);
        }
        let decoder = decoder(answer)?;
        answer.remove_header(&header::CONTENT_LENGTH); // Pingora chunks an answer without
        answer.remove_header(&header::CONTENT_ENCODING);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let unique = unique.chars().filter(char::is_ascii_alphanumeric).collect();
        let progress = TranslationProgress::Waiting;
        Ok(Some(Self {
            request: Arc::clone(request),
            status,
            now,
            unique,
            wait: None,
            progress,
            losses: LossReport::default(),
            decoder,
            awaits: false,
        }))
    }

    /// Has clients that are told so in the body wait for so long, should the answer be an error.
    pub(in crate::proxy) fn after(self, wait: Option<Duration>) -> Self {
        Self { wait, ..self }
    }

    /// Returns the content type that the client is told, where the meter knows of the answer what its header says.
    pub(in crate::proxy) fn content_type(&self, meter: Option<&AnswerMeter>) -> HeaderValue {
        let is_stream = self.is_answer() && self.is_stream(meter);
        let is_stream = is_stream && !self.request.memo.gemini_array;
        HeaderValue::from_static(if is_stream { "text/event-stream; charset=utf-8" } else { "application/json" })
    }

    /// Returns whether the client gets nothing before all of the answer has come.
    pub(in crate::proxy) fn is_whole(&self, meter: Option<&AnswerMeter>) -> bool {
        !self.is_answer() || !self.is_stream(meter)
    }

    /// Returns whether the answer, of which something real has come, is to be kept from the client until it is whole.
    pub(in crate::proxy) fn awaits_its_end(&mut self, meter: Option<&AnswerMeter>) -> bool {
        self.awaits = !matches!(self.progress, TranslationProgress::Over) && self.is_whole(meter);
        self.awaits
    }

    /// Returns whether the answer was kept from the client until now.
    pub(in crate::proxy) fn take_awaiting(&mut self) -> bool {
        std::mem::take(&mut self.awaits)
    }

    /// Decodes a chunk of a compressed answer, although plain text was asked for.
    ///
    /// # Errors
    /// When it is not what its encoding says.
    pub(in crate::proxy) fn decode(&mut self, body: &mut Option<Bytes>, end_of_stream: bool) -> Result<()> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let broken =
            |_| Error::explain(ErrorType::InvalidHTTPHeader, "the answer is not what its encoding says").into_up();
        decoder.push(body.as_deref().unwrap_or_default()).map_err(broken)?;
        let mut decoded = decoder.take();
        if end_of_stream && let Some(decoder) = self.decoder.take() {
            let (rest, _) = decoder.finish().map_err(broken)?;
            decoded = if rest.is_empty() { decoded } else { [decoded, rest].concat().into() };
        }
        *body = Some(decoded).filter(|decoded| !decoded.is_empty());
        Ok(())
    }

    /// Takes a chunk of the answer and leaves in `body` what the client gets now. Returns the body of an error once it is
    /// whole, as the upstream wrote it.
    ///
    /// # Errors
    /// When the answer is not what its API says, or larger than any may be.
    pub(in crate::proxy) fn pass(
        &mut self,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        meter: Option<&AnswerMeter>,
    ) -> Result<Option<Bytes>> {
        let chunk = body.take().unwrap_or_default();
        let is_due = end_of_stream || !chunk.is_empty();
        if is_due && matches!(self.progress, TranslationProgress::Waiting) {
            self.progress = self.started(meter);
        }
        let mut error = None;
        let out = match std::mem::replace(&mut self.progress, TranslationProgress::Over) {
            TranslationProgress::Streaming(mut stream) => {
                let mut out = if chunk.is_empty() { Vec::new() } else { stream.push(&chunk) };
                if end_of_stream {
                    out.extend_from_slice(&stream.finish());
                    self.losses = stream.losses().clone();
                } else {
                    self.progress = TranslationProgress::Streaming(stream);
                }
                out
            }
            TranslationProgress::Collecting(mut collected) => {
                if collected.len() + chunk.len() > MOST {
                    return Err(unreadable("it is larger than any may be"));
                }
                let whole = if collected.is_empty() && end_of_stream {
                    chunk
                } else {
                    collected.extend_from_slice(&chunk);
                    if !end_of_stream {
                        self.progress = TranslationProgress::Collecting(collected);
                        return Ok(None);
                    }
                    collected.freeze()
                };
                let out = large_work::at_once(whole.len(), || self.translated(&whole))?;
                error = (!self.is_answer()).then_some(whole);
                out
            }
            progress => {
                self.progress = progress;
                return Ok(None);
            }
        };
        *body = Some(Bytes::from(out)).filter(|out| !out.is_empty());
        Ok(error)
    }

    /// Returns what the client's API had no words for, as far as the answer has come.
    pub(in crate::proxy) fn losses(&self) -> &LossReport {
        match &self.progress {
            TranslationProgress::Streaming(stream) => stream.losses(),
            _ => &self.losses,
        }
    }

    /// Returns the last words of a stream that broke, in the client's API; `None` for what is no stream.
    pub(in crate::proxy) fn break_off(&mut self, rejection: &Rejection) -> Option<Bytes> {
        let mut stream = match std::mem::replace(&mut self.progress, TranslationProgress::Over) {
            TranslationProgress::Streaming(stream) => stream,
            TranslationProgress::Waiting if self.is_answer() && self.request.stream => Box::new(self.translator()),
            _ => return None,
        };
        let kind = ErrorKind::of_status(rejection.status().as_u16());
        self.losses = stream.losses().clone();
        Some(stream.break_off(kind, &rejection.to_string()).into())
    }

    fn started(&self, meter: Option<&AnswerMeter>) -> TranslationProgress {
        if self.is_whole(meter) {
            TranslationProgress::Collecting(BytesMut::new())
        } else {
            TranslationProgress::Streaming(Box::new(self.translator()))
        }
    }

    fn translator(&self) -> StreamTranslator {
        self.pair().stream(&self.details())
    }

    fn translated(&mut self, whole: &[u8]) -> Result<Vec<u8>> {
        if !self.is_answer() {
            return Ok(self.pair().error_after(self.status.as_u16(), whole, self.wait));
        }
        let answer = self.pair().answer_with_losses(whole, &self.details());
        let answer = answer.map_err(|refusal| unreadable(&refusal.to_string()))?;
        self.losses = answer.losses;
        Ok(answer.body)
    }

    fn details(&self) -> AnswerDetails<'_> {
        AnswerDetails { now: self.now, unique: &self.unique, memo: &self.request.memo }
    }

    fn pair(&self) -> Translation {
        self.request.pair
    }

    fn is_answer(&self) -> bool {
        self.status.is_success()
    }

    /// Returns whether the answer is a stream: as it proves to be, or else as the client asked.
    fn is_stream(&self, meter: Option<&AnswerMeter>) -> bool {
        meter.and_then(AnswerMeter::is_known_stream).unwrap_or(self.request.stream)
    }
}

fn decoder(answer: &ResponseHeader) -> Result<Option<BodyDecoder>> {
    let unknown = |_| unreadable("its encoding is not known");
    let encoding = BodyEncoding::of(&answer.headers).map_err(unknown)?;
    if encoding == BodyEncoding::Identity {
        return Ok(None);
    }
    BodyDecoder::new(encoding, MOST).map(Some).map_err(unknown)
}

/// Returns the error of an attempt whose answer cannot be translated: the upstream broke its API.
fn unreadable(reason: &str) -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, format!("the answer cannot be translated: {reason}")).into_up()
}
