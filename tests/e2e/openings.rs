//! The opening of an answer: what comes before anything real is held back, so that an error in a 200 is a failed
//! attempt.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::mpsc;

use crate::client::{CHAT, Connection, Framing, Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

const EVENTS: (&str, &str) = ("content-type", "text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json");

fn events(text: &str) -> Answer {
    Answer::Reply(StatusCode::OK, vec![EVENTS], text.to_owned().into())
}

fn typed(headers: &[(&'static str, &'static str)], text: &str) -> Answer {
    Answer::Reply(StatusCode::OK, headers.to_vec(), text.to_owned().into())
}

fn json_answer(text: &str) -> Answer {
    Answer::Reply(StatusCode::OK, vec![JSON], text.to_owned().into())
}

/// Returns a request that streams, for any dialect.
fn streamed() -> String {
    let messages = json!([{"role": "user", "content": "hello"}]);
    json!({"model": "auto", "stream": true, "max_tokens": 9, "input": "hello", "messages": messages}).to_string()
}

async fn with_fallback(small: &Origin, frontier: &Origin) -> Gateway {
    Gateway::start(&Config { fallback: "[frontier]", ..Config::new(small, frontier) }).await
}

async fn ask(gateway: &Gateway, path: &str) -> Reply {
    Connection::open(gateway.listen, Framing::Length).await.post(Framing::Length, path, streamed()).await
}

const REAL: &str =
    "data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"from frontier\"}}]}\n\ndata: [DONE]\n\n";

#[tokio::test]
async fn an_error_instead_of_an_answer_goes_to_the_fallback_in_every_dialect() {
    let overloaded = "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"Overloaded\"}}\n\n";
    let after_ping = format!("event: ping\ndata: {{\"type\": \"ping\"}}\n\n{overloaded}");
    let after_start = format!("data: {{\"type\": \"message_start\", \"message\": {{\"id\": \"m\"}}}}\n\n{overloaded}");
    let failed = "data: {\"type\": \"response.created\", \"response\": {\"id\": \"r\"}}\n\n\
                  data: {\"type\": \"response.failed\", \"response\": {\"error\": {\"code\": \"server_error\", \"message\": \"x\"}}}\n\n";
    for (path, answer) in [
        (CHAT, events("data: {\"error\": {\"message\": \"x\", \"code\": 503}}\n\ndata: [DONE]\n\n")),
        (CHAT, events(": waiting\n\ndata: {\"error\": {\"message\": \"x\", \"code\": \"429\"}}\n\n")),
        ("/v1/completions", events("data: {\"object\": \"error\", \"message\": \"x\", \"code\": 500}\n\n")),
        ("/v1/messages", events(&after_ping)),
        ("/v1/messages", events(&after_start)),
        ("/v1/responses", events(failed)),
        (CHAT, events("")),
        (CHAT, events("data: [DONE]\n\n")),
        (CHAT, Answer::CutEvents(Bytes::from_static(b": ping\n\n"))),
        (CHAT, json_answer("{\"error\": {\"message\": \"x\", \"code\": 429}}")),
        (CHAT, json_answer("{\"error\": \"no capacity\"}")),
        (CHAT, typed(&[], "{\"error\": \"no capacity\"}")),
        (CHAT, typed(&[("content-type", "text/plain")], "{\"error\": \"no capacity\"}")),
        (CHAT, typed(&[("content-type", "application/octet-stream")], "data: {\"error\": {\"code\": 503}}\n\n")),
        (CHAT, typed(&[], "")),
        (
            "/v1/messages",
            json_answer("{\"type\": \"error\", \"error\": {\"type\": \"api_error\", \"message\": \"x\"}}"),
        ),
    ] {
        let small = Origin::answering([answer]).await;
        let frontier = Origin::answering([events(REAL)]).await;
        let gateway = with_fallback(&small, &frontier).await;

        let reply = ask(&gateway, path).await;

        let asked = String::from_utf8_lossy(&small.next().await.body).into_owned();
        assert_eq!((reply.status, reply.header("x-pointsman-model")), (StatusCode::OK, Some("frontier")), "{asked}");
        assert_eq!(reply.body, REAL, "{path}: nothing of the failed attempt");
        assert_eq!(reply.header("x-pointsman-attempts"), Some("2"));
    }
}

#[tokio::test]
async fn an_error_in_an_answer_counts_as_what_it_says() {
    let answers = (0..5).map(|_| events("data: {\"error\": {\"message\": \"x\", \"code\": 503}}\n\n"));
    let small = Origin::answering(answers).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;

    for _ in 0..5 {
        ask(&gateway, CHAT).await;
    }
    ask(&gateway, CHAT).await;

    until_metric(&gateway, "pointsman_upstream_attempts_total{outcome=\"server_error\",provider=\"one\"} 5").await;
    let ejected = "pointsman_upstream_ejections_total{cause=\"consecutive_failures\",";
    let peer = format!("peer=\"{}\",provider=\"one\"}} 1", small.address());
    until_metric(&gateway, &format!("{ejected}{peer}")).await;
    until_metric(&gateway, "pointsman_upstream_attempts_total{outcome=\"success\",provider=\"one\"} 0").await;
}

#[tokio::test]
async fn where_nothing_is_left_the_error_has_its_status_and_the_provider_s_words() {
    for (path, answer, status, kind) in [
        (CHAT, "data: {\"error\": {\"message\": \"busy now\", \"code\": 503}}\n\n", 503, "server_error"),
        (
            "/v1/messages",
            "data: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"busy now\"}}\n\n",
            529,
            "overloaded_error",
        ),
        (CHAT, "data: {\"error\": {\"message\": \"busy now\"}}\n\n", 502, "server_error"),
    ] {
        let small = Origin::answering([events(answer)]).await;
        let gateway = Gateway::start(&Config::new(&small, &small)).await;

        let reply = ask(&gateway, path).await;

        let error = &reply.json()["error"];
        assert_eq!((reply.status.as_u16(), reply.error_code().as_str()), (status, "upstream_refused"), "{path}");
        assert_eq!(error["type"], kind);
        assert!(error["message"].as_str().is_some_and(|message| message.contains("busy now")), "{error}");
    }
}

#[tokio::test]
async fn a_prompt_that_is_too_long_by_an_event_goes_to_a_larger_window() {
    let too_long = "data: {\"type\": \"response.failed\", \"response\": {\"error\": {\"code\": \"context_length_exceeded\", \"message\": \"x\"}}}\n\n";
    let small = Origin::answering([events(too_long)]).await;
    let frontier = Origin::answering([events(REAL)]).await;
    let gateway = with_fallback(&small, &frontier).await;

    let reply = ask(&gateway, "/v1/responses").await;

    assert_eq!((reply.status, reply.header("x-pointsman-model")), (StatusCode::OK, Some("frontier")));
}

#[tokio::test]
async fn an_answer_goes_out_with_its_first_real_event_and_with_all_that_came_before() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(8);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let gateway = Gateway::start(&Config::new(&small, &small)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        let opening = "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {}}\n\n: still here\n\n";
        let first =
            "data: {\"type\": \"content_block_start\", \"index\": 0, \"content_block\": {\"type\": \"text\"}}\n\n";
        for piece in [opening, first] {
            sender.send(piece.into()).await.expect("room");
        }

        let response = connection.start(framing, "/v1/messages", streamed()).await;

        let mut body = response.into_body();
        let mut read = Vec::new();
        while read.len() < opening.len() + first.len() {
            let frame = soon("the opening", body.frame()).await.expect("a frame").expect("no error");
            read.extend_from_slice(&frame.into_data().expect("data"));
        }
        assert_eq!(String::from_utf8_lossy(&read), format!("{opening}{first}"), "{framing:?}");
        drop(sender); // the stream was open until now
    }
}

