//! Shadow answers: another model is asked too, after the client's answer, within a budget, and nothing of it is the
//! client's.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::affinity::until_store;
use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::decision_log::{lines, logging, start};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::redis::Redis;
use crate::reload::until_metric;

const LOGGED: &str = ", text: true, answers: {sample: 1}";
const RESPONSES: &str = "/v1/responses";

/// Sends every request to `small`, and has `frontier` asked too.
pub(crate) fn shadowing(small: &Origin, frontier: &Origin, more: &str) -> Config {
    let policy = format!("    shadow_answers: {{model: frontier, sample: 1, max_per_day: 1{more}}}\n");
    logging(Config { policy, ..Config::new(small, frontier) }, LOGGED)
}

pub(crate) fn completion(text: &str) -> Answer {
    let body = json!({"id": "c", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 100, "completion_tokens": 50},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

async fn post(gateway: &Gateway, path: &str, body: Value) -> Reply {
    Connection::open(gateway.listen, Framing::Length).await.post(Framing::Length, path, body.to_string()).await
}

async fn metrics(gateway: &Gateway) -> String {
    String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).into_owned()
}

pub(crate) fn outcome(outcome: &str, count: u64) -> String {
    format!(r#"pointsman_shadow_answers_total{{model="frontier",outcome="{outcome}",policy="auto"}} {count}"#)
}

#[tokio::test]
async fn another_model_is_asked_after_the_client_s_answer_and_both_answers_are_logged() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&shadowing(&small, &frontier, ", max_tokens: 64")).await;
    small.script(completion("It is 4."));
    frontier.script(completion("Four, which is 2 + 2."));
    let asked = json!({"model": "auto", "stream": false, "max_tokens": 500, "user": "u-1", "temperature": 0.5,
        "messages": [{"role": "user", "content": "2 + 2?"}]});

    let reply = post(&gateway, CHAT, asked).await;
    until_metric(&gateway, &outcome("answered", 1)).await;

    let repeated: Value = serde_json::from_slice(&frontier.next().await.body).expect("JSON");
    assert_eq!(repeated["messages"], json!([{"role": "user", "content": "2 + 2?"}]));
    assert_eq!((&repeated["model"], &repeated["max_tokens"]), (&json!("frontier-1"), &json!(64)));
    assert_eq!(
        (&repeated["user"], &repeated["stream"], &repeated["temperature"]),
        (&Value::Null, &Value::Null, &json!(0.5))
    );
    let shown = metrics(&gateway).await;
    // 100 tokens at 2 dollars and 50 at 8 dollars a million.
    for series in [
        r#"pointsman_shadow_answer_cost_usd_total{model="frontier",policy="auto"} 0.0006"#,
        r#"pointsman_cost_usd_total{model="frontier"} 0"#,
        r#"pointsman_tokens_total{direction="output",model="frontier"} 0"#,
    ] {
        assert!(shown.contains(series), "no `{series}` in {shown}");
    }
    // The baseline of the client's answer is 0.0006, which the shadow answer has cost again.
    assert!(shown.contains(r#"pointsman_net_savings_usd{policy="auto"} -0.0000"#), "{shown}");
    let lines = lines(&mut gateway);
    let [decision, shadow] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&decision["kind"], &decision["answer"]), (&json!("decision"), &json!("It is 4.")));
    assert_eq!((&shadow["kind"], &shadow["answer"]), (&json!("shadow_answer"), &json!("Four, which is 2 + 2.")));
    assert_eq!(shadow["request_id"], reply.header("x-request-id").expect("an id"));
    assert_eq!(
        (&shadow["model"], &shadow["served_by"], &shadow["policy"]),
        (&json!("frontier"), &json!("small"), &json!("auto"))
    );
    assert_eq!((&shadow["input_tokens"], &shadow["output_tokens"]), (&json!(100), &json!(50)));
    assert!((shadow["cost_usd"].as_f64().expect("a cost") - 0.0006).abs() < 1e-9, "{shadow}");
    assert_eq!((&decision["model"], &decision["attempts"]), (&json!("small"), &json!(1)));
    let rows = rows_of(&gateway);
    let told: Vec<_> =
        rows.iter().map(|row| (row["prompt"].clone(), row["model"].clone(), row["answer"].clone())).collect();
    let expected = [("2 + 2?", "small", "It is 4."), ("2 + 2?", "frontier", "Four, which is 2 + 2.")];
    assert_eq!(told, expected.map(|(prompt, model, answer)| (json!(prompt), json!(model), json!(answer))));
    assert_eq!(rows[0]["id"], rows[1]["id"]);
}

