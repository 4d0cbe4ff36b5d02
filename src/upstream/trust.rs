//! The certificate authorities that an operator trusts for one server: a provider, the store, a collector.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use pingora::utils::tls::{WrappedX509, parse_x509};
use pointsman_core::config::RegularFile;
use pointsman_http_client::CertificateAuthorities;
use x509_parser::pem::Pem;

/// The largest file of authorities; all that a system trusts are a quarter of a megabyte.
const MAX_BYTES: u64 = 16 << 20;

/// Certificates of authorities, in the forms that Pingora and our own client take: made once, because every request
/// asks.
#[derive(Clone)]
pub(crate) struct TrustedAuthorities {
    certificates: Arc<[WrappedX509]>,
    authorities: CertificateAuthorities,
}

impl TrustedAuthorities {
    /// Reads every certificate of the PEM file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else than certificates, or none.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let pem = RegularFile::open(path, MAX_BYTES).and_then(RegularFile::bytes);
        let pem = pem.map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        let mut certificates = Vec::new();
        for block in Pem::iter_from_buffer(&pem) {
            let block = block.map_err(|_| format!("`{shown}` is not a PEM file"))?;
            // Pingora panics over what is no certificate.
            if block.label != "CERTIFICATE" || block.parse_x509().is_err() {
                return Err(format!("`{shown}` holds something that is no certificate (allowed: certificates in PEM)"));
            }
            certificates.push(WrappedX509::new(block.contents, parse_x509));
        }
        if certificates.is_empty() {
            return Err(format!("`{shown}` holds no certificate (allowed: certificates in PEM)"));
        }
        let authorities =
            CertificateAuthorities::from_der(certificates.iter().map(WrappedX509::borrow_raw_cert).map(Vec::as_slice));
        let authorities = authorities.map_err(|error| format!("`{shown}` holds something that {error}"))?;
        Ok(Self { certificates: certificates.into(), authorities })
    }

    /// Returns the certificates for Pingora.
    #[must_use]
    pub(crate) const fn certificates(&self) -> &Arc<[WrappedX509]> {
        &self.certificates
    }

    /// Returns the certificates for our own client.
    #[must_use]
    pub(crate) const fn authorities(&self) -> &CertificateAuthorities {
        &self.authorities
    }
}

impl Hash for TrustedAuthorities {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for certificate in &*self.certificates {
            certificate.borrow_raw_cert().hash(state);
        }
    }
}

impl fmt::Debug for TrustedAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} certificates)", self.certificates.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TrustedAuthorities, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, text).expect("written");
        TrustedAuthorities::read(&file)
    }

    #[test]
    fn every_certificate_of_a_file_is_read() {
        let pem = include_str!("../../tests/fixtures/tls/ca.pem");

        let trust = read(&format!("{pem}{pem}")).expect("two certificates");

        assert_eq!(trust.certificates().len(), 2);
    }

    #[test]
    fn what_is_no_certificate_is_refused_and_not_repeated() {
        let key = include_str!("../../tests/fixtures/tls/server.key");
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

        for text in [key, garbage, "", "nonsense"] {
            let error = read(text).expect_err(text);
            assert!(error.contains("(allowed: certificates in PEM)"), "{error}");
        }
        assert!(TrustedAuthorities::read(Path::new("/no/such/file")).expect_err("no file").starts_with("cannot read"));
    }
}
