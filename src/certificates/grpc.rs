//! TLS of listeners that speak gRPC: HTTP/2 alone, and where authorities are named only with clients that they vouch for.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use pingora::tls::sign::SingleCertAndKey;
use pingora::tls::{ServerConfig, ServerTlsStream, TlsAcceptor, WebPkiClientVerifier};
use pointsman_core::config::MutualTls;
use tokio::io::{AsyncRead, AsyncWrite};

use super::admin::roots;
use super::{CertificateError, ListenerCertificate, read};

/// The terms of TLS that a gRPC listener offers.
pub(crate) struct GrpcServerTls {
    acceptor: TlsAcceptor,
    certificate: ListenerCertificate,
    /// The authorities of clients, in PEM.
    authorities: Option<Vec<u8>>,
}

impl PartialEq for GrpcServerTls {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.authorities == other.authorities
    }
}

/// TLS of the listeners that speak gRPC, for each that has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GrpcListenersTls {
    /// The listener for Envoy.
    pub(crate) ext_proc: Option<Arc<GrpcServerTls>>,
    /// The listener for programs that ask classifiers.
    pub(crate) grpc: Option<Arc<GrpcServerTls>>,
}

impl fmt::Debug for GrpcServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServerTls").finish_non_exhaustive()
    }
}

impl GrpcServerTls {
    /// Loads what `files` name; relative paths start at `base_dir`.
    ///
    /// # Errors
    /// When a file cannot be read, or does not hold what it should.
    pub(crate) fn load(files: &MutualTls, base_dir: &Path) -> Result<Self, CertificateError> {
        let certificate = ListenerCertificate::load(&files.listener(), base_dir)?;
        let resolver = Arc::new(SingleCertAndKey::from((*certificate.certified_key()).clone()));
        let builder = ServerConfig::builder();
        let mut authorities = None;
        let mut config = match files.client_ca.as_ref().map(|path| base_dir.join(path)) {
            None => builder.with_no_client_auth().with_cert_resolver(resolver),
            Some(path) => {
                let pem = read(&path)?;
                let wrong = |message: String| CertificateError::Authorities { path: path.clone(), message };
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots(&pem).map_err(wrong)?));
                let verifier = verifier.build().map_err(|error| wrong(error.to_string()))?;
                authorities = Some(pem);
                builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver)
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate, authorities })
    }

    /// Makes the handshake. Has no deadline of its own.
    ///
    /// # Errors
    /// When the handshake fails: also where a client has to show a certificate and does not.
    #[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "there is no such listener"))]
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<ServerTlsStream<S>> {
        self.acceptor.accept(stream).await
    }
}
