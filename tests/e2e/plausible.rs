//! `pointsman eval --plausibility`: the tier that serves prompts and conversations whose level people wrote down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::cli::{pointsman, text};

/// Models of `config/quickstart.yaml` beside the tiers of a report.
const TIERS: [(&str, &str); 3] = [("small", "bottom"), ("standard", "middle"), ("frontier", "top")];

fn eval(rows: &Path, more: &[&str]) -> Output {
    let rows = rows.to_str().expect("a plain name");
    let arguments = ["eval", "--bundle", "models/pointsman-mini", "--head", "tier", "--plausibility", rows];
    pointsman(&[&arguments[..], more].concat())
}

fn row(id: &str, messages: &Value) -> Value {
    json!({"id": id, "language": "en", "domain": "maths", "level": "hard", "messages": messages})
}

/// Writes `config/quickstart.yaml` with more patience than a busy machine takes.
fn config(folder: &Path) -> PathBuf {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pointsman-mini");
    let shipped = fs::read_to_string("config/quickstart.yaml").expect("the example");
    let patient = shipped.replace("deadline: 50ms", "deadline: 1s");
    let patient = patient.replace("../models/pointsman-mini", bundle.to_str().expect("a plain name"));
    let path = folder.join("pointsman.yaml");
    fs::write(&path, patient).expect("a writable folder");
    path
}

/// Returns what `pointsman decide` says of a request with these turns.
fn decided(folder: &Path, messages: &Value) -> Value {
    let body = folder.join("body.json");
    fs::write(&body, json!({"model": "auto", "messages": messages}).to_string()).expect("a writable folder");
    let [config, body] = [config(folder), body].map(|path| path.to_str().expect("a plain name").to_owned());
    let decided = pointsman(&["decide", "-c", &config, "--json", "--body", &body]);
    serde_json::from_slice(&decided.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&decided.stderr)))
}

#[test]
fn each_row_is_decided_as_the_shipped_configuration_decides_it() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    let proof = user(
        "Prove that there are infinitely many primes congruent to 3 modulo 4, and for which moduli the proof works.",
    );
    // Names of the half whose rows a report shows.
    let rows = [
        ("x1", json!([user("hi there")])),
        ("x2", json!([proof.clone()])),
        (
            "x3",
            json!([proof.clone(), assistant("By contradiction, in three steps. Shall I go on?"), user("yes please")]),
        ),
        ("x7", json!([proof, assistant("Done."), user("What is the capital of Peru?")])),
    ];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("rows.jsonl");
    let lines: String = rows.iter().map(|(id, messages)| format!("{}\n", row(id, messages))).collect();
    fs::write(&file, lines).expect("a writable folder");

    let evaluated = eval(&file, &["--json"]);

    let report: Value = serde_json::from_slice(&evaluated.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&evaluated.stderr)));
    assert_eq!(report["rows"].as_array().map(Vec::len), Some(rows.len()), "{report}");
    for ((id, messages), verdict) in rows.iter().zip(report["rows"].as_array().expect("rows")) {
        let decision = decided(folder.path(), messages);
        let tier = TIERS.iter().find(|(model, _)| decision["model"] == *model).map(|(_, tier)| *tier);
        let expected = (Some(*id), tier, decision["reason"].as_str(), decision["label"].as_str());
        let said = ["id", "tier", "reason", "label"].map(|key| verdict[key].as_str());
        assert_eq!((said[0], said[1], said[2], said[3]), expected, "{decision}");
    }
    let tables = eval(&file, &[]);
    assert!(text(&tables.stdout).contains("hard at top"), "{tables:?}");
}

#[test]
fn a_wrong_key_of_the_strategy_ends_with_64_and_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");

    let refused = eval(folder.path(), &["--tiers", "min_confidenze: 0.3"]);

    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    assert!(text(&refused.stderr).contains("min_confidenze"), "{refused:?}");
}

#[test]
fn a_folder_without_rows_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");

    let refused = eval(folder.path(), &[]);

    assert_eq!(refused.status.code(), Some(65), "{refused:?}");
}
