//! Clients of one API before models of another: requests, answers, streams and errors in the words of each side.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{CHAT, Connection, Framing, Reply};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, Recorded};
use crate::reload::until_metric;
use crate::soon;

pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const RESPONSES: &str = "/v1/responses";

/// A whole answer of Anthropic's with a call.
pub(crate) const MESSAGE: &str = r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
 "content": [{"type": "text", "text": "Let me look."}, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}],
 "stop_reason": "tool_use", "stop_sequence": null,
 "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 0, "output_tokens": 7}}"#;

/// The same as a stream, in chunks.
const MESSAGE_EVENTS: [&str; 5] = [
    "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {\"id\": \"msg_1\", \"type\": \"message\", \"role\": \"assistant\", \"model\": \"claude\", \"content\": [], \"stop_reason\": null, \"stop_sequence\": null, \"usage\": {\"input_tokens\": 10, \"output_tokens\": 1}}}\n\n",
    "event: content_block_start\ndata: {\"type\": \"content_block_start\", \"index\": 0, \"content_block\": {\"type\": \"text\", \"text\": \"\"}}\n\nevent: content_block_delta\ndata: {\"type\": \"content_block_delta\", \"index\": 0, \"delta\": {\"type\": \"text_delta\", \"text\": \"Let me\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\": \"content_block_delta\", \"index\": 0, \"delta\": {\"type\": \"text_delta\", \"text\": \" look.\"}}\n\nevent: content_block_stop\ndata: {\"type\": \"content_block_stop\", \"index\": 0}\n\n",
    "event: content_block_start\ndata: {\"type\": \"content_block_start\", \"index\": 1, \"content_block\": {\"type\": \"tool_use\", \"id\": \"toolu_1\", \"name\": \"weather\", \"input\": {}}}\n\nevent: content_block_delta\ndata: {\"type\": \"content_block_delta\", \"index\": 1, \"delta\": {\"type\": \"input_json_delta\", \"partial_json\": \"{\\\"city\\\": \\\"Bern\\\"}\"}}\n\nevent: content_block_stop\ndata: {\"type\": \"content_block_stop\", \"index\": 1}\n\n",
    "event: message_delta\ndata: {\"type\": \"message_delta\", \"delta\": {\"stop_reason\": \"tool_use\", \"stop_sequence\": null}, \"usage\": {\"output_tokens\": 7}}\n\nevent: message_stop\ndata: {\"type\": \"message_stop\"}\n\n",
];

const COMPLETION_EVENTS: &str = "data: {\"id\": \"c1\", \"object\": \"chat.completion.chunk\", \"created\": 1, \"model\": \"m\", \"choices\": [{\"index\": 0, \"delta\": {\"role\": \"assistant\", \"content\": \"Hel\"}, \"finish_reason\": null}]}\n\ndata: {\"id\": \"c1\", \"object\": \"chat.completion.chunk\", \"created\": 1, \"model\": \"m\", \"choices\": [{\"index\": 0, \"delta\": {\"content\": \"lo\"}, \"finish_reason\": null}]}\n\ndata: {\"id\": \"c1\", \"object\": \"chat.completion.chunk\", \"created\": 1, \"model\": \"m\", \"choices\": [{\"index\": 0, \"delta\": {}, \"finish_reason\": \"stop\"}]}\n\ndata: {\"id\": \"c1\", \"object\": \"chat.completion.chunk\", \"created\": 1, \"model\": \"m\", \"choices\": [], \"usage\": {\"prompt_tokens\": 12, \"completion_tokens\": 3, \"total_tokens\": 15}}\n\ndata: [DONE]\n\n";

pub(crate) fn chat_request() -> Value {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({
        "model": "auto", "max_tokens": 50, "seed": 7,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "The weather in Bern?"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": city}}],
    })
}

fn messages_request() -> Value {
    json!({"model": "auto", "max_tokens": 50, "top_k": 5, "messages": [{"role": "user", "content": "Hello"}]})
}

