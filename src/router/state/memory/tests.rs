//! The memory of keepers alone: its bounds, its hold times, and who is told what.

use std::path::Path;
use std::sync::Arc;

use pointsman_core::config::Name;
use pointsman_core::prompt::state::{StateKind, StateName};
use pointsman_telemetry::Metrics;

use super::StateMemory;
use crate::router::{StateKeeper, seconds};
use crate::snapshot::{Snapshot, SnapshotBuilder};

const HOUR: u64 = 3600;

/// A memory, and the snapshot that bounds it.
struct BoundedMemory {
    memory: StateMemory,
    snapshot: Snapshot,
}

impl BoundedMemory {
    fn new(state: &str) -> Self {
        let (memory, snapshot) = (StateMemory::default(), snapshot(state));
        memory.adopt(&snapshot);
        Self { memory, snapshot }
    }

    fn remember(&self, client: Option<&Name>, names: &[StateName], keeper: &StateKeeper) {
        self.memory.remember(&self.snapshot, client, names, &Arc::new(keeper.clone()));
    }

    /// Returns who keeps what `names` stand for, so many seconds from now.
    async fn find(&self, client: Option<&Name>, names: &[StateName], later: u64) -> Vec<StateKeeper> {
        let found = self.memory.find(&self.snapshot, client, names, seconds() + later).await;
        found.into_iter().map(|found| StateKeeper::clone(&found.keeper)).collect()
    }

    async fn count(&self, names: &[StateName]) -> usize {
        self.find(None, names, 0).await.len()
    }
}

fn snapshot(state: &str) -> Snapshot {
    let text = format!(
        "version: 1\nlisten: {{address: '127.0.0.1:0'}}\nadmin: {{address: '127.0.0.1:0'}}\nstate: {state}\n\
         providers: {{p: {{base_url: 'http://127.0.0.1:1/v1'}}}}\nmodels: {{m: {{provider: p}}}}\n\
         policies: [{{name: auto, match: {{model: [auto]}}, strategy: {{kind: random, models: [m]}}}}]\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, text).expect("written");
    build(&path)
}

fn build(path: &Path) -> Snapshot {
    let builder = SnapshotBuilder::new(path, Arc::new(Metrics::new()));
    builder.build(builder.prepare().expect("a sound file"), None).expect("a snapshot")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn keeper(provider: &str, peer: Option<&str>) -> StateKeeper {
    StateKeeper { provider: name(provider), peer: peer.map(Into::into), model: None, conversation: None }
}

fn many(kind: StateKind, count: usize) -> Vec<StateName> {
    (0..count).map(|number| StateName::new(kind, format!("{}-{number}", kind.as_str()).as_bytes())).collect()
}

#[tokio::test]
async fn no_more_names_are_remembered_than_are_allowed_and_objects_are_not_pushed_out_by_answers() {
    for bound in [1, 10, 100] {
        let bounded = BoundedMemory::new(&format!("{{max_entries: {bound}}}"));
        let (file, answers) = (many(StateKind::File, 1), many(StateKind::Response, 5000));
        bounded.remember(None, &file, &keeper("p", None));

        bounded.remember(None, &answers, &keeper("p", None));

        let count = bounded.count(&answers).await;
        assert!((1..=bound).contains(&count), "{count} of {bound}");
        assert_eq!(bounded.count(&file).await, 1, "{bound}");
    }
}

#[tokio::test]
async fn a_reload_changes_the_bound_and_what_is_known_stays_where_it_has_room() {
    let mut bounded = BoundedMemory::new("{max_entries: 100}");
    let answers = many(StateKind::Response, 20);
    bounded.remember(None, &answers, &keeper("p", None));

    for (bound, least, most) in [(1000, 20, 20), (5, 1, 5)] {
        bounded.snapshot = snapshot(&format!("{{max_entries: {bound}}}"));
        bounded.memory.adopt(&bounded.snapshot);

        let count = bounded.count(&answers).await;
        assert!((least..=most).contains(&count), "{count} of {bound}");
    }
}

#[tokio::test]
async fn each_kind_is_held_for_as_long_as_the_configuration_says() {
    let bounded = BoundedMemory::new("{hold: 2h, hold_objects: 5h}");
    for kind in StateKind::ALL {
        let names = many(kind, 1);
        bounded.remember(None, &names, &keeper("p", None));
        let hold = if kind.is_object() { 5 * HOUR } else { 2 * HOUR };

        let (before, after) =
            (bounded.find(None, &names, hold - HOUR).await, bounded.find(None, &names, hold + 1).await);

        assert_eq!((before.len(), after.len()), (1, 0), "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_seen_again_with_another_keeper_is_the_newer_one_s() {
    let bounded = BoundedMemory::new("{}");
    let file = many(StateKind::File, 1);

    bounded.remember(None, &file, &keeper("one", Some("10.0.0.1:80")));
    bounded.remember(None, &file, &keeper("two", None));

    assert_eq!(bounded.find(None, &file, 0).await, [keeper("two", None)]);
}

#[tokio::test]
async fn clients_know_nothing_of_one_another() {
    let bounded = BoundedMemory::new("{}");
    let (file, [a, b]) = (many(StateKind::File, 1), ["a", "b"].map(name));

    bounded.remember(Some(&a), &file, &keeper("one", None));
    assert_eq!(bounded.find(Some(&b), &file, 0).await, []);
    assert_eq!(bounded.find(None, &file, 0).await, []);
    bounded.remember(Some(&b), &file, &keeper("two", None));

    assert_eq!(bounded.find(Some(&a), &file, 0).await, [keeper("one", None)]);
    assert_eq!(bounded.find(Some(&b), &file, 0).await, [keeper("two", None)]);
}

#[tokio::test]
async fn an_item_s_id_that_two_providers_made_says_nothing_from_then_on() {
    let bounded = BoundedMemory::new("{}");
    let item = many(StateKind::Item, 1);

    bounded.remember(None, &item, &keeper("one", None));
    assert_eq!(bounded.find(None, &item, 0).await, [keeper("one", None)]);
    for provider in ["two", "one", "two"] {
        bounded.remember(None, &item, &keeper(provider, None));

        assert_eq!(bounded.find(None, &item, 0).await, [], "{provider}");
    }
}

#[tokio::test]
async fn an_item_s_id_that_two_peers_made_names_their_provider() {
    let bounded = BoundedMemory::new("{}");
    let item = many(StateKind::Item, 1);

    for peer in ["10.0.0.1:80", "10.0.0.2:80"] {
        bounded.remember(None, &item, &keeper("one", Some(peer)));
    }

    assert_eq!(bounded.find(None, &item, 0).await, [keeper("one", None)]);
}
