//! The way past Pingora's 64 KiB trap: an adapter that answers the retry buffer from a body of any size.
//!
//! `upstream_peer` runs before Pingora reads the body, so the body is read in `request_filter`. From then on stock
//! Pingora 0.9.1 forwards only what its retry buffer holds, which is capped at 64 KiB (`BODY_BUF_LIMIT`); a truncated
//! buffer means that the request hangs, and with no buffer `request_body_filter` is never called (cloudflare/pingora
//! #575, #780, PR #816).
//!
//! `Session::downstream_session` is a public field and [`HttpSession::Custom`] exists. So, for a window inside each
//! attempt, the real session is swapped for [`ReplaySession`], which owns it, delegates everything, and claims that the
//! body was read and that the retry buffer is the whole rewritten body: Pingora's own retry machinery then sends it.
//! The trait is `#[doc(hidden)]`: pingora is pinned, and `tests/e2e` holds the matrix of sizes, framings and protocols.
//!
//! [`SessionSwap::install`] at the end of `upstream_request_filter`, on every attempt; [`SessionSwap::restore`] is
//! idempotent and called wherever the window may end: `request_body_filter` (HTTP/2 upstream),
//! `upstream_response_filter`,
//! `error_while_proxy`, `fail_to_proxy`, `logging`. Swapping for the whole request is worse: keep-alive setters,
//! the authority policy and HTTP/2 stall watching stop working on a custom session.
//!
//! [`SessionSwap::hold`] and [`SessionSwap::withhold`] use the same stand-in on the way back: the one keeps an answer
//! from the client until something real of it has come, the other an error until its body has shown whether another
//! model could do better. A phase cannot, because the header leaves before the body comes.
//!
//! While it stands in, the adapter also keeps the time to the first byte: Pingora has one read timeout for the header
//! and for the stream, but a model that thinks for a minute is normal and a stream that pauses that long is not. Where
//! pauses are to be shorter than the wait for the first byte, or the whole answer has to end in time,
//! [`SessionSwap::watch`] lets it stand in once more and see to it.
//!
//! It also sees a client leave that has all of its answer, as SDKs do after the last event of a stream: then the upstream
//! gets a moment to come to its own end, so that its connection is kept.
//!
//! What is left to Pingora's one timeout, the longer of the two: the first byte of an HTTP/2 upstream for an HTTP/2
//! client, whose real session has to be there while the body is sent (see `request_body_filter`), and requests whose
//! body is not read but passed on. Of the latter, [`SessionSwap::pass`] bounds the pauses of HTTP/2 clients, for which
//! Pingora has no timeout at all; and [`SessionSwap::pass_switch`] keeps tunnels open whose upstream answers at once.

pub(super) mod checked;
mod replay;
mod rest;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use pingora::protocols::http::{HttpTask, ServerSession as HttpSession};
use pingora::proxy::Session;
use tokio::time::Instant;

use self::checked::{CheckedHold, PendingCheck};
use self::replay::{BodyPause, ReplaySession, SentBody};
use super::context_length::WithheldAnswer;
use super::withheld::{LONGEST_HOLD, UpstreamDeadlines, Withheld};
use crate::proxy::downstream::drain::CutSignal;
use crate::proxy::header_fields::TRANSLATED;

/// The slot in which a dropped [`ReplaySession`] leaves the real session, as `Box<dyn CustomSession>` cannot be downcast
/// to take it back; and the words on the answer that pass between it and the phases.
#[derive(Default)]
struct SessionSlot {
    session: Mutex<Option<Box<HttpSession>>>,
    /// An answer that is held may go out.
    is_released: AtomicBool,
    /// The last event of the answer has come.
    is_whole: AtomicBool,
    /// The client was sent it.
    has_delivered_all: AtomicBool,
    /// The words on the translation of an answer that is held, for its header.
    translation: Mutex<Option<HeaderValue>>,
    hold: CheckedHold,
}

impl SessionSlot {
    fn forget_note(&self) {
        *self.translation.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Puts the words on the translation into the header of an answer that goes out.
    fn say_translation(&self, tasks: &mut [HttpTask]) {
        let Some(HttpTask::Header(header, _)) = tasks.first_mut() else { return };
        let note = self.translation.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(note) = note.filter(|_| header.headers.contains_key(TRANSLATED)) {
            let _ = header.insert_header(TRANSLATED, note); // its name is one already
        }
    }
}

/// The limits within which a stream is held for a check.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct StreamHold {
    /// The longest that it is held.
    pub(in crate::proxy) longest: Duration,
    /// The pause between the comments that its client is sent.
    pub(in crate::proxy) comments: Duration,
}

