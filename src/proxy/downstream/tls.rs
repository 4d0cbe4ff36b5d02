//! TLS of a listener: the certificate is looked up in the snapshot at every handshake, so that a new one counts from
//! the next connection on and open ones stay.
//!
//! The handshake is made here, not by Pingora's listener: that counts neither connections whose handshake goes on for its
//! 60 seconds nor handshakes that fail, and logs each as an error of its own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use pingora::Result;
use pingora::listeners::tls::{Acceptor, TlsSettings};
use pingora::protocols::Stream;
use pingora::tls::sign::CertifiedKey;
use pingora::tls::{ClientHello, ResolvesServerCert};

use crate::router::Router;

/// Shows the serving snapshot's certificate of one listener.
struct CurrentCertificate {
    router: Arc<Router>,
    listener: usize,
}

/// The listeners and their TLS.
#[derive(Default)]
pub(in crate::proxy) struct TlsAcceptors(Vec<(SocketAddr, Option<Acceptor>)>);

impl TlsAcceptors {
    /// Adds a listener; `tls` are its settings, if it speaks TLS.
    pub(in crate::proxy) fn add(&mut self, address: SocketAddr, tls: Option<TlsSettings>) {
        self.0.push((address, tls.map(TlsSettings::build)));
    }

    /// Returns the acceptor of the listener that a connection came in by, if that speaks TLS.
    pub(in crate::proxy) fn of(&self, stream: &Stream) -> Option<&Acceptor> {
        if self.0.iter().all(|(_, acceptor)| acceptor.is_none()) {
            return None; // nobody has to be asked for the address
        }
        let digest = stream.get_socket_digest()?;
        let local = *digest.local_addr()?.as_inet()?;
        let by = |is_it: &dyn Fn(&SocketAddr) -> bool| self.0.iter().find(|(address, _)| is_it(address));
        let same_port = |address: &SocketAddr| address.port() == local.port();
        let any_address = |address: &SocketAddr| same_port(address) && address.ip().is_unspecified();
        let listener = by(&|address| *address == local).or_else(|| by(&any_address)).or_else(|| by(&same_port));
        listener.and_then(|(_, acceptor)| acceptor.as_ref())
    }
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
