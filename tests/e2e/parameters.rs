//! Parameters fit the model that was chosen, whatever the client's library sends: by the table, by the catalog's effort,
//! by what a model can give, and by what its API refuses.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::cli::{pointsman, text};
use crate::client::{CHAT, Connection, Framing, Reply, chat, get};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;

const JSON: (&str, &str) = ("content-type", "application/json");
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

/// A gateway whose `small` is called like this by its provider, with more keys of its entry after `adapt: {}`.
async fn gateway_of(small: &Origin, name: &str, entry: &'static str) -> Gateway {
    let frontier = Origin::start().await;
    let config = Config { small_name: name.to_owned(), adapt: entry, ..Config::new(small, &frontier) };
    Gateway::start(&config).await
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    Connection::open(gateway.listen, Framing::Length).await.post(Framing::Length, path, body.to_string()).await
}

fn body_of(request: &crate::origin::Recorded) -> Value {
    serde_json::from_slice(&request.body).expect("a JSON body")
}

/// A chat such as libraries send one to a name that they do not know.
fn library_s_chat() -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.7, "max_tokens": 128_000,
        "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "n": 1, "stop": null})
}

/// Says what OpenAI's API has against a chat with a model, as its types and reports say: nothing of the gateway's own.
fn complaint_of_openai(body: &Value) -> Option<String> {
    let model = body["model"].as_str().expect("a model");
    let thinks = model.starts_with('o') || model.starts_with("gpt-5");
    let refused = ["max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "stop"];
    let refused = refused.into_iter().find(|key| thinks && body.get(key).is_some());
    refused.map(|key| format!("Unsupported parameter: '{key}' is not supported with this model."))
}

#[tokio::test]
async fn every_model_of_quickstart_gets_a_request_that_its_api_accepts() {
    let quickstart = std::fs::read_to_string("config/quickstart.yaml").expect("the example");
    let names = quickstart.lines().filter_map(|line| line.strip_prefix("    name: "));
    let names: Vec<&str> = names.collect();
    assert!(names.contains(&"o4-mini"), "{names:?}");

    for name in names {
        let small = Origin::start().await;
        let gateway = gateway_of(&small, name, "{}").await;

        let reply = chat(gateway.listen, library_s_chat().to_string()).await;

        let sent = body_of(&small.next().await);
        assert_eq!((reply.status, complaint_of_openai(&sent)), (StatusCode::OK, None), "{name}: {sent}");
        assert_eq!(sent.get("max_completion_tokens").is_some(), name == "o4-mini", "{name}: {sent}");
        assert_eq!(sent.get("temperature").is_some(), name != "o4-mini", "{name}: {sent}");
    }
}

#[tokio::test]
async fn what_fits_is_said_by_names_alone_and_counted() {
    let small = Origin::start().await;
    let gateway = gateway_of(&small, "o4-mini", "{}, max_output: 100000").await;

    let reply = chat(gateway.listen, library_s_chat().to_string()).await;
    let plain = post(&gateway, CHAT, &json!({"model": "auto", "messages": []})).await;

    let adapted = reply.header("x-pointsman-adapted").expect("something was changed");
    let mut names: Vec<&str> = adapted.split(", ").collect();
    names.sort_unstable();
    assert_eq!(names, ["frequency_penalty", "max_tokens", "presence_penalty", "stop", "temperature", "top_p"]);
    assert_eq!(body_of(&small.next().await)["max_completion_tokens"], 100_000);
    assert_eq!(plain.header("x-pointsman-adapted"), None);
    until_metric(&gateway, "pointsman_parameters_adapted_total{model=\"small\",parameter=\"temperature\"} 1").await;
}

#[tokio::test]
async fn every_dialect_is_fitted_and_a_passed_request_is_not() {
    for (name, path, body, expected) in [
        (
            "o4-mini",
            RESPONSES,
            json!({"model": "auto", "input": "hi", "temperature": 1, "max_output_tokens": 9000, "reasoning": {"effort": "minimal"}}),
            json!({"model": "o4-mini", "input": "hi", "max_output_tokens": 5000, "reasoning": {"effort": "low"}}),
        ),
        (
            "claude-opus-4-7",
            MESSAGES,
            json!({"model": "auto", "messages": [], "max_tokens": 32_000, "temperature": 0.2, "thinking": {"type": "enabled", "budget_tokens": 20_000}}),
            json!({"model": "claude-opus-4-7", "messages": [], "max_tokens": 5000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ),
        (
            "claude-haiku-4-5",
            MESSAGES,
            json!({"model": "auto", "messages": [], "max_tokens": 32_000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
            json!({"model": "claude-haiku-4-5", "messages": [], "max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 3750}}),
        ),
        (
            "mistral-large-latest",
            CHAT,
            json!({"model": "auto", "messages": [], "max_completion_tokens": 9000, "seed": 1}),
            json!({"model": "mistral-large-latest", "messages": [], "max_tokens": 5000, "random_seed": 1}),
        ),
        (
            "anything-else",
            "/v1/completions",
            json!({"model": "auto", "prompt": "a", "max_tokens": 9000, "temperature": 2}),
            json!({"model": "anything-else", "prompt": "a", "max_tokens": 5000, "temperature": 2}),
        ),
    ] {
        let small = Origin::start().await;
        let gateway = gateway_of(&small, name, "{}, max_output: 5000").await;

        let reply = post(&gateway, path, &body).await;

        assert_eq!(reply.status, StatusCode::OK, "{name}");
        assert_eq!(body_of(&small.next().await), expected, "{name} {path}");
    }
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("one"), ..Config::new(&small, &frontier) }).await;
    let passed = json!({"model": "o4-mini", "messages": [], "temperature": 0.7, "max_tokens": 128_000});

    let reply = chat(gateway.listen, passed.to_string()).await;

    assert_eq!((body_of(&small.next().await), reply.header("x-pointsman-adapted")), (passed, None));
}

#[tokio::test]
async fn a_fallback_gets_its_own_length_and_its_own_names() {
    let unavailable = Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![JSON], Bytes::from_static(b"{}"));
    let (small, frontier) = (Origin::answering([unavailable]).await, Origin::start().await);
    let config = Config {
        small_name: "o4-mini".to_owned(),
        adapt: "{}, max_output: 5000",
        fallback: "[frontier]",
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, library_s_chat().to_string()).await;

    assert_eq!(body_of(&small.next().await)["max_completion_tokens"], 5000);
    let next = body_of(&frontier.next().await);
    assert_eq!((&next["max_tokens"], &next["temperature"]), (&json!(128_000), &json!(0.7)));
    assert_eq!((reply.header("x-pointsman-model"), reply.header("x-pointsman-adapted")), (Some("frontier"), None));
}

#[tokio::test]
async fn one_model_at_two_efforts_is_two_choices() {
    for (entry, asked, expected) in
        [("{}, effort: low", "high", "low"), ("{}, effort: high", "low", "high"), ("{}", "low", "low")]
    {
        let small = Origin::start().await;
        let gateway = gateway_of(&small, "gpt-5-mini", entry).await;
        let body = json!({"model": "auto", "messages": [], "reasoning_effort": asked});

        post(&gateway, CHAT, &body).await;

        assert_eq!(body_of(&small.next().await)["reasoning_effort"], expected, "{entry} {asked}");
    }
}

/// An error of OpenAI's shape.
fn refusal(message: &str, param: &str) -> Answer {
    let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"}});
    Answer::Reply(StatusCode::BAD_REQUEST, vec![JSON], error.to_string().into())
}

#[tokio::test]
async fn a_refused_parameter_is_learned_once_and_left_out_from_then_on() {
    let small =
        Origin::answering([refusal("Unsupported parameter: 'top_k' is not supported with this model.", "top_k")]).await;
    let gateway = gateway_of(&small, "some-model", "{}").await;
    let body = r#"{"model":"auto", "messages":[],"top_k":4, "temperature":0.50}"#;

    let first = chat(gateway.listen, body).await;
    let second = chat(gateway.listen, body).await;

    assert_eq!((first.status, first.header("x-pointsman-attempts")), (StatusCode::OK, Some("2")));
    assert_eq!((second.status, second.header("x-pointsman-attempts")), (StatusCode::OK, Some("1")));
    for reply in [&first, &second] {
        assert_eq!(reply.header("x-pointsman-adapted"), Some("top_k"));
    }
    let sent = [small.next().await, small.next().await, small.next().await].map(|request| request.body);
    assert_eq!(sent[0], body.replace("auto", "some-model"));
    let without = r#"{"model":"some-model", "messages":[], "temperature":0.50}"#;
    assert_eq!((&sent[1][..], &sent[2][..]), (without.as_bytes(), without.as_bytes()));
    until_metric(&gateway, "pointsman_parameters_refused_total{model=\"small\"} 1").await;
    gateway.until_logged("The API refused a parameter").await;
    assert_eq!(gateway.log().matches("The API refused a parameter").count(), 1);
}

#[tokio::test]
async fn a_stream_is_not_asked_for_its_usage_again_once_that_was_refused() {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n";
    let stream = || Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], events.into());
    for said in ["Unrecognized request argument supplied: stream_options", "Unsupported parameter: 'stream_options'."] {
        let small = Origin::answering([refusal(said, "stream_options"), stream(), stream()]).await;
        let gateway = gateway_of(&small, "some-model", "{}").await;
        let body = json!({"model": "auto", "stream": true, "messages": []});

        for attempts in ["2", "1"] {
            let reply = post(&gateway, CHAT, &body).await;
            assert_eq!(
                (reply.status, reply.header("x-pointsman-attempts")),
                (StatusCode::OK, Some(attempts)),
                "{said}"
            );
        }

        let sent = [small.next().await, small.next().await, small.next().await];
        let asks = sent.map(|request| body_of(&request).get("stream_options").is_some());
        assert_eq!(asks, [true, false, false], "{said}");
    }
}

#[tokio::test]
async fn refusals_in_other_vendors_words_are_understood() {
    let gemini = r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"frequency_penalty\": Cannot find field.\nInvalid JSON payload received. Unknown name \"seed\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#;
    let mistral = r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":1}]}}"#;
    let length = r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}}"#;
    for (status, answer, gone, there) in [
        (400, gemini, &["frequency_penalty", "seed"][..], &["max_tokens"][..]),
        (422, mistral, &["seed"], &["frequency_penalty", "max_tokens"]),
        (400, length, &["max_tokens"], &["max_completion_tokens", "seed"]),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let small = Origin::answering([Answer::Reply(status, vec![JSON], answer.into())]).await;
        let gateway = gateway_of(&small, "some-model", "{}").await;
        let body = json!({"model": "auto", "messages": [], "frequency_penalty": 0.1, "seed": 1, "max_tokens": 5});

        let reply = post(&gateway, CHAT, &body).await;

        assert_eq!(reply.status, StatusCode::OK, "{answer}");
        small.next().await;
        let sent = body_of(&small.next().await);
        assert!(gone.iter().all(|key| sent.get(key).is_none()), "{sent}");
        assert!(there.iter().all(|key| sent.get(key).is_some()), "{sent}");
    }
}

