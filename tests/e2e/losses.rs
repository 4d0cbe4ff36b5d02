//! What policies do with requests that the API of a model cannot say all of, and where people see it.

use std::fs;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cli::{pointsman, text};
use crate::client::{CHAT, Connection, Framing, Reply};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::schema::Document;
use crate::translated::{MESSAGE, chat_request, gateway, post, reply_of, with};

const COMPLETION: &str = r#"{"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
 "choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}],
 "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}"#;

/// A request that Anthropic's API cannot say all that matters of.
fn any_json() -> Value {
    with(chat_request(), "response_format", json!({"type": "json_object"}))
}

/// Starts a gateway whose policy refuses losses, before models of these APIs.
async fn refusing(small: (&Origin, &str), frontier: (&Origin, &str), fallback: &'static str) -> Gateway {
    let config = Config {
        one: vec![format!("dialects: [{}]", small.1)],
        frontier_extra: Box::leak(format!("dialects: [{}]", frontier.1).into_boxed_str()),
        fallback,
        policy: "    translation: {on_loss: refuse}\n".to_owned(),
        ..Config::new(small.0, frontier.0)
    };
    Gateway::start(&config).await
}

async fn decided(gateway: &Gateway, body: &Value) -> Value {
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let request = connection.request(Method::POST, "/v1/decide");
    let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await.json()
}

#[tokio::test]
async fn a_policy_that_refuses_losses_names_them_and_asks_no_model() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = refusing((&small, "messages"), (&frontier, "messages"), "[frontier]").await;

    let reply = post(&gateway, CHAT, &[], &with(chat_request(), "logit_bias", json!({"5": 1}))).await;

    let error = &reply.json()["error"];
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{error}");
    let message = error["message"].as_str().expect("words");
    assert!(message.contains("`seed`") && message.contains("`logit_bias`"), "{message}");
    assert_eq!(error["param"], "seed");
    assert!(small.take().is_none() && frontier.take().is_none());
    let refused = |field: &str| {
        format!(
            "pointsman_translation_losses_total{{field=\"{field}\",from=\"chat\",kind=\"refused\",to=\"messages\"}} 1"
        )
    };
    until_metric(&gateway, &refused("seed")).await;
    until_metric(&gateway, &refused("logit_bias")).await;
}

#[tokio::test]
async fn a_part_of_an_answer_that_the_client_s_api_has_no_words_for_is_named_and_counted() {
    let image = r#"{"candidates": [{"content": {"role": "model", "parts": [{"text": "See."}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]}, "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}}"#;
    let (small, frontier) = (Origin::answering([reply_of(image)]).await, Origin::start().await);
    let gateway = gateway((&small, "gemini"), (&frontier, "gemini"), "[]").await;
    let body = with(chat_request(), "user", json!("u"));

    let reply = post(&gateway, CHAT, &[], &body).await;

    assert_eq!(reply.json()["choices"][0]["message"]["content"], "See.");
    assert_eq!(reply.header("x-pointsman-translated"), Some("chat->gemini; dropped=user; answer_dropped=images"));
    let lost = "pointsman_translation_losses_total{field=\"images\",from=\"gemini\",kind=\"dropped\",to=\"chat\"} 1";
    until_metric(&gateway, lost).await;
    let log = gateway.log();
    assert!(log.contains("translation_losses=\"dropped=user; answer_dropped=images\""), "{log}");
}

#[tokio::test]
async fn a_policy_that_refuses_losses_goes_to_a_model_that_has_none() {
    let (small, frontier) = (Origin::start().await, Origin::answering([reply_of(COMPLETION)]).await);
    let gateway = refusing((&small, "messages"), (&frontier, "chat"), "[]").await;

    let reply = post(&gateway, CHAT, &[], &chat_request()).await;

    assert_eq!((reply.status, reply.header("x-pointsman-reason")), (StatusCode::OK, Some("dialect")));
    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(reply.header("x-pointsman-translated"), None);
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_model_that_would_lose_what_matters_is_asked_when_nothing_else_is_left() {
    let broken = Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, vec![], "{}".into());
    let (small, frontier) = (Origin::answering([reply_of(MESSAGE)]).await, Origin::answering([broken]).await);
    let gateway = gateway((&small, "messages"), (&frontier, "chat"), "[small, frontier]").await;

    let reply = post(&gateway, CHAT, &[], &any_json()).await;

    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("x-pointsman-reason"), Some("dialect"));
    assert_eq!(reply.header("x-pointsman-model"), Some("small"));
    assert_eq!(reply.header("x-pointsman-translated"), Some("chat->messages; dropped=seed,response_format"));
    assert!(frontier.take().is_some() && small.take().is_some());
}

#[tokio::test]
async fn a_loss_that_does_not_matter_moves_nothing() {
    let (small, frontier) = (Origin::answering([reply_of(MESSAGE)]).await, Origin::start().await);
    let gateway = gateway((&small, "messages"), (&frontier, "chat"), "[]").await;

    let reply = post(&gateway, CHAT, &[], &chat_request()).await;

    assert_eq!((reply.status, reply.header("x-pointsman-model")), (StatusCode::OK, Some("small")));
    assert_eq!(reply.header("x-pointsman-reason"), Some("rule"));
}

