//! A snapshot that serves once more, with the keys, authorities and certificates of now: after a rollback, and while what was
//! rolled back is held.

use std::sync::Arc;

use super::{READING, SnapshotBuilder};
use crate::snapshot::Snapshot;
use crate::snapshot::key_material::KeyMaterial;
use crate::upstream::Upstreams;

impl SnapshotBuilder {
    /// Like [`SnapshotBuilder::again`], on a thread of its own. Where that does not end, the keys and authorities of
    /// `before` serve.
    #[must_use]
    pub fn again_in_time(self: &Arc<Self>, before: &Arc<Snapshot>, serving: &Arc<Snapshot>) -> Snapshot {
        let (builder, old, new) = (Arc::clone(self), Arc::clone(before), Arc::clone(serving));
        self.loads.run(READING, move || builder.again(&old, &new)).unwrap_or_else(|error| {
            tracing::warn!(%error, "Keys cannot be read, so that the rollback brings the former ones back");
            before.again(serving)
        })
    }

    /// Returns `serving` with the keys, authorities and certificates of now, and the terms of `newest`, on a thread of its
    /// own. Where that does not end, its keys and authorities stay.
    #[must_use]
    pub(crate) fn renewed_in_time(self: &Arc<Self>, serving: &Arc<Snapshot>, newest: &Snapshot) -> Snapshot {
        let generation = newest.generation;
        let (builder, own) = (Arc::clone(self), Arc::clone(serving));
        let renewed = Snapshot { generation, ..serving.again(newest) };
        let kept = Snapshot { generation, ..serving.again(newest) };
        self.loads.run(READING, move || builder.with_keys_of_now(renewed, &own)).unwrap_or_else(|error| {
            tracing::warn!(%error, "Keys cannot be read, so that the former ones stay");
            kept
        })
    }

    /// Returns the snapshot that brings `before` back after `serving`: what it decided by, and the keys, authorities and
    /// certificates of now, which nobody wants older.
    ///
    /// Loads no weights. Where a key cannot be read, that of `before` serves.
    #[must_use]
    pub fn again(&self, before: &Snapshot, serving: &Snapshot) -> Snapshot {
        self.with_keys_of_now(before.again(serving), serving)
    }

    /// Returns `next` with the keys and authorities that its files hold now; peers go on as they are in `serving`.
    fn with_keys_of_now(&self, mut next: Snapshot, serving: &Snapshot) -> Snapshot {
        let config = Arc::clone(&next.config);
        let key_material = KeyMaterial::read(&config, self.base_dir());
        if next.key_material.is_same(&key_material) {
            return next;
        }
        let providers = match Upstreams::resolve(&config, &self.surroundings()) {
            Ok(providers) => providers,
            Err(problems) => {
                let error = self.problems(problems);
                tracing::warn!("A key cannot be read, so that the former one serves\n{error}");
                return next;
            }
        };
        let upstreams = Upstreams::new(&config, providers, &self.metrics, Some(&serving.upstreams));
        let advisers = self.advisers(&config, &upstreams, &next.classifiers, Some(&next.advisers));
        let Ok(advisers) = advisers else { return next }; // they were made once, of the same configuration
        (next.upstreams, next.advisers) = (Arc::new(upstreams), Arc::new(advisers));
        next.key_material = key_material;
        next
    }
}