pub(crate) fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

pub(crate) fn reply_of(text: &'static str) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json"), ("request-id", "req_vendor")], text.into())
}

async fn events_of(chunks: impl IntoIterator<Item = &'static str>) -> Answer {
    let (sender, receiver) = mpsc::channel(64);
    for chunk in chunks {
        sender.send(Bytes::from_static(chunk.as_bytes())).await.expect("room");
    }
    Answer::Events(receiver)
}

/// Starts a gateway whose `small` speaks one API alone, and whose `frontier` another.
pub(crate) async fn gateway(small: (&Origin, &str), frontier: (&Origin, &str), fallback: &'static str) -> Gateway {
    let extra: &'static str = Box::leak(format!("dialects: [{}]", frontier.1).into_boxed_str());
    let config = Config {
        one: vec![format!("dialects: [{}]", small.1)],
        frontier_extra: extra,
        fallback,
        ..Config::new(small.0, frontier.0)
    };
    Gateway::start(&config).await
}

/// Starts a gateway that sends a request to `frontier` if its header says so, and else to `small`.
async fn by_header(small: (&Origin, &str), frontier: (&Origin, &str)) -> Gateway {
    let config = Config {
        one: vec![format!("dialects: [{}]", small.1)],
        frontier_extra: Box::leak(format!("dialects: [{}]", frontier.1).into_boxed_str()),
        first_rules: "{when: \"headers['x-to'] == 'frontier'\", use: frontier}, ",
        sections: "rule_headers: [x-to]".to_owned(),
        ..Config::new(small.0, frontier.0)
    };
    Gateway::start(&config).await
}

async fn one_of(small: (&Origin, &str)) -> Gateway {
    gateway(small, (&Origin::start().await, "chat"), "[]").await
}

pub(crate) async fn post(gateway: &Gateway, path: &str, fields: &[(&str, &str)], body: &Value) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = fields
        .iter()
        .fold(connection.request(Method::POST, path), |request, (name, value)| request.header(*name, *value));
    let request = request.header("content-type", "application/json");
    let request = request.body(Framing::Length.body(Bytes::from(body.to_string()))).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn json_of(request: &Recorded) -> Value {
    serde_json::from_slice(&request.body).expect("a JSON body")
}

/// Returns the data of a stream's events, `[DONE]` as a string.
fn events(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(body.to_vec()).expect("text");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into())).collect()
}

#[tokio::test]
async fn a_client_of_chat_completions_is_answered_by_a_model_that_speaks_messages() {
    let small = Origin::answering([reply_of(MESSAGE)]).await;
    let gateway = one_of((&small, "messages")).await;

    let reply = post(&gateway, &format!("{CHAT}?api-version=1"), &[("openai-beta", "x")], &chat_request()).await;

    let sent = small.next().await;
    assert_eq!(sent.path, "/v1/messages");
    assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(sent.header("openai-beta"), None);
    let body = json_of(&sent);
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("small-1"), &json!(50)));
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["city"]));
    assert_eq!(body.get("seed"), None);
    let answer = reply.json();
    assert_eq!((reply.status, &answer["object"]), (StatusCode::OK, &json!("chat.completion")));
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &json!("Let me look."))
    );
    let call = &choice["message"]["tool_calls"][0];
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().expect("text")).expect("JSON");
    assert_eq!((&call["function"]["name"], arguments), (&json!("weather"), json!({"city": "Bern"})));
    assert_eq!((&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]), (&json!(100), &json!(7)));
    assert_eq!(reply.header("x-pointsman-translated"), Some("chat->messages; dropped=seed"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("request-id"), None, "the vendor's own");
    let length = reply.body.len().to_string();
    assert_eq!(
        (reply.header("content-length"), reply.header("transfer-encoding")),
        (Some(&*length), None),
        "it goes out in one piece"
    );
    until_metric(&gateway, "pointsman_translations_total{from=\"chat\",to=\"messages\"} 1").await;
    let lost = "pointsman_translation_losses_total{field=\"seed\",from=\"chat\",kind=\"dropped\",to=\"messages\"} 1";
    until_metric(&gateway, lost).await;
    until_metric(&gateway, "pointsman_tokens_total{direction=\"input\",model=\"small\"} 100").await;
}

