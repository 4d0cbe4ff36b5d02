//! The bandits that learn: one for each policy with that strategy. They outlive reloads.
//!
//! A bandit belongs to its models, its head and a bundle's weights; when one of them changes, what it knows is worth
//! nothing and it starts anew. A reward is clients' feedback on an answer whose model the bandit chose. With a store,
//! replicas know together ([`sharing`]).

mod decided;
mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use pointsman_core::config::{BanditConfig, Name};
use pointsman_core::policy::Reason;
use pointsman_core::policy::bandit::{BanditBelief, DriftWatch, Reward, RewardTally, Suspicion, SuspicionWatch};
use pointsman_telemetry::metrics::{BanditMetrics, RewardOutcome};
use pointsman_telemetry::{AnswerSide, Metrics};
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::decided::{DecidedAnswer, DecidedAnswers, LearntWord};
use self::sharing::UnsharedNews;
use super::Routing;
use super::quality::{AnswerRater, AnswerRating, AnsweredRequest};
use crate::snapshot::{ClassifierState, Snapshot};
use crate::store::SharedStore;

/// Told apart from what versions keep that counted otherwise.
const SPELLING: &str = "1";

/// Clients of which is said that they give most of the rewards.
const MOST_OUTSPOKEN: usize = 256;

/// The bandits, by policy.
#[derive(Default)]
pub(super) struct Bandits(ArcSwap<BTreeMap<Name, Arc<PolicyBandit>>>);

/// The state of one policy's bandit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BanditState {
    /// The rewards that it has learnt from.
    pub rewards: f64,
    /// Why rewards are counted and not learnt now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<&'static str>,
    /// What it believes of each model, by label.
    pub labels: BTreeMap<String, BTreeMap<Name, ArmState>>,
}

/// The belief of a bandit about one model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ArmState {
    /// The chance of a good answer.
    pub quality: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// The rewards that it rests on, older ones weighing less.
    pub weight: f64,
}

/// A word on a client's answer that says how good it was.
#[derive(Debug, Clone, Copy)]
struct RewardingWord<'r> {
    request_id: &'r str,
    rater: AnswerRater<'r>,
    quality: f64,
}

struct PolicyBandit {
    policy: Name,
    models: Vec<Name>,
    identity: String,
    belief: ArcSwap<BanditBelief>,
    inner: Mutex<BanditKnowledge>,
    metrics: BanditMetrics,
}

/// The terms of learning, which a reload may change.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LearningTerms {
    memory: f64,
    max_client_share: f64,
}

struct BanditKnowledge {
    terms: LearningTerms,
    answers: DecidedAnswers,
    /// The news that other replicas do not know yet; empty without a store.
    unshared: UnsharedNews,
    /// The number of times that all was to be forgotten.
    resets: u64,
    drift: Vec<DriftWatch>,
    clients: SuspicionWatch,
    frozen: Option<Suspicion>,
    /// The clients of which was said that they give most of the rewards.
    outspoken: BTreeSet<String>,
}

impl Bandits {
    /// Starts the bandits that `snapshot` has and this does not, and ends the others.
    pub(super) fn adopt(&self, snapshot: &Snapshot, metrics: &Metrics) {
        let before = self.0.load_full();
        let sections =
            snapshot.config.policies.iter().filter_map(|policy| match policy.strategy.bandits().as_slice() {
                [bandit] => Some((&policy.name, *bandit)),
                _ => None,
            });
        let next: BTreeMap<_, _> = sections
            .map(|(name, section)| {
                let identity = identity(snapshot, section);
                let known = before.get(name).filter(|known| known.identity == identity).cloned();
                if let Some(known) = &known {
                    known.inner().terms = LearningTerms::of(section);
                }
                let started = || Arc::new(PolicyBandit::new(name, section, identity, metrics));
                (name.clone(), known.unwrap_or_else(started))
            })
            .collect();
        metrics.set_bandits(&next.keys().collect::<Vec<_>>());
        self.0.store(Arc::new(next));
    }

    /// Returns what the bandit of `policy` believes.
    pub(super) fn belief(&self, policy: &Name) -> Option<Arc<BanditBelief>> {
        Some(self.0.load().get(policy)?.belief.load_full())
    }

