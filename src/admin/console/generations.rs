//! The generations that served: when, of which configuration, and who asked for each.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::overview::seconds;
use super::reader_text::reader_text;
use super::{AdminState, PageAnswer, gone, not_found, process};
use crate::reload::GenerationRecord;

pub(super) async fn list(State(plane): AdminState) -> PageAnswer {
    let reloader = &process(&plane)?.reloader;
    let serving = reloader.router().snapshot();
    let previous = reloader.previous().map(|before| before.generation);
    Ok(Json(json!({
        "serving": serving.generation,
        "fingerprint": serving.config.fingerprint(),
        "previous": previous,
        "source": reloader.source_report().to_json(),
        "held": reloader.held(),
        "records": reloader.history().iter().rev().map(record).collect::<Vec<_>>(),
    })))
}

/// Returns the text of a generation's configuration, for the page to compare.
pub(super) async fn one(State(plane): AdminState, Path(number): Path<u64>) -> PageAnswer {
    let reloader = &process(&plane)?.reloader;
    let records = reloader.history();
    let config = records.iter().rev().filter(|record| record.generation == number).find_map(|own| own.config.as_ref());
    let last = records.iter().map(|record| record.generation).max().unwrap_or_default();
    let last = last.max(reloader.router().snapshot().generation);
    let config = config.ok_or_else(|| not_found(gone("Generation", number, last)))?;
    Ok(Json(json!({"generation": number, "text": reader_text(config.text())})))
}

fn record(record: &GenerationRecord) -> Value {
    let config = record.config.as_ref();
    json!({
        "generation": record.generation,
        "at": seconds(record.at),
        "outcome": record.outcome,
        "trigger": record.trigger,
        "error": record.error,
        "version": record.version.as_deref(),
        "fingerprint": config.map(|config| config.fingerprint()),
        "policies": config.map(|config| config.policies.len()),
        "models": config.map(|config| config.models.len()),
    })
}
