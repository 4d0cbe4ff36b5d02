//! What `POST /v1/decide` and `pointsman decide` show of a decision, and for whom.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::classifier::fixture;
use crate::cli::{pointsman, text};
use crate::client::{Connection, Framing, Reply, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::schema::Document;

/// Two clients, each with a key of its own.
const CLIENTS: &str = "clients:
  team: {keys: [{sha256: 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c'}], models: {deny: [small]}}
  guest: {keys: [{sha256: '7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730'}], policies: [other]}
rule_headers: [x-team]";
const LEVEL: &str = "{kind: threshold, classifier: default, head: tier, strong: frontier, weak: small, threshold: 0.5}";
const PROMPT: &str = "What is the capital of France?";

async fn decide(gateway: &Gateway, query: &str, headers: &[(&str, &str)]) -> Reply {
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let request = connection.request(Method::POST, &format!("/v1/decide{query}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value.as_bytes()));
    let request = request.body(Framing::Length.body(question("auto", PROMPT).into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn with_clients(config: Config) -> Config {
    let policy = "  - {name: other, match: {model: [other]}, strategy: {kind: random, models: [small]}}\n".to_owned();
    Config { sections: CLIENTS.to_owned(), policy, ..config }
}

async fn start(config: impl FnOnce(Config) -> Config) -> (Gateway, Origin, Origin) {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&config(Config::classifying(&small, &frontier))).await;
    (gateway, small, frontier)
}

/// Runs `pointsman decide` with a gateway's own file.
fn by_hand(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String, String) {
    let file = gateway.file();
    let command = ["decide", "-c", file.to_str().expect("a plain name")];
    let output = pointsman(&[&command, arguments].concat());
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn candidate<'d>(decision: &'d Value, model: &str) -> &'d Value {
    let mut candidates = decision["candidates"].as_array().expect("candidates").iter();
    candidates.find(|candidate| candidate["model"] == model).expect("a candidate")
}

#[tokio::test]
async fn a_client_is_named_by_query_or_header_and_what_is_its_alone_takes_effect() {
    let first_rules = "{when: \"client.name == 'team' && headers['x-team'] == 'red'\", deny: {message: not red}}, ";
    let with = |config| Config { first_rules, whole_strategy: Some(LEVEL.to_owned()), ..with_clients(config) };
    let (gateway, small, frontier) = start(with).await;

    let nobody = decide(&gateway, "", &[]).await.json();
    let team = decide(&gateway, "?client=team", &[]).await.json();
    let red = decide(&gateway, "", &[("x-pointsman-client", "team"), ("x-team", "red")]).await.json();
    let guest = decide(&gateway, "?client=guest", &[("x-pointsman-client", "team")]).await.json();

    assert_eq!((&nobody["model"], &nobody["client"]), (&json!("small"), &Value::Null));
    assert_eq!((&team["model"], &team["client"]), (&json!("frontier"), &json!("team")));
    assert_eq!((&team["reason"], &candidate(&team, "small")["lacks"]), (&json!("not_allowed"), &json!("not_allowed")));
    assert_eq!((&red["denied"]["message"], &red["rule"]), (&json!("not red"), &json!(0)));
    assert!(red["features"]["tokens"].is_u64(), "a refusal shows what was seen: {red:#}");
    assert_eq!((&guest["denied"]["status"], &guest["reason"]), (&json!(403), &json!("not_allowed")));
    assert!(small.take().is_none() && frontier.take().is_none());

    let [team, red] = [&["--client", "team"][..], &["--client", "team", "--header", "X-Team: red"]].map(|more| {
        let (code, shown, error) = by_hand(&gateway, &[&["--json", PROMPT], more].concat());
        assert_eq!(code, Some(0), "{error}");
        serde_json::from_str::<Value>(&shown).expect("JSON")
    });
    assert_eq!((&team["model"], &team["client"]), (&json!("frontier"), &json!("team")));
    assert_eq!(red["denied"]["message"], "not red");
}

#[tokio::test]
async fn a_header_of_any_language_is_explained_as_it_would_be_served() {
    let first_rules = "{when: \"headers['x-team'] == 'Zürich, Köln'\", deny: {message: not there}}, ";
    let sections = "rule_headers: [x-team]".to_owned();
    let (gateway, ..) = start(|config| Config { first_rules, sections, ..config }).await;

    let asked = decide(&gateway, "", &[("x-team", "Zürich"), ("x-team", "Köln")]).await.json();
    let (code, shown, error) =
        by_hand(&gateway, &["--json", "--header", "x-team: Zürich", "--header", "X-Team: Köln", PROMPT]);

    assert_eq!(asked["denied"]["message"], "not there");
    assert_eq!(code, Some(0), "{error}");
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["denied"], asked["denied"]);
}

#[tokio::test]
async fn a_client_that_is_not_there_and_a_moment_that_is_none_are_refused() {
    let (gateway, ..) = start(with_clients).await;
    let (open, ..) = start(|config| config).await;

    let wrong = decide(&gateway, "?client=taem", &[]).await;
    let none = decide(&open, "?client=team", &[]).await;

    assert_eq!((wrong.status, wrong.error_code().as_str()), (StatusCode::NOT_FOUND, "client_not_found"));
    assert_eq!(wrong.json()["error"]["message"], "There is no client `taem` (allowed: guest, team).");
    assert_eq!(none.json()["error"]["message"], "There is no client `team` (none is configured).");
    let noon = decide(&gateway, "?now=noon", &[]).await;
    assert_eq!((noon.status, noon.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
    assert_eq!(noon.json()["error"]["param"], "now");
    let (code, _, error) = by_hand(&gateway, &["--client", "taem", PROMPT]);
    assert!(code == Some(64) && error.contains("no client `taem` (allowed: guest, team)"), "{error}");
    for bad in [["--header", "no colon"], ["--header", "a b: c"], ["--now", "noon"]] {
        let (code, _, error) = by_hand(&gateway, &[&bad[..], &[PROMPT]].concat());
        assert!(code == Some(64) && error.contains(bad[1]), "{error}");
    }
}

#[tokio::test]
async fn a_decision_is_made_for_the_moment_that_is_named() {
    let first_rules = "{when: now.hour == 3, use: frontier}, ";
    let (gateway, ..) = start(|config| Config { first_rules, ..config }).await;

    let model = |now: &str| {
        let (_, shown, error) = by_hand(&gateway, &["--json", "--now", now, PROMPT]);
        serde_json::from_str::<Value>(&shown).unwrap_or_else(|_| panic!("{error}"))["model"].clone()
    };

    let asked = async |now: &str| decide(&gateway, &format!("?now={now}"), &[]).await.json()["model"].clone();

    let [three, four] = ["2026-11-23T03:30:00Z", "2026-11-23T04:30:00Z"];
    assert_eq!([model(three), model(four)], ["frontier", "small"]);
    assert_eq!([asked(three).await, asked(four).await], ["frontier", "small"]);
}

fn verdict(label: &str) -> Answer {
    let content = json!({ "label": label }).to_string();
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10});
    let body = json!({"choices": [{"message": {"role": "assistant", "content": content}}], "usage": usage});
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

const JUDGE: &str = "{kind: judge, judge: small, timeout: 5s, otherwise: small, choices: [
      {label: easy, model: small, description: small talk}, {label: hard, model: frontier, description: the rest}]}";

#[tokio::test]
async fn a_judge_that_stands_alone_shows_what_it_cost() {
    let (small, frontier) = (Origin::answering([verdict("hard")]).await, Origin::start().await);
    let config = Config { whole_strategy: Some(JUDGE.to_owned()), rules: Vec::new(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let [first, again] = [decide(&gateway, "", &[]).await.json(), decide(&gateway, "", &[]).await.json()];

    let cost = |decision: &Value| decision["cost_usd"].as_f64().expect("a cost");
    assert!((cost(&first) - 0.000_102).abs() < 1e-12, "{first:#}");
    let judge = &first["judges"][0];
    assert_eq!((&judge["judge"], &judge["label"], &judge["cached"]), (&json!("small"), &json!("hard"), &json!(false)));
    assert!(cost(&again).abs() < 1e-12, "the answer was remembered: {again:#}");
    assert_eq!(again["judges"][0]["cached"], true);
}

#[tokio::test]
async fn a_judge_that_rules_and_the_strategy_ask_is_asked_once_and_costs_what_it_costs() {
    for (rule, denied) in [("deny: {message: too hard}", json!("too hard")), ("set: {seed: 1}", Value::Null)] {
        let (small, frontier) = (Origin::answering([verdict("hard")]).await, Origin::start().await);
        let named = JUDGE.replace("kind: judge,", "kind: judge, name: depth,");
        let first_rules = format!("{{when: judge.depth.label == 'hard', {rule}}}, ").leak();
        let config =
            Config { first_rules, whole_strategy: Some(named), rules: Vec::new(), ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;

        let decision = decide(&gateway, "", &[]).await.json();

        assert_eq!(decision["denied"]["message"], denied, "{decision:#}");
        assert_eq!((&decision["judges"][0]["label"], &decision["judges"][1]), (&json!("hard"), &Value::Null));
        let cost = decision["cost_usd"].as_f64().expect("a cost");
        assert!((cost - 0.000_102).abs() < 1e-12, "{decision:#}");
    }
}

#[tokio::test]
async fn every_classifier_that_was_asked_is_shown_with_its_heads_and_who_answered() {
    let classifier = format!("}}\n  second: {{bundle: {}, deadline: 5s", fixture("lexical").display());
    let strategy = "{kind: cascade, otherwise: frontier, stages: [
        {kind: tiers, classifier: second, head: tier_lexical, min_confidence: 1, tiers: {simple: small, medium: small, complex: frontier}},
        {kind: similarity, classifier: default, threshold: 1, routes: [{name: chat, model: small, examples: [Hello]}]},
        {kind: threshold, classifier: default, head: tier, strong: frontier, weak: small, threshold: 0.5}]}";
    let (gateway, ..) =
        start(|config| Config { whole_strategy: Some(strategy.to_owned()), classifier, ..config }).await;

    let shown = decide(&gateway, "", &[]).await.json();

    let classifiers = shown["classifiers"].as_array().expect("classifiers");
    let asked: Vec<_> = classifiers.iter().map(|one| (one["classifier"].as_str(), one["source"].as_str())).collect();
    assert_eq!(asked[0], (Some("second"), Some("lexical")), "{shown:#}");
    assert_eq!(asked[1].0, Some("default"));
    let read = |one: &Value| {
        let heads = one["heads"].as_array().expect("heads").iter().filter(|head| head["read"] == true);
        heads.map(|head| head["head"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!([read(&classifiers[0]), read(&classifiers[1])], [["\"tier_lexical\""], ["\"tier\""]]);
    let head = &classifiers[0]["heads"][0];
    let labels: Vec<_> = head["labels"].as_array().expect("labels").iter().map(|one| &one["label"]).collect();
    assert_eq!(labels, ["simple", "medium", "complex"]);
    assert!(head["calibration"]["temperature"].is_f64(), "{head:#}");
    let near = &shown["similarities"][0];
    assert_eq!((&near["classifier"], &near["routes"][0]["route"]), (&json!("default"), &json!("chat")));
    assert!(near["routes"][0]["similarity"].is_f64(), "{near:#}");
    let stages = shown["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 3);
    assert!(stages.iter().all(|stage| stage["flip"].is_object()), "{stages:#?}");
    assert_eq!(Document::new().violations("Decision", &shown), [""; 0]);
}

#[tokio::test]
async fn an_answer_that_is_remembered_is_marked_so() {
    let (gateway, ..) = start(|config| Config { classifier: ", cascade: {enabled: false}".to_owned(), ..config }).await;

    let [first, again] = [decide(&gateway, "", &[]).await.json(), decide(&gateway, "", &[]).await.json()];

    let cached = [&first, &again].map(|shown| shown["classifiers"][0]["cached"].clone());
    assert_eq!((first["source"].as_str(), cached), (Some("encoder"), [json!(false), json!(true)]));
}

/// Every kind of strategy and of outcome, by the model that is asked for.
fn policies() -> String {
    let split = "{kind: split, models: {small: 1, frontier: 1}}";
    let utility = "{kind: utility, classifier: default, models: [small, frontier], otherwise: frontier,
      success: {small: {chance: 0.9}, frontier: {chance: 0.8}}}";
    let hierarchy = format!(
        "{{kind: hierarchy, classifier: default, head: tier, otherwise: small, default: {split},
      branches: [{{labels: [simple], strategy: {LEVEL}}}]}}"
    );
    let missing = LEVEL.replace("classifier: default", "classifier: missing");
    let deny = "rules: [{when: 'true', deny: {status: 422, message: no}}]";
    let rules = "rules: [{when: 1 / prompt.files > 0, use: frontier}, {when: 'true', use: small, set: {seed: 7}}, {when: 'true', use: frontier}]";
    let cases = [
        ("level", LEVEL, ""),
        ("utility", utility, ""),
        ("split", split, ""),
        ("hierarchy", &hierarchy, ""),
        ("missing", &missing, ""),
        ("ruled", split, rules),
        ("denied", split, deny),
        ("watched", LEVEL, "mode: shadow"),
        ("watched-denied", split, &format!("mode: shadow, {deny}")),
        ("off", split, "mode: off"),
        ("held", LEVEL, "affinity: {key: conversation}"),
    ];
    let line = |(name, strategy, more): &(&str, &str, &str)| {
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        format!("  - {{name: {name}, match: {{model: [{name}]}}, strategy: {strategy}{more}}}\n")
    };
    cases.iter().map(line).collect()
}

#[tokio::test]
async fn whatever_is_decided_is_what_the_openapi_document_says_and_the_command_prints_the_same() {
    let (document, policy) = (Document::new(), policies());
    let names: Vec<_> = policy.lines().filter_map(|line| line.strip_prefix("  - {name: ")?.split(',').next()).collect();
    let classifier = "}\n  missing: {bundle: no-such-bundle, deadline: 5s".to_owned();
    let policy = policy.clone();
    let (gateway, ..) =
        start(|config| Config { policy: policy.clone(), classifier, default_provider: Some("one"), ..config }).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;

    for model in names.into_iter().chain(["auto", "nobody"]) {
        let shown = admin.post(Framing::Length, "/v1/decide", question(model, PROMPT)).await.json();
        assert_eq!(document.violations("Decision", &shown), [""; 0], "{model}: {shown:#}");
        if !["auto", "denied", "watched-denied", "nobody"].contains(&model) {
            continue; // each run of the command loads the bundle anew
        }
        let (code, printed, error) = by_hand(&gateway, &["--json", "--model", model, PROMPT]);
        assert_eq!(code, Some(0), "{error}");
        let printed: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(without_the_process(printed), without_the_process(shown), "{model}");
    }
}

/// How long it took and whether an answer was remembered is another matter in each process.
fn without_the_process(mut shown: Value) -> Value {
    for pointer in ["/timings_us", "/classifiers/0/cached"] {
        shown.pointer_mut(pointer).map(Value::take);
    }
    shown
}

#[test]
fn the_report_shows_what_was_chosen_why_and_what_would_have_changed_it() {
    let decided = pointsman(&["decide", "-c", "config/quickstart.yaml", PROMPT]);

    let shown = text(&decided.stdout);
    for part in [
        "model     small",
        "reason    tier",
        "flip      ",
        "candidate",
        "probability of `simple`",
        "costs are for",
        "rule",
    ] {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() < 160), "{shown}");
}