    /// Tells whether any policy learns.
    pub(super) fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// Remembers an answer whose model a bandit chose, so that a word on it is a reward.
    pub(super) fn remember(&self, routing: &Routing, answered: AnsweredRequest<'_>) {
        let decision = &routing.decision;
        if !matches!(decision.reason, Reason::Bandit | Reason::Exploration) || *answered.model != decision.model {
            return;
        }
        let bandits = self.0.load();
        let Some(own) = bandits.get(&decision.policy) else { return };
        let Some(arm) = own.models.iter().position(|model| *model == decision.model) else { return };
        let label = decision.label.as_deref().unwrap_or_default().into();
        let answer = DecidedAnswer::new(label, arm, answered.client.cloned());
        own.inner().answers.remember(answered.request_id, answer);
    }

    /// Learns from a word on a client's answer; tells whether a bandit remembers that it chose the answer's model.
    pub(super) fn reward(&self, rating: AnswerRating<'_>, is_shared: bool) -> bool {
        let AnswerRating { request_id, rater, side: AnswerSide::Served, quality: Some(quality) } = rating else {
            return false;
        };
        let word = RewardingWord { request_id, rater, quality };
        self.0.load().values().any(|own| own.reward(word, is_shared))
    }

    /// Returns how every bandit stands.
    pub(super) fn states(&self) -> BTreeMap<Name, BanditState> {
        self.0.load().iter().map(|(name, own)| (name.clone(), own.state())).collect()
    }

    /// Makes the bandit of a policy forget all rewards, and the other replicas too once they hear of it; tells whether
    /// there is one.
    pub(super) fn reset(&self, policy: &Name, is_shared: bool) -> bool {
        let bandits = self.0.load();
        let Some(own) = bandits.get(policy) else { return false };
        own.reset(is_shared);
        true
    }

    /// Tells the other replicas what this one has learnt, and takes in what they have.
    pub(super) async fn share(&self, store: &SharedStore) {
        for own in self.0.load_full().values() {
            own.share(store).await;
        }
    }
}

impl LearningTerms {
    fn of(section: &BanditConfig) -> Self {
        Self { memory: f64::from(section.memory), max_client_share: section.max_client_share.get() }
    }
}

impl BanditKnowledge {
    fn new(section: &BanditConfig) -> Self {
        Self {
            terms: LearningTerms::of(section),
            answers: DecidedAnswers::default(),
            unshared: UnsharedNews::default(),
            resets: 0,
            drift: vec![DriftWatch::default(); section.models.len()],
            clients: SuspicionWatch::default(),
            frozen: None,
            outspoken: BTreeSet::new(),
        }
    }
}

impl PolicyBandit {
    fn new(policy: &Name, section: &BanditConfig, identity: String, metrics: &Metrics) -> Self {
        Self {
            policy: policy.clone(),
            models: section.models.clone(),
            identity,
            belief: ArcSwap::from_pointee(BanditBelief::new(section.models.len())),
            inner: Mutex::new(BanditKnowledge::new(section)),
            metrics: metrics.bandit(policy, &section.models),
        }
    }

