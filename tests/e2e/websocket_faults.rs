//! WebSockets whose other side fails: clients and providers that leave, stall, or say what they should not.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use crate::client::Raw;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::reload::until_metric;
use crate::websocket::{Client, Opened, RESPONSES, SocketOrigin, create, events, kind, posted, sse};

/// Returns a gateway whose model `small` is at `afar`, by WebSocket, and falls back on `near`.
async fn by_socket(afar: &SocketOrigin, near: &Origin) -> Gateway {
    let config = Config { small: afar.address, one: vec!["websocket: true".into()], ..Config::new(near, near) };
    Gateway::start(&Config { fallback: "[frontier]", first_byte: "500ms", ..config }).await
}

async fn plain(small: &Origin, limits: &'static str) -> Gateway {
    Gateway::start(&Config { limits, ..Config::new(small, small) }).await
}

fn handshake() -> String {
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13";
    format!("GET {RESPONSES} HTTP/1.1\r\nhost: x\r\n{upgrade}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}

/// Opens a WebSocket that passes through.
async fn tunnel(gateway: &Gateway, afar: &SocketOrigin, path: &str) -> (Client, Opened) {
    let mut client = Client::try_open(gateway.listen, path, &[]).await.expect("a tunnel");
    let mut opened = afar.next().await;
    opened.socket.send(Message::text(r#"{"type":"session.created"}"#)).await.expect("a client");
    let said = crate::soon("a message", client.0.next()).await;
    assert!(matches!(said, Some(Ok(Message::Text(_)))), "{said:?}");
    (client, opened)
}

fn code(message: &Value) -> &str {
    message["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_provider_that_fails_before_its_first_event_is_replaced_by_the_fallback() {
    let unready = Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![], Bytes::new());
    let small = Origin::answering([unready]).await;
    let frontier = Origin::answering([posted("resp_1", "instead")]).await;
    let gateway = Gateway::start(&Config { fallback: "[frontier]", ..Config::new(&small, &frontier) }).await;

    let answer = Client::open(&gateway).await.ask(create("hi", json!({}))).await;

    assert_eq!(answer, events("resp_1", "instead"));
}

#[tokio::test]
async fn a_refusal_is_the_protocol_s_error_and_the_next_message_is_served() {
    let said = r#"{"error":{"type":"invalid_request_error","code":"bad","message":"No.","param":"input"}}"#;
    let refusal = Answer::Reply(StatusCode::BAD_REQUEST, vec![("content-type", "application/json")], said.into());
    let small = Origin::answering([refusal, posted("resp_1", "one")]).await;
    let gateway = plain(&small, "").await;
    let mut client = Client::open(&gateway).await;

    let answer = client.ask(create("hi", json!({"stream_id": "a"}))).await;
    assert_eq!(answer.len(), 1);
    assert_eq!((answer[0]["status"].as_u64(), code(&answer[0])), (Some(400), "bad"));
    assert_eq!((answer[0]["stream_id"].as_str(), answer[0]["error"]["param"].as_str()), (Some("a"), Some("input")));
    let unknown = client.ask(json!({"type": "response.create", "model": "none", "input": "hi"})).await;
    assert_eq!((unknown[0]["status"].as_u64(), code(&unknown[0])), (Some(404), "model_not_found"));

    assert_eq!(client.ask(create("hi", json!({}))).await, events("resp_1", "one"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_in_an_error() {
    let begun = sse(&events("resp_1", "half")[..2]);
    let small = Origin::answering([Answer::CutEvents(begun), posted("resp_2", "two")]).await;
    let gateway = plain(&small, "").await;
    let mut client = Client::open(&gateway).await;

    let answer = client.ask(create("hi", json!({}))).await;

    assert_eq!(kind(&answer[1]), "response.output_text.delta");
    let last = answer.last().expect("an event");
    assert!(kind(last) == "error" || kind(last) == "response.failed", "{last}");
    assert_eq!(client.ask(create("hi", json!({}))).await, events("resp_2", "two"));
}

#[tokio::test]
async fn a_client_that_leaves_amid_an_answer_cancels_the_work_upstream() {
    let (sender, held) = mpsc::channel(4);
    let small = Origin::answering([Answer::Events(held)]).await;
    let gateway = plain(&small, "").await;
    let mut client = Client::open(&gateway).await;
    client.send(create("hi", json!({}))).await;
    sender.send(sse(&events("resp_1", "half")[..2])).await.expect("the origin listens");
    client.next().await;
    drop(client);
    crate::soon("the origin to notice", sender.closed()).await;

    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let gateway = by_socket(&afar, &near).await;
    let mut client = Client::open(&gateway).await;
    client.send(create("hi", json!({}))).await;
    let mut opened = afar.next().await;
    opened.next().await;
    for event in &events("resp_1", "half")[..2] {
        opened.send(event).await;
    }
    client.next().await;
    drop(client);
    opened.left().await;
}

#[tokio::test]
async fn a_provider_s_websocket_that_ends_amid_an_answer_is_an_error_and_the_next_is_a_new_one() {
    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let gateway = by_socket(&afar, &near).await;
    let mut client = Client::open(&gateway).await;
    client.send(create("hi", json!({}))).await;
    let mut opened = afar.next().await;
    opened.next().await;
    for event in &events("resp_1", "half")[..2] {
        opened.send(event).await;
    }
    drop(opened);
    let answer = client.answer().await;
    assert!(["error", "response.failed"].contains(&kind(answer.last().expect("an event"))), "{answer:?}");

    client.send(create("again", json!({}))).await;
    let mut opened = afar.next().await;
    opened.next().await;
    opened.answer("resp_2").await;
    assert_eq!(kind(client.answer().await.last().expect("an event")), "response.completed");
}

#[tokio::test]
async fn a_websocket_that_ended_while_it_waited_is_opened_anew_and_gets_the_whole_input() {
    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let gateway = by_socket(&afar, &near).await;
    let mut client = Client::open(&gateway).await;
    client.send(create("first", json!({}))).await;
    let mut opened = afar.next().await;
    opened.next().await;
    opened.answer("resp_1").await;
    client.answer().await;
    opened.socket.close(None).await.expect("an open WebSocket");
    drop(opened);

    client.send(create("second", json!({"previous_response_id": "resp_1"}))).await;
    let mut opened = afar.next().await;
    let request = opened.next().await;
    opened.answer("resp_2").await;

    assert_eq!(request["input"].as_array().map(Vec::len), Some(3), "{request}");
    assert_eq!(request.get("previous_response_id"), None);
    assert_eq!(kind(client.answer().await.last().expect("an event")), "response.completed");
}

#[tokio::test]
async fn a_provider_that_refuses_by_handshake_or_by_error_or_says_nothing_is_replaced() {
    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let gateway = by_socket(&afar, &near).await;
    let mut client = Client::open(&gateway).await;

    afar.refuse(StatusCode::TOO_MANY_REQUESTS, "{}");
    near.script(posted("resp_1", "refused"));
    assert_eq!(client.ask(create("hi", json!({}))).await, events("resp_1", "refused"));

    near.script(posted("resp_2", "limited"));
    client.send(create("hi", json!({}))).await;
    let mut opened = afar.next().await;
    opened.next().await;
    let error = json!({"type": "server_error", "code": "server_is_overloaded", "message": "Busy."});
    opened.send(&json!({"type": "error", "status": 503, "error": error})).await;
    assert_eq!(client.answer().await, events("resp_2", "limited"));
}

#[tokio::test]
async fn a_provider_that_knows_no_websocket_is_posted_to_in_its_place() {
    for status in [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::UPGRADE_REQUIRED] {
        let refusal = Answer::Reply(status, vec![], Bytes::new());
        let small = Origin::answering([refusal, posted("resp_1", "first"), posted("resp_2", "second")]).await;
        let config = Config { one: vec!["websocket: true".into()], ..Config::new(&small, &small) };
        let gateway = Gateway::start(&config).await;
        let mut client = Client::open(&gateway).await;

        assert_eq!(client.ask(create("hi", json!({}))).await, events("resp_1", "first"), "{status}");
        assert_eq!(client.ask(create("hi", json!({}))).await, events("resp_2", "second"), "{status}");

        let arrived = [small.next().await, small.next().await, small.next().await];
        let methods = arrived.each_ref().map(|arrived| arrived.method.as_str());
        assert_eq!(methods, ["GET", "POST", "POST"], "{status}: it is asked for a WebSocket once in a session");
        assert_eq!(arrived[1].headers["content-length"], *arrived[1].body.len().to_string());
        let body: Value = serde_json::from_slice(&arrived[1].body).expect("JSON");
        assert_eq!((&body["stream"], body.get("type")), (&json!(true), None), "{body}");
        until_metric(&gateway, r#"pointsman_websocket_upstream_requests_total{connection="refused"} 1"#).await;
    }
}

#[tokio::test]
async fn a_provider_that_takes_a_request_and_is_silent_is_a_timeout() {
    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let gateway = by_socket(&afar, &near).await;
    let mut client = Client::open(&gateway).await;
    client.send(create("hi", json!({}))).await;
    let mut opened = afar.next().await;
    opened.next().await;

    let answer = client.answer().await;

    assert_eq!((answer[0]["status"].as_u64(), code(&answer[0])), (Some(504), "upstream_timeout"));
    opened.left().await;
}

#[tokio::test]
async fn what_is_no_request_is_told_so_and_what_is_no_text_ends_it() {
    let small = Origin::start().await;
    let gateway = plain(&small, "").await;
    let mut client = Client::open(&gateway).await;
    client.0.send(Message::text("{garbage")).await.expect("an open WebSocket");
    assert_eq!(code(&client.next().await), "invalid_json");
    client.send(json!({"type": "session.update"})).await;
    assert_eq!(code(&client.next().await), "unknown_event");
    client.send(json!({"type": "response.steer", "previous_response_id": "resp_1", "input": "more"})).await;
    let declined = client.next().await;
    assert_eq!((kind(&declined), code(&declined)), ("response.steer.failed", "steering_not_supported"));
    assert_eq!(declined["steer"], json!({"previous_response_id": "resp_1", "input": "more"}));

    client.0.send(Message::binary(vec![1, 2, 3])).await.expect("an open WebSocket");
    assert_eq!(client.closed().await, Some(CloseCode::Unsupported));
    let mut raw = Raw::open(gateway.listen).await;
    raw.write(handshake()).await;
    raw.read_head().await;
    raw.write([0x81, 0x02, b'{', b'}']).await; // not masked
    let end = raw.rest().await.expect("an end");
    assert!(end.windows(2).any(|code| code == 1002_u16.to_be_bytes()), "{end:?}");
    until_metric(&gateway, r#"pointsman_websockets_closed_total{kind="responses",reason="protocol"} 2"#).await;
}

#[tokio::test]
async fn a_message_may_come_in_fragments_but_not_be_larger_than_a_body() {
    let small = Origin::answering([posted("resp_1", "one")]).await;
    let gateway = Gateway::start(&Config { max_body_bytes: 1000, ..Config::new(&small, &small) }).await;
    let mut client = Client::open(&gateway).await;
    let text = create("hi", json!({})).to_string();
    let (start, end) = text.split_at(text.len() / 2);
    for (part, is_final, opcode) in [(start, false, Data::Text), (end, true, Data::Continue)] {
        let frame = Frame::message(part.to_owned(), OpCode::Data(opcode), is_final);
        client.0.send(Message::Frame(frame)).await.expect("an open WebSocket");
        client.0.send(Message::Ping(Bytes::new())).await.expect("an open WebSocket");
    }
    assert_eq!(client.answer().await, events("resp_1", "one"));

    client.send(create(&"x".repeat(1000), json!({}))).await;
    let error = client.next().await;
    assert_eq!((error["status"].as_u64(), code(&error)), (Some(413), "body_too_large"));
    assert_eq!(client.closed().await, Some(CloseCode::Size));
}

#[tokio::test]
async fn compression_that_is_offered_is_not_taken() {
    let small = Origin::answering([posted("resp_1", "one")]).await;
    let gateway = plain(&small, "").await;
    let mut raw = Raw::open(gateway.listen).await;
    let offer = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    raw.write(handshake().replace("\r\n\r\n", &format!("\r\n{offer}"))).await;

    let head = raw.read_head().await.to_lowercase();

    assert!(head.starts_with("http/1.1 101") && !head.contains("sec-websocket-extensions"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    raw.write([0xc1, 0x80, 0, 0, 0, 0]).await; // a frame that says it is compressed
    assert!(!raw.rest().await.expect("an end").is_empty());
}

#[tokio::test]
async fn a_client_that_answers_no_ping_or_does_nothing_or_takes_too_long_is_let_go() {
    let small = Origin::start().await;
    let half_open = plain(&small, ", websocket: {ping: 100ms}").await;
    let mut raw = Raw::open(half_open.listen).await;
    raw.write(handshake()).await;
    raw.rest().await.expect("an end");
    until_metric(&half_open, r#"pointsman_websockets_closed_total{kind="responses",reason="half_open"} 1"#).await;

    let idle = plain(&small, ", websocket: {idle: 200ms}").await;
    assert_eq!(Client::open(&idle).await.closed().await, Some(CloseCode::Normal));
    until_metric(&idle, r#"pointsman_websockets_closed_total{kind="responses",reason="idle"} 1"#).await;

    let slow = plain(&small, ", body_idle: 200ms").await;
    let mut raw = Raw::open(slow.listen).await;
    raw.write(handshake()).await;
    raw.read_head().await;
    raw.write([0x81, 0xfe, 0x01, 0x00]).await; // the head of a frame, and no more
    raw.rest().await.expect("an end");
    until_metric(&slow, r#"pointsman_websockets_closed_total{kind="responses",reason="too_slow"} 1"#).await;

    let aged = plain(&small, ", websocket: {max_session: 200ms}").await;
    assert_eq!(Client::open(&aged).await.closed().await, Some(CloseCode::Away));
    until_metric(&aged, r#"pointsman_websockets_closed_total{kind="responses",reason="max_session"} 1"#).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go_and_the_work_upstream_cancelled() {
    let (sender, held) = mpsc::channel(4);
    let small = Origin::answering([Answer::Events(held)]).await;
    let gateway = plain(&small, ", write_idle: 300ms").await;
    let mut client = Client::open(&gateway).await;
    client.send(create("hi", json!({}))).await;
    small.next().await;
    let long = "x".repeat(1 << 20);
    let delta = json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0, "content_index": 0, "delta": long});
    let chunk = sse(&[delta]);

    while sender.send(chunk.clone()).await.is_ok() {}

    until_metric(&gateway, r#"pointsman_websockets_closed_total{kind="responses",reason="unread"} 1"#).await;
    drop(client);
}

#[tokio::test]
async fn the_number_of_websockets_is_bounded_and_they_can_be_turned_off() {
    let small = Origin::start().await;
    let gateway = plain(&small, ", websocket: {max_open: 2, max_open_per_client: 1}").await;
    let open = Client::open(&gateway).await;
    let (status, body) = Client::try_open(gateway.listen, RESPONSES, &[]).await.err().expect("one too many");
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(body.contains("too_many_websockets"), "{body}");
    drop(open);
    until_metric(&gateway, r#"pointsman_websockets{kind="responses"} 0"#).await;
    assert!(Client::try_open(gateway.listen, RESPONSES, &[]).await.is_ok());

    let off = plain(&small, ", websocket: {max_open: 0}").await;
    let refused = Client::try_open(off.listen, RESPONSES, &[]).await.err().expect("they are off");
    assert_eq!(refused.0, StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_replaced_by_the_fallback() {
    let near = Origin::answering([posted("resp_1", "instead")]).await;
    let config = Config { small: nobody().await, one: vec!["websocket: true".into()], ..Config::new(&near, &near) };
    let gateway = Gateway::start(&Config { fallback: "[frontier]", ..config }).await;

    let answer = Client::open(&gateway).await.ask(create("hi", json!({}))).await;

    assert_eq!(answer, events("resp_1", "instead"));
}

#[tokio::test]
async fn a_web_page_of_another_origin_opens_no_websocket() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config { default_provider: Some("one"), ..Config::new(&small, &small) }).await;
    for path in [RESPONSES, "/v1/realtime"] {
        let page = [("origin", "https://evil.example")];
        let refused = Client::try_open(gateway.listen, path, &page).await.err().expect("a stranger");
        assert_eq!(refused.0, StatusCode::FORBIDDEN, "{path}");
    }
    let own = format!("http://{}", gateway.listen);
    assert!(Client::try_open(gateway.listen, RESPONSES, &[("origin", &own)]).await.is_ok());
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_websocket_that_passes_through_has_its_number_and_bytes_bounded() {
    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let config = Config { small: afar.address, default_provider: Some("one"), ..Config::new(&near, &near) };
    let limits = ", websocket: {max_open_per_client: 1, max_bytes: 2000}";
    let gateway = Gateway::start(&Config { limits, ..config }).await;
    let (mut client, mut opened) = tunnel(&gateway, &afar, "/v1/realtime?model=x").await;
    assert_eq!(opened.path, "/v1/realtime?model=x");
    let refused = Client::try_open(gateway.listen, "/v1/realtime", &[]).await.err().expect("one too many");
    assert_eq!(refused.0, StatusCode::TOO_MANY_REQUESTS);

    client.send(json!({"type": "session.update"})).await;
    assert_eq!(kind(&opened.next().await), "session.update");
    opened.send(&json!({"type": "too much", "delta": "x".repeat(3000)})).await;
    while client.0.next().await.is_some_and(|read| read.is_ok()) {}

    until_metric(&gateway, r#"pointsman_websockets_closed_total{kind="pass_through",reason="too_large"} 1"#).await;
}

#[tokio::test]
async fn a_websocket_that_passes_through_gets_another_model_only_by_a_rule() {
    let (afar, near) = (SocketOrigin::start().await, Origin::start().await);
    let rule = r#"  - name: voice
    match: {model: [voice, other]}
    rules: [{when: 'request.model == "voice"', use: small}]
    strategy: {kind: split, models: {frontier: 1}}
"#;
    let config = Config { small: afar.address, default_provider: Some("one"), ..Config::new(&near, &near) };
    let gateway = Gateway::start(&Config { policy: rule.to_owned(), ..config }).await;

    let _voice = Client::try_open(gateway.listen, "/v1/realtime?a=b&model=voice", &[]).await.expect("a tunnel");
    assert_eq!(afar.next().await.path, "/v1/realtime?a=b&model=small-1");
    let refused = Client::try_open(gateway.listen, "/v1/realtime?model=other", &[]).await.err().expect("no model");
    assert_eq!(refused.0, StatusCode::BAD_REQUEST);
    let _own = Client::try_open(gateway.listen, "/v1/realtime?model=gpt-realtime", &[]).await.expect("a tunnel");
    assert_eq!(afar.next().await.path, "/v1/realtime?model=gpt-realtime");
}
