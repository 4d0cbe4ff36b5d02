//! The Open Inference Protocol over HTTP: classifiers as models.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Connection, Framing, Reply, get};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::questions::ask;
use crate::reload::until_metric;

const INFER: &str = "/v2/models/default/infer";

async fn gateway(sections: String) -> Gateway {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let listen = "{address: 127.0.0.1:0, decisions: true}".to_owned();
    Gateway::start(&Config { listen, sections, ..Config::classifying(&small, &frontier) }).await
}

fn request(texts: &[&str]) -> Value {
    json!({"id": "7", "inputs": [{"name": "text", "shape": [texts.len()], "datatype": "BYTES", "data": texts}]})
}

/// Returns the status and the message of an error as inference servers say it.
fn refusal(reply: &Reply) -> (StatusCode, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_else(|| panic!("{:?}", reply.body)).to_owned())
}

#[tokio::test]
async fn server_and_model_say_what_they_are() {
    let gateway = gateway(String::new()).await;

    for address in [gateway.listen, gateway.admin] {
        let server = get(address, "/v2").await.json();
        let model = get(address, "/v2/models/default").await.json();

        assert_eq!((&server["name"], &server["version"]), (&json!("pointsman"), &json!(env!("CARGO_PKG_VERSION"))));
        assert_eq!(get(address, "/v2/health/live").await.json(), json!({"live": true}));
        assert_eq!(get(address, "/v2/health/ready").await.json(), json!({"ready": true}));
        assert_eq!(get(address, "/v2/models/default/ready").await.json(), json!({"name": "default", "ready": true}));
        assert_eq!(get(address, "/v2/models/default/versions/2026.11.7").await.json(), model);
        assert_eq!(model["inputs"], json!([{"name": "text", "datatype": "BYTES", "shape": [-1]}]));
        let tier = &model["outputs"][0];
        assert_eq!(
            (&tier["name"], &tier["datatype"], &tier["shape"]),
            (&json!("tier"), &json!("FP32"), &json!([-1, 3]))
        );
        assert_eq!(tier["parameters"]["labels"], r#"["simple","medium","complex"]"#, "{model}");
        assert_eq!(
            (&model["outputs"][1]["name"], &model["outputs"][1]["datatype"]),
            (&json!("tier.label"), &json!("BYTES"))
        );
    }
}

#[tokio::test]
async fn texts_go_in_as_one_tensor_and_each_head_comes_out_as_two() {
    let gateway = gateway(String::new()).await;
    let texts = ["What is the capital of France?", "Prove that the square root of 2 is irrational."];

    let said = ask(&gateway, INFER, "", &request(&texts).to_string()).await.json();

    assert_eq!(
        (&said["model_name"], &said["model_version"], &said["id"]),
        (&json!("default"), &json!("2026.11.7"), &json!("7"))
    );
    let outputs = said["outputs"].as_array().expect("outputs");
    let names: Vec<&str> = outputs.iter().filter_map(|output| output["name"].as_str()).collect();
    assert_eq!(names[..2], ["tier", "tier.label"]);
    assert_eq!((outputs.len(), &outputs[0]["shape"], &outputs[1]["shape"]), (8, &json!([2, 3]), &json!([2])));
    assert_eq!(outputs[1]["data"], json!(["simple", "complex"]));
    let row: f64 = outputs[0]["data"].as_array().expect("data")[..3].iter().filter_map(Value::as_f64).sum();
    assert!((row - 1.0).abs() < 1e-4);
    until_metric(&gateway, r#"pointsman_decision_questions_total{question="infer",status_class="2xx"} 1"#).await;
}

#[tokio::test]
async fn columns_binary_data_and_asked_outputs_are_understood() {
    let gateway = gateway(String::new()).await;
    let whole = ask(&gateway, INFER, "", &request(&["Hello there."]).to_string()).await.json();
    let mut column = request(&["Hello there."]);
    column["inputs"][0]["shape"] = json!([1, 1]);
    column["inputs"][0]["data"] = json!([["Hello there."]]);
    column["outputs"] = json!([{"name": "tier.label"}, {"name": "domain"}]);

    let asked = ask(&gateway, INFER, "", &column.to_string()).await.json();
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let tensor = json!({"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 16}});
    let head = json!({"inputs": [tensor]}).to_string();
    let body = [head.as_bytes(), b"\x0c\0\0\0Hello there."].concat();
    let binary = connection.request(Method::POST, INFER).header("content-type", "application/octet-stream");
    let binary = binary.header("inference-header-content-length", head.len());
    let binary = binary.body(Framing::Length.body(Bytes::from(body))).expect("a valid request");
    let binary = Reply::read(connection.send(binary).await.expect("an answer")).await.json();

    let named = |answer: &Value, name: &str| {
        let outputs = answer["outputs"].as_array().unwrap_or_else(|| panic!("{answer}"));
        outputs.iter().find(|output| output["name"] == name).expect("the output")["data"].clone()
    };
    assert_eq!(asked["outputs"].as_array().map(Vec::len), Some(2), "{asked}");
    assert_eq!(asked["outputs"][0]["name"], "tier.label");
    for name in ["tier.label", "domain"] {
        assert_eq!(named(&asked, name), named(&whole, name));
        assert_eq!(named(&binary, name), named(&whole, name));
    }
}

#[tokio::test]
async fn what_is_not_the_model_s_is_refused_as_inference_servers_do() {
    let gateway = gateway(String::new()).await;
    let wrong = |key: &str, value: Value| {
        let mut request = request(&["a"]);
        request["inputs"][0][key] = value;
        request.to_string()
    };

    for (body, part) in [
        ("{".to_owned(), "cannot be read"),
        (json!({"inputs": []}).to_string(), "0 inputs"),
        (wrong("name", json!("prompt")), "allowed: `text`"),
        (wrong("datatype", json!("FP32")), "another datatype than BYTES"),
        (wrong("shape", json!([2])), "holds 1 texts, and its shape says 2"),
        (wrong("shape", json!([1, 2])), "allowed: [N] or [N, 1]"),
        (wrong("data", json!([1])), "no list of texts"),
        (json!({"outputs": [{"name": "x"}], "inputs": request(&["a"])["inputs"]}).to_string(), "allowed: `tier`"),
    ] {
        let (status, message) = refusal(&ask(&gateway, INFER, "", &body).await);
        assert!(status == StatusCode::BAD_REQUEST && message.contains(part), "{status} {message}");
    }
    let absent = refusal(&get(gateway.listen, "/v2/models/other").await);
    assert_eq!(
        absent,
        (StatusCode::NOT_FOUND, "There is no classifier `other`. Those that there are: `default`.".to_owned())
    );
    let (status, message) = refusal(&get(gateway.admin, "/v2/models/default/versions/1/ready").await);
    assert_eq!(
        (status, &*message),
        (StatusCode::NOT_FOUND, "The classifier `default` is not loaded in the version `1`.")
    );
}

#[tokio::test]
async fn a_server_without_its_weights_lives_and_is_not_ready() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let listen = "{address: 127.0.0.1:0, decisions: true}".to_owned();
    let config = Config { listen, bundle: "no-such-bundle".into(), ..Config::classifying(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    assert_eq!(get(gateway.listen, "/v2/health/live").await.status, StatusCode::OK);
    for path in ["/v2/health/ready", "/v2/models/default/ready", "/v2/models/default"] {
        assert_eq!(refusal(&get(gateway.listen, path).await).0, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}

#[tokio::test]
async fn a_model_needs_the_client_s_key_as_requests_do() {
    let gateway = gateway(clients("")).await;

    let (status, message) = refusal(&get(gateway.listen, "/v2/models/default").await);

    assert!(status == StatusCode::UNAUTHORIZED && message.starts_with("Incorrect API key"), "{message}");
    assert_eq!(ask(&gateway, INFER, "pk-1", &request(&["a"]).to_string()).await.status, StatusCode::OK);
}
