//! Classifiers that run elsewhere: who answers when, what each fault costs, and what a load says of a contract.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::cli::{pointsman, text};
use crate::client::{Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Origin, nobody};
use crate::reload::until_metric;
use crate::soon;

/// A classifier's server, which says `complex` of a text with the word `hard`.
struct ClassifierServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What a server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Judge,
    /// Answers with a head and labels that nobody asks for.
    OtherHeads,
    Refuse,
    Babble,
    /// Says nothing, for as long as the client waits.
    Hang,
}

struct Shared {
    mode: Mutex<Mode>,
    asked: Mutex<Vec<(HeaderMap, Value)>>,
    arrived: Notify,
}

impl ClassifierServer {
    async fn start() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    /// Starts another server where one was.
    async fn start_at(address: SocketAddr) -> Self {
        Self::listen(TcpListener::bind(address).await.expect("the port is free again"))
    }

    fn listen(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("bound");
        let (mode, asked, arrived) = (Mutex::new(Mode::Judge), Mutex::default(), Notify::new());
        let shared = Arc::new(Shared { mode, asked, arrived });
        let mut tasks = JoinSet::new();
        let own = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&own);
                let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
                let serving =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(serving.await) });
            }
        });
        Self { address, shared, tasks }
    }

    fn turn(&self, mode: Mode) {
        *self.shared.mode.lock().expect("no test panics with the lock") = mode;
    }

    /// Ends the server and its connections.
    async fn stop(mut self) -> SocketAddr {
        self.tasks.shutdown().await;
        self.address
    }

    fn count(&self) -> usize {
        self.shared.asked.lock().expect("no test panics with the lock").len()
    }

    /// Waits until so many requests have arrived.
    async fn until_asked(&self, count: usize) {
        soon("requests at the classifier's server", async {
            loop {
                let arrived = self.shared.arrived.notified();
                if self.count() >= count {
                    return;
                }
                arrived.await;
            }
        })
        .await;
    }

    fn last(&self) -> (HeaderMap, Value) {
        self.shared.asked.lock().expect("no test panics with the lock").last().cloned().expect("a request")
    }
}

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mode = *shared.mode.lock().expect("no test panics with the lock");
    shared.asked.lock().expect("no test panics with the lock").push((head.headers, body.clone()));
    shared.arrived.notify_one();
    let inputs = body["inputs"].as_array().cloned().unwrap_or_default();
    let (status, answer) = match mode {
        Mode::Judge => (StatusCode::OK, judged(&inputs).to_string()),
        Mode::OtherHeads => (StatusCode::OK, moody(&inputs).to_string()),
        Mode::Refuse => (StatusCode::SERVICE_UNAVAILABLE, "later".to_owned()),
        Mode::Babble => (StatusCode::OK, "<html>".to_owned()),
        Mode::Hang => std::future::pending().await,
    };
    let mut response = Response::new(Full::from(answer));
    *response.status_mut() = status;
    Ok(response)
}

fn judged(inputs: &[Value]) -> Value {
    let result = |input: &Value| {
        let is_hard = input.as_str().is_some_and(|text| text.contains("hard"));
        let (simple, complex) = if is_hard { (0.05, 0.9) } else { (0.9, 0.05) };
        let tier = json!({"label": "simple", "probabilities": {"simple": simple, "medium": 0.05, "complex": complex}});
        json!({"heads": {"tier": tier}, "tokens": 7, "truncated": false})
    };
    json!({"classifier": "default", "version": "elsewhere-1", "results": inputs.iter().map(result).collect::<Vec<_>>()})
}

fn moody(inputs: &[Value]) -> Value {
    let mood = json!({"label": "good", "probabilities": {"good": 0.9, "bad": 0.1}});
    let result = json!({"heads": {"mood": mood}, "tokens": 7, "truncated": false});
    json!({"classifier": "default", "version": "elsewhere-2", "results": vec![result; inputs.len()]})
}

/// A configuration that asks a server, without a bundle behind it.
fn asking(address: SocketAddr, more: &str, small: &Origin, frontier: &Origin) -> Config {
    let breaker = "breaker: {failures: 2, rest: 100ms}, hedge: {budget: 0}";
    let labels = "heads: {tier: {labels: [simple, medium, complex]}}";
    Config {
        bundle: "".into(),
        classifier: format!(", remote: {{protocol: pointsman, url: 'http://{address}', {breaker}, {labels}{more}}}"),
        ..Config::classifying(small, frontier)
    }
}

/// The same with the default bundle behind the server.
fn before_a_bundle(address: SocketAddr, more: &str, small: &Origin, frontier: &Origin) -> Config {
    let classifying = Config::classifying(small, frontier);
    Config { bundle: classifying.bundle, ..asking(address, more, small, frontier) }
}

fn headers<'r>(reply: &'r Reply, names: &[&str]) -> Vec<Option<&'r str>> {
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    names.iter().map(|name| reply.header(&format!("x-pointsman-{name}"))).collect()
}

