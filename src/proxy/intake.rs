//! Reads a request's body, whole, within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Version, header};
use pingora::ErrorType;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::admission::Held;
use super::rejection::Rejection;

/// How long a client may take to stop sending a body that was refused.
const LINGER: Duration = Duration::from_secs(2);

/// How much of a refused body is read and thrown away, so that the client gets to read the answer.
const LINGER_BYTES: usize = 16 << 20;

/// Reads the body, at most `limit` bytes of it; the client may pause for `idle`.
///
/// # Errors
/// Too large, too slow, encoded in a way that cannot be read, or gone: [`Rejection`]s for the client.
pub(super) async fn read_body(
    session: &mut Session,
    limit: usize,
    idle: Duration,
    held: &mut Held,
) -> Result<Bytes, Rejection> {
    let header = session.req_header();
    refuse_encoding(header)?;
    let announced = content_length(header);
    if announced.is_some_and(|length| length > limit) {
        return Err(Rejection::BodyTooLarge { limit });
    }
    held.fits(announced.unwrap_or(0))?;
    if expects_continue(header) {
        // Pingora does not answer by itself, and curl would wait a second before it sends the body anyway.
        let answered = session.as_downstream_mut().write_continue_response().await;
        answered.map_err(|_| Rejection::ClientGone)?;
    }
    // A client can announce more than it will ever send: what it announced is no reason to set memory aside for it.
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(1 << 20));
    while let Some(chunk) = next_chunk(session, idle).await? {
        if body.len() + chunk.len() > limit {
            return Err(Rejection::BodyTooLarge { limit });
        }
        held.cover(body.len() + chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads the next part. Pingora has no read timeout for HTTP/2, so the pause is bounded here.
async fn next_chunk(session: &mut Session, idle: Duration) -> Result<Option<Bytes>, Rejection> {
    match tokio::time::timeout(idle, session.read_request_body()).await {
        Ok(chunk) => chunk.map_err(|error| unreadable(&error)),
        Err(_) => Err(Rejection::RequestTimeout),
    }
}

/// Reads and drops what a client still sends of a body that was refused, within bounds: closing the socket on unread
/// bytes would reset the connection, and the client would never see why.
pub(super) async fn discard_body(session: &mut Session) {
    let discard = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            let Some(rest) = left.checked_sub(chunk.len()) else { return };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(LINGER, discard).await; // either way the connection closes next
}

fn refuse_encoding(header: &RequestHeader) -> Result<(), Rejection> {
    match header.headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Rejection::UnsupportedEncoding { encoding: String::from_utf8_lossy(encoding.as_bytes()).into_owned() })
        }
        _ => Ok(()),
    }
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
        _ => Rejection::ClientGone,
    }
}
