//! The certificates that listeners show: loaded and checked with a snapshot, so that a bad file refuses the reload and
//! the last good certificate stays.

mod admin;
mod grpc;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::tls::sign::CertifiedKey;
use pingora::tls::{CryptoProvider, RusTlsError, install_default_crypto_provider};
use pointsman_core::config::{ListenerTls, RegularFile};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) use self::admin::{AdminServerTls, CallerCertificate};
pub(crate) use self::grpc::{GrpcListenersTls, GrpcServerTls};

/// The largest file of a certificate chain or of a key.
const MAX_BYTES: u64 = 1 << 20;

/// A certificate chain and its private key, which match.
#[derive(Clone)]
pub(crate) struct ListenerCertificate(Arc<CertifiedKey>);

/// The reason why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A file is missing, no regular file, or no PEM.
    #[error("cannot read `{}`: {message}", path.display())]
    Unreadable { path: PathBuf, message: String },
    /// The files hold no certificate, or no private key.
    #[error("`{}` holds no certificate or `{}` no private key", cert.display(), key.display())]
    Empty { cert: PathBuf, key: PathBuf },
    /// The key is of an unknown kind, or not the certificate's.
    #[error("the key does not fit the certificate: {0}")]
    Mismatch(RusTlsError),
    /// The file of authorities does not hold what it should.
    #[error("`{}` {message}", path.display())]
    Authorities { path: PathBuf, message: String },
}

impl ListenerCertificate {
    /// Loads what `files` name; relative paths start at `base_dir`.
    ///
    /// # Errors
    /// When a file cannot be read, holds no PEM, or the two do not belong together.
    ///
    /// # Panics
    /// Never: the provider is installed first.
    pub(crate) fn load(files: &ListenerTls, base_dir: &Path) -> Result<Self, CertificateError> {
        install_default_crypto_provider();
        let (cert, key) = (base_dir.join(&files.cert), base_dir.join(&files.key));
        let chain = CertificateDer::pem_slice_iter(&read(&cert)?).collect::<Result<Vec<_>, _>>();
        let private = PrivateKeyDer::from_pem_slice(&read(&key)?);
        match (chain, private) {
            (Err(_), _) => Err(CertificateError::no_pem(cert)),
            (Ok(chain), _) if chain.is_empty() => Err(CertificateError::Empty { cert, key }),
            (_, Err(pem::Error::NoItemsFound)) => Err(CertificateError::Empty { cert, key }),
            (_, Err(_)) => Err(CertificateError::no_pem(key)),
            (Ok(chain), Ok(private)) => {
                let provider = CryptoProvider::get_default().expect("it was installed above");
                let certified = CertifiedKey::from_der(chain, private, provider);
                certified.map(|certified| Self(Arc::new(certified))).map_err(CertificateError::Mismatch)
            }
        }
    }

    /// Returns it as the TLS stack wants it.
    #[must_use]
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl CertificateError {
    fn no_pem(path: PathBuf) -> Self {
        Self::Unreadable { path, message: "is not a PEM file".to_owned() }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let bytes = RegularFile::open(path, MAX_BYTES).and_then(RegularFile::bytes);
    bytes.map_err(|error| CertificateError::Unreadable { path: path.to_owned(), message: error.to_string() })
}

impl PartialEq for ListenerCertificate {
    /// The key belongs to the certificate, so the chain says it all.
    fn eq(&self, other: &Self) -> bool {
        self.0.cert == other.0.cert
    }
}

impl fmt::Debug for ListenerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} in the chain)", self.0.cert.len())
    }
}
