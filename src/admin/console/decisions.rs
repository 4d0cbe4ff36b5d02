//! The stream of recent decisions, and the explanation of each.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use pointsman_telemetry::metrics::SeriesReading;
use serde_json::{Value, json};

use super::super::http::query;
use super::super::plane::GatewayProcess;
use super::super::state::AdminError;
use super::{AdminState, PageAnswer, gone, not_found, process};

/// The families whose sum is the number of decisions.
const DECIDED: [&str; 2] = ["pointsman_decisions_total", "pointsman_shadow_decisions_total"];

/// Returns the decisions after the one that the page has seen, and how many there were in all.
pub(super) async fn latest(State(plane): AdminState, uri: Uri) -> PageAnswer {
    let process = process(&plane)?;
    let after = query(&uri, "after").map_or(Ok(0), |after| after.parse());
    let after = after.map_err(|_| AdminError::invalid_query("after", "it is no number"))?;
    let seen = process.reloader.router().feed().look(after);
    let log = process.reloader.router().snapshot().config.decision_log.as_ref().map(|log| log.text);
    let rows = seen.iter().map(|seen| {
        let mut row = seen.summary.clone();
        row["number"] = json!(seen.number);
        row
    });
    Ok(Json(json!({
        "decided": decided(process),
        "texts": log.unwrap_or_default(),
        "rows": rows.collect::<Vec<Value>>(),
    })))
}

/// Returns the explanation of one decision, as long as it is kept.
pub(super) async fn one(State(plane): AdminState, Path(number): Path<u64>) -> PageAnswer {
    let feed = process(&plane)?.reloader.router().feed();
    let seen = feed.find(number).ok_or_else(|| not_found(gone("Decision", number, feed.last())))?;
    Ok(Json(json!({"summary": seen.summary, "explanation": seen.explanation})))
}

fn decided(process: &GatewayProcess) -> f64 {
    let series = process.metrics.series(&DECIDED);
    let values = series.values().flatten().map(|series| match series.reading {
        SeriesReading::Number { value } => value,
        SeriesReading::Histogram { .. } => 0.0,
    });
    values.sum()
}
