mod affinity;
mod bombs;
mod budgets;
mod concealed;
mod ext_proc;
mod listeners;
mod models;
mod providers;
mod quotas;
mod remote_classifiers;
mod response_cache;
mod rules;
mod strategies;

use proptest::prelude::*;

use super::{StrategyConfig, *};

const GOOD: &str = "version: 1
listen: {address: 127.0.0.1:8080}
default_provider: openai
providers:
  openai:
    base_url: https://api.openai.com/v1
    credential: {env: OPENAI_API_KEY}
  vllm: {base_url: 'http://10.0.0.7:8000/v1', peers: ['10.0.0.7:8000', '[::1]:8000']}
models:
  small: {provider: vllm, name: llama-3.1-8b-instruct, price: {input: 0.05, output: 0.08}, context: 131072}
  standard: {provider: openai, name: gpt-4.1, supports: [tools, images, json_schema]}
classifiers:
  default: {bundle: models/pointsman-mini, deadline: 20ms}
policies:
  - name: auto
    match: {model: [auto, 'gpt-*'], header: {x-team: '*'}}
    rules:
      - {when: 'prompt.images > 0', use: standard}
    strategy:
      classifier: default
      kind: tiers
      tiers: {simple: small, medium: standard}
      min_confidence: 0.45
      otherwise: standard
";

fn problems(text: &str) -> Vec<String> {
    let problems = Config::parse(text, "p.yaml").expect_err("the text is wrong");
    problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

/// The problems of the good file with one text in it replaced.
fn problems_with(old: &str, new: &str) -> Vec<String> {
    assert!(GOOD.contains(old), "{old}");
    problems(&GOOD.replacen(old, new, 1))
}

#[test]
fn a_good_file_is_read() {
    let config = Config::parse(GOOD, "p.yaml").expect("a good file");

    let StrategyConfig::Tiers(tiers) = &config.policies[0].strategy else { panic!("not tiers") };
    assert_eq!(tiers.tiers.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(), ["simple", "medium"]);
    assert_eq!(tiers.min_confidence.get(), 0.45);
    assert_eq!(config.providers["openai"].credential, Credential::Env("OPENAI_API_KEY".into()));
    assert_eq!(config.limits.max_body_bytes, 32 << 20);
    assert_eq!(config.admin.address.port(), 9090);
}

#[test]
fn every_problem_is_shown_at_once_with_its_place() {
    let text = "version: 1
listen: {address: 'localhost:8080'}
providers:
  openai:
    base_ur: ftp://api.openai.com/v1
    credential: {env: OPENAI_API_KEY}
models:
  small: {provider: opnai, price: {input: -1, output: 0}}
policies:
  - name: auto
    mode: rout
    strategy:
      kind: tiers
      classifier: default
      tiers: {simple: small}
      min_confidence: 1.4
";

    let shown = Config::parse(text, "pointsman.yaml").expect_err("nine mistakes").to_string();

    assert_eq!(shown, include_str!("tests/problems.txt").trim_end());
}

#[test]
fn a_duplicate_key_is_refused_at_its_second_place() {
    let found = problems_with("  vllm:", "  openai: {base_url: 'http://other'}\n  vllm:");

    assert_eq!(found, ["providers.openai: appears twice (first on line 5)"]);
}

#[test]
fn text_that_is_not_yaml_is_placed() {
    let problems = Config::parse("version: 1\nlisten: {address: [}\n", "p.yaml").expect_err("not YAML");

    let place = problems.iter().next().and_then(|problem| problem.place.clone()).expect("a place");
    assert_eq!((problems.len(), place.line, place.snippet.as_str()), (1, 2, "listen: {address: [}"));
}

#[test]
fn an_empty_file_says_so() {
    assert_eq!(problems(""), [": the file is empty"]);
    assert_eq!(problems("# nothing\n"), [": the file is empty"]);
    assert_eq!(problems("[]").len(), 1);
}

#[test]
fn every_required_key_of_a_section_is_named_when_the_section_is_empty() {
    let found = problems_with("    strategy:\n      classifier: default", "    strategy:\n      min_confidenc: 0.5");

    assert_eq!(found[0], "policies[0].strategy.classifier: is required");
    assert!(
        found[1]
            .starts_with("policies[0].strategy.min_confidenc: unknown key, did you mean `min_confidence`? (allowed: "),
        "{found:?}"
    );
    assert_eq!(problems("{}"), ["version: is required", "listen: is required", "providers: is required"]);
}

#[test]
fn each_reference_must_lead_somewhere() {
    for (old, new, path) in [
        ("default_provider: openai", "default_provider: opnai", "default_provider"),
        ("small: {provider: vllm", "small: {provider: vlm", "models.small.provider"),
        ("use: standard", "use: standrd", "policies[0].rules[0].use"),
        ("classifier: default", "classifier: defaut", "policies[0].strategy.classifier"),
        ("medium: standard", "medium: standrd", "policies[0].strategy.tiers.medium"),
        ("otherwise: standard", "otherwise: standrd", "policies[0].strategy.otherwise"),
    ] {
        let found = problems_with(old, new);

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(&format!("{path}: there is no ")) && found[0].contains("did you mean"),
            "{found:?}"
        );
    }
}

