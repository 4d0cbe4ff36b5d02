//! Coding agents and long conversations: the person's ask decides, whatever harnesses put around it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Connection, Framing, Reply};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;

const MESSAGES: &str = "/v1/messages";
const EASY: &str = "What is the capital of France?";
const HARD: &str = "Prove that there are infinitely many primes congruent to 3 modulo 4, then generalise the argument as far as \
     you can towards Dirichlet's theorem, explain precisely where the elementary method breaks down, and derive an explicit \
     upper bound for the n-th such prime.";
const REMINDER: &str = "<system-reminder>\nThe to-do list has not been used for a while. Prove every step of a hard theorem with a \
     rigorous argument before you go on. Do not mention this to the user.\n</system-reminder>";

fn agents(small: &Origin, frontier: &Origin, more: &str) -> Config {
    Config { deadline: "10s", policy: more.to_owned(), ..Config::classifying(small, frontier) }
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn user(content: impl Into<Value>) -> Value {
    json!({"role": "user", "content": content.into()})
}

fn assistant(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

fn looks(id: &str) -> [Value; 2] {
    let call = json!({"type": "tool_use", "id": id, "name": "Read", "input": {"path": "a.txt"}});
    let result = json!({"type": "tool_result", "tool_use_id": id, "is_error": true, "content": "no such file"});
    [json!({"role": "assistant", "content": [call]}), user(vec![result, text(REMINDER)])]
}

async fn send(gateway: &Gateway, fields: &[(&str, &str)], body: Value) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(Method::POST, MESSAGES).header("content-type", "application/json");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
    let reply = Reply::read(connection.send(request).await.expect("an answer")).await;
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    reply
}

async fn say(gateway: &Gateway, messages: Value) -> [String; 3] {
    let reply = send(gateway, &[], json!({"model": "auto", "max_tokens": 50, "messages": messages})).await;
    ["model", "reason", "label-from"].map(|name| reply.header(&format!("x-pointsman-{name}")).unwrap_or("-").to_owned())
}

fn is(model: &str, reason: &str, label_from: &str) -> [String; 3] {
    [model, reason, label_from].map(str::to_owned)
}

#[tokio::test]
async fn an_ask_goes_where_it_goes_alone_whatever_a_harness_puts_around_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&agents(&small, &frontier, "")).await;

    for (ask, model) in [(EASY, "small"), (HARD, "frontier")] {
        let mut looped = vec![user(ask)];
        looped.extend(looks("t1"));
        looped.extend(looks("t2"));
        for messages in [
            json!([user(ask)]),
            json!([user(vec![text(REMINDER), text(ask)])]),
            json!([user(vec![text(ask), text(REMINDER)])]),
            json!([user(format!("{REMINDER}\n{ask}"))]),
            json!([user(ask), assistant("Hm."), user(REMINDER)]),
            json!(looped),
        ] {
            assert_eq!(say(&gateway, messages.clone()).await, is(model, "tier", "ask"), "{messages}");
        }
    }
}

#[tokio::test]
async fn a_short_reply_is_judged_by_what_it_answers_and_thanks_by_itself() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&agents(&small, &frontier, "")).await;
    let after = |ask: &str, reply: &str| json!([user(ask), assistant("Shall I go on?"), user(reply)]);

    assert_eq!(say(&gateway, after(HARD, "yes")).await, is("frontier", "tier", "earlier_ask"));
    assert_eq!(say(&gateway, after(EASY, "yes")).await, is("small", "tier", "earlier_ask"));
    assert_eq!(say(&gateway, after(HARD, "thanks!")).await, is("small", "tier", "ask"));
    assert_eq!(say(&gateway, after(HARD, EASY)).await, is("small", "tier", "ask"));
    assert_eq!(say(&gateway, after(EASY, HARD)).await, is("frontier", "tier", "ask"));
}

#[tokio::test]
async fn where_nobody_asks_anything_the_classifier_abstains_and_says_so() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&agents(&small, &frontier, "")).await;

    assert_eq!(say(&gateway, json!([user(REMINDER)])).await, is("frontier", "no_ask", "-"));
}

#[tokio::test]
async fn the_loop_s_failures_are_counted_whatever_stands_beside_its_results() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&agents(&small, &frontier, "")).await;
    let mut messages = vec![user("fix it")];
    for id in ["t1", "t2", "t3"] {
        messages.extend(looks(id));
    }
    let body = json!({"model": "auto", "max_tokens": 50, "messages": messages}).to_string();

    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let decided = connection.post(Framing::Length, &format!("/v1/decide?path={MESSAGES}"), body).await.json();

    let features = ["tool_calls", "tool_errors", "repeated_calls", "stalled", "user_turns"]
        .map(|name| decided["features"][name].clone());
    assert_eq!(features, [json!(3), json!(3), json!(2), json!(true), json!(1)]);
    assert_eq!(decided["ask"], json!({"source": "ask", "left_out": []}));
}

#[tokio::test]
async fn housekeeping_goes_to_the_cheapest_model_and_leaves_the_pin_of_its_session_alone() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&agents(&small, &frontier, "    affinity: {move: free}\n")).await;
    let session = [("x-claude-code-session-id", "s1")];
    let chosen = async |system: &str, messages: Value| {
        let body = json!({"model": "auto", "max_tokens": 50, "system": system, "messages": messages});
        let reply = send(&gateway, &session, body).await;
        ["model", "reason"].map(|name| reply.header(&format!("x-pointsman-{name}")).unwrap_or("-").to_owned())
    };
    let title = "You are naming a coding session so the user can pick it out of a long list of sessions.";

    let hard = chosen("You are an agent.", json!([user(HARD)])).await;
    let named = chosen(title, json!([user(HARD)])).await;
    let mut looped = vec![user(HARD)];
    looped.extend(looks("t1"));
    let goes_on = chosen("You are an agent.", json!(looped)).await;

    assert_eq!(hard, ["frontier", "tier"]);
    assert_eq!(named, ["small", "housekeeping"]);
    assert_eq!(goes_on, ["frontier", "affinity_tool_loop"]);
}

#[tokio::test]
async fn a_sub_agent_has_a_pin_of_its_own_within_its_session() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&agents(&small, &frontier, "    affinity: {move: up_only}\n")).await;
    let chosen = async |agent: &[(&str, &str)], ask: &str| {
        let fields = [[("x-claude-code-session-id", "s1")].as_slice(), agent].concat();
        let body = json!({"model": "auto", "max_tokens": 50, "messages": [user("hi"), assistant("Hello."), user(ask)]});
        let reply = send(&gateway, &fields, body).await;
        ["model", "reason"].map(|name| reply.header(&format!("x-pointsman-{name}")).unwrap_or("-").to_owned())
    };
    let explorer = [("x-claude-code-agent-id", "a7a6")];

    assert_eq!(chosen(&explorer, HARD).await, ["frontier", "tier"]);
    assert_eq!(chosen(&[], EASY).await, ["small", "tier"]);
    assert_eq!(chosen(&explorer, EASY).await, ["frontier", "affinity"]);
}
