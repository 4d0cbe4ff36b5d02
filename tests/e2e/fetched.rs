//! A configuration from a URL: signed, asked for by its tag, kept on disk, and never given up for what does not count.

use std::fs;
use std::process::{Command, Output, Stdio};

use http::StatusCode;
use serde_json::Value;

use crate::client::{Connection, Framing, chat, get, question};
use crate::config_server::{ConfigServer, Manner};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;
use crate::signer::Signer;
use crate::soon;

/// A gateway whose configuration a server gives, and what both were started with.
struct Fetched {
    server: ConfigServer,
    config: Config,
    signer: Signer,
    cache: tempfile::TempDir,
    _small: Origin,
}

impl Fetched {
    /// Starts a server that has a signed configuration whose small model is called `name`.
    async fn with(name: &str) -> Self {
        let small = Origin::start().await;
        let config = Config::new(&small, &small);
        let (server, cache) = (ConfigServer::start().await, tempfile::tempdir().expect("a folder"));
        let this = Self { server, config, signer: Signer::new(1), cache, _small: small };
        this.sign(name, "timestamp:100 first");
        this
    }

    fn yaml(&self, name: &str) -> String {
        Config { small_name: name.to_owned(), ..self.config.clone() }.yaml()
    }

    fn sign(&self, name: &str, comment: &str) {
        self.server.sign(&self.yaml(name), &self.signer, comment);
    }

    fn arguments(&self) -> Vec<String> {
        let cache = self.cache.path().display().to_string();
        let key = self.signer.public_key();
        ["-c", &self.server.url(), "--config-public-key", &key, "--config-interval", "1s", "--config-timeout", "3s"]
            .iter()
            .chain(&["--config-cache", &cache])
            .map(|text| (*text).to_owned())
            .collect()
    }

    async fn gateway(&self) -> Gateway {
        self.gateway_with(&[], &[]).await
    }

    async fn gateway_with(&self, more: &[&str], environment: &[(&str, &str)]) -> Gateway {
        let own = self.arguments();
        let arguments: Vec<&str> = own.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Gateway::serve(&arguments, environment).await
    }

    /// Runs a command with the arguments that name the source.
    async fn run(&self, command: &str) -> Output {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        process.arg(command).args(self.arguments()).stdin(Stdio::null());
        run(process).await
    }
}

async fn run(mut process: Command) -> Output {
    process.current_dir(env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "a test may block a thread of its own")]
    let output = tokio::task::spawn_blocking(move || process.output());
    soon("the command's end", output).await.expect("no panic").expect("it runs")
}

async fn source(gateway: &Gateway) -> Value {
    get(gateway.admin, "/generation").await.json()["source"].clone()
}

async fn until_source(gateway: &Gateway, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    soon(what, async {
        loop {
            let shown = source(gateway).await;
            if is_wanted(&shown) {
                return shown;
            }
        }
    })
    .await
}

async fn model(gateway: &Gateway) -> String {
    let reply = chat(gateway.listen, question("auto", "hello")).await;
    reply.json()["model"].as_str().expect("a model").to_owned()
}

