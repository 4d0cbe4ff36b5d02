//! What an answer used is counted while it passes, and a stream that breaks says so in its own shape.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{CHAT, Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

const JSON: (&str, &str) = ("content-type", "application/json");
const CONTENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hello world\"}}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000000,\"completion_tokens\":500000,\"prompt_tokens_details\":{\"cached_tokens\":64},\"completion_tokens_details\":{\"reasoning_tokens\":8}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// Starts a gateway whose `small` answers like this.
async fn gateway(answer: Answer) -> Gateway {
    let (small, frontier) = (Origin::answering([answer]).await, Origin::start().await);
    Gateway::start(&Config::new(&small, &frontier)).await
}

#[tokio::test]
async fn a_json_answer_is_counted_and_priced() {
    let usage = json!({"prompt_tokens": 1_000_000, "completion_tokens": 500_000});
    let answer = json!({"choices": [{"message": {"content": "hi"}}], "usage": usage}).to_string();
    let gateway = gateway(Answer::Reply(StatusCode::OK, vec![JSON], answer.clone().into())).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.body, answer, "accounting changes nothing");
    until_metric(&gateway, "pointsman_tokens_total{direction=\"input\",model=\"small\"} 1000000").await;
    until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 500000").await;
    until_metric(&gateway, "pointsman_cost_usd_total{model=\"small\"} 0.2").await;
    until_metric(&gateway, "pointsman_baseline_cost_usd_total{policy=\"auto\"} 6").await;
    until_metric(&gateway, "pointsman_usage_estimated_total{model=\"small\"} 0").await;
}

#[tokio::test]
async fn an_answer_without_a_type_or_with_a_vague_one_is_counted_by_what_it_is() {
    let json = "{\"choices\": [], \"usage\": {\"prompt_tokens\": 1000000, \"completion_tokens\": 500000}}";
    let events = [CONTENT, USAGE, DONE].concat();
    let (text, binary) = (("content-type", "text/plain"), ("content-type", "application/octet-stream"));
    for (headers, answer) in
        [(vec![], json), (vec![text], json), (vec![binary], json), (vec![], &*events), (vec![text], &*events)]
    {
        let gateway = gateway(Answer::Reply(StatusCode::OK, headers, answer.to_owned().into())).await;

        let reply = chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!(reply.body, answer);
        until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 500000").await;
    }
}

#[tokio::test]
async fn usage_that_is_less_than_was_sent_and_answered_is_not_believed() {
    let (prompt, answer) = ("word ".repeat(1500), "text ".repeat(100));
    let [first, last] =
        [r#"{"prompt_tokens":1500,"completion_tokens":100}"#, r#"{"prompt_tokens":0,"completion_tokens":0}"#];
    let whole = |usage: &str| format!("{{\"choices\":[{{\"message\":{{\"content\":\"{answer}\"}}}}],{usage}}}");
    let stream = |usage: &str| {
        let text = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{answer}\"}}}}]}}\n\n");
        format!("{text}data: {{\"choices\":[],{usage}}}\n\n{DONE}")
    };
    let said = |usage: &str| format!("\"usage\":{usage}");
    let little = r#"{"prompt_tokens":20,"completion_tokens":0,"cost":0}"#;
    for answer in [
        whole(&said(last)),
        whole(&said(little)),
        whole(&format!("{},{}", said(first), said(last))),
        stream(&said(last)),
        stream(&said(little)),
    ] {
        let kind = if answer.starts_with('{') { JSON } else { ("content-type", "text/event-stream") };
        let gateway = gateway(Answer::Reply(StatusCode::OK, vec![kind], answer.clone().into())).await;

        assert_eq!(chat(gateway.listen, question("auto", &prompt)).await.status, StatusCode::OK);

        until_metric(&gateway, "pointsman_usage_unknown_total{model=\"small\"} 1").await;
        until_metric(&gateway, "pointsman_usage_estimated_total{model=\"small\"} 1").await;
        let metrics = get(gateway.admin, "/metrics").await.body;
        let tokens = |direction: &str| {
            let name = format!("pointsman_tokens_total{{direction=\"{direction}\",model=\"small\"}} ");
            let count =
                String::from_utf8_lossy(&metrics).lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
            count.unwrap_or(0_u64)
        };
        assert!(tokens("input") >= 1500 && (90..200).contains(&tokens("output")), "{answer:?}");
    }
}