#[test]
fn a_section_with_a_bad_value_still_counts_as_declared() {
    let found =
        problems_with("small: {provider: vllm, name: llama-3.1-8b-instruct,", "small: {provider: [vllm], name: x,");

    assert_eq!(found, ["models.small.provider: must be text, got a list"]);
}

#[test]
fn limits_hold_at_their_bounds() {
    let with = |limits: &str| GOOD.replacen("models:", &format!("limits: {{{limits}}}\nmodels:"), 1);
    for good in ["max_body_bytes: 1", "max_body_bytes: 1073741824", "body_idle: 1h", "body_idle: 1ms", "body: 1h"] {
        assert!(Config::parse(&with(good), "p.yaml").is_ok(), "{good}");
    }
    for bad in [
        "max_body_bytes: 0",
        "max_body_bytes: 1073741825",
        "max_body_bytes: -1",
        "body_idle: 61m",
        "body_idle: 0s",
        "body: 0s",
        "body_idle: 5",
    ] {
        assert_eq!(problems(&with(bad)).len(), 1, "{bad}");
    }
}

#[test]
fn a_classifier_s_keys_hold_at_their_bounds() {
    let with = |keys: &str| GOOD.replacen("deadline: 20ms", keys, 1);
    for good in [
        "workers: 1",
        "workers: 64",
        "batch: {max_size: 1, max_wait: 0s}",
        "batch: {max_size: 1024, max_wait: 1s}",
        "cache: {max_entries: 0, max_bytes: 0}",
        "cache: {max_entries: 10000000, max_bytes: 1073741824}",
        "device: auto",
        "device: {cuda: 0}, require: true",
        "device: tensorrt",
        "device: cpu, require: true",
    ] {
        assert!(Config::parse(&with(good), "p.yaml").is_ok(), "{good}");
    }
    for bad in [
        "workers: 0",
        "workers: 65",
        "batch: {max_size: 0}",
        "batch: {max_size: 1025}",
        "batch: {max_wait: 1001ms}",
        "cache: {max_entries: 10000001}",
        "cache: {max_bytes: 1073741825}",
        "device: gpu",
        "device: cuda",
        "device: {cuda: 256}",
        "require: true",
    ] {
        assert_eq!(problems(&with(bad)).len(), 1, "{bad}");
    }
}

#[test]
fn policy_names_are_unique_and_tiers_not_empty() {
    let second = "  - {name: auto, strategy: {kind: tiers, classifier: default, tiers: {}, otherwise: small}}\n";

    assert_eq!(
        problems(&format!("{GOOD}{second}")),
        [
            "policies[1].name: `auto` is the name of policies[0] already",
            "policies[1].strategy.tiers: must map at least one label to a model",
        ]
    );
}

#[test]
fn a_secret_written_into_the_file_is_never_repeated() {
    for credential in ["{env: sk-topsecret}", "sk-topsecret", "{key: sk-topsecret}", "{env: [sk-topsecret]}"] {
        let text = GOOD.replacen("{env: OPENAI_API_KEY}", credential, 1);
        let shown = Config::parse(&text, "p.yaml").expect_err("no variable").to_string();
        assert!(!shown.contains("topsecret"), "{shown}");
    }
    let beside = "providers: {p: {base_url: nonsense, credential: {env: sk-topsecret}}}";
    let shown = Config::parse(beside, "p.yaml").expect_err("no URL").to_string();
    assert!(shown.contains("nonsense, credential...") && !shown.contains("topsecret"), "{shown}");
    let key = GOOD.replacen("credential: {env: OPENAI_API_KEY}", "api_key: sk-topsecret", 1);
    let shown = Config::parse(&key, "p.yaml").expect_err("an unknown key").to_string();
    assert!(!shown.contains("topsecret"), "{shown}");
}

#[test]
fn anchors_aliases_and_merges_work_and_cannot_explode() {
    let merged = GOOD.replacen("vllm: {", "vllm: &base {", 1).replacen(
        "models:",
        "  copy: {<<: *base, base_url: 'http://copy'}\nmodels:",
        1,
    );
    let mut bomb = String::from("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let previous = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("b{level}: &a{level} [{previous}]\n"));
    }

    let config = Config::parse(&merged, "p.yaml").expect("a merge");

    assert_eq!(config.providers["copy"].base_url, "http://copy");
    assert_eq!(config.providers["copy"].peers, config.providers["vllm"].peers);
    assert!(problems(&bomb)[0].contains("too many values"), "{:?}", problems(&bomb));
}

