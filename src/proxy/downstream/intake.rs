//! Reads a request's body, whole, within limits.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{ErrorSource, ErrorType};
use pointsman_core::config::TrafficLimits;
use tokio::time::Instant;

use super::admission::BodyReservation;
use super::body_reader::{BodyBounds, BodyReader};
use super::decode::BodyEncoding;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::large_work::{self, LARGE_BODY};

/// The bytes of a body after which other requests get their turn, while what comes next is at hand already. To take in
/// so much takes a fraction of a millisecond; the runtime itself would let go after sixteen times as much.
const TURN_BYTES: usize = 512 << 10;

/// The time that a client may take to stop sending a body that was refused.
const LINGER: Duration = Duration::from_secs(2);

/// The bytes of a refused body that are read and thrown away, so that the client gets to read the answer.
const LINGER_BYTES: usize = 16 << 20;

/// A body that was read, and the memory that it takes.
pub(in crate::proxy) struct ReadBody {
    /// The bytes, decoded.
    pub(in crate::proxy) bytes: Bytes,
    /// The memory that is reserved for them.
    pub(in crate::proxy) memory: Option<BodyReservation>,
}

/// Reads the body and decodes it, within the limits of its size, before and after, and of time.
///
/// What was encoded is plain from here on, so the request's `Content-Encoding` is removed.
///
/// # Errors
/// Too large, too slow, encoded in a way that cannot be read, or gone: [`Rejection`]s for the client.
pub(in crate::proxy) async fn read_body(
    session: &mut Session,
    limits: &TrafficLimits,
    memory: BodyReservation,
) -> Result<ReadBody, Rejection> {
    let limit = limits.max_body_bytes;
    let header = session.req_header();
    let encoding = BodyEncoding::of(&header.headers)?;
    let announced = content_length(header);
    if announced.is_some_and(|length| length > limit) {
        return Err(Rejection::BodyTooLarge { limit });
    }
    memory.fits(announced.unwrap_or(0))?;
    if expects_continue(header) {
        // Pingora does not answer by itself, and curl would wait a second before it sends the body anyway.
        let answered = session.as_downstream_mut().write_continue_response().await;
        answered.map_err(|_| Rejection::ClientGone)?;
    }
    let bounds = BodyBounds { limit, announced: announced.unwrap_or(0) };
    let mut reader = BodyReader::new(encoding, &bounds, memory)?;
    let mut received = 0;
    let deadline = Instant::now() + limits.body.0;
    while let Some(chunk) = next_chunk(session, deadline.min(Instant::now() + limits.body_idle.0)).await? {
        let turns = received / TURN_BYTES;
        received += chunk.len();
        if received > limit {
            return Err(Rejection::BodyTooLarge { limit });
        }
        if received / TURN_BYTES > turns {
            tokio::task::yield_now().await;
        }
        if let Some(left) = reader.push(chunk)? {
            Box::pin(push_large(&mut reader, left, limits)).await?;
        }
    }
    session.req_header_mut().remove_header(&header::CONTENT_ENCODING);
    if let Some(left) = reader.end()? {
        Box::pin(push_large(&mut reader, left, limits)).await?;
    }
    let is_large = !reader.is_whole() && reader.decoded() >= LARGE_BODY;
    let finished = if is_large { Box::pin(finish_large(reader, limits)).await } else { reader.finish() };
    finished.map(|(bytes, memory)| ReadBody { bytes, memory })
}

/// Decodes the next bytes of an encoded body that is large, on the threads for those.
async fn push_large(reader: &mut BodyReader, chunk: Bytes, limits: &TrafficLimits) -> Result<(), Rejection> {
    let _place = large_work::place_within(limits.body_idle.0).await?;
    large_work::run(|| reader.push_large(&chunk))
}

/// Puts a large body together that came in blocks, on the threads for those.
async fn finish_large(
    reader: BodyReader,
    limits: &TrafficLimits,
) -> Result<(Bytes, Option<BodyReservation>), Rejection> {
    let _place = large_work::place_within(limits.body_idle.0).await?;
    large_work::run(|| reader.finish())
}

/// Checks the time that a body has taken so far which is not read, but passed on as it comes.
///
/// # Errors
/// When that is longer than a body may take.
pub(in crate::proxy) fn passes_in_time(taken: Duration, limits: &TrafficLimits) -> pingora::Result<()> {
    if taken <= limits.body.0 {
        return Ok(());
    }
    Err(pingora::Error::explain(ErrorType::ReadTimedout, "a body that is passed on took too long").into_down())
}

