//! The decision log and feedback: what is written of a request, what never is, and who joins them.

use std::fs;
use std::path::Path;

use http::StatusCode;
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;

pub(crate) const KEY: &str = "planted-hash-key-0123456789";
const HARD: &str = "Prove that there are infinitely many primes congruent to 3 modulo 4, then generalise the argument as far as \
     you can towards Dirichlet's theorem, explain precisely where the elementary method breaks down, and derive an explicit \
     upper bound for the n-th such prime.";
const PROMPT: &str = "What is the planted capital of France?";

pub(crate) fn logging(config: Config, more: &str) -> Config {
    let sections =
        format!("{}\ndecision_log: {{path: logs/d.jsonl, hash_key: {{env: LOG_KEY}}{more}}}", config.sections);
    Config { sections, ..config }
}

pub(crate) async fn start(config: &Config) -> Gateway {
    Gateway::start_with(config, &[("LOG_KEY", KEY)]).await
}

/// Every line of every file, in order, once the gateway has ended.
pub(crate) fn lines(gateway: &mut Gateway) -> Vec<Value> {
    assert!(gateway.stop().success(), "{}", gateway.log());
    let text = text(&gateway.file());
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn text(config: &Path) -> String {
    let folder = config.parent().expect("a folder").join("logs");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    // `d.2026...jsonl` is older than `d.jsonl`, and names of full files sort by age.
    files.sort_by_key(|path| (path.ends_with("d.jsonl"), path.clone()));
    files.into_iter().map(|path| fs::read_to_string(path).expect("a readable file")).collect()
}

async fn feedback(gateway: &Gateway, body: impl ToString) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    connection.post(Framing::Length, "/v1/feedback", body.to_string()).await
}

#[tokio::test]
async fn a_decided_request_leaves_one_line_with_all_that_went_into_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&logging(Config::classifying(&small, &frontier), "")).await;

    let reply = chat(gateway.listen, question("auto", PROMPT)).await;
    let lines = lines(&mut gateway);

    let [line] = &lines[..] else { panic!("{lines:?}") };
    let model = reply.header("x-pointsman-model").expect("a model");
    assert_eq!(line["kind"], "decision");
    assert_eq!(line["request_id"], reply.header("x-request-id").expect("an id"));
    assert_eq!((&line["model"], &line["answered_by"]), (&json!(model), &json!(model)));
    assert_eq!(
        (&line["policy"], &line["strategy"], &line["reason"]),
        (&json!("auto"), &json!("tiers"), &json!("tier"))
    );
    assert_eq!((&line["status"], &line["attempts"], &line["generation"]), (&json!(200), &json!(1), &json!(1)));
    assert_eq!((&line["classifier"], &line["bundle"]["name"]), (&json!("default"), &json!("pointsman-mini")));
    assert_eq!(line["source"], reply.header("x-pointsman-source").expect("a source"));
    let tier = line["scores"]["tier"].as_object().expect("scores");
    let sum: f64 = tier.values().filter_map(Value::as_f64).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{line}");
    assert_eq!(line["features"]["text_words"], 7, "{line}");
    assert!(line["input_tokens"].is_u64() && line["cost_usd"].is_f64() && line["duration_ms"].is_f64(), "{line}");
    assert!(line["candidates"].as_array().is_some_and(|candidates| candidates.len() == 2), "{line}");
    assert_eq!(line["text_hash"].as_str().map(str::len), Some(64));
}

