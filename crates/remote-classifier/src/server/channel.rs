//! The gRPC channel to a server: one connection that requests share, made anew when it breaks.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use pointsman_core::config::RemoteClassifierConfig;
use pointsman_core::scores::ClassifierFailure;
use pointsman_http_client::{Destination, secured_http2};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status};

use super::{MAX_ANSWER, RemoteServer, USER_AGENT};
use crate::failure::{RefusedPart, RemoteFailure};
use crate::protocol::oip_grpc::{self, OipClient};
use crate::protocol::{ModelMetadata, RemoteAnswer, TextInput};

/// The longest time for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// The silence after which a connection is asked whether its server is there, and the time that the server has to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(5);

/// A channel that is made when it is first needed, within the runtime that then runs.
#[derive(Default)]
pub(super) struct LazyChannel(OnceCell<Channel>);

/// Connects to a server's address as the configuration's TLS wants it.
struct ServerConnector(Arc<RemoteServer>);

/// A connection, with or without TLS.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

impl RemoteServer {
    /// Asks for the scores of texts over gRPC.
    ///
    /// Cancel-safe: dropping the future resets the request's stream.
    pub(crate) async fn infer(
        self: &Arc<Self>,
        section: &RemoteClassifierConfig,
        input: &TextInput,
        texts: &[&str],
        deadline: Instant,
    ) -> Result<Vec<RemoteAnswer>, RemoteFailure> {
        let mut request = Request::new(oip_grpc::request(section, input, texts));
        *request.metadata_mut() = MetadataMap::from_headers(self.access.fields.clone());
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let asked = timeout_at(deadline, async {
            let mut client = self.client().await?;
            client.model_infer(request).await.map_err(|status| failure_of(&status))
        });
        let response = asked.await.unwrap_or_else(|_| Err(RemoteFailure::deadline()))?;
        oip_grpc::read(response.into_inner(), texts.len()).map_err(RemoteFailure::answer)
    }

    /// Asks for a model's metadata over gRPC.
    pub(crate) async fn grpc_metadata(
        self: &Arc<Self>,
        section: &RemoteClassifierConfig,
        deadline: Instant,
    ) -> Result<ModelMetadata, RemoteFailure> {
        let asked = timeout_at(deadline, async {
            let mut client = self.client().await?;
            let found = oip_grpc::metadata(&mut client, section, &self.access.fields).await;
            found.map_err(|status| {
                let failure = failure_of(&status);
                RemoteFailure {
                    detail: format!("{}: {}", failure.detail, super::words_of(status.message().as_bytes())),
                    ..failure
                }
            })
        });
        asked.await.unwrap_or_else(|_| Err(RemoteFailure::deadline()))
    }

    async fn client(self: &Arc<Self>) -> Result<OipClient, RemoteFailure> {
        let channel = self.channel.0.get_or_try_init(async || {
            let scheme = if self.origin.is_tls() { "https" } else { "http" };
            let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.origin.authority()));
            let bad = |error: tonic::transport::Error| {
                RemoteFailure::new(ClassifierFailure::RemoteUnreachable, error.to_string())
            };
            let endpoint = endpoint.map_err(bad)?.user_agent(USER_AGENT).map_err(bad)?;
            // Nothing else would notice between requests that the server is gone.
            let endpoint = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE_ANSWER);
            let endpoint = endpoint.keep_alive_while_idle(true);
            Ok::<_, RemoteFailure>(endpoint.connect_with_connector_lazy(ServerConnector(Arc::clone(self))))
        });
        Ok(OipClient::new(channel.await?.clone()).max_decoding_message_size(MAX_ANSWER))
    }

    /// Connects, within a time of its own: the attempt outlives the request that began it, and every later one would wait
    /// for it.
    async fn connect(&self) -> io::Result<Box<dyn ByteStream>> {
        let connected = timeout(CONNECT, self.connect_secured()).await;
        connected.unwrap_or_else(|_| {
            self.forget_destination();
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", CONNECT.as_secs())))
        })
    }

    async fn connect_secured(&self) -> io::Result<Box<dyn ByteStream>> {
        let other = |error: &dyn fmt::Display| io::Error::other(error.to_string());
        let destination = self.destination().await.map_err(|failure| other(&failure))?;
        let Destination { address, tls, .. } = destination;
        let stream = TcpStream::connect(address).await.inspect_err(|_| self.forget_destination())?;
        stream.set_nodelay(true)?;
        match tls {
            None => Ok(Box::new(stream)),
            Some(terms) => Ok(Box::new(secured_http2(stream, &terms).await.map_err(|error| other(&error))?)),
        }
    }
}

impl Service<Uri> for ServerConnector {
    type Response = TokioIo<Box<dyn ByteStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let server = Arc::clone(&self.0);
        Box::pin(async move { server.connect().await.map(TokioIo::new) })
    }
}

fn failure_of(status: &Status) -> RemoteFailure {
    let reason = match status.code() {
        Code::DeadlineExceeded => ClassifierFailure::Deadline,
        // A message that is too long, or none of the protocol's.
        Code::OutOfRange | Code::DataLoss => ClassifierFailure::RemoteBadAnswer,
        Code::Unavailable | Code::Cancelled => ClassifierFailure::RemoteUnreachable,
        _ => ClassifierFailure::RemoteRefused,
    };
    let refused = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Some(RefusedPart::Credential),
        Code::NotFound | Code::InvalidArgument | Code::Unimplemented | Code::OutOfRange | Code::DataLoss => {
            Some(RefusedPart::Question)
        }
        _ => None,
    };
    RemoteFailure::new(reason, format!("gRPC status {:?}", status.code())).lasting(refused)
}

impl fmt::Debug for LazyChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyChannel").field(&self.0.initialized()).finish()
    }
}

#[cfg(test)]
mod tests;
