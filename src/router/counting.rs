//! The counting of a decision, and what of it is remembered for the next.

use pointsman_core::config::Name;
use pointsman_core::policy::{ClassifierAnswer, Constraint, Denial, Reason};
use pointsman_core::scores::Scores;
use pointsman_telemetry::DecisionStage;

use super::{NO_KEY, Router, Routing, quotas, seconds};
use crate::snapshot::{ClassifierState, Snapshot};

impl Router {
    /// Counts a decision that a request is sent or answered by: no budget refuses it any more. One that was only asked for
    /// is not counted.
    pub fn count(&self, snapshot: &Snapshot, routing: &Routing) {
        let decision = &routing.decision;
        self.metrics.decided(&decision.policy, &decision.model, decision.reason.as_str());
        if let Some(rule) = decision.by.rule() {
            self.metrics.rule_decided(&decision.policy, rule);
        }
        quotas::count(&self.metrics, &decision.policy, decision.quota.as_ref());
        if let (Some(budget), Reason::Moved(Constraint::Budget)) = (&decision.tight_budget, decision.reason) {
            self.budgets.count_move(budget);
        }
        self.remember(snapshot, routing);
    }

    /// Counts a refusal by a rule, or by a quota that was used up.
    pub fn count_denial(&self, denial: &Denial) {
        if let (Some(policy), Some(rule)) = (&denial.policy, denial.by.rule()) {
            self.metrics.rule_decided(policy, rule);
        }
        quotas::count_denial(&self.metrics, denial);
    }

    /// Counts a decision that changed nothing, because its policy only watches.
    pub fn count_shadow(&self, snapshot: &Snapshot, routing: &Routing) {
        let decision = &routing.decision;
        self.metrics.shadow_decided(&decision.policy, &decision.model, decision.reason.as_str());
        self.remember(snapshot, routing);
        self.count_signals(snapshot, routing);
    }

    /// Counts a refusal that changed nothing, because its policy only watches; no model stands beside it.
    pub fn count_shadow_denial(&self, denial: &Denial) {
        if let Some(policy) = &denial.policy {
            self.metrics.shadow_denied(policy, denial.code);
        }
    }

    /// Remembers for the next decision what this one chose.
    fn remember(&self, snapshot: &Snapshot, routing: &Routing) {
        let decision = &routing.decision;
        if let Some(trace) = &decision.pin {
            let outcome = if routing.pin.is_some() { trace.outcome.as_str() } else { NO_KEY };
            self.metrics.held(&decision.policy, outcome);
            self.pins.remember(snapshot, routing, None, seconds());
        }
        self.targets.observe(snapshot, routing);
    }

    /// Counts the classifiers that were asked for a decision, whatever becomes of its request, and compares them with their
    /// bundles' references.
    pub(crate) fn count_signals(&self, snapshot: &Snapshot, routing: &Routing) {
        let Routing { asked, timings, .. } = routing;
        self.metrics.stage_ended(DecisionStage::Features, timings.features);
        self.metrics.stage_ended(DecisionStage::Decide, timings.decide);
        if !asked.is_empty() {
            self.metrics.stage_ended(DecisionStage::Classify, timings.classify);
        }
        for ClassifierAnswer { classifier, scores } in asked {
            match scores {
                Ok(scores) => {
                    self.count_scores(classifier, scores);
                    if scores.familiarity.unfamiliar.is_some() {
                        self.metrics.unfamiliar(classifier, routing.features.language().code());
                    }
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
