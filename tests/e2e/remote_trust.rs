//! A remote classifier over TLS: trusted by the operator's authority, under the name that it is asked for.

use std::path::Path;

use http::StatusCode;
use serde_json::json;

use crate::client::{chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};

fn asking(server: &Origin, tls: &str, small: &Origin, frontier: &Origin) -> Config {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let tls = tls.replace("FOLDER", &folder.display().to_string());
    let url = format!("https://{}", server.address());
    let heads = "heads: {tier: {labels: [simple, medium, complex]}}";
    Config {
        bundle: "".into(),
        classifier: format!(", remote: {{protocol: pointsman, url: '{url}', tls: {tls}, {heads}}}"),
        ..Config::classifying(small, frontier)
    }
}

/// A server with this many answers that say `simple`.
async fn judging(answers: usize) -> Origin {
    let server = Origin::with_tls().await;
    let tier = json!({"label": "simple", "probabilities": {"simple": 0.9, "medium": 0.05, "complex": 0.05}});
    let body = json!({"version": "1", "results": [{"heads": {"tier": tier}, "tokens": 3, "truncated": false}]});
    for _ in 0..answers {
        server.script(Answer::Reply(StatusCode::OK, Vec::new(), body.to_string().into()));
    }
    server
}

#[tokio::test]
async fn a_server_is_trusted_by_the_operator_s_authority_and_asked_by_its_name() {
    let (small, frontier, server) = (Origin::start().await, Origin::start().await, judging(2).await);
    let gateway = Gateway::start(&asking(&server, "{ca: FOLDER/ca.pem, sni: llm.test}", &small, &frontier)).await;

    let reply = chat(gateway.listen, question("auto", "a greeting")).await;

    assert_eq!(reply.header("x-pointsman-source"), Some("remote"), "{}", gateway.log());
    assert_eq!(reply.header("x-pointsman-model"), Some("small"));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_believed_and_gets_no_text() {
    for tls in ["{sni: llm.test}", "{ca: FOLDER/ca.pem, sni: other.test}"] {
        let (small, frontier, server) = (Origin::start().await, Origin::start().await, judging(2).await);
        let gateway = Gateway::start(&asking(&server, tls, &small, &frontier)).await;

        let reply = chat(gateway.listen, question("auto", "a greeting")).await;

        assert_eq!(reply.header("x-pointsman-reason"), Some("classifier_remote_unreachable"), "{tls}");
        assert!(server.take().is_none(), "{tls}");
        let detail = get(gateway.admin, "/readyz").await.json()["classifiers"]["default"]["detail"].clone();
        assert!(detail.as_str().is_some_and(|detail| detail.contains("certificate is not trusted")), "{tls}: {detail}");
    }
}
