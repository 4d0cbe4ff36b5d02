//! Grades of answers: without a judge, by scripted judges, and the rows to learn from that come of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::origin::{Answer, Origin};

fn said(content: &Value) -> Answer {
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": content.to_string()}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
    });
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], Bytes::from(body.to_string()))
}

fn level(level: u32) -> Answer {
    said(&json!({"reason": "because", "score": level}))
}

fn winner(label: &str) -> Answer {
    said(&json!({"reason": "because", "label": label}))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn holding(rows: &[Value]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        folder.write("answers.jsonl", rows);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, rows: &[Value]) -> PathBuf {
        let text = rows.iter().map(|row| format!("{row}\n")).collect::<String>();
        fs::write(self.path(name), text).expect("written");
        self.path(name)
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).expect("rows");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }

    /// Grades the answers, one at a time.
    async fn grade(&self, more: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("grade").arg(self.path("answers.jsonl")).arg("--out").arg(self.path("graded.jsonl"));
        run(command.args(["--concurrency", "1"]).args(more)).await
    }
}

async fn run(command: &mut tokio::process::Command) -> Output {
    crate::soon("the grading", command.output()).await.expect("the binary starts")
}

fn answer(id: &str, model: &str, text: &str, reference: Value) -> Value {
    let mut row = json!({
        "kind": "answer", "id": id, "prompt": format!("question {id}"), "asked": model, "model": model,
        "status": 200, "answer": text, "cost_usd": 0.001,
    });
    row["reference"] = reference;
    row
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("a report")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn each_answer_gets_the_graders_that_its_reference_names() {
    let schema = json!({"schema": {"type": "object", "required": ["a"]}});
    let failed = json!({"id": "f", "prompt": "p", "asked": "small", "error": {"code": "timeout", "message": "late"}});
    let folder = Folder::holding(&[
        answer("c", "small", "The answer is (B).", json!({"choice": "B", "choices": 4})),
        answer("c", "large", "A or B", json!({"choice": "B", "choices": 4})),
        answer("n", "small", "So 6 * 7 = 42.", json!({"number": 42})),
        answer("p", "small", "In Paris.", json!({"pattern": "(?i)paris"})),
        answer("s", "small", "```json\n{\"b\": 1}\n```", schema),
        answer("t", "small", "```sh\nexit 0\n```", json!({"tests": "sh {file}"})),
        answer("x", "small", "Free text.", json!({"text": "Other text."})),
        failed,
    ]);

    let report = report(&folder.grade(&[]).await);

    let rows = folder.rows("graded.jsonl");
    let scores: Vec<Value> = rows.iter().map(|row| row["grades"][0]["score"].clone()).collect();
    assert_eq!(
        scores,
        [json!(1.0), json!(0.0), json!(1.0), json!(1.0), json!(0.0), json!(null), json!(null), json!(null)]
    );
    assert_eq!((&rows[1]["grades"][0]["unclear"], &rows[0]["cost_usd"]), (&json!(true), &json!(0.001)));
    assert_eq!(
        [&report["answers"], &report["graded"], &report["failed"], &report["commands_not_allowed"]],
        [&json!(8), &json!(5), &json!(1), &json!(1)]
    );
    assert_eq!(report["graders"]["choice"], json!({"grades": 2, "correct": 1, "unclear": 1}));
    assert_eq!((&report["asked"]["small"]["graded"], &report["asked"]["small"]["quality"]), (&json!(4), &json!(0.75)));
}

#[tokio::test]
async fn commands_run_only_where_they_are_allowed() {
    let folder = Folder::holding(&[
        answer("t", "small", "```sh\nexit 0\n```", json!({"tests": "sh {file}"})),
        answer("t", "large", "```sh\necho broken >&2; exit 3\n```", json!({"tests": "sh {file}"})),
    ]);

    let allowed = report(&folder.grade(&["--allow-commands"]).await);

    let rows = folder.rows("graded.jsonl");
    assert_eq!((&rows[0]["grades"][0]["correct"], &rows[1]["grades"][0]["correct"]), (&json!(true), &json!(false)));
    assert!(rows[1]["grades"][0]["reason"].as_str().is_some_and(|reason| reason.contains("broken")), "{rows:?}");
    assert_eq!(allowed["commands_not_allowed"], 0);
    let refused = folder.grade(&["--grader", "tests"]).await;
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--allow-commands"), "{}", stderr(&refused));
}

#[tokio::test]
async fn a_judge_sees_no_model_and_another_run_pays_for_nothing_twice() {
    let judge = Origin::answering([level(5), level(2)]).await;
    let folder = Folder::holding(&[
        answer("x", "secret-small", "One text.", json!({"text": "The right text."})),
        answer("x", "secret-large", "Another text.", json!({"text": "The right text."})),
        answer("x", "secret-other", "One text.", json!({"text": "The right text."})),
        answer("c", "secret-small", "B", json!({"choice": "B"})),
    ]);
    let url = format!("http://{}/v1", judge.address());
    let judged = ["--judge", "judge-1", "--judge-url", &url, "--price", "judge-1=1,10"];

    let first = report(&folder.grade(&judged).await);

    let request = judge.next().await;
    let asked = String::from_utf8_lossy(&request.body);
    assert!(
        asked.contains("question x") && asked.contains("One text.") && asked.contains("The right text."),
        "{asked}"
    );
    assert!(!asked.contains("secret"), "{asked}");
    let grades = |rows: &[Value]| -> Vec<Value> {
        rows.iter().map(|row| json!([row["grades"][0]["grader"], row["grades"][0]["score"]])).collect()
    };
    let expected = [json!(["judge", 1.0]), json!(["judge", 0.25]), json!(["judge", 1.0]), json!(["choice", 1.0])];
    assert_eq!(grades(&folder.rows("graded.jsonl")), expected);
    // Two questions of 1,000 and 100 tokens; the third answer is the first one's again.
    assert_eq!((&first["judges"]["asked"], &first["judges"]["known"]), (&json!(2), &json!(1)));
    assert!(first["judges"]["cost_usd"].as_f64().is_some_and(|cost| (cost - 0.004).abs() < 1e-9), "{first}");
    let second = report(&folder.grade(&judged).await);
    assert_eq!((&second["judges"]["asked"], &second["judges"]["cost_usd"]), (&json!(0), &json!(0.0)));
    assert_eq!(grades(&folder.rows("graded.jsonl")), expected);
}

#[tokio::test]
async fn a_budget_ends_the_questions_and_another_run_goes_on() {
    let judge = Origin::answering([level(4), level(3)]).await;
    let folder = Folder::holding(&[
        answer("x", "small", "One text.", json!({"text": "t"})),
        answer("y", "small", "Another text.", json!({"text": "t"})),
    ]);
    let url = format!("http://{}/v1", judge.address());
    // One question costs 0.002; its worst case is 1,024 tokens of answer.
    let judged = ["--judge", "j", "--judge-url", &url, "--price", "j=1,10", "--max-cost", "0.012"];

    let first = report(&folder.grade(&judged).await);
    let second = report(&folder.grade(&judged).await);

    assert_eq!((&first["graded"], &first["judges"]["stopped_by_budget"]), (&json!(1), &json!(true)), "{first}");
    assert_eq!((&second["graded"], &second["judges"]["known"]), (&json!(2), &json!(1)), "{second}");
    let unpriced = folder
        .grade(&["--judge", "j", "--judge", "k", "--judge-url", &url, "--price", "j=1,10", "--max-cost", "1"])
        .await;
    assert_eq!(unpriced.status.code(), Some(64));
    assert!(stderr(&unpriced).contains("prices of the judges: k"), "{}", stderr(&unpriced));
}

#[tokio::test]
async fn several_judges_grade_each_answer_and_the_report_says_how_far_they_agree() {
    let (one, two) = (Origin::answering([level(5), level(1)]).await, Origin::answering([level(4), level(1)]).await);
    let folder = Folder::holding(&[
        answer("x", "small", "One text.", json!({"text": "t"})),
        answer("y", "small", "Another text.", json!({"text": "t"})),
    ]);
    let marks = folder.write(
        "marks.jsonl",
        &[
            json!({"id": "x", "model": "small", "rating": 5, "by": "Ada"}),
            json!({"id": "z", "model": "small", "correct": true}),
        ],
    );
    let urls = [one.address(), two.address()].map(|address| format!("http://{address}/v1"));

    let report = report(
        &folder
            .grade(&[
                "--judge",
                "one",
                "--judge",
                "two",
                "--judge-url",
                &urls[0],
                "--judge-url",
                &urls[1],
                "--marks",
                &text(&marks),
            ])
            .await,
    );

    let grades = folder.rows("graded.jsonl")[0]["grades"].as_array().expect("grades").len();
    assert_eq!((grades, &report["marks_left"]), (3, &json!(1)));
    let levels = report["agreement"]["levels"]["pairs"].as_array().expect("pairs");
    let judges = levels.iter().find(|pair| pair["raters"] == json!(["one", "two"])).expect("both judges");
    assert_eq!((&judges["n"], &judges["share"], &judges["within_one"]), (&json!(2), &json!(0.5), &json!(1.0)));
    assert_eq!(report["agreement"]["correct"]["pairs"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_pair_is_judged_in_both_orders_and_wins_only_in_both() {
    let judge = Origin::answering([winner("first"), winner("second"), winner("first"), winner("first")]).await;
    let folder = Folder::holding(&[
        answer("x", "large", "Base text x.", json!({})),
        answer("x", "small", "Better text.", json!({})),
        answer("y", "large", "Base text y.", json!({})),
        answer("y", "small", "Other text.", json!({})),
        answer("z", "large", "Same text.", json!({})),
        answer("z", "small", "Same text.", json!({})),
        answer("u", "small", "Alone.", json!({})),
    ]);
    let url = format!("http://{}/v1", judge.address());
    let rows = folder.path("rows.jsonl");

    let report = report(
        &folder
            .grade(&[
                "--grader",
                "pairwise",
                "--baseline",
                "large",
                "--judge",
                "j",
                "--judge-url",
                &url,
                "--rows",
                &text(&rows),
                "--strong",
                "large",
                "--weak",
                "small",
            ])
            .await,
    );

    let orders: Vec<Value> = folder.rows("graded.jsonl").iter().map(|row| row["grades"][0]["orders"].clone()).collect();
    assert_eq!(orders[1], json!(["win", "win"]));
    assert_eq!(orders[3], json!(["win", "loss"]));
    assert_eq!((&orders[0], &orders[6]), (&json!(null), &json!(null)));
    let [first, second] =
        [judge.next().await, judge.next().await].map(|request| String::from_utf8_lossy(&request.body).into_owned());
    let place = |body: &str, text: &str| body.find(text).expect("the text");
    assert!(place(&first, "Better text.") < place(&first, "Base text x."), "{first}");
    assert!(place(&second, "Base text x.") < place(&second, "Better text."), "{second}");
    let small = &report["asked"]["small"];
    assert_eq!(small["pairwise"], json!({"wins": 1, "ties": 2, "losses": 0, "orders_disagree": 1}));
    assert_eq!(report["without_baseline"], 1);
    let learnt: Vec<Value> = folder
        .rows("rows.jsonl")
        .iter()
        .map(|row| json!([row["strong_correct"], row["weak_correct"], row["source"]]))
        .collect();
    assert_eq!(learnt, [json!([0.0, 1.0, "pairwise"]), json!([0.5, 0.5, "pairwise"]), json!([0.5, 0.5, "pairwise"])]);
}

#[tokio::test]
async fn votes_become_rows_without_any_answers() {
    let folder = Folder::holding(&[]);
    let vote = |winner: &str| json!({"prompt": "p", "model_a": "gpt", "model_b": "tiny", "winner": winner});
    let votes = folder.write("votes.jsonl", &[vote("model_a"), vote("model_b"), vote("tie")]);
    let rows = folder.path("rows.jsonl");

    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("grade").arg("--votes").arg(&votes).arg("--rows").arg(&rows);
    let done = run(command.args(["--strong", "gpt", "--weak", "tiny", "--weights", "votes=0.5"])).await;

    assert_eq!(report(&done)["rows"]["written"]["votes"], 3);
    let learnt: Vec<Value> = folder
        .rows("rows.jsonl")
        .iter()
        .map(|row| json!([row["strong_correct"], row["weak_correct"], row["weight"]]))
        .collect();
    assert_eq!(learnt, [json!([1.0, 0.0, 0.5]), json!([0.0, 1.0, 0.5]), json!([0.5, 0.5, 0.5])]);
}

#[tokio::test]
async fn what_is_no_answer_is_refused_with_its_place_and_leaves_no_output() {
    let folder =
        Folder::holding(&[answer("c", "small", "B", json!({"choice": "B"})), json!({"id": "d", "asked": "m"})]);

    let refused = folder.grade(&[]).await;
    assert_eq!(refused.status.code(), Some(65));
    assert!(stderr(&refused).contains("answers.jsonl` line 2, column"), "{}", stderr(&refused));
    assert!(!folder.path("graded.jsonl").exists());

    folder.write("answers.jsonl", &[answer("c", "small", "B", json!({"choice": "BC"}))]);
    let refused = folder.grade(&[]).await;
    assert_eq!(refused.status.code(), Some(65));
    assert!(stderr(&refused).contains("line 1: reference: `choice` is no letter"), "{}", stderr(&refused));
}

#[tokio::test]
async fn what_is_graded_marked_or_voted_is_never_written_over() {
    let folder = Folder::holding(&[answer("a", "small", "7", json!({"number": 7}))]);
    let marks = folder.write("marks.jsonl", &[json!({"id": "a", "model": "small", "correct": true})]);
    std::os::unix::fs::symlink(folder.path("answers.jsonl"), folder.path("link.jsonl")).expect("a link");
    let path = |name: &str| folder.path(name).display().to_string();
    let (answers, link, marks, out) =
        (path("answers.jsonl"), path("link.jsonl"), marks.display().to_string(), path("g"));
    let before = (fs::read(&answers).expect("rows"), fs::read(&marks).expect("rows"));
    let cases: [&[&str]; 6] = [
        &[&answers, "--out", &link],
        &[&answers, "--out", &out, "--rows", &answers],
        &[&answers, "--out", &out, "--rows", &out],
        &[&answers, "--marks", &marks, "--out", &marks],
        &["--from-log", &answers, "--out", &answers],
        &["--votes", &marks, "--rows", &marks, "--strong", "big", "--weak", "small"],
    ];

    for arguments in cases {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let refused = run(command.arg("grade").args(arguments)).await;

        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(" as well (allowed: a file of its own)"), "{arguments:?}: {said}");
    }
    assert_eq!((fs::read(&answers).expect("rows"), fs::read(&marks).expect("rows")), before);
}

#[tokio::test]
async fn what_a_policy_had_from_the_baseline_s_model_is_compared_unless_it_is_the_same_text() {
    let judge = Origin::answering([winner("first"), winner("second")]).await;
    let routed = |id: &str, text: &str| {
        let mut row = answer(id, "auto", text, json!({}));
        (row["policy"], row["model"]) = (json!("auto"), json!("large"));
        row
    };
    let folder = Folder::holding(&[
        answer("x", "large", "Base text x.", json!({})),
        routed("x", "Better text."),
        answer("y", "large", "Base text y.", json!({})),
        routed("y", "Base text y."),
    ]);
    let url = format!("http://{}/v1", judge.address());

    let arguments = ["--grader", "pairwise", "--baseline", "large", "--judge", "j", "--judge-url", &url];
    let report = report(&folder.grade(&arguments).await);

    let rows = folder.rows("graded.jsonl");
    assert_eq!(
        (&rows[1]["grades"][0]["orders"], &rows[1]["grades"][0]["score"]),
        (&json!(["win", "win"]), &json!(1.0))
    );
    assert_eq!(rows[3]["grades"][0]["reason"], "the baseline itself");
    assert_eq!(report["asked"]["auto"]["pairwise"]["wins"], 1);
}
