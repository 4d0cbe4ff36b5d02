//! State whose keeper is none of those that would be asked: whatever the client names, and whatever was reloaded.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing};
use crate::kept_state::{RESPONSES, Two, json_answer, long, response, send};

fn text(content: &str) -> Value {
    json!({"role": "user", "content": content})
}

/// Returns the body that the next request to an origin has.
macro_rules! body_at {
    ($origin:expr) => {
        serde_json::from_slice::<Value>(&$origin.next().await.body).expect("JSON")
    };
}

#[tokio::test]
async fn a_stored_chat_completion_is_asked_for_where_it_was_made_by_every_method() {
    let two = Two::start(|_| {}).await;
    two.frontier.script(json_answer(&json!({"id": "chatcmpl-1", "choices": []})));
    two.post(CHAT, &json!({"model": "auto", "store": true, "messages": [text(&long())]})).await;
    assert_eq!(two.asked(), (0, 1));

    for (method, rest, body) in [
        (Method::GET, "", Value::Null),
        (Method::GET, "/messages?limit=2", Value::Null),
        (Method::POST, "", json!({"metadata": {"a": "b"}})),
        (Method::DELETE, "", Value::Null),
    ] {
        let reply = send(&two.gateway, method, &format!("{CHAT}/chatcmpl-1{rest}"), &body, None).await;

        assert_eq!((reply.header("x-pointsman-state"), two.asked()), (Some("known"), (0, 1)), "{rest}");
    }
}

/// An answer whose reasoning is encrypted as OpenRouter writes it.
fn encrypted() -> Value {
    json!({"type": "reasoning.encrypted", "data": "gAAAA-encrypted-by-frontier", "id": "rs_1", "index": 0})
}

#[tokio::test]
async fn encrypted_reasoning_of_a_chat_stays_with_its_maker_or_is_left_out() {
    for (rule, asked) in [("stay", (0, 1)), ("strip", (1, 0))] {
        let two = Two::start(|config| config.policy = format!("    state: {rule}\n")).await;
        let message = json!({"role": "assistant", "content": "x", "reasoning_details": [encrypted()]});
        two.frontier.script(json_answer(&json!({"id": "c", "choices": [{"index": 0, "message": message}]})));
        two.post(CHAT, &json!({"model": "auto", "messages": [text(&long())]})).await;
        assert_eq!(two.asked(), (0, 1));
        let mut history = json!([text("hi"), message, text("thanks")]);

        two.post(CHAT, &json!({"model": "auto", "messages": history})).await;

        if asked.0 == 1 {
            history[1] = json!({"role": "assistant", "content": "x"});
            assert_eq!(body_at!(two.small)["messages"], history);
        } else {
            assert_eq!(body_at!(two.frontier)["messages"], history);
        }
        assert_eq!(two.asked(), (0, 0));
    }
}

#[tokio::test]
async fn an_approval_goes_to_the_provider_that_asked_for_it() {
    let two = Two::start(|_| {}).await;
    let request = json!({"type": "mcp_approval_request", "id": "mcpr_1"});
    two.frontier.script(json_answer(&json!({"id": "resp_1", "object": "response", "output": [request]})));
    two.post(RESPONSES, &json!({"model": "auto", "input": long()})).await;
    assert_eq!(two.asked(), (0, 1));

    let approval = json!({"type": "mcp_approval_response", "approve": true, "approval_request_id": "mcpr_1"});
    let reply = two.post(RESPONSES, &json!({"model": "auto", "input": [approval]})).await;

    assert_eq!((reply.header("x-pointsman-state"), two.asked()), (Some("known"), (0, 1)));
}

#[tokio::test]
async fn a_model_that_is_named_does_not_get_what_another_provider_keeps() {
    let two = Two::start(|_| {}).await;
    two.frontier.script(response("resp_of_frontier"));
    two.post(RESPONSES, &json!({"model": "frontier", "input": "hi"})).await;
    assert_eq!(two.asked(), (0, 1));
    let next = |model: &str| json!({"model": model, "input": "x", "previous_response_id": "resp_of_frontier"});

    let refused = two.post(RESPONSES, &next("small")).await;
    let message = refused.json()["error"]["message"].to_string();
    assert_eq!((refused.status, refused.error_code()), (StatusCode::BAD_REQUEST, "no_model_fits".to_owned()));
    assert!(message.contains("`small`") && message.contains("`two`"), "{message}");
    assert_eq!(two.asked(), (0, 0));

    let served = two.post(RESPONSES, &next("frontier")).await;
    assert_eq!((served.header("x-pointsman-reason"), two.asked()), (Some("catalog"), (0, 1)));
}

#[tokio::test]
async fn of_a_model_that_two_providers_have_the_one_with_the_keeper_serves() {
    let two = Two::start(|config| config.small_name = "frontier-1".to_owned()).await;
    two.frontier.script(response("resp_of_frontier"));
    two.post(RESPONSES, &json!({"model": "frontier", "input": "hi"})).await;
    assert_eq!(two.asked(), (0, 1));

    let next = json!({"model": "small", "input": "x", "previous_response_id": "resp_of_frontier"});
    let reply = two.post(RESPONSES, &next).await;

    assert_eq!((reply.header("x-pointsman-model"), two.asked()), (Some("frontier"), (0, 1)));
    assert_eq!(reply.header("x-pointsman-reason"), Some("state"));
}

#[tokio::test]
async fn a_file_is_asked_of_the_provider_that_has_it_after_another_became_the_default() {
    let mut next = None;
    let two = Two::start(|config| {
        config.default_provider = Some("two");
        next = Some(config.clone());
    })
    .await;
    two.frontier.script(json_answer(&json!({"id": "file-1", "object": "file"})));
    two.post("/v1/files", &json!({})).await;
    assert_eq!(two.asked(), (0, 1));

    let mut config = next.expect("the configuration");
    config.default_provider = Some("one");
    two.gateway.write(&config.yaml());
    let mut admin = Connection::open(two.gateway.admin, Framing::Length).await;
    let reload = admin.post(Framing::Length, "/reload", String::new()).await;
    assert_eq!(reload.status, StatusCode::OK);

    for (path, asked) in [("/v1/files/file-1", (0, 1)), ("/v1/files/file-1/content", (0, 1)), ("/v1/files", (1, 0))] {
        send(&two.gateway, Method::GET, path, &Value::Null, None).await;

        assert_eq!(two.asked(), asked, "{path}");
    }
}
