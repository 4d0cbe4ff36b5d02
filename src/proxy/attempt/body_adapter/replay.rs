//! The session that stands in for a client's: it sends a body that was read, or keeps the time of one that is passed on,
//! and sees what comes back first.

mod custom_session;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pingora::protocols::http::{HttpTask, ServerSession as HttpSession};
use pingora::{Error, ErrorSource, ErrorType, Result};
use tokio::time::Instant;

use super::SessionSlot;
use super::rest::AnswerRest;
use crate::proxy::attempt::withheld::{UpstreamDeadlines, Withheld, state_length};
use crate::proxy::downstream::drain::CutSignal;
use crate::upstream::{CUT_OFF, SILENT};

/// The body that a session sends.
pub(super) enum SentBody {
    /// All of it, which was read and can be sent any number of times.
    Whole(Bytes),
    /// The client's, as it comes.
    Passing(BodyPause),
    /// None, and no end of it either, as the request asks to switch protocols: Pingora takes an end that is sent beside an
    /// upstream's quick yes for the end of what was agreed on.
    Switching {
        /// The request's header is written, which Pingora frames as one without a body.
        is_asked: bool,
    },
}

/// The pause of a client that sends its body: Pingora bounds those of HTTP/1 alone.
pub(super) struct BodyPause {
    /// The longest that it may last.
    pub(super) limit: Duration,
    /// Its start.
    pub(super) since: Instant,
}

/// A session that sends its request's body.
pub(super) struct ReplaySession {
    /// The real session; taken only by `drop`.
    pub(super) inner: Option<Box<HttpSession>>,
    pub(super) slot: Arc<SessionSlot>,
    pub(super) cut: CutSignal,
    pub(super) body: SentBody,
    pub(super) patience: UpstreamDeadlines,
    pub(super) withheld: Withheld,
    /// The rest of the answer, once the client has left with all of it.
    pub(super) rest: Option<AnswerRest>,
}

impl ReplaySession {
    fn inner(&self) -> &HttpSession {
        self.inner.as_ref().expect("present until drop")
    }

    pub(super) fn inner_mut(&mut self) -> &mut HttpSession {
        self.inner.as_mut().expect("present until drop")
    }

    /// Reads on in a body that is passed on, within the pause that its client may make. Pingora starts it anew after each
    /// event, so the pause counts from the last bytes.
    async fn read_on(&mut self) -> Result<Option<Bytes>> {
        let Self { inner, body, .. } = self;
        let inner = inner.as_mut().expect("present until drop");
        let SentBody::Passing(pause) = body else { return Ok(None) };
        let Ok(read) = tokio::time::timeout_at(pause.since + pause.limit, inner.read_body_or_idle(false)).await else {
            return Err(Error::explain(ErrorType::ReadTimedout, "a client paused in its body").into_down());
        };
        pause.since = Instant::now();
        read
    }

    const fn is_whole(&self) -> bool {
        matches!(self.body, SentBody::Whole(_))
    }

    /// Waits for the client to leave, for the upstream's deadline or for the end of a drain.
    pub(super) async fn idle(&mut self) -> Result<Option<Bytes>> {
        let Self { inner, cut, patience, .. } = self;
        let inner = inner.as_mut().expect("present until drop");
        let deadline = patience.deadline();
        tokio::select! {
            biased;
            left = inner.read_body_or_idle(true) => left,
            () = async { tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)).await }, if deadline.is_some() => {
                Error::e_explain(SILENT, "while waiting for the upstream")
            }
            () = cut.fell() => Error::e_explain(CUT_OFF, "at the end of the drain"),
        }
    }

    /// Goes on without the client, if it has left with the whole answer; else fails with its error.
    fn without_client(&mut self, left: Box<Error>) -> Result<&mut AnswerRest> {
        let is_of_client = *left.esource() != ErrorSource::Upstream && ![SILENT, CUT_OFF].contains(left.etype());
        if !is_of_client || !self.slot.has_delivered_all.load(Ordering::Relaxed) {
            return Err(left);
        }
        Ok(self.rest.get_or_insert_with(AnswerRest::new))
    }

    /// Waits for the client to leave, and meanwhile lets out what was held for long enough.
    async fn attend(&mut self) -> Result<Option<Bytes>> {
        self.finish_writing().await?;
        if self.slot.hold.is_used() {
            return self.attend_held().await;
        }
        if let Some(until) = self.withheld.held_until() {
            tokio::select! {
                biased;
                idled = self.idle() => return idled,
                () = tokio::time::sleep_until(until) => {}
            }
            self.let_out().await?;
        }
        self.idle().await
    }

    /// Passes on what came, unless it is withheld; returns whether the answer is over.
    async fn pass(&mut self, mut tasks: Vec<HttpTask>) -> Result<bool> {
        self.finish_writing().await?;
        if self.slot.hold.is_used() {
            tasks = self.checked(tasks).await?;
        }
        if self.slot.is_released.load(Ordering::Relaxed)
            && let Some(mut opening) = self.withheld.release()
        {
            self.patience = opening.then;
            opening.tasks.append(&mut tasks);
            tasks = opening.tasks;
        }
        let Some(mut tasks) = self.withheld.sift(tasks)? else {
            if let Some(deadlines) = self.withheld.deadlines_of_whole() {
                self.patience = deadlines;
                self.patience.renew();
            }
            return Ok(false); // there is more to come
        };
        self.slot.say_translation(&mut tasks);
        state_length(&mut tasks);
        let is_over = self.inner_mut().response_duplex_vec(tasks).await?;
        self.patience.renew();
        if self.slot.is_whole.load(Ordering::Relaxed) {
            self.slot.has_delivered_all.store(true, Ordering::Relaxed);
        }
        Ok(is_over)
    }

    /// Lets out an opening that was held for as long as one may be. Cancel-safe: Pingora's queue of a connection keeps
    /// what is not written, and an HTTP/2 stream that has just begun takes an opening at once.
    pub(super) async fn let_out(&mut self) -> Result<()> {
        let Some(opening) = self.withheld.release() else { return Ok(()) };
        self.patience = opening.then;
        self.patience.renew();
        let inner = self.inner_mut();
        if !matches!(inner, HttpSession::H1(_)) {
            return inner.response_duplex_vec(opening.tasks).await.map(drop);
        }
        for task in opening.tasks {
            inner.send_downstream_proxy_task(task);
        }
        self.finish_writing().await
    }

    /// Writes what [`Self::let_out`] has left.
    pub(super) async fn finish_writing(&mut self) -> Result<()> {
        while self.inner().has_pending_downstream_proxy_tasks() {
            self.inner_mut().write_downstream_proxy_tasks().await?;
        }
        Ok(())
    }
}

impl Drop for ReplaySession {
    fn drop(&mut self) {
        // A task that was cancelled drops the slot with its last owner, and so closes the connection.
        *self.slot.session.lock().unwrap_or_else(PoisonError::into_inner) = self.inner.take();
    }
}
