//! What a provider keeps is asked of that provider, whatever a policy would choose.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::affinity::until_store;
use crate::client::{CHAT, Connection, Framing, Reply};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::redis::Redis;
use crate::reload::until_metric;
use crate::soon;

pub(crate) const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const LONG: &str = "please compare these designs in depth, and say which of them you would build and why ";

pub(crate) fn json_answer(body: &Value) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

pub(crate) fn response(id: &str) -> Answer {
    json_answer(&json!({"id": id, "object": "response", "output": []}))
}

/// A response whose reasoning is sealed.
fn sealed(id: &str, text: &str) -> Answer {
    let item = json!({"type": "reasoning", "id": format!("rs_{id}"), "encrypted_content": text});
    json_answer(&json!({"id": id, "object": "response", "output": [item]}))
}

pub(crate) fn long() -> String {
    LONG.repeat(10)
}

/// Two providers: short prompts go to `small` at `one`, long ones to `frontier` at `two`.
pub(crate) struct Two {
    pub(crate) small: Origin,
    pub(crate) frontier: Origin,
    pub(crate) gateway: Gateway,
}

impl Two {
    pub(crate) async fn start(edit: impl FnOnce(&mut Config)) -> Self {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let rules = vec![("prompt.tokens > 40", "frontier"), ("true", "small")];
        let mut config = Config { rules, default_provider: Some("one"), ..Config::new(&small, &frontier) };
        edit(&mut config);
        let gateway = Gateway::start(&config).await;
        Self { small, frontier, gateway }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        send(&self.gateway, Method::POST, path, body, None).await
    }

    /// Tells who was asked since the last call.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let count = |origin: &Origin| std::iter::from_fn(|| origin.take()).count();
        (count(&self.small), count(&self.frontier))
    }
}

