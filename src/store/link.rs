//! The bytes between the server and the client library: a connection whose answers are bounded.
//!
//! The library reads an answer whole, however long it is, so that a server that never ends one could take all memory.
//! Here the bytes since the last answer are counted, and the connection fails beyond what the answers under way may be.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use pointsman_http_client::{ServerTrust, TlsTerms, secured};
use redis::{ConnectionAddr, ConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// The largest answer: more than a pin, the state of a control loop or a kept answer ever is.
pub(super) const MAX_ANSWER: usize = 64 << 10;

/// The bytes that a server may still send.
#[derive(Debug, Default)]
pub(super) struct AnswerBudget {
    /// Commands whose answers are awaited.
    awaited: AtomicUsize,
    /// Bytes since the last whole answer.
    read: AtomicUsize,
}

/// A connection's bytes, either way.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A connection that fails when an answer is too long.
pub(super) struct BoundedStream {
    inner: Box<dyn ByteStream>,
    budget: Arc<AnswerBudget>,
}

impl AnswerBudget {
    /// Notes that so many more answers are awaited.
    pub(super) fn expect(&self, answers: usize) {
        self.awaited.fetch_add(answers, Ordering::Relaxed);
    }

    /// Notes that so many answers are awaited no longer.
    pub(super) fn give_up(&self, answers: usize) {
        self.awaited.fetch_sub(answers, Ordering::Relaxed);
    }

    /// Notes that so many answers have come.
    pub(super) fn answered(&self, answers: usize) {
        self.read.store(0, Ordering::Relaxed);
        self.give_up(answers);
    }

    /// Notes bytes; fails once they are more than the awaited answers may have.
    fn take(&self, bytes: usize) -> io::Result<()> {
        let read = self.read.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let awaited = self.awaited.load(Ordering::Relaxed).max(1);
        if read <= awaited.saturating_mul(MAX_ANSWER) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of more than {MAX_ANSWER} bytes")))
    }
}

impl BoundedStream {
    /// Connects to the server.
    ///
    /// # Errors
    /// When it cannot be reached, or is not to be trusted.
    pub(super) async fn connect(
        server: &ConnectionInfo,
        trust: &ServerTrust,
        budget: Arc<AnswerBudget>,
    ) -> io::Result<Self> {
        let inner: Box<dyn ByteStream> = match server.addr() {
            ConnectionAddr::Tcp(host, port) => Box::new(tcp(host, *port).await?),
            ConnectionAddr::TcpTls { host, port, .. } => {
                let terms = TlsTerms { server_name: host.clone(), trust: trust.clone(), identity: None };
                Box::new(secured(tcp(host, *port).await?, &terms).await.map_err(io::Error::other)?)
            }
            ConnectionAddr::Unix(path) => Box::new(unix(path).await?),
            other => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{other} cannot be reached"))),
        };
        Ok(Self { inner, budget })
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

impl AsyncRead for BoundedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = read.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, read))?;
        Poll::Ready(self.budget.take(read.filled().len() - before))
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_answers_as_are_awaited_may_be_as_long_as_one_may() {
        let budget = AnswerBudget::default();
        budget.expect(2);

        assert!(budget.take(2 * MAX_ANSWER).is_ok());
        budget.answered(1);
        assert!(budget.take(MAX_ANSWER).is_ok());
        assert!(budget.take(1).is_err());
    }

    #[test]
    fn an_answer_that_nobody_waits_for_any_more_has_no_room_of_its_own() {
        let budget = AnswerBudget::default();
        budget.expect(2);
        budget.give_up(1);

        assert!(budget.take(MAX_ANSWER).is_ok() && budget.take(1).is_err());
    }
}
