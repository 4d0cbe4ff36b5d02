//! Messages of a WebSocket that are routed, to providers that are posted to and to those that speak by WebSocket.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::websocket::{Client, RESPONSES, SocketOrigin, create, events, kind, posted, sse};

/// Returns a gateway whose model `small` is at `afar`, by WebSocket, with a key.
async fn by_socket(afar: &SocketOrigin, near: &Origin) -> Gateway {
    let config = Config { small: afar.address, one: vec!["websocket: true".into()], ..Config::new(near, near) };
    let config = Config { credential: "{env: WS_KEY}", fallback: "[frontier]", ..config };
    Gateway::start_with(&config, &[("WS_KEY", "sk-own")]).await
}

fn kinds(answer: &[Value]) -> Vec<&str> {
    answer.iter().map(kind).collect()
}

const WHOLE: [&str; 4] =
    ["response.created", "response.output_text.delta", "response.output_item.done", "response.completed"];

#[tokio::test]
async fn a_message_is_routed_as_a_post_would_be_and_each_event_is_a_message() {
    let small = Origin::answering([posted("resp_1", "one"), posted("resp_2", "two")]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let fields = [("session-id", "s1"), ("openai-beta", "responses_websockets=2026-02-06"), ("x-request-id", "mine")];
    let mut client = Client::try_open(gateway.listen, RESPONSES, &fields).await.expect("a WebSocket");

    let answer = client.ask(create("hi", json!({"temperature": 1.5}))).await;
    let again = client.ask(create("hi", json!({"stream": false, "stream_id": "lane"}))).await;

    assert_eq!(answer, events("resp_1", "one"));
    assert!(again.iter().all(|event| event["stream_id"] == "lane"), "{again:?}");
    let request = small.next().await;
    assert_eq!((request.method.as_str(), &*request.path), ("POST", RESPONSES));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(body, json!({"model": "small-1", "store": false, "input": "hi", "temperature": 1.5, "stream": true}));
    assert_eq!((request.header("session-id"), request.header("x-forwarded-for")), (Some("s1"), Some("127.0.0.1")));
    for field in ["openai-beta", "sec-websocket-key", "sec-websocket-version", "upgrade"] {
        assert_eq!(request.header(field), None, "{field}");
    }
    assert_ne!(request.header("x-request-id"), Some("mine"), "an id is for one request");
    drop(client);
    until_metric(&gateway, r#"pointsman_websockets_closed_total{kind="responses",reason="client"} 1"#).await;
    until_metric(&gateway, r#"pointsman_decisions_total{model="small",policy="auto",reason="rule"} 2"#).await;
    until_metric(&gateway, r#"pointsman_tokens_total{direction="output",model="small"} 4"#).await;
    gateway.until_logged_times("status=200", 2).await;
    assert_eq!(gateway.log().matches("status=200").count(), 2, "one access line a message");
}

#[tokio::test]
async fn a_request_goes_on_by_a_provider_s_websocket_which_serves_the_next_one_too() {
    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let gateway = by_socket(&afar, &near).await;
    let fields = [("authorization", "Bearer theirs"), ("openai-beta", "responses_websockets=2026-02-06, other=1")];
    let mut client = Client::try_open(gateway.listen, RESPONSES, &fields).await.expect("a WebSocket");

    client.send(create("hi", json!({"stream_id": "a"}))).await;
    let mut opened = afar.next().await;
    assert_eq!(
        opened.next().await,
        json!({"type": "response.create", "model": "small-1", "store": false, "input": "hi"})
    );
    opened.answer("resp_1").await;
    let answer = client.answer().await;
    assert_eq!(kinds(&answer), WHOLE);
    assert_eq!(answer[3]["stream_id"], "a");
    assert_eq!(opened.path, RESPONSES);
    assert_eq!(opened.headers["authorization"], "Bearer sk-own");
    let betas: Vec<_> = opened.headers.get_all("openai-beta").iter().collect();
    assert_eq!(betas, ["other=1", "responses_websockets=2026-02-06"]);

    client.send(create("more", json!({"previous_response_id": "resp_1"}))).await;
    let more = json!([{"type": "message", "role": "user", "content": "more"}]);
    let expected = json!({"type": "response.create", "model": "small-1", "store": false, "previous_response_id": "resp_1", "input": more});
    assert_eq!(opened.next().await, expected, "the provider knows the rest");
    opened.answer("resp_2").await;
    assert_eq!(kinds(&client.answer().await), WHOLE);

    assert!(!afar.has_more() && near.take().is_none());
    until_metric(&gateway, r#"pointsman_websocket_upstream_requests_total{connection="kept"} 1"#).await;
    until_metric(&gateway, r#"pointsman_tokens_total{direction="output",model="small"} 4"#).await;
    drop(client);
    opened.left().await;
}

#[tokio::test]
async fn a_provider_s_websocket_has_the_tls_of_its_requests() {
    let (afar, near) = (SocketOrigin::with_tls().await, Origin::start().await);
    let ca = concat!("ca: ", env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");
    for (sni, is_trusted) in [("llm.test", true), ("other.test", false)] {
        let one = vec!["websocket: true".to_owned(), format!("tls: {{{ca}, sni: {sni}}}")];
        let config = Config { small: afar.address, one, scheme: "https", ..Config::new(&near, &near) };
        let gateway = Gateway::start(&config).await;
        let mut client = Client::open(&gateway).await;
        client.send(create("hi", json!({}))).await;

        if is_trusted {
            let mut opened = afar.next().await;
            opened.next().await;
            opened.answer("resp_1").await;
            assert_eq!(kinds(&client.answer().await), WHOLE);
        } else {
            let answer = client.answer().await;
            assert_eq!(
                (answer[0]["status"].as_u64(), answer[0]["error"]["code"].as_str()),
                (Some(502), Some("upstream_unreachable"))
            );
        }
    }
}

#[tokio::test]
async fn requests_of_one_lane_are_answered_whole_and_in_turn_also_where_nobody_is_asked_for_the_second() {
    const TIMES: usize = 20;
    let small = Origin::answering((0..TIMES).map(|_| posted("resp_1", "one"))).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let mut client = Client::open(&gateway).await;
    for _ in 0..TIMES {
        client.send(create("first", json!({}))).await;
        client.send(create("second", json!({"generate": false}))).await;

        assert_eq!(client.answer().await, events("resp_1", "one"));
        assert_eq!(kinds(&client.answer().await), ["response.created", "response.completed"]);
    }
}

#[tokio::test]
async fn what_only_the_session_knows_is_sent_whole_to_who_does_not() {
    let small = Origin::answering([posted("resp_1", "one"), posted("resp_2", "two"), posted("resp_3", "three")]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let mut client = Client::open(&gateway).await;

    let prepared = client.ask(create("first", json!({"generate": false}))).await;
    assert_eq!(kinds(&prepared), ["response.created", "response.completed"]);
    assert!(small.take().is_none(), "nobody is asked for it");
    client.ask(create("second", json!({"previous_response_id": prepared[1]["response"]["id"]}))).await;
    client.ask(create("third", json!({"previous_response_id": "resp_1"}))).await;
    client.ask(create("fourth", json!({"previous_response_id": "resp_elsewhere"}))).await;

    let input = |body: &Bytes| serde_json::from_slice::<Value>(body).expect("JSON")["input"].clone();
    let turn = |text: &str| json!({"type": "message", "role": "user", "content": text});
    assert_eq!(input(&small.next().await.body), json!([turn("first"), turn("second")]));
    let third = small.next().await.body;
    let said = events("resp_1", "one")[2]["item"].clone();
    assert_eq!(input(&third), json!([turn("first"), turn("second"), said, turn("third")]));
    assert!(!String::from_utf8_lossy(&third).contains("previous_response_id"));
    let fourth = small.next().await.body;
    assert!(String::from_utf8_lossy(&fourth).contains(r#""previous_response_id":"resp_elsewhere""#));
}

#[tokio::test]
async fn a_provider_of_another_api_answers_in_its_words_and_the_client_reads_responses() {
    let chunk = |delta: Value, reason: Value| json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let chunks =
        [chunk(json!({"role": "assistant", "content": "hello"}), Value::Null), chunk(json!({}), json!("stop"))];
    let body: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let stream = format!("{body}data: [DONE]\n\n");
    let answer = Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], stream.into());
    let small = Origin::answering([answer]).await;
    let one = vec!["dialects: [chat]".to_owned(), "websocket: true".to_owned()];
    let gateway = Gateway::start(&Config { one, ..Config::new(&small, &small) }).await;

    let answer = Client::open(&gateway).await.ask(create("hi", json!({}))).await;

    assert_eq!(small.next().await.path, "/v1/chat/completions");
    let text: String = answer.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!((kind(&answer[0]), text.as_str()), ("response.created", "hello"));
    assert_eq!(kind(answer.last().expect("an event")), "response.completed");
}

#[tokio::test]
async fn requests_of_one_lane_wait_for_each_other_and_those_of_another_do_not() {
    let ((first, held), (second, also)) = (mpsc::channel(4), mpsc::channel(4));
    let small = Origin::answering([Answer::Events(held), Answer::Events(also), posted("resp_3", "three")]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let mut client = Client::open(&gateway).await;
    for lane in ["a", "b", "a"] {
        client.send(create(lane, json!({"stream_id": lane}))).await;
    }
    let mut inputs = Vec::new();
    for _ in 0..2 {
        let body: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
        inputs.push(body["input"].as_str().expect("a text").to_owned());
    }
    inputs.sort();
    assert_eq!(inputs, ["a", "b"], "the second of lane a waits");
    assert!(small.take().is_none());

    for sender in [second, first] {
        sender.send(sse(&events("resp", "done"))).await.expect("the origin listens");
    }

    let mut ended = Vec::new();
    for _ in 0..3 {
        let answer = client.answer().await;
        ended.push(answer.last().expect("an event")["stream_id"].as_str().expect("a lane").to_owned());
    }
    ended.sort();
    assert_eq!(ended, ["a", "a", "b"]);
}

#[tokio::test]
async fn the_next_message_is_decided_by_what_was_reloaded_meanwhile() {
    let small = Origin::answering([posted("resp_1", "one")]).await;
    let frontier = Origin::answering([posted("resp_2", "two")]).await;
    let config = Config::new(&small, &frontier);
    let gateway = Gateway::start(&config).await;
    let mut client = Client::open(&gateway).await;
    client.ask(create("hi", json!({}))).await;

    gateway.write(&Config { rules: vec![("true", "frontier")], ..config }.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    client.ask(create("hi", json!({}))).await;

    assert_eq!((small.next().await.model(), frontier.next().await.model()), ("small-1".into(), "frontier-1".into()));
}

#[tokio::test]
async fn a_shutdown_lets_the_answer_end_and_then_says_that_it_goes_away() {
    let (events_of, held) = mpsc::channel(4);
    let small = Origin::answering([Answer::Events(held)]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let (mut busy, mut idle) = (Client::open(&gateway).await, Client::open(&gateway).await);
    busy.send(create("hi", json!({}))).await;
    small.next().await;

    gateway.signal(rustix::process::Signal::TERM);
    assert_eq!(idle.closed().await, Some(CloseCode::Away));
    let late = busy.ask(create("more", json!({}))).await;
    assert_eq!((late[0]["status"].as_u64(), late[0]["error"]["code"].as_str()), (Some(503), Some("shutting_down")));
    events_of.send(sse(&events("resp_1", "done"))).await.expect("the origin listens");
    drop(events_of);

    assert_eq!(kinds(&busy.answer().await), WHOLE);
    assert_eq!(busy.closed().await, Some(CloseCode::Away));
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn a_client_needs_its_key_and_has_its_limits_message_by_message() {
    let small = Origin::answering([posted("resp_1", "one")]).await;
    let hash = crate::clients::hash("sk-app");
    let sections =
        format!("clients: {{app: {{keys: [{{sha256: {hash}}}], rate_limit: {{requests_per_minute: 2}}}}}}\n");
    let gateway = Gateway::start(&Config { sections, ..Config::new(&small, &small) }).await;

    let refused = Client::try_open(gateway.listen, RESPONSES, &[]).await.err().expect("no key");
    assert_eq!(refused.0, StatusCode::UNAUTHORIZED);
    let key = [("authorization", "Bearer sk-app")];
    let mut client = Client::try_open(gateway.listen, RESPONSES, &key).await.expect("a WebSocket");
    assert_eq!(kinds(&client.ask(create("hi", json!({}))).await), WHOLE);
    let limited = client.ask(create("hi", json!({}))).await;

    assert_eq!(limited[0]["status"], 429);
    assert_eq!(limited[0]["error"]["code"], "rate_limit_exceeded");
    assert!(limited[0]["headers"]["retry-after"].is_string(), "{limited:?}");
    until_metric(&gateway, r#"pointsman_client_requests_total{client="app",outcome="rate_limited"} 1"#).await;
}

#[test]
fn limits_and_providers_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("pointsman.yaml");
    let text = "\
version: 1
listen: {address: 127.0.0.1:0}
admin: {address: 127.0.0.1:0}
limits: {websocket: {ping: 1ms, max_open_per_client: 0, max_session: 48h}}
providers:
  cloud: {vertex: {project: p, location: global, credentials: {file: key.json}}, websocket: true}
";
    std::fs::write(&file, text).expect("a writable folder");

    let output = crate::cli::pointsman(&["check", "-c", file.to_str().expect("a plain name")]);

    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    for path in ["ping", "max_open_per_client", "max_session"] {
        assert!(said.contains(&format!("limits.websocket.{path}: ")), "{said}");
    }
    assert!(
        said.contains("providers.cloud.websocket: has no meaning with `vertex` or `bedrock` (allowed: false)"),
        "{said}"
    );
}