/// Returns the rows that `pointsman answers` makes of a gateway's log.
fn rows_of(gateway: &Gateway) -> Vec<Value> {
    let folder = gateway.file().parent().expect("a folder").to_owned();
    let (log, out) = (folder.join("logs/d.jsonl"), folder.join("answers.jsonl"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let ended =
        command.args(["answers", "--from-log"]).arg(log).arg("--out").arg(&out).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("1 answers, 1 shadow answers beside them"), "{said}");
    let rows = std::fs::read_to_string(out).expect("a file");
    rows.lines().map(|row| serde_json::from_str(row).expect("a row")).collect()
}

#[tokio::test]
async fn a_client_never_waits_for_a_shadow_answer_and_no_more_are_open_than_may_be() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = start(&shadowing(&small, &frontier, ", max_concurrency: 1")).await;
    let (release, held) = oneshot::channel();
    frontier.script(Answer::Held(held));

    let first = chat(gateway.listen, question("auto", "one")).await;
    frontier.next().await;
    let second = chat(gateway.listen, question("auto", "two")).await;

    assert_eq!([first.status, second.status], [StatusCode::OK; 2]);
    until_metric(&gateway, &outcome("busy", 1)).await;
    release.send(()).expect("the origin waits");
    until_metric(&gateway, &outcome("answered", 1)).await;
}

#[tokio::test]
async fn what_a_request_may_cost_at_most_is_taken_from_the_day_s_budget_before_it_is_sent() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    // 64 tokens of an answer may cost 0.000512 dollars, the prompt a little more.
    let policy = "    shadow_answers: {model: frontier, sample: 1, max_per_day: 0.0018, max_tokens: 64}\n".to_owned();
    let config = logging(Config { policy: policy.clone(), ..Config::new(&small, &frontier) }, LOGGED);
    let gateway = start(&config).await;

    frontier.script(completion("paid: 0.0006")); // of 0.0018
    chat(gateway.listen, question("auto", "one")).await;
    until_metric(&gateway, &outcome("answered", 1)).await;
    frontier.script(completion("paid: 0.0012"));
    chat(gateway.listen, question("auto", "two")).await;
    until_metric(&gateway, &outcome("answered", 2)).await;
    gateway.write(&config.yaml().replace("max_tokens: 64", "max_tokens: 63"));
    until_metric(&gateway, "pointsman_generation 2").await;
    chat(gateway.listen, question("auto", "three")).await;
    until_metric(&gateway, &outcome("over_budget", 1)).await;
    gateway.write(&config.yaml().replace(&policy, ""));
    until_metric(&gateway, "pointsman_generation 3").await;
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 4").await;
    chat(gateway.listen, question("auto", "four")).await;
    until_metric(&gateway, &outcome("over_budget", 2)).await;

    let asked = [frontier.take().is_some(), frontier.take().is_some(), frontier.take().is_some()];
    assert_eq!(asked, [true, true, false]);
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_it_used_keeps_all_that_was_taken_for_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let policy = "    shadow_answers: {model: frontier, sample: 1, max_per_day: 0.0018, max_tokens: 64}\n".to_owned();
    let config = logging(Config { policy, ..Config::new(&small, &frontier) }, LOGGED);
    let gateway = start(&config).await;
    let silent = json!({"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "7"}}]});

    for answered in 1..=2 {
        let kind = vec![("content-type", "application/json")];
        frontier.script(Answer::Reply(StatusCode::OK, kind, silent.to_string().into()));
        chat(gateway.listen, question("auto", "one")).await;
        until_metric(&gateway, &outcome("answered", answered)).await;
    }
    chat(gateway.listen, question("auto", "three")).await;

    until_metric(&gateway, &outcome("over_budget", 1)).await;
}

#[tokio::test]
async fn a_stream_of_another_api_is_asked_whole_in_the_model_s_own_words_and_compared_in_the_client_s() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = shadowing(&small, &frontier, "");
    let mut gateway = start(&Config { frontier_extra: "dialects: [messages]", ..config }).await;
    let end = json!({"choices": [{"index": 0, "delta": {"content": "Bern"}, "finish_reason": "stop"}]});
    let (sender, chunks) = tokio::sync::mpsc::channel(1);
    sender.send(Bytes::from(format!("data: {end}\n\ndata: [DONE]\n\n"))).await.expect("room");
    drop(sender);
    small.script(Answer::Events(chunks));
    frontier.script(crate::translated::reply_of(crate::translated::MESSAGE));

    post(&gateway, CHAT, json!({"model": "auto", "stream": true, "messages": [{"role": "user", "content": "Where?"}]}))
        .await;
    until_metric(&gateway, &outcome("answered", 1)).await;

    let asked = frontier.next().await;
    let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert!(asked.path.ends_with("/messages") && asked.header("anthropic-version").is_some(), "{}", asked.path);
    assert_eq!((&body["max_tokens"], body["stream"] == true), (&json!(4096), false));
    let lines = lines(&mut gateway);
    assert_eq!((&lines[0]["answer"], &lines[1]["answer"]), (&json!("Bern"), &json!("Let me look.")));
    assert_eq!((&lines[0]["finish_reason"], &lines[1]["finish_reason"]), (&json!("stop"), &json!("tool_calls")));
}