pub(crate) async fn send(gateway: &Gateway, method: Method, path: &str, body: &Value, key: Option<&str>) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(method, path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let bytes = if body.is_null() { String::new() } else { body.to_string() };
    let request = request.body(Framing::Length.body(bytes.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

#[tokio::test]
async fn a_response_is_continued_and_asked_for_where_it_was_made() {
    let two = Two::start(|_| {}).await;
    two.frontier.script(response("resp_of_frontier"));
    let first = two.post(RESPONSES, &json!({"model": "auto", "input": long()})).await;
    assert_eq!((first.header("x-pointsman-model"), two.asked()), (Some("frontier"), (0, 1)));

    let next = json!({"model": "auto", "input": "thanks", "previous_response_id": "resp_of_frontier"});
    let reply = two.post(RESPONSES, &next).await;

    assert_eq!((reply.status, two.asked()), (StatusCode::OK, (0, 1)));
    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(reply.header("x-pointsman-reason"), Some("state"));
    assert_eq!((reply.header("x-pointsman-provider"), reply.header("x-pointsman-state")), (Some("two"), Some("known")));
    for (method, path) in
        [(Method::GET, ""), (Method::POST, "/cancel"), (Method::GET, "/input_items?limit=2"), (Method::DELETE, "")]
    {
        let path = format!("{RESPONSES}/resp_of_frontier{path}");
        send(&two.gateway, method, &path, &Value::Null, None).await;
        let asked = two.frontier.next().await;
        assert_eq!(asked.path, format!("/prefix{path}"));
    }
    assert!(two.small.take().is_none());
    until_metric(&two.gateway, r#"pointsman_state_total{kind="response",outcome="known"} 5"#).await;
    let decided = decide(&two.gateway, &next).await;
    assert_eq!((&decided["model"], &decided["reason"]), (&json!("frontier"), &json!("state")));
}

/// Asks what would be decided of a response's request.
async fn decide(gateway: &Gateway, body: &Value) -> Value {
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    connection.post(Framing::Length, "/v1/decide?path=/v1/responses", body.to_string()).await.json()
}

#[tokio::test]
async fn a_streamed_response_is_known_as_soon_as_its_first_event_has_come() {
    let two = Two::start(|_| {}).await;
    let (events, chunks) = mpsc::channel(4);
    two.frontier.script(Answer::Events(chunks));
    let mut connection = Connection::open(two.gateway.listen, Framing::Length).await;
    let body = json!({"model": "auto", "input": long(), "stream": true}).to_string();
    let created = r#"{"type":"response.created","response":{"id":"resp_streamed"}}"#;
    let delta = r#"{"type":"response.output_text.delta","delta":"well"}"#;
    for event in [created, delta] {
        events.send(format!("data: {event}\n\n").into()).await.expect("the origin listens");
    }
    let mut open = connection.start(Framing::Length, RESPONSES, body).await.into_body();
    soon("the first event", open.frame()).await.expect("a frame").expect("no error");

    let reply =
        two.post(RESPONSES, &json!({"model": "auto", "input": "x", "previous_response_id": "resp_streamed"})).await;

    assert_eq!((reply.header("x-pointsman-state"), two.asked()), (Some("known"), (0, 2)));
}

#[tokio::test]
async fn a_request_that_names_a_file_goes_to_the_provider_that_has_it() {
    let two = Two::start(|config| config.default_provider = Some("two")).await;
    two.frontier.script(json_answer(&json!({"id": "file-1", "object": "file"})));
    let mut connection = Connection::open(two.gateway.listen, Framing::Length).await;
    let upload = connection.request(Method::POST, "/v1/files").header("accept-encoding", "gzip");
    let upload =
        upload.header("content-type", "multipart/form-data; boundary=z").body(Framing::Length.body("--z--".into()));
    connection.send(upload.expect("a valid request")).await.expect("an answer");
    assert_eq!(two.frontier.next().await.header("accept-encoding"), Some("identity"), "the answer could not be read");

    let text = json!({"type": "text", "text": "what is in it?"});
    let file = json!({"type": "file", "file": {"file_id": "file-1"}});
    let document = json!({"type": "document", "source": {"type": "file", "file_id": "file-1"}});
    let container = json!({"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}});
    let input_file = json!({"type": "input_file", "file_id": "file-1"});
    for (path, body) in [
        (RESPONSES, json!({"model": "auto", "input": [{"role": "user", "content": [input_file]}]})),
        (CHAT, json!({"model": "auto", "messages": [{"role": "user", "content": [text, file]}]})),
        (MESSAGES, json!({"model": "auto", "messages": [{"role": "user", "content": [text, document]}]})),
        (RESPONSES, json!({"model": "auto", "input": "what is in it?", "tools": [container]})),
    ] {
        let reply = two.post(path, &body).await;

        assert_eq!((two.asked(), reply.header("x-pointsman-state")), ((0, 1), Some("known")), "{body}");
    }
    let batch = send(&two.gateway, Method::POST, "/v1/batches", &json!({"input_file_id": "file-1"}), None).await;
    assert_eq!((batch.header("x-pointsman-state"), two.asked()), (Some("known"), (0, 1)));
}

#[tokio::test]
async fn sealed_reasoning_stays_with_its_maker_whatever_fails() {
    let two = Two::start(|config| config.fallback = "[small]").await;
    two.frontier.script(sealed("resp_1", "gAAAA-sealed-by-frontier"));
    two.post(RESPONSES, &json!({"model": "auto", "input": long(), "store": false})).await;
    assert_eq!(two.asked(), (0, 1));
    let history = json!([
        {"role": "user", "content": "x"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA-sealed-by-frontier"},
        {"role": "user", "content": "thanks"},
    ]);
    let next = json!({"model": "auto", "input": history, "store": false});

    let reply = two.post(RESPONSES, &next).await;
    assert_eq!((two.asked(), reply.header("x-pointsman-reason")), ((0, 1), Some("state")));
    two.frontier.script(Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![], "{}".into()));
    let reply = two.post(RESPONSES, &next).await;
    assert_eq!((reply.status, two.asked()), (StatusCode::SERVICE_UNAVAILABLE, (0, 1)));
}

#[tokio::test]
async fn a_policy_that_strips_sends_the_conversation_on_without_what_was_sealed() {
    let two = Two::start(|config| config.policy = "    state: strip\n".to_owned()).await;
    two.frontier.script(sealed("resp_1", "gAAAA-sealed-by-frontier"));
    two.post(RESPONSES, &json!({"model": "auto", "input": long()})).await;
    assert_eq!(two.asked(), (0, 1));
    let reasoning = json!({"type": "reasoning", "encrypted_content": "gAAAA-sealed-by-frontier"});
    let user = json!({"role": "user", "content": "thanks"});

    let reply = two.post(RESPONSES, &json!({"model": "auto", "input": [reasoning, user]})).await;

    assert_eq!(reply.header("x-pointsman-reason"), Some("rule"));
    let sent: Value = serde_json::from_slice(&two.small.next().await.body).expect("JSON");
    assert_eq!(sent, json!({"model": "small-1", "input": [user]}));
    let named = json!({"model": "auto", "input": "x", "previous_response_id": "resp_1"});
    two.post(RESPONSES, &named).await;
    assert_eq!(two.asked(), (0, 1), "what is needed cannot be left out");
}

#[tokio::test]
async fn signed_thinking_stays_within_a_tool_loop_and_goes_outside_of_one() {
    let two = Two::start(|config| config.policy = "    state: strip\n".to_owned()).await;
    let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "EqQBCgIYAhIM-signed"});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}});
    two.frontier.script(json_answer(&json!({"id": "msg_1", "type": "message", "content": [thinking, call]})));
    let ask = json!({"role": "user", "content": long()});
    let begun = json!({"model": "auto", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [ask]});
    two.post(MESSAGES, &begun).await;
    assert_eq!(two.asked(), (0, 1));
    let (asked, answered) =
        (json!({"role": "user", "content": "do it"}), json!({"role": "assistant", "content": [thinking, call]}));
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]});
    let mut amid = begun.clone();
    amid["messages"] = json!([asked, answered, result]);

    let reply = two.post(MESSAGES, &amid).await;
    assert_eq!(reply.header("x-pointsman-reason"), Some("state"));
    assert_eq!(
        serde_json::from_slice::<Value>(&two.frontier.next().await.body).expect("JSON")["messages"],
        amid["messages"]
    );
    amid["messages"] = json!([asked, answered, result, {"role": "assistant", "content": "done"}, asked]);
    two.post(MESSAGES, &amid).await;
    let sent: Value = serde_json::from_slice(&two.small.next().await.body).expect("JSON");
    assert_eq!(sent["messages"][1]["content"], json!([call]));
}

