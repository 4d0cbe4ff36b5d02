//! Answers of models and policies to prompts: who is asked, in which order, for how much, and what a run goes on from.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use bytes::Bytes;
use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::gateway::Config;
use crate::origin::{Answer, Origin};

/// A folder with a configuration of two models and a policy, prompts and answers.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &Config, prompts: &[Value]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        fs::write(folder.path("pointsman.yaml"), config.yaml()).expect("written");
        fs::write(folder.path("prompts.jsonl"), prompts.iter().map(|row| format!("{row}\n")).collect::<String>())
            .expect("written");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("collect").arg("-c").arg(self.path("pointsman.yaml")).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.arg("--prompts").arg(self.path("prompts.jsonl")).arg("--out").arg(self.path("answers.jsonl"));
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn collect(&self, more: &[&str]) -> Output {
        crate::soon("the collection", self.command(more).output()).await.expect("the binary starts")
    }

    fn rows(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("answers.jsonl")).expect("answers");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }

    /// Returns who was asked what, row by row.
    fn order(&self) -> String {
        let rows = self.rows();
        let names = rows
            .iter()
            .map(|row| format!("{}:{}", row["asked"].as_str().expect("asked"), row["id"].as_str().expect("id")));
        names.collect::<Vec<_>>().join(" ")
    }
}

fn prompts(count: usize) -> Vec<Value> {
    (0..count)
        .map(|i| json!({"id": format!("p{i}"), "prompt": format!("question {i}"), "reference": {"number": "7"}}))
        .collect()
}

fn counts(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no counts: {}", String::from_utf8_lossy(&output.stderr)))
}

fn reply(status: StatusCode, headers: Vec<(&'static str, &'static str)>, body: &Value) -> Answer {
    let headers = headers.into_iter().chain([("content-type", "application/json")]).collect();
    Answer::Reply(status, headers, Bytes::from(body.to_string()))
}

#[tokio::test]
async fn every_model_and_policy_is_asked_and_each_row_says_what_it_took() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = Folder::new(&Config::classifying(&small, &frontier), &prompts(2));

    let done = folder.collect(&[]).await;

    let counts = counts(&done);
    assert_eq!(folder.order(), "frontier:p0 small:p0 auto:p0 frontier:p1 small:p1 auto:p1");
    let rows = folder.rows();
    let (strong, weak, routed) = (&rows[0], &rows[1], &rows[2]);
    assert_eq!(
        (&weak["kind"], &weak["prompt"], &weak["answer"], &weak["model"], &weak["provider"]),
        (&json!("answer"), &json!("question 0"), &json!("by small-1"), &json!("small"), &json!("one"))
    );
    assert_eq!((&weak["status"], &weak["finish_reason"]), (&json!(200), &json!("stop")));
    assert_eq!(
        (&weak["input_tokens"], &weak["output_tokens"], &weak["reference"]),
        (&json!(5), &json!(2), &json!({"number": "7"}))
    );
    // 5 and 2 tokens at 2 and 8 dollars a million, and at 0.1 and 0.2.
    assert!((strong["cost_usd"].as_f64().expect("a cost") - 26e-6).abs() < 1e-12, "{strong}");
    assert!((weak["cost_usd"].as_f64().expect("a cost") - 0.9e-6).abs() < 1e-12, "{weak}");
    assert!(weak.get("policy").is_none() && weak.get("label").is_none(), "{weak}");
    assert!(weak["first_byte_ms"].as_f64() <= weak["duration_ms"].as_f64(), "{weak}");
    assert_eq!(
        (&routed["policy"], &routed["reason"], &routed["attempts"]),
        (&json!("auto"), &json!("tier"), &json!(1))
    );
    assert!(
        routed["label"].is_string() && routed["score"].is_number() && routed["scores"]["tier"].is_object(),
        "{routed}"
    );
    assert!(routed["overhead_us"].is_number() && routed["time"].is_string(), "{routed}");
    assert_eq!((&counts["answered"], &counts["failed"], &counts["ended"]), (&json!(6), &json!(0), &json!("done")));
    assert!(done.status.success());
}

