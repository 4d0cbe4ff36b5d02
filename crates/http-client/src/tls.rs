//! Trust in servers: the system's authorities, an operator's, one certificate, or none. And what we show of ourselves.
//!
//! As Pingora's connector does for clients' traffic: TLS 1.2 and 1.3 by ring, the system's authorities from where
//! OpenSSL looks for them (`SSL_CERT_FILE` and `SSL_CERT_DIR` included), an operator's authorities instead of them.

use std::fmt;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError as CertificateRejection, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, WantsVerifier,
};

/// The authorities whose word on a server counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerTrust {
    /// The system's authorities.
    System,
    /// An operator's authorities instead of the system's.
    Authorities(CertificateAuthorities),
    /// Nobody's: the server has to show this certificate, in DER.
    Certificate(Arc<[u8]>),
    /// Nobody's: whoever answers is trusted.
    Unverified,
}

/// A certificate chain and its private key, by which a server knows us. Clones are equal; what was read twice is not.
#[derive(Clone)]
pub struct ClientIdentity(Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>);

/// Certificates of authorities. Clones are equal; authorities that were read twice are not.
#[derive(Clone)]
pub struct CertificateAuthorities(Arc<RootCertStore>);

/// A certificate that can vouch for no server.
#[derive(Debug, thiserror::Error)]
#[error("is no certificate of an authority")]
pub struct CertificateError(#[source] Error);

/// Accepts a certificate whoever vouches for it, once the server shows that it has the key.
#[derive(Debug)]
struct UnvouchedCertificate {
    provider: Arc<CryptoProvider>,
    /// The only one that is accepted; `None` for any.
    only: Option<Arc<[u8]>>,
}

impl ServerTrust {
    /// Returns the trust in these authorities, or in the system's.
    #[must_use]
    pub fn in_authorities(authorities: Option<CertificateAuthorities>) -> Self {
        authorities.map_or(Self::System, Self::Authorities)
    }
}

impl CertificateAuthorities {
    /// Takes certificates in DER.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn from_der<'c>(certificates: impl IntoIterator<Item = &'c [u8]>) -> Result<Self, CertificateError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(CertificateDer::from(certificate)).map_err(CertificateError)?;
        }
        Ok(Self(Arc::new(roots)))
    }
}

impl ClientIdentity {
    /// Reads a certificate chain and its private key in PEM.
    ///
    /// # Errors
    /// When there is no certificate, no key, or something else.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, pem::Error> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() {
            return Err(pem::Error::NoItemsFound);
        }
        Ok(Self(Arc::new((chain, PrivateKeyDer::from_pem_slice(key)?))))
    }
}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ClientIdentity {}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientIdentity({} certificates)", self.0.0.len())
    }
}

impl PartialEq for CertificateAuthorities {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CertificateAuthorities {}

impl fmt::Debug for CertificateAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateAuthorities({} certificates)", self.0.len())
    }
}

/// Returns the configuration of a handshake that offers `protocols`, the best first.
pub(crate) async fn handshake_config(
    trust: &ServerTrust,
    identity: Option<&ClientIdentity>,
    protocols: &[&str],
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match trust {
        ServerTrust::System => builder.with_root_certificates(system_authorities().await),
        ServerTrust::Authorities(CertificateAuthorities(roots)) => builder.with_root_certificates(Arc::clone(roots)),
        ServerTrust::Certificate(only) => unvouched(builder, provider, Some(Arc::clone(only))),
        ServerTrust::Unverified => unvouched(builder, provider, None),
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity(own)) => builder.with_client_auth_cert(own.0.clone(), own.1.clone_key())?,
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

fn unvouched(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
    only: Option<Arc<[u8]>>,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    builder.dangerous().with_custom_certificate_verifier(Arc::new(UnvouchedCertificate { provider, only }))
}

/// Returns the system's authorities, read once in the process's life and off the runtime's threads. What cannot be read
/// is left out: a server that needs it is not trusted then.
#[expect(clippy::disallowed_methods, reason = "once in the process's life, for files that are read in one go")]
async fn system_authorities() -> Arc<RootCertStore> {
    static SYSTEM: OnceCell<Arc<RootCertStore>> = OnceCell::const_new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    let none = |_| Arc::new(RootCertStore::empty());
    let load = || async { tokio::task::spawn_blocking(read).await.unwrap_or_else(none) };
    Arc::clone(SYSTEM.get_or_init(load).await)
}

impl ServerCertVerifier for UnvouchedCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.only {
            Some(only) if **only != **certificate => Err(CertificateRejection::UnknownIssuer.into()),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
