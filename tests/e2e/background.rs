//! A response that is made in the background is billed once, when it is fetched.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Connection, Framing, Reply};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;

const RESPONSES: &str = "/v1/responses";
const FETCHED: &str = "/v1/responses/resp_b";

fn json_answer(body: &Value) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], body.to_string().into())
}

fn queued() -> Value {
    json!({"id": "resp_b", "object": "response", "status": "queued", "output": [], "usage": null})
}

fn completed() -> Value {
    let usage = json!({"input_tokens": 1_000_000, "output_tokens": 500_000, "total_tokens": 1_500_000});
    let output = json!([{"type": "message", "content": [{"type": "output_text", "text": "done"}]}]);
    json!({"id": "resp_b", "object": "response", "status": "completed", "output": output, "usage": usage})
}

/// The end of a stream that a response is fetched as.
fn streamed() -> Answer {
    let event = json!({"type": "response.completed", "sequence_number": 4, "response": completed()});
    let events = format!("event: response.completed\ndata: {event}\n\n");
    Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], events.into())
}

async fn gateway(small: &Origin, frontier: &Origin, sections: &str) -> Gateway {
    let sections = sections.to_owned();
    Gateway::start(&Config { default_provider: Some("one"), sections, ..Config::new(small, frontier) }).await
}

async fn send(gateway: &Gateway, method: Method, path: &str, body: &Value) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(method, path).header("content-type", "application/json");
    let bytes = if body.is_null() { String::new() } else { body.to_string() };
    let request = request.header("authorization", "Bearer sk-1").body(Framing::Length.body(bytes.into()));
    Reply::read(connection.send(request.expect("a valid request")).await.expect("an answer")).await
}

async fn create(gateway: &Gateway) {
    let body = json!({"model": "auto", "input": "hello", "background": true});
    assert_eq!(send(gateway, Method::POST, RESPONSES, &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_response_made_in_the_background_is_billed_once_to_the_model_that_made_it() {
    for made in [json_answer(&completed()), streamed()] {
        let script = [json_answer(&queued()), json_answer(&queued()), made, json_answer(&completed())];
        let (small, frontier) = (Origin::answering(script).await, Origin::start().await);
        let gateway = gateway(&small, &frontier, "").await;

        create(&gateway).await;
        for _ in 0..3 {
            send(&gateway, Method::GET, FETCHED, &Value::Null).await;
        }

        for line in [
            "pointsman_tokens_total{direction=\"output\",model=\"small\"} 500000",
            "pointsman_tokens_total{direction=\"input\",model=\"small\"} 1000000",
            "pointsman_cost_usd_total{model=\"small\"} 0.2",
            "pointsman_baseline_cost_usd_total{policy=\"auto\"} 6",
        ] {
            until_metric(&gateway, line).await;
        }
    }
}

#[tokio::test]
async fn what_was_not_made_here_or_was_billed_before_costs_nothing_when_it_is_fetched() {
    let script = [json_answer(&completed()), json_answer(&completed()), json_answer(&completed())];
    let (small, frontier) = (Origin::answering(script).await, Origin::start().await);
    let gateway = gateway(&small, &frontier, "").await;

    send(&gateway, Method::GET, FETCHED, &Value::Null).await;
    create(&gateway).await;
    send(&gateway, Method::GET, FETCHED, &Value::Null).await;

    until_metric(&gateway, "pointsman_cost_usd_total{model=\"small\"} 0.2").await;
    until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 500000").await;
}

#[tokio::test]
async fn the_client_that_had_it_made_pays_out_of_its_allowance() {
    let script = [json_answer(&queued()), json_answer(&completed())];
    let (small, frontier) = (Origin::answering(script).await, Origin::start().await);
    let limit = "rate_limit: {tokens_per_minute: 2000000}";
    let sections = format!("clients:\n  team: {{keys: [{{sha256: {}}}], {limit}}}\n", hash("sk-1"));
    let gateway = gateway(&small, &frontier, &sections).await;

    create(&gateway).await;
    send(&gateway, Method::GET, FETCHED, &Value::Null).await;

    until_metric(&gateway, "pointsman_cost_usd_total{model=\"small\"} 0.2").await;
    let reply = send(&gateway, Method::GET, FETCHED, &Value::Null).await;
    let left: u64 = reply.header("x-ratelimit-remaining-tokens").and_then(|left| left.parse().ok()).expect("a number");
    assert!(left < 1_900_000, "{left}");
}
