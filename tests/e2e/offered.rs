//! Every name that is offered works: models of the list, deployments, operations beside an answer, marks of clients.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::client::{CHAT, Connection, Framing, Reply, get};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::governed::{Ask, LONG, says};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;

#[tokio::test]
async fn a_deployment_names_the_model_whatever_the_body_says() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;
    let path = "/openai/deployments/auto/chat/completions?api-version=2024-10-21";

    for body in [json!({"messages": []}), json!({"model": "gpt-5", "messages": []})] {
        let reply = Ask::json(path, &body).send(&gateway).await;

        let request = small.next().await;
        assert_eq!(reply.header("x-pointsman-model"), Some("small"));
        assert_eq!((request.model().as_str(), request.path.as_str()), ("small-1", CHAT));
    }
    Ask::json("/openai/deployments/gpt-5/embeddings", &json!({"input": "x"})).send(&gateway).await;
    assert_eq!(frontier.next().await.model(), "gpt-5");
}

#[tokio::test]
async fn to_count_tokens_takes_none() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", rate_limit: {tokens_per_minute: 100}");
    let gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;

    for path in ["/v1/responses/input_tokens", "/v1/messages/count_tokens"] {
        let body = json!({"model": "auto", "input": LONG, "messages": [{"role": "user", "content": LONG}]});
        let reply = Ask::json(path, &body).send(&gateway).await;

        assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("100"), "{path}");
        let request = small.next().await;
        assert_eq!((request.model().as_str(), request.path.as_str()), ("small-1", path));
    }
}

#[tokio::test]
async fn a_conversation_is_compacted_by_the_model_that_is_chosen() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { adapt: "{set: {max_output_tokens: 5}}", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let body = json!({"model": "auto", "input": "hello"});
    let reply = Ask::json("/v1/responses/compact", &body).send(&gateway).await;

    let request = small.next().await;
    assert_eq!(reply.header("x-pointsman-model"), Some("small"));
    assert_eq!(request.path, "/v1/responses/compact");
    assert_eq!(request.body, json!({"model": "small-1", "input": "hello"}).to_string());
}

#[tokio::test]
async fn every_model_that_is_listed_can_be_asked_for() {
    for default_provider in [None, Some("one")] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = Gateway::start(&Config { default_provider, ..Config::new(&small, &frontier) }).await;
        let list = get(gateway.listen, "/models/").await.json();
        let ids: Vec<_> = list["data"].as_array().expect("a list").iter().filter_map(|it| it["id"].as_str()).collect();
        assert_eq!(ids, ["auto", "frontier", "small"]);

        for id in ids {
            let one = get(gateway.listen, &format!("/v1/models/{id}")).await;
            let reply = Ask::json(CHAT, &json!({"model": id, "messages": []})).send(&gateway).await;

            assert_eq!((one.status, reply.status), (StatusCode::OK, StatusCode::OK), "{id}: {:?}", reply.body);
            let (origin, name) = if id == "frontier" { (&frontier, "frontier-1") } else { (&small, "small-1") };
            assert_eq!(origin.next().await.model(), name);
        }
    }
}

