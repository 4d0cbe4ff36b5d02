//! Models on Amazon Bedrock: signed requests, credentials that renew themselves, and streams in frames.

use std::fmt::Write as _;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::decision_log::KEY as LOG_KEY;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, Recorded};
use crate::shadow_answers::shadowing;
use crate::translated::{MESSAGE, MESSAGES, chat_request, reply_of};
use crate::vertex::JUDGED;

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
const PATH: &str = "/v1/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0";
const REGION: &str = "eu-west-1";
const SECRET: &str = "planted/secret+key";
const ENVIRONMENT: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIDPLANTED"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", "planted-token")];

const EVENTS: [&str; 6] = [
    r#"{"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}}}"#,
    r#"{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}"#,
    r#"{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüezi"}}"#,
    r#"{"type": "content_block_stop", "index": 0}"#,
    r#"{"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 7}}"#,
    r#"{"type": "message_stop"}"#,
];

fn config(models: &Origin, more: &str) -> Config {
    let bedrock = format!("bedrock: {{region: {REGION}{more}}}");
    let whole_strategy = Some("{kind: random, models: [small]}".to_owned());
    Config { one: vec![bedrock], small_name: format!("'{CLAUDE}'"), whole_strategy, ..Config::new(models, models) }
}

async fn started(answers: Vec<Answer>) -> (Origin, Gateway) {
    let models = Origin::answering(answers).await;
    let gateway = Gateway::start_with(&config(&models, ""), &ENVIRONMENT).await;
    (models, gateway)
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, path).header("content-type", "application/json");
    let request = request.header("anthropic-beta", "context-1m-2025-08-07, other").header("x-api-key", "sk-planted");
    let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn messages_request(stream: bool) -> Value {
    json!({"model": "auto", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

fn frame(headers: &[(&'static str, &'static str)], payload: &str) -> Vec<u8> {
    let message = headers.iter().fold(Message::new(payload.as_bytes().to_vec()), |message, (name, value)| {
        message.add_header(Header::new(*name, HeaderValue::String((*value).into())))
    });
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("a frame");
    bytes
}

fn chunk(event: &str) -> Vec<u8> {
    let payload = json!({"bytes": STANDARD.encode(event)}).to_string();
    frame(&[(":message-type", "event"), (":event-type", "chunk"), (":content-type", "application/json")], &payload)
}

fn throttled() -> Vec<u8> {
    frame(&[(":message-type", "exception"), (":exception-type", "throttlingException")], r#"{"message": "slow down"}"#)
}

/// Answers with a stream of AWS', in pieces of `size` bytes.
async fn framed(stream: Vec<u8>, size: usize) -> Answer {
    let (sender, receiver) = mpsc::channel(stream.len());
    for piece in stream.chunks(size) {
        sender.send(Bytes::copy_from_slice(piece)).await.expect("room");
    }
    drop(sender);
    Answer::TypedEvents("application/vnd.amazon.eventstream", receiver)
}

/// Computes the signature that a request should have, as AWS describes it (Signature Version 4), from what arrived.
fn expected_signature(request: &Recorded, secret: &str) -> String {
    let authorization = request.header("authorization").expect("a signature");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).expect(name);
        rest.split([',', ' ']).next().expect("a value")
    };
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let signed = part("SignedHeaders");
    let fields = signed.split(';').fold(String::new(), |mut fields, name| {
        writeln!(fields, "{name}:{}", request.header(name).expect(name).trim()).expect("writing to a string");
        fields
    });
    // Every service but S3 escapes a path that is escaped already once more.
    let path = path.replace('%', "%25");
    let body = hex(&Sha256::digest(&request.body));
    let canonical = format!("{}\n{path}\n{query}\n{fields}\n{signed}\n{body}", request.method);
    let date = request.header("x-amz-date").expect("a date");
    let scope = format!("{}/{REGION}/bedrock/aws4_request", &date[..8]);
    assert!(part("Credential").ends_with(&format!("/{scope}")), "{authorization}");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mac =
        |key: &[u8], data: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes()).as_ref().to_vec();
    let first = mac(format!("AWS4{secret}").as_bytes(), &date[..8]);
    let key = mac(&mac(&mac(&first, REGION), "bedrock"), "aws4_request");
    let signature = hex(&mac(&key, &text));
    assert_eq!(part("Signature"), signature, "{canonical}");
    signature
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

#[tokio::test]
async fn a_request_is_invoked_with_bedrock_s_body_and_a_signature_over_it() {
    let (models, gateway) = started(vec![reply_of(MESSAGE), reply_of(MESSAGE)]).await;

    let native = post(&gateway, &format!("{MESSAGES}?beta=true"), &messages_request(false)).await;
    let translated = post(&gateway, CHAT, &chat_request()).await;

    assert_eq!((native.status, &native.body[..]), (StatusCode::OK, MESSAGE.as_bytes()), "byte for byte");
    assert_eq!(translated.json()["choices"][0]["finish_reason"], "tool_calls");
    let asked = models.next().await;
    assert_eq!(asked.path, format!("{PATH}/invoke"));
    assert_eq!(
        serde_json::from_slice::<Value>(&asked.body).expect("JSON"),
        json!({"max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}],
            "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["context-1m-2025-08-07", "other"]})
    );
    expected_signature(&asked, SECRET);
    assert_eq!(asked.header("x-amz-security-token"), Some("planted-token"));
    for absent in ["x-api-key", "anthropic-beta", "anthropic-version"] {
        assert!(asked.header(absent).is_none(), "{absent}");
    }
    let asked = models.next().await;
    expected_signature(&asked, SECRET);
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).expect("JSON").get("model"), None);
    let log = gateway.log();
    assert!(!log.contains(SECRET) && !log.contains("planted-token"), "{log}");
}

#[tokio::test]
async fn a_stream_of_frames_becomes_events_wherever_it_is_cut() {
    let stream: Vec<u8> = EVENTS.iter().flat_map(|event| chunk(event)).collect();
    let name =
        |event: &str| serde_json::from_str::<Value>(event).expect("JSON")["type"].as_str().expect("a type").to_owned();
    let events: String = EVENTS.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event))).collect();
    for size in [1, 7, 64, 1 << 20] {
        let answers = vec![framed(stream.clone(), size).await, framed(stream.clone(), size).await];
        let (models, gateway) = started(answers).await;

        let native = post(&gateway, MESSAGES, &messages_request(true)).await;
        let translated = post(&gateway, CHAT, &crate::translated::with(chat_request(), "stream", true.into())).await;

        assert_eq!(native.body, events, "{size}");
        assert!(native.header("content-type").expect("a type").starts_with("text/event-stream"));
        let text = String::from_utf8(translated.body.to_vec()).expect("text");
        assert!(text.contains("Grüezi") && text.ends_with("data: [DONE]\n\n"), "{text}");
        let asked = models.next().await;
        assert_eq!(asked.path, format!("{PATH}/invoke-with-response-stream"));
        assert_eq!(asked.header("accept"), Some("application/vnd.amazon.eventstream"));
        assert!(serde_json::from_slice::<Value>(&asked.body).expect("JSON").get("stream").is_none());
        expected_signature(&asked, SECRET);
    }
}