#[tokio::test]
async fn answers_stand_in_order_although_the_first_comes_last() {
    let (go, held) = oneshot::channel();
    let (small, frontier) = (Origin::answering([Answer::Held(held)]).await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(6));
    let child = folder.command(&["--models", "small", "--concurrency", "2"]).spawn().expect("the binary starts");

    for _ in 0..6 {
        small.next().await;
    }
    go.send(()).expect("the first waits");
    let done = crate::soon("the end", child.wait_with_output()).await.expect("an end");

    assert_eq!(folder.order(), "small:p0 small:p1 small:p2 small:p3 small:p4 small:p5");
    assert!(done.status.success() && small.take().is_none());
}

#[tokio::test]
async fn a_second_run_asks_only_for_what_is_missing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(3));

    let first = folder.collect(&["--models", "small", "--limit", "2"]).await;
    let second = folder.collect(&["--models", "small,frontier"]).await;

    assert_eq!((&counts(&first)["answered"], &counts(&second)["answered"]), (&json!(2), &json!(4)));
    assert_eq!((&counts(&second)["known"], &counts(&second)["prompts"]), (&json!(2), &json!(3)));
    assert_eq!(folder.order(), "small:p0 frontier:p0 small:p1 frontier:p1 small:p2 frontier:p2");
}

#[tokio::test]
async fn the_budget_is_never_exceeded_and_the_run_says_so() {
    let dear = |_| {
        reply(
            StatusCode::OK,
            vec![],
            &json!({"choices": [{"finish_reason": "length", "message": {"content": "x"}}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 100_000}}),
        )
    };
    let (small, frontier) = (Origin::start().await, Origin::answering((0..20).map(dear)).await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(20));

    // Each answer may have 100,000 tokens at 8 dollars a million: 0.8 dollars, and it has them all.
    let arguments = ["--models", "frontier", "--max-tokens", "100000", "--max-cost", "2.5", "--concurrency", "8"];
    let done = folder.collect(&arguments).await;

    let counts = counts(&done);
    let spent = counts["cost_usd"].as_f64().expect("a cost");
    assert_eq!((&counts["answered"], &counts["ended"]), (&json!(3), &json!("budget")));
    assert!((2.4..=2.5).contains(&spent), "{counts}");
    assert_eq!(folder.order(), "frontier:p0 frontier:p1 frontier:p2");
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_it_used_counts_with_its_worst_case() {
    let silent = |_| {
        reply(StatusCode::OK, vec![], &json!({"choices": [{"finish_reason": "stop", "message": {"content": "7"}}]}))
    };
    let (small, frontier) = (Origin::start().await, Origin::answering((0..20).map(silent)).await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(20));

    // Each answer may have cost 0.8 dollars.
    let arguments = ["--models", "frontier", "--max-tokens", "100000", "--max-cost", "2.5"];
    let done = folder.collect(&arguments).await;

    let counts = counts(&done);
    assert_eq!((&counts["answered"], &counts["ended"]), (&json!(3), &json!("budget")));
    assert!(folder.rows().iter().all(|row| row["tokens_estimated"] == true), "{counts}");
}

#[tokio::test]
async fn a_budget_needs_the_price_of_every_model_that_may_answer() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(1));
    let yaml = Config::new(&small, &frontier).yaml().replace("price: {input: 2.0, output: 8.0}, ", "");
    fs::write(folder.path("pointsman.yaml"), yaml).expect("written");

    let refused = folder.collect(&["--max-cost", "1"]).await;
    let unpriced = folder.collect(&["--models", "frontier"]).await;

    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains("--max-cost needs a price of frontier"), "{said}");
    assert_eq!(counts(&unpriced)["unpriced"], 1);
    assert!(folder.rows()[0].get("cost_usd").is_none());
}