#[tokio::test]
async fn a_stream_is_translated_event_by_event_and_nothing_waits_for_its_end() {
    let (sender, receiver) = mpsc::channel(1);
    let small = Origin::answering([Answer::Events(receiver)]).await;
    let gateway = one_of((&small, "messages")).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let body = with(with(chat_request(), "stream", json!(true)), "stream_options", json!({"include_usage": true}));

    let feeding = tokio::spawn(async move {
        sender.send(MESSAGE_EVENTS[0].into()).await.expect("the origin listens");
        sender.send(MESSAGE_EVENTS[1].into()).await.expect("the origin listens");
        sender
    });
    let response = connection.start(Framing::Length, CHAT, body.to_string()).await;
    let sender = feeding.await.expect("no panic");
    let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
    let mut stream = response.into_body();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("Let me") {
        let frame = soon("the first words", stream.frame()).await.expect("a frame").expect("no error");
        seen.extend_from_slice(&frame.into_data().expect("data"));
    }
    for chunk in &MESSAGE_EVENTS[2..] {
        sender.send((*chunk).into()).await.expect("the origin listens");
    }
    drop(sender);
    seen.extend_from_slice(&soon("the end", stream.collect()).await.expect("a whole stream").to_bytes());

    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let events = events(&seen);
    let text: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    let delta = |event: &Value| event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].clone();
    let arguments: String = events.iter().filter_map(|event| delta(event).as_str().map(str::to_owned)).collect();
    assert_eq!((text.as_str(), arguments.as_str()), ("Let me look.", "{\"city\": \"Bern\"}"));
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let finished = events.iter().filter_map(|event| event["choices"][0]["finish_reason"].as_str()).collect::<Vec<_>>();
    assert_eq!(finished, ["tool_calls"]);
    let [.., usage, done] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&usage["usage"]["completion_tokens"], done), (&json!(7), &json!("[DONE]")));
    assert_eq!(json_of(&small.next().await)["stream"], true);
}

#[tokio::test]
async fn a_client_of_messages_is_answered_by_a_model_that_speaks_chat_completions() {
    let small = Origin::start().await;
    let gateway = one_of((&small, "chat")).await;
    let fields = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "b"), ("x-stainless-lang", "js")];

    let reply = post(&gateway, &format!("{MESSAGES}?beta=true"), &fields, &messages_request()).await;

    let sent = small.next().await;
    assert_eq!(sent.path, CHAT);
    assert!(fields.iter().all(|(name, _)| sent.header(name).is_none()), "{:?}", sent.headers);
    assert_eq!(json_of(&sent)["messages"], json!([{"role": "user", "content": "Hello"}]));
    let answer = reply.json();
    assert_eq!((&answer["type"], &answer["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!(answer["content"], json!([{"type": "text", "text": "by small-1"}]));
    assert_eq!((&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]), (&json!(5), &json!(2)));
    assert!(reply.header("x-pointsman-translated").is_some_and(|note| note.contains("dropped=top_k")));
    assert_eq!(reply.header("request-id"), reply.header("x-pointsman-request-id"));
}

#[tokio::test]
async fn a_stream_of_chat_completions_is_a_message_s_with_its_usage() {
    let small = Origin::answering([events_of([COMPLETION_EVENTS]).await]).await;
    let gateway = one_of((&small, "chat")).await;

    let reply = post(&gateway, MESSAGES, &[], &with(messages_request(), "stream", json!(true))).await;

    let sent = json_of(&small.next().await);
    assert_eq!(sent["stream_options"]["include_usage"], true);
    let events = events(&reply.body);
    let kinds: Vec<_> =
        events.iter().filter_map(|event| event["type"].as_str()).filter(|kind| *kind != "ping").collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, expected);
    let delta = events.iter().find(|event| event["type"] == "message_delta").expect("a delta");
    assert_eq!((&delta["usage"]["input_tokens"], &delta["usage"]["output_tokens"]), (&json!(12), &json!(3)));
    until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 3").await;
}

