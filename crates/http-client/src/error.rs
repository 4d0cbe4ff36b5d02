//! The one error of a request.

use std::io;

/// The reason why a request has no answer. No variant repeats what was sent.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request is none that HTTP can carry.
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
    /// The server's name has no address.
    #[error("the server's name does not resolve")]
    Resolve(#[source] io::Error),
    /// The server accepts no connection.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// The connection was not made in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The server's certificate is not trusted, or is another server's.
    #[error("the certificate is not trusted: {0}")]
    Untrusted(#[source] io::Error),
    /// The TLS handshake failed for another reason.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// The server speaks HTTP/1.1 where the destination wants HTTP/2.
    #[error("the server does not speak HTTP/2")]
    NoHttp2,
    /// The connection broke before the answer was whole.
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    /// The server was silent for too long.
    #[error("no answer in time")]
    ReadTimeout,
    /// The answer is longer than the caller reads.
    #[error("the answer is too long")]
    TooLong,
}

impl HttpError {
    /// Returns whether the server answered by something that is no HTTP/1.
    #[must_use]
    pub fn is_no_http(&self) -> bool {
        matches!(self, Self::Broken(error) if error.is_parse())
    }

    /// Returns whether the connection was never made, so that the server got nothing of the request.
    #[must_use]
    pub const fn is_connect(&self) -> bool {
        !matches!(self, Self::Broken(_) | Self::ReadTimeout | Self::TooLong)
    }
}
