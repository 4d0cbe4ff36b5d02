//! A decision as JSON: what `POST /v1/decide` and `pointsman decide --json` show.

use serde_json::{Map, Value, json};

use super::Routing;
use crate::policy::{By, Decision};
use crate::scores::{Degraded, Scores};
use crate::snapshot::Snapshot;

impl Routing {
    /// Returns the decision and all that went into it, as one JSON object.
    ///
    /// `model`, `policy`, `rule` (its position) or `strategy` (its kind), `reason`, `label`, `score`, `flip` (the nearest
    /// threshold and the model beyond it), `scores` (head to label to probability; null when the classifier was not asked
    /// or gave none), `source` (`encoder`, `lexical` or `lexical_fallback`), `degraded` (why the encoder did not answer, if
    /// it should have), `features`,
    /// `truncated_tokens`, `rules`, `candidates`, `fallback`, `generation`, `timings_us`.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot) -> Value {
        let decision = &self.decision;
        let scores = self.scores.as_ref().and_then(|scores| scores.as_ref().ok());
        let (rule, strategy) = match decision.by {
            By::Rule(index) => (Some(index), None),
            By::Strategy(kind) => (None, Some(kind)),
        };
        json!({
            "model": decision.model,
            "policy": decision.policy,
            "rule": rule,
            "strategy": strategy,
            "reason": decision.reason,
            "label": decision.label,
            "score": decision.score,
            "flip": decision.flip,
            "scores": scores.map(by_head),
            "source": scores.map(|scores| scores.source),
            "degraded": self.degraded(),
            "features": self.features,
            "truncated_tokens": scores.map_or(0, |scores| scores.truncated_tokens),
            "rules": rules(decision, snapshot),
            "candidates": decision.candidates,
            "fallback": decision.fallback,
            "generation": snapshot.generation,
            "timings_us": {
                "features": self.timings.features.as_micros(),
                "classify": self.timings.classify.as_micros(),
                "decide": self.timings.decide.as_micros(),
            },
        })
    }
}

impl Routing {
    /// Returns why the encoder did not answer, if it was asked.
    #[must_use]
    pub fn degraded(&self) -> Option<Degraded> {
        self.scores.as_ref().and_then(|scores| match scores {
            Ok(scores) => scores.source.degraded(),
            Err(reason) => Some(*reason),
        })
    }
}

fn by_head(scores: &Scores) -> Value {
    let heads = scores.heads.iter().map(|head| {
        let labels = head.labels.iter().zip(&head.probabilities);
        let labels: Map<_, _> = labels.map(|(label, probability)| (label.to_string(), json!(probability))).collect();
        (head.head.to_string(), Value::Object(labels))
    });
    Value::Object(heads.collect())
}

/// Returns every rule of the policy: those that were tried with what became of them, the others as `not_tried`.
fn rules(decision: &Decision, snapshot: &Snapshot) -> Vec<Value> {
    let policy = snapshot.config.policies.iter().find(|policy| policy.name == decision.policy);
    let rules = policy.into_iter().flat_map(|policy| &policy.rules).enumerate();
    rules
        .map(|(index, rule)| {
            let trace = decision.rules.iter().find(|trace| trace.rule == index).map(|trace| json!(trace));
            let trace = trace.unwrap_or_else(|| json!({"outcome": "not_tried"}));
            json!({
                "index": index,
                "when": rule.when,
                "use": rule.model,
                "outcome": trace["outcome"],
                "error": trace["error"],
            })
        })
        .collect()
}
