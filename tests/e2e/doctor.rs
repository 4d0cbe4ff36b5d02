//! `pointsman doctor`: what it finds wrong with a set-up that runs, and with one that does not.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::cli::text;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::soon;

const ENVIRONMENT: [(&str, &str); 1] = [("DOCTOR_KEY", "sk-planted-key")];

/// The findings of `doctor` on a configuration.
pub(crate) struct Examined {
    output: Output,
    report: Value,
    _folder: TempDir,
}

impl Examined {
    pub(crate) async fn of(yaml: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("p.yaml");
        fs::write(&file, yaml).expect("a writable folder");
        let output = doctor(&file, &[&["--json"], more].concat()).await;
        let report =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
        Self { output, report, _folder: folder }
    }

    /// Returns a finding's grade and what it says.
    pub(crate) fn finding(&self, check: &str) -> (String, String) {
        let findings = self.report["findings"].as_array().expect("findings");
        let found = findings.iter().find(|finding| finding["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no finding on {check}: {:#}", self.report));
        let word = |key: &str| found[key].as_str().expect("text").to_owned();
        assert!(found["grade"] == "ok" || found["grade"] == "skipped" || found["do"].is_string(), "{found}");
        (word("grade"), word("finding"))
    }

    pub(crate) fn grade(&self, check: &str) -> String {
        self.finding(check).0
    }
}

async fn doctor(file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("doctor").arg("-c").arg(file).args(more).envs(ENVIRONMENT).current_dir(env!("CARGO_MANIFEST_DIR"));
    soon("the findings", command.stdout(Stdio::piped()).stderr(Stdio::piped()).output())
        .await
        .expect("the binary starts")
}

fn list(models: &[&str]) -> Answer {
    let models: Vec<Value> = models.iter().map(|name| json!({"id": name})).collect();
    let body = json!({"data": models}).to_string();
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.into())
}

fn keyed(small: &Origin, frontier: &Origin) -> Config {
    Config { credential: "{env: DOCTOR_KEY}", ..Config::new(small, frontier) }
}

#[tokio::test]
async fn a_set_up_that_works_has_no_failures() {
    let (small, frontier) = (Origin::answering([list(&["small-1"])]).await, Origin::start().await);
    let config = Config { bundle: crate::gateway::bundle(), ..keyed(&small, &frontier) };

    let examined = Examined::of(&config.yaml(), &[]).await;

    assert_eq!(
        (examined.output.status.code(), &examined.report["ok"]),
        (Some(0), &json!(true)),
        "{:#}",
        examined.report
    );
    for check in [
        "configuration",
        "admin.address",
        "listen.address",
        "classifiers.default",
        "providers.one.connection",
        "providers.one.key",
        "providers.one.clock",
        "providers.one.models",
        "file watches",
    ] {
        assert_eq!(examined.grade(check), "ok", "{check}: {:#}", examined.report);
    }
    assert_eq!(small.next().await.header("authorization"), Some("Bearer sk-planted-key"));
    assert!(!text(&examined.output.stdout).contains("planted"));
}

#[tokio::test]
async fn a_gateway_that_runs_is_found_by_its_admin_listener() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { bundle: crate::gateway::bundle(), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let yaml = config.yaml().replacen("127.0.0.1:0", &gateway.listen.to_string(), 1);
    let yaml = yaml.replacen("127.0.0.1:0", &gateway.admin.to_string(), 1);

    let examined = Examined::of(&yaml, &[]).await;
    let other = Examined::of(&yaml.replace(&gateway.admin.to_string(), &nobody().await.to_string()), &[]).await;

    let (grade, said) = examined.finding("gateway");
    assert_eq!((&*grade, said.contains("generation 1")), ("ok", true), "{said}");
    assert_eq!((examined.grade("listen.address"), examined.output.status.code()), ("ok".to_owned(), Some(0)));
    assert_eq!((other.grade("listen.address"), other.output.status.code()), ("fail".to_owned(), Some(1)));
}

#[tokio::test]
async fn a_port_that_another_program_has_fails() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let config = Config { listen: format!("{{address: {address}}}"), ..Config::new(&small, &frontier) };

    let examined = Examined::of(&config.yaml(), &[]).await;

    let (grade, said) = examined.finding("listen.address");
    assert_eq!((&*grade, said), ("fail", format!("{address} is taken by another program")));
    assert_eq!(examined.output.status.code(), Some(1));
}

