//! Drives one decision: features, policy steps, and the signals that the steps ask for.
//!
//! The one entry for the proxy, the admin plane, the command line and embedders. It holds the snapshot that serves;
//! a caller pins it once with [`Router::snapshot`] and decides against that.

mod explain;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::time::Instant;

use crate::classifier::Ask;
use crate::config::{Mode, Name};
use crate::features::Features;
use crate::policy::{Decision, Policy, RequestFacts, Signal, Signals, Step};
use crate::prompt::Prompt;
use crate::scores::{Degraded, Scores};
use crate::snapshot::{ClassifierState, Decided, Snapshot, Ticket};
use crate::telemetry::{Metrics, Stage};

/// Decides for requests, against the snapshot that serves.
pub struct Router {
    current: ArcSwap<Snapshot>,
    metrics: Arc<Metrics>,
}

/// What is to happen to a request.
#[derive(Debug)]
pub enum Verdict {
    /// A policy chose a model.
    Route(Box<Routing>),
    /// No policy is for it, or the policy is off: it passes through untouched.
    Pass {
        /// The policy that is off, if one matched.
        policy: Option<Name>,
    },
}

/// A decision and all that went into it.
#[derive(Debug)]
pub struct Routing {
    /// The model, and why.
    pub decision: Decision,
    /// What the prompt looks like.
    pub features: Features,
    /// The classifier that was asked, if any.
    pub classifier: Option<Name>,
    /// What it said.
    pub scores: Option<Result<Scores, Degraded>>,
    /// Where the time went.
    pub timings: Timings,
    /// What the classifier's shadow is to judge once the request is over, if it is one of its sample.
    pub shadow: Option<Ticket>,
}

/// Where a decision's time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Reading the text's structure for the classifier; what rules ask for is measured while they decide.
    pub features: Duration,
    /// Waiting for scores, queue included.
    pub classify: Duration,
    /// Rules, strategy and constraints.
    pub decide: Duration,
}

impl Router {
    /// Makes a router that serves `first`.
    #[must_use]
    pub fn new(first: Snapshot, metrics: Arc<Metrics>) -> Self {
        Self { current: ArcSwap::from_pointee(first), metrics }
    }

    /// Returns the snapshot that serves now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Makes `next` serve. Requests in flight keep the snapshot that they pinned.
    pub fn swap(&self, next: Snapshot) {
        self.current.store(Arc::new(next));
    }

    /// Decides what happens to a request. Never fails: a classifier that cannot answer is a reason, not an error.
    ///
    /// Cancel-safe: dropping the future takes the prompt out of the classifier's queue.
    /// `prompt` was read from `body`, which is kept to measure later what the decision did not need.
    pub async fn decide(
        &self,
        snapshot: &Snapshot,
        facts: &RequestFacts<'_>,
        prompt: &Prompt<'_>,
        body: &Bytes,
    ) -> Verdict {
        let Some(policy) = snapshot.policies.find(facts) else { return Verdict::Pass { policy: None } };
        if policy.mode() == Mode::Off {
            return Verdict::Pass { policy: Some(policy.name().clone()) };
        }
        let features = Features::deferred(prompt, body);
        Verdict::Route(Box::new(Self::route(snapshot, policy, facts, prompt, features).await))
    }

    async fn route(
        snapshot: &Snapshot,
        policy: &Policy,
        facts: &RequestFacts<'_>,
        prompt: &Prompt<'_>,
        features: Features,
    ) -> Routing {
        let mut timings = Timings::default();
        let mut signals = Signals::default();
        let mut asked = None;
        loop {
            let started = Instant::now();
            let step = policy.step(facts, &features, &signals);
            timings.decide += started.elapsed();
            match step {
                Step::Decide(decision) => {
                    let (scores, classifier) = (signals.scores, asked);
                    let mut routing = Routing { decision, features, classifier, scores, timings, shadow: None };
                    routing.shadow = ticket(snapshot, &routing, prompt);
                    return routing;
                }
                Step::Need(Signal::Scores { classifier }) => {
                    let started = Instant::now();
                    features.read_text(prompt);
                    timings.features += started.elapsed();
                    let started = Instant::now();
                    signals.scores = Some(scores(snapshot, policy, &classifier, prompt, &features).await);
                    timings.classify += started.elapsed();
                    asked = Some(classifier);
                }
            }
        }
    }

    /// Counts a decision that a request was sent by, and compares it with the bundle's reference; one that was only asked
    /// for is not counted.
    pub fn count(&self, snapshot: &Snapshot, routing: &Routing) {
        let Routing { decision, classifier, scores, timings, .. } = routing;
        self.metrics.decided(&decision.policy, &decision.model, decision.reason.as_str());
        self.metrics.stage_ended(Stage::Features, timings.features);
        self.metrics.stage_ended(Stage::Decide, timings.decide);
        if let (Some(classifier), Some(scores)) = (classifier, scores) {
            self.metrics.stage_ended(Stage::Classify, timings.classify);
            match scores {
                Ok(scores) => {
                    self.count_scores(classifier, scores);
                    if let Some(ClassifierState::Ready(classifier)) = snapshot.classifiers.get(classifier) {
                        classifier.observe(scores, &routing.features);
                    }
                }
                Err(degraded) => self.metrics.degraded(classifier, degraded.as_str()),
            }
        }
    }

    fn count_scores(&self, classifier: &Name, scores: &Scores) {
        self.metrics.answered(classifier, scores.source.as_str());
        if let Some(reason) = scores.source.degraded() {
            self.metrics.degraded(classifier, reason.as_str());
        }
        for head in &scores.heads {
            for (label, probability) in head.labels.iter().zip(&head.probabilities) {
                self.metrics.scored(classifier, &head.head, label, *probability);
            }
        }
    }
}

/// Returns what the shadow of the classifier that was asked is to judge, if there is one and it wants this prompt.
fn ticket(snapshot: &Snapshot, routing: &Routing, prompt: &Prompt<'_>) -> Option<Ticket> {
    let name = routing.classifier.as_ref()?;
    let shadow = snapshot.shadows.get(name)?;
    let (Some(Ok(scores)), ClassifierState::Ready(live)) = (&routing.scores, snapshot.classifiers.get(name)?) else {
        return None;
    };
    let (features, decision) = (&routing.features, &routing.decision);
    let policies = &snapshot.policies;
    shadow.ticket(Decided { text: prompt.newest_user_turn(), features, live, scores, policies, decision })
}

async fn scores(
    snapshot: &Snapshot,
    policy: &Policy,
    name: &Name,
    prompt: &Prompt<'_>,
    features: &Features,
) -> Result<Scores, Degraded> {
    match snapshot.classifiers.get(name) {
        Some(ClassifierState::Ready(classifier)) => {
            let patience = snapshot.config.classifiers.get(name).map(|section| section.deadline.0);
            let deadline = Instant::now() + patience.unwrap_or_default();
            let text = prompt.newest_user_turn();
            classifier.judge(Ask { text, features, deadline, heads: policy.heads() }).await
        }
        Some(ClassifierState::Unavailable { reason, .. }) => Err(*reason),
        None => Err(Degraded::BundleUnavailable), // validation refuses a policy that names no classifier
    }
}
