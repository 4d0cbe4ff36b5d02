//! Sends requests and reads their answers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use crate::HttpError;
use crate::connection::{Connection, OpenedConnection};
use crate::destination::Destination;
use crate::kept::KeptConnections;

/// The time that closing a connection may take.
const CLOSE: Duration = Duration::from_secs(1);

/// Sends requests, each over a connection of its own or over one that was kept.
#[derive(Debug)]
pub struct HttpClient {
    kept: Option<KeptConnections>,
}

/// The patience with a server, and the room for its answer.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeLimits {
    /// The longest time until a connection stands, TLS included.
    pub connect: Duration,
    /// The longest silence: until the answer's head is there, and between parts of its body.
    pub read: Duration,
    /// The longest body that is read, in bytes.
    pub max_bytes: usize,
}

/// The time from a request to the head of its answer, as an extension of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerHeadTime(pub Duration);

impl HttpClient {
    /// Makes a client that closes each connection: a kept one may be closed by the server just as it is used again.
    #[must_use]
    pub const fn closing() -> Self {
        Self { kept: None }
    }

    /// Makes a client that keeps connections for the next request to the same destination, unused for `max_idle` at
    /// most.
    #[must_use]
    pub const fn keeping(max_idle: Duration) -> Self {
        Self { kept: Some(KeptConnections::new(max_idle)) }
    }

    /// Sends a request, of whose URI only path and query count, and reads the whole answer, which has an
    /// [`AnswerHeadTime`]. The client adds host and
    /// length. A kept connection that turns out to be broken is replaced by a new one, once.
    ///
    /// Cancel-safe: dropping the future closes an HTTP/1.1 connection and resets an HTTP/2 stream.
    ///
    /// # Errors
    /// When there is no connection, or no whole answer.
    pub async fn send(
        &self,
        destination: &Destination,
        request: Request<Bytes>,
        limits: ExchangeLimits,
    ) -> Result<Response<Bytes>, HttpError> {
        let exchange = Exchange { destination, limits };
        match &self.kept {
            Some(kept) => exchange.over_kept(kept, request).await,
            None => exchange.alone(request).await,
        }
    }

    /// Sends a request over a connection of its own and returns the answer's status; its body is not read.
    ///
    /// Cancel-safe, as [`Self::send`].
    ///
    /// # Errors
    /// When there is no connection, or no answer.
    pub async fn status(
        &self,
        destination: &Destination,
        request: Request<Bytes>,
        limits: ExchangeLimits,
    ) -> Result<StatusCode, HttpError> {
        let exchange = Exchange { destination, limits };
        let mut opened = exchange.connect().await?;
        Ok(exchange.head(&mut opened.connection, request).await?.status())
    }
}

/// One request's destination and limits.
#[derive(Clone, Copy)]
struct Exchange<'e> {
    destination: &'e Destination,
    limits: ExchangeLimits,
}

impl Exchange<'_> {
    async fn over_kept(&self, kept: &KeptConnections, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if let Some(mut connection) = kept.take(self.destination) {
            match self.run(&mut connection, request.clone()).await {
                Ok(answer) => {
                    kept.give_back(self.destination, connection);
                    return Ok(answer);
                }
                Err(HttpError::Broken(_)) => {} // closed since it was used last
                Err(error) => return Err(error),
            }
        }
        let OpenedConnection { mut connection, .. } = self.connect().await?;
        kept.share(self.destination, &connection);
        let answer = self.run(&mut connection, request).await?;
        kept.give_back(self.destination, connection);
        Ok(answer)
    }

    async fn alone(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let OpenedConnection { mut connection, driver } = self.connect().await?;
        let answered = self.run(&mut connection, request).await;
        drop(connection);
        // Closed before the caller goes on: a small runtime may drive nothing afterwards.
        let _ = timeout(CLOSE, driver).await;
        answered
    }

    async fn connect(&self) -> Result<OpenedConnection, HttpError> {
        let opened = timeout(self.limits.connect, Connection::open(self.destination)).await;
        opened.unwrap_or(Err(HttpError::ConnectTimeout))
    }

    async fn run(&self, connection: &mut Connection, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let started = Instant::now();
        let (mut head, body) = self.head(connection, request).await?.into_parts();
        head.extensions.insert(AnswerHeadTime(started.elapsed()));
        Ok(Response::from_parts(head, self.read(body).await?))
    }

    async fn head(
        &self,
        connection: &mut Connection,
        request: Request<Bytes>,
    ) -> Result<Response<Incoming>, HttpError> {
        let sent = timeout(self.limits.read, connection.send(self.destination, request)).await;
        sent.unwrap_or(Err(HttpError::ReadTimeout))
    }

    async fn read(&self, mut body: Incoming) -> Result<Bytes, HttpError> {
        let mut whole = BytesMut::new();
        while let Some(frame) = timeout(self.limits.read, body.frame()).await.map_err(|_| HttpError::ReadTimeout)? {
            let Ok(data) = frame.map_err(HttpError::Broken)?.into_data() else { continue };
            whole.extend_from_slice(&data);
            if whole.len() > self.limits.max_bytes {
                return Err(HttpError::TooLong);
            }
        }
        Ok(whole.freeze())
    }
}

#[cfg(test)]
mod tests;
