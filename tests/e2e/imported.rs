//! `pointsman import`: files of other routers become configurations that load, and that route as those would.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::cli::{pointsman, text};

/// A configuration that was imported, in a folder of its own.
struct Imported {
    _folder: tempfile::TempDir,
    config: PathBuf,
    stderr: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/import/tests/fixtures").join(name)
}

fn import(name: &str) -> Imported {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("pointsman.yaml");
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pointsman-mini");
    let (from, _) = name.split_once('/').expect("a project's folder");
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["import", "--from", from, "--bundle"])
        .arg(bundle)
        .arg("--output")
        .arg(&config)
        .arg(fixture(name))
        .output()
        .expect("the binary starts");
    let stderr = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{name}: {stderr}");
    assert!(output.stdout.is_empty(), "{name}");
    Imported { _folder: folder, config, stderr }
}

impl Imported {
    /// Runs a command on the configuration, with every variable that it names set.
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let written = fs::read_to_string(&self.config).expect("a configuration");
        let words = written.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let variables: BTreeSet<&str> =
            words.filter(|word| word.contains('_') && *word == word.to_uppercase()).collect();
        Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .arg(command)
            .arg("-c")
            .arg(&self.config)
            .args(arguments)
            .envs(variables.into_iter().map(|variable| (variable, "sk-example-of-a-key")))
            .output()
            .expect("the binary starts")
    }

    /// Returns the model that is chosen for a prompt to `model`.
    fn decide(&self, model: &str, more: &[&str], prompt: &str) -> String {
        let output = self.run("decide", &[&["--json", "--model", model], more, &[prompt]].concat());
        let decision: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{model}: {error}: {}", text(&output.stderr)));
        decision["model"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns the model that is chosen for a whole body.
    fn decide_body(&self, body: &Value) -> String {
        let file = self.config.with_file_name("body.json");
        fs::write(&file, body.to_string()).expect("a writable folder");
        let output = self.run("decide", &["--json", "--body", file.to_str().expect("a plain name")]);
        let decision: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
        decision["model"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn every_imported_configuration_passes_the_check() {
    for entry in fs::read_dir(fixture("")).expect("the fixtures").map(|entry| entry.expect("an entry")) {
        let Ok(files) = fs::read_dir(entry.path()) else { continue };
        for file in files.map(|file| file.expect("an entry").file_name().to_string_lossy().into_owned()) {
            if file.ends_with(".imported.yaml") || file.ends_with(".findings") {
                continue;
            }
            let name = format!("{}/{file}", entry.file_name().to_string_lossy());
            let imported = import(&name);

            // A key file of Google's is named there, and is not on this machine.
            let checked = imported.run("check", &[]);
            let said = format!("{}{}", text(&checked.stdout), text(&checked.stderr));
            let lacks_file = said.contains("cannot read the key file");
            assert!(checked.status.success() || lacks_file, "{name}: {said}");
        }
    }
}

#[test]
fn tiers_of_litellm_s_complexity_router_lead_to_the_models_that_they_led_to() {
    let imported = import("litellm/complexity-router.yaml");

    assert_eq!(imported.decide("smart", &[], "What is 2+2?"), "nano");
    assert_eq!(imported.decide("auto", &[], "Hello, how are you?"), "nano", "an alias of the router");
    let hard = "Think step by step: prove that there are infinitely many primes congruent to 3 modulo 4, and analyse how the proof generalises to other residues.";
    let chosen = imported.decide("smart", &[], hard);
    assert!(["opus", "thinker"].contains(&chosen.as_str()), "{chosen}");
    assert_eq!(imported.decide("thinker", &[], "Hi"), "thinker", "a model by its own name");
}

#[test]
fn routes_of_litellm_s_semantic_router_are_found_by_likeness() {
    let imported = import("litellm/semantic-auto-router.yaml");

    assert_eq!(imported.decide("desk", &[], "Fix this bug in my Rust code, please"), "coder");
    assert_eq!(imported.decide("desk", &[], "Hello there, how are you?"), "writer");
}

#[test]
fn aliases_and_groups_of_litellm_are_served_by_their_deployments() {
    let imported = import("litellm/load-balancer.yaml");

    for name in ["chat", "gpt-4"] {
        let chosen = imported.decide(name, &[], "Hi");
        assert!(chosen.starts_with("chat/acme-"), "{name}: {chosen}");
    }
    assert_eq!(imported.decide("quick", &[], "Hi"), "summaries");
    assert_eq!(imported.decide("local", &[], "Hi"), "local");
}

#[test]
fn kinds_of_requests_go_where_claude_code_router_sent_them() {
    let imported = import("claude-code-router/config.json");
    let body = |model: &str, prompt: &str| serde_json::json!({"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": prompt}]});

    assert_eq!(imported.decide_body(&body("claude-sonnet-4-5", "Hi")), "deepseek-chat");
    assert_eq!(imported.decide_body(&body("claude-haiku-4-5", "Hi")), "qwen3-coder:latest");
    assert_eq!(imported.decide_body(&body("claude-sonnet-4-5", &"word ".repeat(60_000))), "google/gemini-2.5-pro");
    assert_eq!(imported.decide_body(&body("deepseek,deepseek-reasoner", "Hi")), "deepseek-reasoner");
    let picture = serde_json::json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]});
    assert_eq!(imported.decide_body(&picture), "gemini-2.5-flash");
    let mut thinking = body("claude-sonnet-4-5", "Hi");
    thinking["reasoning_effort"] = "high".into();
    assert_eq!(imported.decide_body(&thinking), "deepseek-reasoner");
}

