//! TLS of a listener: the certificate is looked up in the snapshot at every handshake, so that a new one counts from
//! the next connection on and open ones stay.

use std::fmt;
use std::sync::Arc;

use pingora::Result;
use pingora::listeners::tls::TlsSettings;
use pingora::tls::sign::CertifiedKey;
use pingora::tls::{ClientHello, ResolvesServerCert};

use crate::router::Router;

/// Shows the serving snapshot's certificate of one listener.
struct CurrentCertificate {
    router: Arc<Router>,
    listener: usize,
}

/// Returns the settings of the listener at `listener` in the configuration: HTTP/2 and HTTP/1.1 by ALPN.
pub(in crate::proxy) fn settings(router: Arc<Router>, listener: usize) -> Result<TlsSettings> {
    let mut settings = TlsSettings::intermediate("", "")?; // the files that the resolver stands in for
    settings.set_cert_resolver(Arc::new(CurrentCertificate { router, listener }));
    settings.enable_h2();
    Ok(settings)
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let snapshot = self.router.snapshot();
        Some(snapshot.certificates.get(self.listener)?.as_ref()?.certified_key())
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentCertificate").field("listener", &self.listener).finish_non_exhaustive()
    }
}
