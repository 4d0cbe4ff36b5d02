//! Which answer the response cache keeps: the one that the client got, in its API's words, whoever gave it.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::CHAT;
use crate::decision_log::{lines, logging, start};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::response_cache::said;
use crate::translated::{MESSAGES, post, reply_of};

const REFUSED: &str =
    r#"{"choices": [{"message": {"content": "I'm sorry, but I can't help with that."}, "finish_reason": "stop"}]}"#;

const FOUR: &str = r#"{"choices": [{"message": {"content": "Four."}, "finish_reason": "stop"}]}"#;

const STREAM: [&str; 3] = [
    "data: {\"id\": \"c\", \"choices\": [{\"index\": 0, \"delta\": {\"role\": \"assistant\", \"content\": \"Hel\"}, \"finish_reason\": null}]}\n\n",
    "data: {\"id\": \"c\", \"choices\": [{\"index\": 0, \"delta\": {\"content\": \"lo\"}, \"finish_reason\": null}]}\n\n",
    "data: {\"id\": \"c\", \"choices\": [{\"index\": 0, \"delta\": {}, \"finish_reason\": \"stop\"}]}\n\ndata: [DONE]\n\n",
];

const CACHE: &str = "    cache: {}\n";

fn request(text: &str) -> Value {
    json!({"model": "auto", "temperature": 0, "max_tokens": 50, "messages": [{"role": "user", "content": text}]})
}

async fn word(gateway: &Gateway, text: &str) -> String {
    let reply = post(gateway, CHAT, &[], &request(text)).await;
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    said(&reply).to_owned()
}

fn count_of(words: &[String], word: &str) -> usize {
    words.iter().filter(|said| *said == word).count()
}

fn count(origin: &Origin) -> usize {
    std::iter::from_fn(|| origin.take()).count()
}

