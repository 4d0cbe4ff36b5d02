//! Labels by a scripted judge: what it is asked, what it costs, and what becomes of answers that are none.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::origin::{Answer, Origin};

const KEY: &str = "sk-planted-judge";

fn said(content: &str) -> Answer {
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
    });
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], Bytes::from(body.to_string()))
}

fn label_of(label: &str) -> Answer {
    said(&json!({"reason": "because", "label": label}).to_string())
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn prompts(&self, rows: &[Value]) -> PathBuf {
        let path = self.0.path().join("prompts.jsonl");
        fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("written");
        path
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("labels.jsonl")
    }

    fn labels(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.out()).expect("the labels");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }
}

/// Runs the binary beside the judge, one request at a time unless `more` says otherwise.
async fn label(judge: SocketAddr, prompts: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args([
        "label",
        "--base-url",
        &format!("http://{judge}/api/v1"),
        "--model",
        "judge-1",
        "--key-env",
        "JUDGE_KEY",
    ]);
    command.arg("--prompts").arg(prompts).arg("--out").arg(out).env("JUDGE_KEY", KEY);
    if !more.contains(&"--concurrency") {
        command.args(["--concurrency", "1"]);
    }
    crate::soon("the labelling", command.args(more).output()).await.expect("the binary starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn questions(n: usize) -> Vec<Value> {
    (0..n).map(|i| json!({"prompt": format!("question {i}"), "id": format!("q{i}")})).collect()
}

#[tokio::test]
async fn a_judge_is_asked_for_a_schema_and_its_labels_become_rows() {
    let (judge, folder) = (Origin::answering([label_of("simple"), label_of("complex")]).await, Folder::new());
    let prompts = folder.prompts(&questions(2));

    let done = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;

    assert!(done.status.success(), "{}", stderr(&done));
    let request = judge.next().await;
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(
        (request.path.as_str(), request.header("authorization")),
        ("/api/v1/chat/completions", Some("Bearer sk-planted-judge"))
    );
    assert_eq!((&body["model"], &body["response_format"]["type"]), (&json!("judge-1"), &json!("json_schema")));
    assert!(body["messages"][1]["content"].as_str().is_some_and(|text| text.contains("question 0")), "{body}");
    let labels = folder.labels();
    assert_eq!(
        (&labels[0]["id"], &labels[0]["prompt"], &labels[0]["label"]),
        (&json!("q0"), &json!("question 0"), &json!("simple"))
    );
    assert_eq!(
        (&labels[1]["label"], &labels[1]["judge"], &labels[1]["rubric"]),
        (&json!("complex"), &json!("judge-1"), &json!("choice"))
    );
    assert!(
        !stderr(&done).contains("planted") && !fs::read_to_string(folder.out()).expect("labels").contains("planted")
    );
}

#[tokio::test]
async fn a_second_run_asks_only_for_what_is_missing() {
    let (judge, folder) =
        (Origin::answering([label_of("simple"), label_of("medium"), label_of("complex")]).await, Folder::new());
    let prompts = folder.prompts(&questions(3));

    let first = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice", "--limit", "2"]).await;
    // A run that was killed in the middle of a row.
    let torn = fs::read_to_string(folder.out()).expect("labels") + "{\"id\":\"q2\",\"lab";
    fs::write(folder.out(), torn).expect("written");
    let second = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;

    assert!(stderr(&first).contains("2 labelled"), "{}", stderr(&first));
    assert!(stderr(&second).contains("1 labelled") && stderr(&second).contains("2 were known"), "{}", stderr(&second));
    let ids: Vec<_> = folder.labels().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["q0", "q1", "q2"]);
}

#[tokio::test]
async fn answers_that_are_none_are_asked_again_and_then_left_for_another_run() {
    let malformed = [said("I think simple"), said("{\"label\":\"tiny\"}"), said("")];
    let (judge, folder) = (Origin::answering(malformed).await, Folder::new());
    judge.script(said("no"));
    judge.script(label_of("medium"));
    let prompts = folder.prompts(&questions(2));

    let done = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;

    assert!(done.status.success() && stderr(&done).contains("1 labelled"), "{}", stderr(&done));
    assert!(stderr(&done).contains("1 failed"), "{}", stderr(&done));
    assert_eq!(folder.labels()[0]["id"], "q1");
}

#[tokio::test]
async fn a_judge_that_is_busy_broken_or_gone_is_asked_again_when_it_says() {
    let busy = |status| Answer::Reply(status, vec![("retry-after", "0")], Bytes::from_static(b"{}"));
    let script = [busy(StatusCode::TOO_MANY_REQUESTS), busy(StatusCode::SERVICE_UNAVAILABLE), label_of("simple")];
    let (judge, folder) = (Origin::answering(script).await, Folder::new());
    let prompts = folder.prompts(&questions(1));

    let done = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;

    assert!(stderr(&done).contains("1 labelled"), "{}", stderr(&done));
}