#[tokio::test]
async fn a_client_of_responses_is_answered_by_a_model_that_speaks_messages() {
    let stream = events_of(MESSAGE_EVENTS).await;
    let small = Origin::answering([reply_of(MESSAGE), stream]).await;
    let gateway = one_of((&small, "messages")).await;
    let tool = json!({"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": false});
    let body = json!({"model": "auto", "input": "The weather in Bern?", "tools": [tool], "store": false});

    let whole = post(&gateway, RESPONSES, &[], &body).await;
    let stream = post(&gateway, RESPONSES, &[], &with(body, "stream", json!(true))).await;

    let output = whole.json()["output"].clone();
    assert_eq!(
        (&output[0]["content"][0]["text"], &output[1]["type"]),
        (&json!("Let me look."), &json!("function_call"))
    );
    let events = events(&stream.body);
    let [first, .., last] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&first["type"], &last["type"]), (&json!("response.created"), &json!("response.completed")));
    assert_eq!(last["response"]["output"][1]["call_id"], output[1]["call_id"]);
    let numbers: Vec<_> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]) && numbers.len() == events.len());
}

#[tokio::test]
async fn an_error_is_in_the_client_s_shape_and_keeps_its_status_and_its_wait() {
    let limited = r#"{"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}"#;
    let fields = vec![("content-type", "application/json"), ("retry-after", "7"), ("anthropic-ratelimit-x", "1")];
    let status = StatusCode::TOO_MANY_REQUESTS;
    let small = Origin::answering([Answer::Reply(status, fields, limited.into())]).await;
    let gateway = one_of((&small, "messages")).await;

    let reply = post(&gateway, CHAT, &[], &chat_request()).await;

    let error = &reply.json()["error"];
    assert_eq!((reply.status, reply.header("retry-after")), (status, Some("7")));
    assert_eq!(error["message"], "Slow down.");
    assert!(error.get("code").is_some() && error["type"].is_string(), "{error}");
    assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("anthropic-")), "{:?}", reply.headers);
    assert_eq!(reply.header("x-pointsman-translated"), Some("chat->messages; dropped=seed"));
}

