//! The classifiers: which weights run on what, how far down the degrade ladder they are, and how their shadows differ.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::state::AdminPlane as _;
use super::{AdminState, PageAnswer, process};
use crate::snapshot::{ClassifierState, Snapshot};

/// The metrics that the page counts by.
const SERIES: [&str; 15] = [
    "pointsman_classifier_answers_total",
    "pointsman_classifier_batch_size",
    "pointsman_classifier_cache_total",
    "pointsman_classifier_degraded_total",
    "pointsman_classifier_queue_depth",
    "pointsman_classifier_queue_wait_seconds",
    "pointsman_classifier_run_seconds",
    "pointsman_classifier_shadow_agreement_ratio",
    "pointsman_classifier_shadow_cost_usd_total",
    "pointsman_classifier_shadow_labels_total",
    "pointsman_classifier_shadow_prompts_total",
    "pointsman_classifier_unfamiliar_prompts_total",
    "pointsman_drift_psi",
    "pointsman_drift_window_prompts",
    "pointsman_score",
];

pub(super) async fn answer(State(plane): AdminState) -> PageAnswer {
    let process = process(&plane)?;
    let snapshot = process.reloader.router().snapshot();
    Ok(Json(json!({
        "states": process.ready().classifiers,
        "details": snapshot.classifiers.iter().map(|(name, state)| shown(&snapshot, name.as_str(), state)).collect::<Vec<_>>(),
        "series": process.metrics.series(&SERIES),
    })))
}

fn shown(snapshot: &Snapshot, name: &str, state: &ClassifierState) -> Value {
    let section = snapshot.config.classifiers.get(name);
    let mut shown = json!({
        "name": name,
        "deadline_ms": section.map(|section| section.deadline.0.as_secs_f64() * 1e3),
        "queue": section.map(|section| section.queue),
        "drift": section.map(|section| &section.drift),
    });
    if let ClassifierState::Ready(classifier) = state {
        let stats = classifier.stats();
        let heads = classifier.heads().map(|head| json!({"head": head.name, "labels": head.labels}));
        shown["heads"] = heads.collect();
        shown["stats"] = json!({
            "waiting": stats.waiting,
            "skipped": stats.skipped,
            "failures": stats.failures,
            "panics": stats.panics,
            "workers": stats.workers,
        });
        shown["embeds"] = json!(classifier.can_embed());
    }
    shown
}
