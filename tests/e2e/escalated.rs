//! Answers of a cheap model that are checked before their client gets them, and the strong model where one fails.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::decision_log::{lines, logging, start};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::{soon, translated};

const REFUSAL: &str = "I'm sorry, but I can't help with that.";

/// A gateway whose cheap model's answers are checked so.
pub(crate) async fn checking(small: &Origin, frontier: &Origin, check: &str) -> Gateway {
    Gateway::start(&config(small, frontier, check)).await
}

pub(crate) fn config(small: &Origin, frontier: &Origin, check: &str) -> Config {
    let strategy = format!("{{kind: escalate, cheap: small, strong: frontier, {check}}}");
    Config { rules: Vec::new(), whole_strategy: Some(strategy), ..Config::new(small, frontier) }
}

pub(crate) fn completion(text: &str, end: &str) -> Answer {
    told(&json!({"role": "assistant", "content": text}), end, &Value::Null)
}

pub(crate) fn told(message: &Value, end: &str, logprobs: &Value) -> Answer {
    let body = json!({"id": "c", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 100, "completion_tokens": 50},
        "choices": [{"index": 0, "message": message, "finish_reason": end, "logprobs": logprobs}]});
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

/// An event stream of these pieces of text, and its usage.
pub(crate) async fn stream(pieces: &[&str], end: &str) -> Answer {
    let (sender, chunks) = mpsc::channel(64);
    for piece in pieces {
        sender.send(event(&json!({"content": piece}), &Value::Null)).await.expect("room");
    }
    sender.send(event(&json!({}), &json!(end))).await.expect("room");
    let usage = json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50}});
    sender.send(format!("data: {usage}\n\ndata: [DONE]\n\n").into()).await.expect("room");
    Answer::Events(chunks)
}

pub(crate) fn event(delta: &Value, end: &Value) -> Bytes {
    let event = json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": end}]});
    format!("data: {event}\n\n").into()
}

pub(crate) fn streamed(text: &str) -> Value {
    json!({"model": "auto", "stream": true, "messages": [{"role": "user", "content": text}]})
}

pub(crate) async fn post(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    Connection::open(gateway.listen, Framing::Length).await.post(Framing::Length, path, body.to_string()).await
}

async fn metrics(gateway: &Gateway) -> String {
    String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).into_owned()
}

pub(crate) fn word(reply: &Reply) -> (Option<&str>, Option<&str>) {
    (reply.header("x-pointsman-model"), reply.header("x-pointsman-escalated"))
}

pub(crate) fn content(reply: &Reply) -> String {
    reply.json()["choices"][0]["message"]["content"].as_str().expect("text").to_owned()
}

