//! `pointsman init`: what it finds, what it proposes, and that what it writes loads, with its tests.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::cli::text;
use crate::origin::{Answer, Origin, nobody};
use crate::soon;

/// Every vendor that `init` knows, by the variable of its key.
const VENDORS: [(&str, &str); 11] = [
    ("openai", "OPENAI_API_KEY"),
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("gemini", "GEMINI_API_KEY"),
    ("mistral", "MISTRAL_API_KEY"),
    ("deepseek", "DEEPSEEK_API_KEY"),
    ("xai", "XAI_API_KEY"),
    ("groq", "GROQ_API_KEY"),
    ("together", "TOGETHER_API_KEY"),
    ("fireworks", "FIREWORKS_API_KEY"),
    ("moonshot", "MOONSHOT_API_KEY"),
    ("cerebras", "CEREBRAS_API_KEY"),
];

/// A folder that `init` writes to.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("pointsman.yaml")
    }

    fn yaml(&self) -> String {
        fs::read_to_string(self.file()).expect("a file was written")
    }

    /// Runs a command in the repository, where the bundle is, with these variables and what the library needs.
    async fn run(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env_clear();
        for kept in ["PATH", "ORT_DYLIB_PATH", "LD_LIBRARY_PATH"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let _ = stdin.write_all(input.as_bytes()).await; // it may have ended by now
        drop(stdin);
        soon("the end of the command", child.wait_with_output()).await.expect("an output")
    }

    async fn init(&self, more: &[&str], environment: &[(&str, &str)]) -> Output {
        let file = self.file();
        let file = file.to_str().expect("a plain name");
        self.run(&[&["init", "--yes", "--local", "", "-o", file], more].concat(), environment, "").await
    }

    async fn check(&self, environment: &[(&str, &str)]) -> Output {
        let file = self.file();
        self.run(&["check", "--strict", "-c", file.to_str().expect("a plain name")], environment, "").await
    }
}

fn list(models: &Value) -> Answer {
    let body = json!({"object": "list", "data": models}).to_string();
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.into())
}

