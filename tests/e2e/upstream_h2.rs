//! An upstream that speaks HTTP/2: streams end when either side leaves, and closed connections cost the client nothing.

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};

use crate::client::{CHAT, Connection, Framing, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, Stalled};
use crate::reload::until_metric;
use crate::soon;

fn h2(small: &Origin, frontier: &Origin) -> Config {
    Config { one: vec!["http: h2".to_owned()], ..Config::new(small, frontier) }
}

#[tokio::test]
async fn a_client_that_leaves_a_request_for_which_there_is_no_window_resets_its_stream() {
    let frontier = Origin::start().await;
    // Pingora watches an HTTP/1 client only between two writes to an HTTP/2 upstream: its request is given up when the
    // patience for the first byte ends. An HTTP/2 client's is reset at once, long before.
    let patience = [(Framing::Length, "1s"), (Framing::H2Length, "10m"), (Framing::H2NoLength, "10m")];
    for (framing, first_byte) in patience {
        let mut stalled = Stalled::start().await;
        let config = Config { small: stalled.address, first_byte, ..h2(&frontier, &frontier) };
        let gateway = Gateway::start(&config).await;
        let listen = gateway.listen;
        let client = tokio::spawn(async move {
            let mut connection = Connection::open(listen, framing).await;
            connection.post(framing, CHAT, question("auto", &"x".repeat(5 << 20))).await
        });
        let left = stalled.next().await;

        client.abort();

        let reset = soon("the stream to be reset", left).await;
        assert!(reset.is_err(), "{framing:?}: the request's future is dropped, and its sender with it");
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_the_work_upstream() {
    for framing in Framing::ALL {
        let (mut release, held) = oneshot::channel();
        let small = Origin::answering([Answer::Held(held)]).await;
        let frontier = Origin::start().await;
        let gateway = Gateway::start(&h2(&small, &frontier)).await;
        let listen = gateway.listen;
        let client = tokio::spawn(async move {
            let mut connection = Connection::open(listen, framing).await;
            connection.post(framing, CHAT, question("auto", "think")).await
        });
        small.next().await;

        client.abort();

        soon("the origin to be left", release.closed()).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_it_upstream() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let frontier = Origin::start().await;
        let gateway = Gateway::start(&h2(&small, &frontier)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send(Bytes::from_static(b"data: 1\n\n")).await.expect("the origin listens");
        let mut body = connection.start(framing, CHAT, question("auto", "count")).await.into_body();
        soon("the first chunk", body.frame()).await.expect("a frame").expect("no error");

        drop((body, connection));

        soon("the origin to be left", sender.closed()).await;
    }
}

#[tokio::test]
async fn a_stream_that_pauses_for_too_long_ends_with_an_error_event_and_is_cancelled_upstream() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let frontier = Origin::start().await;
        let config = Config { first_byte: "10m", timeouts: ", idle: 300ms", ..h2(&small, &frontier) };
        let gateway = Gateway::start(&config).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send(Bytes::from_static(b"data: 1\n\n")).await.expect("the origin listens");
        let body = connection.start(framing, CHAT, question("auto", "count")).await.into_body();

        let got = soon("the end", body.collect()).await.expect("a whole stream").to_bytes();

        let got = std::str::from_utf8(&got).expect("text");
        let error = got.strip_prefix("data: 1\n\n").unwrap_or_else(|| panic!("{framing:?}: {got}"));
        assert!(error.contains("\"code\":\"upstream_timeout\""), "{framing:?}: {error}");
        soon("the origin to be left", sender.closed()).await;
        until_metric(&gateway, "pointsman_broken_streams_total{cause=\"cut\",model=\"small\"} 1").await;
    }
}

#[tokio::test]
async fn the_wait_for_the_first_byte_ends_in_time_although_pauses_may_be_longer() {
    // For an HTTP/2 client of an HTTP/2 upstream the longer of the two counts, see `body_adapter`.
    for framing in [Framing::Length, Framing::Chunked] {
        let (_release, held) = oneshot::channel();
        let small = Origin::answering([Answer::Held(held)]).await;
        let frontier = Origin::start().await;
        let gateway =
            Gateway::start(&Config { first_byte: "100ms", timeouts: ", idle: 10m", ..h2(&small, &frontier) }).await;
        let mut connection = Connection::open(gateway.listen, framing).await;

        let reply = connection.post(framing, CHAT, question("auto", "think")).await;

        assert_eq!((reply.status, reply.error_code()), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout".into()));
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_between_requests_costs_the_client_nothing() {
    for http in ["h1", "h2"] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let config = Config { one: vec![format!("http: {http}")], ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;
        let body = question("auto", &"x".repeat(200_000));

        for round in 0..10 {
            let reply = chat(gateway.listen, body.clone()).await;
            assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"small-1".into()), "{http}, {round}");
            assert_eq!(small.next().await.body.len(), body.len() + "small-1".len() - "auto".len());
            small.hang_up();
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_before_the_answer_is_answered_by_the_next_model() {
    let small = Origin::answering([Answer::HangUp]).await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&Config { fallback: "[frontier]", ..h2(&small, &frontier) }).await;
    let body = question("auto", &"x".repeat(200_000));

    let reply = chat(gateway.listen, body.clone()).await;

    assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
    assert_eq!(small.next().await.version, Version::HTTP_2);
    let next = frontier.next().await;
    assert_eq!((next.version, next.body.len()), (Version::HTTP_11, body.len() + "frontier-1".len() - "auto".len()));
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&h2(&small, &frontier)).await;
    chat(gateway.listen, question("auto", "the first opens it")).await;

    let asked: Vec<_> = (0..20).map(|_| tokio::spawn(chat(gateway.listen, question("auto", "hello")))).collect();
    for reply in asked {
        assert_eq!(soon("an answer", reply).await.expect("no panic").status, StatusCode::OK);
    }

    // How many is the scheduler's: those that come while the first is on its way back to the pool open their own.
    assert!(small.connections() < 21, "{} connections for 21 requests", small.connections());
}
