//! The main job: an easy prompt goes to the small model, a hard one to the frontier, and the answer says why.

use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::json;

use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;

const EASY: &str = "What is the capital of France?";
const HARD: &str = "Prove that there are infinitely many primes congruent to 3 modulo 4, then generalise the argument as far as \
     you can towards Dirichlet's theorem, explain precisely where the elementary method breaks down, and derive an explicit \
     upper bound for the n-th such prime.";

#[tokio::test]
async fn an_easy_prompt_goes_to_the_small_model_and_a_hard_one_to_the_frontier() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::classifying(&small, &frontier)).await;

    let easy = chat(gateway.listen, question("auto", EASY)).await;
    let hard = chat(gateway.listen, question("auto", HARD)).await;

    assert_eq!((easy.status, hard.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(easy.header("x-pointsman-model"), Some("small"), "{}", gateway.log());
    assert_eq!(hard.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(small.next().await.body, question("small-1", EASY));
    assert_eq!(frontier.next().await.body, question("frontier-1", HARD));
    for reply in [easy, hard] {
        let score: f64 = reply.header("x-pointsman-score").and_then(|score| score.parse().ok()).expect("a score");
        assert!((1.0 / 3.0..=1.0).contains(&score), "{score} is no best of three");
        assert_eq!(reply.header("x-pointsman-reason"), Some("tier"));
    }
}

#[tokio::test]
async fn the_decision_is_shown_without_hosts_or_keys() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.header("x-pointsman-model"), Some("small"));
    assert_eq!(reply.header("x-pointsman-policy"), Some("auto"));
    assert_eq!(reply.header("x-pointsman-reason"), Some("rule"));
    assert_eq!(reply.header("x-pointsman-generation"), Some("1"));
    assert!(reply.header("x-pointsman-overhead-us").is_some_and(|text| text.parse::<u64>().is_ok()));
    let headers = format!("{:?}", reply.headers);
    assert!(!headers.contains(&small.address().port().to_string()), "{headers}");
}

#[tokio::test]
async fn the_first_rule_that_is_true_decides() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let rules = vec![("request.temperature > 1.2", "frontier"), ("prompt.turns >= 1", "small")];
    let gateway = Gateway::start(&Config { rules, ..Config::new(&small, &frontier) }).await;
    let warm = json!({"model": "auto", "temperature": 1.5, "messages": [{"role": "user", "content": "hello"}]});

    let warm = chat(gateway.listen, warm.to_string()).await;
    let plain = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(warm.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(plain.header("x-pointsman-model"), Some("small"));
}

#[tokio::test]
async fn a_model_that_cannot_serve_the_request_is_never_chosen() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let policy = "    max_tokens: require\n".to_owned();
    let gateway = Gateway::start(&Config { policy, ..Config::new(&small, &frontier) }).await;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let image = json!({"model": "auto", "messages": [{"role": "user", "content": [image]}]});
    let long = json!({"model": "auto", "max_tokens": 20_000_000, "messages": [{"role": "user", "content": "hello"}]});

    let image = chat(gateway.listen, image.to_string()).await;
    let long = chat(gateway.listen, long.to_string()).await;

    for (reply, reason) in [(image, "images"), (long, "context")] {
        assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
        assert_eq!(reply.header("x-pointsman-reason"), Some(reason));
    }
}

#[tokio::test]
async fn the_provider_s_key_goes_upstream_and_the_client_s_does_not() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { credential: "{env: E2E_KEY}", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start_with(&config, &[("E2E_KEY", "sk-of-the-provider")]).await;

    let reply = with_key(&gateway, "sk-of-the-client").await;

    let request = small.next().await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(request.header("authorization"), Some("Bearer sk-of-the-provider"));
    assert!(!gateway.log().contains("sk-of-the"), "keys are not logged");
}

#[tokio::test]
async fn a_provider_s_key_in_a_file_is_read_again_with_a_reload_and_shown_nowhere() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-of-the-provider-1\n").expect("a writable folder");
    let credential: &'static str = format!("{{file: {}}}", file.display()).leak();
    let gateway = Gateway::start(&Config { credential, ..Config::new(&small, &frontier) }).await;

    with_key(&gateway, "sk-of-the-client").await;
    std::fs::write(&file, "sk-of-the-provider-2\n").expect("a writable folder");
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;
    with_key(&gateway, "sk-of-the-client").await;

    let keys = [small.next().await, small.next().await].map(|request| request.headers["authorization"].clone());
    assert_eq!(keys, ["Bearer sk-of-the-provider-1", "Bearer sk-of-the-provider-2"]);
    for path in ["/config", "/metrics", "/readyz", "/generation"] {
        assert!(!String::from_utf8_lossy(&get(gateway.admin, path).await.body).contains("sk-of-the"), "{path}");
    }
    assert!(!gateway.log().contains("sk-of-the"), "keys are not logged");
}

#[tokio::test]
async fn the_client_s_key_goes_upstream_only_where_it_was_asked_for() {
    for (credential, expected) in [("none", None), ("passthrough", Some("Bearer sk-of-the-client"))] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = Gateway::start(&Config { credential, ..Config::new(&small, &frontier) }).await;

        with_key(&gateway, "sk-of-the-client").await;

        assert_eq!(small.next().await.header("authorization"), expected, "{credential}");
    }
}

#[tokio::test]
async fn the_request_reaches_the_provider_s_host_and_path() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { rules: vec![("true", "frontier")], ..Config::new(&small, &frontier) }).await;

    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let reply = connection.post(framing, &format!("{CHAT}?beta=1"), question("auto", "hello")).await;

        let request = frontier.next().await;
        assert_eq!(reply.status, StatusCode::OK, "{framing:?}");
        assert_eq!(request.path, "/prefix/v1/chat/completions?beta=1", "{framing:?}");
        assert_eq!(request.header("host"), Some(frontier.address().to_string().as_str()), "{framing:?}");
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_in_a_form_that_can_be_counted() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("one"), ..Config::new(&small, &frontier) }).await;

    for (model, expected) in [("auto", "identity"), ("somebody-s", "gzip, br")] {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, CHAT).header("accept-encoding", "gzip, br");
        let body = Framing::Length.body(question(model, "hello").into());
        connection.send(request.body(body).expect("a valid request")).await.expect("an answer");

        assert_eq!(small.next().await.header("accept-encoding"), Some(expected), "{model}");
    }
}

#[tokio::test]
async fn an_operator_s_key_goes_in_the_field_that_the_provider_wants() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config {
        credential: "{env: POINTSMAN_TEST_KEY}",
        one: vec!["key_header: x-api-key".to_owned()],
        ..Config::new(&small, &frontier)
    };
    let gateway = Gateway::start_with(&config, &[("POINTSMAN_TEST_KEY", "sk-own")]).await;

    with_key(&gateway, "sk-of-the-client").await;

    let request = small.next().await;
    assert_eq!((request.header("x-api-key"), request.header("authorization")), (Some("sk-own"), None));
}

async fn with_key(gateway: &Gateway, key: &str) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, CHAT).header("authorization", format!("Bearer {key}"));
    let request = request.body(Framing::Length.body(question("auto", "hello").into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}