/// Asks until the server's scores decide again.
async fn until_answered(gateway: &Gateway) {
    static COUNT: AtomicUsize = AtomicUsize::new(0); // a text that was answered before would come out of the cache
    soon("the server's scores", async {
        loop {
            let text = format!("something new {}", COUNT.fetch_add(1, Ordering::Relaxed));
            if headers(&chat(gateway.listen, question("auto", &text)).await, &["source"]) == [Some("remote")] {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_s_scores_decide_and_are_shown_counted_and_remembered() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let server = ClassifierServer::start().await;
    let secret = ", credential: {env: REMOTE_KEY}, model: tiers";
    let config = asking(server.address, secret, &small, &frontier);
    let gateway = Gateway::start_with(&config, &[("REMOTE_KEY", "sk-planted")]).await;

    let simple = chat(gateway.listen, question("auto", "a greeting")).await;
    let hard = chat(gateway.listen, question("auto", "a hard proof")).await;
    let asked = server.count();
    let again = chat(gateway.listen, question("auto", "a hard proof")).await;

    let names = ["model", "reason", "label", "source", "degraded"];
    assert_eq!(headers(&simple, &names), [Some("small"), Some("tier"), Some("simple"), Some("remote"), None]);
    assert_eq!(headers(&hard, &names), [Some("frontier"), Some("tier"), Some("complex"), Some("remote"), None]);
    assert_eq!(headers(&again, &names[..1]), [Some("frontier")]);
    assert_eq!(server.count(), asked, "what was asked is remembered");
    let (fields, body) = server.last();
    assert_eq!(fields.get("authorization").and_then(|value| value.to_str().ok()), Some("Bearer sk-planted"));
    assert_eq!(body, json!({"classifier": "tiers", "inputs": ["a hard proof"]}));
    until_metric(&gateway, "pointsman_classifier_answers_total{classifier=\"default\",source=\"remote\"} 3").await;
    let requests = "pointsman_classifier_remote_requests_total{classifier=\"default\",outcome=\"answered\"} 2";
    until_metric(&gateway, requests).await;
    let ready = get(gateway.admin, "/readyz").await.json();
    let state = &ready["classifiers"]["default"];
    assert_eq!((&state["state"], &state["version"]), (&json!("ready"), &json!("elsewhere-1")), "{state}");
    assert_eq!(state["device"], "remote:pointsman");
    assert!(!gateway.log().contains("sk-planted"));
}

#[tokio::test]
async fn a_server_that_is_gone_costs_no_request_and_comes_back() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let address = ClassifierServer::start().await.stop().await;
    let gateway = Gateway::start(&asking(address, "", &small, &frontier)).await;

    let without = chat(gateway.listen, question("auto", "a greeting")).await;
    let ready = get(gateway.admin, "/readyz").await.json();
    let _server = ClassifierServer::start_at(address).await;
    until_answered(&gateway).await;

    assert_eq!(headers(&without, &["model", "reason"]), [Some("frontier"), Some("classifier_remote_unreachable")]);
    assert_eq!((&ready["ready"], &ready["classifiers"]["default"]["state"]), (&json!(true), &json!("degraded")));
    gateway.until_logged("contract holds").await;
}

#[tokio::test]
async fn a_server_that_is_slow_costs_its_timeout_and_the_bundle_answers() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let server = ClassifierServer::start().await;
    let gateway = Gateway::start(&before_a_bundle(server.address, ", timeout: 50ms", &small, &frontier)).await;
    server.turn(Mode::Hang);

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    let [reason, source, degraded] = ["reason", "source", "degraded"].map(|name| headers(&reply, &[name])[0]);
    assert_eq!((reason, degraded), (Some("tier"), Some("deadline")));
    assert!(matches!(source, Some("encoder_fallback" | "lexical_fallback")), "{source:?}");
    let degraded = "pointsman_classifier_degraded_total{classifier=\"default\",reason=\"deadline\"} 1";
    until_metric(&gateway, degraded).await;
    server.turn(Mode::Judge);
    until_answered(&gateway).await;
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_left_alone() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    // The kernel accepts connections, and nobody reads from them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let config = asking(address, ", timeout: 50ms", &small, &frontier);
    let patient = Config { classifier: config.classifier.replace("rest: 100ms", "rest: 1h"), ..config };
    let gateway = Gateway::start(&patient).await;

    // A request may be given up just before its failure is counted.
    let mut late = 0;
    soon("the server is left alone", async {
        loop {
            let reply = chat(gateway.listen, question("auto", &format!("text {late}"))).await;
            match headers(&reply, &["reason"])[0] {
                Some("classifier_deadline") => late += 1,
                reason => return assert_eq!(reason, Some("classifier_remote_resting")),
            }
        }
    })
    .await;

    assert!(late >= 2, "{late}");
}

#[tokio::test]
async fn a_server_that_restarts_in_mid_request_loses_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let server = ClassifierServer::start().await;
    let gateway = Gateway::start(&asking(server.address, "", &small, &frontier)).await;
    let before = chat(gateway.listen, question("auto", "a greeting")).await;
    server.turn(Mode::Hang);
    let listen = gateway.listen;
    let asked = server.count();
    let waiting = tokio::spawn(async move { chat(listen, question("auto", "in the middle")).await });
    server.until_asked(asked + 1).await;

    let address = server.stop().await;
    let in_the_middle = waiting.await.expect("no panic");
    let _server = ClassifierServer::start_at(address).await;
    until_answered(&gateway).await;

    assert_eq!(headers(&before, &["source"]), [Some("remote")]);
    assert_eq!(
        headers(&in_the_middle, &["model", "reason"]),
        [Some("frontier"), Some("classifier_remote_unreachable")]
    );
}

#[tokio::test]
async fn a_server_that_refuses_or_babbles_is_answered_by_the_next_step() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let server = ClassifierServer::start().await;
    let gateway = Gateway::start(&asking(server.address, "", &small, &frontier)).await;

    for (mode, reason) in
        [(Mode::Refuse, "remote_refused"), (Mode::Babble, "remote_bad_answer"), (Mode::OtherHeads, "remote_bad_answer")]
    {
        server.turn(Mode::Judge);
        until_answered(&gateway).await;
        server.turn(mode);
        let reply = chat(gateway.listen, question("auto", &format!("for {mode:?}"))).await;

        let reason = format!("classifier_{reason}");
        assert_eq!(headers(&reply, &["model", "reason"]), [Some("frontier"), Some(reason.as_str())], "{mode:?}");
    }
}

