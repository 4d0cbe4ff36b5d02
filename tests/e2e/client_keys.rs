//! Client keys that are made, rotated and revoked while the gateway runs, and teams.

use std::path::Path;
use std::process::Output;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::affinity::until_store;
use crate::cli::{pointsman, text};
use crate::client::{CHAT, Connection, Framing, Reply, get, question};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::redis::Redis;
use crate::reload::until_metric;
use crate::roles::audited;
use crate::soon;

/// The clients `web` and `app`, whose keys a registry holds.
fn registered(small: &Origin, frontier: &Origin, registry: &str) -> Config {
    let configured = format!("old: {{keys: [{{sha256: {}}}]}}", hash("old"));
    let sections = format!("clients: {{web: {{}}, app: {{}}, {configured}}}\nclient_keys: {registry}\n");
    Config { sections, ..Config::new(small, frontier) }
}

async fn ask(gateway: &Gateway, key: &str) -> StatusCode {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {key}"));
    let request = request.body(Framing::Length.body(question("auto", "hello").into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await.status
}

/// Waits until a key is answered with `status`.
async fn until_status(gateway: &Gateway, key: &str, status: StatusCode) {
    soon("the other's change", async {
        while ask(gateway, key).await != status {
            get(gateway.admin, "/healthz").await;
        }
    })
    .await;
}

async fn admin(gateway: &Gateway, method: Method, path: &str, body: &Value) -> Reply {
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let mut request = connection.request(method, path);
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Framing::Length.body(body)).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn keys(file: &Path, arguments: &[&str]) -> Output {
    let file = file.to_str().expect("a plain name");
    pointsman(&[&["keys"], arguments, &["-c", file]].concat())
}

#[tokio::test]
async fn a_key_is_made_shown_once_rotated_and_revoked_by_the_api() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&registered(&small, &frontier, "{file: keys.jsonl}")).await;

    let made = admin(&gateway, Method::POST, "/v1/keys", &json!({"client": "web", "note": "staging"})).await.json();
    let (id, first) = (made["id"].as_str().expect("a name"), made["key"].as_str().expect("a key"));
    let with_first = ask(&gateway, first).await;
    audited(&gateway, &["key_made", "POST /v1/keys", id]).await;
    let rotated = admin(&gateway, Method::POST, &format!("/v1/keys/{id}/rotate"), &Value::Null).await.json();
    let second = rotated["key"].as_str().expect("a key");
    let in_grace = [ask(&gateway, first).await, ask(&gateway, second).await];
    let hard =
        admin(&gateway, Method::POST, &format!("/v1/keys/{id}/rotate"), &json!({"grace_seconds": 0})).await.json();
    let third = hard["key"].as_str().expect("a key");
    let after = [ask(&gateway, first).await, ask(&gateway, second).await, ask(&gateway, third).await];
    let revoked = admin(&gateway, Method::DELETE, &format!("/v1/keys/{id}"), &Value::Null).await;
    let at_last = ask(&gateway, third).await;
    let rotated_again = admin(&gateway, Method::POST, &format!("/v1/keys/{id}/rotate"), &Value::Null).await;

    let (ok, no) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    assert_eq!((with_first, in_grace, after, at_last), (ok, [ok, ok], [no, no, ok], no), "{}", gateway.log());
    assert!(rotated["former_until"].is_string() && hard["former_until"].is_null());
    assert_eq!((revoked.status, &revoked.json()["standing"]), (ok, &json!("revoked")));
    assert_eq!((rotated_again.status, rotated_again.error_code()), (StatusCode::CONFLICT, "key_not_active".into()));
    assert_eq!(ask(&gateway, "old").await, ok, "what stands in the configuration is good as before");
    let listed = get(gateway.admin, "/v1/keys").await;
    let file = std::fs::read_to_string(gateway.folder().join("keys.jsonl")).expect("the registry");
    let shown = String::from_utf8_lossy(&listed.body).into_owned();
    for key in [first, second, third] {
        assert!(![&shown, &file, &gateway.log()].iter().any(|text| text.contains(key)), "a key is shown once");
    }
    assert!(!shown.contains("sha256"), "{shown}");
    assert!(!gateway.log().contains("caller=\"registry\""), "its own changes are written down once\n{}", gateway.log());
    assert_eq!(listed.json()["keys"][0]["note"], "staging");
    until_metric(&gateway, r#"pointsman_client_keys{standing="revoked"} 1"#).await;
    until_metric(&gateway, "pointsman_generation 1").await;
}

#[tokio::test]
async fn a_key_that_is_rotated_again_leaves_every_former_key_its_grace() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&registered(&small, &frontier, "{file: keys.jsonl}")).await;
    let made = admin(&gateway, Method::POST, "/v1/keys", &json!({"client": "web"})).await.json();
    let id = made["id"].as_str().expect("a name").to_owned();
    let key_of = |shown: &Value| shown["key"].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
    let rotate = async |grace: u64| {
        admin(&gateway, Method::POST, &format!("/v1/keys/{id}/rotate"), &json!({"grace_seconds": grace})).await
    };

    let mut good = vec![key_of(&made)];
    for _ in 0..4 {
        good.push(key_of(&rotate(3600).await.json()));
    }
    let fifth = rotate(3600).await;
    let by_command = keys(&gateway.file(), &["rotate", &id, "--grace", "1h"]);
    let listed = get(gateway.admin, "/v1/keys").await.json();

    for key in &good {
        assert_eq!(ask(&gateway, key).await, StatusCode::OK, "{}", gateway.log());
    }
    assert_eq!((fifth.status, fifth.error_code()), (StatusCode::CONFLICT, "too_many_former_keys".into()));
    assert_eq!(by_command.status.code(), Some(1), "{}", text(&by_command.stderr));
    assert_eq!(listed["keys"][0]["former_keys"], 4, "{listed}");
    let newest = key_of(&rotate(0).await.json());
    for key in &good {
        assert_eq!(ask(&gateway, key).await, StatusCode::UNAUTHORIZED, "a grace of 0 ends all of them");
    }
    assert_eq!(ask(&gateway, &newest).await, StatusCode::OK);
}

