//! The signals of a request that is served: found by the classifiers, judges and pins of a snapshot, and timed.

use std::convert::Infallible;

use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::policy::{
    Judgement, PinLookup, Policy, RequestFacts, RouteSimilarities, SignalSource, UnansweredQuestion,
};
use pointsman_core::prompt::AskSource;
use pointsman_core::scores::{ClassifierFailure, Scores};
use tokio::time::Instant;

use super::asking::{self, ClassifierQuestion};
use super::incoming::IncomingRequest;
use super::routing::DecisionTimings;
use crate::router::affinity::PinMemory;
use crate::router::affinity_key::PinKey;
use crate::snapshot::Snapshot;

/// A request, and the policy of a snapshot that decides it.
#[derive(Clone, Copy)]
pub(super) struct ServedRequest<'s, 'r> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) policy: &'s Policy,
    pub(super) facts: &'s RequestFacts<'s>,
    pub(super) incoming: &'s IncomingRequest<'r>,
    pub(super) features: &'s Features,
}

/// The source of the signals of a request that is served.
pub(super) struct ServedSignals<'s, 'r> {
    request: ServedRequest<'s, 'r>,
    pins: &'s PinMemory,
    /// The key of what the request has in common with the requests that it belongs with.
    pub(super) pin: Option<PinKey>,
    pub(super) timings: DecisionTimings,
    /// The text of the prompt that was classified.
    pub(super) label_from: AskSource,
    /// The start of the step that the policy is taking.
    step_started: Instant,
}

impl<'s, 'r> ServedSignals<'s, 'r> {
    /// Makes the source for one request, right before its policy takes the first step.
    pub(super) fn new(request: ServedRequest<'s, 'r>, pins: &'s PinMemory) -> Self {
        let pin = PinKey::of(request.policy, request.facts);
        let label_from = request.incoming.prompt.ask().source();
        Self { request, pins, pin, timings: DecisionTimings::default(), label_from, step_started: Instant::now() }
    }

    /// Counts the time of the last step.
    pub(super) fn decided(mut self) -> Self {
        self.end_step();
        self
    }

    fn end_step(&mut self) {
        self.timings.decide += self.step_started.elapsed();
    }

    fn begin_step(&mut self) {
        self.step_started = Instant::now();
    }
}

impl SignalSource for ServedSignals<'_, '_> {
    type Stop = Infallible;

    async fn pin(&mut self) -> Result<PinLookup, Infallible> {
        self.end_step();
        let ServedRequest { snapshot, policy, facts, .. } = self.request;
        let held = self.pins.find(snapshot, policy, self.pin, facts).await;
        self.begin_step();
        Ok(held)
    }

    async fn scores(&mut self, classifier: &Name) -> Result<Result<Scores, ClassifierFailure>, Infallible> {
        self.end_step();
        let ServedRequest { snapshot, policy, facts, incoming, features } = self.request;
        let started = Instant::now();
        features.read_text(incoming.prompt);
        self.timings.features += started.elapsed();
        let started = Instant::now();
        let question = ClassifierQuestion { policy, classifier, facts };
        let judged = asking::scores(snapshot, question, incoming.prompt, features).await;
        self.label_from = judged.label_from;
        self.timings.classify += started.elapsed();
        self.begin_step();
        Ok(judged.scores)
    }

    async fn similarities(
        &mut self,
        strategy: &str,
    ) -> Result<Result<RouteSimilarities, ClassifierFailure>, Infallible> {
        self.end_step();
        let ServedRequest { snapshot, incoming, features, .. } = self.request;
        let started = Instant::now();
        let similarities = asking::similarities(snapshot, strategy, incoming.prompt, features).await;
        self.timings.classify += started.elapsed();
        self.begin_step();
        Ok(similarities)
    }

    async fn judgement(&mut self, strategy: &str) -> Result<Result<Judgement, UnansweredQuestion>, Infallible> {
        self.end_step();
        let ServedRequest { snapshot, incoming, features, .. } = self.request;
        let started = Instant::now();
        let judgement = asking::judgement(snapshot, strategy, incoming, features).await;
        self.timings.judge += started.elapsed();
        self.begin_step();
        Ok(judgement)
    }
}
