//! The classify API over HTTP: texts and bodies in, every head's calibrated probabilities out, within the limits that hold
//! for requests.

use http::StatusCode;
use serde_json::{Value, json};

use crate::classifier::without_lexical_forms;
use crate::client::{Connection, Framing, Reply, get, question};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::questions::ask;
use crate::reload::until_metric;

const PATH: &str = "/v1/classify";

/// Returns a configuration whose listener takes questions, with the committed bundle and these sections.
fn config(small: &Origin, frontier: &Origin, sections: String) -> Config {
    let listen = "{address: 127.0.0.1:0, decisions: true}".to_owned();
    Config { listen, sections, ..Config::classifying(small, frontier) }
}

async fn gateway(sections: String) -> Gateway {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    Gateway::start(&config(&small, &frontier, sections)).await
}

async fn at_admin(gateway: &Gateway, path: &str, body: impl Into<bytes::Bytes>) -> Reply {
    Connection::open(gateway.admin, Framing::Length).await.post(Framing::Length, path, body).await
}

/// Returns the error's code and its message.
fn refusal(reply: &Reply) -> (StatusCode, String, String) {
    (reply.status, reply.error_code(), reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn another_pointsman_decides_by_what_it_answers_as_this_one_does() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let server = Gateway::start(&Config::classifying(&small, &frontier)).await;
    let remote = format!(", remote: {{protocol: pointsman, url: 'http://{}'}}", server.admin);
    let elsewhere = Config { bundle: "".into(), classifier: remote, ..Config::classifying(&small, &frontier) };
    let asking = Gateway::start(&elsewhere).await;
    let prompt = "Prove that there are infinitely many primes congruent to 3 modulo 4.";

    let answers = at_admin(&server, PATH, json!({"inputs": [prompt]}).to_string()).await.json();
    let decided = at_admin(&asking, "/v1/decide", question("auto", prompt)).await.json();

    assert_eq!((&decided["source"], &decided["reason"]), (&json!("remote"), &json!("tier")), "{}", asking.log());
    let told = &answers["results"][0]["heads"]["tier"]["probabilities"];
    for (label, probability) in decided["scores"]["tier"].as_object().expect("the tiers") {
        let told = told[label].as_f64().expect("a probability");
        assert!((probability.as_f64().expect("a probability") - told).abs() < 1e-6, "{label}: {decided}");
    }
}

#[tokio::test]
async fn every_head_answers_each_input_in_its_order_with_probabilities_that_add_up() {
    let gateway = gateway(String::new()).await;
    let inputs = ["What is the capital of France?", "Prove that the square root of 2 is irrational."];

    let reply = ask(&gateway, PATH, "", &json!({"classifier": "default", "inputs": inputs}).to_string()).await;

    let said = reply.json();
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, Some("application/json")), "{said}");
    assert_eq!((&said["classifier"], &said["version"]), (&json!("default"), &json!("2026.11.7")));
    let results = said["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    for result in results {
        let heads = result["heads"].as_object().expect("heads");
        assert_eq!(heads.keys().collect::<Vec<_>>(), ["complexity", "domain", "strong_wins", "tier"]);
        for head in heads.values() {
            let probabilities = head["probabilities"].as_object().expect("probabilities");
            let sum: f64 = probabilities.values().filter_map(Value::as_f64).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{head}");
            assert!(probabilities.contains_key(head["label"].as_str().expect("a label")), "{head}");
        }
        assert!(result["tokens"].as_u64().is_some_and(|tokens| tokens > 5) && result["truncated"] == false, "{result}");
    }
    let tier = |index: usize| results[index]["heads"]["tier"]["label"].clone();
    assert_eq!((tier(0), tier(1)), (json!("simple"), json!("complex")));
}

#[tokio::test]
async fn a_text_a_body_of_any_api_and_a_routed_request_are_judged_alike() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    // A policy reads one head, for which a lexical one may be sure enough: here all are asked.
    let classifier = ", cascade: {enabled: false}".to_owned();
    let gateway = Gateway::start(&Config { classifier, ..config(&small, &frontier, String::new()) }).await;
    let text = "Prove that the square root of 2 is irrational.";
    let turn = json!([{"role": "user", "content": text}]);
    let inputs = json!([
        text,
        {"body": {"messages": turn}},
        {"path": "/v1/messages", "body": {"model": "m", "max_tokens": 9, "messages": turn}},
        {"path": "/v1/responses", "body": {"model": "m", "input": text}},
        {"path": "/v1beta/models/m:generateContent", "body": {"contents": [{"role": "user", "parts": [{"text": text}]}]}},
    ]);

    let said = at_admin(&gateway, PATH, json!({"inputs": inputs}).to_string()).await.json();
    let routed = at_admin(&gateway, "/v1/decide", question("auto", text)).await.json();

    let results = said["results"].as_array().unwrap_or_else(|| panic!("{said}"));
    assert_eq!(results.len(), 5);
    let label = &results[0]["heads"]["tier"]["label"];
    assert!(results.iter().all(|result| result["heads"] == results[0]["heads"]), "{said}");
    assert_eq!(&routed["label"], label);
    let asked = routed["classifiers"][0]["heads"].as_array().expect("heads");
    let tier = asked.iter().find(|head| head["head"] == "tier").expect("the head");
    for option in tier["labels"].as_array().expect("labels") {
        let said = results[0]["heads"]["tier"]["probabilities"][option["label"].as_str().expect("a label")].as_f64();
        let routed = option["probability"].as_f64().expect("a probability");
        assert!(said.is_some_and(|said| (said - routed).abs() < 1e-4), "{option} {said:?}");
    }
}