fn shown(output: &Output) -> String {
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_key_in_the_environment_becomes_a_configuration_with_the_models_that_its_vendor_lists() {
    let models =
        json!([{"id": "gpt-5.4-nano"}, {"id": "gpt-5.4-mini"}, {"id": "gpt-5.5"}, {"id": "text-embedding-3-small"}]);
    let origin = Origin::answering([list(&models)]).await;
    let key = [("OPENAI_API_KEY", "sk-planted-key")];
    let place = Place::new();

    let made = place.init(&["--provider", &format!("openai=http://{}/v1", origin.address())], &key).await;

    assert!(made.status.success(), "{}", shown(&made));
    let asked = origin.next().await;
    assert_eq!((asked.method.as_str(), &*asked.path), ("GET", "/v1/models"));
    assert_eq!(asked.header("authorization"), Some("Bearer sk-planted-key"));
    let yaml = place.yaml();
    assert!(yaml.contains("tiers: {simple: gpt-5.4-nano, medium: gpt-5.4-mini, complex: gpt-5.5}"), "{yaml}");
    assert!(yaml.contains("credential: {env: OPENAI_API_KEY}"), "{yaml}");
    assert!(yaml.contains("price: {input: 0.2, output: 1.25}"), "the list does not know this host: {yaml}");
    assert!(!yaml.contains("planted") && !shown(&made).contains("planted"));
    assert!(shown(&made).contains("3 tests passed") || shown(&made).contains(": ok ("), "{}", shown(&made));
    assert!(place.check(&key).await.status.success());
}

#[tokio::test]
async fn what_is_proposed_for_each_vendor_loads_and_passes_its_tests() {
    for (vendor, variable) in VENDORS {
        let place = Place::new();
        let key = [(variable, "sk-planted-key")];

        let made = place.init(&["--offline"], &key).await;

        assert!(made.status.success(), "{vendor}: {}\n{}", shown(&made), place.yaml());
        let yaml = place.yaml();
        assert!(yaml.contains(&format!("default_provider: {vendor}\n")), "{yaml}");
        assert!(yaml.contains(&format!("{{env: {variable}}}")), "{yaml}");
        assert!(yaml.starts_with("# yaml-language-server: $schema=./pointsman.schema.json\n"), "{yaml}");
        assert!(!yaml.contains("planted"));
    }
}

#[tokio::test]
async fn several_vendors_stand_in_for_each_other_and_the_schema_lies_beside_the_file() {
    let keys: Vec<(&str, &str)> = VENDORS.iter().take(3).map(|(_, variable)| (*variable, "sk-planted-key")).collect();
    let place = Place::new();

    let made = place.init(&["--offline"], &keys).await;

    assert!(made.status.success(), "{}", shown(&made));
    let yaml = place.yaml();
    assert!(yaml.contains("fallback: [claude-sonnet-"), "{yaml}");
    let schema: Value =
        serde_json::from_slice(&fs::read(place.0.path().join("pointsman.schema.json")).expect("a file")).expect("JSON");
    assert!(schema["definitions"]["PolicyConfig"].is_object());
    let strict = place.check(&keys).await;
    assert!(strict.status.success(), "{}", shown(&strict));
}

#[tokio::test]
async fn a_server_on_this_machine_is_found_by_its_port_and_takes_simple_prompts() {
    let models = json!([{"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "max_model_len": 40960}]);
    let origin = Origin::answering([list(&models), list(&models)]).await;
    let (place, nobody) = (Place::new(), nobody().await);
    let file = place.file();
    let file = file.to_str().expect("a plain name");
    let local = format!("{nobody},{}", origin.address());

    let alone = place.run(&["init", "-y", "--local", &local, "-o", file], &[], "").await;

    assert!(alone.status.success(), "{}", shown(&alone));
    assert!(!shown(&alone).contains("warning"), "{}", shown(&alone));
    assert!(place.check(&[]).await.status.success(), "its own file has warnings");
    let yaml = place.yaml();
    assert!(yaml.contains("  vllm:\n") && yaml.contains("credential: none "), "{yaml}");
    assert!(yaml.contains("Qwen/Qwen3-8B: {provider: vllm, price: {input: 0, output: 0}, context: 40960}"), "{yaml}");
    let key = [("OPENAI_API_KEY", "sk-planted-key")];
    let mixed = place
        .run(
            &[
                "init",
                "-y",
                "--force",
                "--local",
                &local,
                "-o",
                file,
                "--keys",
                "passthrough",
                "--provider",
                &format!("openai=http://{nobody}/v1"),
            ],
            &key,
            "",
        )
        .await;
    assert!(mixed.status.success(), "{}", shown(&mixed));
    let yaml = place.yaml();
    assert!(yaml.contains("tiers: {simple: Qwen/Qwen3-8B, medium: gpt-"), "{yaml}");
    assert!(yaml.contains("credential: passthrough "), "{yaml}");
}

#[tokio::test]
async fn a_file_that_is_there_stays_until_it_is_said() {
    let place = Place::new();
    fs::write(place.file(), "mine").expect("written");
    let key = [("OPENAI_API_KEY", "sk-planted-key")];

    let refused = place.init(&["--offline"], &key).await;
    let kept = place.yaml();
    let forced = place.init(&["--offline", "--force"], &key).await;

    assert_eq!((refused.status.code(), &*kept), (Some(64), "mine"));
    assert!(text(&refused.stderr).contains("--force"), "{}", shown(&refused));
    assert!(forced.status.success() && place.yaml().contains("version: 1"), "{}", shown(&forced));
}

#[tokio::test]
async fn a_provider_that_is_named_twice_is_refused() {
    let place = Place::new();
    let twice = ["--offline", "--provider", "mine=http://127.0.0.1:1/v1", "--provider", "mine=http://127.0.0.1:2/v1"];

    let refused = place.init(&twice, &[("OPENAI_API_KEY", "sk-planted-key")]).await;

    assert_eq!(refused.status.code(), Some(64), "{}", shown(&refused));
    assert!(text(&refused.stderr).contains("names `mine` twice"), "{}", shown(&refused));
    assert!(!place.file().exists());
}

#[tokio::test]
async fn answers_to_its_questions_change_what_is_written() {
    let place = Place::new();
    let file = place.file();
    let keys = [("OPENAI_API_KEY", "sk-planted-key"), ("ANTHROPIC_API_KEY", "sk-planted-key")];
    let arguments = ["init", "--offline", "--local", "", "-o", file.to_str().expect("a plain name")];
    let answers =
        "nobody\nanthropic, openai\nclaude-haiku-4-5\n\nno-such-model\nclaude-opus-5\npassthrough\n127.0.0.1:8181\n";

    let made = place.run(&arguments, &keys, answers).await;

    assert!(made.status.success(), "{}", shown(&made));
    let yaml = place.yaml();
    assert!(yaml.contains("simple: claude-haiku-4-5, medium: claude-sonnet-"), "{yaml}");
    assert!(yaml.contains("complex: claude-opus-5}"), "{yaml}");
    assert!(yaml.contains("address: 127.0.0.1:8181") && yaml.contains("default_provider: anthropic"), "{yaml}");
    assert!(yaml.contains("credential: passthrough") && !yaml.contains("env:"), "{yaml}");
    let asked = text(&made.stderr);
    assert!(asked.contains("`nobody` was not found") && asked.contains("no-such-model"), "{asked}");
    let told = text(&made.stdout);
    for part in [
        "ANTHROPIC_BASE_URL=http://127.0.0.1:8181",
        "base_url = \"http://127.0.0.1:8181/v1\"",
        "Cursor",
        "OpenAI(base_url=\"http://127.0.0.1:8181/v1\"",
        "pointsman serve -c ",
    ] {
        assert!(told.contains(part), "not told: {part}\n{told}");
    }
}

#[tokio::test]
async fn nothing_at_hand_ends_with_what_to_do() {
    let place = Place::new();

    let nothing = place.init(&[], &[]).await;

    assert_eq!(nothing.status.code(), Some(69), "{}", shown(&nothing));
    let said = text(&nothing.stderr);
    assert!(said.contains("OPENAI_API_KEY") && said.contains("--provider"), "{said}");
    assert!(!place.file().exists());
}

#[tokio::test]
async fn a_key_that_its_provider_refuses_is_left_out() {
    let refusal = Answer::Reply(StatusCode::UNAUTHORIZED, Vec::new(), "{}".into());
    let (origin, place) = (Origin::answering([refusal]).await, Place::new());
    let named = format!("openai=http://{}/v1", origin.address());

    let made = place.init(&["--provider", &named], &[("OPENAI_API_KEY", "sk-planted-key")]).await;

    assert_eq!(made.status.code(), Some(69), "{}", shown(&made));
    assert!(text(&made.stderr).contains("the key is refused (401)"), "{}", shown(&made));
    assert!(!place.file().exists());
}

#[tokio::test]
async fn the_configuration_can_be_printed_alone() {
    let place = Place::new();
    let key = [("MISTRAL_API_KEY", "sk-planted-key")];

    let printed = place.run(&["init", "-y", "--offline", "-o", "-"], &key, "").await;

    fs::write(place.file(), &printed.stdout).expect("written");
    assert!(text(&printed.stdout).starts_with("# Pointsman's configuration"), "{}", shown(&printed));
    assert!(place.check(&key).await.status.success(), "{}", shown(&printed));
}

#[tokio::test]
async fn what_would_not_load_is_refused_before_it_is_written() {
    let key = [("OPENAI_API_KEY", "sk-planted-key")];
    for (arguments, code, said) in [
        (&["--admin", "0.0.0.0:9090"][..], 64, "loopback"),
        (&["--admin", "127.0.0.1:8080"], 78, "admin"),
        (&["--bundle", "no/such/folder"], 64, "bundle.yaml"),
    ] {
        let place = Place::new();

        let refused = place.init(&[&["--offline"], arguments].concat(), &key).await;

        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {}", shown(&refused));
        assert!(text(&refused.stderr).contains(said), "{}", shown(&refused));
        assert!(!place.file().exists() && !text(&refused.stdout).contains("Wrote"), "{}", shown(&refused));
    }
}

#[tokio::test]
async fn a_listener_that_other_machines_reach_gets_a_client_whose_key_is_shown_once() {
    let (place, key) = (Place::new(), [("OPENAI_API_KEY", "sk-planted-key")]);

    let made = place.init(&["--offline", "--listen", "0.0.0.0:8080"], &key).await;

    assert!(made.status.success(), "{}", shown(&made));
    let (told, yaml) = (text(&made.stdout), place.yaml());
    let client_key = told.lines().find_map(|line| line.strip_prefix("  pm-")).expect("a key");
    let hash = place.run(&["hash-key"], &[], &format!("pm-{client_key}")).await;
    assert!(yaml.contains(&format!("keys: [{{sha256: {}}}]", text(&hash.stdout).trim())), "{yaml}");
    assert!(!yaml.contains(client_key), "{yaml}");
    assert!(told.contains(&format!("Bearer pm-{client_key}")), "{told}");
    let checked = place.check(&key).await;
    assert!(checked.status.success() && !shown(&checked).contains("note: listen"), "{}", shown(&checked));
}

#[tokio::test]
async fn an_open_listener_to_which_clients_bring_keys_is_said_to_be_open() {
    let models = json!([{"id": "Qwen/Qwen3-8B", "owned_by": "vllm"}]);
    let origin = Origin::answering([list(&models)]).await;
    let (place, local) = (Place::new(), origin.address().to_string());
    let file = place.file();
    let file = file.to_str().expect("a plain name");
    let arguments = ["init", "-y", "--local", &local, "--provider", "mistral", "--listen", "0.0.0.0:8080", "-o", file];

    let made = place.run(&arguments, &[], "").await;

    assert!(made.status.success(), "{}", shown(&made));
    assert!(text(&made.stderr).contains("whoever does asks vllm without a key"), "{}", shown(&made));
    assert!(!place.yaml().contains("\nclients:"), "{}", place.yaml());
}

#[tokio::test]
async fn check_notes_a_listener_through_which_others_spend_keys() {
    let (place, key) = (Place::new(), [("OPENAI_API_KEY", "sk-planted-key")]);
    place.init(&["--offline"], &key).await;
    fs::write(place.file(), place.yaml().replace("127.0.0.1:8080", "0.0.0.0:8080")).expect("written");

    let checked = place.check(&key).await;

    let said = text(&checked.stdout);
    assert!(said.contains("note: listen.address: whoever reaches 0.0.0.0:8080 spends the keys of openai"), "{said}");
    assert!(checked.status.success(), "it may be meant: {}", shown(&checked));
}

#[tokio::test]
async fn a_server_on_this_machine_that_wants_a_key_is_told_as_such() {
    let refusal = || Answer::Reply(StatusCode::UNAUTHORIZED, Vec::new(), "{}".into());
    let models = json!([{"id": "Qwen/Qwen3-8B", "owned_by": "vllm"}]);
    let (origin, place) = (Origin::answering([refusal(), list(&models)]).await, Place::new());
    let (file, local) = (place.file(), origin.address().to_string());
    let file = file.to_str().expect("a plain name");
    let named = format!("local=http://{local}/v1");

    let found = place.run(&["init", "-y", "--local", &local, "-o", file], &[], "").await;
    let key = [("LOCAL_API_KEY", "sk-planted-key")];
    let made = place.run(&["init", "-y", "--local", &local, "--provider", &named, "-o", file], &key, "").await;

    let said = text(&found.stderr);
    assert_eq!(found.status.code(), Some(69), "{said}");
    assert!(said.contains("wants a key (401)") && said.contains(&format!("--provider {named}")), "{said}");
    assert!(said.contains("LOCAL_API_KEY"), "{said}");
    assert!(made.status.success(), "{}", shown(&made));
    assert!(!shown(&made).contains("wants a key"), "it is asked once: {}", shown(&made));
}

#[tokio::test]
async fn arguments_without_an_effect_are_refused() {
    let models = json!([{"id": "Qwen/Qwen3-8B", "owned_by": "vllm"}]);
    let origin = Origin::answering([list(&models)]).await;
    let local = origin.address().to_string();
    for (arguments, said) in [
        (&["--offline", "--local", "127.0.0.1:8000"][..], "--local has no effect"),
        (&["--local", "foo"], "HOST:PORT"),
        (&["--local", "", "--force", "-o", "-"], "--force has no effect"),
        (&["--local", &local, "--keys", "passthrough"], "--keys passthrough has no effect"),
    ] {
        let place = Place::new();
        let file = place.file();
        let out = if arguments.contains(&"-o") { vec![] } else { vec!["-o", file.to_str().expect("a plain name")] };

        let refused = place.run(&[&["init", "-y"], arguments, &out].concat(), &[], "").await;

        assert_eq!(refused.status.code(), Some(64), "{arguments:?}: {}", shown(&refused));
        assert!(text(&refused.stderr).contains(said), "{}", shown(&refused));
        assert!(!place.file().exists());
    }
}
