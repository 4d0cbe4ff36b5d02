//! Event streams pass as they come, and end when either side leaves.

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};

use crate::client::{CHAT, Connection, Framing, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::soon;

#[tokio::test]
async fn every_chunk_arrives_before_the_next_one_is_sent() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let frontier = Origin::start().await;
        let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;

        let event = |number: u32| format!("data: {{\"chunk\": {number}}}\n\n");
        sender.send(event(0).into()).await.expect("the origin listens");
        let response = connection.start(framing, CHAT, question("auto", "count")).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-pointsman-model"], "small");
        let mut body = response.into_body();
        for number in 0..20 {
            if number > 0 {
                sender.send(event(number).into()).await.expect("the origin listens");
            }
            let event = event(number);
            let frame = soon(&event, body.frame()).await.expect("a frame").expect("no error");
            assert_eq!(frame.into_data().expect("data"), event, "{framing:?}");
        }
        drop(sender);

        let rest = soon("the end", body.collect()).await.expect("a whole stream").to_bytes();
        assert!(rest.is_empty(), "{framing:?}: {rest:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_it_upstream() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let frontier = Origin::start().await;
        let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send(Bytes::from_static(b"data: 1\n\n")).await.expect("the origin listens");
        let mut body = connection.start(framing, CHAT, question("auto", "count")).await.into_body();
        soon("the first chunk", body.frame()).await.expect("a frame").expect("no error");

        drop((body, connection));

        soon("the origin to be left", sender.closed()).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_the_work_upstream() {
    for framing in Framing::ALL {
        let (mut release, held) = oneshot::channel();
        let small = Origin::answering([Answer::Held(held)]).await;
        let frontier = Origin::start().await;
        let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
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
async fn an_upstream_that_breaks_off_is_not_mistaken_for_a_whole_answer() {
    for framing in Framing::ALL {
        let small = Origin::answering([Answer::HangUpAfter(Bytes::from_static(b"{\"half"))]).await;
        let frontier = Origin::start().await;
        let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;

        let reply = connection.post(framing, CHAT, question("auto", "hello")).await;

        assert_eq!((reply.status.as_u16(), reply.error_code()), (502, "upstream_error".into()), "{framing:?}");
    }
}