/// Takes the empty frame away by which HTTP/2 may end a body. As a chunk it would end the body upstream a first time, and
/// the end itself a second time (cloudflare/pingora#935).
pub(in crate::proxy) fn drop_empty_end(body: &mut Option<Bytes>, end_of_stream: bool) {
    if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
        *body = None;
    }
}

/// Tells whether a body is JSON by its `Content-Type`; one that has none is taken at its word.
pub(in crate::proxy) fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    matches!(&essence[..], b"" | b"application/json" | b"text/json") || essence.ends_with(b"+json")
}

/// The ways in which a body that no dialect is known for reaches the default provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum UnreadBody {
    /// There is none.
    Absent,
    /// It may be JSON, and is read to see which models it names.
    Readable,
    /// It is passed on as it comes: an upload.
    Streamed,
    /// It may be JSON, but is too large to be read, or is encoded in a way that cannot be.
    Hidden,
}

impl UnreadBody {
    /// Tells what to do with the body of a request, by its header alone. `is_governed` says that a list of models
    /// holds for its client, so that what might be JSON is read even where nothing says so.
    pub(in crate::proxy) fn of(header: &RequestHeader, limit: usize, client: BodyTrust) -> Self {
        let fields = &header.headers;
        let length = content_length(header);
        let is_chunked = fields.contains_key(header::TRANSFER_ENCODING) || header.version == Version::HTTP_2;
        if !length.map_or(is_chunked, |length| length > 0) {
            return Self::Absent;
        }
        if is_form(fields) && !is_for_files(header.uri.path()) {
            // Its fields are read, where they can be: one of them may be the model.
            let is_small = length.is_some_and(|length| length <= limit) && BodyEncoding::of(fields).is_ok();
            return if is_small || client == BodyTrust::Limited { Self::Readable } else { Self::Streamed };
        }
        if is_upload(fields) {
            return Self::Streamed;
        }
        let is_large = length.is_some_and(|length| length > limit);
        if is_large || BodyEncoding::of(fields).is_err() {
            return Self::Hidden;
        }
        let is_certain = length.is_some() || (fields.contains_key(header::CONTENT_TYPE) && is_json(fields));
        if is_certain || client == BodyTrust::Limited { Self::Readable } else { Self::Streamed }
    }
}

/// The trust in what a client says of a body that no dialect is known for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum BodyTrust {
    /// The client may ask for any model.
    Any,
    /// The client may ask for some models only.
    Limited,
}

/// Tells whether a body is no JSON by its `Content-Type`: a form with files, media, or lines of JSON.
fn is_upload(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    let is_text = essence.starts_with(b"text/") || essence == b"application/x-www-form-urlencoded";
    !(is_text || is_json(headers))
}

/// Tells whether a client wants to speak by WebSocket, over HTTP/1 or, by an extended `CONNECT`, over HTTP/2.
pub(in crate::proxy) fn is_websocket(header: &RequestHeader) -> bool {
    let named = header.headers.get_all(header::UPGRADE).iter().filter_map(|given| given.to_str().ok());
    let is_named = named
        .flat_map(|given| given.split(','))
        .any(|name| name.split('/').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("websocket")));
    is_named || header.method == Method::CONNECT
}

/// Tells whether a body is a form with files, by its `Content-Type`.
pub(in crate::proxy) fn is_form(headers: &HeaderMap) -> bool {
    essence(headers) == b"multipart/form-data"
}

/// Tells whether a body is a form without files, by its `Content-Type`.
pub(in crate::proxy) fn is_url_encoded(headers: &HeaderMap) -> bool {
    essence(headers) == b"application/x-www-form-urlencoded"
}

/// Tells whether forms to a path are files to be kept, which are for no model.
fn is_for_files(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "files" | "uploads" | "skills"))
}

fn essence(headers: &HeaderMap) -> Vec<u8> {
    let given = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = given.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().to_ascii_lowercase()
}

/// Tells whether a body is a JSON object by its first byte, whatever its `Content-Type` says.
pub(in crate::proxy) fn opens_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// Tells whether a body may be JSON that holds something, in any encoding of JSON that some server reads: with a byte
/// order mark, or in two or four bytes a character.
pub(in crate::proxy) fn is_like_json(body: &[u8]) -> bool {
    let start = &body[..body.len().min(8)];
    let mut known =
        start.iter().filter(|byte| !byte.is_ascii_whitespace() && !b"\0\xEF\xBB\xBF\xFE\xFF".contains(byte));
    known.next().is_none_or(|first| b"{[".contains(first)) && !body.is_empty()
}

