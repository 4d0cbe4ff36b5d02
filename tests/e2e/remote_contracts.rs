//! The contract with a server that is there: another Pointsman that runs, asked in every protocol for what it has and for
//! what it has not.

use std::net::SocketAddr;

use serde_json::Value;

use crate::cli::{pointsman, text};
use crate::client::{chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::grpc_calls;
use crate::origin::Origin;
use crate::reload::until_metric;

const TIERS: &str = "simple, medium, complex";

/// A server, and the origins behind whoever asks it.
struct Asked {
    server: Gateway,
    small: Origin,
    frontier: Origin,
}

impl Asked {
    async fn start() -> Self {
        let server = grpc_calls::gateway("").await;
        Self { server, small: Origin::start().await, frontier: Origin::start().await }
    }

    fn http(&self) -> SocketAddr {
        self.server.admin
    }

    fn grpc(&self) -> SocketAddr {
        self.server.grpc.expect("the ready line names it")
    }

    /// Returns a configuration that asks a server, with nothing behind it.
    fn asking(&self, address: SocketAddr, remote: &str) -> Config {
        let classifier = format!(", remote: {{url: 'http://{address}', breaker: {{rest: 100ms}}, {remote}}}");
        Config { bundle: "".into(), classifier, ..Config::classifying(&self.small, &self.frontier) }
    }

    /// Returns the exit code of `check`, and what it says.
    async fn check(&self, address: SocketAddr, remote: &str) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("p.yaml");
        std::fs::write(&file, self.asking(address, remote).yaml()).expect("a writable folder");
        let run = move || pointsman(&["check", "-c", file.to_str().expect("a plain name")]);
        #[expect(clippy::disallowed_methods, reason = "a test may block a thread of its own")]
        let output = tokio::task::spawn_blocking(run).await.expect("no panic");
        (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    }
}

/// Returns the keys of a head that a tensor makes, with labels in an order.
fn tensor(labels: &str) -> String {
    format!("heads: {{tier: {{output: tier, labels: [{labels}]}}}}")
}

async fn detail(gateway: &Gateway) -> String {
    let ready: Value = get(gateway.admin, "/readyz").await.json();
    assert_eq!(ready["classifiers"]["default"]["state"], "degraded", "{ready}");
    ready["classifiers"]["default"]["detail"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_a_server_does_not_have_fails_the_check_in_every_protocol_with_the_server_s_words() {
    let asked = Asked::start().await;
    let (http, grpc, heads) = (asked.http(), asked.grpc(), tensor(TIERS));
    let row = format!("heads: {{tier: {{labels: [{TIERS}]}}}}");
    let asking = "heads: {tier: {labels: [simple, complex], question: {kind: choice, instructions: 'How hard?'}}}";

    for (address, remote, key, words) in [
        (http, "protocol: pointsman, model: zzz".to_owned(), "model", "There is no classifier `zzz`"),
        (http, format!("protocol: oip_http, model: zzz, {heads}"), "model", "There is no classifier `zzz`"),
        (http, format!("protocol: oip_http, model: default, version: '1', {heads}"), "model", "version `1`"),
        (grpc, format!("protocol: oip_grpc, model: zzz, {heads}"), "model", "There is no classifier `zzz`"),
        (grpc, format!("protocol: oip_grpc, model: default, version: '1', {heads}"), "model", "version `1`"),
        (http, format!("protocol: decisions, model: zzz, {asking}"), "model", "`zzz`"),
        (http, format!("protocol: systemone, model: zzz, {asking}"), "model", "status 404"),
        (http, format!("protocol: tei, {row}"), "protocol", "`tei`: status 4"),
        (http, format!("protocol: vllm, {row}"), "protocol", "`vllm`: status 404"),
        (http, format!("protocol: vllm_pooling, {row}"), "protocol", "`vllm_pooling`: status 404"),
        (http, format!("protocol: sglang, {row}"), "protocol", "`sglang`: status 4"),
        (http, format!("protocol: sglang_pooling, {row}"), "protocol", "`sglang_pooling`: status 404"),
        (grpc, format!("protocol: oip_http, model: default, {heads}"), "protocol", "does not answer `oip_http`"),
    ] {
        let (code, said) = asked.check(address, &remote).await;

        assert_eq!(code, Some(78), "{remote}: {said}");
        assert!(said.contains(words) && said.contains("classifiers.default: remote_"), "{remote}: {said}");
        assert!(said.contains(&format!(": {key}: {address} does not answer")), "{remote}: {said}");
        assert!(!said.contains("remote_unreachable: remote_"), "{said}");
    }
}

#[tokio::test]
async fn a_reload_that_misspells_the_model_is_refused_and_a_start_with_it_serves_by_the_next_step() {
    let asked = Asked::start().await;
    let right = format!("protocol: oip_http, model: default, {}", tensor(TIERS));
    let wrong = right.replace("model: default", "model: zzz");
    let gateway = Gateway::start(&asked.asking(asked.http(), &right)).await;
    let begun = Gateway::start(&asked.asking(asked.http(), &wrong)).await;

    gateway.write(&asked.asking(asked.http(), &wrong).yaml());
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    let kept = chat(gateway.listen, question("auto", "hi")).await;
    let next_step = chat(begun.listen, question("auto", "hi")).await;
    let said = detail(&begun).await;
    begun.write(&asked.asking(asked.http(), &right).yaml());
    until_metric(&begun, "pointsman_generation 2").await;
    let mended = chat(begun.listen, question("auto", "hi there")).await;

    assert_eq!((kept.header("x-pointsman-source"), kept.header("x-pointsman-generation")), (Some("remote"), Some("1")));
    let log = gateway.log();
    assert!(log.contains("remote.model") && log.contains("There is no classifier `zzz`"), "{log}");
    let given = (next_step.header("x-pointsman-model"), next_step.header("x-pointsman-reason"));
    assert_eq!(given, (Some("frontier"), Some("classifier_remote_refused")));
    assert!(said.starts_with("remote_refused: model: ") && said.contains("There is no classifier `zzz`"), "{said}");
    assert_eq!(mended.header("x-pointsman-source"), Some("remote"));
}

#[tokio::test]
async fn labels_in_another_order_than_the_server_s_fail_the_check_and_a_reload() {
    let asked = Asked::start().await;
    let servers = [("oip_http", asked.http()), ("oip_grpc", asked.grpc())];

    for (protocol, address) in servers {
        let of = |labels: &str| format!("protocol: {protocol}, model: default, {}", tensor(labels));
        let renamed = "protocol: PROTOCOL, model: default, heads: {tier: {labels: [low, mid, high], \
                       rename: {simple: low, medium: mid, complex: high}}}";
        let (right, said) = asked.check(address, &of(TIERS)).await;
        let (swapped, wrong) = asked.check(address, &of("complex, medium, simple")).await;
        let (unnamed, other) = asked.check(address, &of("a, b, c")).await;
        let gateway = Gateway::start(&asked.asking(address, &of(TIERS))).await;
        gateway.write(&asked.asking(address, &of("complex, medium, simple")).yaml());
        until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
        let easy = chat(gateway.listen, question("auto", "What is the capital of France?")).await;
        // Policies name the tiers; a head of other labels is refused for that, and not for the server's.
        let (_, renamed) = asked.check(address, &renamed.replace("PROTOCOL", protocol)).await;

        assert_eq!((right, swapped, unnamed), (Some(0), Some(78), Some(78)), "{protocol}: {said}\n{wrong}\n{other}");
        let flaw = "remote.heads.tier.labels: complex, medium, simple are not those of the server's values (allowed: simple, medium, complex, in that order)";
        assert!(wrong.contains(flaw), "{protocol}: {wrong}");
        assert!(other.contains("remote.heads.tier.labels: a, b, c are not"), "{protocol}: {other}");
        assert!(!renamed.contains("are not those of the server's values"), "{protocol}: {renamed}");
        let kept = (easy.header("x-pointsman-model"), easy.header("x-pointsman-generation"));
        assert_eq!(kept, (Some("small"), Some("1")), "{protocol}: {}", gateway.log());
    }
}