/// Swaps the downstream session for a [`ReplaySession`] and back. Lives in the request context.
pub(in crate::proxy) struct SessionSwap {
    cut: CutSignal,
    slot: Arc<SessionSlot>,
    installed: bool,
    /// The stand-in waits for an upstream that may switch protocols.
    awaits_switch: bool,
    /// The moment in which the answer has to have begun.
    begins: Option<Instant>,
    /// The moment in which the attempt has to be over.
    ends: Option<Instant>,
}

impl SessionSwap {
    /// Makes the swap of a request that ends when `cut` says so.
    pub(in crate::proxy) fn new(cut: CutSignal) -> Self {
        Self { cut, slot: Arc::default(), installed: false, awaits_switch: false, begins: None, ends: None }
    }

    /// Makes `body` what Pingora sends upstream in this attempt, which fails if no answer starts within `wait`, or if it
    /// is not over within `total`.
    pub(in crate::proxy) fn install(
        &mut self,
        session: &mut Session,
        body: Bytes,
        wait: Duration,
        total: Option<Duration>,
    ) {
        let now = Instant::now();
        self.slot.is_whole.store(false, Ordering::Relaxed);
        self.ends = total.map(|total| now + total);
        self.begins = Some(now + total.map_or(wait, |total| total.min(wait)));
        let patience = UpstreamDeadlines { until: self.begins, pause: None };
        self.stand_in(session, body, patience, Withheld::Nothing);
    }

    /// Fails the attempt when a client of HTTP/2 pauses for longer than `limit` in a body that is passed on, until the
    /// answer begins.
    pub(in crate::proxy) fn pass(&mut self, session: &mut Session, limit: Duration) {
        let pause = BodyPause { limit, since: Instant::now() };
        self.stand_in_for(session, SentBody::Passing(pause), UpstreamDeadlines::default(), Withheld::Nothing);
    }

    /// Keeps the request's end from the upstream until it has said whether it switches protocols.
    pub(in crate::proxy) fn pass_switch(&mut self, session: &mut Session) {
        let body = SentBody::Switching { is_asked: false };
        self.stand_in_for(session, body, UpstreamDeadlines::default(), Withheld::Nothing);
        self.awaits_switch = true;
    }

    /// Keeps the answer that has just begun from the client until it is whole. Then it fails the attempt with
    /// [`WithheldAnswer`]'s error, or goes out as it came.
    pub(in crate::proxy) fn withhold(&mut self, session: &mut Session, answer: WithheldAnswer) {
        let withheld = Withheld::Error(answer);
        self.stand_in(session, Bytes::new(), UpstreamDeadlines::default(), withheld);
    }

    /// Keeps the answer that has just begun from the client until [`Self::release`], a stream for [`LONGEST_HOLD`] at
    /// most. Until then a stream is due as if it had not begun; from then on it may pause for `idle`.
    pub(in crate::proxy) fn hold(&mut self, session: &mut Session, idle: Option<Duration>, is_stream: bool) {
        self.slot.is_released.store(false, Ordering::Relaxed);
        self.slot.forget_note();
        self.slot.hold.await_beginning();
        let then = UpstreamDeadlines { until: self.ends, pause: idle.map(|idle| (idle, Instant::now())) };
        let begins = if is_stream { self.begins } else { self.ends };
        let until = is_stream.then(|| Instant::now() + LONGEST_HOLD);
        let patience = UpstreamDeadlines { until: begins, pause: None };
        self.stand_in(session, Bytes::new(), patience, Withheld::Opening { tasks: Vec::new(), until, then });
    }

    /// Keeps the answer that has just begun from the client until [`Self::release`], or until [`Self::check_by`]'s check lets
    /// it go; a stream within `limits`, while its client is sent comments.
    pub(in crate::proxy) fn hold_for_check(
        &mut self,
        session: &mut Session,
        idle: Option<Duration>,
        limits: Option<StreamHold>,
    ) {
        self.slot.is_released.store(false, Ordering::Relaxed);
        self.slot.forget_note();
        self.slot.hold.begin(limits.map(|limits| limits.comments));
        let then = UpstreamDeadlines { until: self.ends, pause: idle.map(|idle| (idle, Instant::now())) };
        let begins = if limits.is_some() { self.begins } else { self.ends };
        let until = limits.map(|limits| Instant::now() + limits.longest);
        let patience = UpstreamDeadlines { until: begins, pause: None };
        self.stand_in(session, Bytes::new(), patience, Withheld::Opening { tasks: Vec::new(), until, then });
    }

