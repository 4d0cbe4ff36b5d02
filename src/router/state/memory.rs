//! The memory of keepers: this process's, and the store that replicas share.
//!
//! The store is asked only for what this process does not know, and for few names of a request; it is written without
//! waiting. Objects that calls of their own make are kept apart from what every answer names, so that the many do not
//! push out the few.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::Name;
use pointsman_core::prompt::state::{StateKind, StateName};
use quick_cache::sync::Cache;

use super::record::{StateRecord, StateRecordKey};
use super::{FoundState, StateKeeper};
use crate::router::seconds;
use crate::snapshot::Snapshot;

/// Names of a request that the store is asked for.
const MOST_ASKED: usize = 4;

/// Names at a time that are written to the store: a list of many is no reason to fill its queue.
const MOST_WRITTEN: usize = 32;

/// The keepers of names. Outlives reloads.
pub(in crate::router) struct StateMemory {
    answers: Cache<StateRecordKey, StateRecord>,
    objects: Cache<StateRecordKey, StateRecord>,
}

impl Default for StateMemory {
    fn default() -> Self {
        Self { answers: Cache::new(1), objects: Cache::new(1) }
    }
}

impl StateMemory {
    /// Makes room for as many names as `snapshot` allows.
    pub(in crate::router) fn adopt(&self, snapshot: &Snapshot) {
        let most = snapshot.config.state.max_entries as u64;
        for records in [&self.answers, &self.objects] {
            if records.capacity() != most {
                records.set_capacity(most);
            }
        }
    }

    /// Returns the names whose keepers are known, in their order: all that this process knows, or else the first few
    /// that the store knows.
    pub(super) async fn find(
        &self,
        snapshot: &Snapshot,
        client: Option<&Name>,
        names: &[StateName],
        now: u64,
    ) -> Vec<FoundState> {
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        for name in names {
            let key = StateRecordKey::of(client, name);
            match self.known(&key).filter(|record| is_fresh(snapshot, name.kind, record, now)) {
                Some(record) => found.extend(record.keeper.map(|keeper| FoundState { name: *name, keeper })),
                None => unknown.push((*name, key)),
            }
        }
        let Some(store) = snapshot.store.as_ref().filter(|_| found.is_empty()) else { return found };
        for (name, key) in unknown.into_iter().take(MOST_ASKED) {
            let Ok(answer) = Box::pin(store.get(&key.in_store())).await else { break };
            let record = answer.and_then(|text| StateRecord::read(&text));
            let Some(record) = record.filter(|record| is_fresh(snapshot, name.kind, record, now)) else { continue };
            self.records(name.kind).insert(key, record.clone());
            if let Some(keeper) = record.keeper {
                found.push(FoundState { name, keeper });
                if name.kind.is_needed() {
                    break; // of these the first says it all
                }
            }
        }
        found
    }

    /// Remembers who keeps what `names` stand for, here and in the store.
    pub(super) fn remember(
        &self,
        snapshot: &Snapshot,
        client: Option<&Name>,
        names: &[StateName],
        keeper: &Arc<StateKeeper>,
    ) {
        let used = seconds();
        for (place, name) in names.iter().enumerate() {
            let key = StateRecordKey::of(client, name);
            let before = self.known(&key);
            let kept = match before.map(|record| record.keeper) {
                Some(other) if name.kind.may_be_shared() => other.and_then(|other| merged(&other, keeper)),
                _ => Some(Arc::clone(keeper)),
            };
            let record = StateRecord { used, keeper: kept };
            if let Some(store) = snapshot.store.as_ref().filter(|_| place < MOST_WRITTEN) {
                store.put(&key.in_store(), record.text().into_bytes(), hold(snapshot, name.kind));
            }
            self.records(name.kind).insert(key, record);
        }
    }

    /// Returns how many names are remembered here.
    pub(in crate::router) fn count(&self) -> usize {
        self.answers.len() + self.objects.len()
    }

    /// An id may be of another kind where a request names it than where an answer did.
    fn known(&self, key: &StateRecordKey) -> Option<StateRecord> {
        self.answers.get(key).or_else(|| self.objects.get(key))
    }

    fn records(&self, kind: StateKind) -> &Cache<StateRecordKey, StateRecord> {
        if kind.is_object() { &self.objects } else { &self.answers }
    }
}

/// Returns what two keepers of one name have in common; `None` where they are different providers. Some servers number
/// their items from one.
fn merged(one: &StateKeeper, other: &Arc<StateKeeper>) -> Option<Arc<StateKeeper>> {
    let is_one = one.provider == other.provider;
    is_one.then(|| {
        let peer = other.peer.clone().filter(|peer| one.peer.as_ref() == Some(peer));
        Arc::new(StateKeeper { peer, ..StateKeeper::clone(other) })
    })
}

fn hold(snapshot: &Snapshot, kind: StateKind) -> Duration {
    let config = &snapshot.config.state;
    if kind.is_object() { config.hold_objects.0 } else { config.hold.0 }
}

fn is_fresh(snapshot: &Snapshot, kind: StateKind, record: &StateRecord, now: u64) -> bool {
    now.saturating_sub(record.used) < hold(snapshot, kind).as_secs().max(1)
}

#[cfg(test)]
mod tests;
