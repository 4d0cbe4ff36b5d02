//! Files that cannot be read as files refuse a load with the reason, at once, and never end, hang or crowd the process.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use http::StatusCode;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::classifier::{copy_of, fixture};
use crate::client::{Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::soon;

/// A configuration that names a file wherever one can be named.
const EVERY_FILE: &str = include_str!("../../crates/core/src/config/files/every_file.yaml");

/// Puts a pipe that nobody writes to at `path`, in the place of what is there.
fn put_pipe(path: &Path) {
    let _ = fs::remove_file(path); // nothing may be there
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a writable folder");
}

fn check(file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("check").arg("-c").arg(file).output().expect("the binary starts")
}

#[test]
fn every_file_that_a_configuration_names_may_be_a_pipe_and_check_says_so_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.yaml");
    fs::write(&file, EVERY_FILE).expect("written");
    // Of one section the first is named.
    let read = [
        "file-cert.pem",
        "file-admin-cert.pem",
        "file-hash-key",
        "file-sentinel-url",
        "file-store-password",
        "file-store-ca.pem",
        "file-otlp-ca.pem",
        "file-otlp-token",
        "file-metrics-ca.pem",
        "file-metrics-token",
        "file-provider-key",
    ];
    read.iter().for_each(|name| put_pipe(&folder.path().join(name)));

    let refused = check(&file);
    let seen = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{seen}");
    for name in read {
        let line = format!("{name}`: is a pipe (allowed: a regular file of at most");
        assert!(seen.contains(&line), "{line}\n{seen}");
    }
    put_pipe(&file);
    let itself = check(&file);
    let seen = String::from_utf8_lossy(&itself.stderr);
    assert_eq!(itself.status.code(), Some(78), "{seen}");
    assert!(seen.contains("is a pipe (allowed: a regular file of at most 1 MiB)"), "{seen}");
}

#[tokio::test]
async fn a_pipe_or_a_device_in_the_place_of_a_file_refuses_the_reload_and_the_next_one_works() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of(&fixture("tiny"));
    let bundle = copy.path().to_owned();
    let gateway = Gateway::start(&Config { bundle, ..Config::new(&small, &frontier) }).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let manifest = copy.path().join("bundle.yaml");
    let text = fs::read(&manifest).expect("a manifest");

    for pipe in [gateway.file(), copy.path().join("golden.json"), manifest.clone()] {
        let before = fs::read(&pipe).expect("a file");
        put_pipe(&pipe);
        let refused = admin.post(Framing::Length, "/reload", String::new()).await;
        let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("is a pipe (allowed: a regular file of at most"), "{message}");
        assert_eq!(chat(gateway.listen, question("auto", "hello")).await.status, StatusCode::OK);

        fs::remove_file(&pipe).expect("the pipe");
        fs::write(&pipe, before).expect("the file");
        let again = admin.post(Framing::Length, "/reload", String::new()).await;
        assert_eq!(again.status, StatusCode::OK, "{:?}", again.body);
    }
    fs::remove_file(&manifest).expect("the manifest");
    std::os::unix::fs::symlink("/dev/zero", &manifest).expect("a link");
    let refused = admin.post(Framing::Length, "/reload", String::new()).await;
    let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("is a device (allowed: a regular file of at most"), "{message}");
    fs::remove_file(&manifest).expect("the link");
    fs::write(&manifest, text).expect("the manifest");
}

#[tokio::test]
async fn hundreds_who_ask_for_a_reload_and_leave_cost_no_threads_and_the_next_one_is_answered() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = Gateway::start(&Config::classifying(&small, &frontier)).await;

    for round in 0..3 {
        for _ in 0..100 {
            let mut admin = Connection::open(gateway.admin, Framing::Length).await;
            let asked = tokio::spawn(async move { admin.post(Framing::Length, "/reload", String::new()).await.status });
            tokio::task::yield_now().await;
            if round > 0 {
                asked.abort();
            }
            gateway.signal(Signal::HUP);
        }
    }
    let threads = gateway.thread_names().len();
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let answered = soon("an answer", admin.post(Framing::Length, "/reload", String::new())).await;

    assert!(threads < 40, "{threads} threads");
    assert_eq!(answered.status, StatusCode::OK, "{:?}", answered.body);
    let metrics = String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).into_owned();
    let count = |line: &str| line.strip_prefix("pointsman_config_reloads_total{outcome=\"unchanged\"} ")?.parse().ok();
    let reloads: u64 = metrics.lines().find_map(count).unwrap_or_default();
    assert!((1..300).contains(&reloads), "{reloads} reloads of more than 300 that were asked for");

    // Whatever is being loaded does not hold up the end.
    gateway.signal(Signal::HUP);
    assert_eq!(gateway.stop().code(), Some(0), "a clean end");
}

/// Returns a bundle whose first golden input keeps its session busy without end.
fn endless_bundle() -> TempDir {
    let copy = copy_of(&fixture("endless"));
    let [golden, manifest] = ["golden.json", "bundle.yaml"].map(|name| copy.path().join(name));
    let before = fs::read(&golden).expect("golden inputs");
    let mut inputs: serde_json::Value = serde_json::from_slice(&before).expect("JSON");
    inputs[0]["text"] = "forever".into();
    let after = serde_json::to_vec(&inputs).expect("JSON");
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = fs::read_to_string(&manifest).expect("a manifest").replace(&hash(&before), &hash(&after));
    fs::write(golden, after).and_then(|()| fs::write(manifest, text)).expect("a writable folder");
    copy
}

#[tokio::test]
async fn a_build_that_never_ends_holds_up_neither_requests_nor_the_end_of_the_process() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { bundle: fixture("tiny"), ..Config::new(&small, &frontier) };
    let mut gateway = Gateway::start(&config).await;
    let endless = endless_bundle();

    gateway.write(&Config { bundle: endless.path().to_owned(), ..config }.yaml());
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let asked = tokio::spawn(async move { admin.post(Framing::Length, "/reload", String::new()).await.status });
    soon("the build", async {
        while !gateway.thread_names().contains(&"load".to_owned()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..20 {
        let reply = chat(gateway.listen, question("auto", "hello")).await;
        assert_eq!((reply.status, reply.header("x-pointsman-generation")), (StatusCode::OK, Some("1")));
    }

    assert!(!asked.is_finished(), "the build does not end");
    // The client of that reload is still there, and is not waited for.
    assert_eq!(gateway.stop().code(), Some(0), "a clean end");
}

#[test]
fn a_start_with_a_pipe_in_the_place_of_the_file_ends_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.yaml");
    put_pipe(&file);

    let started = Command::new(env!("CARGO_BIN_EXE_pointsman")).arg("serve").arg("-c").arg(&file).output();

    let started = started.expect("the binary starts");
    let seen = String::from_utf8_lossy(&started.stderr);
    assert_eq!(started.status.code(), Some(78), "{seen}");
    assert!(seen.contains("is a pipe (allowed: a regular file of at most 1 MiB)"), "{seen}");
}