#[tokio::test]
async fn a_line_says_what_affinity_did_and_what_rules_set_and_nothing_where_they_did_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: request.temperature > 1.0, set: {temperature: 1, seed: 7}}, ";
    let ladder = "{kind: threshold, classifier: default, head: tier, strong: frontier, weak: small, threshold: 0.5}";
    let held = Config {
        first_rules,
        whole_strategy: Some(ladder.to_owned()),
        policy: "    affinity: {key: conversation}\n".to_owned(),
        ..Config::classifying(&small, &frontier)
    };
    let mut gateway = start(&logging(held, ", text: true")).await;
    let mut plain = start(&logging(Config::new(&small, &frontier), "")).await;
    let turns = |more: &[(&str, &str)]| {
        let turns =
            [("user", HARD)].iter().chain(more).map(|(role, content)| json!({"role": role, "content": content}));
        json!({"model": "auto", "temperature": 1.5, "messages": turns.collect::<Vec<_>>()}).to_string()
    };

    chat(gateway.listen, turns(&[])).await;
    chat(gateway.listen, turns(&[("assistant", "Done."), ("user", "What is the capital of France?")])).await;
    chat(plain.listen, question("auto", "hi")).await;
    let (lines, plain) = (lines(&mut gateway), lines(&mut plain));

    let [first, second] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&first["pin"]["outcome"], &first["model"]), (&json!("new"), &json!("frontier")), "{first}");
    let pin = &second["pin"];
    assert_eq!(
        (&pin["outcome"], &pin["model"], &pin["last"], &pin["instead_of"]),
        (&json!("kept"), &json!("frontier"), &json!("frontier"), &json!("small")),
        "{second}"
    );
    assert_eq!((&second["reason"], &second["set"]), (&json!("affinity"), &json!({"temperature": 1, "seed": 7})));
    assert_eq!(first["conversation"], second["conversation"]);
    assert_eq!(first["conversation"].as_str().map(str::len), Some(16));
    for field in ["pin", "set", "conversation"] {
        assert!(plain[0].get(field).is_none(), "{field}: {}", plain[0]);
    }
}

#[tokio::test]
async fn neither_prompts_nor_keys_are_written_unless_text_is_asked_for() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { credential: "{env: UPSTREAM_KEY}", ..Config::new(&small, &frontier) };
    let environment = [("LOG_KEY", KEY), ("UPSTREAM_KEY", "sk-planted-upstream")];
    let mut secret = Gateway::start_with(&logging(config.clone(), ""), &environment).await;
    let mut open = Gateway::start_with(&logging(config, ", text: true, max_text_bytes: 12"), &environment).await;
    let body = json!({"model": "auto", "reasoning_effort": "my planted effort", "user": "planted user",
        "messages": [{"role": "system", "content": "planted system"}, {"role": "user", "content": PROMPT}]});

    for gateway in [&secret, &open] {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        connection.post(Framing::Length, &format!("{CHAT}?key=sk-planted-query"), body.to_string()).await;
    }
    let id = json!({"request_id": "x", "comment": "a planted comment"});
    assert_eq!(feedback(&secret, &id).await.status, StatusCode::OK);
    let closed_lines = lines(&mut secret);
    let open_lines = lines(&mut open);

    let written = text(&secret.file());
    assert!(!written.contains("planted"), "{written}");
    assert!(!secret.log().contains("planted"), "{}", secret.log());
    assert_eq!(
        (&closed_lines[0]["text"], &closed_lines[0]["features"]["reasoning_effort"]),
        (&Value::Null, &json!("other"))
    );
    assert_eq!((&open_lines[0]["text"], &open_lines[0]["text_bytes"]), (&json!(&PROMPT[..12]), &json!(PROMPT.len())));
    assert_eq!(open_lines[0]["text_hash"], closed_lines[0]["text_hash"]);
}

#[tokio::test]
async fn a_request_that_failed_over_says_who_answered_and_one_that_passed_leaves_no_line() {
    let frontier = Origin::start().await;
    let nobody = crate::origin::nobody().await;
    let config = Config { fallback: "[frontier]", default_provider: Some("two"), ..Config::new(&frontier, &frontier) };
    let mut gateway = start(&logging(Config { small: nobody, ..config }, "")).await;

    chat(gateway.listen, question("auto", "hi")).await;
    chat(gateway.listen, question("of-the-provider", "hi")).await;
    let lines = lines(&mut gateway);

    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["model"], &lines[0]["answered_by"]), (&json!("small"), &json!("frontier")));
    assert_eq!((&lines[0]["attempts"], &lines[0]["rule"], &lines[0]["scores"]), (&json!(2), &json!(0), &Value::Null));
}

