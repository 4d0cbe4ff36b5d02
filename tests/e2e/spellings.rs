//! A list of models holds however a request spells them, and wherever it names them.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::client::{CHAT, Connection, Framing, Reply};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::governed::{Ask, LONG, says};
use crate::origin::{Answer, Origin};

#[tokio::test]
async fn a_path_names_its_model_in_any_spelling() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {allow: [small, gemini-2.5-flash]}");
    let config = Config { sections, default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for path in [
        "/v1beta/models/gemini-2.5-pro%3AgenerateContent",
        "/v1beta/models/gemini-2.5-pro%3agenerateContent",
        "/v1beta/models%2Fgemini-2.5-pro:generateContent",
        "/v1beta/Models/gemini-2.5-pro:generateContent",
        "/v1/models/gemini-2.5-pro/generateContent",
        "/v1/models/gemini-2.5-pro/predict",
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus%3ArawPredict",
        "/v1beta/tunedModels/x:generateContent",
        "/v1/models/gemini-2.5-flash/../gemini-2.5-pro:generateContent",
        "/model/claude-opus/invoke",
        "/model/claude-opus/invoke-with-response-stream",
        "/model/claude-opus/converse",
        "/model/claude-opus/converse-stream",
        "/OpenAI/Deployments/gpt-5/images/generations",
        "/openai/realtime?deployment=gpt-5",
    ] {
        let reply = Ask::json(path, &json!({"contents": []})).send(&gateway).await;
        assert_eq!((reply.status, reply.error_code()), says(StatusCode::FORBIDDEN, "model_not_allowed"), "{path}");
    }
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::GET, "/v1/images/generations").header("api-key", "pk-1");
    let body = Framing::Length.body(json!({"model": "gpt-5"}).to_string().into());
    let reply = connection.send(request.body(body).expect("a valid request")).await.expect("an answer");
    assert_eq!(reply.status(), StatusCode::FORBIDDEN, "what is read has no body");
    assert!(frontier.take().is_none());
    let allowed = Ask::json("/v1beta/models/gemini-2.5-flash%3AgenerateContent", &json!({"contents": []}));
    assert_eq!(allowed.send(&gateway).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_model_that_a_body_would_have_the_provider_use_must_be_the_client_s() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {allow: [small, 'dall-e-*']}");
    let config = Config { sections, default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for extra in [
        json!({"models": ["dall-e-3", "gpt-5"]}),
        json!({"fallbacks": ["gpt-5"]}),
        json!({"fallbacks": [{"model": "gpt-5"}]}),
        json!({"extra_body": {"model": "gpt-5"}}),
        json!({"tools": [{"type": "image_generation", "model": "gpt-5"}]}),
    ] {
        for (path, model) in
            [(CHAT, "auto"), (CHAT, "small"), (CHAT, "dall-e-3"), ("/v1/images/generations", "dall-e-3")]
        {
            let mut body = json!({"model": model, "messages": []});
            for (key, value) in extra.as_object().expect("an object") {
                body[key] = value.clone();
            }
            let reply = Ask::json(path, &body).send(&gateway).await;

            let expected = says(StatusCode::FORBIDDEN, "model_not_allowed");
            assert_eq!((reply.status, reply.error_code()), expected, "{path} {body}");
            assert!(reply.json()["error"]["message"].as_str().is_some_and(|text| text.contains("gpt-5")));
        }
    }
    assert!(small.take().is_none() && frontier.take().is_none());
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"properties": {"model": {}}}}});
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": "model"}], "tools": [tool]});
    assert_eq!(Ask::json(CHAT, &body).send(&gateway).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_model_is_denied_in_every_spelling_and_by_its_name_at_the_provider() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {deny: ['Frontier-1*']}");
    let config = Config { sections, default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for model in
        ["frontier", "frontier-1", "FRONTIER-1", "openai/frontier-1-pro", "ft:frontier-1-pro:x", "a/b/frontier-1"]
    {
        for path in [CHAT, "/v1/images/generations"] {
            let reply = Ask::json(path, &json!({"model": model, "messages": []})).send(&gateway).await;
            let expected = says(StatusCode::FORBIDDEN, "model_not_allowed");
            assert_eq!((reply.status, reply.error_code()), expected, "{path} {model}");
        }
    }
    assert!(frontier.take().is_none());
    let other = Ask::json(CHAT, &json!({"model": "my-frontier-1", "messages": []})).send(&gateway).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_of_some_policies_cares_for_what_it_made_and_for_nothing_else() {
    let answer = json!({"id": "resp_own", "object": "response", "status": "completed", "output": []}).to_string();
    let fields = vec![("content-type", "application/json")];
    let made = Answer::Reply(StatusCode::OK, fields, answer.into());
    let (small, frontier) = (Origin::answering([made]).await, Origin::start().await);
    let config = Config {
        sections: clients(", policies: [auto]"),
        default_provider: Some("two"),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;
    let call = async |method: Method, path: &str| {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(method, path).header("api-key", "pk-1");
        let request = request.body(Framing::Length.body(Bytes::new())).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await.status
    };

    let reply = Ask::json("/v1/responses", &json!({"model": "auto", "input": "hello"})).send(&gateway).await;
    assert_eq!(reply.status, StatusCode::OK);
    small.next().await;
    for (method, end) in
        [(Method::GET, ""), (Method::GET, "/input_items"), (Method::POST, "/cancel"), (Method::DELETE, "")]
    {
        let path = format!("/v1/responses/resp_own{end}");
        assert_eq!(call(method.clone(), &path).await, StatusCode::OK, "{method} {path}");
        assert!(small.next().await.path.ends_with(&path), "{method} {path}");
        let other = format!("/v1/responses/resp_other{end}");
        assert_eq!(call(method.clone(), &other).await, StatusCode::FORBIDDEN, "{method} {other}");
    }
    assert_eq!(call(Method::GET, "/v1/files").await, StatusCode::FORBIDDEN);
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn the_tokens_of_a_body_that_no_dialect_reads_are_estimated() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let policy = "
  - name: short
    match: {model: ['*']}
    rules: [{when: 'prompt.tokens > 20', deny: {message: too long}}]
    strategy: {kind: split, models: {small: 1}}
";
    let config = Config { default_provider: Some("two"), policy: policy.into(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let path = "/v1beta/models/gemini:generateContent";
    let contents = |text: &str| json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});

    for (path, body) in [
        (path, contents(&LONG.repeat(9))),
        ("/v1/messages/batches", json!({"requests": [{"params": {"messages": [{"content": LONG.repeat(9)}]}}]})),
    ] {
        let reply = Ask::json(path, &body).send(&gateway).await;
        assert_eq!((reply.status, reply.error_code()), says(StatusCode::FORBIDDEN, "denied_by_policy"), "{path}");
    }
    assert_eq!(Ask::json(path, &contents("hello")).send(&gateway).await.status, StatusCode::OK);
}