#[tokio::test]
async fn what_failed_what_goes_on_from_kept_state_and_what_the_same_model_answered_is_not_asked_again() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let policy = "    shadow_answers: {model: small, sample: 1, max_per_day: 1}\n".to_owned();
    let same = start(&logging(Config { policy, ..Config::new(&small, &frontier) }, LOGGED)).await;
    chat(same.listen, question("auto", "hi")).await;
    until_metric(&same, r#"pointsman_shadow_answers_total{model="small",outcome="same_model",policy="auto"} 1"#).await;

    let gateway = start(&shadowing(&small, &frontier, "")).await;
    small.script(Answer::Reply(StatusCode::BAD_REQUEST, vec![("content-type", "application/json")], "{}".into()));
    chat(gateway.listen, question("auto", "hi")).await;
    until_metric(&gateway, &outcome("unanswered", 1)).await;
    let response = json!({"id": "resp_2", "object": "response", "status": "completed", "output": []}).to_string();
    small.script(Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], response.into()));
    post(&gateway, RESPONSES, json!({"model": "auto", "input": "go on", "previous_response_id": "resp_1"})).await;
    until_metric(&gateway, &outcome("unsuitable", 1)).await;

    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn half_an_answer_is_none_to_compare_another_one_with() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = start(&shadowing(&small, &frontier, "")).await;
    let (sender, chunks) = tokio::sync::mpsc::channel(1);
    sender
        .send(Bytes::from_static(b"data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"Be\"}}]}\n\n"))
        .await
        .expect("room");
    small.script(Answer::Events(chunks));
    let asked = json!({"model": "auto", "stream": true, "messages": [{"role": "user", "content": "Where?"}]});

    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let reply = connection.start(Framing::Length, CHAT, asked.to_string()).await;
    let mut body = reply.into_body();
    crate::soon("the first words", body.frame()).await.expect("a frame").expect("no error");
    drop((body, connection)); // the client leaves
    crate::soon("the gateway leaves", sender.closed()).await;

    until_metric(&gateway, &outcome("unanswered", 1)).await;
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn a_model_that_asked_to_be_left_alone_is_asked_for_no_shadow_answer() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = start(&shadowing(&small, &frontier, "")).await;
    frontier.script(Answer::Reply(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "30")], "{}".into()));

    chat(gateway.listen, question("auto", "one")).await;
    until_metric(&gateway, &outcome("failed", 1)).await;
    chat(gateway.listen, question("auto", "two")).await;
    until_metric(&gateway, &outcome("resting", 1)).await;

    assert!(frontier.take().is_some() && frontier.take().is_none());
}

#[tokio::test]
async fn replicas_keep_one_budget_in_the_store() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let store = Redis::start();
    let sections = store.section("1s");
    let policy = "    shadow_answers: {model: frontier, sample: 1, max_per_day: 0.0007, max_tokens: 16}\n".to_owned();
    let config = logging(Config { policy, sections, ..Config::new(&small, &frontier) }, LOGGED);
    let (one, other) = (start(&config).await, start(&config).await);
    until_store(&one, "ready").await;
    until_store(&other, "ready").await;
    frontier.script(completion("paid: 0.0006"));

    chat(one.listen, question("auto", "one")).await;
    until_metric(&one, &outcome("answered", 1)).await;
    chat(other.listen, question("auto", "two")).await;
    until_metric(&other, &outcome("over_budget", 1)).await;
}

#[tokio::test]
async fn the_operator_grades_both_answers_and_the_quality_held_is_shown() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = start(&shadowing(&small, &frontier, "")).await;
    let reply = chat(gateway.listen, question("auto", "hi")).await;
    let id = reply.header("x-request-id").expect("an id");
    until_metric(&gateway, "pointsman_decision_log_lines_total 2").await;

    for (answer, correct) in [("served", 0.5), ("shadow", 1.0)] {
        let word = json!({"request_id": id, "correct": correct, "answer": answer}).to_string();
        let taken =
            Connection::open(gateway.admin, Framing::Length).await.post(Framing::Length, "/v1/feedback", word).await;
        assert_eq!(taken.status, StatusCode::OK);
    }

    let shown = metrics(&gateway).await;
    for series in [
        r#"pointsman_quality_ratio{answer="served",bound="mean",model="small",policy="auto"} 0.5"#,
        r#"pointsman_quality_ratio{answer="shadow",bound="mean",model="frontier",policy="auto"} 1"#,
        r#"pointsman_quality_held_ratio{bound="mean",policy="auto"} 0.5"#,
    ] {
        assert!(shown.contains(series), "no `{series}` in {shown}");
    }
}
