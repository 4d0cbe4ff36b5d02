//! Prompts, keys and bodies appear in no output: log, metrics, traces, decision log, store, what the admin plane shows and
//! decides. Where texts and answers are logged, they are in the decision log alone, and keys not even there.

use std::fs;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::client::{CHAT, Connection, Framing, Reply, get};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::redis::Redis;
use crate::reload::until_metric;

/// What must be found nowhere; every planted text holds it.
const MARK: &str = "planted";

const ENVIRONMENT: [(&str, &str); 6] = [
    ("RUST_LOG", "trace"),
    ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ("UPSTREAM_KEY", "sk-planted-upstream"),
    ("LOG_KEY", "planted-hash-key-0123456789"),
    ("OTLP_KEY", "planted-otlp-key"),
    ("TENANT", "planted-tenant"),
];

const STORE_PASSWORD: &str = "planted-store-password";

/// Policies that ask a judge and compare embeddings.
const POLICIES: &str = "    affinity: {key: conversation, hold: 1h, move: free}
  - name: judged
    match: {model: [judged]}
    strategy: {kind: judge, judge: small, timeout: 5s, breaker: {failures: 100, rest: 1s}, otherwise: frontier, choices: [
      {label: easy, model: small, description: small talk}, {label: hard, model: frontier, description: the rest}]}
  - name: alike
    match: {model: [alike]}
    strategy: {kind: similarity, classifier: default, threshold: 0, otherwise: frontier, routes: [
      {model: small, examples: [hello there]}, {model: frontier, examples: [prove the theorem]}]}
";

/// Bodies in which every string of the client's own is planted.
fn bodies() -> Vec<(&'static str, String)> {
    let text = "a planted prompt about planted things";
    let tools = json!([{"type": "function", "function": {"name": "planted_tool", "parameters": {"planted": 1}}}]);
    vec![
        (
            CHAT,
            json!({"model": "auto", "user": "planted-user", "tools": tools, "reasoning_effort": "planted effort",
                "messages": [{"role": "system", "content": text}, {"role": "user", "content": text}]})
            .to_string(),
        ),
        (CHAT, json!({"model": "auto", "stream": true, "messages": [{"role": "user", "content": text}]}).to_string()),
        (
            "/v1/messages",
            json!({"model": "auto", "system": text, "max_tokens": 5, "messages": [{"role": "user", "content": text}]})
                .to_string(),
        ),
        ("/v1/responses", json!({"model": "auto", "input": text}).to_string()),
        (CHAT, json!({"model": "judged", "messages": [{"role": "user", "content": text}]}).to_string()),
        (
            CHAT,
            json!({"model": "judged", "messages": [{"role": "user", "content": format!("{text}, and why")}]})
                .to_string(),
        ),
        (CHAT, json!({"model": "alike", "messages": [{"role": "user", "content": text}]}).to_string()),
        (CHAT, json!({"model": "planted-model", "messages": []}).to_string()),
        (CHAT, "{\"planted\": not json".into()),
        (CHAT, json!({"model": "auto", "messages": "planted"}).to_string()),
        ("/v1/feedback", json!({"request_id": "x", "comment": text}).to_string()),
    ]
}