#[tokio::test]
async fn a_key_that_is_refused_fails_and_is_not_shown() {
    let refusal = Answer::Reply(StatusCode::UNAUTHORIZED, Vec::new(), "{}".into());
    let (small, frontier) = (Origin::answering([refusal]).await, Origin::start().await);

    let examined = Examined::of(&keyed(&small, &frontier).yaml(), &[]).await;

    assert_eq!(examined.finding("providers.one.key"), ("fail".to_owned(), "the key is refused (401)".to_owned()));
    assert_eq!(examined.output.status.code(), Some(1));
    assert!(!text(&examined.output.stdout).contains("planted"));
}

#[tokio::test]
async fn a_provider_that_is_not_there_and_a_model_that_is_not_listed_are_said() {
    let (small, frontier) = (Origin::answering([list(&["other"])]).await, Origin::start().await);
    let config = Config { frontier: nobody().await, ..keyed(&small, &frontier) };

    let examined = Examined::of(&config.yaml(), &[]).await;

    assert_eq!(examined.grade("providers.two.connection"), "fail");
    let (grade, said) = examined.finding("providers.one.models");
    assert_eq!((&*grade, said.contains("`small-1`")), ("warn", true), "{said}");
}

#[tokio::test]
async fn a_clock_that_is_far_from_a_provider_s_fails() {
    let old = vec![("date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("content-type", "application/json")];
    let answer = Answer::Reply(StatusCode::OK, old, json!({"data": []}).to_string().into());
    let (small, frontier) = (Origin::answering([answer]).await, Origin::start().await);

    let examined = Examined::of(&keyed(&small, &frontier).yaml(), &[]).await;

    let (grade, said) = examined.finding("providers.one.clock");
    assert_eq!((&*grade, said.contains("ahead of the provider's")), ("fail", true), "{said}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_fails_until_its_authority_is_named() {
    let (small, frontier) = (Origin::with_tls().await, Origin::start().await);
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/ca.pem");
    let strange = Config { scheme: "https", ..Config::new(&small, &frontier) };
    let trusted = Config {
        scheme: "https",
        one: vec![format!("tls: {{ca: {}, sni: llm.test}}", ca.display())],
        ..Config::new(&small, &frontier)
    };

    let strange = Examined::of(&strange.yaml(), &[]).await;
    let trusted = Examined::of(&trusted.yaml(), &[]).await;

    let (grade, said) = strange.finding("providers.one.connection");
    assert_eq!((&*grade, said.contains("not trusted")), ("fail", true), "{said}");
    assert_eq!(trusted.grade("providers.one.connection"), "ok");
    assert_eq!(trusted.grade("providers.one.certificate"), "ok");
}

#[tokio::test]
async fn a_file_that_is_wrong_ends_with_78_and_its_problems() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let yaml = Config::new(&small, &frontier).yaml().replace("provider: one", "provider: nobody");

    let examined = Examined::of(&yaml, &[]).await;

    assert_eq!(examined.output.status.code(), Some(78));
    let (grade, said) = examined.finding("configuration");
    assert_eq!((&*grade, said.contains("nobody")), ("fail", true), "{said}");
}

#[tokio::test]
async fn every_model_is_asked_for_a_word_where_that_is_wanted() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = keyed(&small, &frontier);

    let quiet = Examined::of(&config.yaml(), &[]).await;
    let paths = std::iter::from_fn(|| small.take()).map(|request| request.path).collect::<Vec<_>>();
    frontier.script(list(&[])); // its models API
    frontier.script(Answer::Reply(
        StatusCode::NOT_FOUND,
        vec![("content-type", "application/json")],
        json!({"error": {"message": "no such model"}}).to_string().into(),
    ));
    let asked = Examined::of(&config.yaml(), &["--send"]).await;

    assert_eq!(paths, ["/v1/models"]);
    assert!(quiet.report["findings"].as_array().expect("findings").iter().all(|one| one["check"] != "models.small"));
    assert_eq!(asked.grade("models.small"), "ok", "{:#}", asked.report);
    let (grade, said) = asked.finding("models.frontier");
    assert_eq!((&*grade, said.contains("no such model")), ("fail", true), "{said}");
    assert_eq!(asked.output.status.code(), Some(1));
}

#[tokio::test]
async fn the_report_for_people_says_what_to_do() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.yaml");
    fs::write(&file, Config { small: nobody().await, ..Config::new(&small, &frontier) }.yaml()).expect("written");

    let output = doctor(&file, &[]).await;

    let report = text(&output.stdout);
    assert!(report.lines().any(|line| line.starts_with("FAIL  providers.one.connection")), "{report}");
    assert!(report.contains("      do: look whether the server runs"), "{report}");
    assert!(report.trim_end().ends_with("with a warning"), "{report}");
}
