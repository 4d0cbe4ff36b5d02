//! Kept connections that the upstream had closed: the request goes to the same peer once more, over a new one.
//!
//! An upstream may close an idle connection in the moment in which a request is written to it. Then the write fails, or
//! the read, and nothing of an answer has come. That is how keep-alive works, and says nothing about the peer: it is
//! neither a failure of its, nor an attempt that `retry` counts, once for each peer. What an HTTP/2 peer says that it has
//! not begun (GOAWAY, REFUSED_STREAM) may be sent to it a few times.
//!
//! A server that closes an idle connection may say so by a 408, which crosses with the request in the same way. A bare
//! `100 Continue` is nothing of an answer.
//!
//! What cannot be sent twice, because it is passed on as it comes, does not meet such a connection: it gets a new one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result, RetryType};

use super::UpstreamAttempts;

/// The time within which what must not be done twice was not begun when its connection broke.
const NOT_BEGUN_WITHIN: Duration = Duration::from_millis(500);

/// The numbers of new connections, far from those of providers.
static NEW: AtomicU64 = AtomicU64::new(1 << 63);

/// Makes Pingora connect to the peer anew. The connection is not kept: nobody else would find it.
pub(in crate::proxy) fn connect_anew(peer: &mut HttpPeer) {
    peer.group_key = NEW.fetch_add(1, Ordering::Relaxed);
    peer.options.idle_timeout = Some(Duration::ZERO);
}

/// The times that a peer is excused for a kept connection.
const ONCE: usize = 1;

/// The times that a peer is excused that has not begun.
const A_FEW_TIMES: usize = 3;

/// Returns how often a peer is excused for an error, as far as it is one of its connection. HTTP/2 tells what it says of
/// one stream apart.
fn excuses(error: &Error, connection: ConnectionUse) -> usize {
    let is_of_connection = match error.etype() {
        ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed => true,
        ErrorType::H2Error => !error.root_cause().to_string().starts_with("stream error"),
        _ => false,
    };
    if matches!(error.etype(), ErrorType::H2Downgrade | ErrorType::InvalidH2) {
        return 0; // Pingora learns to speak HTTP/1 to the peer, but over its kept connections alone
    }
    match (error.esource(), &error.retry) {
        (ErrorSource::Upstream, RetryType::Decided(true)) => A_FEW_TIMES, // Pingora knows what HTTP/2 has not begun
        (ErrorSource::Upstream, _) if is_of_connection && connection == ConnectionUse::Kept => ONCE,
        _ => 0,
    }
}

/// The use of a connection before the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum ConnectionUse {
    /// It was made for the attempt.
    New,
    /// It had served another request.
    Kept,
}

/// Returns whether an answer over HTTP/1 says that its connection closes behind it.
fn closes(answer: &ResponseHeader) -> bool {
    let fields = answer.headers.get_all(header::CONNECTION).iter();
    let mut options = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    answer.version <= Version::HTTP_10 || options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Returns the error that ends an attempt whose answer the client is not to see.
pub(in crate::proxy) fn turned_down(status: StatusCode, again: RetryType) -> Box<Error> {
    let mut error = Error::new(ErrorType::HTTPStatus(status.as_u16())).into_up();
    error.retry = again;
    error
}

impl UpstreamAttempts {
    /// Returns whether the next attempt needs a new connection.
    pub(super) fn needs_new_connection(&self, session: &mut Session) -> bool {
        !self.excused.is_empty() || (self.body.bytes().is_none() && !session.as_downstream_mut().is_body_empty())
    }

    /// Prepares to ask the same peer again, where the attempt met a connection that had been closed; false where it did
    /// not, or where the peer was excused before.
    pub(in crate::proxy) fn again_after_stale(&mut self, session: &mut Session, error: &Error) -> bool {
        let times = excuses(error, self.connection);
        !self.has_answer && self.is_harmless_again(session, times) && self.excuse_peer(times)
    }

    /// Turns down the 408 with which a server closes an idle connection, where it came over a kept one: it may cross with
    /// a request.
    ///
    /// # Errors
    /// Where the same peer is to be asked again.
    pub(in crate::proxy) fn turn_down_idle_answer(
        &mut self,
        session: &mut Session,
        answer: &ResponseHeader,
    ) -> Result<()> {
        let is_again = answer.status == StatusCode::REQUEST_TIMEOUT
            && self.connection == ConnectionUse::Kept
            && closes(answer)
            && self.is_harmless_again(session, ONCE)
            && self.excuse_peer(ONCE);
        if is_again { Err(turned_down(answer.status, true.into())) } else { Ok(()) }
    }

    /// Returns whether the request is at hand for the peer once more, and may be done twice or was not begun.
    fn is_harmless_again(&self, session: &mut Session, times: usize) -> bool {
        let is_at_hand = self.body.bytes().is_some() || session.as_downstream_mut().is_body_empty();
        let is_soon = self.informed == 0 && self.started.elapsed() < NOT_BEGUN_WITHIN;
        let has_not_begun = times == A_FEW_TIMES || is_soon;
        let is_idempotent = session.req_header().method.is_idempotent();
        is_at_hand && (has_not_begun || is_idempotent || self.body.may_be_sent_again())
    }

    /// Prepares to ask the same peer again, where an HTTP/2 connection took no further request; false where something
    /// else failed.
    pub(in crate::proxy) fn again_after_closed(&mut self, error: &Error) -> bool {
        *error.etype() == ErrorType::H2Error && self.excuse_peer(ONCE)
    }

    /// Forgets that the last peer was tried, unless it was excused as often before.
    fn excuse_peer(&mut self, times: usize) -> bool {
        let Some(peer) = self.tried.last().copied() else { return false };
        if self.excused.iter().filter(|excused| **excused == peer).count() >= times {
            return false;
        }
        self.tried.pop();
        self.excused.push(peer);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_breaks_by_a_write_or_a_read_and_only_a_kept_one_is_excused() {
        for etype in [ErrorType::WriteError, ErrorType::ReadError, ErrorType::ConnectionClosed, ErrorType::H2Error] {
            let error = Error::new(etype).into_up();

            assert_eq!(excuses(&error, ConnectionUse::Kept), ONCE, "{error}");
            assert_eq!(excuses(&error, ConnectionUse::New), 0, "{error}");
        }
    }

    #[test]
    fn what_an_upstream_says_or_leaves_unsaid_is_no_fault_of_the_connection() {
        for etype in [ErrorType::ReadTimedout, ErrorType::WriteTimedout, ErrorType::InvalidHTTPHeader] {
            assert_eq!(excuses(&Error::new(etype).into_up(), ConnectionUse::Kept), 0);
        }
        let client = Error::new(ErrorType::ReadError).into_down();
        let stream = std::io::Error::other("stream error received: unexpected internal error encountered");
        let stream = Error::because(ErrorType::H2Error, "while reading", stream).into_up();

        assert_eq!([client, stream].map(|error| excuses(&error, ConnectionUse::Kept)), [0, 0]);
    }

    #[test]
    fn an_http_2_peer_that_has_not_begun_is_asked_again_over_whatever_connection() {
        let mut refused = Error::new(ErrorType::H2Error).into_up();
        refused.retry = true.into();

        assert_eq!(excuses(&refused, ConnectionUse::New), A_FEW_TIMES);
    }

    #[test]
    fn a_new_connection_is_nobody_else_s() {
        let mut peers = [1, 2].map(|_| HttpPeer::new("127.0.0.1:1", false, String::new()));

        peers.iter_mut().for_each(connect_anew);

        assert_ne!(peers[0].group_key, peers[1].group_key);
    }
}