#[tokio::test]
async fn a_judge_that_refuses_for_good_ends_the_run_with_its_words() {
    let refusal = Bytes::from_static(b"{\"error\": {\"message\": \"Incorrect API key\"}}");
    let (judge, folder) =
        (Origin::answering([Answer::Reply(StatusCode::UNAUTHORIZED, vec![], refusal)]).await, Folder::new());
    let prompts = folder.prompts(&questions(3));

    let done = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;

    assert_eq!(done.status.code(), Some(69));
    assert!(stderr(&done).contains("refuses with 401: Incorrect API key"), "{}", stderr(&done));
}

#[tokio::test]
async fn the_budget_ends_the_run_before_it_is_overrun() {
    let (judge, folder) = (Origin::answering((0..8).map(|_| label_of("simple"))).await, Folder::new());
    let prompts = folder.prompts(&questions(8));
    // An answer costs 1000 x $1 + 100 x $10 per million: $0.002; at worst some $0.0105.
    let capped = [
        "--rubric",
        "choice",
        "--max-cost",
        "0.015",
        "--price-input",
        "1",
        "--price-output",
        "10",
        "--concurrency",
        "4",
    ];

    let done = label(judge.address(), &prompts, &folder.out(), &capped).await;

    assert!(done.status.success() && stderr(&done).contains("stopped by --max-cost"), "{}", stderr(&done));
    let rows = folder.labels().len();
    assert!((1..8).contains(&rows) && rows as f64 * 0.002 <= 0.015, "{rows} rows");
}

#[tokio::test]
async fn the_match_rubric_makes_rows_that_teach_strong_and_weak() {
    let score = |score: u8| said(&json!({"reason": "r", "score": score}).to_string());
    let (judge, folder) = (Origin::answering([score(4), score(2)]).await, Folder::new());
    let row = |i: usize| json!({"prompt": format!("question {i}"), "strong_answer": "the strong one", "weak_answer": "the weak one"});
    let prompts = folder.prompts(&[row(0), row(1), json!({"prompt": " "})]);

    let done = label(judge.address(), &prompts, &folder.out(), &["--rubric", "match"]).await;
    let without = label(judge.address(), &folder.prompts(&questions(1)), &folder.out(), &["--rubric", "match"]).await;

    let rows = folder.labels();
    assert!(stderr(&done).contains("2 labelled") && stderr(&done).contains("1 skipped"), "{}", stderr(&done));
    assert_eq!(
        (&rows[0]["weak_correct"], &rows[0]["strong_correct"], &rows[0]["score"]),
        (&json!(1), &json!(1), &json!(4))
    );
    assert_eq!(rows[1]["weak_correct"], 0);
    assert_eq!(without.status.code(), Some(65));
    assert!(stderr(&without).contains("no `strong_answer`"), "{}", stderr(&without));
}

#[tokio::test]
async fn a_sample_is_the_same_in_every_run() {
    let folder = Folder::new();
    let prompts = folder.prompts(&questions(40));
    let mut drawn = Vec::new();
    for run in ["one", "two"] {
        let judge = Origin::answering((0..40).map(|_| label_of("simple"))).await;
        let out = folder.0.path().join(run);
        label(judge.address(), &prompts, &out, &["--rubric", "choice", "--sample", "25%"]).await;
        let rows = fs::read_to_string(out).expect("labels");
        drawn.push(
            rows.lines()
                .map(|row| serde_json::from_str::<Value>(row).expect("a row")["id"].clone())
                .collect::<Vec<_>>(),
        );
    }

    assert_eq!(drawn[0], drawn[1]);
    assert!((2..25).contains(&drawn[0].len()), "{drawn:?}");
}

fn refusal(status: StatusCode, message: &str) -> Answer {
    let body = json!({"error": {"message": message}}).to_string();
    Answer::Reply(status, vec![("content-type", "application/json")], Bytes::from(body))
}

