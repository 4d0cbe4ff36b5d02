//! Wrong tokens by the address that they came from: beyond a number a minute, no further one is looked at.
//!
//! A table of fixed size without a lock. Addresses that fall into one slot share an allowance; which do is drawn anew in
//! each process.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clients::TokenBucket;

/// Wrong tokens in a minute from one address.
pub(super) const ALLOWED: u64 = 20;

/// The slots of the table.
const SLOTS: usize = 1024;

/// The wrong tokens of late.
pub(super) struct TokenFailures {
    epoch: Instant,
    hasher: RandomState,
    /// For each slot when its bucket will be full again, in nanoseconds since `epoch`.
    slots: Box<[AtomicU64]>,
}

impl TokenFailures {
    const RATE: TokenBucket = TokenBucket::per_minute(ALLOWED);

    /// Returns how long an address has to wait before a token from it is looked at again; `None` for not at all.
    pub(super) fn wait(&self, address: Option<IpAddr>) -> Option<Duration> {
        let full_at = self.slot(address).load(Ordering::Relaxed);
        Self::RATE.take(full_at, self.now(), 1).err().map(Duration::from_nanos)
    }

    /// Notes a wrong token from an address.
    pub(super) fn note(&self, address: Option<IpAddr>) {
        let now = self.now();
        let take = |full_at| Self::RATE.take(full_at, now, 1).ok();
        let _ = self.slot(address).fetch_update(Ordering::Relaxed, Ordering::Relaxed, take); // full is full
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn slot(&self, address: Option<IpAddr>) -> &AtomicU64 {
        let hash = self.hasher.hash_one(address.map(network));
        &self.slots[usize::try_from(hash % SLOTS as u64).unwrap_or_default()]
    }
}

impl Default for TokenFailures {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { epoch: Instant::now(), hasher: RandomState::new(), slots }
    }
}

/// Returns the address; of IPv6 its network of 64 bits, all of which one machine may have.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_guesses_has_to_wait_and_others_do_not() {
        let (failures, guessing) = (TokenFailures::default(), Some(IpAddr::from([10, 0, 0, 1])));
        // Some other address has a slot of its own.
        let other = (2..=255).map(|last| Some(IpAddr::from([10, 0, 0, last])));
        let other = other.into_iter().find(|own| !std::ptr::eq(failures.slot(*own), failures.slot(guessing)));

        for _ in 0..ALLOWED {
            assert_eq!(failures.wait(guessing), None);
            failures.note(guessing);
        }

        assert!(failures.wait(guessing).is_some_and(|wait| wait <= Duration::from_secs(60 / ALLOWED)));
        assert_eq!(failures.wait(other.expect("a thousand slots")), None);
        tokio::time::advance(Duration::from_secs(60 / ALLOWED)).await;
        assert_eq!(failures.wait(guessing), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| network(text.parse().expect("an address"));

        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
