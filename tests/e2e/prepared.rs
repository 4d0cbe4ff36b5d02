//! Prompts made ready: what is kept, dropped, moderated and split, and that nothing learns from what is held out.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::gateway::bundle;
use crate::origin::{Answer, Origin};

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(rows: &[Value]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("in.jsonl", rows);
        folder
    }

    fn write(&self, name: &str, rows: &[Value]) -> PathBuf {
        fs::write(self.path(name), rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("written");
        self.path(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).expect("rows");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }

    async fn prepare(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("prepare").arg(self.path("in.jsonl")).arg("--out").arg(self.path("out.jsonl")).args(more);
        crate::soon("the preparation", command.env("LAB_KEY", "sk-planted").output()).await.expect("the binary starts")
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn counts(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no counts: {}", stderr(output)))
}

fn json_reply(body: &Value) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], Bytes::from(body.to_string()))
}

fn said(content: &Value) -> Answer {
    json_reply(&json!({"choices": [{"message": {"content": content.to_string()}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}))
}

fn towns(count: usize) -> Vec<Value> {
    let town = |i: usize| {
        let label = if i.is_multiple_of(2) { "simple" } else { "complex" };
        json!({"prompt": format!("Which river flows through town {i} of the list {}?", i * 7919), "label": label})
    };
    (0..count).map(town).collect()
}

#[tokio::test]
async fn conversations_become_prompts_and_what_is_dropped_is_counted() {
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let folder = Folder::of(&[
        json!({"messages": [turn("user", "What is the tallest mountain of Africa?"), turn("assistant", "Kilimanjaro."),
            turn("user", "And how high is it?"), turn("assistant", "5,895 m.")]}),
        json!({"prompt": "What is the TALLEST mountain of Africa"}),
        json!({"prompt": ""}),
    ]);

    let first = folder.prepare(&["--ask", "first"]).await;
    assert_eq!(counts(&first)["dropped"], json!({"duplicate": 1, "empty": 1}), "{}", stderr(&first));
    assert_eq!(folder.rows("out.jsonl")[0]["prompt"], "What is the tallest mountain of Africa?");

    let last = folder.prepare(&[]).await;
    assert_eq!(counts(&last)["written"], 2);
    assert_eq!(folder.rows("out.jsonl")[0]["messages"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn nothing_learns_from_what_is_held_out() {
    let folder = Folder::of(&towns(40));
    let done = folder.prepare(&["--split", "train=0.5,held_out=0.5", "--similar", "1"]).await;
    assert_eq!(counts(&done)["splits"], json!({"held_out": 20, "train": 20}), "{}", stderr(&done));
    let held: Vec<Value> = folder.rows("out.jsonl").into_iter().filter(|row| row["split"] == "held_out").collect();
    let held = folder.write("held.jsonl", &held);
    let fit = async |data: &PathBuf| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("fit").arg("--base").arg(bundle()).args(["--task", "tier", "--inputs", "lexical", "--fresh"]);
        command.arg("--data").arg(data).arg("--out").arg(folder.path("fitted"));
        crate::soon("the fit", command.output()).await.expect("the binary starts")
    };

    let refused = fit(&held).await;
    let fitted = fit(&folder.path("out.jsonl")).await;

    assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("20 rows are of the split `held_out`, which nothing learns from"),
        "{}",
        stderr(&refused)
    );
    let report = counts(&fitted);
    assert_eq!((&report["n_train"], &report["held_out"]), (&json!(20), &json!(20)));
    assert!(stderr(&fitted).contains("20 rows of the split held_out were left out"), "{}", stderr(&fitted));
}

#[tokio::test]
async fn labels_leave_out_what_is_held_out_and_keep_the_split_of_the_others() {
    let label = said(&json!({"reason": "r", "label": "simple"}));
    let judge = Origin::answering([label]).await;
    let folder = Folder::of(&[
        json!({"prompt": "a", "split": "held_out"}),
        json!({"prompt": "b", "split": "train", "group": "g"}),
    ]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(["label", "--base-url", &format!("http://{}", judge.address()), "--model", "m", "--rubric", "choice"]);
    command.arg("--prompts").arg(folder.path("in.jsonl")).arg("--out").arg(folder.path("labels.jsonl"));

    let done = crate::soon("the labels", command.output()).await.expect("the binary starts");

    assert!(stderr(&done).contains("1 of the split held_out were left out"), "{}", stderr(&done));
    let rows = folder.rows("labels.jsonl");
    assert_eq!(
        (rows.len(), &rows[0]["prompt"], &rows[0]["split"], &rows[0]["group"]),
        (1, &json!("b"), &json!("train"), &json!("g"))
    );
}

#[tokio::test]
async fn flagged_prompts_go_and_those_that_nobody_judged_stand_apart() {
    let flags: Vec<Value> = (0..32).map(|i| json!({"flagged": i == 3})).collect();
    let never = Answer::Reply(StatusCode::BAD_REQUEST, vec![], Bytes::from_static(b"{}"));
    let endpoint = Origin::answering([json_reply(&json!({ "results": flags })), never]).await;
    let folder = Folder::of(&towns(40));
    let url = format!("http://{}/v1/moderations", endpoint.address());

    let done = folder
        .prepare(&["--similar", "1", "--moderate", &url, "--moderate-key-env", "LAB_KEY", "--moderate-rate", "1000"])
        .await;

    let counts = counts(&done);
    assert_eq!(
        (&counts["dropped"]["flagged"], &counts["unmoderated"], &counts["written"]),
        (&json!(1), &json!(8), &json!(31))
    );
    assert_eq!((folder.rows("out.jsonl").len(), folder.rows("out.unmoderated.jsonl").len()), (31, 8));
    let request = endpoint.next().await;
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(
        (request.path.as_str(), request.header("authorization")),
        ("/v1/moderations", Some("Bearer sk-planted"))
    );
    assert_eq!(body["input"].as_array().map(Vec::len), Some(32));
}

#[tokio::test]
async fn harder_variants_are_written_judged_and_kept_with_their_prompt() {
    let verdict = |harder: bool| said(&json!({"reason": "r", "harder": harder, "answerable": true}));
    let script = [
        said(&json!({"prompt": "Which rivers flow through both towns, and where do they meet?"})),
        verdict(true),
        said(&json!({"prompt": "Name any river."})),
        verdict(false),
    ];
    let llm = Origin::answering(script).await;
    let folder = Folder::of(&[
        json!({"id": "a", "prompt": "Which river flows through this town?", "split": "held_out", "label": "simple"}),
    ]);
    let url = format!("http://{}/v1", llm.address());
    let arguments = ["--variants", "2", "--judge", &url, "--model", "m", "--concurrency", "1"];

    let first = folder.prepare(&arguments).await;
    let again = folder.prepare(&arguments).await;

    let counted = &counts(&first)["variants"];
    assert_eq!(
        (&counted["kept"], &counted["not_harder"], &counted["failed"]),
        (&json!(1), &json!(1), &json!(0)),
        "{}",
        stderr(&first)
    );
    assert_eq!(counts(&again)["variants"]["known"], 2);
    assert!((0..4).all(|_| llm.take().is_some()) && llm.take().is_none());
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[1]["id"], &rows[1]["variant_of"], &rows[1]["split"]),
        (&json!("a~1"), &json!("a"), &json!("held_out"))
    );
    assert_eq!((&rows[1]["group"], rows[1].get("label")), (&rows[0]["group"], None));
}

#[tokio::test]
async fn prepared_rows_are_the_same_for_the_same_seed() {
    let folder = Folder::of(&towns(30));
    let mut splits = BTreeSet::new();
    for seed in ["1", "1", "2"] {
        folder.prepare(&["--split", "train=0.5,validation=0.5", "--similar", "1", "--seed", seed]).await;
        splits.insert(fs::read_to_string(folder.path("out.jsonl")).expect("rows"));
    }

    assert_eq!(splits.len(), 2);
}

#[tokio::test]
async fn an_input_is_never_written_over() {
    let folder = Folder::of(&[json!({"prompt": "What is the capital of France?", "split": "train"})]);
    let input = folder.path("in.jsonl");
    let same = input.to_str().expect("text");
    let beside = folder.write("out.train.jsonl", &[json!({"prompt": "Name the largest moon of the planet Saturn."})]);
    let (before, before_beside) = (fs::read(&input).expect("rows"), fs::read(&beside).expect("rows"));

    let whole = crate::soon("the preparation", prepare(&["prepare", same, "--out", same]).output()).await;
    let split =
        folder.prepare(&[beside.to_str().expect("text"), "--split", "train=0.5,held_out=0.5", "--split-files"]).await;

    for refused in [whole.expect("the binary starts"), split] {
        assert_eq!(refused.status.code(), Some(64));
        assert!(stderr(&refused).contains("of --out is the file of IN as well"), "{}", stderr(&refused));
    }
    assert_eq!((fs::read(&input).expect("rows"), fs::read(&beside).expect("rows")), (before, before_beside));
}

fn prepare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments);
    command
}
