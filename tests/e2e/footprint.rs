//! Memory that the process takes, and files that its libraries leave behind.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use http::StatusCode;

use crate::classifier::{copy_of, fixture, rename_version};
use crate::client::{Connection, Framing, chat, question};
use crate::gateway::{Config, Gateway, bundle};
use crate::origin::Origin;

/// The reloads after which memory is compared: the first ones find an allocator that has kept nothing yet.
const SETTLED: usize = 5;

/// The reloads of the test of swaps.
const SWAPS: usize = 20;

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_gateway_without_a_classifier_writes_to_little_memory() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config {
        rules: vec![("prompt.tokens > 1000", "frontier"), ("true", "small")],
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    let written = gateway.memory("RssAnon");
    assert!(written < 16 * MIB, "{written} bytes; a table that is built at the start, or pages of two megabytes?");
}

#[tokio::test]
async fn memory_after_many_swaps_of_weights_is_what_it_was_after_a_few() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let copy = copy_of(&bundle());
    let config = Config { bundle: copy.path().into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let mut written = Vec::new();

    for swap in 1..=SWAPS {
        rename_version(copy.path(), &format!("v{swap}"));
        let reload = admin.post(Framing::Length, "/reload", String::new()).await;
        let reply = chat(gateway.listen, question("auto", &format!("what is the time, {swap}"))).await;
        assert_eq!((reload.status, reply.status), (StatusCode::OK, StatusCode::OK), "{}", gateway.log());
        written.push(gateway.memory("RssAnon"));
    }

    // A generation that has just left may still be there: a leak shows in the least of several.
    let few = written[..=SETTLED].iter().max().expect("a few swaps");
    let many = written[SWAPS - SETTLED..].iter().min().expect("many swaps");
    assert!(many < &(few + few / 4), "{written:?}");
}

#[test]
fn the_library_that_runs_models_keeps_nothing_for_its_vendor() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    // Whatever tells the library that it is being tested would hide what a user's shell does not say.
    command.env_clear().env("HOME", home.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.envs(env::var_os("ORT_DYLIB_PATH").map(|library| ("ORT_DYLIB_PATH", library)));

    let verified = command.args(["bundle", "verify"]).arg(fixture("tiny")).output().expect("the binary starts");

    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(entries(home.path()), Vec::<String>::new());
}

/// Returns what is in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    entries.map(|entry| entry.expect("a readable folder").path().display().to_string()).collect()
}
