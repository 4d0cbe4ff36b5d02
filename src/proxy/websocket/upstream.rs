//! The WebSockets of one session to providers, and how an attempt goes out by one.
//!
//! Pingora connects by [`UpstreamDialer`], which gives it the end of a connection in memory; `upstream_answer` serves the
//! other end. A WebSocket that has served a request waits for the session's next one to the same address.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::HeaderValue;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::{HttpPeer, Scheme};
use pingora::{Error, ErrorType, Result};
use pointsman_core::config::Name;
use pointsman_telemetry::WebSocketMetrics;
use tokio::io::DuplexStream;

use super::upstream_answer::{self, UpstreamHop};
use super::upstream_socket::{UpstreamCarrier, UpstreamSocket, dial};
use crate::proxy::attempt::stale;
use crate::upstream::Provider;

/// The bytes that one side of a connection in memory may be ahead of the other.
const BUFFER: usize = 64 << 10;

tokio::task_local! {
    /// Set in the task that serves the request of a WebSocket's message.
    static MESSAGE: Arc<RoutedMessage>;
}

/// A message of a WebSocket, of which a request was made.
#[derive(Debug)]
pub(in crate::proxy) struct RoutedMessage {
    pub(super) upstreams: Arc<SessionUpstreams>,
    /// The request as its client wrote it, where a provider's WebSocket may know the rest.
    pub(super) increment: Option<InputIncrement>,
}

/// The part of an input that is new, and the response that it goes on from.
#[derive(Debug, Clone)]
pub(super) struct InputIncrement {
    pub(super) previous: String,
    /// The new items, as JSON with commas between them.
    pub(super) items: String,
}

/// The WebSockets of one session that wait for its next request.
#[derive(Debug)]
pub(super) struct SessionUpstreams {
    kept: Mutex<Vec<(UpstreamKey, UpstreamSocket)>>,
    /// The providers, by name and terms, that refused a WebSocket and are posted to since.
    refusing: Mutex<Vec<(Name, u64)>>,
    /// The betas that the client named in its handshake.
    pub(super) beta: Option<HeaderValue>,
    /// The largest message of a provider, in bytes.
    pub(super) max_message: usize,
    pub(super) metrics: WebSocketMetrics,
}

/// The terms by which a WebSocket to a provider serves a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UpstreamKey {
    provider: Name,
    terms: u64,
    address: SocketAddr,
}

/// Connects one attempt.
#[derive(Debug)]
struct UpstreamDialer {
    message: Arc<RoutedMessage>,
    provider: Arc<Provider>,
}

/// The end of a connection in memory that Pingora has.
#[derive(Debug)]
struct MemorySocket(DuplexStream);

/// Runs what serves the request of a message.
pub(super) async fn serving<F: Future>(message: Arc<RoutedMessage>, served: F) -> F::Output {
    MESSAGE.scope(message, served).await
}

/// Returns the message whose request this task serves, if it serves one.
pub(in crate::proxy) fn routed_message() -> Option<Arc<RoutedMessage>> {
    MESSAGE.try_with(Arc::clone).ok()
}

impl RoutedMessage {
    /// Makes Pingora reach the provider by WebSocket, unless it refused one in this session.
    pub(in crate::proxy) fn divert(self: &Arc<Self>, peer: &mut HttpPeer, provider: &Arc<Provider>) {
        if self.upstreams.has_refused(provider) {
            return;
        }
        stale::connect_anew(peer);
        peer.scheme = Scheme::HTTP; // TLS is spoken behind the connection in memory
        peer.sni = String::new();
        peer.options.set_http_version(1, 1);
        let dialer = UpstreamDialer { message: Arc::clone(self), provider: Arc::clone(provider) };
        peer.options.custom_l4 = Some(Arc::new(dialer));
    }
}

impl SessionUpstreams {
    pub(super) const fn new(beta: Option<HeaderValue>, max_message: usize, metrics: WebSocketMetrics) -> Self {
        Self { kept: Mutex::new(Vec::new()), refusing: Mutex::new(Vec::new()), beta, max_message, metrics }
    }

    /// Notes that a provider is to be posted to from now on.
    pub(super) fn note_refusal(&self, provider: &Provider) {
        let mut refusing = self.refusing.lock().unwrap_or_else(PoisonError::into_inner);
        refusing.retain(|(name, _)| *name != provider.name);
        refusing.push((provider.name.clone(), provider.connection_group));
    }

    fn has_refused(&self, provider: &Provider) -> bool {
        let refusing = self.refusing.lock().unwrap_or_else(PoisonError::into_inner);
        refusing.iter().any(|(name, terms)| *name == provider.name && *terms == provider.connection_group)
    }

    /// Takes the WebSocket that serves such requests, if one waits.
    fn take(&self, key: &UpstreamKey) -> Option<UpstreamSocket> {
        let mut kept = self.kept();
        let index = kept.iter().position(|(known, _)| known == key)?;
        Some(kept.swap_remove(index).1)
    }

    /// Keeps a WebSocket for the next request, in place of another that serves the same.
    pub(super) fn keep(&self, key: UpstreamKey, socket: UpstreamSocket) {
        let mut kept = self.kept();
        kept.retain(|(known, _)| *known != key);
        kept.push((key, socket));
    }

    /// Answers what providers ask of WebSockets that wait, and forgets those that ended.
    pub(super) fn tend(&self) {
        self.kept().retain_mut(|(_, socket)| socket.is_alive());
    }

    /// Closes them all.
    pub(super) async fn close(&self) {
        let kept = std::mem::take(&mut *self.kept());
        futures::future::join_all(kept.into_iter().map(|(_, socket)| socket.close())).await;
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(UpstreamKey, UpstreamSocket)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl L4Connect for UpstreamDialer {
    async fn connect(&self, address: &PeerAddress) -> Result<Stream> {
        let Some(address) = address.as_inet().copied() else {
            return Error::e_explain(ErrorType::ConnectNoRoute, "a WebSocket needs an address");
        };
        let Self { message, provider } = self;
        let key = UpstreamKey { provider: provider.name.clone(), terms: provider.connection_group, address };
        let carrier = match message.upstreams.take(&key) {
            Some(socket) => UpstreamCarrier::Kept(Box::new(socket)),
            None => UpstreamCarrier::New(dial(provider, address).await?),
        };
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let hop = UpstreamHop { message: Arc::clone(message), provider: Arc::clone(provider), key, carrier };
        upstream_answer::serve(theirs, hop);
        Ok(Stream::from(VirtualSocketStream::new(Box::new(MemorySocket(ours)))))
    }
}

impl UpstreamKey {
    /// Returns the address at the provider.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl VirtualSocket for MemorySocket {
    fn set_socket_option(&self, _option: VirtualSockOpt) -> std::io::Result<()> {
        Ok(()) // memory has none
    }
}

mod memory_socket {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::MemorySocket;

    impl AsyncRead for MemorySocket {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for MemorySocket {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_flush(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
        }
    }
}
