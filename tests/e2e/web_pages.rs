//! What a web page in somebody's browser can do to either plane: nothing that a page of another origin may.

use std::fs;
use std::net::SocketAddr;

use http::{Method, StatusCode};
use serde_json::json;

use crate::client::{CHAT, Connection, Framing, Reply, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;

const PAGE: &[(&str, &str)] = &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];

/// Sends a body with these headers.
async fn send(to: SocketAddr, (method, path): (Method, &str), headers: &[(&str, &str)], body: String) -> Reply {
    let mut connection = Connection::open(to, Framing::Length).await;
    let request =
        headers.iter().fold(connection.request(method, path), |request, (name, value)| request.header(*name, *value));
    let request = request.body(Framing::Length.body(body.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_on_the_admin_plane() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let text = [("content-type", "text/plain")];
    let json = [("content-type", "application/json")];
    let kill = json!({"killed": true}).to_string();

    for headers in [[PAGE, &text].concat(), [PAGE, &json].concat(), [PAGE, &[]].concat()] {
        for (method, path) in [(Method::POST, "/rollback"), (Method::POST, "/reload"), (Method::PUT, "/kill-switch")] {
            let reply = send(gateway.admin, (method, path), &headers, kill.clone()).await;
            assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::FORBIDDEN, "cross_site"), "{path}");
        }
    }
    let plain = send(gateway.admin, (Method::PUT, "/kill-switch"), &text, kill).await;
    assert_eq!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(get(gateway.admin, "/kill-switch").await.json()["all"], false);
    assert_eq!(get(gateway.admin, "/generation").await.json()["generation"], 1);
}

#[tokio::test]
async fn a_page_of_another_origin_spends_no_key_and_gives_no_feedback_where_clients_need_none() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let log = "decision_log: {path: logs/d.jsonl, text: true}".to_owned();
    let config = Config { sections: log, default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let text = [("content-type", "text/plain")];
    let word = json!({"request_id": "a", "rating": "up"}).to_string();
    let own = gateway.listen.to_string();
    let own = [("origin", &*format!("http://{own}")), ("content-type", "application/json")];

    for (path, body) in [(CHAT, question("auto", "hi")), ("/v1/files", "x".to_owned()), ("/v1/feedback", word.clone())]
    {
        let reply = send(gateway.listen, (Method::POST, path), &[PAGE, &text].concat(), body).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::FORBIDDEN, "cross_site"), "{path}");
    }
    assert!(small.take().is_none() && frontier.take().is_none());
    let plain = send(gateway.listen, (Method::POST, "/v1/feedback"), &text, word.clone()).await;
    assert_eq!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let unlabelled = send(gateway.listen, (Method::POST, "/v1/feedback"), &[], word.clone()).await;
    assert_eq!(unlabelled.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(gateway.listen, (Method::POST, "/v1/feedback"), &own, word).await.status, StatusCode::OK);
    // A program's text is read for what it is, whatever its label.
    assert_eq!(send(gateway.listen, (Method::POST, CHAT), &text, question("auto", "hi")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_admin_plane_that_other_machines_reach_is_warned_of_at_start() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config::new(&small, &frontier);
    let gateway = Gateway::start_placed(&config, |folder, text| {
        let path = folder.join("open.yaml");
        let text = text.replace("admin: {address: 127.0.0.1:0}", "admin: {address: 0.0.0.0:0, allow_open: true}");
        fs::write(&path, text).expect("a writable folder");
        path
    })
    .await;

    gateway.until_logged("reads and changes what serves, without a key").await;
}
