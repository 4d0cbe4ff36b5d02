//! A first answer of every model of the catalog, through a gateway of this process alone: the product's own keys,
//! translation and parameters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, header};
use pointsman_core::config::without_secrets;
use pointsman_http_client::{Destination, ExchangeLimits, HttpClient, HttpError};
use pointsman_telemetry::Metrics;
use serde_json::{Value, json};

use super::finding::DoctorFinding;
use crate::cli::gateway::loopback::LoopbackGateway;
use crate::snapshot::{PreparedConfig, SnapshotBuilder};
use crate::upstream::{Deployment, UpstreamCredential};

/// The longest answer that is read, and the characters of an error that are shown.
const MAX_BYTES: usize = 4 << 20;
const MAX_SHOWN: usize = 300;

/// The longest answer that is asked for: enough for a word after some thinking.
const MAX_TOKENS: u32 = 64;

/// The longest wait for an answer: a model of one's own may have to be loaded first.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks every model for a word.
pub(super) async fn look(file: &std::path::Path) -> Vec<DoctorFinding> {
    let builder = Arc::new(SnapshotBuilder::new(file, Arc::new(Metrics::new())));
    let gateway = match LoopbackGateway::start(&builder, PreparedConfig::without_policies).await {
        Ok(gateway) => gateway,
        Err(error) => {
            let advice = "see the findings above";
            return vec![DoctorFinding::fail("answers", format!("cannot ask: {error}"), advice)];
        }
    };
    let snapshot = gateway.snapshot();
    let asked = snapshot.upstreams.models().map(|deployment| one(&gateway, deployment));
    let findings = join_all(asked).await;
    gateway.stop().await;
    findings
}

async fn one(gateway: &LoopbackGateway, deployment: &Deployment) -> DoctorFinding {
    let check = format!("models.{}", deployment.model);
    if matches!(deployment.provider.credential, UpstreamCredential::Passthrough) {
        return DoctorFinding::skipped(check, "not asked: each client brings its own key");
    }
    let started = Instant::now();
    let answer = match send(gateway, &deployment.model).await {
        Ok(answer) => answer,
        Err(error) => return DoctorFinding::fail(check, format!("no answer: {error}"), "look at the provider's log"),
    };
    let took = started.elapsed().as_millis();
    let status = answer.status();
    if status.is_success() {
        return DoctorFinding::ok(check, format!("answers ({took} ms)"));
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let said = body["error"]["message"].as_str().unwrap_or("without a reason");
    let said: String = without_secrets(said).chars().take(MAX_SHOWN).collect();
    let advice = match status.as_u16() {
        401 | 403 => "look at the key, and whether its account may use the model",
        404 => "mend the model's `name`: see what the provider lists",
        429 => "wait, or see the account's limits and credit",
        400..=499 => "see what the provider refuses: `adapt` of the model leaves out or renames parameters",
        _ => "look at the provider's status page or its log",
    };
    DoctorFinding::fail(check, format!("{}: {said}", status.as_u16()), advice)
}

async fn send(gateway: &LoopbackGateway, model: &str) -> Result<http::Response<Bytes>, HttpError> {
    let body = json!({
        "model": model,
        "messages": [{"role": "user", "content": "Say ok."}],
        "max_tokens": MAX_TOKENS,
    });
    let request = Request::post("/v1/chat/completions")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", gateway.key()))
        .body(Bytes::from(body.to_string()))
        .map_err(HttpError::Request)?;
    let limits = ExchangeLimits { connect: Duration::from_secs(5), read: PATIENCE, max_bytes: MAX_BYTES };
    HttpClient::closing().send(&Destination::plain(gateway.address()), request, limits).await
}
