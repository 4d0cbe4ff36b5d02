//! An answer in AWS' own words, put into those of Anthropic's API as it comes: the frames of a stream become its events, an
//! error its error.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use pointsman_translation::{DialectFamily, Translation};

use crate::upstream::{EventFrames, FrameError};

/// The type of the streams of AWS.
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// The most of an error that is collected.
const MOST: usize = 64 << 10;

/// From Anthropic's API into itself: what writes the errors.
const OWN: Translation = Translation { client: DialectFamily::Messages, upstream: DialectFamily::Messages };

/// An answer on its way out of AWS' words.
pub(in crate::proxy) enum AwsAnswer {
    /// A stream.
    Frames(EventFrames),
    /// An error, which is collected.
    Error {
        /// Its status.
        status: StatusCode,
        /// The part that has come.
        collected: BytesMut,
    },
}

impl AwsAnswer {
    /// Begins to read an answer, whose header says from now on what it will be; `None` for one that is as it should be.
    pub(in crate::proxy) fn begin(answer: &mut ResponseHeader) -> Result<Option<Self>> {
        let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let (begun, kind) = if kind.starts_with(EVENT_STREAM) {
            (Self::Frames(EventFrames::default()), "text/event-stream; charset=utf-8")
        } else if answer.status.is_client_error() || answer.status.is_server_error() {
            (Self::Error { status: answer.status, collected: BytesMut::new() }, "application/json")
        } else {
            return Ok(None);
        };
        answer.remove_header(&header::CONTENT_LENGTH); // Pingora chunks an answer without
        answer.insert_header(header::CONTENT_TYPE, HeaderValue::from_static(kind))?;
        Ok(Some(begun))
    }

    /// Takes a chunk of the answer and leaves in `body` what there is of it now, in the words of Anthropic's API.
    ///
    /// # Errors
    /// When it is not what AWS writes.
    pub(in crate::proxy) fn pass(&mut self, body: &mut Option<Bytes>, end_of_stream: bool) -> Result<()> {
        let chunk = body.take().unwrap_or_default();
        let out = match self {
            Self::Frames(frames) => {
                let events = frames.push(&chunk).map_err(|error| broken(&error))?;
                if end_of_stream {
                    frames.finish().map_err(|error| broken(&error))?;
                }
                events
            }
            Self::Error { status, collected } => {
                let room = MOST - collected.len();
                collected.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if end_of_stream { OWN.error(status.as_u16(), collected) } else { Vec::new() }
            }
        };
        *body = Some(Bytes::from(out)).filter(|out| !out.is_empty());
        Ok(())
    }
}

fn broken(error: &FrameError) -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, format!("the answer cannot be read: {error}")).into_up()
}