#[tokio::test]
async fn a_stream_is_counted_timed_and_passed_as_it_came() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let gateway = gateway(Answer::Events(chunks)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send(CONTENT.into()).await.expect("the origin listens");
        let mut body = connection.start(framing, CHAT, question("auto", "hello")).await.into_body();
        let (first_half, second_half) = USAGE.split_at(70);
        for (chunks, event) in [(&[][..], CONTENT), (&[first_half, second_half], USAGE), (&[DONE], DONE)] {
            for chunk in chunks {
                sender.send((*chunk).into()).await.expect("the origin listens");
            }
            let frame = soon(event, body.frame()).await.expect("a frame").expect("no error");
            assert_eq!(frame.into_data().expect("data"), event, "{framing:?}");
        }
        drop(sender);
        soon("the end", body.collect()).await.expect("a whole stream");

        for line in [
            "pointsman_tokens_total{direction=\"input\",model=\"small\"} 1000000",
            "pointsman_tokens_total{direction=\"output\",model=\"small\"} 500000",
            "pointsman_tokens_total{direction=\"cached\",model=\"small\"} 64",
            "pointsman_tokens_total{direction=\"reasoning\",model=\"small\"} 8",
            "pointsman_inter_chunk_seconds_count{model=\"small\"} 3",
            "pointsman_tokens_per_second_count{model=\"small\"} 1",
            "pointsman_first_byte_seconds_count{model=\"small\"} 1",
            "pointsman_broken_streams_total{cause=\"unfinished\",model=\"small\"} 0",
        ] {
            until_metric(&gateway, line).await;
        }
    }
}

#[tokio::test]
async fn a_stream_without_usage_is_estimated_and_marked() {
    let events = [CONTENT, DONE].concat();
    let gateway =
        gateway(Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], events.into())).await;

    chat(gateway.listen, question("auto", "hello")).await;

    until_metric(&gateway, "pointsman_usage_estimated_total{model=\"small\"} 1").await;
    until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 2").await;
}

#[tokio::test]
async fn a_compressed_answer_passes_untouched_and_its_usage_is_unknown() {
    let headers = vec![JSON, ("content-encoding", "gzip")];
    let gateway = gateway(Answer::Reply(StatusCode::OK, headers, Bytes::from_static(b"\x1f\x8bnot read"))).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.body, Bytes::from_static(b"\x1f\x8bnot read"));
    until_metric(&gateway, "pointsman_usage_unknown_total{model=\"small\"} 1").await;
}

#[tokio::test]
async fn the_access_line_says_tokens_cost_and_first_byte() {
    let gateway = gateway(Answer::Completion).await;

    chat(gateway.listen, question("auto", "hello")).await;

    soon("an access line", async {
        while !["input_tokens", "output_tokens", "cost_usd", "first_byte_ms"]
            .iter()
            .all(|field| gateway.log().contains(field))
        {
            get(gateway.admin, "/healthz").await; // yields until the gateway has had time to write
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_the_upstream_cuts_ends_with_an_error_event_and_nothing_of_half_an_event() {
    let half = format!("{CONTENT}data: {{\"choices\":[{{\"del");
    for (framing, sent) in Framing::ALL.into_iter().flat_map(|framing| [(framing, CONTENT), (framing, &*half)]) {
        let gateway = gateway(Answer::CutEvents(Bytes::copy_from_slice(sent.as_bytes()))).await;
        let mut connection = Connection::open(gateway.listen, framing).await;

        let (got, whole) = read_all(&mut connection, framing, CHAT).await;

        let event = got.strip_prefix(CONTENT).and_then(|rest| rest.strip_prefix("data: "));
        let event = event.unwrap_or_else(|| panic!("{framing:?}: {got}"));
        let error: Value = serde_json::from_str(event).expect("one event");
        assert_eq!(error["error"]["code"], "upstream_error", "{framing:?}");
        assert!(whole, "{framing:?}: a client may throw away what it has not read of a broken body");
        until_metric(&gateway, "pointsman_broken_streams_total{cause=\"cut\",model=\"small\"} 1").await;
        until_metric(&gateway, "pointsman_rejections_total{code=\"upstream_error\"} 1").await;
        until_metric(&gateway, "pointsman_usage_estimated_total{model=\"small\"} 1").await;
    }
}

#[tokio::test]
async fn a_stream_that_had_ended_before_it_was_cut_gets_no_error() {
    let events = [CONTENT, USAGE, DONE].concat();
    let gateway = gateway(Answer::CutEvents(events.clone().into())).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;

    let (got, whole) = read_all(&mut connection, Framing::Length, CHAT).await;

    assert_eq!((got, whole), (events, true));
    until_metric(&gateway, "pointsman_broken_streams_total{cause=\"cut\",model=\"small\"} 0").await;
}

#[tokio::test]
async fn an_anthropic_stream_that_is_cut_says_so_as_anthropic_does() {
    let part = "event: content_block_start\ndata: {\"type\": \"content_block_start\"}\n\n";
    let origin = Origin::answering([Answer::CutEvents(Bytes::from_static(part.as_bytes()))]).await;
    let config = Config { default_provider: Some("one"), ..Config::new(&origin, &origin) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;

    let (got, whole) = read_all(&mut connection, Framing::Length, "/v1/messages").await;

    let event = got.strip_prefix(part).expect("what the upstream sent");
    let data = event.strip_prefix("event: error\ndata: ").expect("an error event");
    let error: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("api_error")));
    assert!(whole);
}

#[tokio::test]
async fn a_response_that_is_cut_fails_under_its_own_id() {
    let created = "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\"}}\n\n";
    let delta = "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"hi\"}\n\n";
    let part = [created, delta].concat();
    for framing in [Framing::Length, Framing::H2Length] {
        let origin = Origin::answering([Answer::CutEvents(part.clone().into())]).await;
        let gateway = Gateway::start(&Config { default_provider: Some("one"), ..Config::new(&origin, &origin) }).await;
        let mut connection = Connection::open(gateway.listen, framing).await;

        let (got, whole) = read_all(&mut connection, framing, "/v1/responses").await;

        let event = got.strip_prefix(&part).expect("what the upstream sent");
        let failed = event.strip_prefix("event: response.failed\ndata: ").expect("the end of a response");
        let failed: Value = serde_json::from_str(failed).expect("JSON");
        assert_eq!((&failed["sequence_number"], &failed["response"]["id"]), (&json!(2), &json!("resp_1")));
        assert_eq!(failed["response"]["error"]["code"], "upstream_error");
        assert!(whole, "{framing:?}");
    }
}

#[tokio::test]
async fn what_a_client_that_left_has_read_is_counted_and_no_fault_of_the_upstream() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let gateway = gateway(Answer::Events(chunks)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send(CONTENT.into()).await.expect("the origin listens");
        let mut body = connection.start(framing, CHAT, question("auto", "hello")).await.into_body();
        soon("the first chunk", body.frame()).await.expect("a frame").expect("no error");

        drop((body, connection));

        soon("the origin to be left", sender.closed()).await;
        until_metric(&gateway, "pointsman_usage_estimated_total{model=\"small\"} 1").await;
        until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 2").await;
        until_metric(&gateway, "pointsman_broken_streams_total{cause=\"cut\",model=\"small\"} 0").await;
        until_metric(&gateway, "pointsman_broken_streams_total{cause=\"unfinished\",model=\"small\"} 0").await;
    }
}

/// Returns what came of an answer's body, and whether it came to a proper end.
async fn read_all(connection: &mut Connection, framing: Framing, path: &str) -> (String, bool) {
    let mut body = connection.start(framing, path, question("auto", "hello")).await.into_body();
    let mut got = Vec::new();
    while let Some(frame) = soon("a frame", body.frame()).await {
        match frame {
            Ok(frame) => got.extend_from_slice(&frame.into_data().expect("data")),
            Err(_) => return (String::from_utf8(got).expect("text"), false),
        }
    }
    (String::from_utf8(got).expect("text"), true)
}

#[tokio::test]
async fn a_usage_event_that_only_we_asked_for_is_counted_and_not_passed_on() {
    let stream = || {
        let events = [CONTENT, USAGE, DONE].concat();
        Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], events.into())
    };
    let small = Origin::answering([stream(), stream()]).await;
    let adapt = "{set: {stream_options.include_usage: true}}";
    let gateway = Gateway::start(&Config { adapt, ..Config::new(&small, &Origin::start().await) }).await;
    let body = |options: Value| {
        json!({"model": "auto", "stream": true, "messages": [{"role": "user", "content": "hi"}], "stream_options": options})
            .to_string()
    };

    let unasked = chat(gateway.listen, body(json!({}))).await;
    let asked = chat(gateway.listen, body(json!({"include_usage": true}))).await;

    let sent: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!(sent["stream_options"]["include_usage"], true);
    assert_eq!(unasked.body, [CONTENT, DONE].concat());
    assert_eq!(asked.body, [CONTENT, USAGE, DONE].concat());
    until_metric(&gateway, "pointsman_tokens_total{direction=\"input\",model=\"small\"} 2000000").await;
}