#[tokio::test]
async fn an_explanation_shows_what_each_model_s_api_would_lose() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = gateway((&small, "messages"), (&frontier, "chat"), "[]").await;

    let decision = decided(&gateway, &any_json()).await;

    assert_eq!(Document::new().violations("Decision", &decision), [""; 0]);
    assert_eq!((&decision["model"], &decision["reason"]), (&json!("frontier"), &json!("dialect")));
    let [small, frontier] = &decision["candidates"].as_array().expect("candidates")[..] else { panic!("{decision}") };
    assert_eq!((&small["lacks"], &frontier["lacks"]), (&json!("dialect"), &Value::Null));
    assert_eq!(frontier["translation"], Value::Null);
    let translation = &small["translation"];
    assert_eq!((&translation["from"], &translation["to"]), (&json!("chat"), &json!("messages")));
    assert_eq!(translation["summary"], "dropped=seed,response_format");
    assert_eq!(translation["losses"][0]["kind"], "dropped");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let body = folder.path().join("body.json");
    fs::write(&body, any_json().to_string()).expect("a writable folder");
    let (file, body) = (gateway.file().display().to_string(), body.display().to_string());
    let shown = text(&pointsman(&["decide", "-c", &file, "--body", &body]).stdout);
    assert!(shown.contains("small gets it translated chat->messages: dropped=seed,response_format"), "{shown}");
}

const CHECKED: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers:
  ours: {base_url: http://h, dialects: [chat, responses]}
  theirs: {base_url: http://h, dialects: [messages]}
models: {small: {provider: ours}, large: {provider: theirs}}
policies:
  - {name: auto, match: {model: [auto]}, strategy: {kind: random, models: MODELS}}
tests:
  - {name: TEST, body: BODY, path: PATH, expect: {policy: auto}}
";

fn checked(models: &str, path: &str, body: &Value) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.yaml");
    let text_of = CHECKED.replace("MODELS", models).replace("PATH", path).replace("BODY", &body.to_string());
    fs::write(&file, text_of).expect("a writable folder");
    let output = pointsman(&["check", "--strict", "-c", file.to_str().expect("a plain name")]);
    (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn check_warns_of_what_the_tests_bodies_would_lose_by_model() {
    let words = json!([{"role": "user", "content": "Hi"}]);
    let seeded = json!({"messages": words, "seed": 7});

    let (status, said) = checked("[small, large]", "/v1/chat/completions", &seeded);
    assert_eq!(status, Some(78), "{said}");
    assert!(said.contains("speak no API in common (`small` chat, responses; `large` messages)"), "{said}");
    assert!(said.contains("would lose with `large` chat->messages dropped=seed (`TEST`)"), "{said}");

    let (status, said) = checked("[small, large]", "/v1/chat/completions", &json!({"messages": words}));
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("note: the models of `auto` speak no API in common"), "{said}");

    let (status, said) = checked("[small]", "/v1/chat/completions", &seeded);
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("in common"), "{said}");
}

#[test]
fn check_warns_of_a_test_s_body_that_every_model_refuses() {
    let words = json!([{"role": "user", "content": "Hi"}]);
    let several = json!({"messages": words, "n": 2});

    let (status, said) = checked("[large]", "/v1/chat/completions", &several);

    assert_eq!(status, Some(78), "{said}");
    assert!(
        said.contains(
            "tests[0]: no model of `auto` can be told all that must be told (`large` chat->messages: refused=n)"
        ),
        "{said}"
    );
}

#[test]
fn a_test_whose_request_would_be_refused_as_untranslatable_fails_in_check() {
    let words = json!([{"role": "user", "content": "Hi"}]);
    let seeded = json!({"messages": words, "seed": 7});
    let check = |models: &str, more: &str, expect: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("p.yaml");
        let policy = format!("{{kind: random, models: {models}}}, translation: {{on_loss: refuse}}{more}}}");
        let text_of = CHECKED.replace("{kind: random, models: MODELS}}", &policy).replace("{policy: auto}", expect);
        let text_of = text_of.replace("PATH", "/v1/chat/completions").replace("BODY", &seeded.to_string());
        fs::write(&file, text_of).expect("a writable folder");
        let output = pointsman(&["check", "-c", file.to_str().expect("a plain name")]);
        (output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };

    let (is_good, said) = check("[large]", "", "{model: large}");
    assert!(!is_good && said.contains("expected `large`, got none"), "{said}");
    assert!(said.contains("cannot say `seed`"), "{said}");
    let (is_good, said) = check("[large]", "", "{denied: 400}");
    assert!(is_good, "{said}");
    let (is_good, said) = check("[large]", ", fallback: [small]", "{model: small}");
    assert!(is_good, "{said}");
}

#[tokio::test]
async fn what_rules_set_reaches_a_model_for_which_the_choice_has_asked_what_would_be_lost() {
    let (small, frontier) = (Origin::answering([reply_of(MESSAGE)]).await, Origin::start().await);
    let config = Config {
        one: vec!["dialects: [messages]".to_owned()],
        frontier_extra: "dialects: [chat]",
        first_rules: "{when: 'true', set: {max_tokens: 9}}, ",
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let reply = post(&gateway, CHAT, &[], &chat_request()).await;

    assert_eq!(reply.header("x-pointsman-model"), Some("small"), "{:?}", reply.body);
    let sent: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!((&sent["model"], &sent["max_tokens"]), (&json!("small-1"), &json!(9)));
}
