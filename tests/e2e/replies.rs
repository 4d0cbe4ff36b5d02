//! Replies in a conversation, as `pointsman eval` judges them.

use std::fs;

use serde_json::{Value, json};

use crate::cli::{pointsman, text};

const PROOF: &str =
    "Prove that every finite integral domain is a field, then show step by step where finiteness is used.";
const PERU: &str = "What is the capital of Peru?";

fn conversation(ask: &str, reply: &str, label: &str) -> String {
    let turn = |role, content| json!({"role": role, "content": content});
    let messages = [turn("user", ask), turn("assistant", "Here is a first answer."), turn("user", reply)];
    format!("{}\n", json!({"messages": messages, "label": label}))
}

#[test]
fn eval_judges_a_reply_by_what_it_answers_unless_it_asks_for_more_or_for_nothing() {
    let rows = [
        (PROOF, "shorter", "complex"),
        (PROOF, "go on", "complex"),
        (PERU, "shorter", "simple"),
        (PERU, "now prove it step by step", "complex"),
        (PERU, "proceed with the plan", "simple"),
        (PROOF, "thanks, that is all", "simple"),
        (PROOF, PERU, "simple"),
    ];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("conversations.jsonl");
    let lines: String = rows.iter().map(|(ask, reply, label)| conversation(ask, reply, label)).collect();
    fs::write(&file, lines).expect("a writable folder");
    let data = file.to_str().expect("a plain name");

    let evaluated =
        pointsman(&["eval", "--bundle", "models/pointsman-mini", "--head", "tier", "--data", data, "--json"]);

    let report: Value = serde_json::from_slice(&evaluated.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&evaluated.stderr)));
    assert_eq!((&report["n"], &report["accuracy"]), (&7.into(), &1.0.into()), "{report}");
}