/// A stream that says its usage, as often as it is asked for.
fn streams(count: usize) -> Vec<Answer> {
    let events = [CONTENT, USAGE, DONE].concat();
    let stream = || Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], events.clone().into());
    (0..count).map(|_| stream()).collect()
}

fn streamed(model: &str) -> String {
    json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string()
}

#[tokio::test]
async fn a_routed_stream_is_asked_for_its_usage_by_default() {
    let small = Origin::answering(streams(1)).await;
    let gateway = Gateway::start(&Config::new(&small, &Origin::start().await)).await;

    let reply = chat(gateway.listen, streamed("auto")).await;

    let sent: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    assert_eq!(reply.body, [CONTENT, DONE].concat());
    until_metric(&gateway, "pointsman_tokens_total{direction=\"reasoning\",model=\"small\"} 8").await;
    until_metric(&gateway, "pointsman_policy_cost_usd_total{model=\"small\",policy=\"auto\"} 0.2").await;
}

#[tokio::test]
async fn a_stream_is_not_asked_where_the_provider_or_the_model_says_so() {
    for (one, adapt) in [
        (vec!["stream_usage: false"], "{}"),
        (vec![], "{drop: [stream_options]}"),
        (vec![], "{set: {stream_options.include_usage: false}}"),
    ] {
        let small = Origin::answering(streams(1)).await;
        let frontier = Origin::start().await;
        let one = one.into_iter().map(str::to_owned).collect();
        let gateway = Gateway::start(&Config { one, adapt, ..Config::new(&small, &frontier) }).await;

        let reply = chat(gateway.listen, streamed("auto")).await;

        let sent: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
        assert_ne!(sent["stream_options"]["include_usage"], true, "{adapt}");
        assert_eq!(reply.body, [CONTENT, USAGE, DONE].concat(), "{adapt}: what nobody asked for is not ours to take");
    }
}