#[tokio::test]
async fn an_exception_before_anything_real_is_tried_elsewhere_and_one_amid_the_stream_is_an_error_event() {
    let begun = chunk(EVENTS[0]);
    let amid: Vec<u8> = EVENTS[..3].iter().flat_map(|event| chunk(event)).chain(throttled()).collect();
    let (models, frontier) = (Origin::answering([]).await, Origin::answering([reply_of(MESSAGE)]).await);
    models.script(framed([begun, throttled()].concat(), 11).await);
    models.script(framed(amid, 11).await);
    let config = Config { fallback: "[frontier]", frontier: frontier.address(), ..config(&models, "") };
    let gateway = Gateway::start_with(&config, &ENVIRONMENT).await;

    let before = post(&gateway, MESSAGES, &messages_request(true)).await;
    let amid = post(&gateway, MESSAGES, &messages_request(true)).await;

    assert_eq!(before.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(amid.header("x-pointsman-model"), Some("small"));
    let text = String::from_utf8(amid.body.to_vec()).expect("text");
    assert!(text.contains("Grüezi") && text.contains("event: error\n") && text.contains("rate_limit_error"), "{text}");
}

#[tokio::test]
async fn an_error_of_aws_reaches_clients_in_the_words_of_their_api() {
    let error = || {
        let fields = vec![("content-type", "application/json"), ("x-amzn-errortype", "ValidationException")];
        Answer::Reply(StatusCode::BAD_REQUEST, fields, r#"{"message": "max_tokens: too large"}"#.into())
    };
    let (_models, gateway) = started(vec![error(), error()]).await;

    let native = post(&gateway, MESSAGES, &messages_request(false)).await;
    let translated = post(&gateway, CHAT, &chat_request()).await;

    assert_eq!(native.status, StatusCode::BAD_REQUEST);
    let body = native.json();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("invalid_request_error")), "{body}");
    assert_eq!(body["error"]["message"], "max_tokens: too large");
    assert!(native.header("x-amzn-errortype").is_none());
    assert_eq!(translated.status, StatusCode::BAD_REQUEST);
    assert_eq!(translated.json()["error"]["message"], "max_tokens: too large");
}

