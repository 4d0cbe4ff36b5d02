//! The other subcommands, as an operator types them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn pointsman(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn every_file_in_config_is_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let files =
        fs::read_dir(folder).expect("the folder of examples").map(|entry| entry.expect("a readable folder").path());
    let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect();

    for file in &files {
        let checked = pointsman(&["check", "-c", file.to_str().expect("a plain name")]);

        assert!(checked.status.success(), "{}: {}", file.display(), text(&checked.stderr));
    }
    assert!(files.iter().any(|file| file.ends_with("quickstart.yaml")), "{files:?}");
}

#[test]
fn a_bad_file_ends_with_78_and_every_problem() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bad.yaml");
    let good = fs::read_to_string("config/quickstart.yaml").expect("the example");
    let bad = good
        .replace("default_provider: openai", "default_provider: nobody")
        .replace("body_idle: 30s", "body_idle: soon");
    fs::write(&file, bad).expect("a writable folder");

    for command in ["check", "serve"] {
        let checked = pointsman(&[command, "-c", file.to_str().expect("a plain name")]);

        let problems = text(&checked.stderr) + &text(&checked.stdout);
        assert_eq!(checked.status.code(), Some(78), "{command}: {problems}");
        for part in ["default_provider", "nobody", "limits.body_idle", "soon", "bad.yaml:"] {
            assert!(problems.contains(part), "{command} does not say `{part}`: {problems}");
        }
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let checked = pointsman(&["check", "-c", "no/such/file.yaml"]);

    assert_ne!(checked.status.code(), Some(0));
    assert!(text(&checked.stderr).contains("no/such/file.yaml"), "{checked:?}");
}

#[test]
fn bad_usage_ends_with_64() {
    assert_eq!(pointsman(&["serve", "--no-such-flag"]).status.code(), Some(64));
}

#[test]
fn decide_prints_one_json_object() {
    let decided = pointsman(&["decide", "-c", "config/quickstart.yaml", "--json", "What is the capital of France?"]);

    let decision: Value = serde_json::from_slice(&decided.stdout).expect("JSON on stdout and nothing else");
    assert!(decided.status.success(), "{}", text(&decided.stderr));
    assert_eq!((&decision["model"], &decision["reason"]), (&"small".into(), &"tier".into()), "{decision}");
}

#[test]
fn the_demo_shows_eight_prompts_and_ends() {
    let demo = pointsman(&["demo", "--once"]);

    let table = text(&demo.stdout);
    assert!(demo.status.success(), "{table}\n{}", text(&demo.stderr));
    for tier in ["simple", "complex"] {
        assert!(table.contains(tier), "no prompt is {tier}: {table}");
    }
}
