//! A classifier that is missing, slow or wrong never fails a request: `otherwise` serves it, and the reason is shown.

use std::fs;
use std::path::Path;

use http::StatusCode;
use tempfile::TempDir;

use crate::client::{Connection, Framing, Reply, chat, get, question};
use crate::gateway::{Config, Gateway, bundle};
use crate::origin::Origin;
use crate::reload::until_metric;

#[tokio::test]
async fn a_bundle_that_is_missing_leaves_the_decision_to_otherwise() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { bundle: "no-such-bundle".into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    served_by_otherwise(&gateway, &reply, "bundle_unavailable").await;
}

#[tokio::test]
async fn a_library_that_is_missing_leaves_the_decision_to_otherwise() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let nowhere = [("ORT_DYLIB_PATH", "/no/such/libonnxruntime.so")];
    let bundle = without_lexical_forms();
    let config = Config { bundle: bundle.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start_with(&config, &nowhere).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    served_by_otherwise(&gateway, &reply, "runtime_missing").await;
}

#[tokio::test]
async fn a_classifier_that_is_slow_costs_its_deadline_and_no_more() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let bundle = without_lexical_forms();
    let config = Config { deadline: "1ms", bundle: bundle.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let takes_longer: String = (0..500).map(|word| format!("Word {word} is read. ")).collect();

    let reply = chat(gateway.listen, question("auto", &takes_longer)).await;

    served_by_otherwise(&gateway, &reply, "deadline").await;
}

#[tokio::test]
async fn a_bundle_whose_weights_were_changed_is_refused_at_the_start() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of_bundle();
    spoil(copy.path());
    let config = Config { bundle: copy.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    served_by_otherwise(&gateway, &reply, "bundle_unavailable").await;
    gateway.until_logged("heads.safetensors").await;
}

#[tokio::test]
async fn weights_that_go_bad_while_it_serves_change_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of_bundle();
    let config = Config { bundle: copy.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let before = chat(gateway.listen, question("auto", "hello")).await;

    spoil(copy.path());
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    let after = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(before.header("x-pointsman-reason"), Some("tier"), "{}", gateway.log());
    gateway.until_logged("heads.safetensors").await;
    for name in ["x-pointsman-reason", "x-pointsman-score", "x-pointsman-model", "x-pointsman-generation"] {
        assert_eq!(after.header(name), before.header(name));
    }
}