#[test]
fn rules_of_claude_code_router_s_version_3_come_before_the_names_of_models() {
    let imported = import("claude-code-router/version3-config.json");
    let body = |model: &str, prompt: &str| serde_json::json!({"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": prompt}]});

    assert_eq!(imported.decide("claude-sonnet-4-5", &[], "Hi"), "acme-large", "the model of the agent's profile");
    assert_eq!(imported.decide("claude-haiku-4-5", &[], "Hi"), "acme-small");
    for name in ["gemini/gemini-2.5-flash", "gemini,gemini-2.5-flash", "gemini-2.5-flash"] {
        assert_eq!(imported.decide(name, &[], "Hi"), "gemini-2.5-flash", "{name}");
    }
    assert_eq!(imported.decide("gemini-2.5-flash", &["--header", "x-team: research"], "Hi"), "acme-large");
    assert_eq!(imported.decide_body(&body("gemini-2.5-flash", &"word ".repeat(70_000))), "acme-large");
    assert_eq!(imported.decide("claude-haiku-4-5", &[], "please [[ship it]]"), "acme-small", "the first rule counts");
    assert_eq!(imported.decide("acme-small", &[], "please [[ship it]]"), "acme-large");
}

#[test]
fn what_claude_code_router_s_version_3_exports_is_read_and_its_databases_are_not() {
    let imported = import("claude-code-router/version3-export.json");

    assert_eq!(imported.decide("claude-opus-4-5", &[], "Hi"), "deepseek-reasoner");
    assert_eq!(imported.decide("claude-haiku-4-5", &[], "Hi"), "deepseek-chat");
    assert!(imported.stderr.contains("files: secret"), "{}", imported.stderr);
}

#[test]
fn conditions_of_bifrost_s_rules_choose_the_targets_that_they_chose() {
    let imported = import("bifrost/routing-rules.json");

    let gold = imported.decide("openai/gpt-4.1-mini", &["--header", "x-tier: gold"], "Hi");
    assert_eq!(gold, "anthropic/claude-opus-4-1");
    let plain = imported.decide("openai/gpt-4.1-mini", &[], "Hi");
    assert!(["house/qwen3-32b", "openai/gpt-4.1-mini"].contains(&plain.as_str()), "{plain}");
    assert_eq!(imported.decide("openai/gpt-4.1", &[], "Hi"), "openai/gpt-4.1", "no rule is for it");
}

#[test]
fn thresholds_and_routers_of_routellm_are_asked_for_by_the_names_that_they_had() {
    let imported = import("routellm/serve.sh");

    assert_eq!(imported.decide("router-mf-0.11593", &[], "Hello, how are you?"), "weak");
    let drawn = imported.decide("router-random-0.4", &[], "Hi");
    assert!(["strong", "weak"].contains(&drawn.as_str()), "{drawn}");
}

