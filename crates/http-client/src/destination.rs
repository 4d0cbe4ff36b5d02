//! The server that a request goes to, and how to speak to it.

use std::io;
use std::net::SocketAddr;

use http::uri::Authority;
use http::{Uri, uri};

use crate::HttpError;
use crate::tls::{ClientIdentity, ServerTrust};

/// A server's address and the terms of speaking to it. Connections are shared by requests to equal destinations only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The address that connections are made to.
    pub address: SocketAddr,
    /// Host and port as requests name them: the `Host` field of HTTP/1.1, the `:authority` of HTTP/2.
    pub authority: Authority,
    /// The terms of TLS; `None` for plain TCP.
    pub tls: Option<TlsTerms>,
    /// The HTTP version to speak.
    pub version: HttpVersion,
}

/// The name a server must prove, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsTerms {
    /// The DNS name or IP address that the certificate must be for.
    pub server_name: String,
    /// The authorities that vouch for it.
    pub trust: ServerTrust,
    /// What we show of ourselves, where the server asks.
    pub identity: Option<ClientIdentity>,
}

/// The HTTP version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS by prior knowledge.
    Http2,
    /// HTTP/2 where the server offers it in the TLS handshake, else HTTP/1.1; without TLS always HTTP/1.1.
    Negotiated,
}

/// The scheme, host and port of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOrigin {
    scheme: uri::Scheme,
    authority: Authority,
}

impl Destination {
    /// Returns the server at an address, without a name and without TLS, over HTTP/1.1.
    ///
    /// # Panics
    /// Never: an address with its port is an authority.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        let authority = address.to_string().parse().expect("an address with its port is an authority");
        Self { address, authority, tls: None, version: HttpVersion::Http1 }
    }
}

impl HttpVersion {
    /// Returns the protocols that a TLS handshake offers, as ALPN names them.
    pub(crate) const fn protocols(self) -> &'static [&'static str] {
        match self {
            Self::Http1 => &["http/1.1"],
            Self::Http2 => &["h2"],
            Self::Negotiated => &["h2", "http/1.1"],
        }
    }
}

impl HttpOrigin {
    /// Returns the origin of an `http` or `https` URL; `None` for another URL, and for one that names a user.
    #[must_use]
    pub fn of(url: &Uri) -> Option<Self> {
        let scheme = url.scheme().filter(|scheme| [uri::Scheme::HTTP, uri::Scheme::HTTPS].contains(scheme))?.clone();
        let authority = url.authority().filter(|authority| !authority.as_str().contains('@'))?.clone();
        Some(Self { scheme, authority })
    }

    /// Returns the host without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the port: the URL's, else the scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Returns host and port as the URL has them.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns whether the scheme is `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.scheme == uri::Scheme::HTTPS
    }

    /// Resolves the host; `trust` counts with `https` only. The destination speaks HTTP/1.1.
    ///
    /// # Errors
    /// When the host has no address.
    pub async fn destination(&self, trust: ServerTrust) -> Result<Destination, HttpError> {
        let mut addresses = tokio::net::lookup_host((self.host(), self.port())).await.map_err(HttpError::Resolve)?;
        let none = || HttpError::Resolve(io::Error::new(io::ErrorKind::NotFound, "no address"));
        Ok(Destination {
            address: addresses.next().ok_or_else(none)?,
            authority: self.authority.clone(),
            tls: self.is_tls().then(|| TlsTerms { server_name: self.host().to_owned(), trust, identity: None }),
            version: HttpVersion::Http1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Option<HttpOrigin> {
        HttpOrigin::of(&url.parse().expect("a URI"))
    }

    #[test]
    fn an_origin_has_the_port_of_its_scheme_and_no_brackets() {
        let parts = |url: &str| origin(url).map(|it| (it.host().to_owned(), it.port(), it.is_tls()));

        assert_eq!(parts("https://host.example/v1"), Some(("host.example".to_owned(), 443, true)));
        assert_eq!(parts("http://[::1]/"), Some(("::1".to_owned(), 80, false)));
        assert_eq!(parts("http://host.example:8080"), Some(("host.example".to_owned(), 8080, false)));
    }

    #[test]
    fn a_url_with_a_user_or_another_scheme_is_no_origin() {
        for url in ["ftp://host.example", "https://user:planted@host.example/v1", "/v1", "host.example"] {
            assert_eq!(origin(url), None, "{url}");
        }
    }
}
