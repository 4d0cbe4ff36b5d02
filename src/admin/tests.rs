//! The admin plane over real connections, in front of a scripted process.

mod access;
mod bodies;
mod guard;
mod index;
mod predict;
mod slow;
mod stop;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use pointsman_core::config::{AdminAuth, AdminConfig, HostPort, Name};
use pointsman_telemetry::{AdminRefusal, ReloadOutcome};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::state::{AdminError, AdminPlane, ClassifierStatus, DecideRequest, LastReload, Readiness, ServingPhase};
use super::*;
use crate::proxy::question::direct::DirectQuestion;
use crate::proxy::rejection::Rejection;
use crate::snapshot::AdminTerms;

const LIMIT: usize = 128;

/// A process that says what the test wants.
#[derive(Default)]
struct Scripted {
    unready: bool,
    generation: AtomicU64,
    broken_config: bool,
    reloading: Notify,
    slow_reload: bool,
    auth: Option<AdminAuth>,
    refusals: AtomicU64,
}

#[async_trait]
impl AdminPlane for Scripted {
    fn metrics(&self) -> String {
        "pointsman_generation 1\n".to_owned()
    }

    fn ready(&self) -> Readiness {
        let missing = ClassifierStatus {
            state: ServingPhase::Unavailable,
            detail: Some("libonnxruntime was not found".to_owned()),
            device: None,
            version: None,
            bundle: None,
            sha256: None,
            shadow: None,
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        Readiness {
            ready: !self.unready,
            generation: 1,
            classifiers: BTreeMap::from([(Name::new("default").expect("a valid name"), missing)]),
            store: None,
            targets: BTreeMap::new(),
            bandits: BTreeMap::new(),
            files: None,
            source: None,
            held: None,
            last_reload: Some(LastReload { at, outcome: ReloadOutcome::Applied, detail: None }),
        }
    }

    fn config(&self) -> Value {
        json!({"version": 1, "providers": {"openai": {"credential": {"env": "OPENAI_API_KEY"}}}})
    }

    fn virtual_model(&self) -> Option<String> {
        (!self.unready).then(|| "auto".to_owned())
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    fn terms(&self) -> Arc<AdminTerms> {
        let hosts = ["gateway.example", "proxied:9090"].iter().filter_map(|host| HostPort::parse(host)).collect();
        let section = AdminConfig { hosts, auth: self.auth.clone(), ..AdminConfig::default() };
        Arc::new(AdminTerms { section, tls: None })
    }

    fn refused(&self, _refusal: AdminRefusal) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    fn max_body_bytes(&self) -> usize {
        LIMIT
    }

    async fn decide(
        &self,
        DecideRequest { path, headers, client, body, .. }: DecideRequest<'_>,
    ) -> Result<Value, AdminError> {
        if body.is_empty() {
            return Err(Rejection::ModelMissing.into());
        }
        if let Ok(chat) = serde_json::from_slice::<Value>(&body)
            && let Some(text) = chat["messages"][0]["content"].as_str()
        {
            return Ok(json!({
                "model": format!("{}-for-{text}", chat["model"].as_str().unwrap_or_default()),
                "policy": "p", "reason": "tier", "label": "simple", "score": 0.75,
            }));
        }
        let team = headers.get("x-team").map(|team| team.to_str().ok());
        Ok(json!({"path": path, "team": team, "client": client, "bytes": body.len()}))
    }

    async fn ask(&self, asked: DirectQuestion<'_>) -> Result<Bytes, Rejection> {
        let DirectQuestion { method, path, body, .. } = asked;
        match body.len() {
            1 => Err(Rejection::Overloaded),
            bytes => Ok(json!({"method": method.as_str(), "path": path, "bytes": bytes}).to_string().into()),
        }
    }

    async fn reload(&self) -> Result<Value, AdminError> {
        self.reloading.notify_one();
        if self.slow_reload {
            std::future::pending::<()>().await;
        }
        if self.broken_config {
            return Err(AdminError::reload_rejected("models.small: no provider `x`".to_owned()));
        }
        Ok(json!({"outcome": "applied", "generation": self.generation.fetch_add(1, Ordering::Relaxed) + 1}))
    }

    fn reset_bandit(&self, body: &[u8]) -> Result<Value, AdminError> {
        Ok(json!({ "bytes": body.len() }))
    }

    fn feedback(&self, body: &[u8]) -> Result<Value, AdminError> {
        Ok(json!({ "bytes": body.len() }))
    }

    fn killed(&self) -> Value {
        json!({"all": false, "policies": []})
    }

    fn kill(&self, body: &[u8]) -> Result<Value, AdminError> {
        Ok(json!({ "bytes": body.len() }))
    }

    async fn rollback(&self) -> Result<Value, AdminError> {
        Err(AdminError::nothing_to_roll_back())
    }
}

/// An admin plane that runs until it is stopped.
struct Admin {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Admin {
    async fn of(plane: Arc<Scripted>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, plane, async { stopped.await.unwrap_or_default() }));
        Self { address, stop, task }
    }

    /// Sends the bytes as they are and returns the whole answer.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(request).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    /// Returns the head and the body of the answer.
    async fn ask(&self, line: &str, body: &str) -> (String, String) {
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-team: red\r\ncontent-type: application/json\r\nconnection: close\r\n"
        );
        let answer = self.raw(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    /// Returns the status and the body as JSON.
    async fn ask_json(&self, line: &str, body: &str) -> (u16, Value) {
        let (head, body) = self.ask(line, body).await;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        assert!(head.contains("content-type: application/json"), "{head}");
        (status, serde_json::from_str(&body).expect("JSON"))
    }
}

#[tokio::test]
async fn metrics_are_in_prometheus_text_format() {
    let admin = Admin::of(Arc::default()).await;

    let (head, body) = admin.ask("GET /metrics", "").await;

    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!(body, "pointsman_generation 1\n");
}

#[tokio::test]
async fn a_process_that_lives_is_ok() {
    let admin = Admin::of(Arc::new(Scripted { unready: true, ..Scripted::default() })).await;

    assert_eq!(admin.ask("GET /healthz", "").await.1, "ok");
}

#[tokio::test]
async fn readiness_says_how_each_classifier_is_and_how_the_last_reload_ended() {
    let admin = Admin::of(Arc::default()).await;

    let answer = admin.ask_json("GET /readyz", "").await;

    let expected = json!({
        "ready": true,
        "generation": 1,
        "classifiers": {
            "default": {"state": "unavailable", "detail": "libonnxruntime was not found", "device": null, "version": null},
        },
        "last_reload": {"at": "1970-01-02T00:00:00Z", "outcome": "applied", "detail": null},
    });
    assert_eq!(answer, (200, expected));
}

#[tokio::test]
async fn a_process_that_is_not_ready_answers_503() {
    let admin = Admin::of(Arc::new(Scripted { unready: true, ..Scripted::default() })).await;

    let (status, body) = admin.ask_json("GET /readyz", "").await;

    assert_eq!((status, &body["ready"]), (503, &json!(false)));
}

#[tokio::test]
async fn the_configuration_is_shown_as_json() {
    let admin = Admin::of(Arc::default()).await;

    let (status, body) = admin.ask_json("GET /config", "").await;

    assert_eq!((status, &body["version"]), (200, &json!(1)));
}

#[tokio::test]
async fn a_decision_sees_the_body_the_headers_and_the_chat_path() {
    let admin = Admin::of(Arc::default()).await;

    let answer = admin.ask_json("POST /v1/decide", "{}").await;

    assert_eq!(answer, (200, json!({"path": "/v1/chat/completions", "team": "red", "client": null, "bytes": 2})));
}

#[tokio::test]
async fn a_decision_is_for_the_client_that_the_query_names_or_else_a_header() {
    let admin = Admin::of(Arc::default()).await;
    let client = async |line: &str| admin.ask_json(line, "{}").await.1["client"].clone();
    let header = "x-pointsman-client: by-header";
    let line = |query: &str| format!("POST /v1/decide{query} HTTP/1.1\r\n{header}\r\nx-rest:");

    assert_eq!(client("POST /v1/decide?x=1&client=team%2Fa").await, "team/a");
    assert_eq!(client(&line("")).await, "by-header");
    assert_eq!(client(&line("?client=by-query")).await, "by-query");
}

#[tokio::test]
async fn a_refused_decision_reads_as_on_the_data_plane() {
    let admin = Admin::of(Arc::default()).await;

    let (status, body) = admin.ask_json("POST /v1/decide", "").await;

    assert_eq!(status, 400);
    assert_eq!(
        body,
        json!({"error": {
            "message": "You must provide a `model` parameter.",
            "type": "invalid_request_error", "param": "model", "code": "model_missing",
        }})
    );
}

#[tokio::test]
async fn health_is_said_in_json_too() {
    let admin = Admin::of(Arc::new(Scripted { unready: true, ..Scripted::default() })).await;

    let answer = admin.ask_json("GET /health", "").await;

    let classifiers = json!({"default": {"state": "unavailable", "bundle": null, "version": null, "sha256": null}});
    let version = env!("CARGO_PKG_VERSION");
    let expected = json!({"status": "draining", "generation": 0, "version": version, "classifiers": classifiers});
    assert_eq!(answer, (200, expected));
}

#[tokio::test]
async fn the_openapi_document_has_every_route_and_no_other() {
    let admin = Admin::of(Arc::default()).await;

    let (_, document) = admin.ask_json("GET /openapi.json", "").await;

    let paths = document["paths"].as_object().expect("paths").iter();
    let methods = |item: &Value| item.as_object().expect("operations").keys().cloned().collect::<Vec<_>>();
    let mut documented: Vec<_> = paths
        .flat_map(|(path, item)| {
            methods(item).into_iter().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let mut routes = http::ROUTES.map(str::to_owned).to_vec();
    documented.sort();
    routes.sort();
    assert_eq!(documented, routes);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_reload_answers_with_the_new_generation() {
    let admin = Admin::of(Arc::default()).await;

    let reloaded = admin.ask_json("POST /reload", "").await;
    let generation = admin.ask_json("GET /generation", "").await;

    assert_eq!(reloaded, (200, json!({"outcome": "applied", "generation": 1})));
    assert_eq!(generation, (200, json!({"generation": 1})));
}

#[tokio::test]
async fn a_refused_reload_says_what_is_wrong() {
    let admin = Admin::of(Arc::new(Scripted { broken_config: true, ..Scripted::default() })).await;

    let (status, body) = admin.ask_json("POST /reload", "").await;

    assert_eq!((status, &body["error"]["code"]), (422, &json!("reload_rejected")));
    assert_eq!(body["error"]["message"], "models.small: no provider `x`");
}

#[tokio::test]
async fn an_unknown_path_is_told_which_ones_exist() {
    let admin = Admin::of(Arc::default()).await;

    let (status, body) = admin.ask_json("GET /metrix?x=1", "").await;

    assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")));
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("There is no `/metrix` here. Routes: GET /, GET /metrics,"), "{message}");
}

#[tokio::test]
async fn a_wrong_method_is_told_which_one_is_allowed() {
    let admin = Admin::of(Arc::default()).await;

    let (head, body) = admin.ask("GET /reload", "").await;

    assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: POST"), "{head}");
    assert!(body.contains(r#""code":"method_not_allowed""#), "{body}");
}

#[tokio::test]
async fn the_docs_page_reads_the_document_and_loads_nothing_from_elsewhere() {
    let admin = Admin::of(Arc::default()).await;

    let (head, page) = admin.ask("GET /docs", "").await;

    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(page.contains(r#"fetch("openapi.json")"#));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
}
