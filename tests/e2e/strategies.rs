//! Strategies that ask others, what policies do besides routing, and what an operator can switch.

use std::fs;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

/// A judge at the provider of `small`.
const JUDGE: &str = "{kind: judge, judge: small, timeout: 5s, breaker: {failures: 2, rest: 1h}, otherwise: small,
      instructions: Poems are hard., choices: [{label: easy, model: small, description: small talk},
        {label: hard, model: frontier, description: everything else}]}";

fn verdict(label: &str) -> Answer {
    said(&json!(json!({ "label": label }).to_string()), "stop")
}

/// An answer with this `content`, that ended for this reason.
fn said(content: &Value, finish_reason: &str) -> Answer {
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 10},
    });
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

async fn judged(answers: impl IntoIterator<Item = Answer>, strategy: &str) -> (Origin, Origin, Gateway) {
    let (small, frontier) = (Origin::answering(answers).await, Origin::start().await);
    let config =
        Config { whole_strategy: Some(strategy.to_owned()), rules: Vec::new(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    (small, frontier, gateway)
}

async fn explained(gateway: &Gateway, text: &str) -> Value {
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    admin.post(Framing::Length, "/v1/decide", question("auto", text)).await.json()
}

async fn ask_with(gateway: &Gateway, text: &str, fields: &[(&str, &str)]) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Framing::Length.body(question("auto", text).into())).expect("a request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn decision(reply: &Reply) -> (Option<&str>, Option<&str>) {
    (reply.header("x-pointsman-model"), reply.header("x-pointsman-reason"))
}

#[tokio::test]
async fn a_judge_is_asked_with_a_schema_and_the_features_and_its_answer_is_remembered() {
    let (small, _frontier, gateway) = judged([verdict("hard")], JUDGE).await;

    let first = chat(gateway.listen, question("auto", "a poem")).await;
    let second = chat(gateway.listen, question("auto", "a poem")).await;

    assert_eq!(decision(&first), (Some("frontier"), Some("judge")));
    assert_eq!(decision(&second), (Some("frontier"), Some("judge")));
    let asked = small.take().expect("one question");
    assert!(small.take().is_none(), "the answer was remembered");
    let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert_eq!(body["model"], "small-1");
    assert_eq!(
        body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"],
        json!(["easy", "hard"])
    );
    let told = body["messages"].to_string();
    for part in ["small talk", "Poems are hard.", "temperature: ", "files: 0", ">\\na poem\\n</request-"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!((asked.path.as_str(), asked.header("x-pointsman-judge")), ("/v1/chat/completions", Some("1")));
    for line in [
        "pointsman_judge_questions_total{outcome=\"answered\",policy=\"auto\"} 1",
        "pointsman_judge_questions_total{outcome=\"cached\",policy=\"auto\"} 1",
        "pointsman_judge_tokens_total{direction=\"input\",policy=\"auto\"} 1000",
        "pointsman_judge_cost_usd_total{policy=\"auto\"} 0.000102",
    ] {
        until_metric(&gateway, line).await;
    }
}

#[tokio::test]
async fn a_judge_that_fails_is_replaced_by_otherwise_and_then_left_alone() {
    let broken = || Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let odd = verdict("neither");
    let (small, _frontier, gateway) = judged([broken(), odd], JUDGE).await;

    let reasons = [
        explained(&gateway, "one").await["reason"].clone(),
        explained(&gateway, "two").await["reason"].clone(),
        explained(&gateway, "three").await["reason"].clone(),
    ];

    assert_eq!(reasons, ["judge_failed", "judge_bad_answer", "judge_resting"]);
    assert_eq!(std::iter::from_fn(|| small.take()).count(), 2);
}

#[tokio::test]
async fn a_judge_that_asks_to_be_left_alone_is_not_asked_meanwhile() {
    for (field, wait) in
        [("retry-after", "30"), ("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT"), ("retry-after-ms", "30000")]
    {
        let busy = Answer::Reply(StatusCode::TOO_MANY_REQUESTS, vec![(field, wait)], "{}".into());
        let (small, _frontier, gateway) = judged([busy], JUDGE).await;

        let reasons =
            [explained(&gateway, "one").await, explained(&gateway, "two").await].map(|shown| shown["reason"].clone());

        assert_eq!(reasons, ["judge_failed", "judge_resting"], "{field}");
        assert!(small.take().is_some() && small.take().is_none(), "one question");
    }
}

#[tokio::test]
async fn a_judge_s_answer_is_read_through_fences_prose_and_thoughts() {
    let wrapped = [
        json!("```json\n{\"label\": \"hard\"}\n```"),
        json!("I would say **Hard**."),
        json!("<think>It looks easy.</think>\n{\"label\": \"hard\"}"),
        json!([{"type": "thinking", "thinking": "easy"}, {"type": "text", "text": "hard"}]),
    ];
    let answers = wrapped.iter().map(|content| said(content, "stop")).chain([said(&json!("easy or hard"), "stop")]);
    let (_small, _frontier, gateway) = judged(answers, JUDGE).await;

    for text in ["one", "two", "three", "four"] {
        let shown = explained(&gateway, text).await;
        assert_eq!((shown["reason"].as_str(), shown["label"].as_str()), (Some("judge"), Some("hard")), "{shown:#}");
    }
    assert_eq!(explained(&gateway, "five").await["reason"], "judge_bad_answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_judge_does_not_answer_is_said_once_in_the_provider_s_words() {
    let refusal = |message: &str| {
        let body = json!({"error": {"message": message}}).to_string();
        Answer::Reply(StatusCode::BAD_REQUEST, vec![("content-type", "application/json")], body.into())
    };
    let words = "Unsupported parameter: 'max_tokens' is not supported with this model.";
    let quoting = refusal("rejected: 'the landlord keeps the deposit of nine hundred'");
    let cut = || said(&json!("The request is"), "length");
    let strategy = JUDGE.replace("failures: 2", "failures: 100").replace("timeout: 5s", "timeout: 5s, max_tokens: 99");
    let answers = [cut(), cut(), refusal(words), refusal(words), quoting];
    let (small, _frontier, mut gateway) = judged(answers, &strategy).await;

    let mut reasons = Vec::new();
    for text in ["one", "two", "three", "four", "the landlord keeps the deposit of nine hundred euros"] {
        reasons.push(explained(&gateway, text).await["reason"].clone());
    }

    assert_eq!(reasons, ["judge_truncated", "judge_truncated", "judge_failed", "judge_failed", "judge_failed"]);
    let asked: Value = serde_json::from_slice(&small.take().expect("a question").body).expect("JSON");
    assert_eq!(asked["max_tokens"], 99);
    assert!(tokio::task::block_in_place(|| gateway.stop()).success(), "{}", gateway.log());
    let log = gateway.log();
    for once in [words, "`max_tokens: 99` ran out"] {
        assert_eq!(log.matches(once).count(), 1, "{once}: {log}");
    }
    assert!(!log.contains("landlord"), "{log}");
}

#[tokio::test]
async fn a_judge_is_told_prices_windows_and_what_is_attached_and_may_say_how_sure_it_is_and_why() {
    let answer = json!({"reason": "a contract", "label": "hard", "confidence": 0.55}).to_string();
    let strategy = JUDGE.replace("judge: small,", "judge: small, rationale: true, min_confidence: 0.6,");
    let strategy = strategy.replace("otherwise: small", "otherwise: frontier");
    let (small, _frontier, gateway) = judged([said(&json!(answer), "stop")], &strategy).await;
    let file =
        json!({"type": "file", "file": {"filename": "lease.pdf", "file_data": "data:application/pdf;base64,QUJD"}});
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": [{"type": "text", "text": "May he?"}, file]}]});

    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let shown = admin.post(Framing::Length, "/v1/decide", body.to_string()).await.json();

    assert_eq!((shown["reason"].as_str(), shown["rationale"].as_str()), (Some("low_confidence"), Some("a contract")));
    let judge = &shown["judges"][0];
    assert_eq!((&judge["confidence"], &judge["rationale"]), (&shown["score"], &json!("a contract")), "{shown:#}");
    assert_eq!(shown["features"]["file_types"], "application/pdf");
    let asked: Value = serde_json::from_slice(&small.take().expect("a question").body).expect("JSON");
    let schema = &asked["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["required"], json!(["reason", "label", "confidence"]));
    let told = asked["messages"].to_string();
    for part in ["US dollars per million tokens of prompt", "- file, lease.pdf, application/pdf, 3 bytes"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn a_judge_that_is_late_costs_its_timeout_and_no_more() {
    let (release, held) = tokio::sync::oneshot::channel();
    let strategy = JUDGE.replace("timeout: 5s", "timeout: 10ms");
    let (_small, _frontier, gateway) = judged([Answer::Held(held)], &strategy).await;

    let late = explained(&gateway, "one").await;

    assert_eq!((late["model"].as_str(), late["reason"].as_str()), (Some("small"), Some("judge_timeout")));
    drop(release);
}

#[tokio::test]
async fn a_judge_is_not_asked_any_longer_for_a_client_that_left() {
    for framing in Framing::ALL {
        let (mut release, held) = tokio::sync::oneshot::channel();
        let strategy = JUDGE.replace("timeout: 5s", "timeout: 1m");
        let (small, frontier, gateway) = judged([Answer::Held(held)], &strategy).await;
        let listen = gateway.listen;
        let client = tokio::spawn(async move {
            Connection::open(listen, framing).await.post(framing, CHAT, question("auto", "one")).await
        });
        small.next().await;

        client.abort();

        soon("the judge to be left", release.closed()).await;
        until_metric(&gateway, "pointsman_rejections_total{code=\"client_gone\"} 1").await;
        assert!(small.take().is_none() && frontier.take().is_none(), "{framing:?}: nobody waits for an answer");
    }
}

#[tokio::test]
async fn a_judge_s_own_question_asks_no_judge() {
    let (small, _frontier, gateway) = judged([], JUDGE).await;

    let reply = ask_with(&gateway, "a question that came back", &[("x-pointsman-judge", "1")]).await;

    assert_eq!(decision(&reply), (Some("small"), Some("judge_unavailable")));
    let arrived = small.take().expect("the request itself");
    assert_eq!(arrived.header("x-pointsman-judge"), None);
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_cascade_asks_the_judge_only_where_the_classifier_is_not_sure_and_shows_what_it_cost() {
    let strategy = format!(
        "{{kind: cascade, otherwise: small, stages: [
        {{kind: tiers, classifier: default, min_confidence: 1, tiers: {{simple: small, medium: small, complex: frontier}}}},
        {}]}}",
        JUDGE.replace(" otherwise: small,", "")
    );
    let (_small, _frontier, gateway) = judged([verdict("hard")], &strategy).await;

    let explained = explained(&gateway, "a poem").await;

    assert_eq!((explained["model"].as_str(), explained["strategy"].as_str()), (Some("frontier"), Some("judge")));
    let stages = explained["stages"].as_array().expect("two stages");
    assert_eq!(stages[0]["model"], Value::Null);
    assert!((stages[1]["cost_usd"].as_f64().expect("a cost") - 0.000_102).abs() < 1e-12, "{stages:?}");
}

#[tokio::test]
async fn prompts_go_to_the_route_whose_examples_they_are_near_and_new_examples_count_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let examples = folder.path().join("code.txt");
    fs::write(&examples, "Fix the bug in this Rust function\nWrite a Python script that parses CSV\n")
        .expect("writable");
    let strategy = format!(
        "{{kind: similarity, classifier: default, top_k: 1, threshold: 0.3, otherwise: small, routes: [
        {{model: small, description: Greetings and small talk, examples: [Hello, how are you?]}},
        {{name: expert, model: frontier, examples_file: {}}}]}}",
        examples.display()
    );
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { whole_strategy: Some(strategy), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let code = explained(&gateway, "There is a bug in my Rust function, please fix it").await;
    let law = "Which court decides on appeals against a divorce?";
    let before = explained(&gateway, law).await;
    fs::write(&examples, "Which court hears an appeal in a divorce case?\n").expect("writable");
    until_metric(&gateway, "pointsman_generation 2").await;
    let after = explained(&gateway, law).await;

    assert_eq!((code["model"].as_str(), code["label"].as_str()), (Some("frontier"), Some("expert")), "{code:#}");
    assert!(code["candidates"].to_string().contains("\"success\""), "{code:#}");
    assert_ne!(before["label"], "expert", "{before:#}");
    assert_eq!(
        (after["model"].as_str(), after["reason"].as_str()),
        (Some("frontier"), Some("similarity")),
        "{after:#}"
    );
}

#[tokio::test]
async fn a_policy_that_only_watches_counts_and_logs_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("decisions.jsonl");
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config {
        mode: "shadow",
        default_provider: Some("one"),
        whole_strategy: Some("{kind: random, models: [frontier]}".to_owned()),
        sections: format!("decision_log: {{path: {}, text: true}}", log.display()),
        rules: Vec::new(),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, reply.header("x-pointsman-model")), (StatusCode::OK, None));
    let arrived = small.take().expect("it passed to the default provider");
    assert_eq!(serde_json::from_slice::<Value>(&arrived.body).expect("JSON")["model"], "auto");
    assert!(frontier.take().is_none());
    let counted = "pointsman_shadow_decisions_total{model=\"frontier\",policy=\"auto\",reason=\"random\"} 1";
    until_metric(&gateway, counted).await;
    until_metric(&gateway, "pointsman_decision_log_lines_total 1").await;
    let line: Value = serde_json::from_str(fs::read_to_string(&log).expect("a log").trim()).expect("a line");
    assert_eq!(
        (&line["applied"], &line["model"], &line["answered_by"]),
        (&json!(false), &json!("frontier"), &Value::Null)
    );
}

