//! The layout that `make install` makes: commands find the bundle and ONNX Runtime in it, in whatever folder they run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use http::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::cli::text;
use crate::origin::{Answer, Origin};
use crate::soon;

/// Pointsman below a prefix, and a folder in which nothing of it is.
struct Installed {
    prefix: PathBuf,
    elsewhere: PathBuf,
    _place: TempDir,
}

impl Installed {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        let (prefix, elsewhere) = (place.path().join("usr/local"), place.path().join("home"));
        for folder in [&elsewhere, &prefix.join("bin"), &prefix.join("lib/pointsman"), &prefix.join("share/pointsman")]
        {
            fs::create_dir_all(folder).expect("a folder");
        }
        let (built, binary) = (env!("CARGO_BIN_EXE_pointsman"), prefix.join("bin/pointsman"));
        // A link to the file, not a symbolic one: the executable is to know this place as its own.
        fs::hard_link(built, &binary).or_else(|_| fs::copy(built, &binary).map(drop)).expect("an executable");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        symlink(repository.join("models/pointsman-mini"), prefix.join("share/pointsman/pointsman-mini"))
            .expect("a link");
        let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
        let library = named.unwrap_or_else(|| repository.join(".tools/libonnxruntime.so"));
        symlink(
            fs::canonicalize(library).expect("`make setup` was run"),
            prefix.join("lib/pointsman/libonnxruntime.so"),
        )
        .expect("a link");
        Self { prefix, elsewhere, _place: place }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.prefix.join("bin/pointsman"));
        command.args(arguments).current_dir(&self.elsewhere).env_clear();
        for kept in ["PATH", "LD_LIBRARY_PATH"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.env("OPENAI_API_KEY", "sk-planted-key");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        soon("the end of the command", command.output()).await.expect("the binary starts")
    }

    fn bundle(&self) -> String {
        self.prefix.join("share/pointsman/pointsman-mini").display().to_string()
    }
}

fn shown(output: &Output) -> String {
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn init_and_doctor_find_what_was_installed_with_them() {
    let installed = Installed::new();
    let models = r#"{"object": "list", "data": [{"id": "gpt-5.4-nano"}, {"id": "gpt-5.5"}]}"#;
    let list = || Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], models.into());
    let origin = Origin::answering([list(), list()]).await;
    let named = format!("openai=http://{}/v1", origin.address());

    let made = installed.run(&["init", "--yes", "--local", "", "--provider", &named]).await;
    let examined = installed.run(&["doctor", "--json", "-c", "pointsman.yaml"]).await;

    assert!(made.status.success() && text(&made.stdout).contains(": ok ("), "{}", shown(&made));
    let yaml = fs::read_to_string(installed.elsewhere.join("pointsman.yaml")).expect("a file was written");
    assert!(yaml.contains(&installed.bundle()), "{yaml}");
    let report: Value = serde_json::from_slice(&examined.stdout).expect("JSON");
    let finding = |check: &str| {
        let findings = report["findings"].as_array().expect("findings");
        findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{report:#}")).clone()
    };
    let runtime = finding("onnxruntime");
    let library = fs::canonicalize(installed.prefix.join("lib/pointsman/libonnxruntime.so")).expect("a library");
    let said = runtime["finding"].as_str().expect("text");
    assert!(said.contains(&library.display().to_string()), "{said}");
    assert_eq!(finding("classifiers.default")["grade"], "ok", "{report:#}");
}

#[tokio::test]
async fn the_demo_and_an_import_take_the_installed_bundle() {
    let installed = Installed::new();
    let foreign = installed.elsewhere.join("config.yaml");
    fs::write(
        &foreign,
        "model_list:
  - {model_name: small, litellm_params: {model: openai/gpt-5.4-nano}}
  - {model_name: large, litellm_params: {model: openai/gpt-5.5}}
  - model_name: smart
    litellm_params:
      model: auto_router/complexity_router
      complexity_router_config: {tiers: {SIMPLE: small, MEDIUM: small, COMPLEX: large, REASONING: large}}
",
    )
    .expect("a file");

    let shown_prompts = installed.run(&["demo", "--once"]).await;
    let imported = installed.run(&["import", "--from", "litellm", "config.yaml", "--output", "out.yaml"]).await;
    let checked = installed.run(&["check", "-c", "out.yaml"]).await;

    assert!(shown_prompts.status.success(), "{}", shown(&shown_prompts));
    let yaml = fs::read_to_string(installed.elsewhere.join("out.yaml"))
        .unwrap_or_else(|error| panic!("{error}: {}", shown(&imported)));
    assert!(yaml.contains(&installed.bundle()), "{yaml}");
    assert!(checked.status.success(), "{}", shown(&checked));
}