#[tokio::test]
async fn failures_are_rows_and_asked_again_only_when_that_is_wanted() {
    let wrong = json!({"error": {"message": "too   long", "type": "invalid_request_error", "code": "context"}});
    let (small, frontier) =
        (Origin::answering([reply(StatusCode::BAD_REQUEST, vec![], &wrong)]).await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(2));
    let arguments = ["--models", "small", "--concurrency", "1"];

    let first = folder.collect(&arguments).await;
    let failed = folder.rows();
    let second = folder.collect(&arguments).await;
    let third = folder.collect(&[&arguments[..], &["--retry-failed"]].concat()).await;

    assert_eq!((&counts(&first)["failed"], &counts(&first)["answered"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&failed[0]["status"], &failed[0]["error"], failed[0].get("answer")),
        (&json!(400), &json!({"code": "context", "message": "too long"}), None)
    );
    assert_eq!((&counts(&second)["failed_before"], &counts(&second)["answered"]), (&json!(1), &json!(0)));
    assert_eq!((&counts(&third)["answered"], folder.order().as_str()), (&json!(1), "small:p0 small:p1"));
    assert!(folder.rows()[0].get("error").is_none());
}

#[tokio::test]
async fn a_provider_that_asks_to_wait_is_asked_again() {
    let busy =
        || reply(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "0")], &json!({"error": {"message": "busy"}}));
    let (small, frontier) = (Origin::answering([busy(), busy(), busy(), busy()]).await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(1));

    let done = folder.collect(&["--models", "small"]).await;

    assert_eq!(counts(&done)["answered"], 1, "{:?}", folder.rows());
}

#[tokio::test]
async fn what_judges_cost_before_a_provider_asked_to_wait_is_counted() {
    let label = json!({"choices": [{"message": {"role": "assistant", "content": "{\"label\":\"easy\"}"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50}});
    let busy =
        || reply(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "0")], &json!({"error": {"message": "busy"}}));
    let judge = Origin::answering([reply(StatusCode::OK, vec![], &label)]).await;
    let small = Origin::answering([busy(), busy(), busy(), busy()]).await;
    let strategy = "{kind: judge, judge: frontier, otherwise: small, choices: [
        {label: easy, model: small, description: easy}, {label: hard, model: frontier, description: hard}]}";
    let config = Config {
        whole_strategy: Some(strategy.to_owned()),
        rules: Vec::new(),
        fallback: "[]",
        ..Config::new(&small, &judge)
    };
    let folder = Folder::new(&config, &prompts(1));

    let done = folder.collect(&["--policies", "auto"]).await;

    let row = &folder.rows()[0];
    assert_eq!((&counts(&done)["answered"], &row["model"]), (&json!(1), &json!("small")), "{row}");
    // The second try's question was answered from memory. 100 tokens at 2 and 50 at 8 dollars a million.
    let judged = row["judge_cost_usd"].as_f64().expect("a cost");
    assert!((judged - 0.0006).abs() < 1e-9, "{row}");
    assert!(counts(&done)["judge_cost_usd"].as_f64().is_some_and(|counted| (counted - judged).abs() < 1e-9));
}

#[tokio::test]
async fn a_model_whose_provider_is_gone_is_given_up() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { small: crate::origin::nobody().await, ..Config::new(&small, &frontier) };
    let folder = Folder::new(&config, &prompts(15));

    let done = folder.collect(&["--models", "small", "--concurrency", "1"]).await;

    let counts = counts(&done);
    assert_eq!((&counts["failed"], &counts["not_asked"]), (&json!(10), &json!(5)), "{counts}");
    assert!(counts["given_up"]["small"].is_string() && done.status.code() == Some(69), "{counts}");
}