#[tokio::test]
async fn a_translated_answer_is_given_again_in_the_client_s_words() {
    let (sender, chunks) = mpsc::channel(8);
    let (small, frontier) = (Origin::answering([reply_of(FOUR), Answer::Events(chunks)]).await, Origin::start().await);
    let config =
        Config { one: vec!["dialects: [chat]".to_owned()], policy: CACHE.to_owned(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    for chunk in STREAM {
        sender.send(chunk.into()).await.expect("the origin listens");
    }
    drop(sender);
    let mut streamed = request("Hello");
    streamed["stream"] = json!(true);

    for body in [request("2 + 2?"), streamed] {
        let first = post(&gateway, MESSAGES, &[("anthropic-version", "2023-06-01")], &body).await;
        let again = post(&gateway, MESSAGES, &[("anthropic-version", "2023-06-01")], &body).await;
        let other = post(&gateway, MESSAGES, &[("anthropic-version", "2030-01-01")], &body).await;

        assert_eq!(first.header("x-pointsman-cache"), Some("miss"), "{:?}", first.body);
        assert_eq!((said(&again), &again.body), ("hit", &first.body));
        assert_eq!(again.header("content-type"), first.header("content-type"));
        assert!(String::from_utf8_lossy(&first.body).contains("end_turn"), "{:?}", first.body);
        assert_eq!(other.header("x-pointsman-cache"), Some("miss"), "another version of the API");
    }
    assert_eq!(count(&small), 4);
}

#[tokio::test]
async fn the_strong_model_s_answer_is_kept_where_the_cheap_one_s_failed() {
    let (small, frontier) = (Origin::answering([reply_of(REFUSED)]).await, Origin::answering([reply_of(FOUR)]).await);
    let strategy = "{kind: escalate, cheap: small, strong: frontier, check: {refusal: true}}";
    let config = Config {
        rules: Vec::new(),
        whole_strategy: Some(strategy.to_owned()),
        policy: CACHE.to_owned(),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let first = post(&gateway, CHAT, &[], &request("2 + 2?")).await;
    let again = post(&gateway, CHAT, &[], &request("2 + 2?")).await;

    assert_eq!(
        (first.header("x-pointsman-cache"), first.header("x-pointsman-escalated")),
        (Some("miss"), Some("refusal"))
    );
    assert_eq!((said(&again), again.header("x-pointsman-model")), ("hit", Some("frontier")));
    assert_eq!((&again.body, again.header("x-pointsman-fallback-from")), (&first.body, None));
    assert_eq!((count(&small), count(&frontier)), (1, 1));
}

#[tokio::test]
async fn a_fallback_s_answer_is_for_one_request() {
    let fails = Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let (small, frontier) = (Origin::answering([fails]).await, Origin::start().await);
    let config = Config { fallback: "[frontier]", policy: CACHE.to_owned(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let first = post(&gateway, CHAT, &[], &request("hello")).await;
    let second = post(&gateway, CHAT, &[], &request("hello")).await;
    let third = word(&gateway, "hello").await;

    assert_eq!(first.header("x-pointsman-fallback-from"), Some("small"));
    assert_eq!((second.header("x-pointsman-cache"), second.header("x-pointsman-model")), (Some("miss"), Some("small")));
    assert_eq!(third, "hit");
}

#[tokio::test]
async fn a_kept_answer_takes_no_tokens_and_its_line_in_the_log_says_what_it_was() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let client = format!(
        "clients: {{team: {{keys: [{{sha256: {}}}], rate_limit: {{tokens_per_minute: 1000}}}}}}\n",
        crate::clients::hash("pk-1")
    );
    let config = Config { sections: client, policy: CACHE.to_owned(), ..Config::new(&small, &frontier) };
    let mut gateway = start(&logging(config, "")).await;
    let key = [("authorization", "Bearer pk-1")];

    let mut left = Vec::new();
    for number in 0..3 {
        let reply = post(&gateway, CHAT, &key, &request("hello")).await;
        assert_eq!(reply.status, StatusCode::OK);
        let outcome = format!("pointsman_client_requests_total{{client=\"team\",outcome=\"success\"}} {}", number + 1);
        until_metric(&gateway, &outcome).await; // the account is settled by then
        until_metric(&gateway, "pointsman_response_cache_entries 1").await;
        left.push(reply.header("x-ratelimit-remaining-tokens").expect("a number").parse::<u64>().expect("a number"));
    }

    assert!(left[2] + 1 >= left[1], "the second answer took tokens: {left:?}");
    let lines = lines(&mut gateway);
    let said = |line: &Value| (line["cache"].clone(), line["answered_by"].clone(), line["attempts"].clone());
    assert_eq!(said(&lines[0]), (json!("miss"), json!("small"), json!(1)));
    for line in &lines[1..] {
        assert_eq!(said(line), (json!("hit"), json!("small"), json!(0)));
        assert_eq!((&line["cost_usd"], &line["output_tokens"]), (&json!(0.0), &Value::Null));
        assert_eq!(line["baseline_cost_usd"], lines[0]["baseline_cost_usd"]);
    }
}

#[tokio::test]
async fn an_ask_in_another_dress_gets_the_answer_and_another_ask_does_not() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let semantic = "    cache: {semantic: {classifier: default, min_similarity: 0.8}}\n";
    let config = Config {
        rules: vec![("true", "small")],
        policy: semantic.to_owned(),
        ..Config::classifying(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let mut words = Vec::new();
    for text in [
        "What is the capital of France?",
        "Please, what is the capital of France?",
        "what is the capital of France",
        "What is the capital of Spain?",
        "What is 12 + 30?",
        "What is 12 + 31?",
    ] {
        words.push(word(&gateway, text).await);
        until_metric(&gateway, &format!("pointsman_response_cache_entries {}", count_of(&words, "miss"))).await;
    }
    let system = json!({"model": "auto", "temperature": 0, "max_tokens": 50, "messages": [
        {"role": "system", "content": "Answer in German."}, {"role": "user", "content": "what is the capital of France?"}]});
    let framed = post(&gateway, CHAT, &[], &system).await;
    let caller =
        post(&gateway, CHAT, &[("authorization", "Bearer x")], &request("What's the capital of France?")).await;

    assert_eq!(words, ["miss", "semantic", "semantic", "miss", "miss", "miss"], "{}", gateway.log());
    assert_eq!(framed.header("x-pointsman-cache"), Some("miss"), "other instructions");
    assert_eq!(caller.header("x-pointsman-cache"), Some("miss"), "another caller");
    assert_eq!(count(&small), 6);
    until_metric(&gateway, "pointsman_response_cache_requests_total{outcome=\"semantic\",policy=\"auto\"} 2").await;
}

#[tokio::test]
async fn an_ask_with_a_word_in_another_case_or_one_word_less_asks_a_model() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config {
        rules: vec![("true", "small")],
        policy: "    cache: {semantic: {classifier: default, min_similarity: 0.5}}\n".to_owned(),
        ..Config::classifying(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let mut words = Vec::new();
    for text in [
        "rename Foo.txt to foo.txt",
        "rename foo.txt to Foo.txt",
        "What is IT?",
        "What is it?",
        "Who is The Who?",
        "Who is Who?",
        "Translate please to French",
        "Translate to French",
    ] {
        words.push(word(&gateway, text).await);
        until_metric(&gateway, &format!("pointsman_response_cache_entries {}", count_of(&words, "miss"))).await;
    }

    assert_eq!(words, ["miss"; 8], "{}", gateway.log());
    assert_eq!(count(&small), 8);
}
