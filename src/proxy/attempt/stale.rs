//! Kept connections that the upstream had closed: the request goes to the same peer once more, over a new one.
//!
//! An upstream may close an idle connection in the moment in which a request is written to it. Then the write fails, or
//! the read, and nothing of an answer has come. That is how keep-alive works, and says nothing about the peer: it is
//! neither a failure of its, nor an attempt that `retry` counts, once for each peer.
//!
//! What cannot be sent twice, because it is passed on as it comes, does not meet such a connection: it gets a new one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, RetryType};

use super::UpstreamAttempts;

/// The time within which what must not be done twice was not begun when its connection broke.
const NOT_BEGUN_WITHIN: Duration = Duration::from_millis(500);

/// The numbers of new connections, far from those of providers.
static NEW: AtomicU64 = AtomicU64::new(1 << 63);

/// Makes Pingora connect to the peer anew. The connection is not kept: nobody else would find it.
pub(super) fn connect_anew(peer: &mut HttpPeer) {
    peer.group_key = NEW.fetch_add(1, Ordering::Relaxed);
    peer.options.idle_timeout = Some(Duration::ZERO);
}

/// Returns whether an attempt failed because of its connection. HTTP/2 tells what it says of one stream apart, and what
/// it has not begun.
fn is_of_connection(error: &Error, connection: ConnectionUse) -> bool {
    if *error.esource() != ErrorSource::Upstream {
        return false;
    }
    match error.etype() {
        _ if matches!(error.retry, RetryType::Decided(true)) => true, // an HTTP/2 peer that has not begun, and says so
        _ if connection == ConnectionUse::New => false,
        ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed => true,
        ErrorType::H2Error => !error.root_cause().to_string().starts_with("stream error"),
        _ => false,
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

impl UpstreamAttempts {
    /// Returns whether the next attempt needs a new connection.
    pub(super) fn needs_new_connection(&self, session: &mut Session) -> bool {
        !self.excused.is_empty() || (self.body.bytes().is_none() && !session.as_downstream_mut().is_body_empty())
    }

    /// Prepares to ask the same peer again, where the attempt met a connection that had been closed; false where it did
    /// not, or where the peer was excused before.
    pub(in crate::proxy) fn again_after_stale(
        &mut self,
        session: &mut Session,
        error: &Error,
        connection: ConnectionUse,
    ) -> bool {
        if self.has_answer || !is_of_connection(error, connection) {
            return false;
        }
        let is_at_hand = self.body.bytes().is_some() || session.as_downstream_mut().is_body_empty();
        let may_be_sent = self.body.may_be_sent_again() || self.started.elapsed() < NOT_BEGUN_WITHIN;
        is_at_hand && may_be_sent && self.excuse_peer()
    }

    /// Prepares to ask the same peer again, where an HTTP/2 connection took no further request; false where something
    /// else failed.
    pub(in crate::proxy) fn again_after_closed(&mut self, error: &Error) -> bool {
        *error.etype() == ErrorType::H2Error && self.excuse_peer()
    }

    fn excuse_peer(&mut self) -> bool {
        let Some(peer) = self.tried.last().copied().filter(|peer| !self.excused.contains(peer)) else { return false };
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

            assert!(is_of_connection(&error, ConnectionUse::Kept), "{error}");
            assert!(!is_of_connection(&error, ConnectionUse::New), "{error}");
        }
    }

    #[test]
    fn what_an_upstream_says_or_leaves_unsaid_is_no_fault_of_the_connection() {
        for etype in [ErrorType::ReadTimedout, ErrorType::WriteTimedout, ErrorType::InvalidHTTPHeader] {
            assert!(!is_of_connection(&Error::new(etype).into_up(), ConnectionUse::Kept));
        }
        let client = Error::new(ErrorType::ReadError).into_down();
        let stream = std::io::Error::other("stream error received: unexpected internal error encountered");
        let stream = Error::because(ErrorType::H2Error, "while reading", stream).into_up();

        assert!(!is_of_connection(&client, ConnectionUse::Kept));
        assert!(!is_of_connection(&stream, ConnectionUse::Kept));
    }

    #[test]
    fn an_http_2_peer_that_has_not_begun_is_asked_again_over_whatever_connection() {
        let mut refused = Error::new(ErrorType::H2Error).into_up();
        refused.retry = true.into();

        assert!(is_of_connection(&refused, ConnectionUse::New));
    }

    #[test]
    fn a_new_connection_is_nobody_else_s() {
        let mut peers = [1, 2].map(|_| HttpPeer::new("127.0.0.1:1", false, String::new()));

        peers.iter_mut().for_each(connect_anew);

        assert_ne!(peers[0].group_key, peers[1].group_key);
    }
}
