//! TLS of the admin listener: its own certificate, and what is known of its callers by theirs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pingora::tls::sign::SingleCertAndKey;
use pingora::tls::{RootCertStore, ServerConfig, ServerTlsStream, TlsAcceptor, WebPkiClientVerifier};
use pointsman_core::config::MutualTls;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{CertificateError, ListenerCertificate, read};

/// The terms of TLS that the admin listener offers.
#[derive(Clone)]
pub(crate) struct AdminServerTls {
    config: Arc<ServerConfig>,
    certificate: ListenerCertificate,
    /// The hash of the file of authorities that vouch for callers; `None` where nobody is asked for a certificate.
    authorities: Option<[u8; 32]>,
}

/// The certificate that a caller has shown, and whose key it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallerCertificate {
    /// The common names of its subject.
    pub(crate) common_names: Vec<String>,
    /// Its alternative names: DNS names, e-mail addresses, URIs.
    pub(crate) sans: Vec<String>,
    /// The moment until which it is valid, since 1970.
    valid_until: Duration,
    /// The hash of the authorities that vouched for it.
    authorities: Option<[u8; 32]>,
}

impl AdminServerTls {
    /// Loads what `files` name; relative paths start at `base_dir`.
    ///
    /// # Errors
    /// When a file cannot be read, or does not hold what it should.
    pub(crate) fn load(files: &MutualTls, base_dir: &Path) -> Result<Self, CertificateError> {
        let certificate = ListenerCertificate::load(&files.listener(), base_dir)?;
        let resolver = Arc::new(SingleCertAndKey::from((*certificate.certified_key()).clone()));
        let builder = ServerConfig::builder();
        let (mut config, authorities) = match files.client_ca.as_ref().map(|path| base_dir.join(path)) {
            None => (builder.with_no_client_auth().with_cert_resolver(resolver), None),
            Some(path) => {
                let pem = read(&path)?;
                let wrong = |message: String| CertificateError::Authorities { path: path.clone(), message };
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots(&pem).map_err(wrong)?));
                let verifier = verifier.allow_unauthenticated().build().map_err(|error| wrong(error.to_string()))?;
                let config = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
                (config, Some(Sha256::digest(&pem).into()))
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), certificate, authorities })
    }

    /// Makes the handshake; returns the caller's certificate, if it has shown one. Has no deadline of its own.
    ///
    /// # Errors
    /// When the handshake fails: also where a caller shows a certificate that nobody vouches for.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(ServerTlsStream<TcpStream>, Option<CallerCertificate>)> {
        let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.and_then(|leaf| CallerCertificate::read(leaf, self.authorities));
        Ok((stream, certificate))
    }

    /// Returns whether a certificate that was shown at the beginning of a connection still counts: it is in its time, and
    /// the authorities that vouched for it are those of now.
    pub(crate) fn trusts(&self, certificate: &CallerCertificate) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.authorities.is_some() && self.authorities == certificate.authorities && now <= certificate.valid_until
    }
}

impl CallerCertificate {
    fn read(leaf: &CertificateDer<'_>, authorities: Option<[u8; 32]>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
        let common_names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let names = certificate.subject_alternative_name().ok().flatten();
        let sans = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some(*name),
            _ => None,
        });
        let valid_until = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
        Some(Self {
            common_names: common_names.map(str::to_owned).collect(),
            sans: sans.map(str::to_owned).collect(),
            valid_until: Duration::from_secs(valid_until),
            authorities,
        })
    }
}

/// Reads the certificates of authorities.
pub(super) fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is not a PEM file of certificates".to_owned())?;
        roots.add(certificate).map_err(|_| "holds something that is no certificate of an authority".to_owned())?;
    }
    if roots.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(roots) }
}

impl PartialEq for AdminServerTls {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.authorities == other.authorities
    }
}

impl std::fmt::Debug for AdminServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminServerTls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_caller_is_known_by_its_common_name_and_its_alternative_names() {
        let mut params = CertificateParams::new(vec!["ops.example".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "alice");
        let uri = "spiffe://example/ops".try_into().expect("ASCII");
        params.subject_alt_names.push(SanType::URI(uri));
        let made = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");

        let read = CallerCertificate::read(made.der(), Some([1; 32])).expect("a certificate");

        assert!(read.common_names.contains(&"alice".to_owned()), "{read:?}");
        assert_eq!(read.sans, ["ops.example", "spiffe://example/ops"]);
    }

    #[test]
    fn what_is_no_certificate_of_an_authority_is_refused() {
        for (bad, expected) in [("", "holds no certificate"), ("nonsense", "holds no certificate")] {
            assert_eq!(roots(bad.as_bytes()).expect_err("no roots"), expected);
        }
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(roots(garbage.as_bytes()).is_err());
    }
}