#[tokio::test]
async fn new_weights_are_swapped_in_while_it_serves() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of_bundle();
    let config = Config { bundle: copy.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let before = chat(gateway.listen, question("auto", "hello")).await;

    rename_version(copy.path(), "next-version");
    until_metric(&gateway, "pointsman_generation 2").await;
    let after = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((before.status, after.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(after.header("x-pointsman-generation"), Some("2"));
    assert_eq!(
        after.header("x-pointsman-score"),
        before.header("x-pointsman-score"),
        "the same weights under a new name"
    );
    let metrics = get(gateway.admin, "/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("next-version"), "the new version is shown");
}

#[tokio::test]
async fn weights_that_were_rolled_back_stay_out_until_there_are_others() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of_bundle();
    let config = Config { bundle: copy.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    rename_version(copy.path(), "second-version");
    until_metric(&gateway, "pointsman_generation 2").await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    admin.post(Framing::Length, "/rollback", String::new()).await;
    let version = async || {
        let ready = get(gateway.admin, "/readyz").await.json();
        ready["classifiers"]["default"]["version"].as_str().expect("a version").to_owned()
    };

    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(7);
    let file = fs::File::options().write(true).open(gateway.file());
    file.and_then(|file| file.set_modified(later)).expect("our own file");
    until_metric(&gateway, "pointsman_config_reloads_total{outcome=\"unchanged\"} 1").await;
    let touched = version().await;
    rename_version(copy.path(), "third-version");
    until_metric(&gateway, "pointsman_generation 4").await;

    assert_ne!(touched, "second-version", "{}", gateway.log());
    assert_eq!(version().await, "third-version", "{}", gateway.log());
}

/// Checks that `otherwise` served the request, and that header, metrics and readiness say why.
async fn served_by_otherwise(gateway: &Gateway, reply: &Reply, reason: &str) {
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(reply.json()["model"], "frontier-1");
    let shown = format!("classifier_{reason}");
    assert_eq!(reply.header("x-pointsman-reason"), Some(shown.as_str()));
    let decided = format!("pointsman_decisions_total{{model=\"frontier\",policy=\"auto\",reason=\"{shown}\"}} 1");
    until_metric(gateway, &decided).await;
}

/// Returns a copy of the default bundle in which nothing stands in for the encoder.
pub(crate) fn without_lexical_forms() -> TempDir {
    let copy = copy_of_bundle();
    let manifest = fs::read_to_string(copy.path().join("bundle.yaml")).expect("a manifest");
    let mut is_left_out = false;
    let kept = manifest.lines().filter(|line| {
        let is_within = is_left_out && line.starts_with("    "); // a confidence for each label
        is_left_out = is_within || line.starts_with("  stands_for:") || line.starts_with("  confidence:");
        !is_left_out
    });
    replace(&copy.path().join("bundle.yaml"), kept.map(|line| format!("{line}\n")).collect::<String>().as_bytes());
    copy
}

fn copy_of_bundle() -> TempDir {
    copy_of(&bundle())
}

pub(crate) fn copy_of(bundle: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(bundle).expect("the committed bundle") {
        let entry = entry.expect("a readable folder");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a file");
    }
    copy
}

/// Changes one byte of the weights.
fn spoil(bundle: &Path) {
    let file = bundle.join("heads.safetensors");
    let mut bytes = fs::read(&file).expect("weights");
    *bytes.last_mut().expect("weights are not empty") ^= 0x40;
    replace(&file, &bytes);
}

pub(crate) fn rename_version(bundle: &Path, version: &str) {
    let file = bundle.join("bundle.yaml");
    let text = fs::read_to_string(&file).expect("a manifest");
    let line = text.lines().find(|line| line.starts_with("version:")).expect("a version");
    replace(&file, text.replace(line, &format!("version: {version}")).as_bytes());
}

pub(crate) fn replace(file: &Path, bytes: &[u8]) {
    let next = file.with_extension("next");
    fs::write(&next, bytes).expect("a writable folder");
    fs::rename(next, file).expect("a writable folder");
}

#[tokio::test]
async fn without_onnx_runtime_lexical_heads_decide_and_header_metrics_and_readiness_say_so() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { bundle: fixture("cascade"), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start_with(&config, &[("ORT_DYLIB_PATH", "/no/such/libonnxruntime.so")]).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    let headers = ["reason", "label", "source", "degraded"].map(|name| reply.header(&format!("x-pointsman-{name}")));
    assert_eq!(headers, [Some("tier"), Some("simple"), Some("lexical_fallback"), Some("runtime_missing")]);
    until_metric(&gateway, "pointsman_classifier_degraded_total{classifier=\"default\",reason=\"runtime_missing\"} 1")
        .await;
    let answers = "pointsman_classifier_answers_total{classifier=\"default\",source=\"lexical_fallback\"} 1";
    until_metric(&gateway, answers).await;
    let ready = get(gateway.admin, "/readyz").await.json();
    assert_eq!((&ready["ready"], &ready["classifiers"]["default"]["state"]), (&true.into(), &"degraded".into()));
    let detail = ready["classifiers"]["default"]["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with("runtime_missing: the lexical heads decide"), "{detail}");
}

#[tokio::test]
async fn the_cascade_shows_which_stage_answered() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { bundle: fixture("cascade"), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let sure = chat(gateway.listen, question("auto", "hello")).await;
    let unsure = chat(gateway.listen, question("auto", "what is the time")).await;

    let sources = [&sure, &unsure].map(|reply| reply.header("x-pointsman-source"));
    assert_eq!(sources, [Some("lexical"), Some("encoder")], "{}", gateway.log());
    assert_eq!(sure.header("x-pointsman-degraded"), None);
    for source in ["lexical", "encoder"] {
        let line = format!("pointsman_classifier_answers_total{{classifier=\"default\",source=\"{source}\"}} 1");
        until_metric(&gateway, &line).await;
    }
}

#[tokio::test]
async fn what_was_cut_of_a_long_prompt_is_shown_and_may_leave_the_decision_to_otherwise() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = Config::classifying(&small, &frontier);
    config.classifier = ", cascade: {enabled: false}".to_owned();
    let gateway = Gateway::start(&config).await;
    let long: String = (0..100).map(|word| format!("word{word} ")).collect();

    let decided = chat(gateway.listen, question("auto", &long)).await;
    config.strategy = "max_truncated_tokens: 20";
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    let abstained = chat(gateway.listen, question("auto", &long)).await;
    let short = chat(gateway.listen, question("auto", "hello there")).await;

    let cut = decided.header("x-pointsman-truncated-tokens").and_then(|cut| cut.parse::<u32>().ok());
    assert!(cut > Some(100), "{cut:?} of at least 200 tokens");
    let shown = [&decided, &abstained, &short].map(|reply| reply.header("x-pointsman-reason"));
    assert_eq!(shown, [Some("tier"), Some("truncated"), Some("tier")]);
    assert_eq!(abstained.header("x-pointsman-model"), Some("frontier"));
}

pub(crate) fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
