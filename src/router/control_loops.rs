//! The closed loops that run: one for each policy with a target. They outlive reloads.
//!
//! A loop belongs to a target, a threshold and a bundle's weights; when one of them changes, what it knows is worth
//! nothing and it starts anew. With a store, replicas know together: every second each adds what it has counted.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use pointsman_core::config::Name;
use pointsman_core::policy::ControlTarget;
use pointsman_core::policy::control::{AnswerBill, ThresholdControl, TrafficTally};
use pointsman_telemetry::Metrics;
use pointsman_telemetry::metrics::TargetMetrics;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Routing;
use crate::snapshot::{ClassifierState, Snapshot};
use crate::store::SharedStore;

/// The time that the store keeps what is known of traffic that has ended.
const KEEP: Duration = Duration::from_hours(24);

/// Told apart from what versions keep that counted otherwise.
const SPELLING: &str = "2";

/// A frozen threshold moves again below so much of the drift that froze it.
const THAW: f64 = 0.8;

/// The loops, by policy.
#[derive(Default)]
pub(super) struct ControlLoops(ArcSwap<BTreeMap<Name, Arc<PolicyLoop>>>);

/// The state of one policy's control loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ControlState {
    /// The threshold that the policy decides by now.
    pub threshold: f64,
    /// The share that the strong models got lately.
    pub strong_share: Option<f64>,
    /// The share that the target comes to at present.
    pub wanted_share: Option<f64>,
    /// True while the threshold stays where it is because the scores have drifted.
    pub frozen: bool,
    /// The drift of the scores: their population stability index.
    pub drift: Option<f64>,
}

struct PolicyLoop {
    policy: Name,
    target: ControlTarget,
    identity: String,
    /// Bits of an `f64`.
    threshold: AtomicU64,
    is_frozen: AtomicBool,
    inner: Mutex<LoopKnowledge>,
    metrics: TargetMetrics,
}

struct LoopKnowledge {
    control: ThresholdControl,
    /// The observations that are folded in next.
    batch: TrafficTally,
    /// The observations that other replicas do not know yet; empty without a store.
    unshared: TrafficTally,
    /// The count of requests that the replicas knew together when this one last looked.
    seen: f64,
    /// The part of all requests that this replica had by then; `None` while it goes by its own requests alone.
    part: Option<f64>,
}

impl ControlLoops {
    /// Starts the loops that `snapshot` has and this does not, and ends the others.
    pub(super) fn adopt(&self, snapshot: &Snapshot, metrics: &Metrics) {
        let before = self.0.load_full();
        let targets = snapshot.policies.iter().filter_map(|policy| Some((policy.name(), policy.target()?)));
        let next: BTreeMap<_, _> = targets
            .map(|(name, target)| {
                let identity = identity(snapshot, target);
                let known = before.get(name).filter(|known| known.identity == identity).cloned();
                (name.clone(), known.unwrap_or_else(|| Arc::new(PolicyLoop::new(name, target, identity, metrics))))
            })
            .collect();
        metrics.set_targets(&next.keys().collect::<Vec<_>>());
        next.values().for_each(|own| own.show(&own.inner()));
        self.0.store(Arc::new(next));
    }

    /// Returns where the threshold of `policy` stands, if it has a target.
    pub(super) fn threshold(&self, policy: &Name) -> Option<f64> {
        Some(f64::from_bits(self.0.load().get(policy)?.threshold.load(Ordering::Relaxed)))
    }

    /// Takes a decision in that a request was sent by.
    pub(super) fn observe(&self, snapshot: &Snapshot, routing: &Routing) {
        let loops = self.0.load();
        let Some(own) = loops.get(&routing.decision.policy) else { return };
        let Some(observed) = own.target.observe(&routing.decision) else { return };
        own.watch(drift(snapshot, &own.target));
        let mut inner = own.inner();
        let LoopKnowledge { control, batch, .. } = &mut *inner;
        control.observe(batch, &own.target, observed);
        if ThresholdControl::is_due(batch) {
            own.fold(&mut inner, snapshot.store.is_some());
        }
    }

    /// Takes in what an answer of `policy` cost; `price` returns what it would have cost with a model.
    pub(super) fn bill(&self, policy: &Name, paid: f64, price: impl Fn(&Name) -> Option<f64>) {
        let loops = self.0.load();
        let Some(own) = loops.get(policy) else { return };
        let [Some(below), Some(above)] = own.target.models.each_ref().map(price) else { return };
        let mut inner = own.inner();
        let LoopKnowledge { control, batch, .. } = &mut *inner;
        control.bill(batch, &own.target, AnswerBill { paid, with: [below, above] });
    }

    /// Returns how every loop stands.
    pub(super) fn states(&self, snapshot: &Snapshot) -> BTreeMap<Name, ControlState> {
        let state = |own: &PolicyLoop| {
            let control = &own.inner().control;
            ControlState {
                threshold: control.threshold,
                strong_share: control.share(),
                wanted_share: control.wanted(&own.target),
                frozen: own.is_frozen.load(Ordering::Relaxed),
                drift: drift(snapshot, &own.target),
            }
        };
        self.0.load().iter().map(|(name, own)| (name.clone(), state(own))).collect()
    }