#[tokio::test]
async fn an_open_tool_loop_goes_to_a_model_of_another_api_without_its_thoughts_and_back() {
    let two = Two::start(|config| {
        config.policy = "    state: strip\n".to_owned();
        config.one = vec!["dialects: [chat]".to_owned()];
    })
    .await;
    let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "EqQBCgIYAhIM-signed"});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}});
    two.frontier.script(json_answer(&json!({"id": "msg_1", "type": "message", "content": [thinking, call]})));
    let begun = json!({"model": "auto", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": long()}]});
    two.post(MESSAGES, &begun).await;
    assert_eq!(two.asked(), (0, 1));
    let turn = |role: &str, block: &Value| json!({"role": role, "content": [block]});
    let result = |id: &str| turn("user", &json!({"type": "tool_result", "tool_use_id": id, "content": "ok"}));
    let opened =
        [json!({"role": "user", "content": "do it"}), json!({"role": "assistant", "content": [thinking, call]})];
    let mut amid = begun.clone();
    amid["messages"] = json!([opened[0], opened[1], result("toolu_1")]);

    let reply = two.post(MESSAGES, &amid).await;

    assert_eq!((reply.header("x-pointsman-reason"), reply.header("x-pointsman-model")), (Some("rule"), Some("small")));
    let translated = reply.header("x-pointsman-translated").expect("a translation");
    assert!(translated.starts_with("messages->chat; dropped=thinking"), "{translated}");
    let sent = two.small.next().await;
    assert!(!String::from_utf8_lossy(&sent.body).contains("EqQB"), "{sent:?}");
    let sent: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(
        (&sent["messages"][2]["role"], &sent["messages"][2]["tool_call_id"]),
        (&json!("tool"), &json!("toolu_1"))
    );

    // The other model has called a tool without a thought, and a longer result leads back.
    let other = json!({"type": "tool_use", "id": "call_2", "name": "f", "input": {}});
    let said = json!({"type": "text", "text": long()});
    let back = json!({"role": "user", "content": [result("call_2")["content"][0], said]});
    amid["messages"] = json!([opened[0], opened[1], result("toolu_1"), turn("assistant", &other), back]);
    let reply = two.post(MESSAGES, &amid).await;
    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
    let sent: Value = serde_json::from_slice(&two.frontier.next().await.body).expect("JSON");
    assert_eq!(sent["messages"], amid["messages"], "its maker gets its thoughts back");
}

#[tokio::test]
async fn of_what_nobody_has_seen_the_answer_and_the_log_say_who_was_asked() {
    let two = Two::start(|_| {}).await;
    for _ in 0..2 {
        two.small.script(Answer::Reply(StatusCode::NOT_FOUND, vec![], "{}".into()));
    }

    let routed =
        two.post(RESPONSES, &json!({"model": "auto", "input": "x", "previous_response_id": "resp_secret"})).await;
    let passed = send(&two.gateway, Method::GET, "/v1/responses/resp_secret", &Value::Null, None).await;

    for reply in [routed, passed] {
        assert_eq!(
            (reply.header("x-pointsman-provider"), reply.header("x-pointsman-state")),
            (Some("one"), Some("unknown"))
        );
    }
    until_metric(&two.gateway, r#"pointsman_state_total{kind="response",outcome="unknown"} 2"#).await;
    two.gateway.until_logged("response unknown").await;
}

#[tokio::test]
async fn what_a_request_named_is_known_once_a_provider_has_served_it() {
    let two = Two::start(|_| {}).await;
    let named = |text: &str| {
        json!({"model": "auto", "messages": [{"role": "user", "content": [
        {"type": "text", "text": text}, {"type": "file", "file": {"file_id": "file-of-before"}}]}]})
    };
    two.frontier.script(json_answer(&json!({"id": "c", "choices": []})));
    two.post(CHAT, &named(&long())).await;

    let reply = two.post(CHAT, &named("and in short?")).await;

    assert_eq!((reply.header("x-pointsman-state"), two.asked()), (Some("known"), (0, 2)));
}

#[tokio::test]
async fn one_client_s_names_say_nothing_to_another() {
    let clients = format!(
        "clients: {{a: {{keys: [{{sha256: {}}}]}}, b: {{keys: [{{sha256: {}}}]}}}}",
        hash("pk-a"),
        hash("pk-b")
    );
    let two = Two::start(|config| config.sections = clients).await;
    two.frontier.script(response("resp_of_a"));
    send(&two.gateway, Method::POST, RESPONSES, &json!({"model": "auto", "input": long()}), Some("pk-a")).await;
    let next = json!({"model": "auto", "input": "x", "previous_response_id": "resp_of_a"});
    two.asked();

    for (key, state, asked) in [("pk-b", "unknown", (1, 0)), ("pk-a", "known", (0, 1))] {
        let reply = send(&two.gateway, Method::POST, RESPONSES, &next, Some(key)).await;

        assert_eq!((reply.header("x-pointsman-state"), two.asked()), (Some(state), asked), "{key}");
    }
}

/// Two peers behind `small`, which alone may be chosen.
async fn peers(more: &str) -> ([Origin; 2], Gateway) {
    let peers = [Origin::start().await, Origin::start().await];
    let addresses = format!("peers: ['{}', '{}']", peers[0].address(), peers[1].address());
    let one = [addresses].into_iter().chain((!more.is_empty()).then(|| more.to_owned())).collect();
    let whole_strategy = Some("{kind: random, models: [small]}".to_owned());
    let config = Config { one, whole_strategy, default_provider: Some("one"), ..Config::new(&peers[0], &peers[0]) };
    (peers, Gateway::start(&config).await)
}

#[tokio::test]
async fn a_response_that_one_peer_keeps_is_asked_of_that_peer_alone() {
    for balance in ["round_robin", "least_requests", "prefix_hash"] {
        let (peers, gateway) = peers(&format!("balance: {balance}")).await;
        for peer in &peers {
            peer.script(response(&format!("resp_{}", peer.address().port())));
        }
        let first = send(&gateway, Method::POST, RESPONSES, &json!({"model": "auto", "input": "hello"}), None).await;
        let id = first.json()["id"].as_str().expect("an id").to_owned();
        let keeper = peers.iter().find(|peer| id.ends_with(&peer.address().port().to_string())).expect("a peer");
        let other = peers.iter().find(|peer| peer.address() != keeper.address()).expect("a peer");
        keeper.next().await;

        for turn in 0..8 {
            let next = json!({"model": "auto", "input": format!("question {turn}"), "previous_response_id": id});
            send(&gateway, Method::POST, RESPONSES, &next, None).await;
            send(&gateway, Method::GET, &format!("{RESPONSES}/{id}"), &Value::Null, None).await;
            keeper.next().await;
            keeper.next().await;
        }
        keeper.script(Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![], "{}".into()));
        let next = json!({"model": "auto", "input": "and?", "previous_response_id": id});
        let reply = send(&gateway, Method::POST, RESPONSES, &next, None).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{balance}");
        assert!(other.take().is_none(), "{balance}: a peer that does not know the response was asked");
    }
}

#[tokio::test]
async fn with_prefix_hash_a_session_that_is_named_stays_with_its_peer() {
    let (peers, gateway) = peers("balance: prefix_hash").await;

    for turn in 0..8 {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": format!("question {turn}")}]});
        let request = connection.request(Method::POST, CHAT).header("x-session-id", "s1");
        let request = request.header("content-type", "application/json");
        let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
        connection.send(request).await.expect("an answer");
    }

    let counts = peers.each_ref().map(|peer| std::iter::from_fn(|| peer.take()).count());
    assert!(counts.contains(&8), "{counts:?}");
}

#[tokio::test]
async fn replicas_know_what_another_saw() {
    let redis = Redis::start();
    let two = Two::start(|config| config.sections = redis.section("1s")).await;
    let (rules, sections) = (vec![("prompt.tokens > 40", "frontier"), ("true", "small")], redis.section("1s"));
    let replica = Gateway::start(&Config { rules, sections, ..Config::new(&two.small, &two.frontier) }).await;
    until_store(&two.gateway, "ready").await;
    until_store(&replica, "ready").await;

    two.frontier.script(response("resp_shared"));
    two.post(RESPONSES, &json!({"model": "auto", "input": long()})).await;
    let next = json!({"model": "auto", "input": "x", "previous_response_id": "resp_shared"});

    // The store is written without waiting.
    let known = async { while decide(&replica, &next).await["model"] != "frontier" {} };
    soon("the other replica's word", known).await;
    let reply = send(&replica, Method::POST, RESPONSES, &next, None).await;
    assert_eq!((reply.header("x-pointsman-state"), two.asked()), (Some("known"), (0, 2)));
}