#[tokio::test]
async fn an_error_page_becomes_an_error_of_the_client_s_api() {
    for (path, body, upstream) in [(CHAT, chat_request(), "messages"), (MESSAGES, messages_request(), "chat")] {
        let page =
            Answer::Reply(StatusCode::BAD_GATEWAY, vec![("content-type", "text/html")], "<html>no</html>".into());
        let small = Origin::answering([page]).await;
        let gateway = one_of((&small, upstream)).await;

        let reply = post(&gateway, path, &[], &body).await;

        assert_eq!((reply.status, reply.header("content-type")), (StatusCode::BAD_GATEWAY, Some("application/json")));
        assert!(reply.json()["error"]["message"].is_string(), "{path}: {:?}", reply.body);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_an_error_of_the_client_s_api() {
    let part = [MESSAGE_EVENTS[0], MESSAGE_EVENTS[1]].concat();
    for end in [Answer::CutEvents(part.into()), events_of([MESSAGE_EVENTS[0], MESSAGE_EVENTS[1]]).await] {
        let small = Origin::answering([end]).await;
        let gateway = one_of((&small, "messages")).await;

        let reply = post(&gateway, CHAT, &[], &with(chat_request(), "stream", json!(true))).await;

        let events = events(&reply.body);
        let last = events.last().expect("an event");
        assert!(last["error"]["message"].is_string(), "{events:?}");
        assert!(events.iter().all(|event| event["choices"][0]["finish_reason"].is_null()), "{events:?}");
    }
}

#[tokio::test]
async fn a_whole_answer_that_breaks_or_makes_no_sense_goes_to_the_next_model() {
    for broken in
        [reply_of("{\"type\": \"message\", \"content\": 7}"), Answer::HangUpAfter(MESSAGE.as_bytes()[..200].into())]
    {
        let small = Origin::answering([broken]).await;
        let frontier = Origin::start().await;
        let gateway = gateway((&small, "messages"), (&frontier, "chat"), "[frontier]").await;

        let reply = post(&gateway, CHAT, &[], &chat_request()).await;

        assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
        assert_eq!(reply.header("x-pointsman-translated"), None);
    }
}

#[tokio::test]
async fn a_fallback_of_another_api_gets_the_request_in_its_own() {
    let failing = Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![], "{}".into());
    let small = Origin::answering([failing]).await;
    let frontier = Origin::start().await;
    let gateway = gateway((&small, "messages"), (&frontier, "chat"), "[frontier]").await;

    let reply = post(&gateway, CHAT, &[], &chat_request()).await;

    let expected = chat_request().to_string().replace("\"auto\"", "\"frontier-1\"");
    assert_eq!(small.next().await.path, MESSAGES);
    let sent = frontier.next().await;
    assert_eq!((sent.path.as_str(), &sent.body), ("/prefix/v1/chat/completions", &Bytes::from(expected)));
    assert_eq!(sent.header("anthropic-version"), None);
    assert_eq!((reply.status, reply.header("x-pointsman-translated")), (StatusCode::OK, None));
}

#[tokio::test]
async fn a_fallback_may_be_translated_where_the_first_model_was_not() {
    let failing = Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![], "{}".into());
    let small = Origin::answering([failing]).await;
    let frontier = Origin::answering([reply_of(MESSAGE)]).await;
    let gateway = gateway((&small, "chat"), (&frontier, "messages"), "[frontier]").await;

    let reply = post(&gateway, CHAT, &[], &chat_request()).await;

    assert_eq!(frontier.next().await.path, "/prefix/v1/messages");
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Let me look.");
    assert_eq!(reply.header("x-pointsman-fallback-from"), Some("small"));
}

#[tokio::test]
async fn what_cannot_be_said_goes_to_a_model_that_can_be_told_or_is_refused() {
    let body = json!({"model": "auto", "input": "hi", "previous_response_id": "resp_1"});
    for (other, fallback) in [("responses", "[frontier]"), ("responses", "[]"), ("messages", "[frontier]")] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = gateway((&small, "messages"), (&frontier, other), fallback).await;

        let reply = post(&gateway, RESPONSES, &[], &body).await;

        assert!(small.take().is_none());
        if other == "responses" {
            assert_eq!(frontier.next().await.path, "/prefix/v1/responses");
            assert_eq!(reply.header("x-pointsman-reason"), Some("dialect"));
        } else {
            assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, "untranslatable".into()));
            assert!(frontier.take().is_none());
        }
    }
}

#[tokio::test]
async fn what_needs_no_translation_stays_byte_for_byte() {
    let small = Origin::start().await;
    let gateway = one_of((&small, "chat, messages")).await;
    for (path, body) in [
        (CHAT, "{ \"model\" : \"small-1\", \"n\": 1.0e0, \"x\": [1 ,2], \"messages\": []}\n"),
        (MESSAGES, "{ \"model\" : \"small-1\", \"max_tokens\": 5.0, \"top_k\":1 , \"messages\": []}\n"),
    ] {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let reply = connection.post(Framing::Length, path, body.replace("small-1", "auto")).await;

        assert_eq!((small.next().await.body, reply.header("x-pointsman-translated")), (Bytes::from(body), None));
    }
}

