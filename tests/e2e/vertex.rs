//! Models on Vertex AI: tokens that renew themselves, and the paths and bodies of each publisher's models.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, Recorded};
use crate::reload::until_metric;
use crate::translated::{MESSAGE, MESSAGES, reply_of};

const ROOT: &str = "/v1/projects/p-1/locations/eu/publishers";
const CLAUDE: &str = "claude-sonnet-4-5@20250929";
const GEMINI: &str = r#"{"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
 "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}}"#;

/// A strategy whose judge is the model of the cloud.
pub(crate) const JUDGED: &str = "{kind: judge, judge: small, timeout: 5s, otherwise: small, choices: [
      {label: easy, model: small, description: small talk}, {label: hard, model: frontier, description: proofs}]}";

/// A gateway before a scripted Vertex AI, and before what gives tokens.
struct Vertex {
    models: Origin,
    tokens: Origin,
    gateway: Gateway,
    _folder: tempfile::TempDir,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vertex").join(name)
}

fn token(text: &str, expires_in: u64) -> Answer {
    let body = json!({"access_token": text, "expires_in": expires_in, "token_type": "Bearer"}).to_string();
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.into())
}

/// Writes the key file of a service account whose tokens `server` gives.
fn key_file(folder: &Path, server: &Origin) -> PathBuf {
    let key = std::fs::read_to_string(fixture("service-account.key")).expect("a key");
    let account = json!({
        "type": "service_account", "client_email": "gateway@p-1.iam.example", "private_key_id": "k-7",
        "private_key": key, "token_uri": format!("http://{}/token", server.address()),
    });
    let file = folder.join("account.json");
    std::fs::write(&file, account.to_string()).expect("written");
    file
}

impl Vertex {
    /// A gateway whose account is that of a key file.
    async fn start(model: &str, tokens: Vec<Answer>, answers: Vec<Answer>) -> Self {
        Self::start_as(model, (tokens, answers), |config| config).await
    }

    /// The same with another configuration; the scripts are of tokens and of answers.
    async fn start_as(model: &str, scripts: (Vec<Answer>, Vec<Answer>), change: impl FnOnce(Config) -> Config) -> Self {
        let (tokens, answers) = scripts;
        let (models, tokens) = (Origin::answering(answers).await, Origin::answering(tokens).await);
        let folder = tempfile::tempdir().expect("a folder");
        let file = key_file(folder.path(), &tokens);
        let credentials = format!("{{file: {}}}", file.display());
        let gateway = Gateway::start(&change(config(&models, model, &credentials))).await;
        Self { models, tokens, gateway, _folder: folder }
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let mut connection = Connection::open(self.gateway.listen, Framing::Length).await;
        connection.post(Framing::Length, path, body.to_string()).await
    }

    async fn ask(&self) -> Reply {
        self.post(CHAT, &json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]})).await
    }
}

fn config(models: &Origin, model: &str, credentials: &str) -> Config {
    let vertex = format!("vertex: {{project: p-1, location: eu, credentials: {credentials}}}");
    let whole_strategy = Some("{kind: random, models: [small]}".to_owned());
    Config { one: vec![vertex], small_name: format!("'{model}'"), whole_strategy, ..Config::new(models, models) }
}

fn messages_request(stream: bool) -> Value {
    json!({"model": "auto", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

fn json_of(request: &Recorded) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

#[tokio::test]
async fn a_service_account_s_jwt_is_exchanged_once_and_is_signed_by_its_key() {
    let answers = (0..10).map(|_| reply_of(GEMINI)).collect();
    let vertex = Vertex::start("gemini-3-pro", vec![token("t-1", 3600)], answers).await;

    let replies = futures::future::join_all((0..10).map(|_| vertex.ask())).await;

    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK), "{replies:?}");
    for _ in 0..10 {
        assert_eq!(vertex.models.next().await.header("authorization"), Some("Bearer t-1"));
    }
    let asked = vertex.tokens.next().await;
    assert!(vertex.tokens.take().is_none(), "ten requests share one token");
    assert_eq!((asked.method.clone(), &*asked.path), (Method::POST, "/token"));
    let form: Vec<(String, String)> = form_urlencoded::parse(&asked.body).into_owned().collect();
    assert_eq!(form[0], ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()));
    let (signed, signature) = form[1].1.rsplit_once('.').expect("a JWT");
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let public = std::fs::read(fixture("public-key.der")).expect("a key");
    let verified = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    verified.verify(signed.as_bytes(), &decode(signature)).expect("the signature is the account's");
    let parts: Vec<Value> =
        signed.split('.').map(|part| serde_json::from_slice(&decode(part)).expect("JSON")).collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k-7"}));
    let claims = &parts[1];
    assert_eq!(claims["iss"], "gateway@p-1.iam.example");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(claims["aud"], format!("http://{}/token", vertex.tokens.address()));
    assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|issued| issued + 3600));
    until_metric(&vertex.gateway, "pointsman_credential_renewals_total{outcome=\"success\",provider=\"one\"} 1").await;
    assert!(!vertex.gateway.log().contains("t-1\"") && !vertex.gateway.log().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_token_is_renewed_when_its_time_is_over() {
    let vertex = Vertex::start("gemini-3-pro", vec![token("t-1", 1), token("t-2", 3600)], Vec::new()).await;

    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "Bearer t-2") {
        vertex.models.script(reply_of(GEMINI));
        assert_eq!(vertex.ask().await.status, StatusCode::OK, "no request fails meanwhile");
        seen.push(vertex.models.next().await.header("authorization").expect("a token").to_owned());
    }

    assert_eq!(seen.iter().filter(|token| *token == "Bearer t-2").count(), 1);
    assert!(seen[..seen.len() - 1].iter().all(|token| token == "Bearer t-1"));
}

