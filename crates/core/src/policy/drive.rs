//! The one loop that drives a policy: step, find the signal that the step needs, step again.
//!
//! Serving and evaluating differ in where signals come from, which is a [`SignalSource`], and in nothing else: modes,
//! rollout and the kill switch are told here ([`Policy::participation`]), so that no caller has rules of its own about
//! them.

use super::decision::{Denial, MODEL_HEADER, PolicyOutcome, Reason, UnansweredQuestion};
use super::facts::RequestFacts;
use super::signals::{Judgement, KnownSignals, PinLookup, RequestEvidence, RouteSimilarities, Signal};
use super::{Policy, strategy};
use crate::config::{Name, PolicyMode};
use crate::features::Features;
use crate::scores::{ClassifierFailure, Scores};

/// The part that a policy takes in a request that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyParticipation {
    /// The policy leaves the request alone: it is off, or only watches what it would not decide anyway.
    None,
    /// The policy's `otherwise` serves the request, for this reason: see [`Policy::stand_in`].
    StandIn(Reason),
    /// The policy decides: see [`Policy::decide`].
    Decide,
}

/// The source of the signals of one request: the classifiers, judges and pins of a router, or the lines of a log.
pub trait SignalSource {
    /// The reason for which a decision is given up. A signal that merely has no value is none: policies have an answer
    /// to that.
    type Stop;

    /// Finds the pin of the request's conversation.
    fn pin(&mut self) -> impl Future<Output = Result<PinLookup, Self::Stop>> + Send;

    /// Finds the scores of `classifier`.
    fn scores(
        &mut self,
        classifier: &Name,
    ) -> impl Future<Output = Result<Result<Scores, ClassifierFailure>, Self::Stop>> + Send;

    /// Finds how near the prompt is to the routes of the strategy at this path of the configuration.
    fn similarities(
        &mut self,
        strategy: &str,
    ) -> impl Future<Output = Result<Result<RouteSimilarities, ClassifierFailure>, Self::Stop>> + Send;

    /// Asks the judge of the strategy at this path of the configuration.
    fn judgement(
        &mut self,
        strategy: &str,
    ) -> impl Future<Output = Result<Result<Judgement, UnansweredQuestion>, Self::Stop>> + Send;
}

impl Policy {
    /// Returns the part that the policy takes in a request that it is for, by its mode, the kill switch and its
    /// rollout.
    #[must_use]
    pub fn participation(&self, facts: &RequestFacts<'_>) -> PolicyParticipation {
        let is_killed = facts.live.is_killed(&self.name);
        match self.mode {
            PolicyMode::Off => PolicyParticipation::None,
            PolicyMode::Shadow if is_killed => PolicyParticipation::None,
            PolicyMode::Shadow => PolicyParticipation::Decide,
            PolicyMode::Route if is_killed => PolicyParticipation::StandIn(Reason::KillSwitch),
            PolicyMode::Route if !self.is_rolled_out_to(facts) => PolicyParticipation::StandIn(Reason::NotRolledOut),
            PolicyMode::Route => PolicyParticipation::Decide,
        }
    }

    /// Returns whether it is rolled out to the conversation of a request. A client that names its model gets an answer
    /// to that wherever its conversation falls.
    pub(super) fn is_rolled_out_to(&self, facts: &RequestFacts<'_>) -> bool {
        let place = || strategy::place(&format!("rollout {}", self.name), &facts.live.conversation().to_le_bytes());
        self.rollout >= 1.0 || facts.live.header(MODEL_HEADER).is_some() || place() < self.rollout
    }

    /// Returns the refusal of a request that the policy matches and does not route, by a rule that can be evaluated
    /// without a classifier or a judge.
    #[must_use]
    pub fn refusal(&self, facts: &RequestFacts<'_>, features: &Features) -> Option<Denial> {
        let signals = KnownSignals::default();
        let ruled = self.rules.run(&self.name, RequestEvidence { facts, features, signals: &signals }).ok()?;
        let (index, deny) = ruled.denied?;
        Some(Denial::by_rule(&self.name, index, deny, ruled.traces))
    }

    /// Decides: takes step after step and has `source` find each signal that a step needs. `signals` may hold some
    /// already, and holds all that were found afterwards.
    ///
    /// Cancel-safe where `source` is: dropping the future drops the question that is open.
    ///
    /// # Errors
    /// When `source` gives up.
    pub async fn decide<S: SignalSource>(
        &self,
        facts: &RequestFacts<'_>,
        features: &Features,
        signals: &mut KnownSignals,
        source: &mut S,
    ) -> Result<PolicyOutcome, S::Stop> {
        loop {
            let needed = match self.outcome(&self.known(facts, features, signals)) {
                Ok(outcome) => return Ok(outcome),
                Err(signal) => signal,
            };
            match needed {
                Signal::Pin => signals.pin = source.pin().await?,
                Signal::Scores { classifier } => {
                    let scores = source.scores(&classifier).await?;
                    signals.add_scores(classifier, scores);
                }
                Signal::Similarities { strategy } => {
                    let similarities = source.similarities(&strategy).await?;
                    signals.similarities.push((strategy, similarities));
                }
                Signal::Judgement { strategy } => {
                    let judgement = source.judgement(&strategy).await?;
                    signals.judgements.push((strategy, judgement));
                }
            }
        }
    }
}
