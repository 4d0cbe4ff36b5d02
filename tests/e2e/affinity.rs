//! A conversation stays with its model: in one process, over reloads and fallbacks, and among replicas.

use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, get};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::redis::{Redis, RedisTls, certify};
use crate::reload::until_metric;
use crate::soon;

pub(crate) const EASY: &str = "What is the capital of France?";
pub(crate) const HARD: &str = "Prove that there are infinitely many primes congruent to 3 modulo 4, then generalise the argument as far as \
     you can towards Dirichlet's theorem, explain precisely where the elementary method breaks down, and derive an explicit \
     upper bound for the n-th such prime.";

/// A policy that holds conversations by these terms.
pub(crate) fn holding(small: &Origin, frontier: &Origin, terms: &str) -> Config {
    Config { policy: format!("    affinity: {{{terms}}}\n"), ..Config::classifying(small, frontier) }
}

/// Sends a conversation's messages under a session's name.
async fn say(gateway: &Gateway, session: &str, messages: Value) -> Reply {
    let body = json!({"model": "auto", "messages": messages}).to_string();
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
    let request = request.header("x-session-id", session).body(Framing::Length.body(body.into()));
    Reply::read(connection.send(request.expect("a valid request")).await.expect("an answer")).await
}

pub(crate) async fn ask(gateway: &Gateway, session: &str, text: &str) -> (String, String) {
    chosen(&say(gateway, session, json!([{"role": "user", "content": text}])).await)
}

fn chosen(reply: &Reply) -> (String, String) {
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    let field = |name| reply.header(name).unwrap_or_default().to_owned();
    (field("x-pointsman-model"), field("x-pointsman-reason"))
}

pub(crate) fn is(model: &str, reason: &str) -> (String, String) {
    (model.to_owned(), reason.to_owned())
}

/// Returns a conversation whose last message answers a tool call.
fn in_tool_loop(text: &str) -> Value {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    json!([
        {"role": "user", "content": text},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ])
}

pub(crate) async fn readiness(gateway: &Gateway) -> Value {
    get(gateway.admin, "/readyz").await.json()
}

/// Waits until the gateway says so of its store. Every look is a request of its own.
pub(crate) async fn until_store(gateway: &Gateway, state: &str) {
    soon(state, async { while readiness(gateway).await["store"]["state"] != state {} }).await;
}

#[tokio::test]
async fn a_conversation_goes_up_stays_there_over_a_reload_and_is_counted() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = holding(&small, &frontier, "key: conversation");
    let gateway = Gateway::start(&config).await;

    let easy = ask(&gateway, "s1", EASY).await;
    let hard = ask(&gateway, "s1", HARD).await;
    gateway.write(&format!("{}\n# another text\n", config.yaml()));
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;
    let easy_again = ask(&gateway, "s1", EASY).await;
    let other = ask(&gateway, "s2", EASY).await;

    assert_eq!((easy, hard), (is("small", "tier"), is("frontier", "tier")), "{}", gateway.log());
    assert_eq!((easy_again, other), (is("frontier", "affinity"), is("small", "tier")));
    for (outcome, count) in [("new", 2), ("moved", 1), ("kept", 1), ("no_key", 0)] {
        until_metric(&gateway, &format!("pointsman_affinity_total{{outcome=\"{outcome}\",policy=\"auto\"}} {count}"))
            .await;
    }
}

#[tokio::test]
async fn what_goes_on_with_a_hard_task_does_not_fall_to_a_small_model() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&holding(&small, &frontier, "move: up_only")).await;
    let after = |reply: &str| {
        json!([
            {"role": "user", "content": HARD},
            {"role": "assistant", "content": "First the case of primes congruent to 3."},
            {"role": "user", "content": reply},
        ])
    };

    let hard = ask(&gateway, "s", HARD).await;

    assert_eq!(hard, is("frontier", "tier"));
    for reply in ["continue", "ok", "Thanks! What is the capital of France?"] {
        let (model, reason) = chosen(&say(&gateway, "s", after(reply)).await);
        assert_eq!(model, "frontier", "{reply}: {reason}");
    }
}

#[tokio::test]
async fn a_conversation_without_a_session_is_known_by_how_it_begins() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&holding(&small, &frontier, "move: never")).await;
    let grown = json!([
        {"role": "user", "content": EASY},
        {"role": "assistant", "content": "Paris."},
        {"role": "user", "content": HARD},
    ]);

    let first = ask(&gateway, "", EASY).await;
    let second = chosen(&say(&gateway, "", grown).await);

    assert_eq!((first, second), (is("small", "tier"), is("small", "affinity")));
}

