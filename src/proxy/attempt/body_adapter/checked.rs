//! An answer that is held until it was checked: the words on it that pass between the phases and the session that stands
//! in, and what its client gets meanwhile.
//!
//! The phases read the answer and say what is to become of it. A check that must ask somebody is a future, which the
//! session waits for when the answer has ended: no phase can, since none of those that see a body may wait. The client of
//! a stream that is held for long gets comments, after the header: from then on the header is out, whoever answers.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::{HttpTask, ServerSession as HttpSession};
use pingora::{Error, Result};
use tokio::time::Instant;

use super::replay::ReplaySession;
use crate::proxy::attempt::withheld::{UpstreamDeadlines, Withheld};
use crate::upstream::{CUT_OFF, ESCALATED};

/// A check that ends with whether the client may have the answer.
pub(in crate::proxy) type PendingCheck = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A comment of an event stream.
const COMMENT: Bytes = Bytes::from_static(b": checking\n\n");

/// The field that says of an answer whose header is out that it may become another model's.
const ESCALATED_FIELD: &str = "x-pointsman-escalated";

/// The words on an answer that is checked.
#[derive(Default)]
pub(super) struct CheckedHold {
    /// True once an answer of the request was to be checked.
    is_used: AtomicBool,
    /// True once something real of the answer has come, so that it may pause as an answer may.
    has_begun: AtomicBool,
    /// True once the answer went out because it was held for as long as one may be.
    has_expired: AtomicBool,
    /// True once the client has a header and a comment.
    has_spoken: AtomicBool,
    /// The next comment, while there are to be some.
    comments: Mutex<Option<NextComment>>,
    check: Mutex<Option<PendingCheck>>,
    /// The answer that failed, which the client gets where nobody else answers.
    kept: Mutex<Option<Vec<HttpTask>>>,
}

/// The next comment of a held stream.
#[derive(Debug, Clone, Copy)]
struct NextComment {
    at: Instant,
    pause: Duration,
}

impl CheckedHold {
    /// Begins to hold an answer; `pause` is that between comments, where its client can be sent some.
    pub(super) fn begin(&self, pause: Option<Duration>) {
        self.is_used.store(true, Ordering::Relaxed);
        self.has_begun.store(false, Ordering::Relaxed);
        *locked(&self.comments) = pause.map(|pause| NextComment { at: Instant::now() + pause, pause });
    }

    /// Returns whether an answer of the request was to be checked.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Marks that nothing of the answer that is held next has come, whose model is another one.
    pub(super) fn await_beginning(&self) {
        self.has_begun.store(false, Ordering::Relaxed);
    }

    pub(super) fn note_begun(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_expired(&self) -> bool {
        self.has_expired.load(Ordering::Relaxed)
    }

    pub(super) fn has_spoken(&self) -> bool {
        self.has_spoken.load(Ordering::Relaxed)
    }

    /// Ends the comments, and lets go of an answer that failed: an answer goes out.
    pub(super) fn fall_silent(&self) {
        (*locked(&self.comments), *locked(&self.kept)) = (None, None);
    }

    pub(super) fn check_by(&self, check: PendingCheck) {
        *locked(&self.check) = Some(check);
    }

    pub(super) fn has_kept(&self) -> bool {
        locked(&self.kept).is_some()
    }

    pub(super) fn take_kept(&self) -> Option<Vec<HttpTask>> {
        locked(&self.kept).take()
    }

    fn next_comment(&self) -> Option<Instant> {
        locked(&self.comments).map(|next| next.at)
    }

    fn note_comment(&self) {
        if let Some(next) = &mut *locked(&self.comments) {
            next.at = Instant::now() + next.pause;
        }
    }
}

impl ReplaySession {
    /// Waits as [`Self::idle`] does, and meanwhile sends comments, or lets out what was held for long enough.
    pub(super) async fn attend_held(&mut self) -> Result<Option<Bytes>> {
        loop {
            let (comment, until) = (self.slot.hold.next_comment(), self.withheld.held_until());
            let Some(wake) = comment.into_iter().chain(until).min() else { return self.idle().await };
            tokio::select! {
                biased;
                idled = self.idle() => return idled,
                () = tokio::time::sleep_until(wake) => {}
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                self.slot.hold.has_expired.store(true, Ordering::Relaxed);
                self.slot.hold.fall_silent();
                self.let_out().await?;
            } else {
                self.comment().await?;
            }
        }
    }

