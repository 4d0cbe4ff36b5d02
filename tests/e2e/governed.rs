//! What passes is governed: lists of models, limits and rules hold for every path, however it is spelled.

use std::io::Write as _;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

pub(crate) const LONG: &str = "one two three four five six seven eight nine ten";

/// A rule for every model, as a policy of its own after the others.
const EVERYTHING: &str = "
  - name: everything
    match: {model: ['*']}
    rules: [{when: 'prompt.tokens > 5', deny: {message: too long}}]
    strategy: {kind: split, models: {small: 1}}
";

/// A request of the client `pk-1`.
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) kind: Option<&'a str>,
    pub(crate) body: Bytes,
}

impl<'a> Ask<'a> {
    pub(crate) fn json(path: &'a str, body: &Value) -> Self {
        Self { path, kind: Some("application/json"), body: body.to_string().into() }
    }

    pub(crate) async fn send(self, gateway: &Gateway) -> Reply {
        self.framed(gateway, Framing::Length).await
    }

    pub(crate) async fn framed(self, gateway: &Gateway, framing: Framing) -> Reply {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let mut request = connection.request(Method::POST, self.path).header("api-key", "pk-1");
        if let Some(kind) = self.kind {
            request = request.header("content-type", kind);
        }
        let request = request.body(framing.body(self.body)).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("a Vec takes what is written");
    encoder.finish().expect("a Vec takes what is written").into()
}

pub(crate) fn says(status: StatusCode, code: &str) -> (StatusCode, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_rule_holds_however_the_path_and_the_content_type_are_spelled() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { default_provider: Some("two"), policy: EVERYTHING.into(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for path in [
        CHAT,
        "/v1/%63hat/completions",
        "/v1/chat%2Fcompletions",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/./chat/completions",
        "/v1/x/%2e%2E/chat/completions",
        "/v1/chat/completions/",
        "/V1/chat/completions",
        "/v1/chat/completions;a=b",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21",
        "/v1/images/generations",
        "/api/chat",
    ] {
        for kind in [Some("application/json"), Some("text/plain"), Some("application/x-www-form-urlencoded"), None] {
            let reply = Ask { path, kind, body: question("gpt-5", LONG).into() }.send(&gateway).await;

            let expected = says(StatusCode::FORBIDDEN, "denied_by_policy");
            assert_eq!((reply.status, reply.error_code()), expected, "{path} {kind:?}");
        }
    }
    let text = Ask { path: CHAT, kind: Some("application/octet-stream"), body: question("gpt-5", LONG).into() };
    assert_eq!(text.send(&gateway).await.status, StatusCode::FORBIDDEN);
    assert!(small.take().is_none() && frontier.take().is_none());
}

#[tokio::test]
async fn a_rule_holds_for_a_body_whatever_the_method() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { default_provider: Some("two"), policy: EVERYTHING.into(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        for path in [CHAT, "/v1/images/generations"] {
            for framing in Framing::ALL {
                if method == Method::GET && framing == Framing::Chunked {
                    continue; // hyper sends no such body
                }
                let mut connection = Connection::open(gateway.listen, framing).await;
                let request = connection.request(method.clone(), path).header("content-type", "application/json");
                let request = request.body(framing.body(question("gpt-5", LONG).into())).expect("a valid request");

                let reply = Reply::read(connection.send(request).await.expect("an answer")).await;

                let expected = says(StatusCode::FORBIDDEN, "denied_by_policy");
                assert_eq!((reply.status, reply.error_code()), expected, "{method} {path} {framing:?}");
            }
        }
    }
    assert!(small.take().is_none() && frontier.take().is_none());
}

#[tokio::test]
async fn a_policy_s_path_is_the_dialect_s_own() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let policy = "
  - name: messages
    match: {path: [/v1/messages]}
    rules: [{when: 'true', deny: {message: no}}]
    strategy: {kind: split, models: {small: 1}}
";
    let config = Config { default_provider: Some("two"), policy: policy.into(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for path in ["/v1/messages", "/messages/", "/v1/%6Dessages"] {
        let body = json!({"model": "claude", "messages": [], "max_tokens": 1});
        assert_eq!(Ask::json(path, &body).send(&gateway).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn what_is_decided_is_what_goes_upstream() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;

    for (path, expected) in [
        ("/v1//%63hat/completions/?x=%61", "/prefix/v1/chat/completions?x=%61"),
        ("/chat/completions", "/prefix/v1/chat/completions"),
        ("/openai/deployments/gpt-5/chat/completions?api-version=1&x=2", "/prefix/v1/chat/completions?x=2"),
        ("/v1//images/./generations/", "/prefix/v1/images/generations"),
        ("/v1/models/org%2Fsmall", "/prefix/v1/models/org%2Fsmall"),
    ] {
        Ask::json(path, &json!({"model": "gpt-5"})).send(&gateway).await;

        assert_eq!(frontier.next().await.path, expected, "{path}");
    }
}

#[tokio::test]
async fn a_client_gets_only_its_models_however_it_names_them() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {allow: [small, 'dall-e-*']}");
    let config = Config { sections, default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let batch = json!({"requests": [{"params": {"model": "gpt-5"}}]});

    for (path, body) in [
        (CHAT, json!({"model": "gpt-5", "messages": []})),
        (CHAT, json!({"model": "small-1", "messages": []})),
        (CHAT, json!({"model": "frontier", "messages": []})),
        ("/openai/deployments/gpt-5/chat/completions", json!({"model": "small", "messages": []})),
        ("/v1/images/generations", json!({"model": "gpt-image-1", "prompt": "a cat"})),
        ("/openai/deployments/gpt-image-1/images/generations", json!({"prompt": "a cat"})),
        ("/v1/audio/speech?model=tts-1", json!({"input": "x"})),
        ("/v1beta/models/gemini:generateContent", json!({"contents": []})),
        ("/v1/messages/batches", batch),
        ("/v1/responses", json!({"prompt": {"id": "pmpt_1"}})),
    ] {
        for framing in [Framing::Length, Framing::H2NoLength] {
            let reply = Ask::json(path, &body).framed(&gateway, framing).await;

            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path} {body}: {:?}", reply.body);
            assert_eq!(reply.error_code(), "model_not_allowed", "{path} {body}");
        }
    }
    let plain = Ask { path: "/v1/images/generations", kind: Some("text/plain"), body: "{\"model\":\"gpt-5\"}".into() };
    assert_eq!(plain.framed(&gateway, Framing::Chunked).await.status, StatusCode::FORBIDDEN);
    assert!(small.take().is_none() && frontier.take().is_none());

    let allowed = Ask::json("/v1/images/generations", &json!({"model": "dall-e-3"})).send(&gateway).await;
    let virtual_one = Ask::json(CHAT, &json!({"model": "auto", "messages": []})).send(&gateway).await;
    assert_eq!((allowed.status, virtual_one.status), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn a_model_that_is_denied_is_denied_by_its_name_at_the_provider_too() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {deny: [frontier]}");
    let config = Config { sections, default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for (model, status) in [("frontier-1", StatusCode::FORBIDDEN), ("gpt-5", StatusCode::OK)] {
        let reply = Ask::json(CHAT, &json!({"model": model, "messages": []})).send(&gateway).await;
        assert_eq!(reply.status, status, "{model}");
    }
}

#[tokio::test]
async fn tokens_that_pass_are_counted_whole_in_streams_and_on_unread_paths() {
    const JSON: &str = "application/json";
    const STREAM: &str = "text/event-stream";
    let whole = r#"{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 5000}}"#;
    let words = "word ".repeat(3000);
    let event = json!({"choices": [{"index": 0, "delta": {"content": words}}]});
    let stream = format!("data: {event}\n\ndata: [DONE]\n\n");
    let image = r#"{"data": [], "usage": {"input_tokens": 10, "output_tokens": 4000, "total_tokens": 4010}}"#;

    let plain = Bytes::from(whole);
    for (path, kind, encoding, answer) in [
        (CHAT, JSON, "identity", plain.clone()),
        (CHAT, JSON, "gzip", gzip(&plain)),
        (CHAT, STREAM, "identity", stream.clone().into()),
        (CHAT, STREAM, "gzip", gzip(stream.as_bytes())),
        ("/v1/images/generations", JSON, "identity", image.into()),
    ] {
        let fields = vec![("content-type", kind), ("content-encoding", encoding)];
        let reply = Answer::Reply(StatusCode::OK, fields, answer);
        let (small, frontier) = (Origin::start().await, Origin::answering([reply]).await);
        let sections = clients(", rate_limit: {tokens_per_minute: 1000}");
        let config = Config { sections, default_provider: Some("two"), ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;
        let body = json!({"model": "gpt-5", "stream": kind == STREAM, "messages": []});

        let first = Ask::json(path, &body).send(&gateway).await;
        until_metric(&gateway, r#"pointsman_client_requests_total{client="team",outcome="success"} 1"#).await;
        let second = Ask::json(path, &body).send(&gateway).await;

        assert_eq!(first.status, StatusCode::OK, "{path} {kind} {encoding}");
        assert_eq!(frontier.next().await.header("accept-encoding"), Some("identity"), "{path} {kind}");
        assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS, "{path} {kind} {encoding}");
    }
}

#[tokio::test]
async fn json_on_an_unread_path_passes_byte_for_byte_and_once() {
    let busy = || Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), "busy".into());
    let (small, frontier) = (Origin::start().await, Origin::answering([busy()]).await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;
    let body = "{ \"model\" :\t\"dall\\u002de\", \"n\": 1.0e0 }\n";

    for framing in Framing::ALL {
        let ask = Ask { path: "/v1/images/generations", kind: Some("application/json"), body: body.into() };
        let reply = ask.framed(&gateway, framing).await;

        assert_eq!(frontier.next().await.body, body, "{framing:?}");
        let expected = if framing == Framing::Length { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        assert_eq!(reply.status, expected, "{framing:?}: an image is not made twice");
    }
}

#[tokio::test]
async fn a_rule_refuses_a_stored_prompt_too() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { default_provider: Some("two"), policy: EVERYTHING.into(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = Ask::json("/v1/responses", &json!({"prompt": {"id": "pmpt_1"}, "input": LONG})).send(&gateway).await;

    assert_eq!((reply.status, reply.error_code()), says(StatusCode::FORBIDDEN, "denied_by_policy"));
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn the_client_s_accounts_do_not_travel_with_the_operator_s_key() {
    const OWN: [&str; 11] = [
        "openai-organization",
        "openai-project",
        "cookie",
        "x-goog-api-key",
        "x-goog-user-project",
        "chatgpt-account-id",
        "anthropic-workspace-id",
        "x-amz-security-token",
        "apikey",
        "token",
        "x-functions-key",
    ];
    for (credential, goes_on) in [("none", false), ("passthrough", true)] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let config = Config { default_provider: Some("one"), credential, ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;

        for (path, model) in [(CHAT, "auto"), (CHAT, "gpt-5"), ("/v1/batches", "gpt-5")] {
            let mut connection = Connection::open(gateway.listen, Framing::Length).await;
            let target = format!("{path}?key=AIza1&limit=2&api%2Dkey=x&api_key=y");
            let mut request = connection.request(Method::POST, &target).header("openai-beta", "kept");
            for name in OWN {
                request = request.header(name, "own");
            }
            let body = Framing::Length.body(Bytes::from(question(model, "hello")));
            connection.send(request.body(body).expect("a valid request")).await.expect("an answer");

            let request = small.next().await;
            for name in OWN {
                assert_eq!(request.header(name).is_some(), goes_on, "{credential} {path} {model}: {name}");
            }
            assert_eq!(request.header("openai-beta"), Some("kept"));
            let query = if goes_on { "?key=AIza1&limit=2&api%2Dkey=x&api_key=y" } else { "?limit=2" };
            assert_eq!(request.path, format!("{path}{query}"), "{credential} {model}");
        }
        assert!(!gateway.log().contains("AIza1"));
    }
}

#[tokio::test]
async fn an_upload_over_http_2_ends_once_upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.expect("an open connection"), 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("an open connection");
        let _ = stream.read_to_end(&mut request).await; // a reset is an end as well
        request
    });
    let origin = Origin::start().await;
    let config = Config { default_provider: Some("one"), small: address, ..Config::new(&origin, &origin) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, Framing::H2NoLength).await;
    let request = connection.request(Method::POST, "/v1/files").header("content-type", "application/octet-stream");
    let body = Framing::H2NoLength.body(Bytes::from(vec![b'x'; 30_000])); // its last frame is empty

    let reply = connection.send(request.body(body).expect("a valid request")).await.expect("an answer");
    assert_eq!(Reply::read(reply).await.status, StatusCode::OK);
    drop((connection, gateway));

    let request = soon("the end of the connection", upstream).await.expect("no panic");
    let rest = request.strip_suffix(b"\r\n0\r\n\r\n").expect("one end");
    let body = String::from_utf8_lossy(rest);
    let (_, chunks) = body.split_once("\r\n\r\n").expect("a head");
    assert!(!chunks.contains("\r\n\r\n"), "a second end");
}