#[tokio::test]
async fn conversations_that_begin_alike_are_not_held_to_what_another_one_came_to() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&holding(&small, &frontier, "move: up_only")).await;
    let escalated = json!([
        {"role": "user", "content": EASY},
        {"role": "assistant", "content": "Paris."},
        {"role": "user", "content": HARD},
    ]);
    let going_on = json!([
        {"role": "user", "content": EASY},
        {"role": "assistant", "content": "Paris."},
        {"role": "user", "content": EASY},
    ]);

    let up = chosen(&say(&gateway, "", escalated.clone()).await);
    let still_up = chosen(&say(&gateway, "", going_on.clone()).await);
    let another = ask(&gateway, "", EASY).await;
    let its_second_turn = chosen(&say(&gateway, "", going_on).await);

    assert_eq!((up, still_up), (is("frontier", "tier"), is("frontier", "affinity")));
    assert_eq!((another, its_second_turn), (is("small", "tier"), is("small", "tier")));
}

#[tokio::test]
async fn tool_calls_are_answered_to_the_model_that_made_them_even_after_a_fallback() {
    let failing = Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let (small, frontier) = (Origin::answering([failing]).await, Origin::start().await);
    let config = Config { fallback: "[frontier]", ..holding(&small, &frontier, "move: free") };
    let gateway = Gateway::start(&config).await;

    let first = say(&gateway, "s", json!([{"role": "user", "content": EASY}])).await;
    let looped = chosen(&say(&gateway, "s", in_tool_loop(EASY)).await);
    let next = ask(&gateway, "s", EASY).await;

    assert_eq!(first.header("x-pointsman-fallback-from"), Some("small"));
    assert_eq!(looped, is("frontier", "affinity_tool_loop"));
    assert_eq!(next, is("small", "tier"), "the fallback moved no pin");
}

#[tokio::test]
async fn what_became_of_the_pin_is_explained_and_asking_pins_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&holding(&small, &frontier, "key: {header: x-user}")).await;
    let explain = async |user: &str| {
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": EASY}]}).to_string();
        let mut connection = Connection::open(gateway.admin, Framing::Length).await;
        let request = connection.request(Method::POST, "/v1/decide").header("content-type", "application/json");
        let request = request.header("x-user", user).body(Framing::Length.body(body.into())).expect("a request");
        Reply::read(connection.send(request).await.expect("an answer")).await.json()
    };

    let twice = [explain("u").await, explain("u").await];

    for explained in twice {
        assert_eq!(explained["pin"]["outcome"], "new", "{explained}");
    }
}

#[tokio::test]
async fn replicas_with_a_store_agree() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = Config { sections: redis.section("1s"), ..holding(&small, &frontier, "move: up_only") };
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    until_store(&one, "ready").await;
    until_store(&two, "ready").await;

    let at_one = ask(&one, "s", HARD).await;
    let at_two = until_pinned(&two, "s").await;

    assert_eq!((at_one, at_two), (is("frontier", "tier"), is("frontier", "affinity")), "{}", two.log());
    assert!(!one.log().contains("WARN"), "{}", one.log());
}

/// Asks in new sessions' stead until the pin that another replica wrote, without waiting for the store, is there.
pub(crate) async fn until_pinned(gateway: &Gateway, session: &str) -> (String, String) {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": EASY}]}).to_string();
    soon("the pin in the store", async {
        loop {
            let mut connection = Connection::open(gateway.admin, Framing::Length).await;
            let request = connection.request(Method::POST, "/v1/decide").header("content-type", "application/json");
            let request = request.header("x-session-id", session).body(Framing::Length.body(body.clone().into()));
            let reply = Reply::read(connection.send(request.expect("a request")).await.expect("an answer")).await;
            if reply.json()["pin"]["outcome"] != "new" {
                return;
            }
        }
    })
    .await;
    ask(gateway, session, EASY).await
}

