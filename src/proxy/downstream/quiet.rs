//! The end of connections over HTTP/1 that wait for a request: once a drain is over they close, each when it has been
//! quiet for a moment.
//!
//! A connection that is closed the moment in which its client sends is a request lost. So each gets [`QUIET`] to bring
//! one more; what it brings is answered. And it is closed as TCP wants it: the end is sent, then what may still come is
//! read until the client closes too, since a socket that is closed on unread bytes resets the connection.

use std::collections::HashMap;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use pingora::apps::ReusedHttpStream;
use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::proxy::websocket::UpgradedConnection;

/// The time for which a connection has to be quiet before it is closed.
const QUIET: Duration = Duration::from_millis(500);

/// The time that a client may take to close its side too.
const LINGER: Duration = Duration::from_secs(1);

/// The end of the connections that wait for a request, which begins once.
#[derive(Debug, Default)]
pub(in crate::proxy) struct QuietEnd {
    has_begun: AtomicBool,
    begun: Notify,
    connections: Mutex<HashMap<u64, Arc<ConnectionState>>>,
    next: AtomicU64,
}

/// The state of a connection that its requests share with its stream.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// Odd while the connection has a request.
    turns: AtomicU32,
    /// Wakes the task that waits for a request.
    waiting: AtomicWaker,
    /// The stream of a request that failed and was answered all the same.
    kept: Mutex<Option<ReusedHttpStream>>,
    /// The stream of a request that was answered by the end of HTTP.
    upgraded: Mutex<Option<Box<UpgradedConnection>>>,
}

/// A connection that is told when the end begins; dropping it forgets the connection.
#[derive(Debug)]
pub(super) struct KnownConnection {
    end: Arc<QuietEnd>,
    id: u64,
}

/// The closing of a connection that waits for a request, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct QuietClose {
    /// Runs while nothing comes.
    quiet: Option<Pin<Box<Sleep>>>,
    /// Runs once the end is being sent, and what may still come is read.
    linger: Option<Pin<Box<Sleep>>>,
    is_sent: bool,
}

impl QuietEnd {
    /// Begins the end.
    pub(in crate::proxy) fn begin(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        self.begun.notify_waiters();
        self.connections().values().for_each(|connection| connection.waiting.wake());
    }

    /// Tells a connection from now on.
    pub(super) fn know(self: &Arc<Self>, connection: &Arc<ConnectionState>) -> KnownConnection {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.connections().insert(id, Arc::clone(connection));
        KnownConnection { end: Arc::clone(self), id }
    }

    /// Waits until a connection has been quiet for long enough, which is quiet from now on.
    pub(super) async fn of_silent(&self) {
        let mut begun = pin!(self.begun.notified());
        begun.as_mut().enable(); // before the flag is read, so that the beginning is not missed
        if !self.has_begun.load(Ordering::SeqCst) {
            begun.await;
        }
        tokio::time::sleep(QUIET).await;
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<ConnectionState>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KnownConnection {
    fn drop(&mut self) {
        self.end.connections().remove(&self.id);
    }
}

impl ConnectionState {
    /// Marks that a request's header has come.
    pub(super) fn request_began(&self) {
        self.turns.fetch_or(1, Ordering::Relaxed);
    }

    /// Marks that the request is over, and the next one may come.
    pub(super) fn request_ended(&self) {
        if self.has_request() {
            self.turns.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps the stream for the next request.
    pub(super) fn keep(&self, stream: ReusedHttpStream) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }

    /// Takes the stream that was kept.
    pub(super) fn take_kept(&self) -> Option<ReusedHttpStream> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the connection for those who speak by WebSocket.
    pub(super) fn keep_upgraded(&self, connection: UpgradedConnection) {
        *self.upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(connection));
    }

    /// Takes the connection that was kept for them.
    pub(super) fn take_upgraded(&self) -> Option<Box<UpgradedConnection>> {
        self.upgraded.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Counts the turns of the connection: from waiting to a request, and back.
    pub(super) fn turns(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Returns whether the connection has a request.
    pub(super) fn has_request(&self) -> bool {
        self.turns() % 2 == 1
    }
}

impl QuietClose {
    /// Starts afresh, as something has come.
    pub(super) fn reset(&mut self) {
        self.quiet = None;
    }

    /// Returns whether the end is being sent.
    pub(super) const fn is_closing(&self) -> bool {
        self.linger.is_some()
    }

    /// Waits for the quiet of a connection of which nothing has come for now.
    pub(super) fn poll_quiet(&mut self, cx: &mut Context<'_>, end: &QuietEnd, state: &ConnectionState) -> Poll<()> {
        state.waiting.register(cx.waker()); // before the flag is read, so that the beginning is not missed
        if !end.has_begun.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(tokio::time::sleep(QUIET)));
        ready!(quiet.as_mut().poll(cx));
        self.linger = Some(Box::pin(tokio::time::sleep(LINGER)));
        Poll::Ready(())
    }

    /// Sends the end, and reads what comes until the client has closed its side too, or has had the time.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<()> {
        let Some(linger) = &mut self.linger else { return Poll::Ready(()) };
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.is_sent {
            self.is_sent = true;
            let sent: io::Result<()> = ready!(Pin::new(&mut *stream).poll_shutdown(cx));
            if sent.is_err() {
                return Poll::Ready(());
            }
        }
        let mut dropped = [0; 512];
        loop {
            let mut dropped = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut dropped));
            if read.is_err() || dropped.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_turns_between_waiting_and_a_request() {
        let state = ConnectionState::default();
        assert!(!state.has_request());

        state.request_began();
        state.request_began();
        assert!(state.has_request());
        state.request_ended();
        state.request_ended();

        assert!(!state.has_request());
        assert_eq!(state.turns(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_reaches_who_waits_for_it_and_who_comes_later() {
        let end = Arc::new(QuietEnd::default());
        let waiting = tokio::spawn({
            let end = Arc::clone(&end);
            async move { end.of_silent().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());

        end.begin();

        waiting.await.expect("it was told");
        end.of_silent().await;
    }

    #[test]
    fn a_connection_that_is_gone_is_forgotten() {
        let end = Arc::new(QuietEnd::default());
        let known = end.know(&Arc::default());
        assert_eq!(end.connections().len(), 1);

        drop(known);

        assert!(end.connections().is_empty());
    }
}
