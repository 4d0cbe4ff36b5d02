//! The session that stands in for a client's: it sends a body that was read, or keeps the time of one that is passed on,
//! and sees what comes back first.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as CustomSession;
use pingora::protocols::http::{HttpTask, ServerSession as HttpSession};
use pingora::protocols::l4::socket::SocketAddr;
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

#[async_trait]
impl CustomSession for ReplaySession {
    // The point of the adapter: the body was read, and all of it is in the retry buffer. One that is passed on is the
    // real session's.

    fn is_body_done(&mut self) -> bool {
        self.is_whole() || self.inner_mut().is_body_done()
    }

    fn is_body_empty(&mut self) -> bool {
        match &self.body {
            SentBody::Whole(body) => body.is_empty(),
            SentBody::Passing(_) => self.inner_mut().is_body_empty(),
        }
    }

    fn enable_retry_buffering(&mut self) {
        if !self.is_whole() {
            self.inner_mut().enable_retry_buffering();
        }
    }

    fn retry_buffer_truncated(&self) -> bool {
        !self.is_whole() && self.inner().retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        match &self.body {
            SentBody::Whole(body) => (!body.is_empty()).then(|| body.clone()),
            SentBody::Passing(_) => self.inner().get_retry_buffer(),
        }
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read_on().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        if self.is_whole() { Ok(()) } else { self.inner_mut().drain_request_body().await }
    }

    /// Waits for the client to leave, no longer than the upstream may be silent, or a drain lasts. Pingora polls this
    /// while it waits for the upstream, and starts it anew after each event: so the deadline is absolute.
    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && !self.is_whole() {
            return self.read_on().await;
        }
        if self.rest.is_none() {
            match self.attend().await {
                Err(left) => self.without_client(left)?,
                waited => return waited,
            };
        }
        self.rest.as_ref().expect("the client has left").expired().await
    }

    // No custom messages. The writer must be `None`: with a writer and no reader Pingora fails the request.

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    // Everything else is the real session's. An empty body to an HTTP/2 upstream keeps the adapter in place until
    // `upstream_response_filter`, so nothing here may be unreachable.

    fn req_header(&self) -> &RequestHeader {
        self.inner().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner_mut().req_header_mut()
    }

    async fn write_response_header(&mut self, header: Box<ResponseHeader>, _end: bool) -> Result<()> {
        self.inner_mut().write_response_header(header).await
    }

    async fn write_response_header_ref(&mut self, header: &ResponseHeader, _end: bool) -> Result<()> {
        self.inner_mut().write_response_header_ref(header).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.inner_mut().write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner_mut().write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        if let Some(rest) = &mut self.rest {
            return rest.take(&tasks);
        }
        let has_end = AnswerRest::has_end(&tasks);
        match self.pass(tasks).await {
            Err(left) => self.without_client(left).map(|_| has_end),
            passed => passed,
        }
    }

    /// A withheld answer takes the plain way out, where it can be seen.
    fn proxy_tasks_enabled(&self) -> bool {
        matches!(self.withheld, Withheld::Nothing) && self.inner().supports_proxy_task_api()
    }

    fn set_proxy_tasks_enabled(&mut self, enabled: bool) {
        self.inner_mut().set_proxy_tasks_enabled(enabled);
    }

    fn send_proxy_task(&mut self, task: HttpTask) {
        self.inner_mut().send_downstream_proxy_task(task);
    }

    fn has_pending_proxy_tasks(&self) -> bool {
        self.inner().has_pending_downstream_proxy_tasks()
    }

    async fn write_proxy_tasks(&mut self) -> Result<bool> {
        self.inner_mut().write_downstream_proxy_tasks().await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner().get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner().get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner().request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner().response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.inner_mut().shutdown().await;
    }

    async fn finish(&mut self) -> Result<()> {
        if self.rest.is_some() {
            return Ok(()); // nobody reads it
        }
        self.inner_mut().finish_body().await
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner().server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner().to_h1_raw()
    }

    fn is_upgrade_req(&self) -> bool {
        self.inner().is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.inner().was_upgraded()
    }
}