#[tokio::test]
async fn a_store_that_hangs_or_dies_costs_no_request_and_is_used_again_when_it_is_back() {
    let (small, frontier, mut redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = Config { sections: redis.section("20ms"), ..holding(&small, &frontier, "move: up_only") };
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    until_store(&one, "ready").await;
    assert_eq!(ask(&one, "s", HARD).await, is("frontier", "tier"));

    redis.hang();
    assert_eq!(ask(&one, "s", EASY).await, is("frontier", "affinity"), "from its own memory");
    until_store(&one, "unavailable").await;
    assert_eq!(ask(&one, "s", EASY).await, is("frontier", "affinity"));
    redis.go_on();
    until_store(&one, "ready").await;

    redis.die();
    until_store(&one, "unavailable").await;
    assert_eq!(ask(&one, "s", EASY).await, is("frontier", "affinity"));
    redis.come_back(); // empty
    until_store(&one, "ready").await;
    until_store(&two, "ready").await;
    assert_eq!(ask(&one, "s", EASY).await, is("frontier", "affinity"), "tells the store what it remembers");
    assert_eq!(until_pinned(&two, "s").await, is("frontier", "affinity"));

    let ready = readiness(&one).await;
    assert_eq!(ready["ready"], true, "{ready}");
    one.until_logged_times("The store answers", 3).await;
    assert_eq!(one.log().matches("The store answers").count(), 3, "once for each change\n{}", one.log());
}

#[tokio::test]
async fn a_store_that_was_never_there_is_named_and_nothing_else_happens() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = "store: {redis: {url: 'unix:///nowhere/redis.sock'}}\n".to_owned();
    let gateway = Gateway::start(&Config { sections, ..holding(&small, &frontier, "move: never") }).await;

    let first = ask(&gateway, "s", EASY).await;
    let second = ask(&gateway, "s", HARD).await;

    assert_eq!((first, second), (is("small", "tier"), is("small", "affinity")));
    until_store(&gateway, "unavailable").await;
    until_metric(&gateway, "pointsman_store_available 0").await;
    let errors = String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).into_owned();
    let errors = errors.lines().find_map(|line| line.strip_prefix("pointsman_store_errors_total{operation=\"get\"} "));
    assert!(errors.and_then(|count| count.parse().ok()).is_some_and(|count: u64| count >= 2), "{errors:?}");
}

#[tokio::test]
async fn replicas_agree_through_a_store_behind_tls_that_the_operator_s_authority_vouches_for() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, RedisTls::start().await);
    let config = Config { sections: redis.section(None), ..holding(&small, &frontier, "move: up_only") };
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    until_store(&one, "ready").await;
    until_store(&two, "ready").await;

    let at_one = ask(&one, "s", HARD).await;
    let at_two = until_pinned(&two, "s").await;

    assert_eq!((at_one, at_two), (is("frontier", "tier"), is("frontier", "affinity")), "{}", two.log());
}

#[tokio::test]
async fn a_store_that_another_authority_vouches_for_is_not_spoken_to() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, RedisTls::start().await);
    let stranger = tempfile::tempdir().expect("a temporary folder");
    certify(stranger.path());
    let sections = redis.section(Some(&stranger.path().join("cert.pem")));
    let gateway = Gateway::start(&Config { sections, ..holding(&small, &frontier, "move: up_only") }).await;

    let own = ask(&gateway, "s", HARD).await;
    until_store(&gateway, "unavailable").await;
    let detail = soon("why", async {
        loop {
            let detail = readiness(&gateway).await["store"]["detail"].to_string();
            if detail.contains("certificate") {
                return detail;
            }
        }
    });

    assert_eq!(own, is("frontier", "tier"), "from its own memory");
    let detail = detail.await;
    assert!(detail.contains("invalid peer certificate"), "{detail}");
    gateway.until_logged("invalid peer certificate").await;
}

#[test]
fn an_authority_that_is_none_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo.yaml");
    let demo = std::fs::read_to_string(demo).expect("the demo's file");
    let check = |section: &str| {
        let file = folder.path().join("p.yaml");
        std::fs::write(&file, format!("{demo}\n{section}\n")).expect("written");
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_pointsman")).args(["check", "-c"]).arg(&file).output();
        let output = output.expect("the binary starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };

    for (section, said) in [
        ("store: {redis: {url: 'rediss://h', tls: {ca: none.pem}}}", "store.redis.tls.ca: cannot read"),
        ("store: {redis: {url: 'redis://h', tls: {}}}", "store.redis.tls: has no meaning for this url"),
        ("tracing: {otlp: {endpoint: 'https://h', tls: {ca: none.pem}}}", "tracing.otlp.tls.ca: cannot read"),
        ("tracing: {otlp: {endpoint: 'http://h', tls: {}}}", "tracing.otlp.tls: has no meaning for this endpoint"),
    ] {
        let (code, error) = check(section);

        assert!(code == Some(78) && error.contains(said), "{section}: {error}");
    }
}