#[tokio::test]
async fn a_policy_is_asked_whatever_it_matches_and_clients_keys_and_logs_of_the_file_do_not_count() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = Config::new(&small, &frontier);
    config.mode = "off";
    config.sections = format!(
        "clients: {{app: {{keys: [{{sha256: {}}}]}}}}\ndecision_log: {{path: logs/decisions.jsonl, text: true}}",
        "0f".repeat(32)
    );
    let folder = Folder::new(&config, &prompts(1));

    let done = folder.collect(&["--policies", "auto"]).await;

    assert_eq!(counts(&done)["answered"], 1);
    let row = &folder.rows()[0];
    assert_eq!(
        (&row["asked"], &row["policy"], &row["model"], &row["reason"]),
        (&json!("auto"), &json!("auto"), &json!("small"), &json!("rule"))
    );
    assert!(!folder.path("logs").exists());
    let request = small.next().await;
    assert_eq!(
        (request.model().as_str(), request.header("authorization"), request.header("x-pointsman-policy")),
        ("small-1", None, None)
    );
}

#[tokio::test]
async fn ctrl_c_finishes_what_is_under_way() {
    let (go, held) = oneshot::channel();
    let (small, frontier) = (Origin::answering([Answer::Held(held)]).await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(50));
    let mut child = folder.command(&["--models", "small", "--concurrency", "1"]).spawn().expect("the binary starts");

    small.next().await;
    interrupt(&child);
    heard(&mut child).await;
    go.send(()).expect("the first waits");
    let done = crate::soon("the end", child.wait_with_output()).await.expect("an end");

    assert_eq!((done.status.code(), folder.order().as_str()), (Some(130), "small:p0"));
    assert_eq!(counts(&done)["ended"], "interrupted");
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_stream_is_put_together_and_counted() {
    let chunk = |chunk: Value| Bytes::from(format!("data: {chunk}\n\n"));
    let (sender, events) = tokio::sync::mpsc::channel(8);
    let delta = |text: &str, finish: Value| json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]});
    for event in [
        delta("4", Value::Null),
        delta("2", json!("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}),
    ] {
        sender.send(chunk(event)).await.expect("room");
    }
    sender.send(Bytes::from_static(b"data: [DONE]\n\n")).await.expect("room");
    drop(sender);
    let (small, frontier) = (Origin::answering([Answer::Events(events)]).await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(1));

    let done = folder.collect(&["--models", "small", "--stream"]).await;

    assert_eq!(counts(&done)["answered"], 1);
    let row = &folder.rows()[0];
    assert_eq!(
        (&row["answer"], &row["finish_reason"], &row["output_tokens"]),
        (&json!("42"), &json!("stop"), &json!(2))
    );
    let body: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!(body["stream"], true);
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().expect("it runs")).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::INT).expect("it runs");
}

/// Waits until the process says that it was told to end.
async fn heard(child: &mut Child) {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let line = crate::soon("a word", said.next_line()).await.expect("readable").expect("a line");
    assert!(line.contains("under way are finished"), "{line}");
}

#[tokio::test]
async fn a_benchmark_becomes_prompts_with_references() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let rows = [
        json!({"question": "1+1?", "choices": ["one", "two"], "answer": 1, "subject": "maths"}),
        json!({"question": "How many?", "answer": "2 and 2 make 4.\n#### 4"}),
    ];
    let folder = Folder::new(&Config::new(&small, &frontier), &rows);

    folder.collect(&["--models", "small", "--concurrency", "1"]).await;

    let rows = folder.rows();
    assert_eq!((&rows[0]["reference"], &rows[0]["subject"]), (&json!({"choice": "B", "choices": 2}), &json!("maths")));
    assert_eq!((&rows[1]["reference"], &rows[1]["answer"]), (&json!({"number": "4"}), &json!("by small-1")));
    let body: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert!(body["messages"][0]["content"].as_str().is_some_and(|text| text.contains("A. one\nB. two")), "{body}");
}

#[tokio::test]
async fn who_is_not_there_is_refused_by_name() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = Folder::new(&Config::new(&small, &frontier), &prompts(1));

    for (arguments, said) in [
        (["--models", "smal"], "--models: there is no model `smal` (allowed: frontier, small)"),
        (["--policies", "x"], "--policies: there is no policy `x` (allowed: auto)"),
    ] {
        let refused = folder.collect(&arguments).await;

        assert_eq!(refused.status.code(), Some(64));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(said), "{refused:?}");
    }
}