pub(crate) fn text_of(reply: &Reply) -> String {
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    let events = body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    events.filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn an_answer_that_passes_goes_out_and_one_that_refuses_is_the_strong_model_s() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = logging(config(&small, &frontier, "check: {refusal: true, finish_reason: true}"), ", text: true");
    let mut gateway = start(&config).await;
    small.script(completion("It is 4.", "stop"));
    small.script(completion(REFUSAL, "stop"));
    frontier.script(completion("Four.", "stop"));

    let passed = chat(gateway.listen, question("auto", "2 + 2?")).await;
    let failed = chat(gateway.listen, question("auto", "2 + 2, again?")).await;

    assert_eq!((content(&passed), word(&passed)), ("It is 4.".to_owned(), (Some("small"), None)));
    assert_eq!((content(&failed), word(&failed)), ("Four.".to_owned(), (Some("frontier"), Some("refusal"))));
    assert_eq!(passed.header("x-pointsman-reason"), Some("escalate"));
    assert_eq!((failed.header("x-pointsman-attempts"), failed.header("x-pointsman-fallback-from")), (Some("2"), None));
    until_metric(&gateway, r#"pointsman_escalations_total{check="refusal",policy="auto"} 1"#).await;
    until_metric(
        &gateway,
        r#"pointsman_request_duration_seconds_count{model="frontier",policy="auto",status_class="2xx"} 1"#,
    )
    .await;
    let shown = metrics(&gateway).await;
    // 100 tokens at 0.1 and 50 at 0.2 dollars a million, twice; 100 at 2 and 50 at 8.
    for series in [
        r#"pointsman_checked_answers_total{outcome="passed",policy="auto"} 1"#,
        r#"pointsman_checked_answers_total{outcome="escalated",policy="auto"} 1"#,
        r#"pointsman_escalations_total{check="finish_reason",policy="auto"} 0"#,
        r#"pointsman_escalation_cost_usd_total{part="discarded",policy="auto"} 0.00002"#,
        r#"pointsman_cost_usd_total{model="small"} 0.00004"#,
        r#"pointsman_cost_usd_total{model="frontier"} 0.0006"#,
        r#"pointsman_tokens_total{direction="output",model="small"} 100"#,
    ] {
        assert!(shown.contains(series), "no `{series}` in {shown}");
    }
    // What both answers would have cost with the dearest model, less all three.
    let saved = shown.lines().find_map(|line| line.strip_prefix(r#"pointsman_net_savings_usd{policy="auto"} "#));
    let saved: f64 = saved.expect("a series").parse().expect("a number");
    assert!((saved - 0.00056).abs() < 1e-9, "{saved}");
    let lines = lines(&mut gateway);
    assert_eq!((&lines[0]["escalated"], &lines[1]["escalated"]), (&Value::Null, &json!("refusal")));
    assert_eq!((&lines[1]["model"], &lines[1]["answered_by"]), (&json!("small"), &json!("frontier")));
    assert!((lines[1]["cost_usd"].as_f64().expect("a cost") - 0.00062).abs() < 1e-9, "{}", lines[1]);
    let log = gateway.log();
    assert!(
        log.lines().any(|line| line.contains("escalated=\"refusal\"") && line.contains("cost_usd=0.00062")),
        "{log}"
    );
}

#[tokio::test]
async fn an_answer_that_was_cut_or_filtered_or_has_another_form_is_the_strong_model_s() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = checking(&small, &frontier, "check: {finish_reason: true, schema: true}").await;
    let format = json!({"type": "json_object"});
    let formed = json!({"model": "auto", "response_format": format, "messages": [{"role": "user", "content": "hi"}]});
    let plain: Value = serde_json::from_str(&question("auto", "hi")).expect("JSON");

    for (request, answer, end, check) in [
        (&plain, "It is", "length", Some("finish_reason")),
        (&plain, "", "content_filter", Some("finish_reason")),
        (&formed, "{\"age\": 3", "stop", Some("schema")),
        (&formed, "Sure: {\"age\": 3}", "stop", Some("schema")),
        (&formed, "{\"age\": 3}", "stop", None),
        (&plain, "Sure.", "stop", None),
    ] {
        small.script(completion(answer, end));
        let reply = post(&gateway, CHAT, request).await;

        let model = if check.is_some() { "frontier" } else { "small" };
        assert_eq!(word(&reply), (Some(model), check), "{answer}");
    }
}

#[tokio::test]
async fn a_stream_goes_out_once_its_first_words_refuse_nothing_and_one_that_refuses_is_not_seen() {
    for framing in [Framing::Length, Framing::H2Length] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = checking(&small, &frontier, "check: {refusal: true}").await;
        let (sender, chunks) = mpsc::channel(8);
        small.script(Answer::Events(chunks));

        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send(event(&json!({"role": "assistant", "content": "It is"}), &Value::Null)).await.expect("the origin");
        sender.send(event(&json!({"content": " so"}), &Value::Null)).await.expect("the origin");
        let reply = connection.start(framing, CHAT, streamed("hi").to_string()).await;
        let mut body = reply.into_body();
        // The rest is still to come.
        let first = soon("the first words", body.frame()).await.expect("a frame").expect("no error");
        let first = first.into_data().expect("data");
        assert!(first.starts_with(b"data: ") && String::from_utf8_lossy(&first).contains("It is"), "{first:?}");
        drop(sender);
        drop(body);

        small.script(stream(&["I'm sorry", ", but I can't", " help with that."], "stop").await);
        frontier.script(stream(&["Fo", "ur."], "stop").await);
        let reply =
            Connection::open(gateway.listen, framing).await.post(framing, CHAT, streamed("2 + 2?").to_string()).await;

        assert_eq!((text_of(&reply), word(&reply)), ("Four.".to_owned(), (Some("frontier"), Some("refusal"))));
    }
}

#[tokio::test]
async fn a_stream_is_held_to_its_end_by_a_check_that_needs_all_of_it() {
    for framing in [Framing::Length, Framing::H2Length] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = checking(&small, &frontier, "check: {finish_reason: true}").await;
        small.script(stream(&["It ", "is"], "length").await);
        frontier.script(stream(&["It ", "is 4."], "stop").await);
        small.script(stream(&["It ", "is so."], "stop").await);

        let mut connection = Connection::open(gateway.listen, framing).await;
        let failed = connection.post(framing, CHAT, streamed("one").to_string()).await;
        let passed = connection.post(framing, CHAT, streamed("two").to_string()).await;

        assert_eq!(
            (text_of(&failed), word(&failed)),
            ("It is 4.".to_owned(), (Some("frontier"), Some("finish_reason")))
        );
        assert_eq!((text_of(&passed), word(&passed)), ("It is so.".to_owned(), (Some("small"), None)));
        assert!(passed.body.ends_with(b"data: [DONE]\n\n"));
    }
}