#[tokio::test]
async fn a_thought_goes_back_to_its_maker_and_to_nobody_else() {
    let thought = r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "EqoBCkgIAxABGAI="}, {"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}}"#;
    let small = Origin::answering([reply_of(thought), reply_of(thought)]).await;
    let frontier = Origin::start().await;
    let gateway = by_header((&small, "messages"), (&frontier, "responses")).await;
    let ask = json!({"type": "message", "role": "user", "content": "Is it?"});
    let body = json!({"model": "auto", "store": false, "include": ["reasoning.encrypted_content"], "input": [ask]});

    let first = post(&gateway, RESPONSES, &[], &body).await.json();
    small.next().await;
    let reasoning = &first["output"][0];
    assert_eq!(reasoning["type"], "reasoning", "{first}");
    let carried = reasoning["encrypted_content"].as_str().expect("a seal").to_owned();
    let mut turns = vec![ask.clone()];
    turns.extend(first["output"].as_array().expect("output").iter().cloned());
    turns.push(ask);
    let next = with(body, "input", turns.into());
    post(&gateway, RESPONSES, &[], &next).await;
    post(&gateway, RESPONSES, &[("x-to", "frontier")], &next).await;

    let back = json_of(&small.next().await);
    let blocks = &back["messages"][1]["content"];
    assert_eq!((&blocks[0]["type"], &blocks[0]["signature"]), (&json!("thinking"), &json!("EqoBCkgIAxABGAI=")));
    let elsewhere = frontier.next().await;
    let text = String::from_utf8(elsewhere.body.to_vec()).expect("text");
    assert!(!text.contains(&carried) && text.contains("Yes."), "{text}");
    assert!(json_of(&elsewhere)["input"].as_array().expect("items").iter().all(|item| item["type"] != "reasoning"));
}

#[tokio::test]
async fn a_thought_of_one_vendor_s_stays_with_it_but_keeps_no_client_from_a_model_of_another_api() {
    let thought = r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "EqoBCkgIAxABGAI="}, {"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}}"#;
    let small = Origin::answering([reply_of(thought), reply_of(thought)]).await;
    let frontier = Origin::start().await;
    let gateway = by_header((&small, "messages"), (&frontier, "chat")).await;
    let ask = json!({"role": "user", "content": "Is it?"});
    let body = json!({"model": "auto", "max_tokens": 50, "messages": [ask]});
    let first = post(&gateway, MESSAGES, &[], &body).await.json();
    small.next().await;
    let turns = json!([ask, {"role": "assistant", "content": first["content"]}, ask]);
    let next = with(body, "messages", turns);

    post(&gateway, MESSAGES, &[("x-to", "frontier")], &next).await;
    assert!(small.next().await.body.windows(16).any(|bytes| bytes == b"EqoBCkgIAxABGAI="), "stays while it can");
    let named = post(&gateway, MESSAGES, &[], &with(next, "model", "frontier".into())).await;

    assert_eq!(named.status, 200, "{}", String::from_utf8_lossy(&named.body));
    let text = String::from_utf8(frontier.next().await.body.to_vec()).expect("text");
    assert!(!text.contains("EqoBCkgIAxABGAI=") && text.contains("Yes."), "{text}");
}

