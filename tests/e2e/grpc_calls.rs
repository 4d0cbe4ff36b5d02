//! The listener for gRPC: classify API, Open Inference Protocol, health and reflection, over connections of real clients
//! and of broken ones.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use pointsman_protocols::classify::classify_input::Input;
use pointsman_protocols::classify::classify_service_client::ClassifyServiceClient;
use pointsman_protocols::classify::{ClassifyInput, ClassifyRequest, ClassifyResponse, RequestBody};
use pointsman_protocols::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use pointsman_protocols::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use pointsman_protocols::inference::{
    InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ServerLiveRequest,
    ServerMetadataRequest, ServerReadyRequest,
};
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::oneshot;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::client::{Raw, chat, get, question};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::questions::ask;
use crate::reload::until_metric;
use crate::soon;

const GRPC: &str = "grpc: {address: 127.0.0.1:0}\n";

pub(crate) fn config(small: &Origin, frontier: &Origin, sections: &str) -> Config {
    let listen = "{address: 127.0.0.1:0, decisions: true}".to_owned();
    Config { listen, sections: format!("{GRPC}{sections}"), ..Config::classifying(small, frontier) }
}

pub(crate) async fn gateway(sections: &str) -> Gateway {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    Gateway::start(&config(&small, &frontier, sections)).await
}

fn address(gateway: &Gateway) -> SocketAddr {
    gateway.grpc.expect("the ready line names it")
}

pub(crate) async fn channel(gateway: &Gateway) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", address(gateway))).expect("an address");
    soon("a connection", endpoint.connect()).await.expect("the listener accepts connections")
}

pub(crate) fn texts(texts: &[&str]) -> ClassifyRequest {
    let input = |text: &&str| ClassifyInput { input: Some(Input::Text((*text).to_owned())) };
    ClassifyRequest { classifier: String::new(), inputs: texts.iter().map(input).collect() }
}

pub(crate) async fn classify(
    gateway: &Gateway,
    request: impl tonic::IntoRequest<ClassifyRequest>,
) -> Result<ClassifyResponse, Status> {
    let mut client = ClassifyServiceClient::new(channel(gateway).await);
    soon("an answer", client.classify(request)).await.map(tonic::Response::into_inner)
}

fn with_key<T>(message: T, key: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().expect("a value"));
    request
}

