//! Requests with many texts at the default deadline of a classifier: answered whole, by every way in, and beside routed
//! requests, which do not wait for them.

use bytes::Bytes;
use http::StatusCode;
use pointsman_protocols::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use pointsman_protocols::inference::model_infer_request::InferInputTensor;
use pointsman_protocols::inference::{InferTensorContents, ModelInferRequest};
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::client::question;
use crate::gateway::{Config, Gateway};
use crate::grpc_calls::{channel, classify, config, texts};
use crate::origin::Origin;
use crate::questions::ask;
use crate::soon;

/// Starts a gateway whose classifier has the default deadline, and asks its encoder about every text.
async fn gateway(classifier: &str) -> Gateway {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let classifier = format!(", cascade: {{enabled: false}}{classifier}");
    Gateway::start(&Config { deadline: "20ms", classifier, ..config(&small, &frontier, "") }).await
}

/// Returns so many texts that no cache knows.
fn hard(way: &str, count: usize) -> Vec<String> {
    let text = |number| format!("Prove by {way} that {number} is the sum of four squares, and write it in Rust.");
    (0..count).map(text).collect()
}

fn results(said: &Value) -> usize {
    said["results"].as_array().unwrap_or_else(|| panic!("{said}")).len()
}

#[tokio::test]
async fn the_largest_batch_is_answered_at_the_default_deadline() {
    let gateway = gateway("").await;
    let inputs = hard("descent", 1000);

    let reply = soon("an answer", ask(&gateway, "/v1/classify", "", &json!({"inputs": inputs}).to_string())).await;

    assert_eq!((reply.status, results(&reply.json())), (StatusCode::OK, 1000), "{}", gateway.log());
}

#[tokio::test]
async fn batches_of_every_protocol_are_answered_at_the_default_deadline_all_at_once() {
    let gateway = gateway("").await;
    let (first, second, third, fourth) = (hard("a", 64), hard("b", 64), hard("c", 64), hard("d", 64));
    let tensor = json!({"name": "text", "shape": [64], "datatype": "BYTES", "data": second});
    let inputs = json!({"inputs": first}).to_string();
    let tensors = json!({"inputs": [tensor]}).to_string();
    let third: Vec<&str> = third.iter().map(String::as_str).collect();
    let bytes_contents = fourth.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    let infer = ModelInferRequest {
        model_name: "default".to_owned(),
        inputs: vec![InferInputTensor {
            name: "text".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![64],
            contents: Some(InferTensorContents { bytes_contents, ..InferTensorContents::default() }),
            ..InferInputTensor::default()
        }],
        ..ModelInferRequest::default()
    };
    let mut client = GrpcInferenceServiceClient::new(channel(&gateway).await);

    let (http, oip_http, grpc, oip_grpc) = tokio::join!(
        ask(&gateway, "/v1/classify", "", &inputs),
        ask(&gateway, "/v2/models/default/infer", "", &tensors),
        classify(&gateway, texts(&third)),
        soon("an answer", client.model_infer(infer)),
    );

    assert_eq!((http.status, results(&http.json())), (StatusCode::OK, 64));
    assert_eq!((oip_http.status, &oip_http.json()["outputs"][0]["shape"]), (StatusCode::OK, &json!([64, 3])));
    assert_eq!(grpc.expect("an answer").results.len(), 64);
    assert_eq!(oip_grpc.expect("an answer").into_inner().outputs[0].shape, [64, 3]);
}

#[tokio::test]
async fn routed_requests_are_decided_by_the_encoder_while_a_batch_is_under_way() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    // The usual deadline of tests: the machine that runs them has other work too.
    let classifier = ", cascade: {enabled: false}".to_owned();
    let gateway = Gateway::start(&Config { classifier, ..config(&small, &frontier, "") }).await;
    let inputs = json!({"inputs": hard("descent", 400)}).to_string();
    let batch = ask(&gateway, "/v1/classify", "", &inputs);
    let routed = async {
        let mut reasons = Vec::new();
        for text in hard("induction", 10) {
            let said = ask(&gateway, "/v1/decide", "", &question("auto", &text)).await.json();
            reasons.push((said["reason"].clone(), said["source"].clone()));
        }
        reasons
    };

    let (reply, reasons) = tokio::join!(batch, routed);

    assert_eq!((reply.status, results(&reply.json())), (StatusCode::OK, 400));
    assert!(reasons.iter().all(|(reason, source)| reason == "tier" && source == "encoder"), "{reasons:?}");
}

#[tokio::test]
async fn a_batch_ends_at_its_own_deadline_and_at_the_caller_s_if_that_comes_first() {
    let gateway = gateway(", batch_deadline: 20ms").await;
    let late = ask(&gateway, "/v1/classify", "", &json!({"inputs": hard("descent", 500)}).to_string()).await;

    let patient = self::gateway("").await;
    let all = hard("descent", 1000);
    let mut request = Request::new(texts(&all.iter().map(String::as_str).collect::<Vec<_>>()));
    request.metadata_mut().insert("grpc-timeout", "50m".parse().expect("a value"));
    let hurried = classify(&patient, request).await.expect_err("50 ms are too short");

    assert_eq!((late.status, late.error_code().as_str()), (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"));
    // The library's own clock may strike first, and says it so.
    assert!(matches!(hurried.code(), Code::DeadlineExceeded | Code::Cancelled), "{hurried:?}");
}

#[tokio::test]
async fn a_lone_text_and_a_decision_have_the_deadline_of_a_routed_request() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let classifier = ", cascade: {enabled: false}, cache: {max_bytes: 0}".to_owned();
    let gateway = Gateway::start(&Config { deadline: "1ms", classifier, ..config(&small, &frontier, "") }).await;
    // As long as the encoder reads, and without what repeats, which is not read again.
    let long: String = (0..2000).map(|number: u32| format!("why {} is {}? ", number * 7919, number ^ 0x5bd1)).collect();
    let levels = ["simple", "medium", "complex"].map(|label| json!({"label": label}));
    let asked = json!({
        "model": "default", "input": long,
        "questions": [{"type": "score", "name": "tier", "instructions": "How hard?", "levels": levels}],
    });

    let lone = ask(&gateway, "/v1/classify", "", &json!({"inputs": [long]}).to_string()).await;
    let decided = ask(&gateway, "/v1/decisions", "", &asked.to_string()).await;

    for reply in [lone, decided] {
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"));
    }
}
