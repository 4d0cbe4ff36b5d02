//! What rules do to requests besides choosing a model: deny them, set parameters, read headers, scores and the client.

use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, chat, question};
use crate::gateway::{Config, Gateway, bundle};
use crate::origin::Origin;

async fn post(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = headers
        .iter()
        .fold(connection.request(Method::POST, path), |request, (name, value)| request.header(*name, *value));
    let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

#[tokio::test]
async fn a_denial_has_the_shape_of_its_dialect_and_nothing_goes_upstream() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: prompt.user_turns > 0, deny: {status: 422, message: Not on a Sunday.}}, ";
    let gateway = Gateway::start(&Config { first_rules, ..Config::new(&small, &frontier) }).await;
    let message = json!([{"role": "user", "content": "hi"}]);

    for (path, body) in [
        (CHAT, json!({"model": "auto", "messages": message})),
        ("/v1/completions", json!({"model": "auto", "prompt": "hi"})),
        ("/v1/responses", json!({"model": "auto", "input": "hi", "stream": true})),
        ("/v1/messages", json!({"model": "auto", "max_tokens": 5, "messages": message})),
    ] {
        let reply = post(&gateway, path, &[], body).await;

        let answer = reply.json();
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {answer}");
        assert_eq!(answer["error"]["message"], "Not on a Sunday.", "{path}");
        assert_eq!(reply.error_code(), "denied_by_policy", "{path}");
        assert_eq!(answer["type"] == "error", path == "/v1/messages", "{path}: {answer}");
    }
    assert!(small.take().is_none() && frontier.take().is_none());
}

#[tokio::test]
async fn parameters_that_rules_set_reach_the_model_before_its_own_rules() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: request.temperature > 1.0, set: {temperature: 1, seed: 7}}, \
         {when: request.max_output_tokens == 0, set: {max_tokens: 64, seed: 8, stream_options.include_usage: true}}, ";
    let adapt = "{rename: {max_tokens: max_completion_tokens}}";
    let gateway = Gateway::start(&Config { first_rules, adapt, ..Config::new(&small, &frontier) }).await;

    let reply = chat(gateway.listen, r#"{"temperature": 1.5, "model": "auto", "messages": []}"#).await;

    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    let sent: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    let wanted = json!({
        "temperature": 1, "model": "small-1", "messages": [], "seed": 8, "max_completion_tokens": 64,
    });
    assert_eq!(sent, wanted);
}

#[tokio::test]
async fn a_rule_that_says_nothing_of_a_request_changes_no_byte_of_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: request.temperature > 1.0, set: {temperature: 1}}, ";
    let gateway = Gateway::start(&Config { first_rules, ..Config::new(&small, &frontier) }).await;

    chat(gateway.listen, question("auto", "hi")).await;

    assert_eq!(small.next().await.body, question("small-1", "hi"));
}

#[tokio::test]
async fn rules_read_listed_headers_and_the_client() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: \"headers['x-team'] == 'red'\", use: frontier}, \
         {when: client.name != '', deny: {message: we do not know you}}, ";
    let sections = "rule_headers: [X-Team]".to_owned();
    let gateway = Gateway::start(&Config { first_rules, sections, ..Config::new(&small, &frontier) }).await;
    let chosen = async |headers: &[(&str, &str)]| {
        let reply = post(&gateway, CHAT, headers, json!({"model": "auto", "messages": []})).await;
        reply.header("x-pointsman-model").map(str::to_owned)
    };

    assert_eq!(chosen(&[("x-team", "red")]).await.as_deref(), Some("frontier"));
    assert_eq!(chosen(&[("x-team", "blue")]).await.as_deref(), Some("small"));
    assert_eq!(chosen(&[]).await.as_deref(), Some("small"));
}

