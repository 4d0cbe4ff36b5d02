//! What watches a classifier changes nothing that it decides: shadows and drift.

use std::fs;

use serde_json::json;

use crate::classifier::{copy_of, fixture, rename_version};
use crate::cli::{pointsman, text};
use crate::client::{CHAT, Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;

const TEXTS: [&str; 4] = ["hello", "what is the time", "fix this code", "prove that two is even and a sum of primes"];

async fn metrics(gateway: &Gateway) -> String {
    String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).into_owned()
}

/// Sums the samples of a family whose labels hold `part`.
fn sum(metrics: &str, family: &str, part: &str) -> f64 {
    let samples = metrics.lines().filter(|line| line.starts_with(family) && line.contains(part));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn a_shadow_is_compared_label_by_label_and_by_cost_and_decides_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let plain = Config { bundle: fixture("tiny"), ..Config::classifying(&small, &frontier) };
    let shadow = format!(", shadow: {{bundle: {}, sample: 1}}", fixture("cascade").display());
    let shadowed = Gateway::start(&Config { classifier: shadow, ..plain.clone() }).await;
    let alone = Gateway::start(&plain).await;

    for text in TEXTS {
        let [with, without] =
            [chat(shadowed.listen, question("auto", text)).await, chat(alone.listen, question("auto", text)).await];
        for name in ["model", "label", "score", "source"].map(|name| format!("x-pointsman-{name}")) {
            assert_eq!(with.header(&name), without.header(&name), "{text}: {name}");
        }
    }
    until_metric(&shadowed, "pointsman_classifier_shadow_prompts_total{classifier=\"default\",outcome=\"scored\"} 4")
        .await;

    let metrics = metrics(&shadowed).await;
    assert_eq!(sum(&metrics, "pointsman_classifier_shadow_labels_total", "head=\"tier\""), 4.0, "{metrics}");
    let agreement = sum(&metrics, "pointsman_classifier_shadow_agreement_ratio", "head=\"tier\"");
    let agreed: f64 = ["simple", "medium", "complex"]
        .map(|label| {
            sum(&metrics, "pointsman_classifier_shadow_labels_total", &format!("live=\"{label}\",shadow=\"{label}\""))
        })
        .iter()
        .sum();
    assert_eq!(agreement, agreed / 4.0);
    for choice in ["live", "shadow"] {
        let cost = sum(&metrics, "pointsman_classifier_shadow_cost_usd_total", &format!("choice=\"{choice}\""));
        assert!(cost > 0.0, "{choice}: {metrics}");
    }
}

#[tokio::test]
async fn a_shadow_that_cannot_be_loaded_is_shown_and_harms_nobody() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let classifier = ", shadow: {bundle: no-such-bundle}".to_owned();
    let config = Config { bundle: fixture("tiny"), classifier, ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.header("x-pointsman-source"), Some("encoder"));
    let ready = get(gateway.admin, "/readyz").await.json();
    let shown = &ready["classifiers"]["default"];
    assert_eq!((&shown["state"], &shown["shadow"]["state"]), (&"ready".into(), &"unavailable".into()));
    assert!(shown["shadow"]["detail"].as_str().is_some_and(|detail| detail.contains("no-such-bundle")), "{ready}");
}

#[tokio::test]
async fn a_promotion_makes_the_shadow_serve() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let next = copy_of(&fixture("tiny"));
    rename_version(next.path(), "promoted");
    let classifier = format!(", shadow: {{bundle: {}}}", next.path().display());
    let config = Config { bundle: fixture("tiny"), classifier, ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let file = gateway.file();
    let file = file.to_str().expect("a plain name");
    let before = fs::read_to_string(file).expect("the configuration");

    let shown = pointsman(&["promote", "-c", file]);
    let unchanged = fs::read_to_string(file).expect("the configuration");
    let written = pointsman(&["promote", "-c", file, "--write"]);
    until_metric(&gateway, "pointsman_generation 2").await;
    let again = pointsman(&["promote", "-c", file, "--write"]);

    assert!(shown.status.success() && text(&shown.stdout).contains("+  default: {bundle: "), "{shown:?}");
    assert_eq!(unchanged, before);
    assert_eq!(text(&written.stdout), text(&shown.stdout));
    let ready = get(gateway.admin, "/readyz").await.json();
    assert_eq!(ready["classifiers"]["default"]["version"], "promoted");
    assert!(ready["classifiers"]["default"].get("shadow").is_none(), "{ready}");
    assert_eq!(again.status.code(), Some(64), "{again:?}");
}

#[tokio::test]
async fn drift_is_measured_against_what_the_bundle_was_validated_with() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = copy_of(&fixture("tiny"));
    let rows = folder.path().join("rows.jsonl");
    let lines: Vec<_> = (0..200).map(|n| json!({"prompt": TEXTS[n % 4], "label": "simple"}).to_string()).collect();
    fs::write(&rows, lines.join("\n")).expect("a writable folder");
    let path = folder.path().to_str().expect("a plain name");
    let written = pointsman(&["bundle", "reference", path, "--data", rows.to_str().expect("a plain name")]);
    assert!(written.status.success(), "{}", text(&written.stderr));
    let config = Config { bundle: folder.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;

    for _ in 0..500 {
        connection.post(Framing::Length, CHAT, question("auto", &TEXTS.concat())).await;
    }
    until_metric(&gateway, "pointsman_drift_window_prompts{classifier=\"default\"} 500").await;
    let metrics = metrics(&gateway).await;

    for signal in ["score.tier", "feature.text_chars", "feature.text_words"] {
        let psi = sum(&metrics, "pointsman_drift_psi", &format!("\"{signal}\""));
        assert!(psi > 0.25, "{signal}: {psi}");
    }
}