#[tokio::test]
async fn the_client_of_a_held_stream_gets_comments_and_then_whichever_answer_it_is() {
    for (framing, end, expected) in [
        (Framing::Length, "stop", "It is so."),
        (Framing::Length, "length", "It is 4."),
        (Framing::H2Length, "length", "It is 4."),
    ] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = checking(&small, &frontier, "check: {finish_reason: true}, hold: {keep_alive: 20ms}").await;
        let (sender, chunks) = mpsc::channel(8);
        small.script(Answer::Events(chunks));
        frontier.script(stream(&["It ", "is 4."], "stop").await);

        sender.send(event(&json!({"content": "It is so."}), &Value::Null)).await.expect("the origin");
        let mut connection = Connection::open(gateway.listen, framing).await;
        let reply = connection.start(framing, CHAT, streamed("hi").to_string()).await;
        let pending = reply.headers().get("x-pointsman-escalated").map(|value| value.as_bytes().to_owned());
        let mut body = reply.into_body();
        let first = soon("a comment", body.frame()).await.expect("a frame").expect("no error");
        sender.send(event(&json!({}), &json!(end))).await.expect("the origin");
        sender.send("data: [DONE]\n\n".into()).await.expect("the origin");
        drop(sender);
        let rest = soon("the rest", body.collect()).await.expect("a whole stream").to_bytes();

        assert_eq!(pending.as_deref(), Some(&b"pending"[..]));
        assert_eq!(first.into_data().expect("data"), ": checking\n\n");
        let (status, headers) = (StatusCode::OK, http::HeaderMap::new());
        assert_eq!(text_of(&Reply { status, headers, body: rest.clone() }), expected, "{rest:?}");
        assert!(rest.ends_with(b"data: [DONE]\n\n"), "{rest:?}");
    }
}