#[tokio::test]
async fn a_change_is_written_down_although_its_caller_has_left() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&registered(&small, &frontier, "{file: keys.jsonl}")).await;
    let made = admin(&gateway, Method::POST, "/v1/keys", &json!({"client": "web"})).await.json();
    let id = made["id"].as_str().expect("a name").to_owned();
    let file = gateway.folder().join("keys.jsonl.lock");
    let lock = std::fs::File::create(&file).expect("a file");
    lock.lock().expect("nobody changes the registry");

    let mut stream = tokio::net::TcpStream::connect(gateway.admin).await.expect("a listener");
    let request = format!("DELETE /v1/keys/{id} HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.admin);
    stream.write_all(request.as_bytes()).await.expect("written");
    soon("the change to wait for its turn", async {
        while !gateway.has_open(&file) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stream.shutdown().await.expect("closed");
    drop(stream);
    until_metric(&gateway, "pointsman_generation 1").await; // it has been asked something since
    drop(lock);

    audited(&gateway, &["key_revoked", "outcome=\"done\"", &id]).await;
    until_status(&gateway, made["key"].as_str().expect("a key"), StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn a_running_gateway_takes_over_what_the_command_line_does() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&registered(&small, &frontier, "{file: keys.jsonl}")).await;

    let made = keys(&gateway.file(), &["create", "app", "--note", "laptop"]);
    let (key, said) = (text(&made.stdout).trim().to_owned(), text(&made.stderr));
    let id = said.split(' ').next().expect("a name").to_owned();
    until_status(&gateway, &key, StatusCode::OK).await;
    let rotated = keys(&gateway.file(), &["rotate", &id, "--grace", "1h"]);
    until_status(&gateway, text(&rotated.stdout).trim(), StatusCode::OK).await;
    let listed = text(&keys(&gateway.file(), &["list"]).stdout);
    assert!(keys(&gateway.file(), &["revoke", &id]).status.success());
    until_status(&gateway, &key, StatusCode::UNAUTHORIZED).await;

    assert!(made.status.success() && key.starts_with("pm-") && id.starts_with("key_"), "{said}");
    assert!(listed.contains(&id) && listed.contains("laptop") && listed.contains("active"), "{listed}");
    assert!(!listed.contains(&key));
    for action in ["key_made", "key_rotated", "key_revoked"] {
        audited(&gateway, &[action, "caller=\"registry\"", &format!("{id} of app")]).await;
    }
    assert!(said.contains("key_made") && said.contains("caller_kind=\"command\""), "{said}");
    assert!(text(&rotated.stderr).contains("key_rotated"), "{}", text(&rotated.stderr));
    let unknown = keys(&gateway.file(), &["revoke", "key_0"]);
    assert_eq!((unknown.status.code(), text(&unknown.stderr).trim()), (Some(1), "pointsman: there is no key `key_0`"));
    let nobody = keys(&gateway.file(), &["create", "nobody"]);
    assert_eq!(nobody.status.code(), Some(78), "{}", text(&nobody.stderr));
    until_metric(&gateway, "pointsman_generation 1").await;
}

#[tokio::test]
async fn replicas_share_a_registry_in_the_store_and_keep_their_keys_without_it() {
    let (small, frontier, mut redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = registered(&small, &frontier, "{store: {refresh: 1s}}");
    let config = Config { sections: config.sections.clone() + &redis.section("1s"), ..config };
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    until_store(&one, "ready").await;
    until_store(&two, "ready").await;

    let made = admin(&one, Method::POST, "/v1/keys", &json!({"client": "web"})).await.json();
    let key = made["key"].as_str().unwrap_or_else(|| panic!("{made}"));
    let here = ask(&one, key).await;
    until_status(&two, key, StatusCode::OK).await;
    let by_hand = keys(&two.file(), &["create", "app"]);
    let other = text(&by_hand.stdout).trim().to_owned();
    assert!(by_hand.status.success(), "{}", text(&by_hand.stderr));
    until_status(&one, &other, StatusCode::OK).await;
    let third = Gateway::start(&config).await;
    let at_once = ask(&third, key).await;
    let revoked =
        admin(&two, Method::DELETE, &format!("/v1/keys/{}", made["id"].as_str().expect("a name")), &Value::Null).await;
    until_status(&one, key, StatusCode::UNAUTHORIZED).await;
    redis.die();
    until_store(&one, "unavailable").await;
    let without = [ask(&one, &other).await, ask(&one, key).await];
    let unchanged = admin(&one, Method::POST, "/v1/keys", &json!({"client": "web"})).await;

    assert_eq!((here, at_once, revoked.status), (StatusCode::OK, StatusCode::OK, StatusCode::OK));
    assert_eq!(without, [StatusCode::OK, StatusCode::UNAUTHORIZED]);
    assert_eq!(
        (unchanged.status, unchanged.error_code()),
        (StatusCode::SERVICE_UNAVAILABLE, "registry_unavailable".into())
    );
}

#[tokio::test]
async fn a_registry_that_cannot_be_written_is_said_at_the_start_and_by_doctor() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&registered(&small, &frontier, "{file: /proc/keys.jsonl}")).await;
    gateway.until_logged("The registry of client keys cannot be written").await;

    let file = gateway.file();
    let doctor = pointsman(&["doctor", "--json", "-c", file.to_str().expect("a plain name")]);
    let report: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["check"] == "client_keys.file").expect("a finding");
    assert_eq!(found["grade"], "warn", "{found}");
    assert!(found["finding"].as_str().is_some_and(|said| said.contains("no key can be made")), "{found}");
    assert!(found["do"].is_string(), "{found}");
}

