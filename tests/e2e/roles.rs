//! Who may do what on the admin plane: tokens, certificates, what rotates, what a rollback does not bring back, and the
//! audit lines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{Connection, Framing, Reply, get};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::soon;

const ADMIN: &str = "admin: {address: 127.0.0.1:0}";

/// Returns the section `auth` with a token for each of these roles, called and spelt after them.
fn auth(roles: &[&str]) -> String {
    let token = |role: &&str| format!("{{name: {role}, sha256: {}, role: {role}}}", hash(&format!("{role}-token")));
    format!("auth: {{tokens: [{}]}}", roles.iter().map(token).collect::<Vec<_>>().join(", "))
}

/// Writes the configuration with these keys of `admin` beside the address.
fn with(yaml: &str, rest: &str) -> String {
    yaml.replace(ADMIN, &format!("admin: {{address: 127.0.0.1:0, {rest}}}"))
}

fn placed(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("pointsman.yaml");
    fs::write(&file, text).expect("a writable folder");
    file
}

fn governed(folder: &Path, yaml: &str) -> PathBuf {
    placed(folder, &with(yaml, &format!("{}, console: {{edit: true}}", auth(&["view", "operate", "edit"]))))
}

/// A gateway with a token for each role, and its origin.
async fn start() -> (Gateway, Config, Origin) {
    let small = Origin::start().await;
    let config = Config::new(&small, &small);
    (Gateway::start_placed(&config, governed).await, config, small)
}

/// Sends a request to the admin plane with a token.
async fn send(gateway: &Gateway, token: &str, (method, path): (Method, &str), body: &str) -> Reply {
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let request = connection.request(method, path).header("content-type", "application/json");
    let request = if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) };
    let request = request.body(Framing::Length.body(Bytes::from(body.to_owned()))).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