#[tokio::test]
async fn claude_s_models_are_asked_by_raw_predict_with_vertex_s_version_in_the_body() {
    let answers = vec![reply_of(MESSAGE), reply_of(MESSAGE), reply_of(r#"{"input_tokens": 12}"#)];
    let vertex = Vertex::start(CLAUDE, vec![token("t-1", 3600)], answers).await;

    let whole = vertex.post(&format!("{MESSAGES}?beta=true"), &messages_request(false)).await;
    let translated = vertex.ask().await;
    let counted = vertex.post("/v1/messages/count_tokens", &messages_request(false)).await;

    assert_eq!((whole.status, &whole.body[..]), (StatusCode::OK, MESSAGE.as_bytes()), "byte for byte");
    let asked = vertex.models.next().await;
    assert_eq!(asked.path, format!("{ROOT}/anthropic/models/{CLAUDE}:rawPredict"));
    assert_eq!(asked.header("authorization"), Some("Bearer t-1"));
    assert!(asked.header("x-api-key").is_none());
    assert_eq!(
        json_of(&asked),
        json!({"max_tokens": 50, "stream": false, "messages": [{"role": "user", "content": "Hello"}],
            "anthropic_version": "vertex-2023-10-16"})
    );
    assert_eq!(translated.json()["choices"][0]["finish_reason"], "tool_calls");
    let asked = json_of(&vertex.models.next().await);
    assert_eq!((&asked["anthropic_version"], asked.get("model")), (&json!("vertex-2023-10-16"), None));
    assert_eq!(counted.json()["input_tokens"], 12);
    let asked = vertex.models.next().await;
    assert_eq!(asked.path, format!("{ROOT}/anthropic/models/count-tokens:rawPredict"));
    assert_eq!(asked.model(), CLAUDE);
}

#[tokio::test]
async fn claude_s_streams_are_asked_by_stream_raw_predict() {
    let events = "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {\"id\": \"m\", \"type\": \"message\", \"role\": \"assistant\", \"model\": \"c\", \"content\": [], \"usage\": {\"input_tokens\": 1, \"output_tokens\": 1}}}\n\nevent: content_block_start\ndata: {\"type\": \"content_block_start\", \"index\": 0, \"content_block\": {\"type\": \"text\", \"text\": \"\"}}\n\nevent: message_stop\ndata: {\"type\": \"message_stop\"}\n\n";
    let answer = Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], events.into());
    let vertex = Vertex::start(CLAUDE, vec![token("t-1", 3600)], vec![answer]).await;

    let reply = vertex.post(MESSAGES, &messages_request(true)).await;

    assert_eq!(reply.body, events);
    let asked = vertex.models.next().await;
    assert_eq!(asked.path, format!("{ROOT}/anthropic/models/{CLAUDE}:streamRawPredict"));
    assert_eq!(json_of(&asked)["stream"], true);
}

#[tokio::test]
async fn gemini_s_and_other_publishers_models_are_asked_in_their_own_apis() {
    let gemini = Vertex::start("gemini-3-pro", vec![token("t", 3600)], vec![reply_of(GEMINI), reply_of(GEMINI)]).await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});

    let native = gemini.post("/v1beta/models/auto:generateContent?key=client-key", &body).await;
    let translated = gemini.ask().await;

    assert_eq!(native.json()["usageMetadata"]["totalTokenCount"], 4);
    assert_eq!(translated.json()["choices"][0]["message"]["content"], "Hi");
    for _ in 0..2 {
        let asked = gemini.models.next().await;
        assert_eq!(asked.path, format!("{ROOT}/google/models/gemini-3-pro:generateContent"));
        assert_eq!((asked.header("authorization"), asked.header("x-goog-api-key")), (Some("Bearer t"), None));
    }
    let llama = Vertex::start("meta/llama-4", vec![token("t", 3600)], Vec::new()).await;
    assert_eq!(llama.ask().await.json()["model"], "meta/llama-4");
    assert_eq!(llama.models.next().await.path, "/v1/projects/p-1/locations/eu/endpoints/openapi/chat/completions");
}

