//! The harness itself: what the other modules rely on.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};

use crate::client::{CHAT, Connection, Framing, Raw, chat, question};
use crate::origin::{Answer, Origin};
use crate::soon;

#[tokio::test]
async fn an_origin_records_what_arrives_and_answers_with_the_model() {
    let origin = Origin::start().await;

    for framing in Framing::ALL {
        let body = question("some-model", &"x".repeat(100_000));
        let reply = Connection::open(origin.address(), framing).await.post(framing, CHAT, body.clone()).await;

        let request = origin.next().await;
        assert_eq!(reply.json()["model"], "some-model");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", CHAT));
        assert_eq!(request.model(), "some-model");
        assert!(request.body == body, "{framing:?}: the body differs");
        let has_length = matches!(framing, Framing::Length | Framing::H2Length);
        assert_eq!(request.header("content-length").is_some(), has_length, "{framing:?}");
    }
}

#[tokio::test]
async fn an_origin_follows_its_script() {
    let teapot = Answer::Reply(StatusCode::IM_A_TEAPOT, vec![("retry-after", "7")], Bytes::from_static(b"short"));
    let origin = Origin::answering([teapot]).await;

    let scripted = chat(origin.address(), question("m", "a")).await;
    let after = chat(origin.address(), question("m", "b")).await;

    assert_eq!((scripted.status, scripted.header("retry-after")), (StatusCode::IM_A_TEAPOT, Some("7")));
    assert_eq!(scripted.body, "short");
    assert_eq!(after.status, StatusCode::OK);
}

#[tokio::test]
async fn an_event_leaves_the_origin_when_the_test_sends_it() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let origin = Origin::answering([Answer::Events(chunks)]).await;

        let mut connection = Connection::open(origin.address(), framing).await;
        let mut body = connection.start(framing, CHAT, question("m", "a")).await.into_body();
        for chunk in ["data: 1\n\n", "data: 2\n\n"] {
            sender.send(chunk.into()).await.expect("the origin listens");
            let frame = soon(chunk, body.frame()).await.expect("a frame").expect("no error");
            assert_eq!(frame.into_data().expect("data"), chunk);
        }
        drop(sender);

        let rest = soon("the end", body.collect()).await.expect("a whole stream").to_bytes();
        assert!(rest.is_empty(), "{framing:?}: {rest:?}");
    }
}

#[tokio::test]
async fn an_origin_that_hangs_up_is_an_error_to_its_client() {
    let origin = Origin::answering([Answer::HangUp, Answer::HangUpAfter(Bytes::from_static(b"{\"half"))]).await;
    let length = Framing::Length;

    let mut first = Connection::open(origin.address(), length).await;
    let request = first.request(http::Method::GET, "/").body(Default::default()).expect("a valid request");
    let before = first.send(request).await;
    let mut second = Connection::open(origin.address(), length).await;
    let during = second.start(length, CHAT, question("m", "a")).await;

    assert!(before.is_err());
    assert_eq!(during.status(), StatusCode::OK);
    assert!(soon("the broken body", during.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn an_origin_holds_its_answer_and_notices_a_client_that_leaves() {
    let (release, held) = oneshot::channel();
    let (mut abandoned, never) = oneshot::channel::<()>();
    let origin = Origin::answering([Answer::Held(held), Answer::Held(never)]).await;

    let patient = tokio::spawn(chat(origin.address(), question("m", "a")));
    origin.next().await;
    release.send(()).expect("the origin waits");
    let mut impatient = Raw::open(origin.address()).await;
    impatient.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    origin.next().await;
    drop(impatient);

    assert_eq!(patient.await.expect("no panic").status, StatusCode::OK);
    soon("the origin to notice", abandoned.closed()).await;
}
