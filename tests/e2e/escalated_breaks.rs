//! Checked answers where something breaks: the cheap stream, the limits of what is held, the judge's time, the strong model.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::client::{CHAT, Connection, Framing, chat, question};
use crate::decision_log::{lines, logging, start};
use crate::escalated::{checking, completion, config, content, event, post, stream, streamed, text_of, told, word};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;

#[tokio::test]
async fn another_model_s_answer_is_not_checked_in_place_of_one_that_broke_off() {
    for framing in [Framing::Length, Framing::H2Length] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = checking(&small, &frontier, "check: {finish_reason: true}").await;
        small.script(Answer::CutEvents(event(&json!({"content": "It is"}), &Value::Null)));
        frontier.script(stream(&["Fo", "ur"], "length").await);

        let mut connection = Connection::open(gateway.listen, framing).await;
        let reply = connection.post(framing, CHAT, streamed("2 + 2?").to_string()).await;

        assert_eq!((text_of(&reply), word(&reply)), ("Four".to_owned(), (Some("frontier"), None)));
        assert_eq!(reply.header("x-pointsman-fallback-from"), Some("small"));
        assert!(frontier.take().is_some() && frontier.take().is_none(), "the strong model is asked once");
        until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="escalated",policy="auto"} 0"#).await;
    }
}

#[tokio::test]
async fn an_answer_too_large_to_be_held_is_whole_although_log_probabilities_were_asked_for() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = checking(&small, &frontier, "check: {min_logprob: -1.2}, hold: {max_bytes: 1024}").await;
    let tokens = json!({"content": [{"token": "x", "logprob": -0.1, "bytes": null, "top_logprobs": []}]});
    let text = "x".repeat(5000);
    small.script(told(&json!({"role": "assistant", "content": text}), "stop", &tokens));
    let (sender, chunks) = mpsc::channel(64);
    for place in 0..20 {
        let choice = json!({"index": 0, "delta": {"content": format!("{place:0100}")}, "logprobs": tokens, "finish_reason": null});
        let line = format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}));
        // Cut in the middle of a line, as networks do.
        let (first, second) = line.split_at(line.len() / 2);
        sender.send(Bytes::from(first.to_owned())).await.expect("room");
        sender.send(Bytes::from(second.to_owned())).await.expect("room");
    }
    sender.send("data: [DONE]\n\n".into()).await.expect("room");
    drop(sender);
    small.script(Answer::Events(chunks));

    let whole = chat(gateway.listen, question("auto", "hi")).await;
    let gradual = post(&gateway, CHAT, &streamed("hi")).await;

    assert_eq!((content(&whole), word(&whole)), (text, (Some("small"), None)));
    let expected: String = (0..20).map(|place| format!("{place:0100}")).collect();
    assert_eq!(text_of(&gradual), expected);
    let shown = String::from_utf8_lossy(&gradual.body).into_owned();
    assert!(!shown.contains("-0.1") && shown.contains("\"logprobs\":null"), "{shown}");
    until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="released",policy="auto"} 2"#).await;
}

#[tokio::test]
async fn a_stream_is_held_no_longer_than_it_may_be_although_somebody_is_asked_about_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let check = "check: {judge: {judge: frontier, timeout: 60s}}, hold: {max_time: 50ms}";
    let gateway = checking(&small, &frontier, check).await;
    let (_silence, held) = oneshot::channel();
    small.script(stream(&["It ", "is 4."], "stop").await);
    frontier.script(Answer::Held(held));

    let reply = post(&gateway, CHAT, &streamed("2 + 2?")).await;

    assert_eq!((text_of(&reply), word(&reply)), ("It is 4.".to_owned(), (Some("small"), None)));
    until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="released",policy="auto"} 1"#).await;
    until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="passed",policy="auto"} 0"#).await;
}

#[tokio::test]
async fn a_failed_answer_that_the_client_gets_after_all_is_its_answer_in_every_account() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let checked = config(&small, &frontier, "check: {finish_reason: true}");
    let mut gateway = start(&logging(checked, ", text: true, answers: {sample: 1}")).await;
    small.script(completion("It is", "length"));
    frontier.script(Answer::Reply(StatusCode::BAD_REQUEST, vec![("content-type", "application/json")], "{}".into()));

    let reply = chat(gateway.listen, question("auto", "hi")).await;

    assert_eq!(word(&reply), (Some("small"), Some("finish_reason; unanswered")));
    until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="unanswered",policy="auto"} 1"#).await;
    until_metric(&gateway, r#"pointsman_escalation_cost_usd_total{part="discarded",policy="auto"} 0"#).await;
    // 100 tokens at 0.1 and 50 at 0.2 dollars a million; with the dearest model 100 at 2 and 50 at 8.
    until_metric(&gateway, r#"pointsman_cost_usd_total{model="small"} 0.00002"#).await;
    let line = &lines(&mut gateway)[0];
    assert_eq!((&line["answered_by"], &line["answer"]), (&json!("small"), &json!("It is")));
    assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(100), &json!(50)));
    let near = |key: &str, cost: f64| (line[key].as_f64().expect("a cost") - cost).abs() < 1e-9;
    assert!(near("cost_usd", 0.00002) && near("baseline_cost_usd", 0.0006), "{line}");
    assert_eq!(line.get("escalation_cost_usd"), None, "{line}");
}

#[tokio::test]
async fn a_judge_that_says_no_label_is_paid_for_all_the_same() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway =
        start(&logging(config(&small, &frontier, "check: {judge: {judge: frontier}}"), ", text: true")).await;
    frontier.script(completion("It depends.", "stop"));

    let reply = chat(gateway.listen, question("auto", "2 + 2?")).await;

    assert_eq!(word(&reply), (Some("frontier"), Some("unavailable")));
    until_metric(&gateway, r#"pointsman_judge_cost_usd_total{policy="auto"} 0.0006"#).await;
    let line = &lines(&mut gateway)[0];
    assert!(line["judge_cost_usd"].as_f64().is_some_and(|cost| (cost - 0.0006).abs() < 1e-9), "{line}");
}

#[tokio::test]
async fn the_key_of_an_account_is_that_of_the_answer() {
    const TWO: &str = "keys: [{env: KEY_A, weight: 3}, {env: KEY_B, name: second}]";
    let environment = [("KEY_A", "sk-planted-a"), ("KEY_B", "sk-planted-b")];
    let small = Origin::start().await;
    let nobody = Config { frontier: crate::origin::nobody().await, ..Config::new(&small, &small) };
    // A provider without a connection has no key, whatever the one before it had.
    let whole_strategy = Some("{kind: random, models: [small]}".to_owned());
    let config =
        Config { one: vec![TWO.to_owned()], whole_strategy, fallback: "[frontier]", rules: Vec::new(), ..nobody };
    let mut gateway = Gateway::start_with(&config, &environment).await;
    small.script(Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), "{}".into()));
    small.script(Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), "{}".into()));
    small.script(Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), "{}".into()));

    chat(gateway.listen, question("auto", "hi")).await;

    until_metric(&gateway, r#"pointsman_fallbacks_total{cause="status_5xx",from="small",to="frontier"} 1"#).await;
    gateway.stop(); // its log is whole then
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("provider=\"two\"") && line.contains("path=")).expect("a line");
    assert!(!line.contains(" key="), "{line}");
}
