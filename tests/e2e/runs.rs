//! Records of runs: what a command read, with which seed, and the figures that came of it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::compared::answers;
use crate::gateway::Config;
use crate::origin::Origin;
use crate::training::{Folder, json, text};

/// Runs the binary in a folder, with nothing of MLflow in its environment but `tracking`.
fn run(within: &Path, arguments: &[&str], tracking: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).current_dir(within);
    for name in ["MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_TOKEN"] {
        command.env_remove(name);
    }
    command.envs(tracking.map(|url| ("MLFLOW_TRACKING_URI", url)));
    command.output().expect("the binary starts")
}

/// A folder with graded answers.
fn folder(prompts: usize) -> (Folder, PathBuf) {
    let folder = Folder::new();
    let graded = answers(&folder, prompts, |_, _| {});
    let within = graded.parent().expect("a folder").to_owned();
    (folder, within)
}

const EVAL: [&str; 4] = ["eval", "--answers", "graded.jsonl", "--json"];

fn listed(within: &Path) -> Vec<Value> {
    let list = json(&run(within, &["runs", "list", "--json"], None));
    list["runs"].as_array().expect("a list").clone()
}

#[test]
fn nothing_is_recorded_where_nobody_asked_for_it() {
    let (_folder, within) = folder(6);

    let output = run(&within, &EVAL, None);

    assert!(output.status.success() && !within.join("runs").exists(), "{}", text(&output.stderr));
    let list = run(&within, &["runs"], None);
    assert_eq!(list.status.code(), Some(69));
    assert!(text(&list.stderr).contains("pointsman runs init"), "{}", text(&list.stderr));
}

#[test]
fn a_folder_of_runs_takes_what_every_command_did() {
    let (_folder, within) = folder(6);

    assert!(run(&within, &["runs", "init"], None).status.success());
    let report = json(&run(&within, &EVAL, None));
    let failed = run(&within, &["eval", "--answers", "nothing.jsonl"], None);

    let runs = listed(&within);
    assert_eq!((runs.len(), failed.status.code()), (2, Some(65)), "{runs:?}");
    let done = &runs[0];
    assert_eq!((&done["command"], &done["seed"], &done["data"][0]["rows"]), (&json!("eval"), &json!(7), &json!(18)));
    assert_eq!((&done["data"][0]["sha256"], &done["arguments"]), (&report["data"]["sha256"], &json!(EVAL)));
    assert_eq!(done["figures"]["routers.auto.quality"], report["routers"][0]["quality"], "{done}");
    assert_eq!(done["versions"]["pointsman"], env!("CARGO_PKG_VERSION"));
    assert!(runs[1]["error"].as_str().is_some_and(|error| error.contains("nothing.jsonl")), "{}", runs[1]);
    let shown = text(&run(&within, &["runs", "show", "latest"], None).stdout);
    assert!(shown.contains("failed") && shown.contains("pointsman eval --answers nothing.jsonl"), "{shown}");
}

#[tokio::test]
async fn what_prepares_collects_and_grades_answers_leaves_a_record_too() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path of text").to_owned();
    fs::write(path("pointsman.yaml"), Config::classifying(&small, &frontier).yaml()).expect("written");
    fs::write(path("in.jsonl"), "{\"prompt\": \"What is 3 + 4?\", \"reference\": {\"number\": \"7\"}}\n")
        .expect("written");
    let runs = path("runs");
    let (config, prompts, ready) = (path("pointsman.yaml"), path("in.jsonl"), path("ready.jsonl"));
    let (answers, graded) = (path("answers.jsonl"), path("graded.jsonl"));

    for arguments in [
        &["prepare", &prompts, "--out", &ready][..],
        &["collect", "-c", &config, "--prompts", &ready, "--out", &answers],
        &["grade", &answers, "--out", &graded],
    ] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.args(arguments).args(["--runs", &runs]).current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = crate::soon("the command", command.output()).await.expect("the binary starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    let kept = listed(folder.path());
    let commands: Vec<&str> = kept.iter().filter_map(|run| run["command"].as_str()).collect();
    assert_eq!(commands, ["prepare", "collect", "grade"]);
    let [prepared, collected, graded_run] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((&prepared["figures"]["written"], &prepared["data"][0]["rows"]), (&json!(1.0), &json!(1)));
    assert_eq!((&collected["figures"]["answered"], &collected["out"][0]), (&json!(3.0), &json!(answers)));
    assert_eq!(collected["config"]["path"], json!(config));
    assert!(collected["bundles"][0]["sha256"].is_string(), "{collected}");
    assert_eq!((&graded_run["seed"], &graded_run["data"][0]["rows"]), (&json!(7), &json!(3)));
}

#[test]
fn two_runs_are_set_side_by_side() {
    let (_folder, within) = folder(30);
    let with = |models: &str| {
        let output = run(&within, &[&EVAL[..], &["--runs", "kept", "--seed", models]].concat(), None);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    with("7");
    with("8");
    let list = json(&run(&within, &["runs", "--runs", "kept", "list", "--command", "eval", "--json"], None));
    let ids: Vec<&str> = list["runs"].as_array().expect("a list").iter().filter_map(|run| run["id"].as_str()).collect();

    let compare = |more: &[&str]| {
        let arguments = [&["runs", "--runs", "kept", "compare", ids[0], ids[1]], more].concat();
        run(&within, &arguments, None)
    };
    let difference = json(&compare(&["--json"]));
    let shown = text(&compare(&[]).stdout);

    let facts = difference["facts"].as_array().expect("facts");
    let fact = |name: &str| facts.iter().find(|fact| fact["name"] == name).expect("a fact");
    assert_eq!((&fact("seed")["same"], &fact("data")["same"]), (&json!(false), &json!(true)));
    let figures = difference["figures"].as_array().expect("figures");
    let quality = figures.iter().find(|figure| figure["name"] == "routers.auto.quality").expect("a figure");
    assert_eq!(quality["difference"], 0.0);
    assert!(shown.contains("differs") && shown.contains("figures are the same in both"), "{shown}");
}

#[test]
fn a_tracking_server_that_does_not_answer_ends_nothing() {
    let (_folder, within) = folder(6);
    // A port that was free a moment ago, and where nobody listens.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let url = format!("http://{address}");

    let by_option = run(&within, &[&EVAL[..], &["--mlflow", &url]].concat(), None);
    let by_variable = run(&within, &EVAL, Some(&url));
    let other_kind = run(&within, &EVAL, Some("file:///tmp/mlruns"));
    let wrong = run(&within, &[&EVAL[..], &["--mlflow", "databricks"]].concat(), None);

    for output in [&by_option, &by_variable, &other_kind] {
        assert!(output.status.success() && json(output)["n"] == 6, "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("warning"), "{}", text(&output.stderr));
    }
    assert_eq!(wrong.status.code(), Some(64), "{}", text(&wrong.stderr));
}