#[tokio::test]
async fn how_long_answers_take_to_begin_is_learned_from_them() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let utility = "{kind: utility, classifier: default, models: [small, frontier], mu: 0.1, otherwise: frontier,
      success: {small: {chance: 0.9}, frontier: {chance: 0.8}}}";
    let config = Config { whole_strategy: Some(utility.to_owned()), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;
    assert_eq!(reply.header("x-pointsman-model"), Some("small"), "{}", gateway.log());

    let shown = explained(&gateway, "hello again").await;
    let began = |index: usize| shown["candidates"][index]["expected"]["first_byte_seconds"].as_f64();
    assert!(began(0).is_some_and(|seconds| seconds > 0.0), "{shown:#}");
    assert_eq!(began(1), None, "it was not asked");
}

#[tokio::test]
async fn what_a_policy_that_only_watches_would_refuse_is_counted_and_shown_and_goes_on() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config {
        mode: "shadow",
        default_provider: Some("one"),
        whole_strategy: Some("{kind: random, models: [frontier]}".to_owned()),
        first_rules: "{when: 'true', deny: {status: 403, message: not here}}",
        rules: Vec::new(),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.status, StatusCode::OK);
    assert!(small.take().is_some(), "it passed to the default provider");
    let counted = "pointsman_shadow_decisions_total{model=\"\",policy=\"auto\",reason=\"denied_by_policy\"} 1";
    until_metric(&gateway, counted).await;
    let shown = explained(&gateway, "hello").await;
    assert_eq!(
        (&shown["denied"]["status"], &shown["applied"], &shown["rule"]),
        (&json!(403), &json!(false), &json!(0))
    );
}

