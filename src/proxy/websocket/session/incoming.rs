//! A client's connection, of which is known how much of a message has come and when.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::proxy::downstream::admission::BodyReservation;

/// The bytes of a control frame beside its payload: two of a header, four of a mask.
const CONTROL_HEADER: usize = 6;

/// The connection of a WebSocket. The memory of a message that has come in part is reserved.
#[derive(Debug)]
pub(super) struct MeteredStream {
    inner: Stream,
    memory: BodyReservation,
    /// The bytes that belong to no message yet.
    unread: usize,
    /// The moment at which the first of them came.
    since: Option<Instant>,
    /// The moment at which anything came last.
    last: Instant,
    written: Arc<AtomicUsize>,
}

/// Marks a message for which there is no memory.
#[derive(Debug, thiserror::Error)]
#[error("there is no memory left for the message")]
struct OverloadError;

/// Returns whether a read failed because there is no memory left.
pub(super) fn is_overload(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(source) if source.is::<OverloadError>())
}

impl MeteredStream {
    /// Makes one of which `early` bytes have come.
    pub(super) fn new(inner: Stream, early: usize, memory: BodyReservation) -> Self {
        let now = Instant::now();
        let written = Arc::default();
        Self { inner, memory, unread: early, since: (early > 0).then_some(now), last: now, written }
    }

    /// Notes that a message is complete.
    pub(super) fn message_ended(&mut self) {
        self.unread = 0;
        self.since = None;
        self.memory.settle(0);
    }

    /// Notes that a control message is complete, which may stand amid another message.
    pub(super) fn control_ended(&mut self, payload: usize) {
        self.unread = self.unread.saturating_sub(payload + CONTROL_HEADER);
        self.memory.settle(self.unread);
        if self.unread == 0 {
            self.since = None;
        }
    }

    /// Returns when the message began that has come in part, if there is one.
    pub(super) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Returns the count of the bytes that the client has taken.
    pub(super) fn written(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.written)
    }

    /// Returns when anything came last.
    pub(super) const fn last(&self) -> Instant {
        self.last
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if read > 0 {
            this.last = Instant::now();
            this.since.get_or_insert(this.last);
            this.unread += read;
            this.memory.cover(this.unread).map_err(|_| io::Error::other(OverloadError))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, buf))?;
        this.written.fetch_add(written, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_telemetry::Metrics;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::proxy::downstream::admission::Admission;

    #[tokio::test]
    async fn what_has_come_of_a_message_is_reserved_until_it_is_whole_and_bounded() {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        let (ours, mut theirs) = tokio::io::duplex(100);
        let mut stream = MeteredStream::new(Box::new(ours), 0, BodyReservation::new(&admission, 20));
        let mut buffer = [0; 16];

        theirs.write_all(&[0; 16]).await.expect("room");
        stream.read_exact(&mut buffer).await.expect("bytes");
        assert_eq!((admission.held(), stream.since().is_some()), (16, true));
        stream.control_ended(4);
        assert_eq!((admission.held(), stream.since().is_some()), (6, true));
        stream.message_ended();
        assert_eq!((admission.held(), stream.since().is_some()), (0, false));

        theirs.write_all(&[0; 32]).await.expect("room");
        stream.read_exact(&mut buffer).await.expect("bytes");
        assert!(is_overload(&stream.read_exact(&mut buffer).await.expect_err("there is no room for them")));
    }
}