async fn post(to: SocketAddr, path: &str, body: String) -> Reply {
    let mut connection = Connection::open(to, Framing::Length).await;
    let request = connection.request(Method::POST, &format!("{path}?api_key=sk-planted-query"));
    let request = request
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-planted-client")
        .header("x-api-key", "sk-planted-x")
        .header("x-session-id", "planted-session")
        .header("cookie", "session=planted")
        .header("baggage", "user=planted")
        .header("user-agent", "planted/1");
    let request = request.body(Framing::Length.body(Bytes::from(body))).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

/// An answer in which everything is planted.
fn answer(status: StatusCode) -> Answer {
    let body = json!({"id": "planted", "choices": [{"message": {"content": "a planted answer"}}], "error": {"message": "planted"}});
    let headers = vec![("content-type", "application/json"), ("set-cookie", "planted"), ("x-request-id", "planted-id")];
    Answer::Reply(status, headers, body.to_string().into())
}

/// What the judge says, where it says what it was asked for.
fn verdict() -> Answer {
    let content = json!({"reason": "planted reason", "label": "easy"}).to_string();
    let body = json!({"id": "planted", "choices": [{"message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1}});
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

/// Asks the admin plane about planted texts; returns its decisions.
async fn decided(gateway: &Gateway, judge: &Origin) -> Vec<(String, String)> {
    let text = "a planted question to decide about";
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": text}]}).to_string();
    let mut found = Vec::new();
    for (path, body) in [
        ("/v1/decide", chat("auto")),
        ("/v1/decide", chat("judged")),
        ("/v1/decide", chat("alike")),
        ("/v1/decide", chat("planted-model")),
        ("/predict", json!({"text": text}).to_string()),
        ("/predict/batch", json!({"texts": [text]}).to_string()),
        ("/v1/decide", "{\"planted\": not json".into()),
    ] {
        judge.script(if body.contains("judged") { verdict() } else { answer(StatusCode::OK) });
        let reply = post(gateway.admin, path, body).await;
        // `/predict` gives its callers their texts back.
        if path == "/v1/decide" {
            found.push((format!("{path} ({})", reply.status), String::from_utf8_lossy(&reply.body).into_owned()));
        }
    }
    found
}

async fn config(small: &Origin, frontier: &Origin, collector: &Origin, log: &str) -> Config {
    let sections = format!(
        "  gone: {{base_url: 'http://{}'}}\ndecision_log: {{path: logs/d.jsonl, hash_key: {{env: LOG_KEY}}{log}}}\n\
         tracing: {{otlp: {{endpoint: 'http://{}', sample: 1, credential: {{env: OTLP_KEY}}, headers: {{x-tenant: {{env: TENANT}}}}}}}}\n\
         store: {{redis: {{url: {{env: STORE_URL}}, timeout: 1s}}}}",
        nobody().await,
        collector.address()
    );
    let fallback = "[frontier]";
    let policy = POLICIES.to_owned();
    Config { sections, fallback, policy, credential: "{env: UPSTREAM_KEY}", ..Config::classifying(small, frontier) }
}

/// Everything that leaves the process beside the answers, with its name.
async fn outputs(gateway: &mut Gateway, collector: &Origin) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in ["/metrics", "/config", "/readyz", "/healthz", "/generation", "/", "/docs", "/openapi.json"] {
        let reply = get(gateway.admin, path).await;
        found.push((path.to_owned(), String::from_utf8_lossy(&reply.body).into_owned()));
    }
    assert!(tokio::task::block_in_place(|| gateway.stop()).success(), "{}", gateway.log());
    while let Some(export) = collector.take() {
        found.push(("an export".to_owned(), String::from_utf8_lossy(&export.body).into_owned()));
    }
    let logs = gateway.file().parent().expect("a folder").join("logs");
    for file in fs::read_dir(logs).expect("a folder") {
        let path = file.expect("an entry").path();
        found.push((path.display().to_string(), fs::read_to_string(path).expect("a readable file")));
    }
    found.push(("the log".to_owned(), gateway.log()));
    found
}

/// Asks with every body, and has the upstreams answer each with every status.
async fn ask_everything(gateway: &Gateway, [small, frontier]: [&Origin; 2]) {
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR] {
        for (path, body) in bodies() {
            if body.contains("judged") && status == StatusCode::OK {
                small.script(verdict());
            }
            small.script(answer(status));
            frontier.script(answer(status));
            post(gateway.listen, path, body).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_in_no_output() {
    let (small, frontier, collector) = (Origin::start().await, Origin::start().await, Origin::start().await);
    let config = config(&small, &frontier, &collector, "").await;
    let (store, url) = Redis::with_password(STORE_PASSWORD);
    let overheard = store.overheard(STORE_PASSWORD);
    let environment = [&ENVIRONMENT[..], &[("STORE_URL", url.as_str())]].concat();
    let mut gateway = Gateway::start_with(&config, &environment).await;

    ask_everything(&gateway, [&small, &frontier]).await;
    let decided = decided(&gateway, &small).await;
    gateway.write(&config.yaml().replace("{env: UPSTREAM_KEY}", "sk-planted-file"));
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    gateway.write(&config.yaml().replace("{env: TENANT}", "sk-planted-file"));
    until_metric(&gateway, "pointsman_config_reloads_total{outcome=\"rejected\"} 2").await;
    let mut outputs = outputs(&mut gateway, &collector).await;
    outputs.extend(decided);
    outputs.push(("the store".to_owned(), overheard.until_the_end_of(store)));

    let names: Vec<_> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"an export") && names.iter().any(|name| name.ends_with("d.jsonl")), "{names:?}");
    for kind in ["judge", "similarity"] {
        assert!(outputs.iter().any(|(name, text)| name.starts_with("/v1/decide") && text.contains(kind)), "no {kind}");
    }
    for (name, text) in outputs {
        assert!(!text.is_empty(), "{name} is empty");
        let lines: Vec<_> = text.lines().filter(|line| line.to_lowercase().contains(MARK)).collect();
        assert!(lines.is_empty(), "{name}: {lines:#?}");
    }
}

/// The fields of the decision log's lines that hold texts, where the operator asks for them.
const TEXTS: [&str; 6] = ["text", "answer", "tool_calls", "finish_reason", "comment", "judge_rationale"];

#[tokio::test(flavor = "multi_thread")]
async fn where_answers_are_logged_texts_are_in_the_decision_log_alone_and_keys_are_nowhere() {
    let (small, frontier, collector) = (Origin::start().await, Origin::start().await, Origin::start().await);
    let mut config = config(&small, &frontier, &collector, ", text: true, answers: {sample: 1, redact: false}").await;
    let shadow = "    shadow_answers: {model: frontier, sample: 1, max_per_day: 10}\n";
    config.policy = format!("{shadow}{}", config.policy);
    let (_store, url) = Redis::with_password(STORE_PASSWORD);
    let environment = [&ENVIRONMENT[..], &[("STORE_URL", url.as_str())]].concat();
    let mut gateway = Gateway::start_with(&config, &environment).await;

    let (path, body) = bodies().swap_remove(0);
    [&small, &frontier].into_iter().for_each(|origin| origin.script(verdict()));
    assert_eq!(post(gateway.listen, path, body).await.status, StatusCode::OK);
    ask_everything(&gateway, [&small, &frontier]).await;
    let outputs = outputs(&mut gateway, &collector).await;

    let mut answers = 0;
    for (name, text) in outputs {
        let is_log = name.ends_with("d.jsonl");
        let lines = text.lines().map(|line| {
            let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_str(line) else { return line.to_owned() };
            if is_log {
                answers += usize::from(fields.contains_key("answer"));
                fields.retain(|field, _| !TEXTS.contains(&field.as_str()));
            }
            serde_json::Value::Object(fields).to_string()
        });
        let lines: Vec<_> = lines.filter(|line| line.to_lowercase().contains(MARK)).collect();
        assert!(lines.is_empty(), "{name}: {lines:#?}");
        for key in
            ["sk-planted", "planted-session", "planted-hash-key", "planted-otlp-key", "planted-store", "planted/1"]
        {
            assert!(!text.contains(key), "{name} holds {key}");
        }
    }
    assert!(answers > 0, "no answer was logged");
}
