//! Weights and devices come and go while it serves: no request notices, and what fails says which step and why.

use std::fs;
use std::path::Path;
use std::process::Command;

use http::StatusCode;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::classifier::{copy_of, fixture, rename_version, replace};
use crate::client::{CHAT, Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway, bundle};
use crate::origin::Origin;
use crate::reload::until_metric;
use crate::soon;

/// What goes wrong with a bundle.
type Damage = fn(&Path);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_are_swapped_and_rolled_back_under_load_without_a_failed_request_or_a_missed_deadline() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of(&bundle());
    // No cache and no cascade: every prompt needs the session that serves.
    let classifier = ", cache: {max_entries: 0}, cascade: {enabled: false}".to_owned();
    let config = Config { bundle: copy.path().into(), classifier, ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let (stop, stopped) = watch::channel(false);
    let (newest, mut generation) = watch::channel(0);
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        clients.spawn(ask_until(stopped.clone(), gateway.listen, newest.clone()));
    }

    for next in 2..=5 {
        rename_version(copy.path(), &format!("v{next}"));
        soon("the next generation", generation.wait_for(|seen| *seen >= next)).await.expect("clients run");
    }
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let back = admin.post(Framing::Length, "/rollback", String::new()).await;
    soon("the generation before", generation.wait_for(|seen| *seen >= 6)).await.expect("clients run");
    stop.send(true).expect("clients run");

    let mut answered = 0;
    while let Some(client) = soon("the clients' end", clients.join_next()).await {
        answered += client.expect("every answer was right");
    }
    assert_eq!(back.status, StatusCode::OK, "{:?}", back.body);
    let metrics = String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).into_owned();
    assert!(metrics.contains(r#"pointsman_model_info{classifier="default",sha256="#), "{metrics}");
    assert!(metrics.contains(r#"version="v4"} 1"#), "the rollback brought the fourth back\n{metrics}");
    let degraded = metrics.lines().filter(|line| line.starts_with("pointsman_classifier_degraded_total"));
    assert!(degraded.clone().count() > 0 && degraded.clone().all(|line| line.ends_with(" 0")), "{metrics}");
    let decided = format!("pointsman_classifier_answers_total{{classifier=\"default\",source=\"encoder\"}} {answered}");
    assert!(metrics.lines().any(|line| line == decided), "{decided}\n{metrics}");
}

/// Asks again and again on one connection; returns the number of answers, every one of them judged by the encoder.
async fn ask_until(stop: watch::Receiver<bool>, gateway: std::net::SocketAddr, newest: watch::Sender<u64>) -> usize {
    let mut connection = Connection::open(gateway, Framing::Length).await;
    let mut answered = 0;
    while !*stop.borrow() {
        let reply = connection.post(Framing::Length, CHAT, question("auto", "what is the time")).await;
        let shown = ["reason", "source"].map(|name| reply.header(&format!("x-pointsman-{name}")));
        assert_eq!((reply.status, shown), (StatusCode::OK, [Some("tier"), Some("encoder")]), "{:?}", reply.body);
        let generation: u64 =
            reply.header("x-pointsman-generation").and_then(|text| text.parse().ok()).expect("a number");
        newest.send_if_modified(|seen: &mut u64| {
            let is_newer = generation > *seen;
            *seen = generation.max(*seen);
            is_newer
        });
        answered += 1;
    }
    answered
}

#[tokio::test]
async fn a_bundle_that_went_bad_is_refused_at_the_step_that_finds_it_and_the_old_one_serves_on() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of(&fixture("tiny"));
    let config = Config { bundle: copy.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let before = chat(gateway.listen, question("auto", "hello")).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;

    let cases: [(&str, Damage); 6] = [
        ("model.onnx: sha256 is ", |bundle| damage(bundle, "model.onnx", |bytes| bytes[500] ^= 1)),
        ("(300 bytes), bundle.yaml says", |bundle| damage(bundle, "model.onnx", |bytes| bytes.truncate(300))),
        ("model.onnx: is not an ONNX model", |bundle| rewrite(bundle, "model.onnx", |_| b"no".to_vec())),
        ("golden.json: input 0 scores 0.437", |bundle| {
            rewrite(bundle, "golden.json", |text| String::from_utf8_lossy(&text).replacen("0.437", "0.537", 1).into());
        }),
        ("input 0 has tier: 3 scores, the bundle has mood: 3 scores", |bundle| {
            rewrite(bundle, "heads.safetensors", |bytes| swapped(&bytes, b"tier.", b"mood."));
            rewrite(bundle, "bundle.yaml", |bytes| swapped(&bytes, b"name: tier", b"name: mood"));
        }),
        ("lacks the label `easy`", |bundle| {
            rewrite(bundle, "bundle.yaml", |bytes| swapped(&bytes, b"labels: [simple", b"labels: [easy"));
        }),
    ];
    for (step, spoil) in cases {
        spoil(copy.path());
        let refused = admin.post(Framing::Length, "/reload", String::new()).await;
        let after = chat(gateway.listen, question("auto", "hello")).await;

        let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{step}: {message}");
        assert!(message.contains(step), "{step}: {message}");
        for name in ["generation", "score", "source"].map(|name| format!("x-pointsman-{name}")) {
            assert_eq!(after.header(&name), before.header(&name), "{step}");
        }
        restore(copy.path());
    }
}

#[tokio::test]
async fn a_device_that_is_not_there_is_fallen_back_from_loudly() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let classifier = ", device: {cuda: 7}".to_owned();
    let config = Config { bundle: fixture("tiny"), classifier, ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.header("x-pointsman-source"), Some("encoder"));
    until_metric(&gateway, "pointsman_classifier_device_info{classifier=\"default\",device=\"cpu\"} 1").await;
    until_metric(&gateway, "pointsman_classifier_device_fallbacks_total{classifier=\"default\"} 1").await;
    let shown = &get(gateway.admin, "/readyz").await.json()["classifiers"]["default"];
    assert_eq!((&shown["state"], &shown["device"]), (&"degraded".into(), &"cpu".into()));
    assert!(shown["detail"].as_str().is_some_and(|detail| detail.contains("cuda:7 does not work")), "{shown}");
    gateway.until_logged("Device does not work").await;
}

#[tokio::test]
async fn a_required_device_that_is_not_there_refuses_the_start() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    for (device, name) in [("{cuda: 7}", "cuda:7"), ("tensorrt", "tensorrt")] {
        let classifier = format!(", device: {device}, require: true");
        let config = Config { bundle: fixture("tiny"), classifier, ..Config::classifying(&small, &frontier) };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("pointsman.yaml");
        fs::write(&file, config.yaml()).expect("a writable folder");

        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let ended = command.arg("serve").arg("-c").arg(&file).current_dir(env!("CARGO_MANIFEST_DIR")).output();

        let ended = ended.expect("the binary starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(78), "{said}");
        assert!(said.contains(&format!("device {name} is required and does not work")), "{said}");
    }
}

/// Changes a file behind the manifest's back.
fn damage(bundle: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(bundle.join(file)).expect("a file of the bundle");
    change(&mut bytes);
    replace(&bundle.join(file), &bytes);
}

/// Changes a file and its hash in the manifest, as somebody would who trained the wrong thing.
fn rewrite(bundle: &Path, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let before = fs::read(bundle.join(file)).expect("a file of the bundle");
    let (old, after) = (hash(&before), change(before));
    let manifest = fs::read_to_string(bundle.join("bundle.yaml")).expect("a manifest").replace(&old, &hash(&after));
    replace(&bundle.join("bundle.yaml"), manifest.as_bytes());
    replace(&bundle.join(file), &after);
}

fn swapped(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut swapped = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        swapped.extend_from_slice(&rest[..at]);
        swapped.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    swapped.extend_from_slice(rest);
    swapped
}

fn restore(bundle: &Path) {
    for entry in fs::read_dir(fixture("tiny")).expect("the fixture") {
        let entry = entry.expect("an entry");
        replace(&bundle.join(entry.file_name()), &fs::read(entry.path()).expect("a file"));
    }
}
