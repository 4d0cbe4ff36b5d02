//! What passes through this process: the series that the first page counts by, and the names that it shows them under.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use pointsman_core::config::{Config, KeyPath, StrategyConfig};
use serde_json::{Value, json};

use super::super::state::AdminPlane as _;
use super::{AdminState, PageAnswer, process};
use crate::snapshot::Snapshot;

/// The metrics that the page counts by.
const SERIES: [&str; 19] = [
    "pointsman_baseline_cost_usd_total",
    "pointsman_client_answers_total",
    "pointsman_client_cost_usd_total",
    "pointsman_client_net_savings_usd",
    "pointsman_client_requests_total",
    "pointsman_client_strong_answers_total",
    "pointsman_cost_usd_total",
    "pointsman_decisions_total",
    "pointsman_downstream_connections",
    "pointsman_fallbacks_total",
    "pointsman_first_byte_seconds",
    "pointsman_judge_cost_usd_total",
    "pointsman_net_savings_usd",
    "pointsman_overhead_seconds",
    "pointsman_policy_cost_usd_total",
    "pointsman_rejections_total",
    "pointsman_request_duration_seconds",
    "pointsman_shadow_answer_cost_usd_total",
    "pointsman_tokens_total",
];

pub(super) async fn answer(State(plane): AdminState) -> PageAnswer {
    let process = process(&plane)?;
    let snapshot = process.reloader.router().snapshot();
    let config = &snapshot.config;
    let started = process.reloader.history().first().map(|record| seconds(record.at));
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": seconds(SystemTime::now()),
        "started": started,
        "readiness": process.ready(),
        "models": models(&snapshot),
        "virtual_models": config.virtual_models().collect::<Vec<_>>(),
        "tiers": tiers(config),
        "clients": config.clients.iter().flatten().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        "series": process.metrics.series(&SERIES),
    })))
}

/// Returns the models of the catalog, with their providers and prices.
fn models(snapshot: &Snapshot) -> Vec<Value> {
    let models = snapshot.upstreams.models();
    models.map(|own| json!({"model": own.model, "provider": own.provider.name, "price": own.price})).collect()
}

/// Returns the tiers of each policy's strategies, lowest first: a label, or the least score, with its model.
pub(super) fn tiers(config: &Config) -> Vec<Value> {
    let mut tiers = Vec::new();
    for policy in &config.policies {
        policy.strategy.visit(&KeyPath::root(), &mut |_, strategy| match strategy {
            StrategyConfig::Tiers(own) => tiers.extend(
                own.tiers.iter().map(|(label, model)| json!({"policy": policy.name, "tier": label, "model": model})),
            ),
            StrategyConfig::Threshold(own) => tiers.extend(own.rungs().iter().enumerate().map(|(rung, step)| {
                let tier = if rung == 0 { "weak".to_owned() } else { format!("at least {}", step.at_least.get()) };
                json!({"policy": policy.name, "tier": tier, "model": step.model})
            })),
            _ => {}
        });
    }
    tiers
}

/// Returns the seconds since 1970, for the page's own arithmetic.
pub(super) fn seconds(at: SystemTime) -> f64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    (since * 1e3).round() / 1e3
}
