//! Typed decisions: served from heads, and asked of others that judge for a policy.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::client::{Connection, Framing, Reply, chat, question};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::questions::ask;
use crate::reload::until_metric;

const PATH: &str = "/v1/decisions";
const TEXT: &str = "Prove that the square root of 2 is irrational.";

/// A judge at the provider of `small`, asked in a protocol for decisions.
fn judge(protocol: &str) -> String {
    format!(
        "{{kind: judge, judge: small, protocol: {protocol}, timeout: 5s, breaker: {{failures: 100, rest: 1h}}, cache: {{max_entries: 0}},
      instructions: Poems are hard., otherwise: small, choices: [{{label: easy, model: small, description: small talk}},
        {{label: hard, model: frontier, description: everything else}}]}}"
    )
}

fn said(body: &Value) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

fn decision(answer: &Value) -> Answer {
    said(
        &json!({"answers": [answer], "model": "m", "usage": {"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1010}}),
    )
}

async fn judged(answers: impl IntoIterator<Item = Answer>, strategy: String) -> (Origin, Origin, Gateway) {
    let (small, frontier) = (Origin::answering(answers).await, Origin::start().await);
    let config = Config { whole_strategy: Some(strategy), rules: Vec::new(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    (small, frontier, gateway)
}

async fn explained(gateway: &Gateway) -> Value {
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    admin.post(Framing::Length, "/v1/decide", question("auto", "Write a poem.")).await.json()
}

async fn heads(sections: String) -> Gateway {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let listen = "{address: 127.0.0.1:0, decisions: true}".to_owned();
    Gateway::start(&Config { listen, sections, ..Config::classifying(&small, &frontier) }).await
}

fn tiers() -> Value {
    let choices = ["simple", "medium", "complex"].map(|value| json!({"value": value}));
    json!({"type": "choice", "name": "tier", "instructions": "Which?", "choices": choices})
}

fn asked(model: &str, questions: &[Value]) -> String {
    json!({"model": model, "input": TEXT, "questions": questions}).to_string()
}

#[tokio::test]
async fn a_policy_s_judge_is_asked_for_a_choice_in_openai_s_form() {
    let probabilities = json!([{"value": "easy", "probability": 0.1}, {"value": "hard", "probability": 0.9}]);
    let answer =
        json!({"type": "choice", "name": "route", "choice": "hard", "confidence": 0.8, "probabilities": probabilities});
    let (small, frontier, gateway) = judged([decision(&answer)], judge("decisions")).await;

    let reply = chat(gateway.listen, question("auto", "Write a poem.")).await;

    let sent = small.next().await;
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((sent.path.as_str(), &body["model"]), ("/v1/decisions", &json!("small-1")), "{body}");
    assert_eq!(body["input"][1], json!({"type": "message", "role": "user", "content": "Write a poem."}));
    let asked = &body["questions"][0];
    assert_eq!((&asked["type"], &asked["choices"][0]["value"]), (&json!("choice"), &json!("easy")));
    assert!(asked["instructions"].as_str().is_some_and(|text| text.ends_with("Poems are hard.")), "{asked}");
    assert_eq!(sent.header("x-pointsman-judge"), Some("1"));
    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"), "{}", gateway.log());
    assert_eq!(frontier.next().await.model(), "frontier-1");
    until_metric(&gateway, r#"pointsman_judge_tokens_total{direction="input",policy="auto"} 1000"#).await;
}

#[tokio::test]
async fn a_policy_s_judge_is_asked_for_a_choice_in_systemone_s_form() {
    let answer =
        json!({"type": "choice", "choice": "hard", "confidence": 0.8, "probabilities": {"easy": 0.1, "hard": 0.9}});
    let answer =
        json!({"model": "jev-1", "answers": {"route": answer}, "usage": {"input_tokens": 1000, "output_tokens": 0}});
    let (small, _frontier, gateway) = judged([said(&answer)], judge("systemone")).await;

    let decided = explained(&gateway).await;

    let sent = small.next().await;
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((sent.path.as_str(), &body["state"]["request"]), ("/v1/systemone", &json!("Write a poem.")), "{body}");
    let asked = &body["questions"]["route"];
    assert_eq!(
        (&asked["type"], asked["criteria"].as_object().map(serde_json::Map::len)),
        (&json!("choice"), Some(2)),
        "{body}"
    );
    assert_eq!((&decided["model"], &decided["label"]), (&json!("frontier"), &json!("hard")), "{decided}");
}

#[tokio::test]
async fn a_judge_that_is_gone_slow_broken_or_of_another_contract_leaves_the_decision_to_otherwise() {
    let (_hold, never) = oneshot::channel();
    let answers = [
        decision(&json!({"type": "refusal", "name": "route"})),
        decision(&json!({"type": "choice", "choice": "medium", "confidence": 1.0, "probabilities": []})),
        said(&json!({"choices": [{"message": {"content": "hard"}}]})),
        Answer::Reply(StatusCode::OK, Vec::new(), Bytes::from_static(b"<html>")),
        Answer::Reply(StatusCode::NOT_FOUND, Vec::new(), Bytes::from_static(b"no such path")),
        Answer::HangUp,
        Answer::HangUpAfter(Bytes::from_static(b"{\"answers\":")),
        Answer::Held(never),
    ];
    let count = answers.len();
    let strategy = judge("decisions").replace("timeout: 5s", "timeout: 1s");
    let (small, _frontier, gateway) = judged(answers, strategy).await;

    for index in 0..count {
        let decided = explained(&gateway).await;
        let reason = decided["reason"].as_str().unwrap_or_default();
        assert!(decided["model"] == "small" && reason.starts_with("judge_"), "{index}: {decided}");
        small.next().await;
    }
}

#[tokio::test]
async fn heads_answer_without_any_section_and_what_they_cannot_is_declined_alone() {
    let gateway = heads(String::new()).await;
    let colour = json!({"type": "choice", "instructions": "Which?", "choices": [{"value": "red"}, {"value": true}]});
    let hard = json!({"type": "predicate", "instructions": "It is hard.", "name": "tier.complex"});

    let reply = ask(&gateway, PATH, "", &asked("default", &[tiers(), colour, hard])).await;

    let said = reply.json();
    assert_eq!((reply.status, &said["model"]), (StatusCode::OK, &json!("default")), "{said}");
    let [tier, colour, hard] = &said["answers"].as_array().expect("answers")[..] else { panic!("{said}") };
    assert_eq!((&tier["type"], &tier["name"], &tier["choice"]), (&json!("choice"), &json!("tier"), &json!("complex")));
    assert_eq!(tier["probabilities"][2]["value"], "complex");
    assert_eq!(tier["confidence"], tier["probabilities"][2]["probability"]);
    assert_eq!(colour, &json!({"type": "refusal", "name": null}));
    assert_eq!((&hard["type"], &hard["probability"]), (&json!("predicate"), &tier["confidence"]));
    let usage = &said["usage"];
    assert!(usage["input_tokens"].as_u64().is_some_and(|tokens| tokens > 5), "{usage}");
    assert_eq!((&usage["output_tokens"], &usage["total_tokens"]), (&json!(0), &usage["input_tokens"]));
    until_metric(&gateway, r#"pointsman_decision_questions_total{question="decisions",status_class="2xx"} 1"#).await;
}

#[tokio::test]
async fn mistakes_keys_and_unknown_models_are_said_as_openai_says_them() {
    let gateway = heads(clients("")).await;

    let stranger = ask(&gateway, PATH, "pk-3", &asked("default", &[tiers()])).await;
    let unknown = ask(&gateway, PATH, "pk-1", &asked("gpt-9", &[tiers()])).await;
    let empty = ask(&gateway, PATH, "pk-1", &asked("default", &[])).await;

    assert_eq!((stranger.status, stranger.error_code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_api_key"));
    assert_eq!((unknown.status, unknown.error_code().as_str()), (StatusCode::NOT_FOUND, "model_not_found"));
    assert_eq!((empty.status, empty.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
    assert_eq!(empty.json()["error"]["param"], "questions");
}

#[tokio::test]
async fn a_section_that_names_nobody_who_answers_is_refused_at_the_start() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = "decisions: {luna: {}, other: {judge: nobody, timeout: 1h}}\n".to_owned();
    let config = Config { sections, ..Config::classifying(&small, &frontier) };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("pointsman.yaml");
    std::fs::write(&file, config.yaml()).expect("a writable folder");

    let checked =
        std::process::Command::new(env!("CARGO_BIN_EXE_pointsman")).arg("check").arg("-c").arg(&file).output();

    let said = String::from_utf8(checked.expect("the binary runs").stderr).expect("text");
    for part in [
        "decisions.luna",
        "must say who answers (allowed: `classifier`, `judge`, or both)",
        "decisions.other.judge",
        "decisions.other.timeout",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn the_admin_plane_decides_as_the_listener_for_clients_does() {
    let gateway = heads(String::new()).await;
    let body = asked("default", &[tiers()]);

    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let operator: Reply = admin.post(Framing::Length, PATH, body.clone()).await;

    assert_eq!(operator.json(), ask(&gateway, PATH, "", &body).await.json());
}
