//! The addresses that a peer's name resolves to, asked for again when they are old.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::address::HostPort;

/// The time that a resolved name is used before it is asked for again.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// The reason why a peer has no address.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve `{host}`")]
pub(crate) struct ResolveError {
    host: String,
    #[source]
    source: io::Error,
}

/// The addresses of one name.
#[derive(Debug)]
pub(super) struct PeerResolver {
    name: HostPort,
    /// The address, when the name is one.
    literal: Option<Arc<[SocketAddr]>>,
    known: ArcSwapOption<KnownAddresses>,
}

#[derive(Debug)]
struct KnownAddresses {
    addresses: Arc<[SocketAddr]>,
    at: Instant,
}

impl PeerResolver {
    pub(super) fn new(name: HostPort) -> Self {
        let literal = name.host.parse().ok().map(|address: IpAddr| [SocketAddr::new(address, name.port)].into());
        Self { name, literal, known: ArcSwapOption::empty() }
    }

    /// Returns the addresses, at least one. Asks the resolver when there is no answer yet, or an old one; then one
    /// caller waits for it, `patience` at most, and the others use the old answer meanwhile.
    ///
    /// # Errors
    /// When the name does not resolve and never did; an old answer is better than none.
    pub(super) async fn addresses(&self, patience: Duration) -> Result<Arc<[SocketAddr]>, ResolveError> {
        if let Some(literal) = &self.literal {
            return Ok(Arc::clone(literal));
        }
        let known = self.known.load_full();
        if let Some(known) = &known {
            if known.at.elapsed() < RESOLVED_FOR {
                return Ok(Arc::clone(&known.addresses));
            }
            self.remember(Arc::clone(&known.addresses));
        }
        let looked_up = tokio::time::timeout(patience, self.look_up()).await;
        match looked_up.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(addresses) => {
                self.remember(Arc::clone(&addresses));
                Ok(addresses)
            }
            Err(source) => known
                .map(|known| Arc::clone(&known.addresses))
                .ok_or_else(|| ResolveError { host: self.name.host.clone(), source }),
        }
    }

    fn remember(&self, addresses: Arc<[SocketAddr]>) {
        self.known.store(Some(Arc::new(KnownAddresses { addresses, at: Instant::now() })));
    }

    /// Asks the resolver, off the runtime's threads. IPv4 addresses are preferred: many hosts publish IPv6 addresses
    /// that the operator's network cannot reach. Sorted, because servers shuffle their answers.
    async fn look_up(&self) -> io::Result<Arc<[SocketAddr]>> {
        let found: Vec<_> = tokio::net::lookup_host((self.name.host.as_str(), self.name.port)).await?.collect();
        let has_v4 = found.iter().any(SocketAddr::is_ipv4);
        let mut usable: Vec<_> = found.into_iter().filter(|address| address.is_ipv4() == has_v4).collect();
        usable.sort_unstable();
        usable.dedup();
        if usable.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(usable.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn resolver(name: &str) -> PeerResolver {
        PeerResolver::new(name.parse().expect("an address"))
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        let addresses = resolver("[::1]:80").addresses(Duration::ZERO).await.expect("an address");

        assert_eq!(*addresses, [SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80))]);
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_the_answer_kept() {
        let resolver = resolver("localhost:80");

        let first = resolver.addresses(PATIENCE).await.expect("an address");
        let second = resolver.addresses(Duration::ZERO).await.expect("no need to ask");

        assert!(first[0].ip().is_loopback());
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_is_asked_for_again_and_is_better_than_none() {
        let resolver = resolver("no-such-host.invalid:80");
        let old: Arc<[SocketAddr]> = [SocketAddr::from(([192, 0, 2, 1], 80))].into();
        resolver.remember(Arc::clone(&old));
        tokio::time::advance(RESOLVED_FOR).await;

        let addresses = resolver.addresses(Duration::ZERO).await.expect("the old answer");

        assert_eq!(addresses, old);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_has_moved_is_followed_once_its_answer_is_old() {
        let resolver = resolver("localhost:80");
        let old: Arc<[SocketAddr]> = [SocketAddr::from(([192, 0, 2, 1], 80))].into();
        resolver.remember(Arc::clone(&old));

        let before = resolver.addresses(PATIENCE).await.expect("the answer that is known");
        tokio::time::advance(RESOLVED_FOR).await;
        let after = resolver.addresses(PATIENCE).await.expect("a new answer");

        assert_eq!(before, old);
        assert!(after[0].ip().is_loopback(), "{after:?}");
    }

    #[tokio::test]
    async fn a_name_that_never_resolved_is_an_error_that_names_it() {
        let error = resolver("no-such-host.invalid:80").addresses(PATIENCE).await.expect_err("reserved name");

        assert_eq!(error.to_string(), "cannot resolve `no-such-host.invalid`");
    }
}