#[tokio::test]
async fn a_prompt_that_the_judge_refuses_is_recorded_and_the_run_goes_on() {
    let script = [
        label_of("simple"),
        refusal(StatusCode::BAD_REQUEST, "content filter"),
        refusal(StatusCode::PAYLOAD_TOO_LARGE, "too long"),
        refusal(StatusCode::UNPROCESSABLE_ENTITY, "odd"),
        label_of("complex"),
    ];
    let (judge, folder) = (Origin::answering(script).await, Folder::new());
    let prompts = folder.prompts(&questions(5));
    let run = async |more: &[&str]| {
        label(judge.address(), &prompts, &folder.out(), &[&["--rubric", "choice"], more].concat()).await
    };

    let first = run(&[]).await;
    let second = run(&[]).await;
    (0..3).for_each(|_| judge.script(label_of("medium")));
    let third = run(&["--retry-refused"]).await;

    assert!(first.status.success() && stderr(&first).contains("2 labelled"), "{}", stderr(&first));
    assert!(stderr(&first).contains("3 refused by the judge, 0 refused before"), "{}", stderr(&first));
    let errors = fs::read_to_string(folder.0.path().join("labels.errors.jsonl")).expect("the errors");
    let errors: Vec<Value> = errors.lines().map(|row| serde_json::from_str(row).expect("a row")).collect();
    let of = |row: &Value| (row["id"].clone(), row["status"].clone(), row["error"].clone());
    assert_eq!(of(&errors[0]), (json!("q1"), json!(400), json!("content filter")));
    assert_eq!(errors.iter().map(|row| row["status"].clone()).collect::<Vec<_>>(), [400, 413, 422]);
    assert!(
        stderr(&second).contains("0 labelled") && stderr(&second).contains("3 refused before"),
        "{}",
        stderr(&second)
    );
    assert!(stderr(&third).contains("3 labelled"), "{}", stderr(&third));
    assert_eq!(folder.labels().len(), 5);
}

#[tokio::test]
async fn a_judge_that_refuses_everything_it_is_asked_ends_the_run_and_nothing_is_recorded() {
    let script = (0..20).map(|_| refusal(StatusCode::BAD_REQUEST, "json_schema is not supported"));
    let (judge, folder) = (Origin::answering(script).await, Folder::new());
    let prompts = folder.prompts(&questions(20));

    let done = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;

    assert_eq!(done.status.code(), Some(69));
    assert!(stderr(&done).contains("refuses with 400: json_schema is not supported"), "{}", stderr(&done));
    assert!(!folder.0.path().join("labels.errors.jsonl").exists());
}

#[tokio::test]
async fn a_judge_that_stays_silent_ends_the_run_which_another_one_resumes() {
    let down = || Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![("retry-after", "0")], Bytes::from_static(b"{}"));
    let script = std::iter::once(label_of("simple")).chain((0..18).map(|_| down()));
    let (judge, folder) = (Origin::answering(script).await, Folder::new());
    let prompts = folder.prompts(&questions(6));

    let first = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;
    (0..5).for_each(|_| judge.script(label_of("medium")));
    let second = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice"]).await;

    assert_eq!(first.status.code(), Some(69), "{}", stderr(&first));
    assert!(
        stderr(&first).contains("none of 3 prompts in a row, each asked 6 times: status 503"),
        "{}",
        stderr(&first)
    );
    assert!(stderr(&second).contains("5 labelled") && stderr(&second).contains("1 were known"), "{}", stderr(&second));
}

#[tokio::test]
async fn equal_prompts_are_asked_once_and_share_the_answer() {
    let (judge, folder) = (Origin::answering([label_of("simple"), label_of("complex")]).await, Folder::new());
    let row = |id: &str, prompt: &str| json!({"id": id, "prompt": prompt});
    let nameless = json!({"prompt": "hello"});
    let rows = [row("a", "hello"), row("b", "prove it"), row("c", "hello"), nameless.clone(), nameless];
    let prompts = folder.prompts(&rows);

    let first = label(judge.address(), &prompts, &folder.out(), &["--rubric", "choice", "--concurrency", "4"]).await;
    let more = folder.prompts(&[row("d", "prove it")]);
    let second = label(judge.address(), &more, &folder.out(), &["--rubric", "choice"]).await;

    assert!(stderr(&first).contains("4 labelled") && stderr(&first).contains("2 of them share"), "{}", stderr(&first));
    assert!(
        stderr(&second).contains("1 labelled") && stderr(&second).contains("1 of them share"),
        "{}",
        stderr(&second)
    );
    let labels = folder.labels();
    let label_of = |id: &str| labels.iter().find(|row| row["id"] == id).expect("a row")["label"].clone();
    assert_eq!((label_of("a"), label_of("b")), (label_of("c"), label_of("d")));
    assert_eq!(labels.len(), 5);
}

#[tokio::test]
async fn prompts_are_never_taken_for_labels() {
    let (judge, folder) = (Origin::answering([]).await, Folder::new());
    let prompts = folder.prompts(&questions(2));
    let before = fs::read(&prompts).expect("prompts");

    let refused = label(judge.address(), &prompts, &prompts, &["--rubric", "choice"]).await;

    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("of --out is the file of --prompts as well"), "{}", stderr(&refused));
    assert_eq!(fs::read(&prompts).expect("prompts"), before);
}
