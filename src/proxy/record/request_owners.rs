//! Memory of whose requests were last decided, so that no client speaks of another's answer.
//!
//! Clients choose the ids of their requests, so an id says nothing of its owner. The memory is bounded and forgets: an id
//! that it does not know may be of another replica or of yesterday, and the lab joins by client and id anyway.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, OnceLock, PoisonError};

use pointsman_core::config::Name;

/// Locks, so that threads seldom meet.
const SHARDS: usize = 64;

/// Requests that each lock guards, 16 bytes each.
const SLOTS: usize = 1024;

/// The owner of an id that several clients gave to requests of theirs.
const SEVERAL: u64 = 0;

type OwnerShard = Mutex<Box<[OwnedId]>>;

/// The owners of recent requests, while clients have keys and feedback is taken.
#[derive(Default)]
pub(in crate::proxy) struct RequestOwners {
    hashes: RandomState,
    /// Made for the first request: a process without clients needs none.
    shards: OnceLock<Box<[OwnerShard]>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct OwnedId {
    id: u64,
    owner: u64,
}

impl RequestOwners {
    /// Notes that `client` made a request; the older one in its place is forgotten.
    pub(in crate::proxy) fn note(&self, request_id: &str, client: &Name) {
        let (id, owner) = (self.hash(request_id), self.hash(client.as_str()));
        self.with_slot(id, |slot| {
            let is_known = slot.id == id && slot.owner != owner;
            *slot = OwnedId { id, owner: if is_known { SEVERAL } else { owner } };
        });
    }

    /// Returns whether a recent request with this id is another client's, and none is this one's.
    pub(in crate::proxy) fn is_of_another(&self, request_id: &str, client: &Name) -> bool {
        let (id, owner) = (self.hash(request_id), self.hash(client.as_str()));
        let known = self.shards.get().is_some().then(|| self.with_slot(id, |slot| *slot));
        known.is_some_and(|slot| slot.id == id && slot.owner != owner && slot.owner != SEVERAL)
    }

    /// Returns a hash that is never 0, which means nobody and several.
    fn hash(&self, text: &str) -> u64 {
        self.hashes.hash_one(text).max(1)
    }

    fn with_slot<T>(&self, id: u64, run: impl FnOnce(&mut OwnedId) -> T) -> T {
        let empty = || (0..SHARDS).map(|_| Mutex::new(vec![OwnedId::default(); SLOTS].into())).collect();
        let place = usize::try_from(id >> 32).unwrap_or_default();
        let shard = &self.shards.get_or_init(empty)[place % SHARDS];
        // A slot is whole at any time, so that a panic elsewhere spoils nothing.
        let mut slots = shard.lock().unwrap_or_else(PoisonError::into_inner);
        run(&mut slots[place / SHARDS % SLOTS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_request_is_its_client_s_and_one_id_of_two_clients_is_neither_s() {
        let owners = RequestOwners::default();
        let [anna, mallory] = ["anna", "mallory"].map(|name| Name::new(name).expect("a valid name"));

        assert!(!owners.is_of_another("a", &mallory), "nothing is known yet");
        owners.note("a", &anna);
        owners.note("a", &anna);
        assert!(owners.is_of_another("a", &mallory) && !owners.is_of_another("a", &anna));
        assert!(!owners.is_of_another("b", &mallory));

        owners.note("a", &mallory);
        assert!(!owners.is_of_another("a", &mallory) && !owners.is_of_another("a", &anna));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets() {
        let owners = RequestOwners::default();
        let anna = Name::new("anna").expect("a valid name");
        let mallory = Name::new("mallory").expect("a valid name");

        let all = SHARDS * SLOTS * 2;
        (0..all).for_each(|request| owners.note(&request.to_string(), &anna));

        let known = (0..all).filter(|request| owners.is_of_another(&request.to_string(), &mallory)).count();
        assert!((1..=SHARDS * SLOTS).contains(&known), "{known}");
    }
}
