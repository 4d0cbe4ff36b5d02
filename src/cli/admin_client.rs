//! The admin plane as commands reach it: its address and certificate by the configuration, the caller's credential by a
//! file or the environment.
//!
//! A token goes to the address of the configuration alone, and over TLS only to who shows the certificate that the
//! configuration names, or one that `--admin-ca` vouches for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use pointsman_core::config::{AdminConfig, RegularFile, RegularFileError};
use pointsman_http_client::{
    CertificateAuthorities, ClientIdentity, Destination, ExchangeLimits, HttpClient, HttpError, ServerTrust, TlsTerms,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// The variable that holds the caller's token.
const TOKEN_VARIABLE: &str = "POINTSMAN_ADMIN_TOKEN";

/// The largest file of a token, certificates or a key.
const MAX_BYTES: u64 = 1 << 20;

/// The largest answer.
const MAX_ANSWER: usize = 4 << 20;

/// The credential for the admin plane, where `admin.auth` asks for one.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct AdminCredential {
    /// The file that holds the token for the admin plane; by default POINTSMAN_ADMIN_TOKEN holds it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The certificate chain to show to the admin plane, in PEM.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The private key of that certificate.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// The authorities that vouch for the admin plane's certificate; by default it has to be the one of `admin.tls.cert`.
    #[arg(long, value_name = "FILE")]
    admin_ca: Option<PathBuf>,
}

/// The admin plane of a configuration.
pub(super) struct AdminClient {
    destination: Destination,
    token: Option<HeaderValue>,
    patience: Duration,
}

/// The reason why the admin plane cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminClientError {
    #[error("cannot read `{}`", path.display())]
    File { path: PathBuf, source: RegularFileError },
    #[error("`{}` {message}", path.display())]
    Content { path: PathBuf, message: &'static str },
    #[error("{source_name} holds no token of visible ASCII characters")]
    Token { source_name: String },
    #[error("cannot ask the admin plane at {address}")]
    Exchange { address: SocketAddr, source: HttpError },
    #[error("the request is no HTTP")]
    Request(#[from] http::Error),
}

impl AdminClient {
    /// Makes the client of the plane that `admin` describes; paths in it start at `base_dir`.
    ///
    /// # Errors
    /// When a file of the credential or of the listener's certificate cannot be used.
    pub(super) fn new(
        admin: &AdminConfig,
        base_dir: &Path,
        credential: &AdminCredential,
        patience: Duration,
    ) -> Result<Self, AdminClientError> {
        let mut destination = Destination::plain(reachable(admin.address));
        if let Some(tls) = &admin.tls {
            let trust = match &credential.admin_ca {
                Some(path) => authorities(path)?,
                None => ServerTrust::Certificate(leaf(&base_dir.join(&tls.cert))?),
            };
            let server_name = destination.address.ip().to_string();
            destination.tls = Some(TlsTerms { server_name, trust, identity: credential.identity()? });
        }
        Ok(Self { destination, token: credential.token()?, patience })
    }

    /// Asks the plane with an empty body, or with `body` as JSON.
    ///
    /// # Errors
    /// When no answer comes. An answer that refuses is none.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>, AdminClientError> {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let limits = ExchangeLimits { connect: self.patience, read: self.patience, max_bytes: MAX_ANSWER };
        let answer = HttpClient::closing().send(&self.destination, request.body(body)?, limits).await;
        answer.map_err(|source| AdminClientError::Exchange { address: self.destination.address, source })
    }
}

impl AdminCredential {
    fn token(&self) -> Result<Option<HeaderValue>, AdminClientError> {
        let (name, text) = match &self.token_file {
            Some(path) => (format!("`{}`", path.display()), read(path)?),
            None => match std::env::var(TOKEN_VARIABLE) {
                Ok(token) => (TOKEN_VARIABLE.to_owned(), token.into_bytes()),
                Err(_) => return Ok(None),
            },
        };
        let token = text.trim_ascii();
        let is_token = !token.is_empty() && token.iter().all(u8::is_ascii_graphic);
        let value = is_token.then(|| HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok()).flatten();
        let mut value = value.ok_or(AdminClientError::Token { source_name: name })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn identity(&self) -> Result<Option<ClientIdentity>, AdminClientError> {
        let (Some(chain), Some(key)) = (&self.client_cert, &self.client_key) else { return Ok(None) };
        let wrong = |_| AdminClientError::Content {
            path: chain.clone(),
            message: "and its key are no certificate and private key in PEM",
        };
        ClientIdentity::from_pem(&read(chain)?, &read(key)?).map(Some).map_err(wrong)
    }
}

/// Returns the address under which this machine reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn authorities(path: &Path) -> Result<ServerTrust, AdminClientError> {
    let wrong = || AdminClientError::Content { path: path.to_owned(), message: "holds no certificates in PEM" };
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?;
    if certificates.is_empty() {
        return Err(wrong());
    }
    let trusted = CertificateAuthorities::from_der(certificates.iter().map(|own| &**own)).map_err(|_| wrong())?;
    Ok(ServerTrust::Authorities(trusted))
}

/// Reads the first certificate of a chain.
fn leaf(path: &Path) -> Result<Arc<[u8]>, AdminClientError> {
    let wrong = || AdminClientError::Content { path: path.to_owned(), message: "holds no certificate in PEM" };
    let certificate = CertificateDer::from_pem_slice(&read(path)?).map_err(|_| wrong())?;
    Ok(Arc::from(&*certificate))
}

fn read(path: &Path) -> Result<Vec<u8>, AdminClientError> {
    let bytes = RegularFile::open(path, MAX_BYTES).and_then(RegularFile::bytes);
    bytes.map_err(|source| AdminClientError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_its_file_without_the_end_of_the_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |text: &str| {
            let path = folder.path().join("token");
            std::fs::write(&path, text).expect("written");
            AdminCredential { token_file: Some(path), ..AdminCredential::default() }.token()
        };

        let token = of("abc\n").expect("a token").expect("there is one");
        assert_eq!(token.as_bytes(), b"Bearer abc");
        assert!(token.is_sensitive());
        for bad in ["", "two words", "é"] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