#[tokio::test]
async fn a_key_goes_where_its_provider_looks_for_it_and_nowhere_else() {
    const KEYS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];
    for (credential, upstream, path, body, sent, field, value) in [
        ("passthrough", "messages", CHAT, chat_request(), ("authorization", "Bearer sk-1"), "x-api-key", "sk-1"),
        ("passthrough", "chat", MESSAGES, messages_request(), ("x-api-key", "sk-2"), "authorization", "Bearer sk-2"),
        (
            "{env: KEY}",
            "messages",
            CHAT,
            chat_request(),
            ("authorization", "Bearer sk-3"),
            "authorization",
            "Bearer own",
        ),
        ("none", "chat", MESSAGES, messages_request(), ("x-api-key", "sk-4"), "", ""),
    ] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let one = vec![format!("dialects: [{upstream}]")];
        let gateway =
            Gateway::start_with(&Config { one, credential, ..Config::new(&small, &frontier) }, &[("KEY", "own")]).await;

        post(&gateway, path, &[sent], &body).await;

        let arrived = small.next().await;
        for key in KEYS {
            let expected = (key == field).then_some(value);
            assert_eq!(arrived.header(key), expected, "{credential} {upstream}: {key}");
        }
    }
}

#[tokio::test]
async fn tokens_are_counted_here_where_the_model_s_api_has_other_words() {
    let small = Origin::start().await;
    let gateway = one_of((&small, "chat")).await;
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": "How many tokens are these?"}]});

    let reply = post(&gateway, "/v1/messages/count_tokens", &[], &body).await;

    assert!(small.take().is_none());
    assert!(reply.json()["input_tokens"].as_u64().is_some_and(|tokens| (5..40).contains(&tokens)), "{:?}", reply.body);
    assert_eq!(reply.header("x-pointsman-translated"), Some("messages->chat; changed=token_counts"));
}

#[tokio::test]
async fn a_parameter_that_a_translated_request_s_model_refuses_is_left_out_and_asked_again() {
    let refused = r#"{"type": "error", "error": {"type": "invalid_request_error", "message": "temperature: Extra inputs are not permitted"}}"#;
    let refusal = Answer::Reply(StatusCode::BAD_REQUEST, vec![("content-type", "application/json")], refused.into());
    let small = Origin::answering([refusal, reply_of(MESSAGE)]).await;
    let gateway = one_of((&small, "messages")).await;

    let reply = post(&gateway, CHAT, &[], &with(chat_request(), "temperature", json!(0.5))).await;

    let (first, second) = (json_of(&small.next().await), json_of(&small.next().await));
    assert_eq!((&first["temperature"], second.get("temperature")), (&json!(0.5), None));
    assert_eq!((reply.status, &reply.json()["object"]), (StatusCode::OK, &json!("chat.completion")));
}

#[tokio::test]
async fn a_google_model_is_asked_on_its_own_path() {
    let answer = r#"{"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi."}]}, "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}, "modelVersion": "gemini"}"#;
    let events = "data: {\"candidates\": [{\"content\": {\"role\": \"model\", \"parts\": [{\"text\": \"Hi\"}]}, \"index\": 0}]}\r\n\r\ndata: {\"candidates\": [{\"content\": {\"role\": \"model\", \"parts\": [{\"text\": \".\"}]}, \"finishReason\": \"STOP\", \"index\": 0}], \"usageMetadata\": {\"promptTokenCount\": 4, \"candidatesTokenCount\": 2, \"totalTokenCount\": 6}}\r\n\r\n";
    let stream = events_of([events]).await;
    let small = Origin::answering([reply_of(answer), stream]).await;
    let gateway = one_of((&small, "gemini")).await;

    let whole = post(&gateway, CHAT, &[], &chat_request()).await;
    let stream = post(&gateway, MESSAGES, &[], &with(messages_request(), "stream", json!(true))).await;

    assert_eq!(small.next().await.path, "/v1/models/small-1:generateContent");
    assert_eq!(small.next().await.path, "/v1/models/small-1:streamGenerateContent?alt=sse");
    assert_eq!(whole.json()["choices"][0]["message"]["content"], "Hi.");
    let events = self::events(&stream.body);
    assert_eq!(events.last().map(|event| event["type"].clone()), Some(json!("message_stop")), "{events:?}");
}

