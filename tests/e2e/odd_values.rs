//! What is read is what is sent: no odd value, key or nesting hides a prompt from a rule or a limit.

use http::StatusCode;
use serde_json::json;

use crate::client::{CHAT, Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::governed::{Ask, says};
use crate::origin::Origin;

/// Rules for images, long answers and offered tools, for every model.
const RULES: &str = "
  - name: everything
    match: {model: ['*']}
    rules:
      - {when: 'prompt.images > 0', deny: {message: no images}}
      - {when: 'request.max_output_tokens > 1000', deny: {message: too long}}
      - {when: 'prompt.tools > 0', deny: {message: no tools}}
    strategy: {kind: split, models: {small: 1}}
";

async fn governed(small: &Origin, limits: &'static str) -> Gateway {
    Gateway::start(&Config { default_provider: Some("two"), limits, policy: RULES.into(), ..Config::new(small, small) })
        .await
}

#[tokio::test]
async fn no_odd_value_hides_a_prompt_from_a_rule() {
    let small = Origin::start().await;
    let gateway = governed(&small, "").await;
    let image = r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}"#;
    let long = "9".repeat(400);
    let odd = ["1e999", "-1e400", &long, "\"\\ud800\"", "[[[1e999]]]", "{\"\\udfff\":1e999}"];

    for value in odd {
        for body in [
            format!(r#"{{"model":"gpt-5","functions":{value},"messages":[{image}]}}"#),
            format!(r#"{{"model":"gpt-5","messages":[{image}],"temperature":{value},"stop":{value}}}"#),
            format!(
                r#"{{"model":"gpt-5","messages":[{value},{{"role":{value},"type":{value},"output":{value}}},{image}]}}"#
            ),
            format!(
                r#"{{"model":"gpt-5","messages":[{{"tool_calls":[{{"function":{value}}}],"content":{value}}},{image}]}}"#
            ),
            format!(r#"{{"model":"gpt-5","messages":[{{"content":[{{"type":"text","text":{value}}}]}},{image}]}}"#),
            format!(r#"{{"model":"gpt-5","max_tokens":5000,"stream":{value},"messages":{value}}}"#),
            format!(r#"{{"model":"gpt-5","messages":[{{"content":{value}}}],"tools":[{value}]}}"#),
        ] {
            let reply = chat(gateway.listen, body.clone()).await;
            assert_eq!((reply.status, reply.error_code()), says(StatusCode::FORBIDDEN, "denied_by_policy"), "{body}");
        }
    }
    for value in ["1e999", long.as_str(), "1e30", "99999999999999999999", "\"5000\"", "5000.0"] {
        let body = format!(r#"{{"model":"gpt-5","max_tokens":{value},"messages":[]}}"#);
        assert_eq!(chat(gateway.listen, body.clone()).await.status, StatusCode::FORBIDDEN, "{body}");
    }
    let deep = format!(r#"{{"function":{}1{}"#, r#"{"function":"#.repeat(100), "}".repeat(101));
    let body = format!(r#"{{"model":"gpt-5","messages":[{{"tool_calls":[{deep}]}},{image}]}}"#);
    assert_eq!(chat(gateway.listen, body).await.status, StatusCode::FORBIDDEN);
    assert!(small.take().is_none());
}

#[tokio::test]
async fn what_no_reader_can_name_does_not_pass_a_rule_unread() {
    let small = Origin::start().await;
    let gateway = governed(&small, "").await;
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]);

    for path in ["/v1/images/generations", "/api/chat"] {
        for body in [
            json!({"model": 7, "messages": image}).to_string(),
            json!({"model": {"id": "x"}, "messages": image}).to_string(),
            json!({"messages": image}).to_string(),
            format!(r#"{{"\ud800":1,"messages":{image}}}"#),
            format!(r#"{{"n":1e999,"messages":{image}}}"#),
        ] {
            let ask = Ask { path, kind: Some("text/plain"), body: body.clone().into() };
            assert_eq!(ask.send(&gateway).await.status, StatusCode::FORBIDDEN, "{path} {body}");
        }
        for body in [
            format!(r#"{{"model":"a","model":"b","messages":{image}}}"#),
            format!(r#"{{"model":"a","messages":[],"Messages":{image}}}"#),
        ] {
            let ask = Ask { path, kind: Some("application/json"), body: body.clone().into() };
            assert_eq!(ask.send(&gateway).await.status, StatusCode::BAD_REQUEST, "{path} {body}");
        }
    }
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_key_in_another_case_is_refused_by_name_unless_it_is_allowed() {
    let small = Origin::start().await;
    let strict = governed(&small, "").await;
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"hi","Content":"hidden"}]}"#;

    for (path, shape) in [(CHAT, "code"), ("/v1/messages", "type")] {
        let reply = Ask { path, kind: Some("application/json"), body: body.into() }.send(&strict).await;
        let error = &reply.json()["error"];
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("`Content`")), "{path}: {error}");
        assert!(error[shape].is_string(), "{path}: {error}");
    }
    assert!(small.take().is_none());
    let lenient = governed(&small, ", key_case: any").await;
    assert_eq!(chat(lenient.listen, body).await.status, StatusCode::OK);
    assert_eq!(&small.next().await.body[..16], br#"{"model":"small-"#);
}

#[tokio::test]
async fn messages_parts_and_levels_beyond_their_limits_are_refused_in_the_shape_of_the_api() {
    async fn refused(gateway: &Gateway, path: &str, body: String) -> Reply {
        Ask { path, kind: Some("application/json"), body: body.into() }.send(gateway).await
    }
    let small = Origin::start().await;
    let gateway = governed(&small, ", max_messages: 3, max_parts: 4, max_depth: 16").await;
    let many = |count: usize, element: &str| vec![element; count].join(",");

    for (path, body, code) in [
        (CHAT, format!(r#"{{"model":"auto","messages":[{}]}}"#, many(4, "{}")), "too_many_elements"),
        (CHAT, format!(r#"{{"model":"auto","messages":[{}"#, many(4, "1")), "too_many_elements"),
        (CHAT, format!(r#"{{"model":"auto","messages":[{{"content":[{}]}}]}}"#, many(5, "{}")), "too_many_elements"),
        (CHAT, format!(r#"{{"model":"auto","messages":[{{"tool_calls":[{}]}}]}}"#, many(5, "{}")), "too_many_elements"),
        (CHAT, format!(r#"{{"model":"auto","tools":[{}]}}"#, many(5, "1")), "too_many_elements"),
        ("/v1/responses", format!(r#"{{"model":"auto","input":[{}]}}"#, many(4, "{}")), "too_many_elements"),
        ("/v1/embeddings", format!(r#"{{"model":"auto","input":[{}]}}"#, many(4, "\"a\"")), "too_many_elements"),
        ("/v1/completions", format!(r#"{{"model":"auto","prompt":[{}]}}"#, many(4, "[1]")), "too_many_elements"),
        (CHAT, format!(r#"{{"model":"auto","metadata":{}{}}}"#, "[".repeat(16), "]".repeat(16)), "too_deep"),
        (CHAT, format!(r#"{{"model":"auto","messages":{}{}}}"#, "[".repeat(16), "]".repeat(16)), "too_deep"),
    ] {
        let reply = refused(&gateway, path, body.clone()).await;
        assert_eq!((reply.status, reply.error_code()), says(StatusCode::BAD_REQUEST, code), "{path} {body}");
    }
    let body = format!(r#"{{"model":"auto","system":[{}]}}"#, many(5, "{}"));
    let reply = refused(&gateway, "/v1/messages", body).await;
    assert_eq!((reply.status, &reply.json()["type"]), (StatusCode::BAD_REQUEST, &json!("error")));
    assert!(small.take().is_none());

    let ids = format!(r#"{{"model":"auto","input":[{}]}}"#, many(1000, "7"));
    assert_eq!(refused(&gateway, "/v1/embeddings", ids).await.status, StatusCode::OK, "ids of tokens are no texts");
    assert_eq!(chat(gateway.listen, question("auto", "hello")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_path_that_leads_upwards_goes_nowhere() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &small) }).await;

    for path in [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/x/..%2F..%2Fadmin",
        "/v1/%252e%252e/admin",
        "/v1/..;/admin",
        "/v1/files/../../v2/keys",
        "/v1beta/models/../../admin:generateContent",
        "/openai/deployments/../../admin",
    ] {
        for body in ["{}", "no json"] {
            let reply = Ask { path, kind: Some("application/json"), body: body.into() }.send(&gateway).await;
            assert_eq!((reply.status, reply.error_code()), says(StatusCode::BAD_REQUEST, "path_climbs"), "{path}");
        }
        assert_eq!(crate::client::get(gateway.listen, path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert!(small.take().is_none());
}
