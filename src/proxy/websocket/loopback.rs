//! A connection in memory that Pingora takes for a client's: it comes from where the WebSocket came from.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

/// The bytes that one side may be ahead of the other.
const BUFFER: usize = 64 << 10;

/// The end of a connection in memory at which the proxy serves.
#[derive(Debug)]
pub(super) struct LoopbackStream {
    inner: DuplexStream,
    client: Arc<ClientDigests>,
}

/// The addresses and the TLS of a client's connection.
#[derive(Debug)]
pub(super) struct ClientDigests {
    socket: Option<Arc<SocketDigest>>,
    tls: Option<Arc<SslDigest>>,
    proxy: Option<Arc<ProxyDigest>>,
}

impl ClientDigests {
    /// Reads those of a connection.
    pub(super) fn of(stream: &Stream) -> Self {
        Self { socket: stream.get_socket_digest(), tls: stream.get_ssl_digest(), proxy: stream.get_proxy_digest() }
    }
}

/// Makes a connection in memory: the proxy's end, and the client's.
pub(super) fn connection(client: &Arc<ClientDigests>) -> (LoopbackStream, DuplexStream) {
    let (inner, other) = tokio::io::duplex(BUFFER);
    (LoopbackStream { inner, client: Arc::clone(client) }, other)
}

impl AsyncRead for LoopbackStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for LoopbackStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for LoopbackStream {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(&mut self.inner).await; // memory has no failures to tell of
    }
}

impl UniqueID for LoopbackStream {
    fn id(&self) -> UniqueIDType {
        -1 // as Pingora's own virtual sockets
    }
}

impl Ssl for LoopbackStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.client.tls.clone()
    }
}

impl GetTimingDigest for LoopbackStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for LoopbackStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.client.proxy.clone()
    }
}

impl GetSocketDigest for LoopbackStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.client.socket.clone()
    }
}

impl Peek for LoopbackStream {}
