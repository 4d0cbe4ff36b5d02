//! The classifiers, exemplars and judges that were asked on the way to a decision, and their answers.

use std::sync::Arc;

use pointsman_core::config::{KeyPath, Name, StrategyConfig};
use pointsman_core::policy::ClassifierAnswer;
use pointsman_core::scores::{HeadScores, Scores};
use serde_json::{Map, Value, json};

use crate::router::details::ExplanationDetails;
use crate::snapshot::{ClassifierState, Snapshot};

/// Returns each classifier that was asked, in that order, with its heads, and which of them `policy` reads.
pub(super) fn classifiers(asked: &[ClassifierAnswer], policy: Option<&Name>, snapshot: &Snapshot) -> Value {
    let policy = policy.and_then(|policy| snapshot.policies.get(policy));
    let heads = |classifier: &Name, scores: &Scores| -> Vec<Value> {
        let read = policy.map_or(&[][..], |policy| policy.heads_of(classifier));
        let state = snapshot.classifiers.get(classifier);
        let show = |head: &HeadScores| {
            let mut shown = shown(head, scores, state);
            shown["read"] = read.iter().any(|own| **own == *head.head).into();
            shown
        };
        scores.heads.iter().map(show).collect()
    };
    let show = |ClassifierAnswer { classifier, scores }: &ClassifierAnswer| match scores {
        Ok(scores) => json!({
            "classifier": classifier,
            "source": scores.source,
            "cached": scores.is_cached,
            "degraded": scores.source.degraded(),
            "tokens": scores.tokens,
            "truncated_tokens": scores.truncated_tokens,
            "known_ngrams": scores.familiarity.known_ngrams,
            "unfamiliar": scores.familiarity.unfamiliar,
            "heads": heads(classifier, scores),
        }),
        Err(degraded) => json!({
            "classifier": classifier,
            "source": null,
            "cached": false,
            "degraded": degraded,
            "tokens": 0,
            "truncated_tokens": 0,
            "known_ngrams": null,
            "unfamiliar": null,
            "heads": [],
        }),
    };
    asked.iter().map(show).collect()
}

/// Returns the scores by head and label.
pub(super) fn by_head(scores: &Scores) -> Value {
    let heads = scores.heads.iter().map(|head| (head.head.to_string(), by_label(head)));
    Value::Object(heads.collect())
}

/// Returns how near the prompt is to the routes of each strategy that compared.
pub(super) fn similarities(details: Option<&ExplanationDetails>, snapshot: &Snapshot) -> Value {
    let compared = details.into_iter().flat_map(|details| &details.similarities);
    let show = |(path, near): &(Arc<str>, Result<pointsman_core::policy::RouteSimilarities, _>)| {
        let Some(StrategyConfig::Similarity(section)) = strategy(snapshot, path) else { return Value::Null };
        let known =
            |index: usize| near.as_ref().ok().and_then(|near| near.0.get(index)).filter(|score| !score.is_nan());
        let routes = section.routes.iter().enumerate().map(|(index, route)| {
            json!({
                "route": route.name(),
                "model": route.model,
                "similarity": known(index),
                "threshold": route.threshold.unwrap_or(section.threshold).get(),
            })
        });
        json!({
            "strategy": **path,
            "classifier": section.classifier,
            "degraded": near.as_ref().err(),
            "background": known(section.routes.len()),
            "routes": routes.collect::<Vec<_>>(),
        })
    };
    compared.map(show).collect()
}

/// Returns what the judges said that were asked.
pub(super) fn judges(details: Option<&ExplanationDetails>, snapshot: &Snapshot) -> Value {
    let asked = details.into_iter().flat_map(|details| &details.judgements);
    asked
        .map(|(path, judgement)| {
            let judge = match strategy(snapshot, path) {
                Some(StrategyConfig::Judge(section)) => Some(&section.judge),
                _ => None,
            };
            let said = judgement.as_ref().ok();
            json!({
                "strategy": **path,
                "judge": judge,
                "label": said.map(|said| &said.label),
                "confidence": said.and_then(|said| said.confidence),
                "rationale": said.and_then(|said| said.rationale.as_deref()),
                "failure": judgement.as_ref().err().map(|unanswered| unanswered.failure.as_str()),
                "cached": said.is_some_and(|said| said.is_cached),
                "cost_usd": judgement.as_ref().map_or_else(|unanswered| unanswered.cost_usd, |said| said.cost_usd),
            })
        })
        .collect()
}

fn shown(head: &HeadScores, scores: &Scores, state: Option<&ClassifierState>) -> Value {
    let calibration = match state {
        Some(ClassifierState::Ready(classifier)) => classifier.calibration(&head.head, scores.source),
        _ => None,
    };
    // In their order, which an object would not keep.
    let labels = head.labels.iter().zip(&head.probabilities);
    let labels = labels.map(|(label, probability)| json!({"label": label, "probability": probability}));
    json!({
        "head": head.head,
        "label": head.decided().map(|(label, _)| label),
        "score": head.level(),
        "levels": head.levels,
        "labels": labels.collect::<Vec<_>>(),
        "known": head.known,
        "calibration": calibration,
    })
}

fn by_label(head: &HeadScores) -> Value {
    let labels = head.labels.iter().zip(&head.probabilities);
    let labels: Map<_, _> = labels.map(|(label, probability)| (label.to_string(), json!(probability))).collect();
    Value::Object(labels)
}

/// Returns the strategy that stands at a path of the configuration.
fn strategy<'s>(snapshot: &'s Snapshot, wanted: &str) -> Option<&'s StrategyConfig> {
    let mut found = None;
    for (index, policy) in snapshot.config.policies.iter().enumerate() {
        let path = KeyPath::root().key("policies").index(index).key("strategy");
        policy.strategy.visit(&path, &mut |path, strategy| {
            if path.to_string() == wanted {
                found = Some(strategy);
            }
        });
    }
    found
}