pub(crate) fn code(status: &Status) -> &str {
    status.metadata().get("x-pointsman-code").and_then(|code| code.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_batch_says_over_grpc_what_it_says_over_http() {
    let gateway = gateway("").await;
    let asks = ["What is the capital of France?", "Prove that the square root of 2 is irrational."];
    let body = json!({"messages": [{"role": "user", "content": asks[1]}]}).to_string();
    let mut request = texts(&asks);
    let body = RequestBody { path: String::new(), json: Bytes::from(body) };
    request.inputs.push(ClassifyInput { input: Some(Input::Body(body)) });

    let over_grpc = classify(&gateway, request).await.expect("an answer");
    let over_http = ask(&gateway, "/v1/classify", "", &json!({"inputs": asks}).to_string()).await.json();

    assert_eq!((&*over_grpc.classifier, &*over_grpc.version, over_grpc.results.len()), ("default", "2026.11.7", 3));
    for (index, result) in over_grpc.results.iter().enumerate() {
        let same = &over_http["results"][index.min(1)];
        assert_eq!(json!(result.tokens), same["tokens"]);
        assert_eq!(result.heads.len(), 4);
        for (name, head) in &result.heads {
            assert_eq!(json!(head.label), same["heads"][name]["label"]);
            for (label, probability) in &head.probabilities {
                let said = same["heads"][name]["probabilities"][label].as_f64().expect("a probability");
                assert!((said - probability).abs() < 1e-6, "{name} {label}");
            }
        }
    }
    until_metric(&gateway, r#"pointsman_decision_questions_total{question="classify",status_class="2xx"} 2"#).await;
}

#[tokio::test]
async fn calls_need_a_key_and_are_taken_from_its_rate() {
    let gateway = gateway(&clients(", rate_limit: {requests_per_minute: 3}")).await;

    let nobody = classify(&gateway, texts(&["a"])).await.expect_err("no key");
    let wrong = classify(&gateway, with_key(texts(&["a"]), "pk-3")).await.expect_err("nobody's key");
    let known = classify(&gateway, with_key(texts(&["a", "b", "c", "d"]), "pk-1")).await;
    let beyond = classify(&gateway, with_key(texts(&["a"]), "pk-1")).await.expect_err("no request is left");

    assert_eq!(
        (nobody.code(), wrong.code(), code(&nobody)),
        (Code::Unauthenticated, Code::Unauthenticated, "invalid_api_key")
    );
    assert!(known.is_ok(), "{known:?}");
    assert_eq!((beyond.code(), code(&beyond)), (Code::ResourceExhausted, "rate_limit_exceeded"));
    assert!(beyond.metadata().contains_key("retry-after"));
}

#[tokio::test]
async fn a_call_that_comes_to_nothing_is_taken_from_the_rate_all_the_same() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let limited = clients(", rate_limit: {requests_per_minute: 9}");
    let config = Config { deadline: "1ms", ..config(&small, &frontier, &limited) };
    let config = Config {
        classifier: ", batch_deadline: 1ms, cascade: {enabled: false}, cache: {max_bytes: 0}".to_owned(),
        ..config
    };
    let gateway = Gateway::start(&config).await;
    let long: Vec<String> = (0..64).map(|index| format!("Question {index} is about proofs. ").repeat(30)).collect();
    let long = texts(&long.iter().map(String::as_str).collect::<Vec<_>>());

    let late = classify(&gateway, with_key(long, "pk-1")).await.expect_err("a millisecond is too short");
    let beyond = classify(&gateway, with_key(texts(&["a"]), "pk-1")).await.expect_err("no request is left");

    assert_eq!((late.code(), code(&late)), (Code::DeadlineExceeded, "deadline_exceeded"));
    assert_eq!((beyond.code(), code(&beyond)), (Code::ResourceExhausted, "rate_limit_exceeded"));
}

#[tokio::test]
async fn the_caller_s_own_deadline_is_heeded() {
    let gateway = gateway("").await;
    let long: Vec<String> = (0..200).map(|index| format!("Question {index} is about proofs. ").repeat(30)).collect();
    let mut request = Request::new(texts(&long.iter().map(String::as_str).collect::<Vec<_>>()));
    request.metadata_mut().insert("grpc-timeout", "1m".parse().expect("a value"));

    let late = classify(&gateway, request).await.expect_err("a millisecond is too short");
    let mut malformed = Request::new(texts(&["a"]));
    malformed.metadata_mut().insert("grpc-timeout", "soon".parse().expect("a value"));
    let malformed = classify(&gateway, malformed).await;

    // The library's own clock may strike first, and says it so.
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    assert!(malformed.is_ok() || malformed.is_err_and(|status| status.code() == Code::InvalidArgument));
}

#[tokio::test]
async fn mistakes_are_said_with_grpc_s_codes() {
    let gateway = gateway("").await;
    let of_other = ClassifyRequest { classifier: "other".to_owned(), ..texts(&["a"]) };
    let empty = ClassifyRequest { inputs: vec![ClassifyInput { input: None }], ..texts(&[]) };

    for (request, wanted, part) in [
        (of_other, Code::NotFound, "Those that there are: `default`"),
        (texts(&[]), Code::InvalidArgument, "allowed: 1 to 1000"),
        (empty, Code::InvalidArgument, "inputs[0] has neither"),
        (texts(&["a", " "]), Code::InvalidArgument, "`inputs[1]` has no words"),
        (texts(&[&"a".repeat(5 << 20)]), Code::OutOfRange, ""),
    ] {
        let status = classify(&gateway, request).await.expect_err("a mistake");
        assert!(status.code() == wanted && status.message().contains(part), "{status:?}");
    }
    assert!(classify(&gateway, texts(&["a"])).await.is_ok(), "it goes on");
}

#[tokio::test]
async fn where_as_many_requests_are_open_as_may_be_a_call_is_refused_at_once() {
    let (release, held) = oneshot::channel();
    let (small, frontier) = (Origin::answering([Answer::Held(held)]).await, Origin::start().await);
    let config =
        Config { limits: ", max_requests: 1", rules: vec![("true", "small")], ..config(&small, &frontier, "") };
    let gateway = Gateway::start(&config).await;
    let listen = gateway.listen;
    let held = tokio::spawn(async move { chat(listen, question("auto", "hello")).await });
    small.next().await;

    let refused = classify(&gateway, texts(&["a"])).await.expect_err("one request is open");
    release.send(()).expect("the origin waits");
    held.await.expect("no panic");

    assert_eq!((refused.code(), code(&refused)), (Code::ResourceExhausted, "overloaded"));
}

#[tokio::test]
async fn the_inference_protocol_takes_contents_and_raw_bytes_and_answers_alike() {
    let gateway = gateway("").await;
    let mut client = GrpcInferenceServiceClient::new(channel(&gateway).await);
    let input = |contents| InferInputTensor {
        name: "text".to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![2],
        contents,
        ..InferInputTensor::default()
    };
    let texts = ["What is the capital of France?", "Prove that the square root of 2 is irrational."];
    let contents = texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    let contents = InferTensorContents { bytes_contents: contents, ..InferTensorContents::default() };
    let request = ModelInferRequest {
        model_name: "default".to_owned(),
        id: "7".to_owned(),
        inputs: vec![input(Some(contents))],
        ..ModelInferRequest::default()
    };
    let length = |text: &str| u32::try_from(text.len()).expect("short").to_le_bytes();
    let raw: Vec<u8> = texts.iter().flat_map(|text| [&length(text)[..], text.as_bytes()].concat()).collect();
    let wanted =
        ["tier", "tier.label"].map(|name| InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() });
    let as_raw = ModelInferRequest {
        inputs: vec![input(None)],
        outputs: wanted.to_vec(),
        raw_input_contents: vec![Bytes::from(raw)],
        ..request.clone()
    };

    let listed = client.model_infer(request.clone()).await.expect("an answer").into_inner();
    let raw = client.model_infer(as_raw).await.expect("an answer").into_inner();
    let both = ModelInferRequest { raw_input_contents: vec![Bytes::new()], ..request };
    let both = client.model_infer(both).await.expect_err("not both");

    assert_eq!((&*listed.id, &*listed.model_version, listed.outputs.len()), ("7", "2026.11.7", 8));
    let (tier, label) = (&listed.outputs[0], &listed.outputs[1]);
    assert_eq!((&*tier.name, &*tier.datatype, &tier.shape[..]), ("tier", "FP32", &[2, 3][..]));
    let probabilities = tier.contents.as_ref().expect("contents").fp32_contents.clone();
    assert_eq!(label.contents.as_ref().expect("contents").bytes_contents, ["simple", "complex"]);
    assert!(tier.parameters.contains_key("labels"));
    assert_eq!(raw.outputs.len(), 2);
    assert!(raw.outputs.iter().all(|output| output.contents.is_none()));
    let bytes: Vec<u8> = probabilities.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(raw.raw_output_contents[0], bytes);
    assert_eq!(&raw.raw_output_contents[1][..], b"\x06\0\0\0simple\x07\0\0\0complex");
    assert_eq!(both.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn server_and_model_say_what_they_are_over_grpc() {
    let gateway = gateway("").await;
    let mut client = GrpcInferenceServiceClient::new(channel(&gateway).await);
    let of = |name: &str, version: &str| (name.to_owned(), version.to_owned());

    assert!(client.server_live(ServerLiveRequest {}).await.expect("an answer").into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.expect("an answer").into_inner().ready);
    let server = client.server_metadata(ServerMetadataRequest {}).await.expect("an answer").into_inner();
    assert_eq!((&*server.name, &*server.version), ("pointsman", env!("CARGO_PKG_VERSION")));
    let (name, version) = of("default", "2026.11.7");
    let model = client.model_metadata(ModelMetadataRequest { name, version }).await.expect("an answer").into_inner();
    assert_eq!((&*model.inputs[0].name, &model.inputs[0].shape[..]), ("text", &[-1][..]));
    assert_eq!((&*model.outputs[0].name, &model.outputs[0].shape[..]), ("tier", &[-1, 3][..]));
    for (name, version) in [of("other", ""), of("default", "1")] {
        let status = client.model_ready(ModelReadyRequest { name, version }).await.expect_err("not there");
        assert_eq!(status.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn health_says_whether_classifiers_are_loaded_and_when_the_process_ends() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let missing = Config { bundle: "no-such-bundle".into(), ..config(&small, &frontier, "") };
    let missing = Gateway::start(&missing).await;
    let whole = gateway("").await;
    let service = "inference.GRPCInferenceService";
    let check = async |gateway: &Gateway, service: &str| {
        let mut client = HealthClient::new(channel(gateway).await);
        let request = HealthCheckRequest { service: service.to_owned() };
        client.check(request).await.expect("an answer").into_inner().status
    };

    let mut watched = HealthClient::new(channel(&whole).await);
    let request = HealthCheckRequest { service: service.to_owned() };
    let mut states = watched.watch(request).await.expect("a stream").into_inner();

    assert_eq!((check(&missing, "").await, check(&missing, service).await), (1, 2));
    assert_eq!(soon("a state", states.message()).await.expect("a stream").expect("a state").status, 1);
    whole.signal(Signal::TERM);
    while soon("a state", states.message()).await.is_ok_and(|state| state.is_some_and(|state| state.status == 1)) {}
    let (ended, _) = whole.ended().await;
    assert!(ended.success(), "a watch holds up nothing");
    drop((states, watched));
}

#[tokio::test]
async fn broken_peers_harm_nobody_else() {
    let gateway = gateway("").await;
    let mut silent = Raw::open(address(&gateway)).await;
    let mut other_protocol = Raw::open(address(&gateway)).await;
    other_protocol.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut half = Raw::open(address(&gateway)).await;
    half.write("PRI * HTTP/2.0\r\n\r\nSM").await;

    soon("the end of another protocol", other_protocol.closed()).await;
    assert!(classify(&gateway, texts(&["a"])).await.is_ok());

    let mut leaving = ClassifyServiceClient::new(channel(&gateway).await);
    let long = "Prove this lemma. ".repeat(500);
    let many: Vec<&str> = (0..500).map(|_| long.as_str()).collect();
    let left = tokio::time::timeout(Duration::from_millis(1), leaving.classify(texts(&many))).await;
    drop((left, leaving));
    assert!(classify(&gateway, texts(&["b"])).await.is_ok(), "who leaves takes nobody along");

    soon("the end of a silent connection", silent.closed()).await;
    assert_eq!(get(gateway.admin, "/healthz").await.status, 200);
}

#[tokio::test]
async fn another_address_of_the_listener_is_refused_while_it_runs_and_a_reload_changes_what_is_asked() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first = config(&small, &frontier, "");
    let gateway = Gateway::start(&first).await;
    let mut client = ClassifyServiceClient::new(channel(&gateway).await);
    client.classify(texts(&["a"])).await.expect("an answer");

    let moved = Config { sections: "grpc: {address: 127.0.0.1:1}\n".to_owned(), ..first.clone() };
    gateway.write(&moved.yaml());
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    let keyed = Config { sections: format!("{GRPC}{}", clients("")), ..first };
    gateway.write(&keyed.yaml());
    until_metric(&gateway, "pointsman_config_last_reload_successful 1").await;
    let nobody = client.classify(texts(&["a"])).await.expect_err("a key is needed now");

    gateway.until_logged("grpc.address").await;
    assert_eq!((nobody.code(), code(&nobody)), (Code::Unauthenticated, "invalid_api_key"));
    assert!(client.classify(with_key(texts(&["a"]), "pk-1")).await.is_ok(), "on the same connection");
}
