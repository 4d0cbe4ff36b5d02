//! An upstream behind TLS is who it says, by the authorities and under the name that the operator gave.

use http::{StatusCode, Version};
use tokio::net::TcpListener;

use crate::client::{chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;

const CA: &str = concat!("ca: ", env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");

/// Asks an upstream that proves to be `llm.test` under these terms; returns the answer's status and code, and the HTTP
/// version that the upstream was asked in.
async fn ask(tls: &str, http: &str) -> (StatusCode, Option<String>, Option<Version>) {
    let (small, frontier) = (Origin::with_tls().await, Origin::start().await);
    let one = vec![format!("tls: {{{tls}}}"), format!("http: {http}")];
    let gateway = Gateway::start(&Config { scheme: "https", one, ..Config::new(&small, &frontier) }).await;

    let reply = chat(gateway.listen, question("auto", &"x".repeat(100_000))).await;

    let code = (reply.status != StatusCode::OK).then(|| reply.error_code());
    (reply.status, code, small.take().map(|request| request.version))
}

#[tokio::test]
async fn an_upstream_is_trusted_by_the_operator_s_authority_and_name() {
    let terms = format!("{CA}, sni: llm.test");

    for (http, version) in [("h1", Version::HTTP_11), ("h2", Version::HTTP_2), ("auto", Version::HTTP_2)] {
        assert_eq!(ask(&terms, http).await, (StatusCode::OK, None, Some(version)), "{http}");
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_prove_who_it_is_gets_no_request() {
    let refused = (StatusCode::BAD_GATEWAY, Some("upstream_unreachable".to_owned()), None);

    for terms in ["sni: llm.test".to_owned(), CA.to_owned(), format!("{CA}, sni: other.test")] {
        assert_eq!(ask(&terms, "h1").await, refused, "{terms}");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_or_never_ends_leaves_the_request_to_the_next_model() {
    let (stranger, silent) = (Origin::with_tls().await, TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    let silent_address = silent.local_addr().expect("a bound listener has an address");
    for (small, timeouts, cause, outcome) in [
        (stranger.address(), "", "connect", "connect_failed"),
        (silent_address, ", connect: 100ms", "connect_timeout", "connect_timeout"),
    ] {
        let frontier = Origin::start().await;
        let config =
            Config { small, scheme: "https", timeouts, fallback: "[frontier]", ..Config::new(&frontier, &frontier) };
        let gateway = Gateway::start(&config).await;

        let reply = chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()), "{cause}");
        let series = format!("{{cause=\"{cause}\",from=\"small\",to=\"frontier\"}} 1");
        until_metric(&gateway, &format!("pointsman_fallbacks_total{series}")).await;
        let series = format!("{{outcome=\"{outcome}\",provider=\"one\"}} 1");
        until_metric(&gateway, &format!("pointsman_upstream_attempts_total{series}")).await;
    }
    assert!(stranger.take().is_none());
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_timeout_to_the_client_and_a_connect_timeout_to_the_operator() {
    let (silent, frontier) = (TcpListener::bind("127.0.0.1:0").await.expect("a free port"), Origin::start().await);
    let small = silent.local_addr().expect("a bound listener has an address");
    let config = Config { small, scheme: "https", timeouts: ", connect: 100ms", ..Config::new(&frontier, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (StatusCode::GATEWAY_TIMEOUT, &"upstream_timeout".into())
    );
    let series = "{outcome=\"connect_timeout\",provider=\"one\"} 1";
    until_metric(&gateway, &format!("pointsman_upstream_attempts_total{series}")).await;
}

#[tokio::test]
async fn whoever_answers_is_trusted_when_the_operator_says_so() {
    let answered = (StatusCode::OK, None, Some(Version::HTTP_11));

    assert_eq!(ask("verify: false", "h1").await, answered);
}
