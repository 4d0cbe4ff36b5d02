//! The providers: their peers, circuits, keys and models, and who is held to which of them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{AdminState, PageAnswer, process};
use crate::snapshot::Snapshot;
use crate::upstream::{CircuitStand, Deployment, KeyRing, Peer, Provider, UpstreamKey};

/// The metrics that the page counts by.
const SERIES: [&str; 6] = [
    "pointsman_first_byte_seconds",
    "pointsman_provider_key_requests_total",
    "pointsman_state_total",
    "pointsman_tokens_per_second",
    "pointsman_upstream_attempts_total",
    "pointsman_upstream_ejections_total",
];

pub(super) async fn answer(State(plane): AdminState) -> PageAnswer {
    let process = process(&plane)?;
    let router = process.reloader.router();
    let snapshot = router.snapshot();
    let pins = router.pinned();
    let pins = pins.iter().map(|(policy, (held, most))| json!({"policy": policy, "held": held, "most": most}));
    Ok(Json(json!({
        "default_provider": snapshot.config.default_provider,
        "providers": snapshot.upstreams.providers().map(|own| provider(&snapshot, own)).collect::<Vec<_>>(),
        "pins": pins.collect::<Vec<_>>(),
        "states": router.remembered_states(),
        "series": process.metrics.series(&SERIES),
    })))
}

fn provider(snapshot: &Snapshot, provider: &Provider) -> Value {
    let (in_flight, most) = provider.load();
    let models = snapshot.upstreams.models().filter(|own| own.provider.name == provider.name);
    let keys = provider.credential.ring().into_iter().flat_map(KeyRing::keys).map(|own| key(own));
    json!({
        "name": provider.name,
        "base_url": provider.base_url(),
        "in_flight": in_flight,
        "max_concurrent": most,
        "is_up": provider.is_up(),
        "checked": provider.health_check().is_some(),
        "peers": provider.peers().map(|own| peer(own)).collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
        "models": models.map(|own| model(own)).collect::<Vec<_>>(),
    })
}

fn peer(peer: &Peer) -> Value {
    let (circuit, trips, opens_in) = match peer.circuit() {
        CircuitStand::Closed => ("closed", 0, None),
        CircuitStand::Open { until, trips } => ("open", trips, Some(until.saturating_duration_since(Instant::now()))),
        CircuitStand::HalfOpen { trips } => ("half_open", trips, None),
    };
    json!({
        "address": &**peer.label(),
        "in_flight": peer.in_flight(),
        "is_down": peer.is_down(),
        "circuit": circuit,
        "trips": trips,
        "tried_again_in_s": opens_in.map(seconds),
    })
}

/// Returns a key by its name; its value is shown nowhere.
fn key(key: &UpstreamKey) -> Value {
    json!({
        "name": key.name(),
        "rests_for_s": key.rest_left().map(seconds),
        "is_refused": key.is_refused(),
        "refused_models": key.refused_models(),
    })
}

fn model(model: &Deployment) -> Value {
    json!({
        "model": model.model,
        "upstream_name": model.upstream_name,
        "price": model.price,
        "context": model.context,
        "rests_for_s": model.rest_left().map(seconds),
    })
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).ceil() / 10.0
}