    /// Marks that something real has come of an answer that is checked.
    pub(in crate::proxy) fn note_begun(&self) {
        self.slot.hold.note_begun();
    }

    /// Has the answer, whose end is about to come, let out or failed by a check.
    pub(in crate::proxy) fn check_by(&self, check: PendingCheck) {
        self.slot.hold.check_by(check);
    }

    /// Returns whether an answer went out because it was held for as long as one may be.
    pub(in crate::proxy) fn has_expired(&self) -> bool {
        self.slot.hold.has_expired()
    }

    /// Returns whether the client has the header of an answer that nothing else of has gone out.
    pub(in crate::proxy) fn has_spoken(&self) -> bool {
        self.slot.hold.has_spoken()
    }

    /// Returns whether an answer that failed is at hand, should nobody else answer.
    pub(in crate::proxy) fn has_kept(&self) -> bool {
        self.slot.hold.has_kept()
    }

    /// Takes the answer that failed.
    pub(in crate::proxy) fn take_kept(&self) -> Option<Vec<HttpTask>> {
        self.slot.hold.take_kept()
    }

    /// Has the header of the answer that is held say this of its translation.
    pub(in crate::proxy) fn note_translation(&self, note: HeaderValue) {
        *self.slot.translation.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }

    /// Lets the answer out that is held, with the part of it that comes next.
    pub(in crate::proxy) fn release(&self) {
        if self.slot.hold.is_used() {
            self.slot.hold.fall_silent();
        }
        self.slot.is_released.store(true, Ordering::Relaxed);
    }

    /// Marks that the last event of the answer is about to go out: a client that leaves from then on has all of it, and
    /// the upstream may come to its own end.
    pub(in crate::proxy) fn answer_is_whole(&self) {
        self.slot.is_whole.store(true, Ordering::Relaxed);
    }

    /// Returns whether the client was sent the last event of its answer.
    pub(in crate::proxy) fn has_delivered_all(&self) -> bool {
        self.slot.has_delivered_all.load(Ordering::Relaxed)
    }

    /// Fails the attempt, whose answer has just begun, when the upstream pauses for longer than `idle`, or is not done
    /// in time. What `may_last` is watched for the end of a drain alone.
    pub(in crate::proxy) fn watch(&mut self, session: &mut Session, idle: Option<Duration>, may_last: bool) {
        if self.slot.hold.is_used() {
            self.slot.hold.fall_silent();
        }
        let patience = UpstreamDeadlines { until: self.ends, pause: idle.map(|idle| (idle, Instant::now())) };
        if may_last || patience.deadline().is_some() {
            self.stand_in(session, Bytes::new(), patience, Withheld::Nothing);
        }
    }

    fn stand_in(&mut self, session: &mut Session, body: Bytes, patience: UpstreamDeadlines, withheld: Withheld) {
        self.stand_in_for(session, SentBody::Whole(body), patience, withheld);
    }

    fn stand_in_for(&mut self, session: &mut Session, body: SentBody, patience: UpstreamDeadlines, withheld: Withheld) {
        self.restore(session);
        let inner = Some(std::mem::replace(&mut session.downstream_session, vacant()));
        let (slot, cut) = (Arc::clone(&self.slot), self.cut.clone());
        let replay = ReplaySession { inner, slot, cut, body, patience, withheld, rest: None };
        *session.downstream_session = HttpSession::Custom(Box::new(replay));
        self.installed = true;
    }

    /// Puts the real session back for an answer, unless it is an early one to a request that waits for a switch.
    pub(in crate::proxy) fn restore_for(&mut self, session: &mut Session, status: StatusCode) {
        let is_early = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
        if !(self.awaits_switch && is_early) {
            self.restore(session);
        }
    }

    /// Puts the real session back, if it is not there already.
    pub(in crate::proxy) fn restore(&mut self, session: &mut Session) {
        self.awaits_switch = false;
        if !std::mem::take(&mut self.installed) {
            return;
        }
        drop(std::mem::replace(&mut *session.downstream_session, HttpSession::Custom(Box::new(()))));
        let inner = self.slot.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        session.downstream_session = inner.expect("dropping the adapter fills the slot");
    }
}

/// A placeholder session; the inner box holds a zero-sized type and does not allocate.
fn vacant() -> Box<HttpSession> {
    Box::new(HttpSession::Custom(Box::new(())))
}
