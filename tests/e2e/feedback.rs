//! Whose word on an answer counts.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::clients::hash;
use crate::decision_log::{lines, logging, start};
use crate::gateway::Config;
use crate::origin::Origin;

#[tokio::test]
async fn feedback_on_another_client_s_request_is_refused_and_the_operator_s_says_whose_it_is() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let clients = ["anna", "mallory"].map(|name| format!("  {name}: {{keys: [{{sha256: {}}}]}}\n", hash(name)));
    let sections = format!("clients:\n{}", clients.concat());
    let mut gateway = start(&logging(Config { sections, ..Config::new(&small, &frontier) }, "")).await;
    let send = async |client: &str, path: &str, body: Value| {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, path).header("content-type", "application/json");
        let request = request.header("x-api-key", client).header("x-request-id", "of-anna");
        let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await
    };
    let word = json!({"request_id": "of-anna", "rating": "down"});
    let ask = serde_json::from_str(&question("auto", "hi")).expect("JSON");

    let unknown = send("mallory", "/v1/feedback", word.clone()).await;
    assert_eq!(send("anna", CHAT, ask).await.status, StatusCode::OK);
    let foreign = send("mallory", "/v1/feedback", word.clone()).await;
    let own = send("anna", "/v1/feedback", word.clone()).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let operator = admin.post(Framing::Length, "/v1/feedback", word.to_string()).await;

    assert_eq!((foreign.status, foreign.error_code().as_str()), (StatusCode::BAD_REQUEST, "invalid_feedback"));
    assert_eq!([unknown.status, own.status, operator.status], [StatusCode::OK; 3]);
    let said = lines(&mut gateway).into_iter().filter(|line| line["kind"] == "feedback");
    let said: Vec<_> = said.map(|line| (line["client"].clone(), line["operator"].clone())).collect();
    let expected = [(json!("mallory"), Value::Null), (json!("anna"), Value::Null), (Value::Null, json!(true))];
    assert_eq!(said, expected);
}
