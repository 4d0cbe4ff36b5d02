//! Answers in the decision log: only where they are asked for, as the client gets them, redacted.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{CHAT, Connection, Framing, Reply, chat, question};
use crate::decision_log::{lines, logging, start};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::translated::{MESSAGE, MESSAGES, chat_request, reply_of};

const ALL: &str = ", text: true, answers: {sample: 1}";

fn completion(text: &str) -> Answer {
    let body = json!({"id": "c", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

async fn post(gateway: &Gateway, path: &str, body: Value) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    connection.post(Framing::Length, path, body.to_string()).await
}

async fn written(gateway: &Gateway, lines: usize) {
    until_metric(gateway, &format!("pointsman_decision_log_lines_total {lines}")).await;
}

#[tokio::test]
async fn an_answer_stands_beside_its_decision_whole_or_streamed() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&logging(Config::new(&small, &frontier), ALL)).await;
    small.script(completion("Paris, of course."));
    let (sender, chunks) = mpsc::channel(8);
    small.script(Answer::Events(chunks));
    for piece in ["Par", "is"] {
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]});
        sender.send(Bytes::from(format!("data: {chunk}\n\n"))).await.expect("room");
    }
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]});
    sender.send(Bytes::from(format!("data: {end}\n\ndata: [DONE]\n\n"))).await.expect("room");
    drop(sender);

    let whole = chat(gateway.listen, question("auto", "What is the capital of France?")).await;
    written(&gateway, 1).await;
    let streaming =
        json!({"model": "auto", "stream": true, "messages": [{"role": "user", "content": "And in short?"}]});
    let streamed = post(&gateway, CHAT, streaming).await;
    written(&gateway, 2).await;

    assert_eq!([whole.status, streamed.status], [StatusCode::OK; 2]);
    let lines = lines(&mut gateway);
    assert_eq!((&lines[0]["answer"], &lines[0]["finish_reason"]), (&json!("Paris, of course."), &json!("stop")));
    assert_eq!((&lines[0]["answer_bytes"], &lines[0]["answer_truncated"]), (&json!(17), &Value::Null));
    assert_eq!((&lines[1]["answer"], &lines[1]["finish_reason"]), (&json!("Paris"), &json!("length")));
}

#[tokio::test]
async fn a_translated_answer_is_written_as_its_client_gets_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { one: vec!["dialects: [messages]".into()], ..Config::new(&small, &frontier) };
    let mut gateway = start(&logging(config, ALL)).await;
    small.script(reply_of(MESSAGE));
    small.script(reply_of(MESSAGE));

    let chat = post(&gateway, CHAT, chat_request()).await;
    written(&gateway, 1).await;
    let own = json!({"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "The weather?"}]});
    let messages = post(&gateway, MESSAGES, own).await;
    written(&gateway, 2).await;

    assert_eq!([chat.status, messages.status], [StatusCode::OK; 2]);
    let lines = lines(&mut gateway);
    for (line, reason) in lines.iter().zip(["tool_calls", "tool_use"]) {
        assert_eq!((&line["answer"], &line["finish_reason"]), (&json!("Let me look."), &json!(reason)));
        let call = &line["tool_calls"][0];
        let arguments: Value = serde_json::from_str(call["arguments"].as_str().expect("a text")).expect("JSON");
        assert_eq!((&call["name"], arguments), (&json!("weather"), json!({"city": "Bern"})));
    }
}

#[tokio::test]
async fn personal_data_is_replaced_in_asks_answers_and_comments() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&logging(Config::new(&small, &frontier), ALL)).await;
    small.script(completion("I wrote to ana@mail.example and called +1-202-555-0143."));

    let asked = "Write to ana@mail.example with card 4111 1111 1111 1111.";
    let reply = chat(gateway.listen, question("auto", asked)).await;
    written(&gateway, 1).await;
    let id = reply.header("x-request-id").expect("an id");
    post(&gateway, "/v1/feedback", json!({"request_id": id, "comment": "tell bob@mail.example"})).await;
    written(&gateway, 2).await;

    let lines = lines(&mut gateway);
    assert_eq!(lines[0]["text"], "Write to [EMAIL] with card [CARD].");
    assert_eq!(lines[0]["answer"], "I wrote to [EMAIL] and called [PHONE].");
    assert_eq!((&lines[0]["redactions"], &lines[0]["text_bytes"]), (&json!(4), &json!(asked.len())));
    assert_eq!(lines[1]["comment"], "tell [EMAIL]");
}

#[tokio::test]
async fn no_more_of_an_answer_is_written_than_was_asked_for_and_nothing_of_what_failed() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let more = ", text: true, answers: {sample: 1, max_bytes: 10, redact: false}";
    let mut gateway = start(&logging(Config::new(&small, &frontier), more)).await;
    small.script(completion("0123456789abcdef"));
    small.script(Answer::Reply(
        StatusCode::BAD_REQUEST,
        vec![("content-type", "application/json")],
        "{\"error\":{}}".into(),
    ));

    for (count, text) in (1..).zip(["one", "two"]) {
        chat(gateway.listen, question("auto", text)).await;
        written(&gateway, count).await;
    }

    let lines = lines(&mut gateway);
    assert_eq!((&lines[0]["answer"], &lines[0]["answer_truncated"]), (&json!("0123456789"), &json!(true)));
    assert_eq!(lines[0]["answer_bytes"], json!(16));
    assert_eq!((&lines[1]["status"], &lines[1]["answer"]), (&json!(400), &Value::Null));
}

#[tokio::test]
async fn answers_of_requests_that_are_not_sampled_are_not_written() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&logging(Config::new(&small, &frontier), ", text: true, answers: {sample: 0}")).await;

    chat(gateway.listen, question("auto", "hi")).await;

    let lines = lines(&mut gateway);
    assert_eq!(
        (&lines[0]["text"], &lines[0]["answer"], &lines[0]["finish_reason"]),
        (&json!("hi"), &Value::Null, &Value::Null)
    );
}
