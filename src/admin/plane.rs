//! The admin plane's view of a running process: the router, the reloader and the metrics behind one trait.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pointsman_core::config::Name;
use pointsman_telemetry::{AdminRefusal, Metrics};
use serde::Deserialize;
use serde_json::{Value, json};

use super::console::ConsoleState;
use super::state::{
    AdminError, AdminPlane, ClassifierStatus, DecideRequest, FileWatchStatus, LastReload, Readiness, ServingPhase,
    ShadowStatus, StoreStatus,
};
use crate::clients::QuestionMeter;
use crate::judge::OperatorAccount;
use crate::proxy::question::direct::{DirectAsker, DirectQuestion};
use crate::proxy::question::{self, UnsentRequest, direct};
use crate::proxy::rejection::Rejection;
use crate::proxy::{DrainState, feedback};
use crate::reload::{HeldGeneration, ReloadResult, Reloader, WatchHealth};
use crate::router::JudgeMode;
use crate::snapshot::{self, AdminTerms, Snapshot};
use crate::store::SharedStore;

/// A running process.
pub(crate) struct GatewayProcess {
    /// Holds the router and knows the last reload.
    pub reloader: Arc<Reloader>,
    pub metrics: Arc<Metrics>,
    /// The state of the proxy's drain, once the proxy is on its way out.
    pub draining: DrainState,
    /// The first listener of the data plane without TLS.
    pub listen: Option<SocketAddr>,
    /// The state of the console between two questions.
    pub console: ConsoleState,
}

/// The body of `PUT /kill-switch`: without a policy it is about all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KillSwitchChange {
    killed: bool,
    #[serde(default)]
    policy: Option<Name>,
}

/// The body of `POST /bandits/reset`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BanditReset {
    policy: Name,
}

