//! The part of an explanation that a client sees: the decision and what it rests on in the client's own words.
//!
//! The conditions of rules are the operator's, and may name other clients; the name of a provider's key and models that
//! may not serve the client are not for it either. A key of an explanation that nobody has said anything of is left out.

use serde_json::{Map, Value};

/// The keys of an explanation that a client sees.
const SHOWN: [&str; 37] = [
    "applied",
    "ask",
    "budget",
    "candidates",
    "classifiers",
    "client",
    "cost_usd",
    "degraded",
    "denied",
    "escalation",
    "fallback",
    "features",
    "flip",
    "generation",
    "judges",
    "label",
    "label_from",
    "model",
    "parameters",
    "pin",
    "policy",
    "provider",
    "quota",
    "rationale",
    "reason",
    "rule",
    "rules",
    "score",
    "scores",
    "set",
    "similarities",
    "source",
    "stages",
    "strategy",
    "timings_us",
    "translation",
    "truncated_tokens",
];

/// The keys that a client does not see.
#[cfg(test)]
const WITHHELD: [&str; 1] = ["key"];

/// The keys of a rule that a client sees.
const SHOWN_OF_RULE: [&str; 3] = ["index", "outcome", "use"];

/// Returns what a client sees of an explanation; `may_serve` tells which models may serve the client.
pub(super) fn of(explanation: Value, may_serve: impl Fn(&str) -> bool) -> Value {
    let Value::Object(explanation) = explanation else { return Value::Null };
    let mut shown = only(explanation, &SHOWN);
    if let Some(Value::Array(rules)) = shown.get_mut("rules") {
        for rule in rules {
            if let Value::Object(own) = rule.take() {
                *rule = only(own, &SHOWN_OF_RULE).into();
            }
        }
    }
    let serves = |model: &Value| model.as_str().is_none_or(&may_serve);
    if let Some(Value::Array(candidates)) = shown.get_mut("candidates") {
        candidates.retain(|own| serves(&own["model"]));
    }
    if let Some(Value::Array(fallback)) = shown.get_mut("fallback") {
        fallback.retain(serves);
    }
    if let Some(Value::Array(compared)) = shown.get_mut("similarities") {
        for strategy in compared {
            if let Some(Value::Array(routes)) = strategy.get_mut("routes") {
                routes.retain(|route| serves(&route["model"]));
            }
        }
    }
    shown.into()
}

fn only(mut object: Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    object.retain(|key, _| keys.contains(&key.as_str()));
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_sees_no_condition_of_a_rule_no_key_and_no_model_of_others() {
        let explanation = json!({
            "model": "small", "key": "second", "later": 1, "fallback": ["large", "small"],
            "candidates": [{"model": "small"}, {"model": "large"}],
            "rules": [{"index": 0, "when": "client == \"other\"", "value": true, "use": "small", "outcome": "decided"}],
        });

        let shown = of(explanation, |model| model == "small");

        assert_eq!(
            shown,
            json!({
                "model": "small", "fallback": ["small"], "candidates": [{"model": "small"}],
                "rules": [{"index": 0, "use": "small", "outcome": "decided"}],
            })
        );
    }

    #[test]
    fn every_key_that_is_described_is_shown_or_withheld() {
        let api: Value = serde_json::from_str(include_str!("../../admin/openapi.json")).expect("JSON");
        let described = api["components"]["schemas"]["Decision"]["properties"].as_object().expect("properties");

        let unknown: Vec<_> = described.keys().filter(|key| !SHOWN.contains(&key.as_str())).collect();

        assert_eq!(unknown, WITHHELD);
    }
}