#[tokio::test]
async fn a_consent_is_judged_by_what_it_answers() {
    let gateway = gateway(String::new()).await;
    let hard = "Prove that the square root of 2 is irrational.";
    let chat = json!({"messages": [
        {"role": "user", "content": hard}, {"role": "assistant", "content": "Shall I?"}, {"role": "user", "content": "yes"},
    ]});

    let said = at_admin(&gateway, PATH, json!({"inputs": [hard, {"body": chat}]}).to_string()).await.json();

    assert_eq!(said["results"][1]["heads"]["tier"]["label"], said["results"][0]["heads"]["tier"]["label"], "{said}");
}

#[tokio::test]
async fn a_text_that_is_longer_than_the_encoder_reads_says_so() {
    let gateway = gateway(String::new()).await;
    let inputs = json!({"inputs": ["Prove this. ".repeat(2000), "hi"]}).to_string();

    let said = at_admin(&gateway, PATH, inputs).await.json();

    assert_eq!(
        (&said["results"][0]["truncated"], &said["results"][1]["truncated"]),
        (&json!(true), &json!(false)),
        "{said}"
    );
}

#[tokio::test]
async fn what_cannot_be_judged_is_refused_with_its_place() {
    let gateway = gateway(String::new()).await;
    let many = json!({"inputs": vec!["a"; 1001]}).to_string();

    for (body, code, part) in [
        ("{", "invalid_request", "cannot be read"),
        (r#"{"inputs": []}"#, "invalid_request", "allowed: 1 to 1000"),
        (&many, "invalid_request", "has 1001 inputs"),
        (r#"{"inputs": ["a", 7]}"#, "invalid_request", "inputs[1]"),
        (r#"{"inputs": ["a", " "]}"#, "invalid_request", "`inputs[1]` has no words"),
        (
            r#"{"inputs": ["a", {"body": []}]}"#,
            "invalid_request",
            "`inputs[1].body`: The request body must be a JSON object",
        ),
        (r#"{"inputs": [{"path": "/v1/files", "body": {}}]}"#, "invalid_request", "`inputs[0].path`"),
    ] {
        let (status, known, message) = refusal(&ask(&gateway, PATH, "", body).await);
        assert_eq!((status, known.as_str()), (StatusCode::BAD_REQUEST, code), "{message}");
        assert!(message.contains(part), "{message}");
    }
    let (status, code, message) = refusal(&ask(&gateway, PATH, "", r#"{"classifier": "x", "inputs": ["a"]}"#).await);
    assert_eq!((status, code.as_str()), (StatusCode::NOT_FOUND, "classifier_not_found"));
    assert_eq!(message, "There is no classifier `x`. Those that there are: `default`.");
}

#[tokio::test]
async fn a_listener_that_takes_no_questions_and_another_method_find_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let closed = Gateway::start(&Config::classifying(&small, &frontier)).await;
    let open = gateway(String::new()).await;

    let reply = ask(&closed, PATH, "", r#"{"inputs": ["a"]}"#).await;

    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::NOT_FOUND, "path_not_found"));
    assert_eq!(get(open.listen, PATH).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn keys_and_rates_hold_and_each_text_counts_as_a_request() {
    let limited = clients(", rate_limit: {requests_per_minute: 3}");
    let gateway = gateway(limited).await;

    let nobody = ask(&gateway, PATH, "pk-3", r#"{"inputs": ["a"]}"#).await;
    let whole = ask(&gateway, PATH, "pk-1", r#"{"inputs": ["one", "two", "three", "four"]}"#).await;
    let next = ask(&gateway, PATH, "pk-1", r#"{"inputs": ["five"]}"#).await;

    assert_eq!((nobody.status, nobody.error_code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_api_key"));
    assert_eq!((whole.status, whole.header("x-ratelimit-remaining-requests")), (StatusCode::OK, Some("0")));
    assert_eq!((next.status, next.error_code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"));
    until_metric(&gateway, r#"pointsman_decision_questions_total{question="classify",status_class="2xx"} 1"#).await;
}

#[tokio::test]
async fn the_tokens_of_texts_are_taken_from_the_client_s() {
    let gateway = gateway(clients(", rate_limit: {tokens_per_minute: 100}")).await;
    let long = json!({"inputs": ["word ".repeat(200)]}).to_string();

    let first = ask(&gateway, PATH, "pk-1", &long).await;
    let second = ask(&gateway, PATH, "pk-1", r#"{"inputs": ["hi"]}"#).await;

    assert_eq!((first.status, first.header("x-ratelimit-remaining-tokens")), (StatusCode::OK, Some("0")));
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_deadline_that_passes_is_said_and_no_lexical_head_stands_in() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { deadline: "1ms", ..config(&small, &frontier, String::new()) };
    let config = Config {
        classifier: ", batch_deadline: 1ms, cascade: {enabled: false}, cache: {max_bytes: 0}".to_owned(),
        ..config
    };
    let gateway = Gateway::start(&config).await;
    let takes_longer: Vec<String> =
        (0..64).map(|index| format!("Word {index} is read, and so are others. ").repeat(30)).collect();

    let reply = ask(&gateway, PATH, "", &json!({"inputs": takes_longer}).to_string()).await;

    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"));
}

#[tokio::test]
async fn a_batch_that_comes_to_nothing_is_counted_and_one_with_a_mistake_is_not_begun() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let limited = clients(", rate_limit: {requests_per_minute: 9}");
    let config = Config { deadline: "1ms", ..config(&small, &frontier, limited) };
    let config = Config {
        classifier: ", batch_deadline: 1ms, cascade: {enabled: false}, cache: {max_bytes: 0}".to_owned(),
        ..config
    };
    let gateway = Gateway::start(&config).await;
    let mut texts: Vec<String> =
        (0..64).map(|index| format!("Word {index} is read, and so are others. ").repeat(30)).collect();
    let late = json!({"inputs": texts}).to_string();
    texts.push(" ".to_owned());

    let mistaken = refusal(&ask(&gateway, PATH, "pk-1", &json!({"inputs": texts}).to_string()).await);
    let late = ask(&gateway, PATH, "pk-1", &late).await;
    let beyond = ask(&gateway, PATH, "pk-1", r#"{"inputs": ["a"]}"#).await;

    // Had the texts before the mistake been judged, they would have been late, and the next batch beyond the rate.
    assert_eq!((mistaken.0, mistaken.1.as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
    assert!(mistaken.2.contains("`inputs[64]` has no words"), "{}", mistaken.2);
    assert_eq!((late.status, late.error_code().as_str()), (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"));
    assert_eq!((beyond.status, beyond.error_code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"));
}

#[tokio::test]
async fn a_classifier_that_is_not_there_is_said_to_be_unavailable() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let missing = Config { bundle: "no-such-bundle".into(), ..config(&small, &frontier, String::new()) };
    let gateway = Gateway::start(&missing).await;
    let bundle = without_lexical_forms();
    let down = Config { bundle: bundle.path().into(), ..config(&small, &frontier, String::new()) };
    let down = Gateway::start_with(&down, &[("ORT_DYLIB_PATH", "/no/such/libonnxruntime.so")]).await;

    for (gateway, reason) in [(gateway, "bundle_unavailable"), (down, "runtime_missing")] {
        let reply = ask(&gateway, PATH, "", r#"{"inputs": ["a"]}"#).await;
        let (status, code, message) = refusal(&reply);
        assert_eq!((status, code.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "classifier_unavailable"));
        assert!(message.contains(reason) && reply.header("retry-after") == Some("1"), "{message}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_over_every_framing() {
    let gateway = gateway(String::new()).await;
    let body = json!({"inputs": ["Hello there.", "word ".repeat(80_000)]}).to_string();

    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let reply = connection.post(framing, PATH, body.clone()).await;
        assert_eq!(
            (reply.status, reply.json()["results"].as_array().map(Vec::len)),
            (StatusCode::OK, Some(2)),
            "{framing:?}"
        );
    }
}

#[tokio::test]
async fn the_admin_plane_answers_as_the_listener_for_clients_does() {
    let gateway = gateway(String::new()).await;
    let body = r#"{"inputs": ["Hello there."]}"#;

    let (client, operator) = (ask(&gateway, PATH, "", body).await, at_admin(&gateway, PATH, body).await);

    assert_eq!(client.json(), operator.json());
    assert_eq!(at_admin(&gateway, PATH, r#"{"inputs": [7]}"#).await.error_code(), "invalid_request");
}