    /// Tells the other replicas what this one has counted, and takes in what they have.
    pub(super) async fn share(&self, store: &SharedStore) {
        for own in self.0.load_full().values() {
            own.share(store).await;
        }
    }
}

impl PolicyLoop {
    fn new(policy: &Name, target: &ControlTarget, identity: String, metrics: &Metrics) -> Self {
        let control = ThresholdControl::new(target, now());
        Self {
            policy: policy.clone(),
            target: target.clone(),
            identity,
            threshold: AtomicU64::new(control.threshold.to_bits()),
            is_frozen: AtomicBool::new(false),
            inner: Mutex::new(LoopKnowledge {
                control,
                batch: TrafficTally::default(),
                unshared: TrafficTally::default(),
                seen: 0.0,
                part: None,
            }),
            metrics: metrics.target(policy),
        }
    }

    fn inner(&self) -> MutexGuard<'_, LoopKnowledge> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the threshold while the scores have drifted too far.
    fn watch(&self, drift: Option<f64>) {
        let was_frozen = self.is_frozen.load(Ordering::Relaxed);
        let limit = if was_frozen { THAW * self.target.max_drift } else { self.target.max_drift };
        let is_frozen = drift.is_some_and(|drift| drift > limit);
        if is_frozen == was_frozen || self.is_frozen.swap(is_frozen, Ordering::Relaxed) == is_frozen {
            return;
        }
        let policy = &self.policy;
        self.metrics.frozen(is_frozen);
        match drift {
            Some(drift) if is_frozen => {
                self.metrics.froze();
                tracing::error!(%policy, drift, "The scores have drifted: the threshold stays where it is");
            }
            Some(drift) => tracing::warn!(%policy, drift, "The scores are as they were again: the threshold moves"),
            None => {
                tracing::warn!(%policy, "Too few prompts to tell whether the scores have drifted: the threshold moves");
            }
        }
    }

    fn fold(&self, inner: &mut LoopKnowledge, is_shared: bool) {
        let batch = mem::take(&mut inner.batch);
        inner.control.fold(&batch, now());
        if is_shared {
            inner.unshared.add(&batch);
        }
        if !self.is_frozen.load(Ordering::Relaxed) {
            inner.control.step(&self.target);
        }
        self.show(inner);
    }

    fn show(&self, inner: &LoopKnowledge) {
        let control = &inner.control;
        self.threshold.store(control.threshold.to_bits(), Ordering::Relaxed);
        self.metrics.stands_at(control.threshold);
        self.metrics.shares(control.share(), control.wanted(&self.target));
    }

    async fn share(&self, store: &SharedStore) {
        let key = format!("target:{}:{}", self.policy, self.identity);
        let Ok(before) = store.get(&key).await else { return self.go_alone() };
        let shared: Option<ThresholdControl> = before.as_deref().and_then(|text| serde_json::from_slice(text).ok());
        let elsewhere = shared.as_ref().map(|shared| shared.threshold);
        let (unshared, together) = {
            let mut inner = self.inner();
            if !inner.batch.is_empty() {
                self.fold(&mut inner, true);
            }
            let unshared = mem::take(&mut inner.unshared);
            let together = inner.control.joined(shared, &unshared, inner.seen, now());
            // Too few scores yet to have moved it: the others know better.
            let elsewhere = elsewhere.filter(|_| self.is_at_start(&inner.control));
            let threshold = elsewhere.unwrap_or(together.threshold);
            (unshared, together.at(threshold))
        };
        let is_told = unshared.is_empty() || {
            // Numbers and text for keys.
            let text = serde_json::to_vec(&together).unwrap_or_default();
            store.replace(&key, before, text, KEEP).await == Ok(true)
        };
        self.shared(together, &unshared, is_told);
    }

    /// Returns whether a threshold has not moved yet.
    fn is_at_start(&self, control: &ThresholdControl) -> bool {
        let [least, most] = self.target.bounds;
        (control.threshold - self.target.start.clamp(least, most)).abs() < f64::EPSILON
    }

    /// Goes by this replica's requests alone from now on. What it counts is told once the store is back, so that all
    /// know the debt together again.
    fn go_alone(&self) {
        let mut inner = self.inner();
        let Some(part) = inner.part.take() else { return };
        inner.control = inner.control.clone().alone(part);
    }

    /// Goes by what all know from now on; what could not be told is kept for the next time.
    fn shared(&self, together: ThresholdControl, unshared: &TrafficTally, is_told: bool) {
        let mut inner = self.inner();
        if !is_told {
            return inner.unshared.add(unshared);
        }
        // After a second without requests it is what it was.
        let part = together.part_of(unshared).or(inner.part).unwrap_or(1.0);
        (inner.seen, inner.part) = (together.count(), Some(part));
        let threshold = if self.is_at_start(&inner.control) { together.threshold } else { inner.control.threshold };
        let [least, most] = self.target.bounds;
        inner.control = together.at(threshold.clamp(least, most));
        let LoopKnowledge { control, unshared, .. } = &mut *inner;
        if !unshared.is_empty() {
            control.fold(unshared, now()); // came in while the store was asked
        }
        self.show(&inner);
    }
}