fn texts(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_signed_configuration_is_fetched_served_and_replaced_by_the_next_one() {
    let fetched = Fetched::with("one").await;
    let token = [("POINTSMAN_TEST_TOKEN", "Bearer planted")];
    let gateway = fetched.gateway_with(&["--config-header", "authorization=env:POINTSMAN_TEST_TOKEN"], &token).await;

    let first = source(&gateway).await;
    soon("a question that costs nothing", async {
        while fetched.server.not_modified() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let served = model(&gateway).await;
    fetched.sign("two", "timestamp:200 second");
    until_metric(&gateway, "pointsman_generation 2").await;
    let second = source(&gateway).await;

    assert_eq!((served.as_str(), model(&gateway).await.as_str()), ("one", "two"));
    assert_eq!((&first["kind"], &first["state"], &first["copy"]), (&"http".into(), &"ready".into(), &"kept".into()));
    assert_eq!(first["name"], fetched.server.url());
    assert_eq!(first["version"]["signature"]["comment"], "timestamp:100 first");
    assert_eq!(second["version"]["signature"]["signed_at"], "1970-01-01T00:03:20Z");
    assert_ne!(first["version"]["etag"], second["version"]["etag"]);
    let requests = fetched.server.requests();
    assert!(requests.iter().all(|head| head.contains("authorization: bearer planted\r\n")), "{requests:?}");
    let signatures = requests.iter().filter(|head| head.contains(".minisig")).count();
    assert_eq!(signatures, 2, "one for each text, none for what has not changed");
    let log = gateway.log();
    assert!(log.contains("trigger=\"source\"") && !log.contains("planted"), "{log}");
    until_metric(&gateway, "pointsman_config_source_checks_total{outcome=\"changed\"} 1").await;
}

#[tokio::test]
async fn what_does_not_count_changes_nothing_and_is_told_once() {
    let fetched = Fetched::with("one").await;
    let gateway = fetched.gateway().await;
    let (next, other) = (fetched.yaml("two"), Signer::new(2));
    let signature = fetched.signer.sign(next.as_bytes(), "timestamp:200");
    let large = format!("{next}# {}\n", "x".repeat(1 << 20));
    let bad = [
        (next.clone(), None, "no signature"),
        (next.clone(), Some(other.sign(next.as_bytes(), "timestamp:200")), "by another key"),
        (next.clone() + "# changed\n", Some(signature.clone()), "does not hold"),
        (large.clone(), Some(fetched.signer.sign(large.as_bytes(), "timestamp:200")), "more bytes than are read"),
        (next.clone(), Some(fetched.signer.sign(next.as_bytes(), "timestamp:99")), "before the text that serves"),
        ("version: 2\n".to_owned(), Some(fetched.signer.sign(b"version: 2\n", "timestamp:200")), "was refused"),
    ];

    for (count, (text, signature, wanted)) in bad.into_iter().enumerate() {
        fetched.server.put(&text, signature);
        let shown =
            until_source(&gateway, wanted, |source| source["detail"].as_str().is_some_and(|own| own.contains(wanted)))
                .await;
        until_metric(&gateway, &format!("pointsman_config_reloads_total{{outcome=\"rejected\"}} {}", count + 1)).await;
        assert_eq!((&shown["state"], model(&gateway).await.as_str()), (&"degraded".into(), "one"), "{shown}");
    }
    let ready = get(gateway.admin, "/readyz").await.json();
    fetched.server.put(&next, Some(signature));
    until_metric(&gateway, "pointsman_generation 2").await;

    assert_eq!((&ready["ready"], &ready["last_reload"]["outcome"]), (&true.into(), &"rejected".into()));
    assert_eq!(model(&gateway).await, "two");
    until_metric(&gateway, "pointsman_config_reloads_total{outcome=\"rejected\"} 6").await;
    until_source(&gateway, "ready again", |source| source["state"] == "ready").await;
}

#[tokio::test]
async fn a_source_that_is_away_is_told_since_when_and_what_serves_goes_on() {
    let fetched = Fetched::with("one").await;
    let gateway = fetched.gateway().await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;

    for (manner, wanted) in [(Manner::Status(500), "answers 500"), (Manner::Silent, "within 3s")] {
        fetched.server.behave(manner);
        let shown =
            until_source(&gateway, wanted, |source| source["detail"].as_str().is_some_and(|own| own.contains(wanted)))
                .await;
        assert!(shown["trouble_since"].is_string() && shown["reached"].is_string(), "{shown}");
        assert_eq!(model(&gateway).await, "one");
    }
    let asked = admin.post(Framing::Length, "/reload", String::new()).await;
    fetched.server.behave(Manner::Whole);
    fetched.sign("two", "timestamp:200");
    until_metric(&gateway, "pointsman_generation 2").await;

    assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "whoever asks for what there is now is told");
    let log = gateway.log();
    assert_eq!(log.matches("source is away").count(), 1, "{log}");
    assert!(log.contains("is there again"), "{log}");
}

#[tokio::test]
async fn a_start_without_the_source_serves_the_copy_that_is_verified_anew() {
    let fetched = Fetched::with("one").await;
    let mut before = fetched.gateway().await;
    before.stop();
    fetched.server.behave(Manner::Status(503));

    let gateway = fetched.gateway().await;
    let shown = source(&gateway).await;
    let served = model(&gateway).await;
    drop(gateway);
    let copy =
        fs::read_dir(fetched.cache.path()).expect("a folder").next().expect("a copy").expect("it is there").path();
    let text = fs::read_to_string(&copy).expect("text").replace("frontier-1", "frontier-2");
    fs::write(&copy, text).expect("written");
    let tampered = fetched.run("serve").await;
    fs::remove_file(&copy).expect("it is there");
    let empty = fetched.run("serve").await;

    assert_eq!((served.as_str(), &shown["state"]), ("one", &"degraded".into()));
    for output in [tampered, empty] {
        assert_eq!(output.status.code(), Some(69), "{}", texts(&output));
        assert!(texts(&output).contains("answers 503"), "{}", texts(&output));
    }
}

#[tokio::test]
async fn a_start_takes_the_copy_where_the_source_has_what_does_not_serve_or_an_older_text() {
    let fetched = Fetched::with("one").await;
    fetched.gateway().await.stop();

    fetched.server.sign("version: 2\n", &fetched.signer, "timestamp:200");
    let first = fetched.gateway().await;
    let unreadable = (model(&first).await, first.log());
    drop(first);
    let unbuildable = Config { classifier: ", require: true".to_owned(), ..fetched.config.clone() };
    fetched.server.sign(&unbuildable.yaml(), &fetched.signer, "timestamp:200");
    let next = fetched.gateway().await;
    let unbuilt = (model(&next).await, next.log());
    drop(next);
    fetched.sign("old", "timestamp:50");
    let second = fetched.gateway().await;
    let older = (model(&second).await, second.log());

    assert_eq!([&unreadable.0, &unbuilt.0, &older.0], ["one"; 3]);
    for (_, log) in [&unreadable, &unbuilt] {
        assert!(log.contains("kept copy of the configuration serves"), "{log}");
    }
    assert!(older.1.contains("before the text that serves"), "{}", older.1);
}

#[tokio::test]
async fn redirects_are_followed_within_the_host_and_nowhere_else() {
    let fetched = Fetched::with("one").await;
    let elsewhere = ConfigServer::start().await;
    fetched.server.behave(Manner::Redirect("/moved".to_owned()));

    let within = fetched.run("check").await;
    fetched.server.behave(Manner::Redirect(elsewhere.url()));
    let without = fetched.run("check").await;
    fetched.server.behave(Manner::Redirect("/again".to_owned()));
    let circle = fetched.run("check").await;

    // The bundle of these configurations is not there, which `check` says after it has read one.
    assert!(texts(&within).contains("signature: good (key 0101010101010101"), "{}", texts(&within));
    assert_eq!((without.status.code(), circle.status.code()), (Some(69), Some(69)));
    assert!(texts(&without).contains("redirects to another host"), "{}", texts(&without));
    assert!(texts(&circle).contains("more than 3 times"), "{}", texts(&circle));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn the_console_shows_what_is_fetched_and_does_not_change_it() {
    let fetched = Fetched::with("one").await;
    let yaml = fetched
        .yaml("one")
        .replace("admin: {address: 127.0.0.1:0}", "admin: {address: 127.0.0.1:0, console: {edit: true}}");
    fetched.server.sign(&yaml, &fetched.signer, "timestamp:100");
    let gateway = fetched.gateway().await;

    let shown = get(gateway.admin, "/api/configuration").await.json();
    let generations = get(gateway.admin, "/api/generations").await.json();

    assert_eq!((&shown["editable"], &shown["text"]), (&false.into(), &yaml.into()));
    assert_eq!(generations["source"]["kind"], "http");
    assert_eq!(generations["records"][0]["version"]["signature"]["key_id"], "0101010101010101");
}

#[tokio::test]
async fn a_signature_is_checked_offline_beside_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.yaml");
    let text = "version: 1\nlisten: {address: 127.0.0.1:8080}\nproviders: {p: {base_url: 'http://h'}}\nmodels: {m: {provider: p}}\n";
    let signer = Signer::new(1);
    fs::write(&file, text).expect("written");
    let check = async || {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        process.arg("check").arg("-c").arg(&file).args(["--public-key", &signer.public_key()]);
        run(process).await
    };

    let unsigned = check().await;
    fs::write(folder.path().join("p.yaml.minisig"), signer.sign(text.as_bytes(), "timestamp:100 by hand"))
        .expect("written");
    let signed = check().await;
    fs::write(&file, format!("{text}# changed\n")).expect("written");
    let changed = check().await;

    assert_eq!((unsigned.status.code(), changed.status.code()), (Some(78), Some(78)));
    assert!(texts(&unsigned).contains("no signature"), "{}", texts(&unsigned));
    assert!(texts(&changed).contains("does not hold"), "{}", texts(&changed));
    assert_eq!(signed.status.code(), Some(0), "{}", texts(&signed));
    assert!(
        texts(&signed).contains("signed 1970-01-01T00:01:40Z, comment `timestamp:100 by hand`"),
        "{}",
        texts(&signed)
    );
}
