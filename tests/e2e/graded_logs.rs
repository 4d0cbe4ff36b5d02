//! Grades of the answers that a decision log holds: by references, by judges, by what was said of them, and served answers
//! beside shadow answers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::decision_log::{lines, start};
use crate::gateway::Gateway;
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::shadow_answers::{completion, outcome, shadowing};

/// The log of a gateway that has ended, and the files beside it.
struct LogFolder(PathBuf);

impl LogFolder {
    /// Asks three questions, two of which both models answer, and has two answers rated.
    async fn of_three_requests(gateway: &mut Gateway, small: &Origin, frontier: &Origin) -> Self {
        let asked = [
            ("sum", "What is 2 + 2?", "It is 5.", "It is 4."),
            ("product", "What is 6 * 7?", "42, of course.", "It is 42."),
            ("tale", "Tell a tale.", "Once upon a time.", "There was a king."),
        ];
        for (count, (id, ask, served, shadow)) in (1..).zip(asked) {
            small.script(completion(served));
            frontier.script(completion(shadow));
            let body = question("auto", ask);
            assert_eq!(send(gateway.listen, id, CHAT, body).await.status, StatusCode::OK);
            until_metric(gateway, &outcome("answered", count)).await;
        }
        let word = |more: Value| {
            let mut word = json!({"request_id": "tale"});
            word.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            word.to_string()
        };
        for (to, more) in
            [(gateway.listen, json!({"rating": 4})), (gateway.admin, json!({"rating": "down", "answer": "shadow"}))]
        {
            assert_eq!(send(to, "word", "/v1/feedback", word(more)).await.status, StatusCode::OK);
        }
        let folder = gateway.file().parent().expect("a folder").to_owned();
        assert_eq!(lines(gateway).len(), 8);
        Self(folder)
    }

    async fn grade(&self, more: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("grade").arg("--from-log").arg(self.0.join("logs/d.jsonl"));
        let command = command.arg("--out").arg(self.0.join("graded.jsonl")).args(more);
        crate::soon("the grading", command.output()).await.expect("the binary starts")
    }

    fn write(&self, name: &str, rows: &[Value]) -> String {
        let path = self.0.join(name);
        fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("written");
        path.to_str().expect("a plain name").to_owned()
    }

    fn rows(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.0.join("graded.jsonl")).expect("graded answers");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }
}

async fn send(to: std::net::SocketAddr, id: &str, path: &str, body: String) -> Reply {
    let mut connection = Connection::open(to, Framing::Length).await;
    let request = connection.request(Method::POST, path).header("content-type", "application/json");
    let request = request.header("x-request-id", id);
    let request = request.body(Framing::Length.body(body.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn report(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// An answer's request, who was asked, and its grades as grader and score.
type GradedAnswer = (String, String, Vec<(String, f64)>);

fn grades(rows: &[Value]) -> Vec<GradedAnswer> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let grades = |row: &Value| -> Vec<(String, f64)> {
        let grades = row["grades"].as_array().into_iter().flatten();
        grades.map(|grade| (text(&grade["grader"]), grade["score"].as_f64().expect("a score"))).collect()
    };
    rows.iter().map(|row| (text(&row["request_id"]), text(&row["asked"]), grades(row))).collect()
}

#[tokio::test]
async fn answers_of_a_log_are_graded_by_references_and_by_what_was_said_and_shadow_answers_stand_beside_them() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&shadowing(&small, &frontier, "")).await;
    let folder = LogFolder::of_three_requests(&mut gateway, &small, &frontier).await;
    let references = folder.write(
        "references.jsonl",
        &[
            json!({"id": "sum", "prompt": "Whatever this says.", "reference": {"number": 4}}),
            json!({"question": "What is 6 * 7?", "answer": "6 * 7 = 42 #### 42"}),
            json!({"id": "never asked", "prompt": "x", "reference": {"number": 1}}),
        ],
    );

    let graded = folder.grade(&["--references", &references]).await;

    let report = report(&graded);
    let of = |request: &str, asked: &str, grader: &str, score: f64| {
        (request.to_owned(), asked.to_owned(), vec![(grader.to_owned(), score)])
    };
    assert_eq!(
        grades(&folder.rows()),
        [
            of("sum", "auto", "number", 0.0),
            of("sum", "frontier", "number", 1.0),
            of("product", "auto", "number", 1.0),
            of("product", "frontier", "number", 1.0),
            of("tale", "auto", "human", 0.75),
            of("tale", "frontier", "human", 0.0),
        ]
    );
    assert_eq!((&report["references"], &report["references_left"]), (&json!(4), &json!(1)));
    let shadow = &report["shadow"];
    assert_eq!(
        (&shadow["requests"], shadow["served"].as_f64().map(|mean| (mean * 1e4).round())),
        (&json!(3), Some(5833.0))
    );
    assert!(shadow["difference_ci95"][0].as_f64() < shadow["difference_ci95"][1].as_f64(), "{shadow}");
    let mode = fs::metadata(folder.0.join("graded.jsonl")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o077, 0, "prompts of people are nobody else's to read");
}

#[tokio::test]
async fn a_judge_compares_a_log_s_served_answers_with_its_shadow_answers_blind() {
    let (small, frontier, judge) = (Origin::start().await, Origin::start().await, Origin::start().await);
    let mut gateway = start(&shadowing(&small, &frontier, "")).await;
    let folder = LogFolder::of_three_requests(&mut gateway, &small, &frontier).await;
    for label in ["second", "first", "tie", "tie", "first", "second"] {
        judge.script(said(label));
    }
    let url = format!("http://{}/v1", judge.address());

    let graded = folder
        .grade(&[
            "--grader",
            "pairwise",
            "--baseline",
            "frontier",
            "--judge",
            "j",
            "--judge-url",
            &url,
            "--concurrency",
            "1",
        ])
        .await;

    let report = report(&graded);
    assert_eq!(report["asked"]["auto"]["pairwise"], json!({"wins": 1, "ties": 1, "losses": 1, "orders_disagree": 0}));
    assert!(folder.rows().iter().all(|row| row["grades"].as_array().is_some_and(|grades| grades.len() == 1)));
    let question = judge.next().await;
    let question = String::from_utf8_lossy(&question.body).into_owned();
    assert!(question.contains("It is 5.") && question.contains("It is 4."), "{question}");
    assert!(!question.contains("frontier") && !question.contains("small"), "{question}");
}

fn said(label: &str) -> Answer {
    let content = json!({"reason": "because", "label": label}).to_string();
    completion(&content)
}
