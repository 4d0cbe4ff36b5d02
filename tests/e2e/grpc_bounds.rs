//! The bounds of the gRPC listener: in messages, their elements, bodies that do not come, and what needs no key.

use pointsman_protocols::classify::classify_service_client::ClassifyServiceClient;
use pointsman_protocols::classify::{ClassifyInput, ClassifyRequest, ClassifyResponse};
use pointsman_protocols::codec::BoundedCodec;
use pointsman_protocols::inference::ModelInferRequest;
use pointsman_protocols::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use pointsman_protocols::inference::model_infer_request::InferRequestedOutputTensor;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::clients::clients;
use crate::gateway::Gateway;
use crate::grpc_calls::{channel, classify, code, config, gateway, texts};
use crate::origin::Origin;
use crate::soon;

/// Begins a call of the classify API and sends nothing.
async fn stalled(gateway: &Gateway) -> Status {
    let mut client = tonic::client::Grpc::new(channel(gateway).await);
    client.ready().await.expect("a connection");
    let path = PathAndQuery::from_static("/pointsman.classify.v1.ClassifyService/Classify");
    let never = Request::new(futures::stream::pending::<ClassifyRequest>());
    let codec = BoundedCodec::<ClassifyRequest, ClassifyResponse>::default();
    soon("the end of a call", client.client_streaming(never, path, codec)).await.expect_err("nothing was sent")
}

#[tokio::test]
async fn messages_of_many_elements_are_refused_before_they_are_decoded() {
    let gateway = gateway("").await;
    let many = ClassifyRequest { inputs: vec![ClassifyInput { input: None }; 500_000], ..texts(&[]) };
    let outputs = vec![InferRequestedOutputTensor::default(); 500_000];
    let infer = ModelInferRequest { model_name: "default".to_owned(), outputs, ..ModelInferRequest::default() };
    let mut inference = GrpcInferenceServiceClient::new(channel(&gateway).await);

    let classified = classify(&gateway, many).await.expect_err("too many inputs");
    let inferred = inference.model_infer(infer).await.expect_err("too many outputs");

    for status in [classified, inferred] {
        assert_eq!((status.code(), code(&status)), (Code::InvalidArgument, "too_many_elements"), "{status:?}");
    }
    assert!(classify(&gateway, texts(&["a"])).await.is_ok(), "it goes on");
}

#[tokio::test]
async fn what_needs_no_key_takes_small_messages_alone_and_ends_when_its_client_says_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = config(&small, &frontier, "");
    config.limits = ", body_idle: 200ms";
    let gateway = Gateway::start(&config).await;
    let mut health = HealthClient::new(channel(&gateway).await);
    let mut reflection = ServerReflectionClient::new(channel(&gateway).await);

    let large = health.check(HealthCheckRequest { service: "a".repeat(70_000) }).await.expect_err("too large");
    let mut silent =
        reflection.server_reflection_info(futures::stream::pending()).await.expect("a stream").into_inner();
    let end = soon("the end of a stream", silent.message()).await;

    assert_eq!(large.code(), Code::OutOfRange, "{large:?}");
    assert!(matches!(end, Ok(None)), "the library ends it without a word: {end:?}");
}

#[tokio::test]
async fn a_call_whose_message_does_not_come_gives_its_place_back() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = config(&small, &frontier, "");
    config.limits = ", body_idle: 200ms, max_bytes_in_flight: 1";
    let gateway = Gateway::start(&config).await;

    let stalled = stalled(&gateway).await;
    let next = classify(&gateway, texts(&["a"])).await;

    assert_eq!((stalled.code(), code(&stalled)), (Code::DeadlineExceeded, "request_timeout"));
    assert!(next.is_ok(), "there is one place, and it is free again: {next:?}");
}

#[tokio::test]
async fn a_key_is_read_in_every_field_that_requests_have_it_in() {
    let gateway = gateway(&clients("")).await;
    let mut client = ClassifyServiceClient::new(channel(&gateway).await);

    for (field, value) in
        [("authorization", "bearer pk-1"), ("x-api-key", "pk-1"), ("api-key", "pk-1"), ("x-goog-api-key", "pk-1")]
    {
        let mut request = Request::new(texts(&["a"]));
        request.metadata_mut().insert(field, value.parse().expect("a value"));
        let answer = client.classify(request).await;
        assert!(answer.is_ok(), "{field}: {answer:?}");
    }
}