#[tokio::test]
async fn an_opening_is_not_held_for_ever() {
    let ask = async |framing: Framing| {
        let (sender, chunks) = mpsc::channel(8);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let gateway = Gateway::start(&Config::new(&small, &small)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        let opening = "data: {\"type\": \"message_start\", \"message\": {}}\n\n";
        sender.send(opening.into()).await.expect("room");

        let mut body = connection.start(framing, "/v1/messages", streamed()).await.into_body();

        let first = soon("the opening", body.frame()).await.expect("a frame").expect("no error");
        assert_eq!(first.into_data().expect("data"), opening, "{framing:?}");
        sender.send(REAL.into()).await.expect("the gateway reads");
        drop(sender);
        let rest = soon("the end", body.collect()).await.expect("a whole stream").to_bytes();
        assert_eq!(rest, REAL, "{framing:?}");
    };

    tokio::join!(ask(Framing::Length), ask(Framing::H2Length));
}

#[tokio::test]
async fn an_error_after_something_real_is_the_client_s_to_see() {
    let late = "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\ndata: {\"error\": {\"message\": \"x\", \"code\": 503}}\n\n";
    let small = Origin::answering([events(late)]).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;

    let reply = ask(&gateway, CHAT).await;

    assert_eq!((reply.status, reply.body), (StatusCode::OK, Bytes::from_static(late.as_bytes())));
    assert!(frontier.take().is_none(), "the answer had begun");
}

#[tokio::test]
async fn an_answer_whose_error_is_null_is_an_answer() {
    let whole = "{\"status\": \"completed\", \"error\": null, \"output\": []}";
    let small = Origin::answering([json_answer(whole)]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, reply.body), (StatusCode::OK, Bytes::from_static(whole.as_bytes())));
}
