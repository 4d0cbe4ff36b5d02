//! The error event by which a stream ends that the upstream broke off. Its bytes, in the words of the client's API,
//! come from [`pointsman_core::usage`].

use std::time::Duration;

use http::header;
use pingora::proxy::Session;
use tokio::time::timeout;

use super::begun;
use super::rejection::Rejection;
use crate::proxy::context::RequestContext;

/// The time that a client may take to read the event that says its stream broke.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Tells the client of a stream that the upstream broke off, and ends the answer; returns whether it did.
///
/// The end is a proper one, as it is when a provider itself fails amid a stream: HTTP/1 clients throw away what they
/// have not read yet when a connection breaks, and h2 (0.4.20, `pop_frame`) what it has not sent yet when a stream is
/// reset, so that the error event would be lost. What cannot hold such an event stays without an end: it is seen to be
/// cut.
pub(super) async fn break_off(session: &mut Session, ctx: &mut RequestContext, rejection: &Rejection) -> bool {
    let Some(written) = begun(session) else { return false };
    if matches!(rejection, Rejection::ClientGone) || written.headers.contains_key(header::CONTENT_LENGTH) {
        return false;
    }
    let words = match &mut ctx.answer_translation {
        Some(translation) => translation.break_off(rejection),
        None => ctx.meter.as_mut().and_then(|meter| meter.break_off(rejection)),
    };
    let Some(words) = words else { return false };
    // A client that left, or does not read, is told nothing.
    matches!(timeout(LAST_WORD, session.write_response_body(Some(words), true)).await, Ok(Ok(())))
}