#[tokio::test]
async fn feedback_joins_the_log_and_is_counted_by_kind_and_by_who_answered() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&logging(Config::new(&small, &frontier), "")).await;
    let id = chat(gateway.listen, question("auto", "hi")).await.header("x-request-id").expect("an id").to_owned();
    until_metric(&gateway, "pointsman_decision_log_lines_total 1").await; // the answer comes before its line

    let first = feedback(&gateway, json!({"request_id": id, "rating": "up", "correct": false})).await;
    let second = feedback(&gateway, json!({"request_id": "of-another-replica", "rating": 4})).await;

    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let word = json!({"request_id": "by-an-operator", "correct": 0.5}).to_string();
    let third = admin.post(Framing::Length, "/v1/feedback", word).await;

    assert_eq!([first.status, second.status, third.status], [StatusCode::OK; 3]);
    assert_eq!(first.json(), json!({"object": "feedback", "request_id": id, "accepted": true}));
    let metrics = get(gateway.admin, "/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for series in [
        r#"feedback_total{kind="rating",model="small",policy="auto",rating="1"} 1"#,
        r#"feedback_total{kind="correct",model="small",policy="auto",rating="0"} 1"#,
        r#"feedback_total{kind="rating",model="",policy="",rating="0.75"} 1"#,
        r#"feedback_total{kind="correct",model="",policy="",rating="0.5"} 1"#,
        r#"feedback_total{kind="comment",model="",policy="",rating=""} 0"#,
    ] {
        assert!(metrics.contains(series), "{metrics}");
    }
    let lines = lines(&mut gateway);
    assert_eq!((&lines[0]["kind"], &lines[1]["kind"]), (&json!("decision"), &json!("feedback")));
    assert_eq!(
        (&lines[1]["request_id"], &lines[1]["rating"], &lines[1]["correct"]),
        (&json!(id), &json!(1.0), &json!(0.0))
    );
    assert_eq!((&lines[2]["rating"], &lines[3]["request_id"]), (&json!(0.75), &json!("by-an-operator")));
}

/// Returns the access lines of a gateway that logs as text.
fn access_lines(gateway: &Gateway) -> Vec<String> {
    let log = gateway.log();
    log.lines().filter(|line| line.contains(" access: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_request_that_a_policy_refuses_leaves_a_line_that_says_which_rule_it_was() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: scores.default.tier.simple > 0.5, deny: {status: 422, message: too simple}}, ";
    let config = Config { first_rules, ..Config::classifying(&small, &frontier) };
    let mut gateway = start(&logging(config, ", text: true")).await;

    let reply = chat(gateway.listen, question("auto", PROMPT)).await;
    let lines = lines(&mut gateway);

    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line["kind"], &line["policy"], &line["rule"]), (&json!("denial"), &json!("auto"), &json!(0)));
    assert_eq!((&line["reason"], &line["error"]), (&json!("denied_by_policy"), &json!("denied_by_policy")));
    assert_eq!(
        (&line["denied"]["status"], &line["status"], &line["applied"]),
        (&json!(422), &json!(422), &json!(true))
    );
    assert!(line["scores"]["tier"]["simple"].as_f64() > Some(0.5), "{line}");
    assert_eq!((&line["features"]["text_words"], &line["text"]), (&json!(7), &json!(PROMPT)));
    assert_eq!(line["request_id"], reply.header("x-request-id").expect("an id"));
    assert!(line.get("model").is_none(), "{line}");
    let access = access_lines(&gateway);
    let [access] = &access[..] else { panic!("{access:?}") };
    for part in ["policy=\"auto\"", "rule=0", "code=\"denied_by_policy\"", "status=422"] {
        assert!(access.contains(part), "no `{part}` in {access}");
    }
}

#[tokio::test]
async fn what_a_policy_that_only_watches_would_refuse_leaves_a_line_too() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let watching = Config { mode: "shadow", default_provider: Some("one"), ..Config::new(&small, &frontier) };
    let first_rules = "{when: prompt.text_words > 3, deny: {status: 403, message: too long}}, ";
    let mut gateway = start(&logging(Config { first_rules, ..watching }, "")).await;

    for (lines, text) in (1..).zip([PROMPT, "hi"]) {
        assert_eq!(chat(gateway.listen, question("auto", text)).await.status, StatusCode::OK);
        // A client has its answer before the request is over: the next one waits, so that the lines have an order.
        until_metric(&gateway, &format!("pointsman_decision_log_lines_total {lines}")).await;
    }
    let lines = lines(&mut gateway);

    let [denied, decided] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&denied["kind"], &denied["applied"], &denied["rule"]), (&json!("denial"), &json!(false), &json!(0)));
    assert_eq!((&denied["denied"]["status"], &denied["status"]), (&json!(403), &json!(200)));
    assert_eq!((&denied["error"], &denied["text_hash"].is_string()), (&Value::Null, &true));
    assert_eq!((&decided["kind"], &decided["applied"]), (&json!("decision"), &json!(false)));
    let access = access_lines(&gateway);
    let [denied, decided] = &access[..] else { panic!("{access:?}") };
    assert!(
        denied.contains("shadow_policy=\"auto\" shadow_denied=\"denied_by_policy\"") && denied.contains("rule=0"),
        "{denied}"
    );
    assert!(decided.contains("shadow_policy=\"auto\" shadow_model=\"small\""), "{decided}");
    assert!(!denied.contains(" policy="), "nothing was done by it: {denied}");
}

