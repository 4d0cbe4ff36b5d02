//! Chooses a peer: among those that can be used, by the provider's balance; when there is none, the least bad one.
//!
//! With `prefix_hash`, a peer that has more than its share of the requests in flight is passed over for the next one
//! that wants the key.
//!
//! Peers that this request tried already come after all others that can be used. When no peer can be used, ejecting all
//! of them would turn a partial outage into a whole one, so the pool fails open: any peer is tried, those that health
//! checks have not found down first. Only `health_check.fail_open: false` refuses, and only when checks say that all
//! are down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pointsman_core::config::{LoadBalancing, PeerBreaker};
use tokio::time::Instant;

use super::breaker::BreakerTicket;
use super::peer::{Peer, PeerId, weight};

/// The most that a peer may have over its share of the requests in flight before keys that want it go elsewhere, as a
/// ratio: 5/4. Consistent hashing with bounded loads, Mirrokni, Thorup and Zadimoghaddam, 2016 (arXiv:1608.01350).
const BOUND: (usize, usize) = (5, 4);

/// A provider's peers and how one of them is chosen.
#[derive(Debug)]
pub(super) struct PeerSet {
    pub(super) peers: Vec<Arc<Peer>>,
    pub(super) balance: LoadBalancing,
    pub(super) breaker: PeerBreaker,
    pub(super) fail_open: bool,
    pub(super) turn: AtomicUsize,
}

/// The peer that a request would like to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerPreference<'w> {
    /// Requests with the same key want the same peer.
    pub(super) key: Option<u64>,
    /// The peer that has what the request is about, by its label.
    pub(super) wanted: Option<&'w str>,
    /// Peers that failed this request already.
    pub(super) tried: &'w [PeerId],
    /// Peers whose name did not resolve a moment ago.
    pub(super) unreachable: &'w [PeerId],
}

/// A peer, and what lets the request through to it.
#[derive(Debug)]
pub(super) struct ChosenPeer {
    pub(super) peer: Arc<Peer>,
    pub(super) ticket: BreakerTicket,
    /// Counts the choices, to take addresses in turn.
    pub(super) turn: usize,
}

impl PeerSet {
    /// Chooses a peer; `None` when all were unreachable, or are down and must not be tried.
    pub(super) fn choose(&self, wish: PeerPreference<'_>) -> Option<ChosenPeer> {
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if let Some(choice) = self.wanted(wish, turn) {
            return Some(choice);
        }
        for is_fresh in [true, false] {
            let wanted = |peer: &&Arc<Peer>| {
                wish.allows(peer) && wish.is_fresh(peer) == is_fresh && peer.is_usable(now, &self.breaker)
            };
            // Another request may take the last trial in between; then the peer is no longer usable.
            while let Some(peer) = self.best(turn, wish.key, wanted) {
                if let Some(ticket) = peer.admit(now, &self.breaker) {
                    return Some(ChosenPeer { peer: Arc::clone(peer), ticket, turn });
                }
            }
        }
        self.least_bad(turn, wish)
    }

    /// Returns the peer that the request wants by name, if it can be used.
    fn wanted(&self, wish: PeerPreference<'_>, turn: usize) -> Option<ChosenPeer> {
        let now = Instant::now();
        let peer = self.peers.iter().find(|peer| Some(&**peer.label()) == wish.wanted && wish.allows(peer))?;
        let ticket = if peer.is_usable(now, &self.breaker) { peer.admit(now, &self.breaker) } else { None };
        Some(ChosenPeer { peer: Arc::clone(peer), ticket: ticket?, turn })
    }

    fn best<'p>(
        &'p self,
        turn: usize,
        key: Option<u64>,
        wanted: impl Fn(&&'p Arc<Peer>) -> bool,
    ) -> Option<&'p Arc<Peer>> {
        match (self.balance, key) {
            (LoadBalancing::PrefixHash, Some(key)) => self.nearest(key, wanted),
            (LoadBalancing::LeastRequests, _) => self.from(turn).filter(wanted).min_by_key(|peer| peer.in_flight()),
            _ => {
                // Counted among those that are wanted, so that the neighbour of an ejected peer gets no double share.
                let count = self.peers.iter().filter(&wanted).count();
                let nth = turn.checked_rem(count)?;
                self.peers.iter().filter(&wanted).nth(nth).or_else(|| self.peers.iter().find(&wanted))
            }
        }
    }

    /// Returns the peer that wants `key` most, among those that are wanted and do not have more than their share to do:
    /// a prompt that everyone sends must not end up on one peer while the others are idle.
    fn nearest<'p>(&'p self, key: u64, wanted: impl Fn(&&'p Arc<Peer>) -> bool) -> Option<&'p Arc<Peer>> {
        let wanted: Vec<_> = self.peers.iter().filter(wanted).map(|peer| (peer, peer.in_flight())).collect();
        let room = share(wanted.iter().map(|(_, load)| load).sum(), wanted.len());
        let has_room = wanted.iter().filter(|(_, load)| *load < room);
        has_room.max_by_key(|(peer, _)| weight(key, peer.label())).map(|(peer, _)| *peer)
    }

    fn least_bad(&self, turn: usize, wish: PeerPreference<'_>) -> Option<ChosenPeer> {
        if !self.fail_open && self.peers.iter().all(|peer| peer.is_down()) {
            return None;
        }
        let candidates = self.from(turn).filter(|peer| wish.allows(peer));
        let badness = |peer: &&Arc<Peer>| (peer.is_down(), !wish.is_fresh(peer), peer.in_flight());
        let peer = candidates.min_by_key(badness)?;
        Some(ChosenPeer { peer: Arc::clone(peer), ticket: peer.force(), turn })
    }

    /// Iterates over all peers, starting with the one in turn: ties go to the first.
    fn from(&self, turn: usize) -> impl Iterator<Item = &Arc<Peer>> {
        let (before, after) = self.peers.split_at(turn % self.peers.len());
        after.iter().chain(before)
    }
}

/// Returns how many requests each of `peers` may have, this one included, when `load` are in flight already: never
/// fewer than its average share, so that one of them always has room.
fn share(load: usize, peers: usize) -> usize {
    let (more, than) = BOUND;
    load.saturating_add(1).saturating_mul(more).div_ceil(peers.max(1) * than)
}

impl PeerPreference<'_> {
    fn allows(&self, peer: &Peer) -> bool {
        !self.unreachable.contains(&peer.id())
    }

    fn is_fresh(&self, peer: &Peer) -> bool {
        !self.tried.contains(&peer.id())
    }
}
