//! Metrics: what a collector gets over OTLP, and the names of OpenTelemetry's conventions beside ours.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use prost::Message;
use tokio::sync::mpsc;

use crate::client::{chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::reload::until_metric;
use crate::soon;

fn attributes(pairs: &[KeyValue]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|pair| (pair.key.as_str(), text(pair))).collect()
}

fn text(pair: &KeyValue) -> &str {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{} is {other:?}", pair.key),
    }
}

/// Reads the next export.
async fn export(collector: &Origin) -> BTreeMap<String, Metric> {
    let export = collector.next().await;
    assert_eq!((export.path.as_str(), export.header("content-type")), ("/v1/metrics", Some("application/x-protobuf")));
    let request = ExportMetricsServiceRequest::decode(export.body).expect("an export");
    let [resource] = &request.resource_metrics[..] else { panic!("not one resource") };
    let about = attributes(&resource.resource.as_ref().expect("a resource").attributes);
    assert_eq!(about["service.name"], "pointsman");
    let metrics = resource.scope_metrics.iter().flat_map(|scope| scope.metrics.clone());
    metrics.map(|metric| (metric.name.clone(), metric)).collect()
}

/// Returns the value of a counter with these attributes.
fn sum(metric: &Metric, wanted: &[(&str, &str)]) -> Option<f64> {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{} is no sum", metric.name) };
    assert!(sum.is_monotonic && sum.aggregation_temporality == AggregationTemporality::Cumulative as i32);
    let point =
        sum.data_points.iter().find(|point| attributes(&point.attributes) == wanted.iter().copied().collect())?;
    assert!(point.start_time_unix_nano > 0 && point.time_unix_nano > point.start_time_unix_nano);
    match point.value? {
        Number::AsDouble(value) => Some(value),
        Number::AsInt(value) => panic!("{value} is an integer"),
    }
}

/// Returns count, sum and the counts of buckets of the histogram with these attributes.
fn histogram(metric: &Metric, wanted: &[(&str, &str)]) -> Option<(u64, f64, Vec<u64>)> {
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{} is no histogram", metric.name) };
    let points = histogram.data_points.iter();
    let mut points = points.filter(|point| attributes(&point.attributes) == wanted.iter().copied().collect());
    let point = points.next()?;
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    Some((point.count, point.sum?, point.bucket_counts.clone()))
}

fn exporting(collector: &Origin, config: Config) -> Config {
    let endpoint = collector.address();
    let otlp = format!("{{endpoint: 'http://{endpoint}', credential: {{env: OTLP_KEY}}, interval: 1h}}");
    Config { sections: format!("metrics: {{gen_ai: true, otlp: {otlp}}}"), ..config }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_every_metric_under_our_names_and_those_of_the_conventions() {
    let (small, frontier, collector) = (Origin::start().await, Origin::start().await, Origin::start().await);
    let config = exporting(&collector, Config::new(&small, &frontier));
    let mut gateway = Gateway::start_with(&config, &[("OTLP_KEY", "key-of-the-collector")]).await;

    chat(gateway.listen, question("auto", "hello")).await;
    assert!(tokio::task::block_in_place(|| gateway.stop()).success(), "{}", gateway.log());
    let metrics = soon("the export", export(&collector)).await;

    let decided = [("policy", "auto"), ("model", "small"), ("reason", "rule")];
    assert_eq!(sum(&metrics["pointsman_decisions_total"], &decided), Some(1.0));
    assert_eq!(sum(&metrics["pointsman_rule_decisions_total"], &[("policy", "auto"), ("rule", "0")]), Some(1.0));
    assert_eq!(metrics["pointsman_request_duration_seconds"].unit, "s");
    let asked =
        [("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "one"), ("gen_ai.request.model", "small-1")];
    let (count, _, _) = histogram(&metrics["gen_ai.client.operation.duration"], &asked).expect("an operation");
    assert_eq!(count, 1);
    let usage = &metrics["gen_ai.client.token.usage"];
    let input = [&asked[..], &[("gen_ai.token.type", "input")]].concat();
    let (count, tokens, buckets) = histogram(usage, &input).expect("tokens");
    assert_eq!((count, tokens, usage.unit.as_str()), (1, 5.0, "{token}"));
    assert_eq!(buckets[..4], [0, 0, 1, 0], "5 lies between 4 and 16");
    assert!(!gateway.log().contains("key-of-the-collector"), "{}", gateway.log());
}

#[tokio::test]
async fn an_attempt_that_fails_is_an_operation_that_says_how() {
    let small = Origin::answering([Answer::Reply(StatusCode::TOO_MANY_REQUESTS, vec![], Bytes::new())]).await;
    let frontier = Origin::start().await;
    let sections = "metrics: {gen_ai: true}".to_owned();
    let config = Config { sections, fallback: "[frontier]", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    chat(gateway.listen, question("auto", "hello")).await;

    for (model, provider, error) in [("small-1", "one", "rate_limited"), ("frontier-1", "two", "")] {
        let labels = format!(
            "error_type=\"{error}\",gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"{provider}\",gen_ai_request_model=\"{model}\""
        );
        until_metric(&gateway, &format!("gen_ai_client_operation_duration_seconds_count{{{labels}}} 1")).await;
    }
}

#[tokio::test]
async fn a_stream_says_when_its_first_chunk_and_its_first_words_came() {
    let (sender, chunks) = mpsc::channel(4);
    let (small, frontier) = (Origin::answering([Answer::Events(chunks)]).await, Origin::start().await);
    let sections = "metrics: {gen_ai: true}".to_owned();
    let gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;
    let body = question("auto", "hello").replacen('{', "{\"stream\":true,", 1);
    for delta in [r#"{"role":"assistant","content":""}"#, r#"{"content":"Hi."}"#] {
        let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
        sender.send(event.into()).await.expect("room");
    }
    sender.send("data: [DONE]\n\n".into()).await.expect("room");
    drop(sender);

    chat(gateway.listen, body).await;

    let asked = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"one\",gen_ai_request_model=\"small-1\"";
    let first = format!("gen_ai_client_operation_time_to_first_chunk_seconds_count{{{asked}}} 1");
    until_metric(&gateway, &first).await;
    until_metric(&gateway, "pointsman_first_token_seconds_count{model=\"small\"} 1").await;
}

#[tokio::test]
async fn without_the_section_no_name_of_the_conventions_is_counted() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    chat(gateway.listen, question("auto", "hello")).await;

    until_metric(&gateway, "pointsman_rule_decisions_total{policy=\"auto\",rule=\"0\"} 1").await;
    let shown = get(gateway.admin, "/metrics").await.body;
    assert!(!String::from_utf8_lossy(&shown).contains("gen_ai_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_costs_no_request_anything_and_the_log_says_so() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = format!("metrics: {{otlp: {{endpoint: 'http://{}', interval: 1h}}}}", nobody().await);
    let mut gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;

    assert_eq!(chat(gateway.listen, question("auto", "hello")).await.status, StatusCode::OK);
    assert!(tokio::task::block_in_place(|| gateway.stop()).success(), "{}", gateway.log());

    assert!(gateway.log().contains("No metrics reach the collector"), "{}", gateway.log());
}