/// Reads the next part. Pingora has no read timeout for HTTP/2, so the pause is bounded here.
async fn next_chunk(session: &mut Session, deadline: Instant) -> Result<Option<Bytes>, Rejection> {
    match tokio::time::timeout_at(deadline, session.read_request_body()).await {
        Ok(chunk) => chunk.map_err(|error| unreadable(&error)),
        Err(_) => Err(Rejection::RequestTimeout),
    }
}

/// Reads and drops what a client still sends of a body that was refused, within bounds: closing the socket on unread
/// bytes would reset the connection, and the client would never see why.
pub(in crate::proxy) async fn discard_body(session: &mut Session) {
    let discard = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            let Some(rest) = left.checked_sub(chunk.len()) else { return };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(LINGER, discard).await; // either way the connection closes next
}

fn content_length(header: &RequestHeader) -> Option<usize> {
    header.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn expects_continue(header: &RequestHeader) -> bool {
    let expected = header.headers.get(header::EXPECT);
    header.version == Version::HTTP_11
        && expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn unreadable(error: &pingora::Error) -> Rejection {
    match error.etype() {
        ErrorType::ReadTimedout => Rejection::RequestTimeout,
        _ if is_misframed(error) => Rejection::InvalidFraming,
        _ => Rejection::ClientGone,
    }
}

/// Tells whether a client's body broke off because it is not framed as HTTP/1.1 has it. Pingora's types for that are
/// private to its protocol.
pub(in crate::proxy) fn is_misframed(error: &pingora::Error) -> bool {
    *error.esource() != ErrorSource::Upstream && error.etype().as_str() == "InvalidChunk"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_by_several_names_and_the_rest_is_not_read() {
        let is_json = |given: &'static str| {
            is_json(&[(header::CONTENT_TYPE, HeaderValue::from_static(given))].into_iter().collect())
        };

        for given in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", "text/json", ""]
        {
            assert!(is_json(given), "{given}");
        }
        for given in ["multipart/form-data; boundary=json", "text/plain", "application/jsonl", "application/x-ndjson"] {
            assert!(!is_json(given), "{given}");
        }
        assert!(super::is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_body_is_json_by_its_first_byte_and_may_be_in_any_encoding_of_it() {
        assert!(
            opens_object(b" \r\n{\"a\":1}") && !opens_object(b"[1]") && !opens_object(b"--x") && !opens_object(b"")
        );
        for like in ["{}".as_bytes(), b" [", b"\xEF\xBB\xBF{", b"\xFE\xFF\0{\0}", b"{\0}\0", b"\0\0\0{"] {
            assert!(is_like_json(like), "{like:?}");
        }
        for other in ["".as_bytes(), b"--x", b"\x00\x01\x02", b"%PDF", b"\"text\""] {
            assert!(!is_like_json(other), "{other:?}");
        }
    }

    #[test]
    fn uploads_are_streamed_and_what_may_be_json_is_read() {
        let of = |fields: &[(&'static str, &'static str)], trust| {
            let mut header = RequestHeader::build("POST", b"/v1/x", None).expect("a header");
            for (name, value) in fields {
                header.append_header(*name, *value).expect("a good field");
            }
            UnreadBody::of(&header, 100, trust)
        };
        let json = ("content-type", "application/json");
        let form = ("content-type", "multipart/form-data; boundary=x");
        let (small, large, chunked) =
            (("content-length", "9"), ("content-length", "101"), ("transfer-encoding", "chunked"));

        for trust in [BodyTrust::Any, BodyTrust::Limited] {
            assert_eq!(of(&[json], trust), UnreadBody::Absent);
            assert_eq!(of(&[json, small], trust), UnreadBody::Readable);
            assert_eq!(of(&[json, chunked], trust), UnreadBody::Readable);
            assert_eq!(of(&[("content-type", "text/plain"), small], trust), UnreadBody::Readable);
            assert_eq!(of(&[json, large], trust), UnreadBody::Hidden);
            assert_eq!(of(&[json, small, ("content-encoding", "compress")], trust), UnreadBody::Hidden);
            assert_eq!(of(&[form, small], trust), UnreadBody::Readable);
            assert_eq!(of(&[("content-type", "application/jsonl"), small], trust), UnreadBody::Streamed);
        }
        assert_eq!(of(&[chunked], BodyTrust::Any), UnreadBody::Streamed);
        assert_eq!(of(&[chunked], BodyTrust::Limited), UnreadBody::Readable);
        for (what, trust, expected) in [
            (large, BodyTrust::Any, UnreadBody::Streamed),
            (chunked, BodyTrust::Any, UnreadBody::Streamed),
            (chunked, BodyTrust::Limited, UnreadBody::Readable),
        ] {
            assert_eq!(of(&[form, what], trust), expected);
        }
    }
}
