//! The model that a conversation is pinned to: this process's memory of it, and the store that replicas share.
//!
//! Both are written with every decision, the store without waiting. Where both know a conversation, who was told later
//! is believed, so that what was decided while the store was away counts when it is back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pointsman_core::config::{AffinityKey, Name};
use pointsman_core::policy::{ModelPin, PinLookup, PinUpdate, Policy, RequestFacts};
use quick_cache::sync::Cache;

use super::Routing;
use crate::router::affinity_key::PinKey;
use crate::snapshot::Snapshot;

/// The version of [`StoredPin`]'s spelling.
const SPELLING: &str = "1";

/// Stands for no model; no name holds it.
const NONE: &str = "*";

/// The pins of every policy with affinity. Outlives reloads.
#[derive(Default)]
pub(super) struct PinMemory(ArcSwap<BTreeMap<Name, PolicyPins>>);

#[derive(Clone)]
struct PolicyPins {
    max_entries: usize,
    records: Arc<Cache<PinKey, StoredPin>>,
}

/// A conversation's pin, as it is remembered under its key. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredPin {
    since: u64,
    used: u64,
    bytes: u64,
    last: Name,
    home: Option<Name>,
}

impl PinMemory {
    /// Makes room for the pins of the policies of `snapshot`. Those that had some keep them.
    pub(super) fn adopt(&self, snapshot: &Snapshot) {
        let before = self.0.load_full();
        let policies =
            snapshot.policies.iter().filter_map(|policy| Some((policy.name(), policy.affinity()?.max_entries)));
        let next = policies.map(|(name, max_entries)| {
            let known = before.get(name).cloned();
            let memory =
                known.unwrap_or_else(|| PolicyPins { max_entries, records: Arc::new(Cache::new(max_entries)) });
            if memory.max_entries != max_entries {
                memory.records.set_capacity(max_entries as u64);
            }
            (name.clone(), PolicyPins { max_entries, ..memory })
        });
        self.0.store(Arc::new(next.collect()));
    }

    /// Returns what a request is held to. Conversations that begin alike have one key as long as none names a session:
    /// who only begins is not held to what another one came to.
    pub(super) async fn find(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        key: Option<PinKey>,
        facts: &RequestFacts<'_>,
    ) -> PinLookup {
        let (Some(key), Some(affinity)) = (key, policy.affinity()) else { return PinLookup::Nothing };
        if affinity.key == AffinityKey::Conversation && facts.live.only_begins() {
            return PinLookup::Nothing;
        }
        let now = facts.now;
        let known = self.0.load().get(policy.name()).and_then(|memory| memory.records.get(&key));
        let shared = match &snapshot.store {
            // An older copy will do: the latest record that is known wins, and the next turn finds the newer one.
            Some(store) => Box::pin(store.get_near(&key.in_store(policy.name()))).await.ok().flatten(),
            None => None,
        };
        let shared = shared.and_then(|text| StoredPin::read(&text));
        let latest = [known, shared].into_iter().flatten().max_by_key(|record| record.used);
        let fresh = latest.filter(|record| now.saturating_sub(record.used) < affinity.hold.0.as_secs().max(1));
        fresh.map_or(PinLookup::Nothing, |record| PinLookup::To(record.pin(now)))
    }

    /// Returns how many conversations of each policy are remembered here, and how many may be.
    pub(super) fn counts(&self) -> BTreeMap<Name, (usize, usize)> {
        let memories = self.0.load_full();
        memories.iter().map(|(name, memory)| (name.clone(), (memory.records.len(), memory.max_entries))).collect()
    }

    /// Remembers what a decision says is to be remembered; `answered` is the model that answered, if it is another one.
    pub(super) fn remember(&self, snapshot: &Snapshot, routing: &Routing, answered: Option<&Name>, now: u64) {
        let decision = &routing.decision;
        let (Some(key), Some(trace)) = (routing.pin, &decision.pin) else { return };
        let home = match decision.keep {
            PinUpdate::Nothing => return,
            PinUpdate::Last => trace.model.clone(),
            PinUpdate::Home => Some(decision.model.clone()),
        };
        let record = StoredPin {
            since: now.saturating_sub(trace.age_seconds),
            used: now,
            bytes: routing.features.bytes(),
            last: answered.unwrap_or(&decision.model).clone(),
            home,
        };
        if let Some(store) = &snapshot.store {
            let policy = snapshot.policies.get(&decision.policy);
            let hold = policy.and_then(Policy::affinity).map_or(Duration::ZERO, |affinity| affinity.hold.0);
            store.put(&key.in_store(&decision.policy), record.text().into_bytes(), hold);
        }
        if let Some(memory) = self.0.load().get(&decision.policy) {
            memory.records.insert(key, record);
        }
    }
}

impl StoredPin {
    fn pin(self, now: u64) -> ModelPin {
        let (age, idle) = (now.saturating_sub(self.since), now.saturating_sub(self.used));
        ModelPin { home: self.home, last: self.last, age, idle, bytes: self.bytes }
    }

    fn text(&self) -> String {
        let home = self.home.as_deref().unwrap_or(NONE);
        format!("{SPELLING} {} {} {} {} {home}", self.since, self.used, self.bytes, self.last)
    }

    /// Reads a record; one that another version wrote is as good as none.
    fn read(text: &[u8]) -> Option<Self> {
        let fields: Vec<&str> = str::from_utf8(text).ok()?.split(' ').collect();
        let [SPELLING, since, used, bytes, last, home] = fields.as_slice() else { return None };
        let number = |text: &str| text.parse().ok();
        let home = if *home == NONE { None } else { Some(Name::new(home).ok()?) };
        let last = Name::new(last).ok()?;
        Some(Self { since: number(since)?, used: number(used)?, bytes: number(bytes)?, last, home })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(home: Option<&str>) -> StoredPin {
        let name = |text| Name::new(text).expect("a name");
        StoredPin { since: 10, used: 20, bytes: 300, last: name("small"), home: home.map(name) }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for record in [record(Some("frontier")), record(None)] {
            assert_eq!(StoredPin::read(record.text().as_bytes()), Some(record));
        }
    }

    #[test]
    fn what_is_no_record_is_nothing() {
        for text in ["", "1", "2 10 20 300 small frontier", "1 10 20 300 small", "1 x 20 300 small *", "1 1 1 1 a b c"]
        {
            assert_eq!(StoredPin::read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(StoredPin::read(&[0xff]), None);
    }

    #[test]
    fn no_more_conversations_are_remembered_than_are_allowed() {
        for bound in [1, 10, 1000] {
            let records = Cache::<PinKey, StoredPin>::new(bound);

            (0..5000_u32).for_each(|number| {
                let mut key = [0; 16];
                key[..4].copy_from_slice(&number.to_le_bytes());
                records.insert(PinKey(key), record(None));
            });

            assert!((1..=bound).contains(&records.len()), "{} of {bound}", records.len());
        }
    }
}
