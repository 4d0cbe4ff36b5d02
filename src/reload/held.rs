//! The load that a rollback holds back: the source still has its text, which must not come back by itself.
//!
//! A certificate that is renewed, a touched file or another commit says nothing of a text that an operator has rolled back.
//! It serves again once the text or its weights are others, or somebody asks for a reload. A restart knows nothing of it.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::locked;
use crate::snapshot::Snapshot;

/// The last load of what the source has, and whether a rollback holds it back.
#[derive(Debug)]
pub(super) struct LastLoad(Mutex<LoadedSnapshot>);

#[derive(Debug)]
struct LoadedSnapshot {
    snapshot: Arc<Snapshot>,
    held_since: Option<SystemTime>,
}

/// A generation that a rollback holds back, as the admin plane shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HeldGeneration {
    /// The generation that was rolled back.
    pub(crate) generation: u64,
    /// The fingerprint of its text.
    pub(crate) fingerprint: String,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) since: SystemTime,
}

impl LastLoad {
    pub(super) fn new(first: Arc<Snapshot>) -> Self {
        Self(Mutex::new(LoadedSnapshot { snapshot: first, held_since: None }))
    }

    /// Notes that `snapshot`, which is what the source has, serves.
    pub(super) fn serves(&self, snapshot: Arc<Snapshot>) {
        *locked(&self.0) = LoadedSnapshot { snapshot, held_since: None };
    }

    /// Notes that a rollback made `serving` serve: holds back what the source has, unless that is the same.
    pub(super) fn rolled_back(&self, serving: &Snapshot) {
        let mut load = locked(&self.0);
        load.held_since = (!serving.routes_like(&load.snapshot)).then(SystemTime::now);
    }

    /// Returns the snapshot that is held back.
    pub(super) fn held(&self) -> Option<Arc<Snapshot>> {
        let load = locked(&self.0);
        load.held_since.map(|_| Arc::clone(&load.snapshot))
    }

    /// Returns the generation that is held back.
    pub(super) fn shown(&self) -> Option<HeldGeneration> {
        let load = locked(&self.0);
        let LoadedSnapshot { snapshot, held_since } = &*load;
        held_since.map(|since| HeldGeneration {
            generation: snapshot.generation,
            fingerprint: snapshot.config.fingerprint(),
            since,
        })
    }
}

fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*at))
}
