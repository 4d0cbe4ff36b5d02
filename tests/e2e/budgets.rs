//! Budgets: what clients, teams and sessions may spend, alone and in replicas that share a store.

use futures::future::join_all;
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::affinity::until_store;
use crate::client::{CHAT, Connection, Framing, Reply, get, question};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::redis::Redis;
use crate::reload::until_metric;
use crate::soon;

/// The cost of an answer of [`priced`] by `frontier`, in US dollars: 10 tokens at 2 and 400 at 8 dollars a million.
const COST: f64 = 0.003_22;

/// A policy whose strategy always chooses `frontier`, for the clients `anna` and `ben` of the team `red`.
fn budgeted(small: &Origin, frontier: &Origin, budgets: &str) -> Config {
    let client = |name: &str| format!("{name}: {{team: red, keys: [{{sha256: {}}}]}}", hash(name));
    let clients = format!("teams: {{red: {{}}}}\nclients: {{{}, {}}}\n", client("anna"), client("ben"));
    Config {
        rules: vec![(r#"headers["x-easy"] == "1""#, "small")],
        whole_strategy: Some("{kind: random, models: [frontier, frontier]}".to_owned()),
        sections: format!("rule_headers: [x-easy]\n{clients}budgets: [{budgets}]\n"),
        policy: "    budget: {otherwise: [small]}\n".to_owned(),
        ..Config::new(small, frontier)
    }
}

/// As [`budgeted`], in replicas that share `redis`.
fn shared(config: &Config, redis: &Redis) -> Config {
    Config { sections: config.sections.clone() + &redis.section("1s"), ..config.clone() }
}

/// An answer of 410 tokens.
fn priced() -> Answer {
    let body = r#"{"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 400}}"#;
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.into())
}

async fn send(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(Method::POST, path).header("content-type", "application/json");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Framing::Length.body(question("auto", "hello").into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

async fn ask(gateway: &Gateway, fields: &[(&str, &str)]) -> Reply {
    send(gateway, CHAT, fields).await
}

/// Returns how many of so many requests, one after the other, are served; the others are beyond a budget.
async fn served(gateway: &Gateway, fields: &[(&str, &str)], times: usize) -> usize {
    let mut served = 0;
    for _ in 0..times {
        let reply = ask(gateway, fields).await;
        if reply.status == StatusCode::OK {
            served += 1;
        } else {
            assert_eq!((reply.status, reply.error_code()), (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded".into()));
        }
    }
    served
}

/// Returns the value of a series.
async fn metric(gateway: &Gateway, series: &str) -> f64 {
    let text = String::from_utf8(get(gateway.admin, "/metrics").await.body.to_vec()).expect("text");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
}

const ANNA: (&str, &str) = ("authorization", "Bearer anna");
const BEN: (&str, &str) = ("x-api-key", "ben");

#[tokio::test]
async fn a_request_beyond_a_budget_gets_a_429_that_says_when_it_begins_anew() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&budgeted(&small, &frontier, "{name: daily, requests: 2, soft: 1}")).await;

    let admitted = served(&gateway, &[ANNA], 2).await;
    let refused = ask(&gateway, &[ANNA]).await;
    let to_anthropic = send(&gateway, "/v1/messages", &[ANNA]).await;
    let other = ask(&gateway, &[BEN]).await;

    assert_eq!((admitted, other.status), (2, StatusCode::OK));
    assert_eq!((refused.status, refused.error_code()), (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded".into()));
    let reset = refused.header("x-pointsman-budget-reset").expect("a moment");
    assert!(reset.ends_with("T00:00:00Z"), "{reset}");
    assert_eq!(refused.header("x-pointsman-budget"), Some("daily"));
    assert_eq!(refused.header("x-should-retry"), Some("false"), "nobody is to sleep till midnight");
    assert!(refused.header("retry-after").is_some());
    let message = refused.json()["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("`daily` of this client") && message.contains("2 requests a day"), "{message}");
    assert!(message.contains(reset), "{message}");
    assert_eq!(to_anthropic.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(to_anthropic.json()["error"]["type"], "rate_limit_error");
    assert_eq!((0..4).filter_map(|_| frontier.take()).count(), 3, "what is refused is not sent");
    until_metric(&gateway, r#"pointsman_budget_hits_total{budget="daily",outcome="refused"} 2"#).await;
    until_metric(&gateway, r#"pointsman_rejections_total{code="quota_exceeded"} 2"#).await;
    until_metric(&gateway, r#"pointsman_client_requests_total{client="anna",outcome="rate_limited"} 2"#).await;
    until_metric(&gateway, r#"pointsman_budget_used_ratio{budget="daily",holder="anna"} 1"#).await;
}

#[tokio::test]
async fn beyond_the_soft_share_a_cheaper_model_serves_and_rules_keep_theirs() {
    let (small, frontier) = (Origin::start().await, Origin::answering((0..2).map(|_| priced())).await);
    let budget = "{name: team, per: team, dollars: 0.0075, soft: 0.8}";
    let config = budgeted(&small, &frontier, budget);
    let exempt = r#"headers["x-hard"] == "1""#;
    let rules = vec![(exempt, "frontier")];
    let sections = config.sections.replace("[x-easy]", "[x-easy, x-hard]");
    let gateway = Gateway::start(&Config { rules, sections, ..config }).await;

    let before = [ask(&gateway, &[ANNA]).await, ask(&gateway, &[BEN]).await];
    until_metric(&gateway, r#"pointsman_client_cost_usd_total{client="ben",model="frontier"} 0.00322"#).await;
    soon("the team's share", async {
        while metric(&gateway, r#"pointsman_budget_used_ratio{budget="team",holder="red"}"#).await < 0.858 {}
    })
    .await;
    let after = ask(&gateway, &[ANNA]).await;
    let by_rule = ask(&gateway, &[ANNA, ("x-hard", "1")]).await;

    for reply in &before {
        assert_eq!((reply.header("x-pointsman-model"), reply.status), (Some("frontier"), StatusCode::OK));
    }
    assert_eq!(
        (after.header("x-pointsman-model"), after.header("x-pointsman-reason")),
        (Some("small"), Some("budget"))
    );
    assert_eq!(
        by_rule.status,
        StatusCode::TOO_MANY_REQUESTS,
        "a rule's model is the rule's, and does not fit any more"
    );
    until_metric(&gateway, r#"pointsman_budget_hits_total{budget="team",outcome="moved"} 1"#).await;
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let asked = connection.request(Method::POST, "/v1/decide?client=ben").header("content-type", "application/json");
    let asked = asked.body(Framing::Length.body(question("auto", "hello").into())).expect("a valid request");
    let explained = Reply::read(connection.send(asked).await.expect("an answer")).await.json();
    assert_eq!((&explained["model"], &explained["budget"]), (&"small".into(), &"team".into()), "{explained}");
}

#[tokio::test]
async fn what_fails_is_given_back_and_what_is_answered_costs_its_bill() {
    let fails = Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let (small, frontier) = (Origin::start().await, Origin::answering([fails, priced(), priced()]).await);
    let gateway = Gateway::start(&budgeted(&small, &frontier, "{name: daily, dollars: 0.0065, soft: 1}")).await;

    let failed = ask(&gateway, &[ANNA]).await;
    until_metric(&gateway, r#"pointsman_client_requests_total{client="anna",outcome="failed"} 1"#).await;
    let admitted = served(&gateway, &[ANNA], 3).await;

    assert_eq!((failed.status, admitted), (StatusCode::INTERNAL_SERVER_ERROR, 2), "{}", gateway.log());
    let shown = get(gateway.admin, "/v1/budgets").await.json();
    let anna = shown["budgets"].as_array().expect("a list").iter().find(|own| own["holder"] == "anna");
    let used = anna.expect("anna's budget")["used"].clone();
    assert_eq!(
        (&used["tokens"], &used["requests"], &used["dollars"]),
        (&820.into(), &2.into(), &0.00644.into()),
        "{shown}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_has_spent_it() {
    let (mut release, held) = oneshot::channel();
    let (small, frontier) = (Origin::start().await, Origin::answering([Answer::Held(held)]).await);
    let gateway = Gateway::start(&budgeted(&small, &frontier, "{name: daily, dollars: 0.004, soft: 1}")).await;

    let left = tokio::spawn({
        let listen = gateway.listen;
        async move {
            let mut connection = Connection::open(listen, Framing::Length).await;
            let request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
            let body = Framing::Length.body(question("auto", "hello").into());
            drop(connection.send(request.header(ANNA.0, ANNA.1).body(body).expect("a valid request")).await);
        }
    });
    frontier.next().await;
    left.abort();
    soon("the origin to be left", release.closed()).await;
    until_metric(&gateway, r#"pointsman_client_requests_total{client="anna",outcome="failed"} 1"#).await;

    assert_eq!(served(&gateway, &[ANNA], 2).await, 0, "{}", gateway.log());
}

#[tokio::test]
async fn what_passes_to_the_default_provider_costs_what_the_catalog_says() {
    let (small, frontier) = (Origin::start().await, Origin::answering((0..2).map(|_| priced())).await);
    let config = budgeted(&small, &frontier, "{name: daily, dollars: 0.0065}");
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..config }).await;
    let pass = async || {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
        let body = Framing::Length.body(question("frontier-1", "hello").into());
        let request = request.header(ANNA.0, ANNA.1).body(body).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await.status
    };

    let passed = [pass().await, pass().await];
    until_metric(&gateway, r#"pointsman_client_cost_usd_total{client="anna",model="passthrough"} 0.00644"#).await;
    let refused = pass().await;

    assert_eq!((passed, refused), ([StatusCode::OK; 2], StatusCode::TOO_MANY_REQUESTS), "{}", gateway.log());
}

#[tokio::test]
async fn a_socket_counts_as_a_request_and_is_not_opened_beyond_the_budget() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = budgeted(&small, &frontier, "{name: daily, requests: 1, soft: 1}");
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..config }).await;
    let open = async || {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::GET, "/v1/realtime").header(ANNA.0, ANNA.1);
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        let request = request.body(Framing::Length.body(Vec::new().into())).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await.status
    };

    let first = open().await;
    until_metric(&gateway, r#"pointsman_budget_used_ratio{budget="daily",holder="anna"} 1"#).await;

    assert_eq!((first, open().await), (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS), "{}", gateway.log());
}

#[tokio::test]
async fn a_request_that_a_budget_refuses_counts_as_no_move_and_no_decision() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&budgeted(&small, &frontier, "{name: key, per: key, requests: 1}")).await;

    let admitted = served(&gateway, &[ANNA], 3).await;

    let hits = |outcome: &str| format!("pointsman_budget_hits_total{{budget=\"key\",outcome=\"{outcome}\"}}");
    assert_eq!((admitted, metric(&gateway, &hits("refused")).await), (1, 2.0), "{}", gateway.log());
    assert_eq!(metric(&gateway, &hits("moved")).await, 0.0, "no cheaper model served anything");
    until_metric(&gateway, r#"pointsman_client_requests_total{client="anna",outcome="rate_limited"} 2"#).await;
    let text = String::from_utf8(get(gateway.admin, "/metrics").await.body.to_vec()).expect("text");
    let decided: Vec<_> = text.lines().filter(|line| line.starts_with("pointsman_decisions_total")).collect();
    assert!(decided.iter().all(|line| line.contains("model=\"frontier\"") == line.ends_with(" 1")), "{decided:?}");
}

#[tokio::test]
async fn sessions_and_keys_have_budgets_of_their_own() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let budgets = "{name: session, per: session, requests: 1, soft: 1}, {name: key, per: key, requests: 3, soft: 1}";
    let gateway = Gateway::start(&budgeted(&small, &frontier, budgets)).await;
    let in_session = |name: &'static str| [ANNA, ("x-pointsman-session", name)];

    let sessions = [served(&gateway, &in_session("a"), 2).await, served(&gateway, &in_session("b"), 2).await];
    let third = served(&gateway, &in_session("c"), 1).await;
    let by_key = served(&gateway, &in_session("d"), 1).await;
    let ben = served(&gateway, &[BEN, ("x-pointsman-session", "a")], 2).await;

    assert_eq!((sessions, third, by_key, ben), ([1, 1], 1, 0, 1), "{}", gateway.log());
}

#[tokio::test]
async fn keys_and_sessions_are_listed_with_what_they_have_used_and_their_bounds() {
    let (small, frontier) = (Origin::start().await, Origin::answering([priced(), priced(), priced()]).await);
    let budgets = "{name: session, per: session, requests: 9, dollars: 1, period: hour}, {name: key, per: key, tokens: 8200, beyond: serve}";
    let gateway = Gateway::start(&budgeted(&small, &frontier, budgets)).await;
    for session in ["a", "b", "a"] {
        assert_eq!(served(&gateway, &[ANNA, ("x-pointsman-session", session)], 1).await, 1, "{}", gateway.log());
    }

    let listed = async || {
        let shown = get(gateway.admin, "/v1/budgets").await.json();
        shown["budgets"].as_array().expect("a list").clone()
    };
    let settled =
        |listed: &[Value]| listed.iter().filter_map(|own| own["used"]["tokens"].as_u64()).sum::<u64>() == 2460;
    soon("all bills", async { while !settled(&listed().await) {} }).await;
    let listed = listed().await;

    let holders = |budget: &str| -> Vec<&Value> { listed.iter().filter(|own| own["budget"] == budget).collect() };
    let (sessions, keys) = (holders("session"), holders("key"));
    let used = |own: &Value| json!([own["client"], own["used"]["requests"], own["used"]["tokens"]]);
    assert_eq!(
        sessions.iter().map(|own| used(own)).collect::<Vec<_>>(),
        [json!(["anna", 2, 820]), json!(["anna", 1, 410])]
    );
    assert!(sessions.iter().all(|own| own["holder"].as_str().is_some_and(|number| number.len() == 16)), "{sessions:?}");
    assert_eq!(sessions[0]["bounds"], json!({"dollars": 1.0, "tokens": null, "requests": 9}));
    assert_eq!((&sessions[0]["period"], &sessions[0]["beyond"]), (&json!("hour"), &json!("refuse")));
    assert_eq!(keys.iter().map(|own| used(own)).collect::<Vec<_>>(), [json!(["anna", 3, 1230]), json!(["ben", 0, 0])]);
    assert_eq!(keys[0]["holder"], format!("sha256:{}***", &hash("anna")[..4]));
    assert_eq!((&keys[0]["used_ratio"], &keys[0]["beyond"]), (&json!(0.15), &json!("serve")));
}

/// Sends a conversation that names no session.
async fn converse(gateway: &Gateway, client: Option<(&str, &str)>, turns: &[(&str, &str)]) -> StatusCode {
    let messages: Vec<Value> = turns.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    let body = json!({"model": "auto", "messages": messages}).to_string();
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
    if let Some((name, value)) = client {
        request = request.header(name, value);
    }
    let request = request.body(Framing::Length.body(body.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await.status
}

#[tokio::test]
async fn a_conversation_that_names_no_session_has_a_budget_of_its_own_from_its_first_turn() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let budgets = "{name: session, per: session, requests: 2, soft: 1}";
    let with_clients = budgeted(&small, &frontier, budgets);
    let without_clients = Config {
        sections: format!("rule_headers: [x-easy]\nbudgets: [{budgets}]\n"),
        ..budgeted(&small, &frontier, budgets)
    };
    for (config, client) in [(without_clients, None), (with_clients, Some(ANNA))] {
        let gateway = Gateway::start(&config).await;

        let mut first_turns = Vec::new();
        for [system, ask] in [["be brief", "hello"], ["be brief", "good morning"], ["be kind", "hello"]] {
            first_turns.push(converse(&gateway, client, &[("system", system), ("user", ask)]).await);
        }
        let begun = [("system", "be brief"), ("user", "hello")];
        let grown = [begun.as_slice(), &[("assistant", "hi"), ("user", "and now?")]].concat();
        let later_turns = [converse(&gateway, client, &grown).await, converse(&gateway, client, &grown).await];

        assert_eq!(first_turns, [StatusCode::OK; 3], "{}", gateway.log());
        assert_eq!(later_turns, [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS], "{}", gateway.log());
        if client.is_some() {
            assert_eq!(converse(&gateway, Some(BEN), &grown).await, StatusCode::OK, "another client's is another");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_prompt_is_of_the_session_that_it_names_or_of_none() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = budgeted(&small, &frontier, "{name: session, per: session, requests: 1, soft: 1}");
    let gateway = Gateway::start(&Config { default_provider: Some("one"), ..config }).await;
    let upload = async |fields: &[(&str, &str)]| {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, "/v1/files").header("content-type", "text/plain");
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Framing::Length.body("a file".into())).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await.status
    };

    let unnamed = [upload(&[ANNA]).await, upload(&[ANNA]).await, upload(&[ANNA]).await];
    let named = [ANNA, ("x-pointsman-session", "a")];
    let named = [upload(&named).await, upload(&named).await];

    assert_eq!(unnamed, [StatusCode::OK; 3], "{}", gateway.log());
    assert_eq!(named, [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS], "{}", gateway.log());
}

#[tokio::test]
async fn a_reload_is_no_way_to_a_fresh_budget() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = budgeted(&small, &frontier, "{name: daily, requests: 1, soft: 1}");
    let gateway = Gateway::start(&config).await;

    let before = served(&gateway, &[ANNA], 2).await;
    gateway.write(&config.yaml().replace("requests: 1", "requests: 2"));
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;

    assert_eq!((before, served(&gateway, &[ANNA], 3).await), (1, 1));
}

#[tokio::test]
async fn a_restart_goes_on_with_what_the_store_has_counted() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = shared(&budgeted(&small, &frontier, "{name: daily, requests: 3, soft: 1}"), &redis);
    let mut first = Gateway::start(&config).await;
    until_store(&first, "ready").await;

    let before = served(&first, &[ANNA], 2).await;
    assert!(first.stop().success());
    let second = Gateway::start(&config).await;

    assert_eq!((before, served(&second, &[ANNA], 3).await), (2, 1), "{}", second.log());
}

/// Returns what the only process has told the only counter: spent, returned and granted, each in dollars, tokens and
/// requests.
fn account(redis: &Redis) -> Vec<String> {
    let counter = redis.says(&["keys", "pointsman:{budget}:*"]);
    let fields = redis.says(&["hkeys", &counter]);
    let process = fields.lines().find(|field| field.len() > 1).unwrap_or("none").to_owned();
    let account = redis.says(&["hget", &counter, &process]);
    account.split(' ').map(str::to_owned).chain((0..3).map(|_| String::new())).collect()
}

/// Has four gateways hammer one budget, and returns how many requests they served together, and at what cost.
async fn raced(config: &Config, at_once: usize, times: usize) -> (usize, f64) {
    let gateways = [
        Gateway::start(config).await,
        Gateway::start(config).await,
        Gateway::start(config).await,
        Gateway::start(config).await,
    ];
    for gateway in &gateways {
        until_store(gateway, "ready").await;
    }
    let hammer = async |gateway: &Gateway| {
        let replies = join_all((0..at_once).map(|_| async {
            let mut statuses = Vec::new();
            for _ in 0..times {
                statuses.push(ask(gateway, &[ANNA]).await.status);
            }
            statuses
        }));
        let statuses: Vec<StatusCode> = replies.await.into_iter().flatten().collect();
        let refused = statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
        let served = statuses.iter().filter(|status| **status == StatusCode::OK).count();
        assert_eq!(served + refused, statuses.len(), "{statuses:?}");
        let counted = format!("pointsman_client_requests_total{{client=\"anna\",outcome=\"success\"}} {served}");
        until_metric(gateway, &counted).await;
        (served, metric(gateway, r#"pointsman_client_cost_usd_total{client="anna",model="frontier"}"#).await)
    };
    let all = join_all(gateways.iter().map(hammer)).await;
    all.into_iter().fold((0, 0.0), |(served, cost), (more, dollars)| (served + more, cost + dollars))
}

#[tokio::test]
async fn four_replicas_never_admit_more_than_one_request_each_beyond_a_budget() {
    let script = || (0..400).map(|_| priced());
    let (small, frontier, redis) = (Origin::start().await, Origin::answering(script()).await, Redis::start());
    let config = budgeted(&small, &frontier, "{name: daily, dollars: 0.1, soft: 1}");

    let (served, cost) = raced(&shared(&config, &redis), 20, 3).await;

    println!("four processes, 240 requests: {served} served, {cost:.5} US dollars of 0.1");
    assert!(cost <= 0.1 + 4.0 * COST, "{served} served for {cost}");
    assert!(served >= 30, "the budget is used: {served} served for {cost}");
}

#[tokio::test]
async fn four_replicas_admit_exactly_as_many_requests_as_a_budget_has() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = budgeted(
        &small,
        &frontier,
        "{name: daily, requests: 50, soft: 1}, {name: week, per: team, requests: 1000, period: week}",
    );

    let (served, _) = raced(&shared(&config, &redis), 20, 3).await;

    assert_eq!(served, 50);
}

#[tokio::test]
async fn four_replicas_that_draw_parts_ahead_admit_exactly_as_many_requests_as_a_budget_has() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = budgeted(&small, &frontier, "{name: daily, requests: 500, soft: 1}");

    let (served, _) = raced(&shared(&config, &redis), 10, 25).await;

    let calls = redis.says(&["info", "commandstats"]);
    let calls = calls.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls=")?.split(',').next());
    println!("four processes, 1000 requests: {served} served of 500, {} questions", calls.unwrap_or("?"));
    assert_eq!(served, 500);
}

#[tokio::test]
async fn four_replicas_that_draw_parts_ahead_spend_no_more_dollars_than_there_are() {
    let script = || (0..800).map(|_| priced());
    let (small, frontier, redis) = (Origin::start().await, Origin::answering(script()).await, Redis::start());
    let config = budgeted(&small, &frontier, "{name: daily, dollars: 0.5, soft: 1}");

    let (served, cost) = raced(&shared(&config, &redis), 4, 50).await;

    println!("four processes, 800 requests: {served} served, {cost:.5} US dollars of 0.5");
    assert!(cost <= 0.5 + 4.0 * COST, "{served} served for {cost}");
    assert!(served >= 154, "the budget is used: {served} served for {cost}");
}

#[tokio::test]
async fn a_process_that_ends_gives_back_what_it_held() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = shared(&budgeted(&small, &frontier, "{name: daily, requests: 1000, lease: 1m, soft: 1}"), &redis);
    let mut gateway = Gateway::start(&config).await;
    until_store(&gateway, "ready").await;

    let before = served(&gateway, &[ANNA], 20).await;
    let counter = redis.says(&["keys", "pointsman:{budget}:*"]);
    soon("a part to be held", async { while redis.says(&["hget", &counter, "r"]) == "20" {} }).await;
    assert!(gateway.stop().success());

    assert_eq!((before, redis.says(&["hget", &counter, "r"])), (20, "20".to_owned()), "{}", gateway.log());
}

#[tokio::test]
async fn while_the_store_is_away_budgets_do_as_they_are_told_and_it_hears_of_it_later() {
    for (rule, expected) in [("local", 3), ("allow", 6)] {
        let (small, frontier, mut redis) = (Origin::start().await, Origin::start().await, Redis::start());
        let budget = format!("{{name: daily, requests: 5, soft: 1, without_store: {rule}}}");
        let config = shared(&budgeted(&small, &frontier, &budget), &redis);
        let gateway = Gateway::start(&config).await;
        until_store(&gateway, "ready").await;

        let before = served(&gateway, &[ANNA], 2).await;
        soon("the store to hear of both", async { while account(&redis)[2] != "2" {} }).await;
        redis.die();
        until_store(&gateway, "unavailable").await;
        let meanwhile = served(&gateway, &[ANNA], 6).await;
        redis.come_back();
        until_store(&gateway, "ready").await;
        // The server has forgotten all that it was told, and hears of it again with what came after.
        let used = before + expected;
        soon("the store to hear of it", async {
            while redis.says(&["hget", &redis.says(&["keys", "pointsman:{budget}:*"]), "r"]) != used.to_string() {
                until_store(&gateway, "ready").await;
            }
        })
        .await;
        let other = Gateway::start(&config).await;
        until_store(&other, "ready").await;
        let after = served(&other, &[ANNA], 6).await;

        assert_eq!((before, meanwhile), (2, expected), "{rule}: {}", gateway.log());
        assert_eq!(after, 5_usize.saturating_sub(used), "{rule}: {}", gateway.log());
    }
}

#[tokio::test]
async fn a_budget_that_must_not_guess_refuses_while_the_store_is_away() {
    let (small, frontier, mut redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let budget = "{name: daily, requests: 5, soft: 1, without_store: refuse}";
    let gateway = Gateway::start(&shared(&budgeted(&small, &frontier, budget), &redis)).await;
    until_store(&gateway, "ready").await;

    let before = served(&gateway, &[ANNA], 1).await;
    redis.die();
    until_store(&gateway, "unavailable").await;
    let refused = ask(&gateway, &[ANNA]).await;
    redis.come_back();
    until_store(&gateway, "ready").await;

    assert_eq!((before, served(&gateway, &[ANNA], 1).await), (1, 1), "{}", gateway.log());
    assert_eq!((refused.status, refused.error_code()), (StatusCode::SERVICE_UNAVAILABLE, "budget_unavailable".into()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    until_metric(&gateway, r#"pointsman_budget_hits_total{budget="daily",outcome="unavailable"} 1"#).await;
    let explained: Value = get(gateway.admin, "/v1/budgets").await.json();
    assert_eq!(explained["budgets"][0]["per"], "client");
}