    fn inner(&self) -> MutexGuard<'_, BanditKnowledge> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a rating in; tells whether it was of an answer of this bandit's that is over.
    fn reward(&self, rating: RewardingWord<'_>, is_shared: bool) -> bool {
        let mut inner = self.inner();
        let Some(answer) = inner.answers.rate(rating) else { return false };
        let model = &self.models[answer.arm];
        let known = self.belief.load().counts(&answer.label, answer.arm);
        let surprise = rating.quality - known.chance().0;
        let client = match rating.rater {
            AnswerRater::Client(Some(client)) => client.as_str(),
            AnswerRater::Client(None) | AnswerRater::Operator => "",
        };
        let terms = inner.terms;
        let suspicion = inner.clients.observe(client, answer.arm, surprise);
        self.watch(&mut inner, suspicion);
        if suspicion.is_some() {
            self.metrics.rewarded(model, RewardOutcome::Frozen);
            return true;
        }
        let weight = inner.clients.weight_of(client, terms.max_client_share);
        self.tell_outspoken(&mut inner, client, weight);
        let reward = |LearntWord { quality, weight }| Reward { label: &answer.label, arm: answer.arm, quality, weight };
        let mut tally = RewardTally::default();
        tally.add(reward(LearntWord { quality: rating.quality, weight }));
        if let Some(earlier) = answer.corrects {
            tally.take_back(reward(earlier));
        }
        let mut belief = BanditBelief::clone(&self.belief.load());
        belief.learn(&tally, terms.memory);
        let has_drifted = known.weight() >= DriftWatch::LEAST && inner.drift[answer.arm].observe(surprise, weight);
        if has_drifted {
            belief.doubt(answer.arm);
            self.metrics.drifted(model);
            tracing::warn!(policy = %self.policy, %model, "The answers of a model are rated otherwise than before");
        }
        self.metrics.rewarded(model, RewardOutcome::Learnt);
        self.metrics.believes(&answer.label, model, belief.counts(&answer.label, answer.arm).chance().0);
        self.belief.store(Arc::new(belief));
        inner.answers.learnt(rating, weight);
        if is_shared {
            inner.unshared.add(&tally, has_drifted.then_some(answer.arm));
        }
        true
    }

    /// Says once of each client that it gives so many of the rewards that each counts less than half.
    fn tell_outspoken(&self, inner: &mut BanditKnowledge, client: &str, weight: f64) {
        if weight >= 0.5 || inner.outspoken.len() >= MOST_OUTSPOKEN || inner.outspoken.contains(client) {
            return;
        }
        inner.outspoken.insert(client.to_owned());
        let (policy, name) = (&self.policy, if client.is_empty() { "without a name" } else { client });
        tracing::warn!(%policy, client = name, "A client gives most of the rewards: each counts less than half");
    }

    /// Stops learning while rewards are suspicious.
    fn watch(&self, inner: &mut BanditKnowledge, suspicion: Option<Suspicion>) {
        if inner.frozen == suspicion {
            return;
        }
        let policy = &self.policy;
        match suspicion {
            Some(suspicion) => {
                let cause = suspicion.as_str();
                tracing::error!(%policy, cause, "Rewards are suspicious: the bandit learns nothing from them");
            }
            None => tracing::warn!(%policy, "Rewards are plausible again: the bandit learns"),
        }
        self.metrics.frozen(suspicion.is_some());
        inner.frozen = suspicion;
    }

    fn state(&self) -> BanditState {
        let (belief, frozen) = (self.belief.load_full(), self.inner().frozen.map(Suspicion::as_str));
        let arm = |(model, counts): (&Name, &pointsman_core::policy::bandit::AnswerCounts)| {
            let (quality, deviation) = counts.chance();
            (model.clone(), ArmState { quality, deviation, weight: counts.weight() })
        };
        let labels = belief.labels().map(|(label, arms)| {
            let label = if label.is_empty() { "*" } else { label };
            (label.to_owned(), self.models.iter().zip(arms).map(arm).collect())
        });
        BanditState { rewards: belief.rewards(), frozen, labels: labels.collect() }
    }

    fn reset(&self, is_shared: bool) {
        let mut inner = self.inner();
        inner.unshared = if is_shared { UnsharedNews::of_reset() } else { UnsharedNews::default() };
        inner.resets += 1;
        inner.drift.iter_mut().for_each(|watch| *watch = DriftWatch::default());
        inner.clients = SuspicionWatch::default();
        inner.outspoken.clear();
        self.watch(&mut inner, None);
        self.belief.store(Arc::new(BanditBelief::new(self.models.len())));
    }
}

/// Hashes what makes a bandit this bandit: its models and head, and the weights whose labels it learns by.
fn identity(snapshot: &Snapshot, section: &BanditConfig) -> String {
    let bundle = match section.classifier.as_ref().and_then(|name| snapshot.classifiers.get(name)) {
        Some(ClassifierState::Ready(classifier)) => Arc::clone(&classifier.identity().sha256),
        _ => Arc::from(""),
    };
    let models = format!("{:?} {:?} {}", section.models, section.classifier, section.head);
    let hash = Sha256::new().chain_update(SPELLING).chain_update(models).chain_update(&*bundle).finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
