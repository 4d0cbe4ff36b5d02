//! Whose word on an answer counts.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::clients::hash;
use crate::decision_log::{lines, logging, start};
use crate::gateway::Config;
use crate::origin::Origin;
use crate::reload::until_metric;

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

#[tokio::test]
async fn ratings_show_the_quality_of_a_model_s_answers_and_only_the_operator_speaks_of_shadow_answers() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = start(&logging(Config::new(&small, &frontier), "")).await;
    let mut ids = Vec::new();
    for (count, text) in (1..).zip(["a", "b"]) {
        let reply = chat(gateway.listen, question("auto", text)).await;
        ids.push(reply.header("x-request-id").expect("an id").to_owned());
        // The answer comes before the end of its request.
        until_metric(&gateway, &format!("pointsman_decision_log_lines_total {count}")).await;
    }
    let word = |id: &str, more: Value| {
        let mut word = json!({"request_id": id});
        word.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        word.to_string()
    };
    let send = async |to, body: String| {
        Connection::open(to, Framing::Length).await.post(Framing::Length, "/v1/feedback", body).await
    };

    let up = send(gateway.listen, word(&ids[0], json!({"rating": "up"}))).await;
    let down = send(gateway.listen, word(&ids[1], json!({"rating": 2}))).await;
    let of_client = send(gateway.listen, word(&ids[0], json!({"rating": "up", "answer": "shadow"}))).await;
    let of_operator = send(gateway.admin, word(&ids[0], json!({"rating": "up", "answer": "shadow"}))).await;

    assert_eq!([up.status, down.status, of_operator.status], [StatusCode::OK; 3]);
    assert_eq!((of_client.status, &of_client.json()["error"]["param"]), (StatusCode::BAD_REQUEST, &json!("answer")));
    let metrics = get(gateway.admin, "/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let value = |bound: &str, model: &str| {
        let labels = format!(r#"{{answer="served",bound="{bound}",model="{model}",policy="auto"}}"#);
        let series = format!("pointsman_quality_ratio{labels} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse::<f64>().expect("a number")
    };
    assert!((value("mean", "small") - 0.625).abs() < 0.01 && (value("mean", "") - 0.625).abs() < 0.01);
    assert!(value("low", "small") < 0.3 && value("high", "small") > 0.85);
    assert!(!metrics.contains(r#"pointsman_quality_ratio{answer="shadow""#), "nobody else was asked");
}

#[tokio::test]
async fn a_rating_that_outruns_its_answer_counts_once_that_is_over() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = start(&logging(Config::new(&small, &frontier), "")).await;
    let send = async |path: &str, body: Value| {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, path).header("content-type", "application/json");
        let request = request.header("x-request-id", "quickly-rated");
        let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
        Reply::read(connection.send(request).await.expect("an answer")).await
    };

    let word = send("/v1/feedback", json!({"request_id": "quickly-rated", "rating": "up"})).await;
    let answer = send(CHAT, serde_json::from_str(&question("auto", "hi")).expect("JSON")).await;

    assert_eq!([word.status, answer.status], [StatusCode::OK; 2]);
    until_metric(&gateway, r#"pointsman_quality_ratings{answer="served",model="small",policy="auto"} 1"#).await;
}