#[test]
fn routes_of_switchyard_go_to_their_targets() {
    let imported = import("switchyard/routes.toml");

    assert_eq!(imported.decide("acme/direct", &[], "Hi"), "small");
    assert_eq!(imported.decide("acme/stages", &[], "Hi"), "small");
    let failing = serde_json::json!({"model": "acme/stages", "messages": [
        {"role": "user", "content": "rename foo"},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "edit", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "error: no match"},
        {"role": "assistant", "tool_calls": [{"id": "b", "type": "function", "function": {"name": "read", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "b", "content": "error: no file"}]});
    assert_eq!(imported.decide_body(&failing), "big");
}

#[test]
fn decisions_of_semantic_router_are_tried_in_the_order_of_their_priorities() {
    let imported = import("semantic-router/config.yaml");

    assert!(imported.decide("auto", &[], "This is URGENT: the site shows an error").starts_with("gpt-5-mini"));
    assert_eq!(
        imported.decide("MoM", &[], "\u{bf}Cu\u{e1}l es la capital de Francia y por qu\u{e9} es tan famosa?"),
        "qwen3-8b"
    );
    let legal =
        "A contract was signed under duress. Under common law, is the contract void or voidable by the plaintiff?";
    assert!(imported.decide("auto", &[], legal).starts_with("gpt-5-mini"));
    assert_eq!(imported.decide("auto", &[], "Hello, how are you?"), "qwen3-8b");

    let domains = import("semantic-router/domains.yaml");
    assert!(
        domains
            .decide("auto", &[], "Compute the integral of x squared times e to the x, and prove it.")
            .starts_with("qwen3")
    );
    assert!(domains.decide("auto", &[], "Hello!").starts_with("phi4"));
}

#[test]
fn findings_are_placed_and_may_be_json() {
    let imported = import("litellm/load-balancer.yaml");
    let first = imported.stderr.lines().next().expect("a finding");
    assert!(first.contains("load-balancer.yaml:") && first.contains("rpm: changed: "), "{first}");
    assert!(imported.stderr.lines().last().expect("a line").ends_with("secrets that were not copied"));

    let file = fixture("litellm/load-balancer.yaml");
    let output = pointsman(&["import", "--from", "litellm", "--findings", "json", file.to_str().expect("a name")]);
    let findings: Value = serde_json::from_slice(&output.stderr).expect("JSON on stderr and nothing else");
    assert_eq!(output.status.code(), Some(3));
    assert!(findings[0]["line"].is_u64() && findings[0]["kind"] == "changed", "{findings}");
    assert!(text(&output.stdout).contains("\nproviders:\n"));
}

#[test]
fn a_file_of_nothing_and_one_that_cannot_be_read_are_refused_with_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.yaml");
    fs::write(&broken, "model_list:\n  - [\n").expect("writable");
    let other = folder.path().join("other.yaml");
    fs::write(&other, "services: {web: {image: nginx}}\n").expect("writable");
    let name = |path: &Path| path.to_str().expect("a plain name").to_owned();

    let unreadable = pointsman(&["import", "--from", "litellm", &name(&broken)]);
    let foreign = pointsman(&["import", "--from", "bifrost", &name(&other)]);
    let missing = pointsman(&["import", "--from", "bifrost", "no/such/file"]);
    let unknown = pointsman(&["import", "--from", "nobody", &name(&other)]);

    assert_eq!(unreadable.status.code(), Some(65));
    assert!(text(&unreadable.stderr).contains("broken.yaml:2:"), "{}", text(&unreadable.stderr));
    assert_eq!(foreign.status.code(), Some(65));
    assert!(text(&foreign.stderr).contains("is it a file of bifrost?"), "{}", text(&foreign.stderr));
    assert_eq!((missing.status.code(), unknown.status.code()), (Some(64), Some(64)));
}

#[test]
fn a_configuration_that_is_there_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let there = folder.path().join("pointsman.yaml");
    fs::write(&there, "mine\n").expect("writable");
    let file = fixture("litellm/minimal.yaml");

    let arguments =
        ["import", "--from", "litellm", "-o", there.to_str().expect("a name"), file.to_str().expect("a name")];
    let output = pointsman(&arguments);

    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&there).expect("the file"), "mine\n");
}