#[tokio::test]
async fn a_wrong_contract_is_refused_at_the_start_and_named() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let server = ClassifierServer::start().await;
    server.turn(Mode::OtherHeads);
    let folder = tempfile::tempdir().expect("a folder");
    let check = |config: Config| {
        let file = folder.path().join("p.yaml");
        std::fs::write(&file, config.yaml()).expect("writable");
        async move {
            let run = move || pointsman(&["check", "-c", file.to_str().expect("a plain name")]);
            #[expect(clippy::disallowed_methods, reason = "a test may block a thread of its own")]
            let output = tokio::task::spawn_blocking(run).await.expect("no panic");
            (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
        }
    };

    let mapped = check(asking(server.address, "", &small, &frontier)).await;
    let unmapped = asking(server.address, "", &small, &frontier);
    let as_it_comes = unmapped.classifier.replace(", heads: {tier: {labels: [simple, medium, complex]}}", "");
    let as_it_comes = check(Config { classifier: as_it_comes, ..unmapped }).await;
    let away = check(asking(nobody().await, "", &small, &frontier)).await;

    assert_eq!(mapped.0, Some(78), "{}", mapped.1);
    let wrong = "classifiers.default.remote.heads.tier.output: the server has no output `tier` (allowed: mood)";
    assert!(mapped.1.contains(wrong), "{}", mapped.1);
    assert_eq!(as_it_comes.0, Some(78), "{}", as_it_comes.1);
    assert!(as_it_comes.1.contains("classifier `default` has no head `tier` (allowed: mood)"), "{}", as_it_comes.1);
    assert_eq!(away.0, Some(0), "a server that is away is no mistake: {}", away.1);
    assert!(away.1.contains("classifiers.default: remote_unreachable: "), "{}", away.1);
}

#[tokio::test]
async fn a_server_that_comes_back_with_another_contract_is_not_believed() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let address = ClassifierServer::start().await.stop().await;
    let config = asking(address, "", &small, &frontier);
    let as_it_comes = config.classifier.replace(", heads: {tier: {labels: [simple, medium, complex]}}", "");
    let gateway = Gateway::start(&Config { classifier: as_it_comes, ..config }).await;
    let server = ClassifierServer::start_at(address).await;
    server.turn(Mode::OtherHeads);

    let reply = soon("a look at the server", async {
        loop {
            let reply = chat(gateway.listen, question("auto", &format!("try {}", server.count()))).await;
            if headers(&reply, &["reason"]) == [Some("classifier_remote_bad_answer")] {
                return reply;
            }
        }
    })
    .await;
    let ready = get(gateway.admin, "/readyz").await.json();
    server.turn(Mode::Judge);
    until_answered(&gateway).await;

    assert_eq!(headers(&reply, &["model"]), [Some("frontier")]);
    let detail = ready["classifiers"]["default"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("has no head `tier` (allowed: mood)"), "{detail}");
}

#[tokio::test]
async fn a_reload_that_a_server_s_contract_does_not_fit_is_refused_and_the_old_one_serves() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let server = ClassifierServer::start().await;
    let config = asking(server.address, "", &small, &frontier);
    let gateway = Gateway::start(&config).await;
    let other = config.classifier.replace("complex]", "tricky]");

    gateway.write(&Config { classifier: other, ..asking(server.address, "", &small, &frontier) }.yaml());
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    let reply = chat(gateway.listen, question("auto", "a greeting")).await;

    assert_eq!(headers(&reply, &["source", "generation"]), [Some("remote"), Some("1")]);
    gateway.until_logged("remote.heads.tier.labels").await;
}
