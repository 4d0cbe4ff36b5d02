//! A decision as JSON: what `POST /v1/decide` and `pointsman decide --json` show.

use serde_json::{Map, Value, json};

use super::Routing;
use crate::config::Name;
use crate::policy::{Denial, RuleTrace};
use crate::scores::{Degraded, Scores};
use crate::snapshot::Snapshot;

impl Routing {
    /// Returns the decision and all that went into it, as one JSON object.
    ///
    /// `model`, `policy`, `applied` (false when the policy only watches), `rule` (its position) or `strategy` (its kind), `stages` (of a cascade or hierarchy), `reason`,
    /// `label`, `score`, `flip` (the nearest value that would have changed it, and the model beyond it), `scores` (head to label to probability; null when the classifier was not asked
    /// or gave none), `source` (`encoder`, `lexical` or `lexical_fallback`), `degraded` (why the encoder did not answer, if
    /// it should have), `features`,
    /// `truncated_tokens`, `rules`, `set` (the parameters that rules set), `candidates`, `fallback`, `generation`, `timings_us`.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot) -> Value {
        let decision = &self.decision;
        let scores = self.scores().and_then(|scores| scores.as_ref().ok());
        json!({
            "model": decision.model,
            "policy": decision.policy,
            "applied": true,
            "rule": decision.by.rule(),
            "strategy": decision.by.strategy(),
            "stages": decision.stages,
            "reason": decision.reason,
            "label": decision.label,
            "score": decision.score,
            "pin": decision.pin,
            "flip": decision.flip,
            "scores": scores.map(by_head),
            "source": scores.map(|scores| scores.source),
            "degraded": self.degraded(),
            "features": self.features,
            "truncated_tokens": scores.map_or(0, |scores| scores.truncated_tokens),
            "rules": rules(Some(&decision.policy), &decision.rules, snapshot),
            "set": decision.set,
            "candidates": decision.candidates,
            "fallback": decision.fallback,
            "generation": snapshot.generation,
            "timings_us": {
                "features": self.timings.features.as_micros(),
                "classify": self.timings.classify.as_micros(),
                "judge": self.timings.judge.as_micros(),
                "decide": self.timings.decide.as_micros(),
            },
        })
    }
}

impl Routing {
    /// Returns what [`Self::explain`] returns, of a policy that only watches: `applied` is false.
    #[must_use]
    pub fn explain_shadow(&self, snapshot: &Snapshot) -> Value {
        let mut explanation = self.explain(snapshot);
        explanation["applied"] = false.into();
        explanation
    }
}

impl Denial {
    /// Returns the refusal and all that went into it, as one JSON object: `model` is null, `denied` holds `status`, `code`
    /// and `message`.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot) -> Value {
        json!({
            "model": null,
            "policy": self.policy,
            "applied": true,
            "rule": self.by.rule(),
            "strategy": self.by.strategy(),
            "reason": self.code,
            "denied": {"status": self.status, "code": self.code, "message": self.message},
            "rules": rules(self.policy.as_ref(), &self.rules, snapshot),
            "candidates": self.candidates,
            "generation": snapshot.generation,
        })
    }
}

impl Denial {
    /// Returns what [`Self::explain`] returns, of a policy that only watches: `applied` is false.
    #[must_use]
    pub fn explain_shadow(&self, snapshot: &Snapshot) -> Value {
        let mut explanation = self.explain(snapshot);
        explanation["applied"] = false.into();
        explanation
    }
}

impl Routing {
    /// Returns why the encoder did not answer, if it was asked.
    #[must_use]
    pub fn degraded(&self) -> Option<Degraded> {
        self.scores().and_then(|scores| match scores {
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
fn rules(policy: Option<&Name>, traces: &[RuleTrace], snapshot: &Snapshot) -> Vec<Value> {
    let policy = snapshot.config.policies.iter().find(|own| Some(&own.name) == policy);
    let rules = policy.into_iter().flat_map(|policy| &policy.rules).enumerate();
    rules
        .map(|(index, rule)| {
            let trace = traces.iter().find(|trace| trace.rule == index).map(|trace| json!(trace));
            let trace = trace.unwrap_or_else(|| json!({"outcome": "not_tried"}));
            json!({
                "index": index,
                "when": rule.when,
                "use": rule.model,
                "deny": rule.deny,
                "set": rule.set,
                "continue": rule.goes_on(),
                "outcome": trace["outcome"],
                "error": trace["error"],
            })
        })
        .collect()
}
