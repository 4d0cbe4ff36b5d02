//! Every API that clients speak: virtual names, adapted parameters, the list of models, errors in the client's own shape.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, get};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;

const BODIES: [(&str, &str); 6] = [
    (CHAT, r#"{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}"#),
    ("/v1/completions", r#"{"prompt": "hi", "model": "auto"}"#),
    ("/v1/responses", r#"{"model": "auto", "input": "hi"}"#),
    ("/v1/embeddings", r#"{"input": ["hi", "ho"], "model": "auto"}"#),
    ("/v1/messages", r#"{"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}"#),
    ("/v1/messages/count_tokens", r#"{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}"#),
];

async fn post(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = headers
        .iter()
        .fold(connection.request(Method::POST, path), |request, (name, value)| request.header(*name, *value));
    let request = request.body(Framing::Length.body(body.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

#[tokio::test]
async fn a_virtual_model_works_in_every_dialect() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for (path, body) in BODIES {
        let reply = post(&gateway, path, &[("content-type", "application/json")], body).await;

        let request = small.next().await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {:?}", reply.body);
        assert_eq!(reply.header("x-pointsman-model"), Some("small"), "{path}");
        assert_eq!((request.path.as_str(), &request.body), (path, &Bytes::from(body.replace("auto", "small-1"))));
    }
}

#[tokio::test]
async fn an_error_has_the_shape_of_its_dialect() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for (path, body) in BODIES {
        let reply = post(&gateway, path, &[], body.replace("auto", "unknown")).await;

        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reply.error_code(), "model_not_found", "{path}");
        let is_anthropic = path.starts_with("/v1/messages");
        let kind = if is_anthropic { "not_found_error" } else { "invalid_request_error" };
        assert_eq!(reply.json()["error"]["type"], kind, "{path}");
        assert_eq!(reply.json()["type"] == "error", is_anthropic, "{path}");
    }
}

#[tokio::test]
async fn parameters_are_adapted_to_the_model() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let adapt = "{drop: [temperature], rename: {max_tokens: max_completion_tokens}, set: {stream_options.include_usage: true, seed: 7}}";
    let gateway = Gateway::start(&Config { adapt, ..Config::new(&small, &frontier) }).await;
    let sent = async |path: &str, body: &'static str| {
        let reply = post(&gateway, path, &[], body).await;
        assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
        small.next().await.body
    };

    let plain = sent(CHAT, r#"{"model":"auto", "temperature": 1.0, "max_tokens": 5, "top_p": 0.10}"#).await;
    let stream = sent(CHAT, r#"{"model":"auto","stream":true,"stream_options": {"x": 1}}"#).await;
    let responses = sent("/v1/responses", r#"{"model":"auto","stream":true}"#).await;
    let count = sent("/v1/messages/count_tokens", r#"{"model":"auto","temperature":1}"#).await;

    assert_eq!(plain, r#"{"model":"small-1", "max_completion_tokens": 5, "top_p": 0.10,"seed":7}"#);
    assert_eq!(stream, r#"{"model":"small-1","stream":true,"stream_options": {"x": 1,"include_usage":true},"seed":7}"#);
    assert_eq!(responses, r#"{"model":"small-1","stream":true,"seed":7}"#);
    assert_eq!(count, r#"{"model":"small-1","temperature":1}"#);
}

#[tokio::test]
async fn the_models_are_listed_for_either_sdk() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let openai = get(gateway.listen, "/v1/models").await;
    let one = get(gateway.listen, "/v1/models/auto").await;
    let none = get(gateway.listen, "/v1/models/nothing").await;
    let anthropic = get_as_anthropic(&gateway, "/v1/models?limit=2").await;
    let missing = get_as_anthropic(&gateway, "/v1/models/nothing").await;

    assert_eq!(ids(&openai.json()), ["auto", "frontier", "small"]);
    assert_eq!((openai.json()["object"].as_str(), one.json()["id"].as_str()), (Some("list"), Some("auto")));
    assert_eq!((none.status, none.error_code()), (StatusCode::NOT_FOUND, "model_not_found".into()));
    assert_eq!(ids(&anthropic.json()), ["auto", "frontier", "small"]);
    assert_eq!(anthropic.json()["has_more"], json!(false));
    assert_eq!((missing.status, &missing.json()["type"]), (StatusCode::NOT_FOUND, &json!("error")));
    assert!(small.take().is_none() && frontier.take().is_none());
}

#[tokio::test]
async fn a_model_that_only_the_default_provider_may_know_is_its_to_answer() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;

    let list = get(gateway.listen, "/v1/models").await;
    let other = get(gateway.listen, "/v1/models/gpt-4.1").await;

    assert_eq!(ids(&list.json()), ["auto", "frontier", "small"]);
    assert_eq!((other.status, frontier.next().await.path.as_str()), (StatusCode::OK, "/prefix/v1/models/gpt-4.1"));
}

async fn get_as_anthropic(gateway: &Gateway, path: &str) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::GET, path).header("anthropic-version", "2023-06-01");
    let request: Request<_> = request.body(Framing::Length.body(Bytes::new())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn ids(list: &Value) -> Vec<&str> {
    let models = list["data"].as_array().expect("a list of models");
    models.iter().map(|model| model["id"].as_str().expect("an id")).collect()
}