#[tokio::test]
async fn an_order_for_nobody_or_with_mistakes_is_refused() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&registered(&small, &frontier, "{file: keys.jsonl}")).await;
    let create = async |body: Value| admin(&gateway, Method::POST, "/v1/keys", &body).await;

    for (body, status, code) in [
        (json!({"client": "nobody"}), StatusCode::NOT_FOUND, "client_not_found"),
        (json!({"client": "web", "expires": "2020-01-01T00:00:00Z"}), StatusCode::BAD_REQUEST, "invalid_request"),
        (json!({"client": "web", "note": "x".repeat(201)}), StatusCode::BAD_REQUEST, "invalid_request"),
        (json!({"client": "web", "admin": true}), StatusCode::BAD_REQUEST, "invalid_request"),
        (json!({}), StatusCode::BAD_REQUEST, "invalid_request"),
    ] {
        let reply = create(body.clone()).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (status, code), "{body}");
    }
    let without = Gateway::start(&Config::new(&small, &frontier)).await;
    assert_eq!(get(without.admin, "/v1/keys").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_team_s_lists_hold_for_its_clients_beside_their_own() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let client = |name: &str, more: &str| format!("{name}: {{team: red, keys: [{{sha256: {}}}]{more}}}", hash(name));
    let teams = "teams: {red: {policies: [auto], models: {deny: [frontier]}}}\n";
    let clients = format!("clients: {{{}, {}}}\n", client("web", ""), client("app", ", models: {deny: [small]}"));
    let config = Config {
        rules: Vec::new(),
        whole_strategy: Some("{kind: random, models: [frontier, small]}".to_owned()),
        sections: teams.to_owned() + &clients,
        default_provider: Some("one"),
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;
    let named = async |key: &str, model: &str| {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, CHAT).header("api-key", key);
        let request = request.body(Framing::Length.body(question(model, "hello").into())).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await
    };

    for _ in 0..5 {
        assert_eq!(named("web", "auto").await.header("x-pointsman-model"), Some("small"));
    }
    assert_eq!(named("app", "auto").await.error_code(), "model_not_allowed", "no model is left");
    assert_eq!(named("web", "gpt-4.1").await.error_code(), "not_allowed", "the team's policies alone");
}