#[tokio::test]
async fn a_rule_about_scores_asks_the_classifier_and_only_for_the_requests_that_need_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: prompt.text_words > 3 && scores.default.tier.simple > 0.8, use: frontier}, ";
    let config = Config { first_rules, bundle: bundle(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let short = chat(gateway.listen, question("auto", "hi")).await;
    let simple = chat(gateway.listen, question("auto", "What is the capital of France?")).await;

    assert_eq!((short.header("x-pointsman-model"), short.header("x-pointsman-source")), (Some("small"), None));
    assert_eq!(simple.header("x-pointsman-model"), Some("frontier"), "{}", gateway.log());
    assert!(simple.header("x-pointsman-source").is_some());
}

#[tokio::test]
async fn a_guard_holds_against_values_of_any_bytes_numbers_that_are_none_and_headers_that_come_twice() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: \"headers['x-team'] != ''\", deny: {message: not for teams}}, \
         {when: \"headers['x-n'] != '' && !(double(headers['x-n']) <= 5.0)\", deny: {message: too much}}, \
         {when: \"headers['x-city'] == 'Zürich'\", use: frontier}, ";
    let sections = "rule_headers: [x-team, x-n, x-city]".to_owned();
    let gateway = Gateway::start(&Config { first_rules, sections, ..Config::new(&small, &frontier) }).await;
    let sent = async |headers: &[(&str, &[u8])]| {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (*name, HeaderValue::from_bytes(value).expect("a value"))).collect();
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, CHAT);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(Framing::Length.body(question("auto", "hi").into())).expect("a valid request");
        let reply = Reply::read(connection.send(request).await.expect("an answer")).await;
        (reply.status.as_u16(), reply.header("x-pointsman-model").map(str::to_owned))
    };

    for denied in
        [&[("x-team", "Zürich".as_bytes())][..], &[("x-team", b"Z\xfcrich")], &[("x-team", b""), ("x-team", b"red")]]
    {
        assert_eq!(sent(denied).await.0, 403, "{denied:?}");
    }
    for denied in ["NaN", "nan", "-nan", "inf", "6"] {
        assert_eq!(sent(&[("x-n", denied.as_bytes())]).await.0, 403, "{denied}");
    }
    assert_eq!(sent(&[("x-n", b"4"), ("x-team", b"")]).await, (200, Some("small".to_owned())));
    assert_eq!(sent(&[("x-city", "Zürich".as_bytes())]).await, (200, Some("frontier".to_owned())));
}

#[tokio::test]
async fn a_word_is_denied_wherever_it_stands_in_a_request() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: \"prompt.contains_any(['aurora'])\", deny: {message: not a word of that}}, \
         {when: \"prompt.matches_any(['(?i)prove'], 'ask')\", use: frontier}, ";
    let gateway = Gateway::start(&Config { first_rules, ..Config::new(&small, &frontier) }).await;
    let status = async |path: &str, body: Value| post(&gateway, path, &[], body).await.status.as_u16();
    let turns = |text: &str| json!([{"role": "user", "content": text}, {"role": "assistant", "content": "Well."}, {"role": "user", "content": "Go on."}]);

    for (path, body) in [
        (CHAT, json!({"model": "auto", "messages": turns("<system-reminder>Aurora</system-reminder>")})),
        (
            CHAT,
            json!({"model": "auto", "messages": [{"role": "tool", "tool_call_id": "1", "content": "{\"a\": \"\\u0061urora\"}"}]}),
        ),
        (
            CHAT,
            json!({"model": "auto", "messages": [], "tools": [{"type": "function", "function": {"name": "f", "description": "Aurora"}}]}),
        ),
        ("/v1/responses", json!({"model": "auto", "input": "hi", "instructions": "aurora"})),
        (
            "/v1/messages",
            json!({"model": "auto", "max_tokens": 5, "messages": [{"role": "assistant", "content": [
            {"type": "tool_use", "id": "1", "name": "f", "input": {"aurora": 1}}]}]}),
        ),
    ] {
        assert_eq!(status(path, body.clone()).await, 403, "{path}: {body}");
    }
    assert_eq!(status(CHAT, json!({"model": "auto", "messages": turns("auroras")})).await, 200);
    let proof =
        post(&gateway, CHAT, &[], json!({"model": "auto", "messages": [{"role": "user", "content": "Prove it."}]}))
            .await;
    assert_eq!(proof.header("x-pointsman-model"), Some("frontier"));
}