#[async_trait]
impl AdminPlane for GatewayProcess {
    fn process(&self) -> Option<&GatewayProcess> {
        Some(self)
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn ready(&self) -> Readiness {
        let snapshot = self.reloader.router().snapshot();
        Readiness {
            ready: !self.draining.is_draining(), // without its classifiers it serves by `otherwise`
            generation: snapshot.generation,
            classifiers: classifiers(&snapshot),
            store: snapshot.store.as_ref().map(store_state),
            targets: self.reloader.router().targets(),
            bandits: self.reloader.router().bandits(),
            files: Some(file_watch(&self.reloader.watch())),
            source: self.source_if_notable(),
            held: self.reloader.held(),
            last_reload: self.reloader.last().map(last_reload),
        }
    }

    fn config(&self) -> Value {
        let snapshot = self.reloader.router().snapshot();
        let mut config = serde_json::to_value(&*snapshot.config).unwrap_or_default();
        config["admin"] = json!(snapshot.admin.section); // a rollback does not bring back who might do what
        config
    }

    fn virtual_model(&self) -> Option<String> {
        self.reloader.router().snapshot().config.virtual_models().next().map(str::to_owned)
    }

    fn generation(&self) -> u64 {
        self.reloader.router().snapshot().generation
    }

    fn source(&self) -> Option<Value> {
        Some(self.reloader.source_report().to_json())
    }

    fn held(&self) -> Option<HeldGeneration> {
        self.reloader.held()
    }

    fn terms(&self) -> Arc<AdminTerms> {
        Arc::clone(&self.reloader.router().snapshot().admin)
    }

    fn refused(&self, refusal: AdminRefusal) {
        self.metrics.admin_refused(refusal);
    }

    fn max_body_bytes(&self) -> usize {
        self.reloader.router().snapshot().config.limits.max_body_bytes
    }

    async fn decide(
        &self,
        DecideRequest { path, headers, client, now, body }: DecideRequest<'_>,
    ) -> Result<Value, AdminError> {
        let router = self.reloader.router();
        let snapshot = router.snapshot();
        let client = client.map(|name| snapshot.clients.find(name)).transpose();
        let client = client.map_err(|error| AdminError::no_client(&error))?;
        let (client, at) = (client.map(|client| &**client), now.map(|now| now.0));
        let (judging, meter) = (JudgeMode::Ask, &QuestionMeter::default());
        let unsent = UnsentRequest { path, headers, client, at, judging, meter, body: &body };
        Ok(question::decide(router, &snapshot, unsent).await?.explanation)
    }

    async fn ask(&self, asked: DirectQuestion<'_>) -> Result<Bytes, Rejection> {
        let snapshot = self.reloader.router().snapshot();
        let asker = DirectAsker { meter: &QuestionMeter::default(), account: &OperatorAccount };
        direct::answer(&snapshot, asked, asker).await
    }

    fn feedback(&self, body: &[u8]) -> Result<Value, AdminError> {
        Ok(feedback::take(body, self.reloader.router(), &self.metrics)?)
    }

    fn killed(&self) -> Value {
        json!(&*self.reloader.router().switch().killed())
    }

    fn kill(&self, body: &[u8]) -> Result<Value, AdminError> {
        let router = self.reloader.router();
        let KillSwitchChange { killed, policy } =
            serde_json::from_slice(body).map_err(|error| AdminError::unreadable(&error))?;
        let snapshot = router.snapshot();
        if let Some(policy) = &policy
            && snapshot.policies.get(policy).is_none()
        {
            let known = snapshot.policies.iter().map(|policy| policy.name().as_str()).collect::<Vec<_>>().join(", ");
            return Err(AdminError::no_policy(policy, &known));
        }
        router.switch().set(policy.as_ref(), killed);
        let which = policy.as_ref().map_or("every policy", Name::as_str);
        tracing::warn!(policy = which, killed, "Kill switch turned");
        Ok(self.killed())
    }

    fn reset_bandit(&self, body: &[u8]) -> Result<Value, AdminError> {
        let router = self.reloader.router();
        let read = serde_json::from_slice(body);
        let BanditReset { policy } =
            read.map_err(|error| AdminError::unreadable(&error).expecting(r#"{"policy": "NAME"}"#))?;
        if !router.reset_bandit(&policy) {
            let known = router.bandits().into_keys().map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
            return Err(AdminError::no_policy(&policy, &known));
        }
        tracing::warn!(%policy, "Bandit reset");
        Ok(json!({ "policy": policy, "reset": true }))
    }

    async fn reload(&self) -> Result<Value, AdminError> {
        let reloaded = Arc::clone(&self.reloader).reload_in_background("admin").await;
        let reloaded = reloaded.ok_or(Rejection::Internal)?;
        match reloaded.error {
            Some(error) => Err(AdminError::reload_rejected(error)),
            None => Ok(json!({ "outcome": reloaded.outcome, "generation": reloaded.generation })),
        }
    }

    async fn rollback(&self) -> Result<Value, AdminError> {
        let rolled_back = Arc::clone(&self.reloader).rollback().await;
        let rolled_back = rolled_back.ok_or_else(AdminError::nothing_to_roll_back)?;
        Ok(json!({ "outcome": rolled_back.outcome, "generation": rolled_back.generation }))
    }
}

impl GatewayProcess {
    fn source_if_notable(&self) -> Option<Value> {
        let report = self.reloader.source_report();
        report.is_notable().then(|| report.to_json())
    }
}

fn classifiers(snapshot: &Snapshot) -> BTreeMap<Name, ClassifierStatus> {
    let show = |name: &Name, state: &snapshot::ClassifierState| match state {
        snapshot::ClassifierState::Ready(classifier) => ClassifierStatus {
            state: if classifier.trouble().is_some() { ServingPhase::Degraded } else { ServingPhase::Ready },
            detail: classifier.trouble(),
            device: Some(classifier.device()),
            version: Some(classifier.identity().version.to_string()),
            bundle: Some(classifier.identity().name.to_string()),
            sha256: Some(classifier.identity().sha256.to_string()),
            shadow: snapshot.shadows.get(name).map(|shadow| shadow_state(shadow)),
        },
        snapshot::ClassifierState::Unavailable { reason, detail } => ClassifierStatus {
            state: ServingPhase::Unavailable,
            detail: Some(format!("{}: {detail}", reason.as_str())),
            device: None,
            version: None,
            bundle: None,
            sha256: None,
            shadow: snapshot.shadows.get(name).map(|shadow| shadow_state(shadow)),
        },
    };
    snapshot.classifiers.iter().map(|(name, state)| (name.clone(), show(name, state))).collect()
}

fn shadow_state(shadow: &snapshot::ShadowClassifier) -> ShadowStatus {
    match shadow.state() {
        Ok(identity) => {
            ShadowStatus { state: ServingPhase::Ready, detail: None, version: Some(identity.version.to_string()) }
        }
        Err(detail) => {
            ShadowStatus { state: ServingPhase::Unavailable, detail: Some(detail.to_owned()), version: None }
        }
    }
}

fn store_state(store: &SharedStore) -> StoreStatus {
    let (trouble, shortfall) = (store.trouble(), store.shortfall());
    let state = match (&trouble, &shortfall) {
        (Some(_), _) => ServingPhase::Unavailable,
        (None, Some(_)) => ServingPhase::Degraded,
        (None, None) => ServingPhase::Ready,
    };
    StoreStatus { state, detail: trouble.or(shortfall).map(|detail| detail.to_string()) }
}

fn file_watch(health: &WatchHealth) -> FileWatchStatus {
    let detail = health.trouble();
    let state = match health {
        WatchHealth::Ended => ServingPhase::Unavailable,
        WatchHealth::Watching { .. } if detail.is_some() => ServingPhase::Degraded,
        WatchHealth::Watching { .. } => ServingPhase::Ready,
    };
    FileWatchStatus { state, detail, watches: health.folders() }
}

fn last_reload(reloaded: ReloadResult) -> LastReload {
    LastReload { at: reloaded.at, outcome: reloaded.outcome, detail: reloaded.error }
}