#[tokio::test]
async fn the_metadata_server_gives_tokens_and_without_one_another_model_answers() {
    let failing = || Answer::Reply(StatusCode::NOT_FOUND, vec![], "no account".into());
    for (script, model) in [(token("t-m", 3600), "small"), (failing(), "frontier")] {
        let (models, frontier) = (Origin::answering([reply_of(GEMINI)]).await, Origin::start().await);
        let tokens = Origin::answering([script]).await;
        let config = config(&models, "gemini-3-pro", "metadata");
        let config = Config { frontier: frontier.address(), fallback: "[frontier]", ..config };
        let server = tokens.address().to_string();
        let gateway = Gateway::start_with(&config, &[("GCE_METADATA_HOST", &server)]).await;

        let reply = crate::client::chat(gateway.listen, question("auto", "hi")).await;

        assert_eq!((reply.status, reply.header("x-pointsman-model")), (StatusCode::OK, Some(model)), "{reply:?}");
        let asked = tokens.next().await;
        assert_eq!(asked.path, "/computeMetadata/v1/instance/service-accounts/default/token");
        assert_eq!(asked.header("metadata-flavor"), Some("Google"));
        if model == "small" {
            assert_eq!(models.next().await.header("authorization"), Some("Bearer t-m"));
        } else {
            assert!(models.take().is_none(), "nothing goes out without a token");
            let failures = "pointsman_credential_renewals_total{outcome=\"failure\",provider=\"one\"} 1";
            until_metric(&gateway, failures).await;
        }
    }
}

#[tokio::test]
async fn a_cloud_answers_what_no_policy_takes_in_the_api_of_the_model_that_is_named() {
    let answers = vec![reply_of(MESSAGE), reply_of(GEMINI), reply_of(GEMINI), reply_of(r#"{"input_tokens": 12}"#)];
    let default = |config| Config { default_provider: Some("one"), ..config };
    let vertex = Vertex::start_as("gemini-3-pro", (vec![token("t-1", 3600)], answers), default).await;
    let named = |mut body: Value, model: &str| {
        body["model"] = json!(model);
        body
    };
    let hello = json!({"messages": [{"role": "user", "content": "hi"}]});

    let native = vertex.post(MESSAGES, &named(messages_request(false), CLAUDE)).await;
    let translated = vertex.post(CHAT, &named(hello.clone(), "gemini-2.5-flash")).await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let google = vertex.post("/v1beta/models/gemini-2.5-pro:generateContent", &body).await;
    let counted = vertex.post("/v1/messages/count_tokens", &named(messages_request(false), CLAUDE)).await;

    assert_eq!((native.status, &native.body[..]), (StatusCode::OK, MESSAGE.as_bytes()), "byte for byte");
    let asked = vertex.models.next().await;
    assert_eq!(asked.path, format!("{ROOT}/anthropic/models/{CLAUDE}:rawPredict"));
    assert_eq!(asked.header("authorization"), Some("Bearer t-1"));
    assert_eq!(
        (&json_of(&asked)["anthropic_version"], json_of(&asked).get("model")),
        (&json!("vertex-2023-10-16"), None)
    );
    assert_eq!(translated.json()["choices"][0]["message"]["content"], "Hi");
    assert_eq!(vertex.models.next().await.path, format!("{ROOT}/google/models/gemini-2.5-flash:generateContent"));
    assert_eq!(google.json()["usageMetadata"]["totalTokenCount"], 4);
    assert_eq!(vertex.models.next().await.path, format!("{ROOT}/google/models/gemini-2.5-pro:generateContent"));
    assert_eq!(counted.json()["input_tokens"], 12);
    assert_eq!(vertex.models.next().await.path, format!("{ROOT}/anthropic/models/count-tokens:rawPredict"));

    let embeddings = vertex.post("/v1/embeddings", &json!({"model": "e", "input": "hi"})).await;
    let files = vertex.post("/v1/files", &json!({"purpose": "batch"})).await;
    assert_eq!((embeddings.status, files.status), (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND), "{embeddings:?}");
    assert!(vertex.models.take().is_none(), "a cloud has no such paths");
}

#[tokio::test]
async fn a_model_of_a_cloud_judges_in_its_own_api() {
    let verdict = r#"{"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
 "content": [{"type": "text", "text": "{\"label\": \"hard\"}"}], "usage": {"input_tokens": 9, "output_tokens": 3}}"#;
    let frontier = Origin::start().await;
    let judged = |config| Config { whole_strategy: Some(JUDGED.to_owned()), rules: Vec::new(), ..config };
    let address = frontier.address();
    let vertex = Vertex::start_as(CLAUDE, (vec![token("t-1", 3600)], vec![reply_of(verdict)]), |config| Config {
        frontier: address,
        ..judged(config)
    })
    .await;

    let reply = vertex.ask().await;

    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"), "{reply:?} {}", vertex.gateway.log());
    let asked = vertex.models.next().await;
    assert_eq!(asked.path, format!("{ROOT}/anthropic/models/{CLAUDE}:rawPredict"));
    assert_eq!((asked.header("authorization"), asked.header("anthropic-version")), (Some("Bearer t-1"), None));
    let body = json_of(&asked);
    assert_eq!((&body["anthropic_version"], body.get("model")), (&json!("vertex-2023-10-16"), None));
    assert_eq!(body["output_config"]["format"]["schema"]["properties"]["label"]["enum"], json!(["easy", "hard"]));
    assert!(body["system"].as_str().is_some_and(|told| told.contains("- hard: proofs")), "{body}");
}
