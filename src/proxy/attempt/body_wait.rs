//! A wait that the body of an error asks for, as Google's do in place of `Retry-After`: the error is withheld until it is
//! whole, and what follows on it is decided then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pointsman_http_client::LONGEST_WAIT;
use pointsman_translation::DialectFamily;

use super::UpstreamAttempts;
use super::context_length::WithheldAnswer;
use crate::proxy::header_fields::SHOULD_RETRY;
use crate::upstream::is_of_upstream;

/// The most of an error that is looked through.
const MOST: usize = 64 << 10;

/// The search for a wait in an error that is withheld.
pub(in crate::proxy) struct BodyWait {
    family: DialectFamily,
    /// The error's status.
    pub(in crate::proxy) status: StatusCode,
    /// True where another attempt could send the whole body.
    pub(in crate::proxy) can_resend: bool,
    collected: BytesMut,
    told: WaitToTell,
}

/// The wait that the header of a withheld error is to tell, once it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct WaitToTell(Arc<AtomicU64>);

impl BodyWait {
    /// Takes a chunk of the error, before it is put into other words. Returns whether it is whole, or longer than any that
    /// asks for a wait.
    pub(in crate::proxy) fn push(&mut self, chunk: Option<&Bytes>, end_of_stream: bool) -> bool {
        self.collected.extend_from_slice(chunk.map(Bytes::as_ref).unwrap_or_default());
        end_of_stream || self.collected.len() > MOST
    }

    /// Returns the wait that the error asks for.
    pub(in crate::proxy) fn found(&self) -> Option<Duration> {
        self.family.retry_delay(&self.collected).map(|wait| wait.min(LONGEST_WAIT))
    }

    /// Has the client told to wait.
    pub(in crate::proxy) fn tell(&self, wait: Duration) {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.told.0.store(seconds.max(1), Ordering::Relaxed);
    }
}

impl WaitToTell {
    /// Says the wait in the header of the error that is let out.
    pub(super) fn say(&self, header: &mut ResponseHeader) {
        let seconds = self.0.load(Ordering::Relaxed);
        if seconds > 0 {
            let _ = header.insert_header(header::RETRY_AFTER, HeaderValue::from(seconds)); // a number is a value of every field
            header.remove_header(&SHOULD_RETRY);
        }
    }
}

impl UpstreamAttempts {
    /// Withholds an error of the upstream's whose body, of this API, may ask for a wait that its header does not. Returns
    /// whether it does.
    pub(in crate::proxy) fn withhold_for_wait(
        &mut self,
        session: &mut Session,
        status: StatusCode,
        family: Option<DialectFamily>,
    ) -> bool {
        let may_wait = is_of_upstream(status.as_u16()) && self.told_to_wait.is_none() && self.body.bytes().is_some();
        let Some(family) = family.filter(|family| may_wait && family.waits_by_body()) else { return false };
        let told = WaitToTell::default();
        let can_resend = self.can_resend(session);
        self.adapter.withhold(session, WithheldAnswer::telling(told.clone()));
        self.body_wait = Some(BodyWait { family, status, can_resend, collected: BytesMut::new(), told });
        true
    }

    /// Notes the wait that the error asks for.
    pub(in crate::proxy) const fn note_body_wait(&mut self, wait: Option<Duration>) {
        self.told_to_wait = wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> BodyWait {
        let (status, told) = (StatusCode::TOO_MANY_REQUESTS, WaitToTell::default());
        BodyWait { family: DialectFamily::Gemini, status, can_resend: true, collected: BytesMut::new(), told }
    }

    #[test]
    fn a_wait_is_found_in_an_error_that_comes_in_pieces_and_is_told_in_whole_seconds() {
        let mut search = search();
        let body = br#"{"error": {"code": 429, "details": [{"retryDelay": "2.5s"}]}}"#;
        let (first, rest) = body.split_at(30);

        assert!(!search.push(Some(&Bytes::from_static(first)), false));
        assert!(search.push(Some(&Bytes::from_static(rest)), true));
        let found = search.found().expect("a wait");
        search.tell(found);

        let mut header = ResponseHeader::build(429, None).expect("a header");
        search.told.say(&mut header);
        assert_eq!(found, Duration::from_millis(2500));
        assert_eq!(header.headers.get(header::RETRY_AFTER).map(HeaderValue::as_bytes), Some(&b"3"[..]));
    }

    #[test]
    fn no_wait_is_longer_than_any_header_may_ask_for_and_a_body_without_one_says_nothing() {
        let mut long = search();
        long.push(Some(&Bytes::from_static(br#"{"error": {"details": [{"retryDelay": "86400s"}]}}"#)), true);
        assert_eq!(long.found(), Some(LONGEST_WAIT));

        let mut none = search();
        assert!(none.push(Some(&Bytes::from(vec![b'x'; MOST + 1])), false));
        assert_eq!(none.found(), None);
        let mut header = ResponseHeader::build(429, None).expect("a header");
        none.told.say(&mut header);
        assert!(!header.headers.contains_key(header::RETRY_AFTER));
    }
}