#[tokio::test]
async fn an_answer_beyond_what_may_be_held_goes_out_unchecked() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let check = "check: {finish_reason: true}, hold: {max_bytes: 1024, max_time: 30ms}";
    let gateway = checking(&small, &frontier, check).await;
    let (sender, chunks) = mpsc::channel(8);
    small.script(completion(&"x".repeat(2000), "length"));
    small.script(Answer::Events(chunks));

    let long = chat(gateway.listen, question("auto", "hi")).await;
    sender.send(event(&json!({"content": "It is"}), &Value::Null)).await.expect("the origin");
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let slow = connection.start(Framing::Length, CHAT, streamed("hi").to_string()).await;
    let mut body = slow.into_body();
    let first = soon("what was held", body.frame()).await.expect("a frame").expect("no error");
    sender.send(event(&json!({}), &json!("length"))).await.expect("the origin");
    drop(sender);
    let _ = soon("the rest", body.collect()).await;

    assert_eq!(word(&long), (Some("small"), None));
    assert!(String::from_utf8_lossy(&first.into_data().expect("data")).contains("It is"));
    until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="released",policy="auto"} 2"#).await;
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn log_probabilities_are_asked_for_and_taken_out_again() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = checking(&small, &frontier, "check: {min_logprob: -1.2}").await;
    let tokens =
        |logprob: f64| json!({"content": [{"token": "Four", "logprob": logprob, "bytes": null, "top_logprobs": []}]});
    let message = json!({"role": "assistant", "content": "Four"});
    small.script(told(&message, "stop", &tokens(-0.2)));
    small.script(told(&message, "stop", &tokens(-2.5)));
    small.script(told(&message, "stop", &tokens(-0.2)));

    let sure = chat(gateway.listen, question("auto", "2 + 2?")).await;
    let unsure = chat(gateway.listen, question("auto", "2 + 3?")).await;
    let mut wanted: Value = serde_json::from_str(&question("auto", "2 + 4?")).expect("JSON");
    wanted["logprobs"] = json!(true);
    let wanted = post(&gateway, CHAT, &wanted).await;

    let asked: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!(asked["logprobs"], true);
    assert_eq!((word(&sure), &sure.json()["choices"][0]["logprobs"]), ((Some("small"), None), &Value::Null));
    assert_eq!(word(&unsure), (Some("frontier"), Some("min_logprob")));
    assert_eq!(wanted.json()["choices"][0]["logprobs"], tokens(-0.2));
    let asked: Value = serde_json::from_slice(&frontier.next().await.body).expect("JSON");
    assert_eq!(asked["logprobs"], Value::Null);
}

#[tokio::test]
async fn a_judge_reads_the_prompt_and_the_answer_and_its_word_counts() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = checking(&small, &frontier, "check: {judge: {judge: frontier, instructions: Be strict.}}").await;
    let verdict = |label: &str| completion(&json!({"label": label}).to_string(), "stop");
    small.script(completion("It is 4.", "stop"));
    frontier.script(verdict("good"));
    small.script(completion("It is 5.", "stop"));
    frontier.script(verdict("bad"));
    frontier.script(completion("Four.", "stop"));
    small.script(completion("It is 6.", "stop"));
    frontier.script(Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into()));
    frontier.script(completion("Otherwise four.", "stop"));

    let good = chat(gateway.listen, question("auto", "2 + 2?")).await;
    let bad = chat(gateway.listen, question("auto", "2 + 2?")).await;
    let silent = chat(gateway.listen, question("auto", "2 + 2?")).await;

    assert_eq!((content(&good), word(&good)), ("It is 4.".to_owned(), (Some("small"), None)));
    assert_eq!((content(&bad), word(&bad)), ("Four.".to_owned(), (Some("frontier"), Some("judge"))));
    assert_eq!(
        (content(&silent), word(&silent)),
        ("Otherwise four.".to_owned(), (Some("frontier"), Some("unavailable")))
    );
    let asked = frontier.next().await;
    let told = String::from_utf8_lossy(&asked.body).into_owned();
    for part in ["Be strict.", ">\\n2 + 2?\\n</request-", ">\\nIt is 4.\\n</answer-", "\"good\",\"bad\""] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(asked.header("x-pointsman-judge"), Some("1"));
    until_metric(&gateway, r#"pointsman_judge_cost_usd_total{policy="auto"} 0.0012"#).await;
    until_metric(&gateway, r#"pointsman_escalations_total{check="unavailable",policy="auto"} 1"#).await;
}

#[tokio::test]
async fn a_judge_of_answers_may_be_asked_for_a_typed_decision() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let check = "check: {judge: {judge: frontier, protocol: decisions, min_confidence: 0.6}}";
    let gateway = checking(&small, &frontier, check).await;
    let verdict = |choice: &str, probability: f64| {
        let probabilities = [json!({"value": choice, "probability": probability})];
        let answer = json!({"type": "choice", "name": "route", "choice": choice, "probabilities": probabilities});
        let body = json!({"answers": [answer], "model": "m", "usage": {"input_tokens": 100, "output_tokens": 1}});
        Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
    };
    small.script(completion("It is 4.", "stop"));
    frontier.script(verdict("good", 0.9));
    small.script(completion("It is 5.", "stop"));
    frontier.script(verdict("bad", 0.9));
    frontier.script(completion("Four.", "stop"));
    small.script(completion("It is 6.", "stop"));
    frontier.script(verdict("good", 0.5));
    frontier.script(completion("Otherwise four.", "stop"));

    let good = chat(gateway.listen, question("auto", "2 + 2?")).await;
    let bad = chat(gateway.listen, question("auto", "2 + 2?")).await;
    let unsure = chat(gateway.listen, question("auto", "2 + 2?")).await;

    assert_eq!((content(&good), word(&good)), ("It is 4.".to_owned(), (Some("small"), None)));
    assert_eq!((content(&bad), word(&bad)), ("Four.".to_owned(), (Some("frontier"), Some("judge"))));
    assert_eq!(word(&unsure), (Some("frontier"), Some("unavailable")));
    let asked = frontier.next().await;
    let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert_eq!(
        (asked.path.as_str(), body["input"].as_array().map(Vec::len)),
        ("/prefix/v1/decisions", Some(1)),
        "{body}"
    );
    let told = body["input"][0]["content"].as_str().expect("a text");
    assert!(told.contains(">\n2 + 2?\n</request-") && told.contains(">\nIt is 4.\n</answer-"), "{told}");
    assert_eq!(body["questions"][0]["choices"][1]["value"], "bad");
}