#[test]
fn a_problem_can_point_into_a_value() {
    let config = Config::parse(GOOD, "p.yaml").expect("a good file");
    let when = KeyPath::root().key("policies").index(0).key("rules").index(0).key("when");

    let place = config.problem_within(&when, "no", 7..13).and_then(|problem| problem.place).expect("a place");

    assert_eq!(place.snippet.chars().skip(place.column - 1).take(place.width).collect::<String>(), "images");
}

#[test]
fn a_decision_log_without_text_needs_a_key_and_never_shows_one() {
    let with = |section: &str| GOOD.replacen("models:", &format!("decision_log: {section}\nmodels:"), 1);

    assert!(Config::parse(&with("{path: d.jsonl, text: true}"), "p.yaml").is_ok());
    assert!(Config::parse(&with("{path: d.jsonl, hash_key: {env: KEY}, max_age: 1h}"), "p.yaml").is_ok());
    assert_eq!(
        problems(&with("{path: d.jsonl, max_files: 0}")),
        [
            "decision_log.hash_key: is required where `text` is false (allowed: {env: VARIABLE} or {file: PATH} of a secret)",
            "decision_log.max_files: 0 is out of bounds (allowed: 1 to 10000)",
        ]
    );
    let leaky =
        Config::parse(&with("{path: d.jsonl, hash_key: {env: planted-secret-key!}}"), "p.yaml").expect_err("no name");
    assert!(!leaky.to_string().contains("planted"), "{leaky}");
}

#[test]
fn answers_are_logged_only_with_the_texts_that_they_are_to_and_redacted_unless_it_says_otherwise() {
    let with = |section: &str| GOOD.replacen("models:", &format!("decision_log: {section}\nmodels:"), 1);
    let redacted = |redact: &str| {
        let section = format!("{{path: d.jsonl, text: true, answers: {{sample: 0.05{redact}}}}}");
        let config = Config::parse(&with(&section), "p.yaml").expect("a valid file");
        config.decision_log.expect("a log").answers.expect("answers").redact
    };

    assert_eq!(redacted(""), RedactedKinds::default());
    assert!(redacted(", redact: false").is_empty());
    assert_eq!(redacted(", redact: [email, key]"), [RedactedKind::Key, RedactedKind::Email].into_iter().collect());
    let [without_text] = &problems(&with("{path: d.jsonl, hash_key: {env: KEY}, answers: {sample: 1}}"))[..] else {
        panic!("one problem");
    };
    assert!(without_text.starts_with("decision_log.answers: needs `decision_log.text`"), "{without_text}");
    let wrong = problems(&with("{path: d.jsonl, text: true, answers: {sample: 0.1, redact: [names]}}"));
    assert!(wrong[0].contains("decision_log.answers.redact") && wrong[0].contains("email"), "{wrong:?}");
}

#[test]
fn the_fingerprint_is_that_of_the_text() {
    let text = "version: 1\nlisten: {address: '127.0.0.1:1'}\nproviders: {}\n";
    let read = |text: &str| Config::parse(text, "x.yaml").expect("a valid file").fingerprint();

    assert_eq!(read(text), read(text));
    assert_ne!(read(text), read(&format!("{text}# other\n")));
    assert_eq!(read(text).len(), 16);
}

#[test]
fn traces_go_to_a_url_without_a_password_and_with_fields_that_can_be_added() {
    let with = |otlp: &str| GOOD.replacen("models:", &format!("tracing: {{otlp: {otlp}}}\nmodels:"), 1);
    let good = with("{endpoint: 'https://collector.example:4318/prefix', headers: {x-tenant: {env: T}}}");

    assert!(Config::parse(&good, "p.yaml").is_ok());
    assert_eq!(
        problems(&with("{endpoint: 'http://me:planted@collector', timeout: 1ms, headers: {host: {env: T}}}")),
        [
            "tracing.otlp.endpoint: is not the URL of a collector (allowed: http(s)://host[:port][/prefix])",
            "tracing.otlp.timeout: 1ms is out of bounds (allowed: 100ms to 1m)",
            "tracing.otlp.headers.host: is not a header field that can be added (allowed: such as x-scope-orgid)",
        ]
    );
    let leaky = Config::parse(&with("{endpoint: 'http://me:planted@collector'}"), "p.yaml").expect_err("a password");
    assert!(!leaky.to_string().contains("planted"), "{leaky}");
}

#[test]
fn a_collector_s_path_follows_its_endpoint() {
    let url = |endpoint: &str| {
        let otlp: OtlpConfig = serde_json::from_value(serde_json::json!({"endpoint": endpoint})).expect("a section");
        otlp.collector().url("traces").map(|url| url.to_string())
    };

    assert_eq!(url("http://127.0.0.1:4318").as_deref(), Ok("http://127.0.0.1:4318/v1/traces"));
    assert_eq!(url("https://example.com/otlp/").as_deref(), Ok("https://example.com/otlp/v1/traces"));
    assert!(url("collector:4318").is_err() && url("ftp://x").is_err() && url("http://x/?key=1").is_err());
}