#[tokio::test]
async fn a_model_that_is_asked_for_by_name_says_so_and_is_counted() {
    let usage = r#"{"choices": [], "usage": {"prompt_tokens": 1000000, "completion_tokens": 0}}"#;
    let reply = Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], usage.into());
    let (small, frontier) = (Origin::start().await, Origin::answering([reply]).await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let reply = Ask::json(CHAT, &json!({"model": "frontier", "messages": []})).send(&gateway).await;

    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(reply.header("x-pointsman-reason"), Some("catalog"));
    assert_eq!(reply.header("x-pointsman-policy"), None);
    until_metric(&gateway, r#"pointsman_decisions_total{model="frontier",policy="none",reason="catalog"} 1"#).await;
    until_metric(&gateway, r#"pointsman_tokens_total{direction="input",model="frontier"} 1000000"#).await;
}

#[tokio::test]
async fn a_virtual_model_on_a_path_that_is_not_read_is_refused_in_the_client_s_own_words() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;

    for (path, body) in [
        ("/v1/images/generations", json!({"model": "auto", "prompt": "a cat"})),
        ("/v1/fine_tuning/jobs", json!({"model": "auto", "training_file": "file-1"})),
        ("/openai/deployments/auto/images/generations", json!({"prompt": "a cat"})),
    ] {
        let reply = Ask::json(path, &body).send(&gateway).await;

        assert_eq!((reply.status, reply.error_code()), says(StatusCode::BAD_REQUEST, "model_not_routed"), "{path}");
        assert!(reply.json()["error"]["message"].as_str().is_some_and(|text| text.contains(CHAT)), "{path}");
    }
    let batch = json!({"requests": [{"custom_id": "a", "params": {"model": "auto"}}]});
    let reply = Ask::json("/v1/messages/batches", &batch).send(&gateway).await;
    assert_eq!((reply.status, &reply.json()["type"]), (StatusCode::BAD_REQUEST, &json!("error")));
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn a_model_of_the_catalog_on_a_path_that_is_not_read_goes_to_its_own_provider_by_its_name_there() {
    for default_provider in [None, Some("two")] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = Gateway::start(&Config { default_provider, ..Config::new(&small, &frontier) }).await;

        let body = "{ \"prompt\": 1.0e0, \"model\" :\t\"small\" }";
        let ask = Ask { path: "/v1/images/generations", kind: Some("application/json"), body: body.into() };
        assert_eq!(ask.send(&gateway).await.status, StatusCode::OK);
        assert_eq!(small.next().await.body, body.replace("small", "small-1"));
    }
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let same = Config { small_name: "small".into(), default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&same).await;
    let body = json!({"model": "small", "input": "x"});
    Ask::json("/v1/audio/speech", &body).send(&gateway).await;
    assert_eq!(small.next().await.body, body.to_string());
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn the_model_of_a_form_is_read_and_the_form_passes_as_it_is() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {allow: [small, auto, whisper-1]}");
    let config = Config { default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let open = Gateway::start(&config).await;
    let limited = Gateway::start(&Config { sections, ..config.clone() }).await;
    let form = |model: &str| {
        let file = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n\0\x01\r\n";
        let field = format!("--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b--\r\n");
        Bytes::from(format!("{file}{field}"))
    };

    for (gateway, model, framing, expected) in [
        (&open, "whisper-1", Framing::Length, StatusCode::OK),
        (&open, "auto", Framing::Length, StatusCode::BAD_REQUEST),
        (&open, "small", Framing::Length, StatusCode::BAD_REQUEST),
        (&limited, "whisper-1", Framing::Chunked, StatusCode::OK),
        (&limited, "gpt-4o-transcribe", Framing::Length, StatusCode::FORBIDDEN),
        (&limited, "gpt-4o-transcribe", Framing::Chunked, StatusCode::FORBIDDEN),
        (&limited, "gpt-4o-transcribe", Framing::H2NoLength, StatusCode::FORBIDDEN),
    ] {
        let kind = Some("multipart/form-data; boundary=b");
        let ask = Ask { path: "/v1/audio/transcriptions", kind, body: form(model) };
        assert_eq!(ask.framed(gateway, framing).await.status, expected, "{model} {framing:?}");
        if expected == StatusCode::OK {
            assert_eq!(frontier.next().await.body, form(model));
        }
    }
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn a_client_with_models_names_one_in_no_way_that_servers_read_differently() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {allow: [small, auto, whisper-1]}");
    let config = Config { default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let open = Gateway::start(&config).await;
    let limited = Gateway::start(&Config { sections, ..config.clone() }).await;
    let form = |names: &str| format!("--b\r\ncontent-disposition: form-data; {names}\r\n\r\nother\r\n--b--\r\n");
    let (path, kind) = ("/v1/audio/transcriptions", Some("multipart/form-data; boundary=b"));

    for (path, kind, body, code) in [
        (path, kind, form("name=\"x\"; name=\"model\""), "ambiguous_model"),
        (path, kind, form("name='model'"), "ambiguous_model"),
        (path, kind, form("name*=utf-8''model"), "ambiguous_model"),
        (path, None, form("name=\"model\""), "ambiguous_model"),
        (path, Some("application/json"), "/* a */ {\"model\":\"other\"}".into(), "ambiguous_model"),
        (path, kind, form("name=\"model[]\""), "model_not_allowed"),
        ("/v1/x?Model=other", Some("text/plain"), "x".into(), "model_not_allowed"),
        ("/v1/x?x=1;model=other", Some("text/plain"), "x".into(), "model_not_allowed"),
    ] {
        let reply = Ask { path, kind, body: body.clone().into() }.send(&limited).await;
        assert_eq!(reply.error_code(), code, "{path} {body}");
        assert!(frontier.take().is_none(), "{path} {body}");
        assert_eq!(Ask { path, kind, body: body.into() }.send(&open).await.status, StatusCode::OK);
        frontier.next().await;
    }
}

#[tokio::test]
async fn a_stored_prompt_needs_no_model() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;
    let body = json!({"prompt": {"id": "pmpt_1"}, "input": "hello"});

    let passed = Ask::json("/v1/responses", &body).send(&gateway).await;
    let null = json!({"model": null, "prompt": {"id": "pmpt_1"}, "input": "hello"});
    let passed_null = Ask::json("/v1/responses", &null).send(&gateway).await;
    let missing = Ask::json("/v1/responses", &json!({"input": "hello"})).send(&gateway).await;

    assert_eq!(passed.status, StatusCode::OK);
    assert_eq!(frontier.next().await.body, body.to_string());
    assert_eq!((passed_null.status, frontier.next().await.body), (StatusCode::OK, null.to_string().into()));
    assert_eq!((missing.status, missing.error_code()), says(StatusCode::BAD_REQUEST, "model_missing"));
}

#[tokio::test]
async fn the_mark_of_a_long_context_window_is_no_part_of_the_model() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let policy = "
  - name: marked
    match: {model: ['opus[1m]']}
    strategy: {kind: split, models: {small: 1}}
";
    let config = Config { default_provider: Some("two"), policy: policy.into(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let body = |model: &str| json!({"model": model, "max_tokens": 9, "messages": []});

    for routed in ["auto[1m]", "opus[1m]"] {
        Ask::json("/v1/messages", &body(routed)).send(&gateway).await;
        let request = small.next().await;
        assert_eq!((request.model().as_str(), request.header("anthropic-beta")), ("small-1", None), "{routed}");
    }
    for (passed, name) in [("claude-sonnet-4-5[1m]", "claude-sonnet-4-5"), ("frontier[1m]", "frontier-1")] {
        Ask::json("/v1/messages", &body(passed)).send(&gateway).await;
        let request = frontier.next().await;
        assert_eq!(request.model(), name);
        assert_eq!(request.header("anthropic-beta"), Some("context-1m-2025-08-07"), "{passed}");
    }
    Ask::json("/v1/messages", &body("opus")).send(&gateway).await;
    assert_eq!(frontier.next().await.header("anthropic-beta"), None);
}

#[tokio::test]
async fn a_websocket_on_a_dialect_s_path_is_told_to_post() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;

    for (path, status) in [
        ("/v1/chat/completions", StatusCode::UPGRADE_REQUIRED),
        ("/messages", StatusCode::UPGRADE_REQUIRED),
        ("/v1/realtime", StatusCode::OK),
    ] {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::GET, path).header("connection", "Upgrade");
        let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
        let request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let request = request.body(Framing::Length.body(Bytes::new())).expect("a valid request");
        let reply = Reply::read(connection.send(request).await.expect("an answer")).await;

        assert_eq!(reply.status, status, "{path}");
        if status == StatusCode::UPGRADE_REQUIRED {
            assert_eq!((reply.error_code().as_str(), reply.header("upgrade")), ("upgrade_required", Some("HTTP/1.1")));
            assert!(frontier.take().is_none(), "{path}");
        }
    }
}