#[tokio::test]
async fn the_kill_switch_sends_everything_to_otherwise_until_it_is_turned_back() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let strategy = "{kind: cascade, otherwise: small, stages: [{kind: random, models: [frontier]}]}";
    let config =
        Config { whole_strategy: Some(strategy.to_owned()), rules: Vec::new(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let turn = async |body: Value| {
        let mut admin = Connection::open(gateway.admin, Framing::Length).await;
        let request = admin.request(Method::PUT, "/kill-switch").header("content-type", "application/json");
        let request = request.body(Framing::Length.body(body.to_string().into()));
        Reply::read(admin.send(request.expect("a request")).await.expect("an answer")).await
    };
    let hello = async || chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(decision(&hello().await), (Some("frontier"), Some("random")));
    let killed = turn(json!({"killed": true, "policy": "auto"})).await;
    assert_eq!((killed.status, &killed.json()["policies"]), (StatusCode::OK, &json!(["auto"])));
    assert_eq!(decision(&hello().await), (Some("small"), Some("kill_switch")));

    gateway.write(&Config { limits: ", max_requests: 4242", ..config.clone() }.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    assert_eq!(decision(&hello().await), (Some("small"), Some("kill_switch")), "it outlives a reload");
    assert_eq!(get(gateway.admin, "/kill-switch").await.json()["policies"], json!(["auto"]));

    assert_eq!(turn(json!({"killed": false})).await.json()["policies"], json!([]));
    assert_eq!(decision(&hello().await), (Some("frontier"), Some("random")));
    assert_eq!(turn(json!({"killed": true, "policy": "other"})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(turn(json!({"kill": true})).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn clients_choose_a_model_or_a_policy_only_where_the_operator_lets_them() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let only_small = Some("{kind: random, models: [small]}".to_owned());
    let policy = "    overrides: {models: [frontier]}
  - {name: open, match: {model: [nobody]}, overrides: {policy: true}, strategy: {kind: random, models: [frontier]}}\n";
    let config = Config {
        whole_strategy: only_small,
        policy: policy.to_owned(),
        rules: Vec::new(),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let model = ask_with(&gateway, "hello", &[("x-pointsman-model", "frontier")]).await;
    let policy = ask_with(&gateway, "hello", &[("x-pointsman-policy", "open")]).await;
    let closed = ask_with(&gateway, "hello", &[("x-pointsman-policy", "auto")]).await;
    let other = ask_with(&gateway, "hello", &[("x-pointsman-model", "gpt-9")]).await;

    assert_eq!(decision(&model), (Some("frontier"), Some("override")));
    assert_eq!((policy.header("x-pointsman-policy"), decision(&policy).0), (Some("open"), Some("frontier")));
    for refused in [closed, other] {
        assert_eq!((refused.status, refused.error_code()), (StatusCode::FORBIDDEN, "override_not_allowed".to_owned()));
    }
}

#[tokio::test]
async fn a_model_whose_provider_was_ejected_is_left_for_another_and_chosen_again_after_the_backoff() {
    let broken = Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let (small, frontier) = (Origin::answering([broken]).await, Origin::start().await);
    let strategy = "{kind: cascade, otherwise: frontier, stages: [{kind: random, models: [small]}]}";
    let config = Config {
        one: vec!["breaker: {consecutive_failures: 1, backoff: 1s, max_backoff: 1s}".to_owned()],
        whole_strategy: Some(strategy.to_owned()),
        rules: Vec::new(),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;
    let hello = async || chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(hello().await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(decision(&hello().await), (Some("frontier"), Some("unhealthy")));
    let again = async {
        loop {
            let reply = hello().await;
            if reply.header("x-pointsman-reason") != Some("unhealthy") {
                return reply;
            }
        }
    };
    assert_eq!(decision(&soon("a trial", again).await), (Some("small"), Some("random")));
}

#[tokio::test]
async fn a_rollout_and_a_split_keep_a_session_where_it_is() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let strategy = "{kind: cascade, otherwise: small, stages: [{kind: split, models: {small: 1, frontier: 1}}]}";
    let config = Config {
        whole_strategy: Some(strategy.to_owned()),
        policy: "    rollout: 0.5\n".to_owned(),
        rules: Vec::new(),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;

    let mut seen = std::collections::BTreeSet::new();
    for session in 0..32 {
        let session = session.to_string();
        let first = ask_with(&gateway, "hello", &[("x-pointsman-session", &session)]).await;
        let later = ask_with(&gateway, "and now?", &[("x-pointsman-session", &session)]).await;

        assert_eq!(decision(&first), decision(&later));
        seen.insert(decision(&first).1.expect("a reason").to_owned());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["not_rolled_out", "split"]);
}

#[tokio::test]
async fn a_request_that_no_model_can_serve_is_refused_in_the_client_s_own_dialect() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let only_small = Some("{kind: random, models: [small]}".to_owned());
    let config = Config { whole_strategy: only_small, rules: Vec::new(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let picture = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let chat_body = json!({"model": "auto", "messages": [{"role": "user", "content": [picture]}]}).to_string();
    let source = json!({"type": "url", "url": "https://example.com/a.png"});
    let content = json!([{"type": "image", "source": source}]);
    let messages = json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});

    let openai = chat(gateway.listen, chat_body.clone()).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let anthropic = connection.post(Framing::Length, "/v1/messages", messages.to_string()).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let explained = admin.post(Framing::Length, "/v1/decide", chat_body).await.json();

    assert_eq!((openai.status, openai.error_code()), (StatusCode::BAD_REQUEST, "no_model_fits".to_owned()));
    assert!(openai.json()["error"]["message"].as_str().is_some_and(|text| text.contains("`small` takes no images")));
    assert_eq!((anthropic.status, &anthropic.json()["type"]), (StatusCode::BAD_REQUEST, &json!("error")));
    assert_eq!(explained["denied"]["code"], "no_model_fits");
    assert!(small.take().is_none());
}