#[tokio::test]
async fn otherwise_may_be_the_cheap_answer_that_is_there() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let check = "otherwise: small, check: {judge: {judge: frontier}}";
    let gateway = checking(&small, &frontier, check).await;
    frontier.script(Answer::HangUp);

    let reply = chat(gateway.listen, question("auto", "hi")).await;

    assert_eq!((content(&reply), word(&reply)), ("by small-1".to_owned(), (Some("small"), None)));
    until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="unchecked",policy="auto"} 1"#).await;
}

#[tokio::test]
async fn a_model_that_says_something_else_when_it_is_asked_again_is_not_believed() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = checking(&small, &frontier, "check: {self_consistency: {n: 3, agreement: 0.67}}").await;
    for answer in
        ["The answer is 4.", "Answer: 4", "It is 5.", "The answer is 7.", "The answer is 8.", "The answer is 9."]
    {
        small.script(completion(answer, "stop"));
    }

    let agreed = post(&gateway, CHAT, &serde_json::from_str(&question("auto", "2 + 2?")).expect("JSON")).await;
    let split = chat(gateway.listen, question("auto", "2 + 5?")).await;

    assert_eq!((content(&agreed), word(&agreed)), ("The answer is 4.".to_owned(), (Some("small"), None)));
    assert_eq!(word(&split), (Some("frontier"), Some("self_consistency")));
    // Two more answers each, at 0.00002 dollars.
    until_metric(&gateway, r#"pointsman_escalation_cost_usd_total{part="samples",policy="auto"} 0.00008"#).await;
}

#[tokio::test]
async fn where_the_strong_model_fails_the_client_gets_the_cheap_answer_after_all() {
    for framing in [Framing::Length, Framing::H2Length] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = checking(&small, &frontier, "check: {finish_reason: true}").await;
        let broken = |status| Answer::Reply(status, vec![("content-type", "application/json")], "{}".into());
        small.script(completion("It is", "length"));
        frontier.script(broken(StatusCode::BAD_REQUEST));
        small.script(stream(&["It ", "is"], "length").await);
        frontier.script(Answer::HangUp);

        let mut connection = Connection::open(gateway.listen, framing).await;
        let whole = connection.post(framing, CHAT, question("auto", "hi")).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        let streamed = connection.post(framing, CHAT, streamed("hi").to_string()).await;

        assert_eq!((whole.status, content(&whole)), (StatusCode::OK, "It is".to_owned()));
        assert_eq!(word(&whole), (Some("small"), Some("finish_reason; unanswered")));
        assert_eq!((text_of(&streamed), streamed.status), ("It is".to_owned(), StatusCode::OK));
        until_metric(&gateway, r#"pointsman_checked_answers_total{outcome="unanswered",policy="auto"} 2"#).await;
    }
}

