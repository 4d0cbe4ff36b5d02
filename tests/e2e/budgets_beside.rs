//! What budgets count beside answers that are at hand: judges, and responses that are made in the background.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, get, question};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::soon;

/// A judge at the provider of `small`, whose answers cost 0.000102 US dollars each and are not remembered.
const JUDGE: &str = "{kind: judge, judge: small, timeout: 5s, breaker: {failures: 9, rest: 1s}, otherwise: small,
      cache: {max_entries: 0}, choices: [{label: easy, model: small, description: small talk},
        {label: hard, model: frontier, description: everything else}]}";

/// The judge's answer in these words.
fn word(content: &str) -> Answer {
    json_answer(&json!({
        "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 10},
    }))
}

fn json_answer(body: &Value) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

/// The client `anna` with this budget, on a listener that takes questions.
fn budgeted(small: &Origin, frontier: &Origin, budget: &str) -> Config {
    Config {
        rules: Vec::new(),
        listen: "{address: 127.0.0.1:0, decisions: true}".to_owned(),
        default_provider: Some("one"),
        sections: format!("clients: {{anna: {{keys: [{{sha256: {}}}]}}}}\nbudgets: [{budget}]\n", hash("anna")),
        ..Config::new(small, frontier)
    }
}

async fn send(gateway: &Gateway, method: Method, path: &str, body: &str) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(method, path).header("content-type", "application/json");
    let request = request.header("authorization", "Bearer anna").body(Framing::Length.body(body.to_owned().into()));
    Reply::read(connection.send(request.expect("a valid request")).await.expect("an answer")).await
}

/// Returns what anna has used of her budget: millionths of a US dollar, tokens and requests.
async fn used(gateway: &Gateway) -> Value {
    let shown = get(gateway.admin, "/v1/budgets").await.json();
    let used = &shown["budgets"][0]["used"];
    let dollars = used["dollars"].as_f64().expect("a number");
    json!([(dollars * 1e6).round(), used["tokens"], used["requests"]])
}

async fn until_used(gateway: &Gateway, expected: &Value) {
    soon(&format!("{expected} to be used"), async { while used(gateway).await != *expected {} }).await;
}

