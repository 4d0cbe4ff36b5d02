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
//! What is left to Pingora's one timeout, the longer of the two: the first byte of an HTTP/2 upstream for an HTTP/2
//! client, whose real session has to be there while the body is sent (see `request_body_filter`), and requests whose
//! body is not read but passed on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
use pingora::proxy::Session;
use pingora::{Error, Result};
use tokio::time::Instant;

use crate::proxy::attempt::context_length::WithheldAnswer;
use crate::proxy::attempt::withheld::{UpstreamDeadlines, Withheld};
use crate::proxy::downstream::drain::CutSignal;
use crate::upstream::{CUT_OFF, SILENT};

/// The slot in which a dropped [`ReplaySession`] leaves the real session, as `Box<dyn CustomSession>` cannot be downcast
/// to take it back; and the word that an answer which is held may go out.
#[derive(Default)]
struct SessionSlot {
    session: Mutex<Option<Box<HttpSession>>>,
    is_released: AtomicBool,
}

/// Swaps the downstream session for a [`ReplaySession`] and back. Lives in the request context.
pub(in crate::proxy) struct SessionSwap {
    cut: CutSignal,
    slot: Arc<SessionSlot>,
    installed: bool,
    /// The moment in which the answer has to have begun.
    begins: Option<Instant>,
    /// The moment in which the attempt has to be over.
    ends: Option<Instant>,
}

/// A session whose request body was read already and can be sent any number of times.
struct ReplaySession {
    /// The real session; taken only by `drop`.
    inner: Option<Box<HttpSession>>,
    slot: Arc<SessionSlot>,
    cut: CutSignal,
    body: Bytes,
    patience: UpstreamDeadlines,
    withheld: Withheld,
}

impl SessionSwap {
    /// Makes the swap of a request that ends when `cut` says so.
    pub(in crate::proxy) fn new(cut: CutSignal) -> Self {
        Self { cut, slot: Arc::default(), installed: false, begins: None, ends: None }
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
        self.ends = total.map(|total| now + total);
        self.begins = Some(now + total.map_or(wait, |total| total.min(wait)));
        let patience = UpstreamDeadlines { until: self.begins, pause: None };
        self.stand_in(session, body, patience, Withheld::Nothing);
    }

    /// Keeps the answer that has just begun from the client until it is whole. Then it fails the attempt with
    /// [`WithheldAnswer`]'s error, or goes out as it came.
    pub(in crate::proxy) fn withhold(&mut self, session: &mut Session, answer: WithheldAnswer) {
        let withheld = Withheld::Error(answer);
        self.stand_in(session, Bytes::new(), UpstreamDeadlines::default(), withheld);
    }

    /// Keeps the answer that has just begun from the client until [`Self::release`]. Until then it is due as if it had
    /// not begun; from then on it may pause for `idle`.
    pub(in crate::proxy) fn hold(&mut self, session: &mut Session, idle: Option<Duration>) {
        self.slot.is_released.store(false, Ordering::Relaxed);
        let then = UpstreamDeadlines { until: self.ends, pause: idle.map(|idle| (idle, Instant::now())) };
        let patience = UpstreamDeadlines { until: self.begins, pause: None };
        self.stand_in(session, Bytes::new(), patience, Withheld::Opening { tasks: Vec::new(), then });
    }

    /// Lets the answer out that is held, with the part of it that comes next.
    pub(in crate::proxy) fn release(&self) {
        self.slot.is_released.store(true, Ordering::Relaxed);
    }

    /// Fails the attempt, whose answer has just begun, when the upstream pauses for longer than `idle`, or is not done
    /// in time. What `may_last` is watched for the end of a drain alone.
    pub(in crate::proxy) fn watch(&mut self, session: &mut Session, idle: Option<Duration>, may_last: bool) {
        let patience = UpstreamDeadlines { until: self.ends, pause: idle.map(|idle| (idle, Instant::now())) };
        if may_last || patience.deadline().is_some() {
            self.stand_in(session, Bytes::new(), patience, Withheld::Nothing);
        }
    }

    fn stand_in(&mut self, session: &mut Session, body: Bytes, patience: UpstreamDeadlines, withheld: Withheld) {
        self.restore(session);
        let inner = Some(std::mem::replace(&mut session.downstream_session, vacant()));
        let replay =
            ReplaySession { inner, slot: Arc::clone(&self.slot), cut: self.cut.clone(), body, patience, withheld };
        *session.downstream_session = HttpSession::Custom(Box::new(replay));
        self.installed = true;
    }

    /// Puts the real session back, if it is not there already.
    pub(in crate::proxy) fn restore(&mut self, session: &mut Session) {
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

impl ReplaySession {
    fn inner(&self) -> &HttpSession {
        self.inner.as_ref().expect("present until drop")
    }

    fn inner_mut(&mut self) -> &mut HttpSession {
        self.inner.as_mut().expect("present until drop")
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
    // The point of the adapter: the body was read, and all of it is in the retry buffer.

    fn is_body_done(&mut self) -> bool {
        true
    }

    fn is_body_empty(&mut self) -> bool {
        self.body.is_empty()
    }

    fn enable_retry_buffering(&mut self) {}

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        (!self.body.is_empty()).then(|| self.body.clone())
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    /// Waits for the client to leave, no longer than the upstream may be silent, or a drain lasts. Pingora polls this
    /// while it waits for the upstream, and starts it anew after each event: so the deadline is absolute.
    async fn read_body_or_idle(&mut self, _no_body_expected: bool) -> Result<Option<Bytes>> {
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

    async fn response_duplex_vec(&mut self, mut tasks: Vec<HttpTask>) -> Result<bool> {
        if self.slot.is_released.load(Ordering::Relaxed)
            && let Some(mut opening) = self.withheld.release()
        {
            self.patience = opening.then;
            opening.tasks.append(&mut tasks);
            tasks = opening.tasks;
        }
        let Some(tasks) = self.withheld.sift(tasks)? else { return Ok(false) }; // there is more to come
        let is_over = self.inner_mut().response_duplex_vec(tasks).await?;
        self.patience.renew();
        Ok(is_over)
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