#[tokio::test]
async fn a_role_s_credentials_are_fetched_by_imdsv2_and_renewed() {
    let models = Origin::start().await;
    let credentials = |id: &str, until: &str| {
        let body =
            json!({"Code": "Success", "AccessKeyId": id, "SecretAccessKey": id, "Token": "t", "Expiration": until});
        Answer::Reply(StatusCode::OK, vec![], body.to_string().into())
    };
    let text = |text: &'static str| Answer::Reply(StatusCode::OK, vec![], text.into());
    let server = Origin::start().await;
    let endpoint = format!("http://{}", server.address());
    let gateway = Gateway::start_with(
        &config(&models, ", credentials: instance"),
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)],
    )
    .await;
    // Nothing is fetched before the first request.
    let soon = humantime::format_rfc3339(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).to_string();
    let first = [text("session"), text("gateway-role\n"), credentials("first", &soon)];
    let second = [text("session"), text("gateway-role"), credentials("second", "2099-01-01T00:00:00Z")];
    first.into_iter().chain(second).for_each(|answer| server.script(answer));

    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &String| last != "second") {
        models.script(reply_of(MESSAGE));
        assert_eq!(post(&gateway, MESSAGES, &messages_request(false)).await.status, StatusCode::OK);
        let asked = models.next().await;
        let authorization = asked.header("authorization").expect("a signature").to_owned();
        let (_, rest) = authorization.split_once("Credential=").expect("a credential");
        let id = rest.split('/').next().expect("an id").to_owned();
        expected_signature(&asked, &id);
        seen.push(id);
    }

    assert_eq!(seen[0], "first");
    let asked: Vec<Recorded> = std::iter::from_fn(|| server.take()).collect();
    let paths: Vec<_> = asked.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    let roles = "/latest/meta-data/iam/security-credentials/";
    let once = ["PUT /latest/api/token".to_owned(), format!("GET {roles}"), format!("GET {roles}gateway-role")];
    assert_eq!(paths, [once.clone(), once].concat());
    assert!(asked[0].header("x-aws-ec2-metadata-token-ttl-seconds").is_some());
    assert!(asked[1..3].iter().all(|request| request.header("x-aws-ec2-metadata-token") == Some("session")));
}

#[tokio::test]
async fn a_container_s_credentials_are_fetched_with_its_token() {
    let models = Origin::answering([reply_of(MESSAGE)]).await;
    let body =
        json!({"AccessKeyId": "role", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"});
    let server = Origin::answering([Answer::Reply(StatusCode::OK, vec![], body.to_string().into())]).await;
    let url = format!("http://{}/v1/credentials?id=7", server.address());
    let environment =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "planted-container")];
    let gateway = Gateway::start_with(&config(&models, ", credentials: container"), &environment).await;

    assert_eq!(post(&gateway, MESSAGES, &messages_request(false)).await.status, StatusCode::OK);

    let asked = server.next().await;
    assert_eq!((&*asked.path, asked.header("authorization")), ("/v1/credentials?id=7", Some("planted-container")));
    expected_signature(&models.next().await, "s");
}