#[tokio::test]
async fn the_judges_of_questions_are_billed_to_who_asks_and_not_asked_beyond_the_budget() {
    let easy = || word(r#"{"label": "easy"}"#);
    let (small, frontier) = (Origin::answering((0..9).map(|_| easy())).await, Origin::start().await);
    let config = budgeted(&small, &frontier, "{name: daily, dollars: 0.0004}");
    let gateway = Gateway::start(&Config { whole_strategy: Some(JUDGE.to_owned()), ..config }).await;

    let decided = send(&gateway, Method::POST, "/v1/decide", &question("auto", "one")).await.json();
    until_used(&gateway, &json!([102.0, 0, 0])).await;
    let batch = json!({"texts": ["two", "three", "four"]}).to_string();
    let predicted = send(&gateway, Method::POST, "/predict/batch", &batch).await;
    until_used(&gateway, &json!([408.0, 0, 0])).await;
    let beyond = send(&gateway, Method::POST, "/v1/decide", &question("auto", "five")).await.json();

    assert_eq!((&decided["reason"], predicted.status), (&json!("judge"), StatusCode::OK), "{decided}");
    assert_eq!((&beyond["model"], &beyond["reason"]), (&json!("small"), &json!("judge_unavailable")));
    assert_eq!((0..9).filter_map(|_| small.take()).count(), 4, "the judge was asked about four texts");
}

#[tokio::test]
async fn the_judge_of_a_request_that_is_refused_or_not_understood_is_paid_for_all_the_same() {
    let words = [word("hard to say, easy or hard"), word(r#"{"label": "hard"}"#), word(r#"{"label": "hard"}"#)];
    let (small, frontier) = (Origin::answering(words).await, Origin::start().await);
    let config = budgeted(&small, &frontier, "{name: daily, dollars: 0.0003}");
    let gateway = Gateway::start(&Config { whole_strategy: Some(JUDGE.to_owned()), ..config }).await;

    let decided = send(&gateway, Method::POST, "/v1/decide", &question("auto", "odd")).await.json();
    until_used(&gateway, &json!([102.0, 0, 0])).await;
    // The strong model's estimate of some 0.003 US dollars does not fit.
    let refused = send(&gateway, Method::POST, CHAT, &question("auto", "prove it")).await;
    until_used(&gateway, &json!([204.0, 0, 0])).await;
    let again = send(&gateway, Method::POST, CHAT, &question("auto", "prove it again")).await;
    until_used(&gateway, &json!([306.0, 0, 0])).await;
    let beyond = send(&gateway, Method::POST, CHAT, &question("auto", "and again")).await;

    assert_eq!(decided["reason"], "judge_bad_answer", "{decided}");
    assert_eq!(decided["judges"][0]["cost_usd"], json!(0.000_102), "{decided}");
    let statuses = [&refused, &again, &beyond].map(|reply| (reply.status, reply.error_code()));
    assert_eq!(statuses, [(); 3].map(|()| (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded".to_owned())));
    assert_eq!((0..9).filter_map(|_| small.take()).count(), 3, "beyond the budget no judge is asked");
}

const RESPONSES: &str = "/v1/responses";

fn queued() -> Answer {
    json_answer(&json!({"id": "resp_b", "object": "response", "status": "queued", "output": [], "usage": null}))
}

/// The response, made: 4000 tokens, for 0.000 5 US dollars by `small`.
fn made() -> Answer {
    let usage = json!({"input_tokens": 3000, "output_tokens": 1000, "total_tokens": 4000});
    let output = json!([{"type": "message", "content": [{"type": "output_text", "text": "done"}]}]);
    json_answer(&json!({"id": "resp_b", "object": "response", "status": "completed", "output": output, "usage": usage}))
}

#[tokio::test]
async fn a_response_in_the_background_is_charged_its_bill_once_it_is_fetched() {
    let (small, frontier) = (Origin::answering([queued(), queued(), made(), made()]).await, Origin::start().await);
    let config = budgeted(&small, &frontier, "{name: daily, dollars: 1}");
    let gateway = Gateway::start(&Config { whole_strategy: None, rules: vec![("true", "small")], ..config }).await;

    let body = json!({"model": "auto", "input": "hello", "background": true}).to_string();
    let begun = send(&gateway, Method::POST, RESPONSES, &body).await;
    soon("an estimate", async { while used(&gateway).await[2] != 1 {} }).await;
    let estimate = used(&gateway).await;
    for _ in 0..3 {
        send(&gateway, Method::GET, "/v1/responses/resp_b", "").await;
    }

    assert_eq!(begun.status, StatusCode::OK);
    assert!((401..500).contains(&estimate[1].as_u64().expect("tokens")), "{estimate}");
    until_used(&gateway, &json!([500.0, 4000, 1])).await;
}

#[tokio::test]
async fn a_response_that_is_cancelled_is_charged_once_and_the_cancelling_is_no_request() {
    let (small, frontier) = (Origin::answering([queued(), made()]).await, Origin::start().await);
    let config = budgeted(&small, &frontier, "{name: daily, dollars: 1}");
    let gateway = Gateway::start(&Config { whole_strategy: None, rules: vec![("true", "small")], ..config }).await;

    let body = json!({"model": "auto", "input": "hello", "background": true}).to_string();
    send(&gateway, Method::POST, RESPONSES, &body).await;
    let cancelled = send(&gateway, Method::POST, "/v1/responses/resp_b/cancel", "").await;

    assert_eq!(cancelled.status, StatusCode::OK);
    until_used(&gateway, &json!([500.0, 4000, 1])).await;
}

/// The answer of a judge of typed decisions that is sure of the first option.
fn sure() -> Answer {
    word(r#"{"answers": [{"question": 0, "declined": false, "likely": [{"option": 0, "probability": 1.0}]}]}"#)
}

fn judged_decision() -> String {
    let question = json!({"type": "predicate", "instructions": "Is it a poem?"});
    json!({"model": "luna", "input": "Roses are red.", "questions": [question]}).to_string()
}

/// As [`budgeted`], with `small` as the judge of the typed decisions `luna`.
fn deciding(small: &Origin, frontier: &Origin, budget: &str) -> Config {
    let config = budgeted(small, frontier, budget);
    let sections = format!("{}decisions: {{luna: {{judge: small}}}}\n", config.sections);
    Config { rules: vec![("true", "small")], sections, ..config }
}

#[tokio::test]
async fn typed_decisions_are_paid_for_however_they_end_and_declined_beyond_the_budget() {
    let (small, frontier) = (Origin::answering([sure(), word("I cannot say.")]).await, Origin::start().await);
    let gateway = Gateway::start(&deciding(&small, &frontier, "{name: daily, dollars: 0.0002}")).await;
    let decide = async || send(&gateway, Method::POST, "/v1/decisions", &judged_decision()).await;

    let decided = decide().await;
    until_used(&gateway, &json!([102.0, 0, 0])).await;
    let babble = decide().await;
    until_used(&gateway, &json!([204.0, 0, 0])).await;
    let beyond = decide().await;

    assert_eq!(decided.json()["answers"][0]["probability"], json!(1.0), "{:?}", decided.body);
    assert_eq!((babble.status, babble.error_code().as_str()), (StatusCode::BAD_GATEWAY, "upstream_error"));
    assert_eq!((beyond.status, &beyond.json()["answers"][0]["type"]), (StatusCode::OK, &json!("refusal")));
    assert_eq!((0..9).filter_map(|_| small.take()).count(), 2, "beyond the budget no judge is asked");
}

#[tokio::test]
async fn who_leaves_a_judge_at_work_pays_for_the_question() {
    let (_hold, never) = tokio::sync::oneshot::channel();
    let (small, frontier) = (Origin::answering([Answer::Held(never)]).await, Origin::start().await);
    let gateway = Gateway::start(&deciding(&small, &frontier, "{name: daily, dollars: 1}")).await;
    let body = judged_decision();

    tokio::select! {
        reply = send(&gateway, Method::POST, "/v1/decisions", &body) => panic!("{:?}", reply.body),
        _ = small.next() => {}
    }

    let is_charged = async || used(&gateway).await[0].as_f64().is_some_and(|millionths| millionths > 10.0);
    soon("the question to be charged", async { while !is_charged().await {} }).await;
}

#[tokio::test]
async fn a_judge_that_may_not_serve_a_client_decides_nothing_for_it() {
    let (small, frontier) = (Origin::answering([sure()]).await, Origin::start().await);
    let config = deciding(&small, &frontier, "{name: daily, dollars: 1}");
    let sections = config.sections.replace("anna: {", "anna: {models: {deny: [small]}, ");
    let gateway = Gateway::start(&Config { sections, ..config }).await;

    let decided = send(&gateway, Method::POST, "/v1/decisions", &judged_decision()).await;

    assert_eq!((decided.status, &decided.json()["answers"][0]["type"]), (StatusCode::OK, &json!("refusal")));
    assert!(small.take().is_none(), "the judge is not asked");
}
