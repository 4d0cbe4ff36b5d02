//! Loops of Google's clients that go from one vendor to another, the seals of their calls, and streams that are cut.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::gateway::{Config, Gateway};
use crate::google::{ANSWER, BODY, FIRST, STREAM, WHOLE, answer, google, post};
use crate::origin::{Answer, Origin};

#[tokio::test]
async fn a_call_that_nobody_has_signed_says_so_to_google_s_models_and_binds_the_loop_to_no_provider() {
    let call = r#"{"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]}"#;
    let small = Origin::answering([answer(call)]).await;
    let frontier = Origin::answering([answer(ANSWER)]).await;
    let config = Config { one: vec!["dialects: [chat]".into()], ..google(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let turn = json!({"role": "user", "parts": [{"text": "Hello"}]});
    let first = post(&gateway, "/v1beta/models/small:generateContent", &json!({"contents": [turn]}).to_string()).await;
    small.next().await;
    let called = first.json()["candidates"][0]["content"].clone();
    let result = json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]});
    let next = json!({"contents": [turn, called, result]}).to_string();

    let moved = post(&gateway, "/v1beta/models/frontier:generateContent", &next).await;
    let back = post(&gateway, "/v1beta/models/small:generateContent", &next).await;

    let sent: Value = serde_json::from_slice(&frontier.next().await.body).expect("JSON");
    let signature = &sent["contents"][1]["parts"][0]["thoughtSignature"];
    assert_eq!(signature, "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=", "{sent}");
    assert_eq!((moved.status, back.status), (StatusCode::OK, StatusCode::OK), "{:?}", back.body);
    assert_eq!((moved.header("x-pointsman-state"), back.header("x-pointsman-state")), (None, None));
}

#[tokio::test]
async fn a_signature_that_an_sdk_sends_back_in_the_other_alphabet_is_known_again() {
    let signed = ANSWER.replace(r#"{"text": "Hello"}"#, r#"{"text": "Hello", "thoughtSignature": "Cs4B+/VSoXO="}"#);
    let small = Origin::answering([answer(Box::leak(signed.into_boxed_str())), answer(ANSWER)]).await;
    let frontier = Origin::start().await;
    let first_rules = "{when: prompt.turns > 1, use: frontier}, ";
    let gateway = Gateway::start(&Config { first_rules, ..google(&small, &frontier) }).await;
    post(&gateway, WHOLE, BODY).await;
    let next = json!({"contents": [
        {"role": "user", "parts": [{"text": "Hello"}]},
        {"role": "model", "parts": [{"text": "Hello", "thought_signature": "Cs4B-_VSoXO="}]},
        {"role": "user", "parts": [{"text": "Go on"}]}]});

    let reply = post(&gateway, WHOLE, &next.to_string()).await;

    assert_eq!(reply.header("x-pointsman-model"), Some("small"), "{:?}", reply.headers);
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn a_list_that_is_cut_between_two_documents_ends_in_google_s_error_and_its_bracket() {
    let chunk = "data: {\"id\": \"c\", \"object\": \"chat.completion.chunk\", \"choices\": [{\"index\": 0, \"delta\": {\"content\": \"Hel\"}}]}\n\n";
    for (dialect, part) in [("gemini", format!("[{FIRST}\r\n")), ("chat", chunk.to_owned())] {
        let small = Origin::answering([Answer::CutEvents(Bytes::from(part))]).await;
        let frontier = Origin::start().await;
        let one = vec![format!("dialects: [{dialect}]")];
        let gateway = Gateway::start(&Config { one, ..google(&small, &frontier) }).await;

        let reply = post(&gateway, STREAM, BODY).await;

        let list = reply.json();
        let documents = list.as_array().expect("a whole list");
        assert_eq!(documents[0]["candidates"][0]["content"]["parts"][0]["text"], "Hel", "{dialect}");
        let error = &documents.last().expect("a last one")["error"];
        assert!(error["code"].as_u64().is_some_and(|code| code >= 500), "{dialect}: {list}");
    }
}
