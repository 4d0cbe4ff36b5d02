//! Clients that hang up after the last event of a stream, as SDKs do, have their whole answer: they are counted as
//! served, and the upstream's connection is kept. Who leaves before is gone.

use http::Method;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::client::{CHAT, Connection, Framing};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

/// A stream: the path that is asked, what is asked, an event of its middle, and its last one.
struct Streamed {
    path: &'static str,
    ask: &'static str,
    middle: &'static str,
    last: &'static str,
}

/// The APIs of the upstream, which speaks whatever it is asked in.
const EVERY_API: &str = "dialects: [chat, responses, messages, gemini]";

const STREAMS: [Streamed; 8] = [
    Streamed {
        path: CHAT,
        ask: r#"{"model": "auto", "stream": true, "messages": [{"role": "user", "content": "hi"}]}"#,
        middle: "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n",
        last: "data: [DONE]\n\n",
    },
    Streamed {
        path: "/v1/completions",
        ask: r#"{"model": "auto", "stream": true, "prompt": "hi"}"#,
        middle: "data: {\"choices\":[{\"text\":\"hi\"}]}\n\n",
        last: "data: [DONE]\n\n",
    },
    Streamed {
        path: "/v1/messages",
        ask: r#"{"model": "auto", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]}"#,
        middle: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}\n\n",
        last: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    },
    Streamed {
        path: "/v1/responses",
        ask: r#"{"model": "auto", "stream": true, "input": "hi"}"#,
        middle: "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
        last: "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":2}}}\n\n",
    },
    Streamed {
        path: "/v1/responses",
        ask: r#"{"model": "auto", "stream": true, "input": "hi"}"#,
        middle: "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
        last: "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\"}}\n\n",
    },
    Streamed {
        path: "/v1/responses",
        ask: r#"{"model": "auto", "stream": true, "input": "hi"}"#,
        middle: "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
        last: "data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\"}}\n\n",
    },
    Streamed {
        path: "/v1beta/models/gemini:streamGenerateContent?alt=sse",
        ask: r#"{"contents": [{"parts": [{"text": "hi"}]}]}"#,
        middle: "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]}}]}\n\n",
        last: "data: {\"candidates\":[{\"content\":{\"parts\":[]},\"finishReason\":\"STOP\"}]}\n\n",
    },
    Streamed {
        path: "/api/chat",
        ask: r#"{"model": "llama", "messages": [{"role": "user", "content": "hi"}]}"#,
        middle: "data: {\"message\":{\"content\":\"hi\"},\"done\":false}\n\n",
        last: "data: {\"message\":{\"content\":\"\"},\"done\":true,\"eval_count\":2}\n\n",
    },
];

/// Starts the stream, reads these events of it, and hangs up.
async fn hang_up_after(address: std::net::SocketAddr, framing: Framing, stream: &Streamed, events: &[&str]) {
    let mut connection = Connection::open(address, framing).await;
    let request = connection.request(Method::POST, stream.path).header("content-type", "application/json");
    let request = request.body(framing.body(stream.ask.into())).expect("a valid request");
    let mut body = connection.send(request).await.expect("an answer").into_body();
    let (expected, mut got) = (events.concat(), Vec::new());
    while got.len() < expected.len() {
        let frame = soon("an event", body.frame()).await.expect("more").expect("no error");
        got.extend_from_slice(&frame.into_data().expect("data"));
    }
    assert_eq!(String::from_utf8_lossy(&got), expected);
}

#[tokio::test]
async fn who_hangs_up_after_the_last_event_is_served_and_the_upstream_keeps_its_connection() {
    for stream in STREAMS {
        for framing in [Framing::Length, Framing::H2Length] {
            let what = format!("{} {framing:?}", stream.path);
            let (sender, chunks) = mpsc::channel(2);
            let small = Origin::answering([Answer::Events(chunks)]).await;
            let gateway = Gateway::start(&Config {
                default_provider: Some("one"),
                one: vec![EVERY_API.to_owned()],
                ..Config::new(&small, &small)
            })
            .await;
            for event in [stream.middle, stream.last] {
                sender.send(event.into()).await.expect("the origin listens");
            }

            hang_up_after(gateway.listen, framing, &stream, &[stream.middle, stream.last]).await;
            small.next().await;
            drop(sender); // the upstream's own end, after the client's

            gateway.until_logged("status=200").await;
            let log = gateway.log();
            assert!(!log.contains("client_gone") && !log.contains("code="), "{what}: {log}");
            until_metric(&gateway, "pointsman_rejections_total{code=\"client_gone\"} 0").await;
            assert_eq!(small.connections(), 1, "{what}: the upstream's connection");
            assert!(hang_up_again(&gateway, &small, &stream).await, "{what}: the connection is used again");
        }
    }
}

/// Asks once more; returns whether the upstream has seen one connection for all.
async fn hang_up_again(gateway: &Gateway, small: &Origin, stream: &Streamed) -> bool {
    let (sender, chunks) = mpsc::channel(2);
    small.script(Answer::Events(chunks));
    for event in [stream.middle, stream.last] {
        sender.send(event.into()).await.expect("the origin listens");
    }
    hang_up_after(gateway.listen, Framing::Length, stream, &[stream.middle, stream.last]).await;
    small.connections() == 1
}

#[tokio::test]
async fn who_hangs_up_before_the_last_event_is_gone_and_the_upstream_s_work_ends() {
    for stream in STREAMS {
        for framing in [Framing::Length, Framing::H2Length] {
            let (sender, chunks) = mpsc::channel(2);
            let small = Origin::answering([Answer::Events(chunks)]).await;
            let gateway = Gateway::start(&Config {
                default_provider: Some("one"),
                one: vec![EVERY_API.to_owned()],
                ..Config::new(&small, &small)
            })
            .await;
            sender.send(stream.middle.into()).await.expect("the origin listens");

            hang_up_after(gateway.listen, framing, &stream, &[stream.middle]).await;

            soon("the origin to be left", sender.closed()).await;
            until_metric(&gateway, "pointsman_rejections_total{code=\"client_gone\"} 1").await;
        }
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_end_after_its_last_event_is_left_and_the_client_was_served() {
    let stream = &STREAMS[0];
    let (sender, chunks) = mpsc::channel(2);
    let small = Origin::answering([Answer::Events(chunks)]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    for event in [stream.middle, stream.last] {
        sender.send(event.into()).await.expect("the origin listens");
    }

    hang_up_after(gateway.listen, Framing::Length, stream, &[stream.middle, stream.last]).await;

    soon("the origin to be left", sender.closed()).await;
    gateway.until_logged("status=200").await;
    until_metric(&gateway, "pointsman_rejections_total{code=\"client_gone\"} 0").await;
    until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 2").await;
}
