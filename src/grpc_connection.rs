//! Connections of listeners that speak gRPC: plain, or within TLS, each with its place among those that are open.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use crate::certificates::GrpcServerTls;

/// The time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The bytes of a connection: plain, or those within TLS.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection; its place is free when it is dropped.
pub(crate) struct GrpcConnection<P> {
    inner: Box<dyn ByteStream>,
    _place: P,
}

impl<P> GrpcConnection<P> {
    /// Makes the handshake, where there is one to make; returns `None` when it fails or takes ten seconds: also where a
    /// client has to show a certificate and does not.
    pub(crate) async fn open(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        place: P,
        tls: Option<&GrpcServerTls>,
    ) -> Option<Self> {
        let Some(tls) = tls else { return Some(Self { inner: Box::new(stream), _place: place }) };
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => Some(Self { inner: Box::new(stream), _place: place }),
            Ok(Err(error)) => {
                tracing::debug!(%error, "No handshake with a listener that speaks gRPC");
                None
            }
            Err(_) => {
                tracing::debug!("A handshake with a listener that speaks gRPC took too long");
                None
            }
        }
    }
}

impl<P> Connected for GrpcConnection<P> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<P: Unpin> AsyncRead for GrpcConnection<P> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, read)
    }
}

impl<P: Unpin> AsyncWrite for GrpcConnection<P> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