#[tokio::test]
async fn another_vendor_s_thought_is_taken_out_of_a_body_that_is_not_translated_and_all_else_stays() {
    let thought = r#"{"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}}], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}"#;
    let (small, frontier) =
        (Origin::answering([reply_of(thought)]).await, Origin::answering([reply_of(MESSAGE)]).await);
    let gateway = by_header((&small, "chat"), (&frontier, "messages")).await;

    let first = post(&gateway, MESSAGES, &[], &messages_request()).await.json();
    let blocks = first["content"].to_string();
    assert_eq!(first["content"][0]["type"], "thinking", "{first}");
    let text = first["content"][1].to_string();
    let body = |content: &str, model: &str| {
        format!(
            "{{\"model\" : \"{model}\", \"max_tokens\":5, \"x\": 1.0e0, \"messages\": [{{\"role\": \"user\", \"content\": \"Is it?\"}}, {{\"role\": \"assistant\", \"content\": {content}}}, {{\"role\": \"user\", \"content\": \"Sure?\"}}]}}"
        )
    };
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, MESSAGES).header("x-to", "frontier");
    let request = request.body(Framing::Length.body(body(&blocks, "auto").into())).expect("a valid request");
    let reply = Reply::read(connection.send(request).await.expect("an answer")).await;

    assert_eq!(reply.header("x-pointsman-translated"), None);
    // The list that something was taken from is written anew between its elements; each element stays.
    let expected = body(&format!("[{text}]"), "frontier-1").replace("}, {\"role\"", "},{\"role\"");
    assert_eq!(frontier.next().await.body, expected);
}

#[tokio::test]
async fn an_answer_that_comes_compressed_is_translated_all_the_same() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, MESSAGE.as_bytes()).expect("memory");
    let body = encoder.finish().expect("memory");
    let fields = vec![("content-type", "application/json"), ("content-encoding", "gzip")];
    let small = Origin::answering([Answer::Reply(StatusCode::OK, fields, body.into())]).await;
    let gateway = one_of((&small, "messages")).await;

    let reply = post(&gateway, CHAT, &[], &chat_request()).await;

    assert_eq!(small.next().await.header("accept-encoding"), Some("identity"));
    assert_eq!((reply.json()["object"].as_str(), reply.header("content-encoding")), (Some("chat.completion"), None));
}

#[tokio::test]
async fn a_conversation_that_no_other_api_makes_shorter_is_refused() {
    let small = Origin::start().await;
    let gateway = one_of((&small, "messages")).await;

    let reply = post(&gateway, "/v1/responses/compact", &[], &json!({"model": "auto", "input": "hi"})).await;

    assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, "untranslatable".into()));
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_request_of_which_nothing_is_left_is_refused_by_what_is_lost() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = gateway((&small, "messages"), (&frontier, "messages"), "[frontier]").await;
    let sound = json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}});
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": [sound]}]});

    let reply = post(&gateway, CHAT, &[], &body).await;

    assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, "untranslatable".into()));
    assert_eq!(reply.json()["error"]["param"], "audio");
    assert!(small.take().is_none() && frontier.take().is_none());
}

#[tokio::test]
async fn clients_and_upstreams_of_either_http_version_get_their_translation() {
    for framing in Framing::ALL {
        for http in ["h1", "h2"] {
            let stream = events_of(MESSAGE_EVENTS).await;
            let small = Origin::answering([reply_of(MESSAGE), stream]).await;
            let frontier = Origin::start().await;
            let one = vec!["dialects: [messages]".to_owned(), format!("http: {http}")];
            let gateway = Gateway::start(&Config { one, ..Config::new(&small, &frontier) }).await;

            for stream in [false, true] {
                let body = with(chat_request(), "stream", json!(stream)).to_string();
                let mut connection = Connection::open(gateway.listen, framing).await;
                let reply = connection.post(framing, CHAT, body).await;

                let text = String::from_utf8_lossy(&reply.body);
                assert!(text.contains("Let me") && text.contains("tool_calls"), "{framing:?} {http}: {text}");
            }
        }
    }
}
