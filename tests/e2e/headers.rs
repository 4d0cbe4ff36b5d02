//! Header fields that stop at the gateway, in both directions.

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::client::{CHAT, Connection, Framing, Raw, Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, Recorded};

/// Sends one request with these header fields; returns the answer and what arrived at `origin`.
async fn send(gateway: &Gateway, origin: &Origin, framing: Framing, fields: &[(&str, &str)]) -> (Reply, Recorded) {
    let mut connection = Connection::open(gateway.listen, framing).await;
    let mut request = connection.request(Method::POST, CHAT);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(framing.body(Bytes::from(question("auto", "hello")))).expect("a valid request");
    let reply = Reply::read(connection.send(request).await.expect("an answer")).await;
    (reply, origin.next().await)
}

#[tokio::test]
async fn a_clients_request_id_is_kept_and_a_missing_or_bad_one_is_made() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for framing in Framing::ALL {
        let (kept, arrived) = send(&gateway, &small, framing, &[("x-request-id", "trace-7/a")]).await;
        assert_eq!(arrived.header("x-request-id"), Some("trace-7/a"));
        for name in ["x-request-id", "x-pointsman-request-id"] {
            assert_eq!(kept.header(name), Some("trace-7/a"), "{framing:?}");
        }
        for fields in [&[][..], &[("x-request-id", "two words")][..]] {
            let (made, arrived) = send(&gateway, &small, framing, fields).await;
            assert!(made.header("x-request-id").is_some_and(|id| !id.contains(' ')), "{framing:?}");
            assert_eq!(arrived.header("x-request-id"), made.header("x-request-id"));
        }
    }
    gateway.until_logged("trace-7/a").await;
}

#[tokio::test]
async fn what_only_pointsman_may_say_is_neither_forwarded_nor_believed() {
    let lies =
        vec![("x-pointsman-model", "a-lie"), ("x-pointsman-label", "a-lie"), ("content-type", "application/json")];
    let small = Origin::answering([Answer::Reply(StatusCode::OK, lies, "{}".into())]).await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let (reply, arrived) = send(&gateway, &small, Framing::Length, &[("x-pointsman-label", "other")]).await;

    assert_eq!(arrived.header("x-pointsman-label"), None);
    assert_eq!((reply.header("x-pointsman-model"), reply.header("x-pointsman-label")), (Some("small"), None));
}

#[tokio::test]
async fn the_account_stays_hidden_on_routed_and_passed_answers_unless_it_is_exposed() {
    let account = || {
        let fields = vec![
            ("openai-organization", "org-1"),
            ("x-ratelimit-remaining-requests", "9"),
            ("set-cookie", "__cf_bm=1"),
            ("cf-ray", "1"),
            ("server", "cloudflare"),
            ("retry-after", "7"),
            ("x-request-id", "req_7"),
        ];
        Answer::Reply(StatusCode::TOO_MANY_REQUESTS, fields, "{}".into())
    };
    let (small, frontier) = (Origin::answering([account()]).await, Origin::answering([account()]).await);
    let mut config = Config::new(&small, &frontier);
    config.default_provider = Some("two");
    config.frontier_extra = "expose_headers: ['x-ratelimit-*']";
    config.sections = String::new();
    let gateway = Gateway::start(&config).await;

    let routed = chat(gateway.listen, question("auto", "hello")).await;
    let passed = chat(gateway.listen, question("gpt-4.1", "hello")).await;

    for (reply, shown) in [(&routed, None), (&passed, Some("9"))] {
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), shown);
        for hidden in ["openai-organization", "set-cookie", "cf-ray", "server"] {
            assert_eq!(reply.header(hidden), None, "{hidden}");
        }
        assert_eq!(reply.header("retry-after"), Some("7"));
        assert_eq!(reply.header("x-pointsman-upstream-request-id"), Some("req_7"));
    }
}

#[tokio::test]
async fn fields_of_one_connection_end_with_it() {
    let fields =
        vec![("keep-alive", "timeout=5"), ("proxy-authenticate", "Basic"), ("content-type", "application/json")];
    let small = Origin::answering([Answer::Reply(StatusCode::OK, fields, "{}".into())]).await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let body = question("auto", "hello");
    let length = body.len();

    let mut client = Raw::open(gateway.listen).await;
    client
        .write(format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nkeep-alive: 5\r\n\
             te: trailers\r\nproxy-authorization: Basic x\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    let head = client.read_head().await.to_lowercase();

    let arrived = small.next().await;
    for name in ["x-hop", "keep-alive", "te", "proxy-authorization"] {
        assert_eq!(arrived.header(name), None, "{name}");
    }
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(!head.contains("proxy-authenticate") && !head.contains("timeout=5"), "{head}");
}

#[tokio::test]
async fn upstreams_are_told_who_asks_as_the_listener_says() {
    let sent = [("x-forwarded-for", "10.1.1.1"), ("x-forwarded-proto", "https"), ("x-real-ip", "10.1.1.1")];
    for (mode, for_, proto, real) in [
        ("append", Some("10.1.1.1, 127.0.0.1"), Some("https"), Some("10.1.1.1")),
        ("replace", Some("127.0.0.1"), Some("http"), None),
        ("off", None, None, None),
    ] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let listen = format!("{{address: 127.0.0.1:0, forwarded: {mode}}}");
        let gateway = Gateway::start(&Config { listen, ..Config::new(&small, &frontier) }).await;

        let (_, arrived) = send(&gateway, &small, Framing::Length, &sent).await;

        let told = ["x-forwarded-for", "x-forwarded-proto", "x-real-ip"].map(|name| arrived.header(name));
        assert_eq!(told, [for_, proto, real], "{mode}");
    }
}
