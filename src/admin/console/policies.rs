//! The policies: what they say, what they decide by now, and what in them cannot be meant.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use pointsman_core::config::{ConfigProblem, KeyPath, Name, PolicyConfig, StrategyConfig};
use pointsman_core::scores::ScoreSource;
use serde_json::{Value, json};

use super::super::plane::GatewayProcess;
use super::super::state::AdminError;
use super::{AdminState, PageAnswer, on_thread, process};
use crate::preflight::ConfigFindings;
use crate::snapshot::{ClassifierState, Snapshot};

/// The metrics that the page counts by.
const SERIES: [&str; 6] = [
    "pointsman_affinity_total",
    "pointsman_decisions_total",
    "pointsman_quota_hits_total",
    "pointsman_score",
    "pointsman_shadow_decisions_total",
    "pointsman_strong_share",
];

/// The warnings of one generation.
pub(super) struct KnownWarnings {
    generation: u64,
    warnings: Arc<[Value]>,
}

pub(super) async fn answer(State(plane): AdminState) -> PageAnswer {
    let process = process(&plane)?;
    let router = process.reloader.router();
    let snapshot = router.snapshot();
    let warnings = warnings(process, &snapshot).await?;
    let policies = snapshot.config.policies.iter().enumerate();
    Ok(Json(json!({
        "killed": &*router.switch().killed(),
        "warnings": &*warnings,
        "policies": policies.map(|(index, policy)| shown(&snapshot, index, policy)).collect::<Vec<_>>(),
        "targets": router.targets(),
        "bandits": router.bandits(),
        "series": process.metrics.series(&SERIES),
    })))
}

fn shown(snapshot: &Snapshot, index: usize, policy: &PolicyConfig) -> Value {
    let mut heads = Vec::new();
    let path = KeyPath::root().key("policies").index(index);
    policy.strategy.visit(&path.key("strategy"), &mut |path, strategy| {
        heads.extend(head(snapshot, strategy).map(|mut head| {
            head["path"] = json!(path.to_string());
            head
        }));
    });
    json!({
        "name": policy.name,
        "line": snapshot.config.problem(&path, "").and_then(|problem| Some(problem.place?.line)),
        "section": policy,
        "kind": policy.strategy.kind(),
        "ladder": policy.strategy.ladder(),
        "otherwise": policy.strategy.otherwise(),
        "heads": heads,
    })
}

/// Returns the head that a strategy reads, where its thresholds stand on it, and how its scores are calibrated.
fn head(snapshot: &Snapshot, strategy: &StrategyConfig) -> Option<Value> {
    let (classifier, head, steps) = match strategy {
        StrategyConfig::Threshold(own) => {
            let steps = own.rungs().into_iter().map(|step| json!({"at_least": step.at_least, "model": step.model}));
            (&own.classifier, &own.head, steps.collect::<Vec<_>>())
        }
        StrategyConfig::Tiers(own) => {
            let steps = own.tiers.iter().map(|(label, model)| json!({"label": label, "model": model}));
            (&own.classifier, &own.head, steps.collect())
        }
        _ => return None,
    };
    let mut shown = json!({"kind": strategy.kind(), "classifier": classifier, "head": head, "steps": steps});
    calibrate(snapshot, (classifier, head), &mut shown);
    Some(shown)
}

/// Adds the labels of a head and its calibration, as far as its classifier serves.
fn calibrate(snapshot: &Snapshot, (classifier, head): (&Name, &Name), shown: &mut Value) {
    let Some(ClassifierState::Ready(running)) = snapshot.classifiers.get(classifier) else { return };
    shown["labels"] = json!(running.labels(head));
    shown["calibration"] = json!(running.calibration(head, ScoreSource::Encoder));
    shown["curve"] = json!(running.calibration_curve(head));
}

/// Returns what cannot be meant in the configuration that serves; looked for once for each generation.
async fn warnings(process: &GatewayProcess, snapshot: &Arc<Snapshot>) -> Result<Arc<[Value]>, AdminError> {
    let known = |process: &GatewayProcess| {
        let known = process.console.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().filter(|known| known.generation == snapshot.generation);
        known.map(|known| Arc::clone(&known.warnings))
    };
    if let Some(warnings) = known(process) {
        return Ok(warnings);
    }
    let examined = Arc::clone(snapshot);
    let found = on_thread(move || ConfigFindings::of(&examined).warnings).await?;
    let warnings: Arc<[Value]> = found.iter().map(problem).collect();
    let found = KnownWarnings { generation: snapshot.generation, warnings: Arc::clone(&warnings) };
    *process.console.warnings.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    Ok(warnings)
}

/// Returns a problem with its place in the file.
pub(super) fn problem(problem: &ConfigProblem) -> Value {
    let place = problem.place.as_ref();
    json!({
        "path": problem.path,
        "message": problem.message,
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "width": place.map(|place| place.width),
    })
}
