//! Replies in a conversation, as `pointsman eval` judges them.

use std::fs;

use serde_json::{Value, json};

use crate::cli::{pointsman, text};

const TRAINS: &str = "Three trains leave at 7:10, 7:25 and 7:40 at 80, 95 and 120 km/h. When does each pass the next?";
const PERU: &str = "What is the capital of Peru?";

fn conversation(ask: &str, reply: &str, label: &str) -> String {
    let turn = |role, content| json!({"role": role, "content": content});
    let messages = [turn("user", ask), turn("assistant", "Here is a first answer."), turn("user", reply)];
    format!("{}\n", json!({"messages": messages, "label": label}))
}

#[test]
fn eval_judges_a_reply_by_what_it_answers_unless_it_asks_for_more_or_for_nothing() {
    let rows = [
        (TRAINS, "shorter", "complex"),
        (TRAINS, "go on", "complex"),
        (PERU, "shorter", "simple"),
        (PERU, "now prove it step by step", "complex"),
        (PERU, "proceed with the plan", "simple"),
        (TRAINS, "thanks, that is all", "simple"),
        (TRAINS, PERU, "simple"),
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
