//! The admin plane beside the data plane of the same process.

use http::StatusCode;

use crate::client::{Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;

#[tokio::test]
async fn health_and_readiness_are_answered() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    assert_eq!(get(gateway.admin, "/healthz").await.status, StatusCode::OK);
    assert_eq!(get(gateway.admin, "/readyz").await.status, StatusCode::OK);
    assert_ne!(gateway.listen, gateway.admin);
}

#[tokio::test]
async fn a_routed_request_is_counted_once() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    chat(gateway.listen, question("auto", "hello")).await;

    until_metric(&gateway, "pointsman_decisions_total{model=\"small\",policy=\"auto\",reason=\"rule\"} 1").await;
    until_metric(
        &gateway,
        "pointsman_request_duration_seconds_count{model=\"small\",policy=\"auto\",status_class=\"2xx\"} 1",
    )
    .await;
}

#[tokio::test]
async fn decide_says_what_would_happen_and_sends_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;

    let reply = admin.post(Framing::Length, "/v1/decide", question("auto", "hello")).await;

    let decision = reply.json();
    assert_eq!((reply.status, &decision["model"]), (StatusCode::OK, &"small".into()), "{decision}");
    assert_eq!((&decision["policy"], &decision["reason"]), (&"auto".into(), &"rule".into()), "{decision}");
    assert!(decision["features"]["tokens"].is_u64(), "{decision}");
    assert!(small.take().is_none());
}

#[tokio::test]
async fn neither_plane_serves_the_other_s_paths() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let metrics = get(gateway.listen, "/metrics").await;
    let chat = chat(gateway.admin, question("auto", "hello")).await;

    assert_eq!((metrics.status, chat.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
}