#[tokio::test]
async fn an_api_key_goes_as_it_is_other_vendors_models_get_chat_completions_and_tokens_are_counted_here() {
    let models = Origin::answering([reply_of(MESSAGE)]).await;
    let mut config = config(&models, "");
    config.credential = "{env: BEDROCK_KEY}";
    config.sections = String::new();
    let gateway = Gateway::start_with(&config, &[("BEDROCK_KEY", "sk-planted-bedrock")]).await;
    assert_eq!(post(&gateway, MESSAGES, &messages_request(false)).await.status, StatusCode::OK);
    let asked = models.next().await;
    assert_eq!(asked.header("authorization"), Some("Bearer sk-planted-bedrock"));
    assert!(asked.header("x-amz-date").is_none());

    let counted = post(&gateway, "/v1/messages/count_tokens", &messages_request(false)).await;
    assert!(counted.json()["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{counted:?}");
    assert!(models.take().is_none(), "Pointsman counts");

    config.small_name = "'openai.gpt-oss-120b-1:0'".to_owned();
    config.credential = "none";
    let gateway = Gateway::start_with(&config, &ENVIRONMENT).await;
    let reply = crate::client::chat(gateway.listen, question("auto", "hi")).await;
    assert_eq!(reply.json()["model"], "openai.gpt-oss-120b-1:0");
    let asked = models.next().await;
    assert_eq!(asked.path, "/v1/openai/v1/chat/completions");
    expected_signature(&asked, SECRET);
}

#[tokio::test]
async fn a_model_of_bedrock_judges_by_a_signed_question() {
    let verdict = r#"{"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
 "content": [{"type": "text", "text": "{\"label\": \"hard\"}"}], "usage": {"input_tokens": 9, "output_tokens": 3}}"#;
    let (models, frontier) = (Origin::answering([reply_of(verdict)]).await, Origin::start().await);
    let config = Config {
        frontier: frontier.address(),
        whole_strategy: Some(JUDGED.to_owned()),
        rules: Vec::new(),
        ..config(&models, "")
    };
    let gateway = Gateway::start_with(&config, &ENVIRONMENT).await;

    let reply = crate::client::chat(gateway.listen, question("auto", "Prove it.")).await;

    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"), "{reply:?} {}", gateway.log());
    let asked = models.next().await;
    assert_eq!(asked.path, format!("{PATH}/invoke"));
    expected_signature(&asked, SECRET);
    assert_eq!(asked.header("x-amz-security-token"), Some("planted-token"));
    let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert_eq!((&body["anthropic_version"], body.get("model")), (&json!("bedrock-2023-05-31"), None));
    assert!(!gateway.log().contains("planted"), "{}", gateway.log());
}

#[tokio::test]
async fn bedrock_answers_what_no_policy_takes() {
    let models = Origin::answering([reply_of(MESSAGE)]).await;
    let config = Config { default_provider: Some("one"), ..config(&models, "") };
    let gateway = Gateway::start_with(&config, &ENVIRONMENT).await;
    let mut body = messages_request(false);
    body["model"] = json!("anthropic.claude-haiku-4-5-20251001-v1:0");

    let native = post(&gateway, MESSAGES, &body).await;
    let counted = post(&gateway, "/v1/messages/count_tokens", &body).await;

    assert_eq!((native.status, &native.body[..]), (StatusCode::OK, MESSAGE.as_bytes()), "byte for byte");
    let asked = models.next().await;
    assert_eq!(asked.path, "/v1/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke");
    expected_signature(&asked, SECRET);
    assert!(counted.json()["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{counted:?}");
    assert!(models.take().is_none(), "Pointsman counts");
}

#[tokio::test]
async fn a_model_of_bedrock_is_asked_too_for_comparison() {
    let (small, models) = (Origin::start().await, Origin::answering([reply_of(MESSAGE)]).await);
    let config = Config {
        frontier_extra: "bedrock: {region: eu-west-1}\n    dialects: [messages]",
        ..shadowing(&small, &models, ", max_tokens: 64")
    };
    let environment = [&ENVIRONMENT[..], &[("LOG_KEY", LOG_KEY)]].concat();
    let gateway = Gateway::start_with(&config, &environment).await;

    let reply = crate::client::chat(gateway.listen, question("auto", "hi")).await;

    assert_eq!(reply.header("x-pointsman-model"), Some("small"));
    let asked = models.next().await;
    assert_eq!(asked.path, "/prefix/v1/model/frontier-1/invoke");
    expected_signature(&asked, SECRET);
}