    /// Takes what came of an answer that is checked, and returns what may go out of it.
    ///
    /// # Errors
    /// [`ESCALATED`] where the answer has failed; the client's, where it left meanwhile.
    pub(super) async fn checked(&mut self, mut tasks: Vec<HttpTask>) -> Result<Vec<HttpTask>> {
        if self.slot.hold.has_spoken() {
            tasks.retain(|task| !matches!(task, HttpTask::Header(..)));
        }
        let check = locked(&self.slot.hold.check).take();
        let Some(check) = check else {
            if self.slot.hold.has_begun.load(Ordering::Relaxed)
                && let Withheld::Opening { then, .. } = &self.withheld
            {
                self.patience = *then;
                self.patience.renew();
            }
            return Ok(tasks);
        };
        self.withheld.add(tasks);
        let is_good = self.outcome(check).await?;
        let held = self.withheld.release().map(|opening| opening.tasks).unwrap_or_default();
        if is_good {
            self.slot.hold.fall_silent();
            return Ok(held);
        }
        *locked(&self.slot.hold.kept) = Some(held);
        Err(Error::explain(ESCALATED, "the answer has failed a check").into_up())
    }

    /// Waits for a check, while the client stays.
    async fn outcome(&mut self, mut check: PendingCheck) -> Result<bool> {
        loop {
            let comment = self.slot.hold.next_comment();
            let cut = self.cut.clone();
            tokio::select! {
                biased;
                is_good = &mut check => return Ok(is_good),
                left = self.inner_mut().read_body_or_idle(true) => match left {
                    Err(left) => return Err(left),
                    Ok(_) => return Ok(check.await),
                },
                () = cut.fell() => return Error::e_explain(CUT_OFF, "at the end of the drain"),
                () = async { tokio::time::sleep_until(comment.unwrap_or_else(Instant::now)).await }, if comment.is_some() => {}
            }
            self.comment().await?;
        }
    }

    /// Sends the client of a held stream a comment, after the header if that is not out yet.
    async fn comment(&mut self) -> Result<()> {
        self.slot.hold.note_comment();
        let mut tasks = Vec::new();
        if !self.slot.hold.has_spoken() {
            let Some(mut header) = self.withheld.take_stream_header() else { return Ok(()) };
            header.insert_header(ESCALATED_FIELD, HeaderValue::from_static("pending"))?;
            self.slot.hold.has_spoken.store(true, Ordering::Relaxed);
            tasks.push(HttpTask::Header(header, false));
        }
        tasks.push(HttpTask::Body(Some(COMMENT), false));
        let inner = self.inner_mut();
        if !matches!(inner, HttpSession::H1(_)) {
            return inner.response_duplex_vec(tasks).await.map(drop);
        }
        for task in tasks {
            inner.send_downstream_proxy_task(task);
        }
        self.finish_writing().await
    }
}

impl Withheld {
    /// Adds to an opening that is held.
    fn add(&mut self, mut more: Vec<HttpTask>) {
        match self {
            Self::Opening { tasks, .. } => tasks.append(&mut more),
            other => *other = Self::Opening { tasks: more, until: None, then: UpstreamDeadlines::default() },
        }
    }

    /// Takes the header out of an opening that is a stream of events.
    fn take_stream_header(&mut self) -> Option<Box<ResponseHeader>> {
        let Self::Opening { tasks, .. } = self else { return None };
        let is_stream = |answer: &ResponseHeader| {
            let kind = answer.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
            kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
        };
        let place =
            tasks.iter().position(|task| matches!(task, HttpTask::Header(header, false) if is_stream(header)))?;
        match tasks.remove(place) {
            HttpTask::Header(header, _) => Some(header),
            _ => None,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
