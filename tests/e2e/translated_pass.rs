//! Requests that no policy takes, before a default provider that does not speak their API.

use http::StatusCode;
use serde_json::{Value, json};

use crate::client::CHAT;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;
use crate::translated::{MESSAGE, MESSAGES, chat_request, post, reply_of, with};

/// Starts a gateway whose default provider, the second one, speaks one API alone.
async fn passing(default: &Origin, dialect: &str) -> Gateway {
    let small = Origin::start().await;
    let config = Config {
        frontier_extra: Box::leak(format!("dialects: [{dialect}]").into_boxed_str()),
        default_provider: Some("two"),
        ..Config::new(&small, default)
    };
    Gateway::start(&config).await
}

fn ask(model: &str) -> Value {
    with(chat_request(), "model", json!(model))
}

#[tokio::test]
async fn a_request_that_no_policy_takes_is_put_into_the_words_of_the_default_provider() {
    let default = Origin::answering([reply_of(MESSAGE)]).await;
    let gateway = passing(&default, "messages").await;

    let reply =
        post(&gateway, CHAT, &[("openai-beta", "x")], &with(ask("claude-opus-5"), "temperature", json!(0.2))).await;

    let sent = default.next().await;
    assert_eq!((sent.path.as_str(), sent.header("openai-beta")), ("/prefix/v1/messages", None));
    assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("claude-opus-5"), &json!(50)));
    assert_eq!(body.get("temperature"), None, "the family of the model takes none");
    let answer = reply.json();
    assert_eq!((reply.status, &answer["object"]), (StatusCode::OK, &json!("chat.completion")));
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "weather");
    assert_eq!(reply.header("x-pointsman-translated"), Some("chat->messages; dropped=seed"));
    assert_eq!(reply.header("x-pointsman-adapted"), Some("temperature"));
    assert_eq!(reply.header("x-pointsman-model"), None, "nothing was decided");
    until_metric(&gateway, "pointsman_translations_total{from=\"chat\",to=\"messages\"} 1").await;
}

#[tokio::test]
async fn clients_of_every_api_are_put_into_the_default_provider_s_words_and_streams_are_asked_for_their_usage() {
    let default = Origin::start().await;
    let gateway = passing(&default, "chat").await;
    let body = r#"{"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}"#;
    let body: Value = serde_json::from_str(body).expect("JSON");

    let whole = post(&gateway, "/v1beta/models/gemini-x:generateContent", &[], &body).await;

    let sent = default.next().await;
    let asked: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((sent.path.as_str(), &asked["model"]), ("/prefix/v1/chat/completions", &json!("gemini-x")));
    assert_eq!(whole.json()["candidates"][0]["content"]["parts"][0]["text"], "by gemini-x");
    let message =
        json!({"model": "x", "max_tokens": 5, "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    post(&gateway, MESSAGES, &[], &message).await;
    let asked: Value = serde_json::from_slice(&default.next().await.body).expect("JSON");
    assert_eq!((&asked["stream"], &asked["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn tokens_that_the_default_provider_cannot_count_in_the_client_s_words_are_counted_here() {
    let default = Origin::start().await;
    let gateway = passing(&default, "chat").await;
    let body = json!({"model": "x", "messages": [{"role": "user", "content": "How many?"}]});

    let reply = post(&gateway, "/v1/messages/count_tokens", &[], &body).await;

    assert!(reply.json()["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{:?}", reply.body);
    assert!(reply.header("x-pointsman-translated").is_some_and(|note| note.starts_with("messages->chat")));
    assert!(default.take().is_none());
}

#[tokio::test]
async fn a_request_that_the_default_provider_s_api_cannot_say_is_refused_and_says_why() {
    let default = Origin::start().await;
    let gateway = passing(&default, "messages").await;
    let stored = json!({"prompt": {"id": "pmpt_1"}, "input": "hi"});

    let several = post(&gateway, CHAT, &[], &with(ask("x"), "n", json!(2))).await;
    let stored = post(&gateway, "/v1/responses", &[], &stored).await;

    for reply in [&several, &stored] {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{:?}", reply.body);
        assert_eq!(reply.json()["error"]["code"], "untranslatable");
    }
    assert_eq!(several.json()["error"]["param"], "n");
    assert!(default.take().is_none());
}

#[tokio::test]
async fn a_request_that_the_default_provider_speaks_the_api_of_passes_byte_for_byte() {
    let default = Origin::start().await;
    let gateway = passing(&default, "messages, chat").await;

    let reply = post(&gateway, CHAT, &[], &ask("x")).await;

    assert_eq!(default.next().await.body, ask("x").to_string());
    assert_eq!(reply.header("x-pointsman-translated"), None);
}