#[tokio::test]
async fn a_cheap_model_that_fails_is_replaced_by_the_strong_one_without_a_check() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = checking(&small, &frontier, "check: {refusal: true}").await;
    small.script(Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), "{}".into()));
    frontier.script(completion(REFUSAL, "stop"));

    let reply = chat(gateway.listen, question("auto", "hi")).await;

    assert_eq!((content(&reply), word(&reply)), (REFUSAL.to_owned(), (Some("frontier"), None)));
    assert_eq!(reply.header("x-pointsman-fallback-from"), Some("small"));
}

#[tokio::test]
async fn answers_are_checked_in_every_api_s_words_translated_ones_too() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let check = "check: {refusal: true, finish_reason: true, min_logprob: -5}";
    let config = Config { one: vec!["dialects: [chat]".to_owned()], ..config(&small, &frontier, check) };
    let gateway = Gateway::start(&Config { frontier_extra: "dialects: [messages]", ..config }).await;
    let messages = json!({"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]});
    small.script(completion(REFUSAL, "stop"));
    frontier.script(translated::reply_of(translated::MESSAGE));
    let reply = post(&gateway, "/v1/messages", &messages).await;
    assert_eq!(
        (word(&reply), reply.json()["content"][0]["text"].clone()),
        ((Some("frontier"), Some("refusal")), json!("Let me look."))
    );

    // A stream of one API, answered by a whole of two others.
    let mut wanted = messages.clone();
    wanted["stream"] = json!(true);
    small.script(stream(&["It ", "is"], "length").await);
    let (sender, chunks) = mpsc::channel(8);
    for part in [
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "f", "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "It is 4."}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ] {
        let name = part["type"].as_str().expect("a type");
        sender.send(format!("event: {name}\ndata: {part}\n\n").into()).await.expect("room");
    }
    drop(sender);
    frontier.script(Answer::Events(chunks));
    let reply = post(&gateway, "/v1/messages", &wanted).await;
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(word(&reply), (Some("frontier"), Some("finish_reason")), "{body}");
    assert!(body.contains("It is 4.") && body.contains("message_stop") && !body.contains("\"It \""), "{body}");

    small.script(completion("It is 4.", "stop"));
    let reply = post(&gateway, "/v1/responses", &json!({"model": "auto", "input": "hi"})).await;
    assert_eq!(
        (word(&reply), reply.json()["output"][0]["content"][0]["text"].clone()),
        ((Some("small"), None), json!("It is 4."))
    );
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    small.script(completion("It is", "length"));
    frontier.script(translated::reply_of(translated::MESSAGE));
    let reply = post(&gateway, "/v1beta/models/auto:generateContent", &google).await;
    assert_eq!(word(&reply), (Some("frontier"), Some("finish_reason")));
    assert_eq!(reply.json()["candidates"][0]["content"]["parts"][0]["text"], "Let me look.");
}

#[tokio::test]
async fn an_explanation_says_how_the_answer_is_checked_and_how_much_of_a_stream_is_held() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = checking(&small, &frontier, "check: {refusal: true, schema: true}").await;
    let explained = async |more: Value| {
        let mut body: Value = serde_json::from_str(&question("auto", "hi")).expect("JSON");
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let mut admin = Connection::open(gateway.admin, Framing::Length).await;
        admin.post(Framing::Length, "/v1/decide", body.to_string()).await.json()["escalation"].clone()
    };

    let plain = explained(json!({})).await;
    let formed = explained(json!({"response_format": {"type": "json_object"}})).await;

    let expected = json!({"strong": "frontier", "checks": ["refusal", "schema"], "otherwise": "frontier", "max_hold_seconds": 60.0, "holds": "beginning"});
    assert_eq!(plain, expected);
    assert_eq!(formed["holds"], "whole");
}