/// Waits until the log has an audit line with all of these.
pub(crate) async fn audited(gateway: &Gateway, parts: &[&str]) {
    let has =
        || gateway.log().lines().any(|line| line.contains(" audit: ") && parts.iter().all(|part| line.contains(part)));
    soon(&format!("an audit line with {parts:?}"), async {
        while !has() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_is_made_by_who_may_and_written_down_with_the_generations_around_it() {
    let (gateway, config, _small) = start().await;
    gateway.write(&with(&config.yaml().replace("small-1", "small-2"), &auth(&["view", "operate", "edit"])));

    let seen = send(&gateway, "view-token", (Method::GET, "/config"), "").await;
    let refused = send(&gateway, "view-token", (Method::POST, "/rollback"), "").await;
    let nobody = send(&gateway, "", (Method::POST, "/rollback"), "").await;
    soon("the next generation", async { while get(gateway.admin, "/readyz").await.json()["generation"] != 2 {} }).await;
    let made = send(&gateway, "operate-token", (Method::POST, "/rollback"), "").await;

    assert_eq!([seen.status, nobody.status, made.status], [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::OK]);
    assert_eq!((refused.status, refused.error_code().as_str()), (StatusCode::FORBIDDEN, "role_too_low"));
    assert!(!gateway.log().contains("-token"), "no token is logged");
    audited(&gateway, &["rollback", "outcome=\"refused\"", "caller=\"view\"", "status=403"]).await;
    audited(&gateway, &["reload", "caller=\"file\"", "generation_before=1", "generation_after=2"]).await;
    audited(
        &gateway,
        &["rollback", "outcome=\"done\"", "caller=\"operate\"", "generation_before=2", "generation_after=3"],
    )
    .await;
}

#[tokio::test]
async fn every_change_leaves_a_line_whatever_becomes_of_it() {
    let (gateway, _config, _small) = start().await;

    for ((method, path), body, action) in [
        ((Method::POST, "/reload"), "", "reload"),
        ((Method::POST, "/rollback"), "", "rollback"),
        ((Method::PUT, "/kill-switch"), r#"{"killed": true, "policy": "auto"}"#, "kill_switch"),
        ((Method::POST, "/bandits/reset"), r#"{"policy": "auto"}"#, "bandit_reset"),
        ((Method::POST, "/v1/feedback"), r#"{"request_id": "x", "rating": 1}"#, "feedback"),
        ((Method::PUT, "/api/configuration"), r#"{"text": ""}"#, "configuration"),
    ] {
        let reply = send(&gateway, "edit-token", (method.clone(), path), body).await;
        assert!(![401, 403].contains(&reply.status.as_u16()), "{path}: {:?}", reply.body);

        let (action, status) = (format!("action=\"{action}\""), format!("status={}", reply.status.as_u16()));
        let route = format!("route=\"{method} {path}\"");
        audited(&gateway, &[&action, &status, &route, "caller=\"edit\"", "caller_kind=\"token\"", "peer=127.0.0.1"])
            .await;
    }
    audited(&gateway, &["kill_switch", "subject=\"auto out of service\""]).await;
    gateway.write("broken: [");
    gateway.signal(Signal::HUP);
    audited(&gateway, &["caller_kind=\"process\"", "outcome=\"failed\"", "generation_after=1"]).await;
}

#[tokio::test]
async fn without_the_section_whoever_is_on_this_machine_may_and_the_line_says_so() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;

    assert_eq!(send(&gateway, "", (Method::POST, "/reload"), "").await.status, StatusCode::OK);

    audited(&gateway, &["action=\"reload\"", "caller=\"loopback\"", "caller_kind=\"loopback\"", "role=\"edit\""]).await;
}

#[tokio::test]
async fn a_plane_that_knows_its_callers_needs_no_other_word_to_be_reached_by_other_machines() {
    let small = Origin::start().await;
    let place = |folder: &Path, yaml: &str| {
        placed(
            folder,
            &with(yaml, &auth(&["view"])).replace("admin: {address: 127.0.0.1:0", "admin: {address: 0.0.0.0:0"),
        )
    };
    let gateway = Gateway::start_placed(&Config::new(&small, &small), place).await;

    let near = std::net::SocketAddr::from(([127, 0, 0, 1], gateway.admin.port()));
    assert_eq!(get(near, "/config").await.status, StatusCode::UNAUTHORIZED, "loopback is no exception");
    assert!(!gateway.log().contains("without a key"), "{}", gateway.log());
}

#[tokio::test]
async fn a_token_is_rotated_by_a_reload_and_no_rollback_brings_the_old_one_back() {
    let (gateway, config, _small) = start().await;
    let next = format!("auth: {{tokens: [{{name: operate, sha256: {}, role: operate}}]}}", hash("new-token"));
    gateway.write(&with(&config.yaml().replace("small-1", "small-2"), &next));
    send(&gateway, "operate-token", (Method::POST, "/reload"), "").await;
    let old = send(&gateway, "operate-token", (Method::POST, "/rollback"), "").await;
    let new = send(&gateway, "new-token", (Method::POST, "/rollback"), "").await;

    assert_eq!((old.status, new.status), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    for gone in ["operate-token", "edit-token"] {
        assert_eq!(send(&gateway, gone, (Method::GET, "/config"), "").await.status, StatusCode::UNAUTHORIZED, "{gone}");
    }
    let shown = send(&gateway, "new-token", (Method::GET, "/config"), "").await.json();
    assert_eq!(shown["models"]["small"]["name"], "small-1", "the rest is rolled back");
    assert_eq!(shown["admin"]["auth"]["tokens"].as_array().map(Vec::len), Some(1), "{}", shown["admin"]);
    let restored = with(&config.yaml(), &format!("{}, console: {{edit: true}}", auth(&["view", "operate", "edit"])));
    gateway.write(&restored);
    send(&gateway, "new-token", (Method::POST, "/reload"), "").await;
    assert_eq!(send(&gateway, "edit-token", (Method::GET, "/config"), "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rollback_to_before_callers_were_asked_does_not_open_the_plane() {
    let small = Origin::start().await;
    let config = Config::new(&small, &small);
    let gateway = Gateway::start(&config).await;
    gateway.write(&with(&config.yaml(), &auth(&["operate"])));
    send(&gateway, "", (Method::POST, "/reload"), "").await;

    assert_eq!(send(&gateway, "operate-token", (Method::POST, "/rollback"), "").await.status, StatusCode::OK);

    assert_eq!(send(&gateway, "", (Method::GET, "/config"), "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_text_of_the_file_is_whole_for_editors_alone() {
    let (gateway, _config, _small) = start().await;
    let shown = async |token: &str| send(&gateway, token, (Method::GET, "/api/configuration"), "").await.json();

    let (seen, whole) = (shown("view-token").await, shown("edit-token").await);
    assert_eq!((&seen["editable"], &whole["editable"]), (&json!(false), &json!(true)));
    let (hash, text) =
        (hash("edit-token"), |shown: &serde_json::Value| shown["text"].as_str().expect("a text").to_owned());
    assert!(text(&whole).contains(&hash) && !text(&seen).contains(&hash), "of hashes readers see the beginning");
    assert!(text(&seen).contains(&format!("{}***", &hash[..4])), "{}", text(&seen));
    for token in ["view-token", "operate-token"] {
        let saved = send(&gateway, token, (Method::PUT, "/api/configuration"), r#"{"text": "version: 1"}"#).await;
        assert_eq!(saved.error_code(), "role_too_low");
    }
}

/// A certificate authority of a test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Returns the certificate and the key of `name`, in PEM.
    pub(crate) fn certify(&self, name: &str, host: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// Returns how a client speaks TLS that trusts an authority, given in PEM, with a certificate of its own, or without.
pub(crate) fn client_tls(trusted: &str, own: Option<&(String, String)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).expect("a certificate")).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    match own {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            config.with_client_auth_cert(chain, key).expect("they fit")
        }
    }
}

/// Opens a connection over TLS with a client certificate, or without, and asks for a path.
async fn ask_tls(
    gateway: &Gateway,
    trusted: &Authority,
    own: Option<&(String, String)>,
    request: http::request::Builder,
) -> std::io::Result<StatusCode> {
    let config = client_tls(&trusted.pem, own);
    let stream = TcpStream::connect(gateway.admin).await?;
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let stream = soon("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let request = request.header("host", "127.0.0.1").body(Full::new(Bytes::new())).expect("a valid request");
    let answer = soon("an answer", sender.send_request(request)).await.map_err(std::io::Error::other)?;
    Ok(answer.status())
}

/// The configuration of a plane that asks for certificates, whose files are in the folder of the configuration.
fn certified(folder: &Path, yaml: &str) -> PathBuf {
    let tls = "tls: {cert: cert.pem, key: key.pem, client_ca: ca.pem}";
    let certificates =
        "certificates: [{name: ops, common_name: alice, role: operate}, {name: watch, san: watch.example, role: view}]";
    let tokens = format!("tokens: [{{name: ci, sha256: {}, role: view}}]", hash("ci-token"));
    let authority = Authority::new("admin CA");
    let (cert, key) = authority.certify("gateway", "127.0.0.1");
    for (name, text) in [("ca.pem", &authority.pem), ("cert.pem", &cert), ("key.pem", &key)] {
        fs::write(folder.join(name), text).expect("a writable folder");
    }
    for (name, host) in [("alice", "alice.example"), ("bob", "watch.example"), ("eve", "eve.example")] {
        let (cert, key) = authority.certify(name, host);
        fs::write(folder.join(format!("{name}.pem")), cert).expect("a writable folder");
        fs::write(folder.join(format!("{name}.key")), key).expect("a writable folder");
    }
    placed(folder, &with(yaml, &format!("{tls}, auth: {{{certificates}, {tokens}}}")))
}

fn own_of(gateway: &Gateway, name: &str) -> (String, String) {
    let read = |file: String| fs::read_to_string(gateway.folder().join(file)).expect("it was written");
    (read(format!("{name}.pem")), read(format!("{name}.key")))
}

#[tokio::test]
async fn a_certificate_that_an_authority_vouches_for_is_a_caller_with_its_role() {
    let small = Origin::start().await;
    let gateway = Gateway::start_placed(&Config::new(&small, &small), certified).await;
    let trusted = Authority { pem: own_pem(&gateway, "ca.pem"), ..Authority::new("unused") };
    let stranger = Authority::new("another CA").certify("alice", "alice.example");
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| own_of(&gateway, name));
    let ask = async |own: Option<&(String, String)>, request| ask_tls(&gateway, &trusted, own, request).await;
    let (config, reload) = (|| Request::get("/config"), || Request::post("/reload"));

    assert_eq!(ask(Some(&alice), reload()).await.expect("an answer"), StatusCode::OK, "by its common name");
    assert_eq!(ask(Some(&bob), config()).await.expect("an answer"), StatusCode::OK, "by its alternative name");
    assert_eq!(ask(Some(&bob), reload()).await.expect("an answer"), StatusCode::FORBIDDEN);
    assert_eq!(ask(Some(&eve), config()).await.expect("an answer"), StatusCode::UNAUTHORIZED, "nobody's certificate");
    assert_eq!(ask(None, config()).await.expect("an answer"), StatusCode::UNAUTHORIZED);
    let token = config().header("authorization", "Bearer ci-token");
    assert_eq!(ask(None, token).await.expect("an answer"), StatusCode::OK, "a token will do");
    assert_eq!(ask(None, Request::get("/readyz")).await.expect("an answer"), StatusCode::OK);
    assert!(ask(Some(&stranger), config()).await.is_err(), "nobody vouches for it");
    audited(&gateway, &["action=\"reload\"", "caller=\"ops\"", "caller_kind=\"certificate\"", "outcome=\"done\""])
        .await;
}

fn own_pem(gateway: &Gateway, file: &str) -> String {
    fs::read_to_string(gateway.folder().join(file)).expect("it was written")
}

#[tokio::test]
async fn authorities_that_are_replaced_vouch_for_nobody_any_more() {
    let small = Origin::start().await;
    let gateway = Gateway::start_placed(&Config::new(&small, &small), certified).await;
    let trusted = Authority { pem: own_pem(&gateway, "ca.pem"), ..Authority::new("unused") };
    let alice = own_of(&gateway, "alice");
    assert_eq!(
        ask_tls(&gateway, &trusted, Some(&alice), Request::get("/config")).await.expect("an answer"),
        StatusCode::OK
    );

    let next = Authority::new("next CA");
    fs::write(gateway.folder().join("ca.pem"), &next.pem).expect("a writable folder");

    soon("the next authorities", async {
        while ask_tls(&gateway, &trusted, Some(&alice), Request::get("/config")).await.is_ok() {}
    })
    .await;
    let alice = next.certify("alice", "alice.example");
    let answer = ask_tls(&gateway, &trusted, Some(&alice), Request::get("/config")).await;
    assert_eq!(answer.expect("an answer"), StatusCode::OK);
}

/// Runs the binary with the configuration as it is reached: its free port by number.
fn pointsman(gateway: &Gateway, arguments: &[&str], token: Option<&str>) -> Output {
    let text = fs::read_to_string(gateway.file()).expect("a text");
    let file = gateway.folder().join("reached.yaml");
    let reached = text.replace("admin: {address: 127.0.0.1:0", &format!("admin: {{address: {}", gateway.admin));
    fs::write(&file, reached).expect("a writable folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).arg("-c").arg(&file).current_dir(gateway.folder()).env_remove("POINTSMAN_ADMIN_TOKEN");
    command.envs(token.map(|token| ("POINTSMAN_ADMIN_TOKEN", token)));
    command.output().expect("the binary runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_take_the_token_from_the_environment_or_a_file() {
    let (gateway, _config, _small) = start().await;
    fs::write(gateway.folder().join("token"), "operate-token\n").expect("a writable folder");
    let text = |output: &Output| String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();

    let known = pointsman(&gateway, &["admin", "whoami"], Some("view-token"));
    let low = pointsman(&gateway, &["admin", "reload"], Some("view-token"));
    let made = pointsman(&gateway, &["admin", "reload", "--token-file", "token"], None);
    let nobody = pointsman(&gateway, &["admin", "whoami"], None);
    let doctor = pointsman(&gateway, &["doctor"], Some("view-token"));
    let stranger = pointsman(&gateway, &["doctor"], None);

    assert!(known.status.success() && text(&known).contains(r#""name":"view""#), "{}", text(&known));
    assert_eq!(low.status.code(), Some(1));
    assert!(text(&low).contains("needs the role `operate`"), "{}", text(&low));
    assert!(made.status.success(), "{}", text(&made));
    assert!(nobody.status.code() == Some(1) && text(&nobody).contains("Say who you are"), "{}", text(&nobody));
    assert!(text(&doctor).contains("gateway.classifiers.default"), "{}", text(&doctor));
    assert!(text(&stranger).contains("strangers are not told"), "{}", text(&stranger));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_show_a_certificate_and_believe_the_listener_s_own_alone() {
    let small = Origin::start().await;
    let gateway = Gateway::start_placed(&Config::new(&small, &small), certified).await;
    let text = |output: &Output| String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    let shown = ["--client-cert", "alice.pem", "--client-key", "alice.key"];

    let known = pointsman(&gateway, &[&["admin", "whoami"][..], &shown].concat(), None);
    let vouched = pointsman(&gateway, &[&["admin", "whoami"][..], &shown, &["--admin-ca", "ca.pem"]].concat(), None);
    let (cert, key) = Authority::new("another").certify("gateway", "127.0.0.1");
    fs::write(gateway.folder().join("other.pem"), cert).expect("a writable folder");
    fs::write(gateway.folder().join("other.key"), key).expect("a writable folder");
    let wrong = pointsman(&gateway, &[&["admin", "whoami"][..], &shown, &["--admin-ca", "other.pem"]].concat(), None);

    assert!(known.status.success() && text(&known).contains(r#""kind":"certificate""#), "{}", text(&known));
    assert!(vouched.status.success(), "{}", text(&vouched));
    assert_eq!(wrong.status.code(), Some(69), "{}", text(&wrong));
}

#[test]
fn a_token_that_is_drawn_comes_with_its_line_for_the_configuration() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let output = command.args(["admin", "token", "ci", "operate"]).output().expect("the binary runs");

    let text = String::from_utf8(output.stdout).expect("text");
    let (token, line) = text.trim_end().split_once('\n').expect("two lines");
    assert_eq!(line, format!("- {{name: ci, sha256: {}, role: operate}}", hash(token)));
}