#[tokio::test]
async fn feedback_that_is_wrong_is_refused_in_openai_s_shape() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = start(&logging(Config::new(&small, &frontier), "")).await;

    for (body, param) in [
        (json!({"rating": 5}), json!("request_id")),
        (json!({"request_id": "a", "rating": 9}), json!("rating")),
        (json!({"request_id": "a", "stars": 5}), Value::Null),
    ] {
        let reply = feedback(&gateway, body).await;

        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            (&reply.json()["error"]["code"], &reply.json()["error"]["param"]),
            (&json!("invalid_feedback"), &param)
        );
    }
    let large = feedback(&gateway, "x".repeat(20_000)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn feedback_needs_a_client_s_key_and_a_log() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let clients =
        "clients: {team: {keys: [{sha256: 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c'}]}}";
    let config = Config { sections: clients.to_owned(), ..Config::new(&small, &frontier) };
    let locked = start(&logging(config, "")).await;
    let without = Gateway::start(&Config::new(&small, &frontier)).await;
    let word = json!({"request_id": "a", "rating": "down"});

    let refused = feedback(&locked, &word).await;
    let nowhere = feedback(&without, &word).await;

    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_api_key"))
    );
    assert_eq!(
        (nowhere.status, &nowhere.json()["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("feedback_disabled"))
    );
}

#[tokio::test]
async fn a_full_file_makes_way_and_no_line_is_lost() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&logging(Config::new(&small, &frontier), ", max_bytes: 4096, max_files: 100")).await;

    for turn in 0..12 {
        chat(gateway.listen, question("auto", &format!("turn {turn}"))).await;
    }
    let written = lines(&mut gateway);

    let folder = gateway.file().parent().expect("a folder").join("logs");
    let sizes: Vec<u64> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("one").metadata().expect("its size").len())
        .collect();
    assert!(sizes.len() > 2 && sizes.iter().all(|size| *size <= 4096), "{sizes:?}");
    assert_eq!(written.len(), 12);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_fails_no_request() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config::new(&small, &frontier);
    let sections = "decision_log: {path: /proc/no-such-folder/d.jsonl, text: true}".to_owned();
    let gateway = Gateway::start(&Config { sections, ..config }).await;

    for _ in 0..3 {
        assert_eq!(chat(gateway.listen, question("auto", "hi")).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_reload_with_another_log_writes_there_from_then_on() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut gateway = start(&logging(Config::new(&small, &frontier), "")).await;
    chat(gateway.listen, question("auto", "before")).await;

    gateway.write(&logging(Config::new(&small, &frontier), ", text: true").yaml());
    Connection::open(gateway.admin, Framing::Length).await.post(Framing::Length, "/reload", "").await;
    chat(gateway.listen, question("auto", "after")).await;
    let lines = lines(&mut gateway);

    // Two logs write to one file here: which line comes first is theirs.
    let mut texts: Vec<_> = lines.iter().map(|line| line["text"].as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, [None, Some("after")], "{lines:?}");
}

#[test]
fn a_key_that_is_missing_or_short_stops_the_start_and_is_not_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.yaml");
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo.yaml")).expect("the demo's file");
    fs::write(&file, format!("{text}\ndecision_log: {{path: d.jsonl, hash_key: {{env: SHORT_KEY}}}}\n"))
        .expect("written");
    let check = |value: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.args(["check", "-c"]).arg(&file).env_remove("SHORT_KEY");
        if let Some(value) = value {
            command.env("SHORT_KEY", value);
        }
        let output = command.output().expect("the binary starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };

    let (missing, short) = (check(None), check(Some("planted")));

    assert_eq!((missing.0, short.0), (Some(78), Some(78)));
    assert!(missing.1.contains("decision_log.hash_key: environment variable `SHORT_KEY` is not set"), "{}", missing.1);
    assert!(short.1.contains("too short") && !short.1.contains("planted"), "{}", short.1);
}