#[tokio::test]
async fn a_refusal_reaches_the_client_as_it_came_where_the_model_is_not_asked_again() {
    let (said, param) = ("Unsupported parameter: 'top_k' is not supported with this model.", "top_k");
    let tools = "Unsupported parameter: 'tools' is not supported with this model.";
    for (retry, entry, answer) in [
        ("{without_refused: false}", "{}", refusal(said, param)),
        ("{max_attempts: 1}", "{}", refusal(said, param)),
        ("{}", "{set: {top_k: 3}}", refusal(said, param)),
        ("{}", "{}", refusal(tools, "tools")),
    ] {
        let (small, frontier) = (Origin::answering([answer]).await, Origin::start().await);
        let gateway = Gateway::start(&Config { retry, adapt: entry, ..Config::new(&small, &frontier) }).await;
        let body = json!({"model": "auto", "messages": [], "top_k": 4, "tools": []});

        let reply = post(&gateway, CHAT, &body).await;

        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{retry} {entry}");
        assert_eq!(reply.error_code(), "unsupported_parameter");
        assert_eq!(reply.header("x-pointsman-attempts"), Some("1"));
    }
}

#[tokio::test]
async fn what_was_learned_outlives_a_reload() {
    let small = Origin::answering([refusal("Unknown parameter: 'top_k'.", "top_k")]).await;
    let frontier = Origin::start().await;
    let config = Config { small_name: "some-model".to_owned(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let body = json!({"model": "auto", "messages": [], "top_k": 4});
    post(&gateway, CHAT, &body).await;

    gateway.write(&Config { max_body_bytes: 1 << 20, ..config }.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    let reply = post(&gateway, CHAT, &body).await;

    assert_eq!((reply.status, reply.header("x-pointsman-attempts")), (StatusCode::OK, Some("1")));
    assert_eq!(get(gateway.admin, "/healthz").await.status, StatusCode::OK);
}

#[test]
fn decide_shows_what_is_changed_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, body) = (folder.path().join("p.yaml"), folder.path().join("body.json"));
    let config = "version: 1\nlisten: {address: 127.0.0.1:1}\nproviders: {p: {base_url: http://h/v1}}\nmodels: {m: {provider: p, name: o4-mini, max_output: 100000}}\npolicies:\n  - {name: auto, match: {model: [auto]}, strategy: {kind: random, models: [m]}}\n";
    std::fs::write(&file, config).expect("writable");
    std::fs::write(&body, library_s_chat().to_string()).expect("writable");
    let (file, body) = (file.to_str().expect("a plain name"), body.to_str().expect("a plain name"));

    let json_of = pointsman(&["decide", "-c", file, "--json", "--body", body]);
    let table = pointsman(&["decide", "-c", file, "--body", body]);
    let checked = pointsman(&["check", "-c", file]);

    let decision: Value = serde_json::from_slice(&json_of.stdout).expect("JSON");
    let changes = decision["parameters"].as_array().expect("changes");
    assert_eq!(changes[0], json!({"parameter": "max_tokens", "action": "lowered", "to": 100_000, "reason": "limit"}));
    assert!(changes.iter().any(|change| change["parameter"] == "temperature" && change["family"] == "openai-o"));
    assert_eq!(decision["candidates"][0]["answer_limit"], 100_000);
    let table = text(&table.stdout);
    assert!(table.contains("max_tokens lowered to 100000 (all that the model can give)"), "{table}");
    assert!(table.contains("temperature left out (openai-o: "), "{table}");
    let notes = text(&checked.stdout);
    assert!(notes.contains("note: models.m: requests lose `frequency_penalty`"), "{notes}");
}

#[test]
fn check_refuses_an_effort_that_the_model_does_not_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.yaml");
    let config = "version: 1\nlisten: {address: 127.0.0.1:1}\nproviders: {p: {base_url: http://h/v1}}\nmodels: {m: {provider: p, name: o4-mini, effort: max}}\npolicies:\n  - {name: auto, match: {model: [auto]}, strategy: {kind: random, models: [m]}}\n";
    std::fs::write(&file, config).expect("writable");

    let checked = pointsman(&["check", "-c", file.to_str().expect("a plain name")]);

    let problems = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(78), "{problems}");
    assert!(problems.contains("models.m.effort") && problems.contains("(allowed: low, medium, high)"), "{problems}");
}
