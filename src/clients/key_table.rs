//! The keys of a registry, ready to be looked up by the hash of what a request brought.

use std::collections::HashMap;

use pointsman_core::config::{KeyHash, Name};
use subtle::ConstantTimeEq as _;

use super::issued_key::{IssuedKey, KeyStanding};

/// The keys of a registry at one moment.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    pub(super) records: Vec<IssuedKey>,
    by_hash: HashMap<[u8; 32], GoodKey>,
}

/// A key that is good until its end.
#[derive(Debug)]
struct GoodKey {
    client: Name,
    number: u64,
    /// The second from which it is good no longer.
    end: u64,
}

impl KeyTable {
    pub(super) fn of(mut records: Vec<IssuedKey>) -> Self {
        records.sort_by(|one, other| (one.created.0, &one.id).cmp(&(other.created.0, &other.id)));
        let good = records.iter().flat_map(|record| {
            record.hashes().map(|(hash, end)| {
                (*hash.bytes(), GoodKey { client: record.client.clone(), number: record.number(), end })
            })
        });
        let by_hash = good.collect();
        Self { records, by_hash }
    }

    /// Returns whose key has this hash, and the number that tells the key apart.
    pub(super) fn identify(&self, hash: &KeyHash, now: u64) -> Option<(Name, u64)> {
        let (own, key) = self.by_hash.get_key_value(hash.bytes())?;
        let is_good = bool::from(own.ct_eq(hash.bytes())) && now < key.end;
        is_good.then(|| (key.client.clone(), key.number))
    }

    /// Counts the keys that stand so at `now`.
    pub(super) fn count(&self, standing: KeyStanding, now: u64) -> usize {
        self.records.iter().filter(|record| record.standing(now) == standing).count()
    }
}