fn drift(snapshot: &Snapshot, target: &ControlTarget) -> Option<f64> {
    match snapshot.classifiers.get(&target.classifier)? {
        ClassifierState::Ready(classifier) => classifier.drift_of(&target.head),
        ClassifierState::Unavailable { .. } => None,
    }
}

/// Hashes what makes a loop this loop: the target, and the weights whose scores it reads.
fn identity(snapshot: &Snapshot, target: &ControlTarget) -> String {
    let bundle = match snapshot.classifiers.get(&target.classifier) {
        Some(ClassifierState::Ready(classifier)) => Arc::clone(&classifier.identity().sha256),
        _ => Arc::from(""),
    };
    let hash =
        Sha256::new().chain_update(SPELLING).chain_update(format!("{target:?}")).chain_update(&*bundle).finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::Config;
    use pointsman_core::policy::{PolicySet, TargetObservation};

    use super::*;

    const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}, frontier: {provider: p}}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    strategy: {kind: threshold, classifier: default, strong: frontier, weak: small, threshold: 0.5}
    target: {share: 0.25}
";

    fn own() -> PolicyLoop {
        let config = Config::parse(FILE, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        let policies = PolicySet::compile(&config).expect("no rules");
        let policy = policies.iter().next().expect("a policy");
        PolicyLoop::new(policy.name(), policy.target().expect("a target"), String::new(), &Metrics::new())
    }

    /// Takes in decisions whose scores are all above the threshold, so that it has to move up.
    fn decide(own: &PolicyLoop, requests: usize) -> f64 {
        let mut inner = own.inner();
        for _ in 0..requests {
            let LoopKnowledge { control, batch, .. } = &mut *inner;
            control.observe(batch, &own.target, TargetObservation { score: Some(0.9), is_strong: true });
            if ThresholdControl::is_due(batch) {
                own.fold(&mut inner, false);
            }
        }
        inner.control.threshold
    }

    #[test]
    fn a_threshold_stays_where_it_is_while_the_scores_have_drifted_and_moves_when_they_have_come_back() {
        let own = own();
        decide(&own, 150);

        own.watch(Some(0.26));
        let frozen = decide(&own, 100);
        assert!((decide(&own, 100) - frozen).abs() < 1e-12);

        own.watch(Some(0.21)); // below the bound, and not yet far enough
        assert!((decide(&own, 100) - frozen).abs() < 1e-12);

        own.watch(Some(0.19));
        let moved = decide(&own, 20);
        assert!(moved > frozen);

        own.watch(Some(0.26));
        own.watch(None); // the prompts that showed it are too old
        assert!(decide(&own, 100) > moved);
    }

    #[test]
    fn a_replica_that_hears_no_more_of_the_others_pays_its_part_of_what_all_owe_and_no_more() {
        let own = own();
        let mut fleet = TrafficTally::default();
        (0..1000).for_each(|_| {
            let control = own.inner().control.clone();
            control.observe(&mut fleet, &own.target, TargetObservation { score: Some(0.1), is_strong: false });
        });
        let mut together = own.inner().control.clone();
        together.fold(&fleet, now());
        let together = together.joined(Some(together.clone()), &TrafficTally::default(), 0.0, now());
        let mut counted = TrafficTally::default();
        let observed = TargetObservation { score: Some(0.1), is_strong: false };
        (0..10).for_each(|_| together.observe(&mut counted, &own.target, observed));
        let debt = |own: &PolicyLoop| serde_json::to_value(&own.inner().control).expect("JSON")["debt"].as_f64();

        let idle = together.joined(Some(together.clone()), &TrafficTally::default(), together.count(), now());
        own.shared(together, &counted, true);
        own.shared(idle, &TrafficTally::default(), true);
        let of_all = debt(&own).expect("a number");
        own.go_alone();
        let of_one = debt(&own).expect("a number");
        own.go_alone(); // once

        assert!(of_all > 40.0 && (of_one - of_all / 100.0).abs() < 1e-9, "{of_all} and {of_one}");
        assert_eq!(debt(&own), Some(of_one));
    }

    #[test]
    fn what_could_not_be_told_to_the_others_is_told_the_next_time() {
        let own = own();
        let (mut tally, together) = (TrafficTally::default(), own.inner().control.clone());
        together.observe(&mut tally, &own.target, TargetObservation { score: Some(0.9), is_strong: true });

        own.shared(together.clone(), &tally, false);
        assert!(!own.inner().unshared.is_empty());

        own.inner().unshared = TrafficTally::default();
        own.shared(together, &tally, true);
        assert!(own.inner().unshared.is_empty());
    }
}
