//! Traces: what a collector gets over OTLP, and the trace context that upstreams get.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use crate::client::{CHAT, Connection, Framing, Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::redis::certify;
use crate::soon;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00f067aa0ba902b7";

/// Spans leave at once instead of every five seconds.
const AT_ONCE: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "10");

/// One span as the collector got it.
struct Seen {
    span: Span,
    service: String,
}

impl Seen {
    fn text(&self, key: &str) -> Option<String> {
        attributes(&self.span.attributes).get(key).cloned()
    }

    fn id(&self) -> String {
        hex(&self.span.span_id)
    }
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|pair| (pair.key.clone(), shown(pair.value.as_ref()))).collect()
}

fn shown(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads exports until so many spans have come.
async fn spans(collector: &Origin, wanted: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    while seen.len() < wanted {
        let export = collector.next().await;
        assert_eq!(
            (export.path.as_str(), export.header("content-type")),
            ("/v1/traces", Some("application/x-protobuf"))
        );
        let request = ExportTraceServiceRequest::decode(export.body).expect("an export");
        for resource in request.resource_spans {
            let about = attributes(&resource.resource.expect("a resource").attributes);
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            seen.extend(spans.map(|span| Seen { span, service: about["service.name"].clone() }));
        }
    }
    seen
}

fn of_kind(spans: &[Seen], kind: SpanKind) -> Vec<&Seen> {
    let mut found: Vec<_> = spans.iter().filter(|seen| seen.span.kind() == kind).collect();
    found.sort_by_key(|seen| seen.span.start_time_unix_nano);
    found
}

/// A collector, and a gateway that keeps this share of its own traces.
async fn traced(config: Config, sample: &str) -> (Origin, Gateway) {
    let collector = Origin::start().await;
    let sections = format!(
        "tracing: {{otlp: {{endpoint: 'http://{}', sample: {sample}, credential: {{env: OTLP_KEY}}, headers: {{x-scope-orgid: {{env: TENANT}}}}}}}}",
        collector.address()
    );
    let environment = [AT_ONCE, ("OTLP_KEY", "key-of-the-collector"), ("TENANT", "trains")];
    let gateway = Gateway::start_with(&Config { sections, ..config }, &environment).await;
    (collector, gateway)
}

async fn ask(gateway: &Gateway, traceparent: &str, body: String) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
    let request = request.header("traceparent", traceparent).header("tracestate", "rail=up");
    let request = request.body(Framing::Length.body(Bytes::from(body))).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

#[tokio::test]
async fn a_request_becomes_a_server_span_a_decision_and_an_attempt() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (collector, gateway) = traced(Config::new(&small, &frontier), "0").await;

    let reply = ask(&gateway, &format!("00-{TRACE}-{PARENT}-01"), question("auto", "hello")).await;
    let upstream = small.next().await;
    let spans = spans(&collector, 3).await;

    let [server] = of_kind(&spans, SpanKind::Server)[..] else { panic!("not one server span") };
    let [decide] = of_kind(&spans, SpanKind::Internal)[..] else { panic!("not one decision") };
    let [attempt] = of_kind(&spans, SpanKind::Client)[..] else { panic!("not one attempt") };
    assert!(spans.iter().all(|seen| hex(&seen.span.trace_id) == TRACE && seen.service == "pointsman"));
    assert_eq!(hex(&server.span.parent_span_id), PARENT);
    assert_eq!((hex(&decide.span.parent_span_id), hex(&attempt.span.parent_span_id)), (server.id(), server.id()));
    assert_eq!((&*server.span.name, &*decide.span.name), ("POST /v1/chat/completions", "decide"));
    assert_eq!(attempt.span.name, "chat small-1");
    for (span, key, value) in [
        (server, "http.request.method", "POST"),
        (server, "http.route", CHAT),
        (server, "http.response.status_code", "200"),
        (server, "pointsman.request_id", reply.header("x-request-id").expect("an id")),
        (server, "pointsman.model", "small"),
        (decide, "pointsman.policy", "auto"),
        (decide, "pointsman.reason", "rule"),
        (attempt, "gen_ai.operation.name", "chat"),
        (attempt, "gen_ai.provider.name", "one"),
        (attempt, "gen_ai.request.model", "small-1"),
        (attempt, "gen_ai.usage.input_tokens", "5"),
        (attempt, "gen_ai.usage.output_tokens", "2"),
        (attempt, "http.response.status_code", "200"),
        (attempt, "server.address", "127.0.0.1"),
        (attempt, "server.port", &small.address().port().to_string()),
    ] {
        assert_eq!(span.text(key).as_deref(), Some(value), "{key} of {}", span.span.name);
    }
    assert_eq!(upstream.header("traceparent"), Some(&*format!("00-{TRACE}-{}-01", attempt.id())));
    assert_eq!(upstream.header("tracestate"), Some("rail=up"));
    gateway.until_logged(TRACE).await;
}

#[tokio::test]
async fn what_the_classifier_said_is_in_the_decision_s_span() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (collector, gateway) = traced(Config::classifying(&small, &frontier), "1").await;

    let reply = chat(gateway.listen, question("auto", "What is the capital of France?")).await;
    let spans = spans(&collector, 3).await;

    let [decide] = of_kind(&spans, SpanKind::Internal)[..] else { panic!("not one decision") };
    for (key, header) in [("label", "label"), ("source", "source"), ("reason", "reason"), ("model", "model")] {
        let said = reply.header(&format!("x-pointsman-{header}")).map(str::to_owned);
        assert!(said.is_some(), "{header}");
        assert_eq!(decide.text(&format!("pointsman.{key}")), said, "{key}");
    }
    assert_eq!(decide.text("pointsman.classifier").as_deref(), Some("default"));
    assert!(decide.span.end_time_unix_nano > decide.span.start_time_unix_nano);
}

#[tokio::test]
async fn every_attempt_has_a_span_and_a_trace_context_of_its_own() {
    let small = Origin::answering([Answer::Reply(StatusCode::TOO_MANY_REQUESTS, vec![], Bytes::new())]).await;
    let frontier = Origin::start().await;
    let (collector, gateway) = traced(Config { fallback: "[frontier]", ..Config::new(&small, &frontier) }, "1").await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;
    let (first, second) = (small.next().await, frontier.next().await);
    let spans = spans(&collector, 4).await;

    assert_eq!(reply.status, StatusCode::OK);
    let [refused, answered] = of_kind(&spans, SpanKind::Client)[..] else { panic!("not two attempts") };
    assert_eq!((&*refused.span.name, &*answered.span.name), ("chat small-1", "chat frontier-1"));
    assert_eq!(refused.text("error.type").as_deref(), Some("429"));
    assert_eq!(answered.text("http.request.resend_count").as_deref(), Some("1"));
    for (attempt, request) in [(refused, first), (answered, second)] {
        let context = format!("00-{}-{}-01", hex(&attempt.span.trace_id), attempt.id());
        assert_eq!(request.header("traceparent"), Some(&*context));
    }
}

#[tokio::test]
async fn a_provider_that_is_gone_leaves_an_attempt_that_says_so() {
    let frontier = Origin::start().await;
    let config = Config { small: nobody().await, fallback: "[frontier]", ..Config::new(&frontier, &frontier) };
    let (collector, gateway) = traced(config, "1").await;

    chat(gateway.listen, question("auto", "hello")).await;
    let spans = spans(&collector, 4).await;

    let [refused, _] = of_kind(&spans, SpanKind::Client)[..] else { panic!("not two attempts") };
    assert_eq!(refused.text("error.type").as_deref(), Some("connect_failed"));
}

#[tokio::test]
async fn a_trace_that_the_client_does_not_keep_is_passed_on_and_not_sent() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (collector, gateway) = traced(Config::new(&small, &frontier), "1").await;

    ask(&gateway, &format!("00-{TRACE}-{PARENT}-00"), question("auto", "left out")).await;
    let upstream = small.next().await;
    ask(&gateway, "no trace context", question("auto", "kept")).await;
    let spans = spans(&collector, 3).await;

    let context = upstream.header("traceparent").expect("a context");
    assert!(context.starts_with(&format!("00-{TRACE}-")) && context.ends_with("-00"), "{context}");
    assert!(spans.iter().all(|seen| hex(&seen.span.trace_id) != TRACE));
}

#[tokio::test]
async fn the_collector_gets_the_key_and_the_header_fields_that_are_for_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (collector, gateway) = traced(Config::new(&small, &frontier), "1").await;

    chat(gateway.listen, question("auto", "hello")).await;
    let export = collector.next().await;

    assert_eq!(export.header("authorization"), Some("Bearer key-of-the-collector"));
    assert_eq!(export.header("x-scope-orgid"), Some("trains"));
    assert!(!gateway.log().contains("key-of-the-collector"), "{}", gateway.log());
}

#[tokio::test]
async fn without_tracing_the_client_s_trace_context_goes_upstream_as_it_came() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let context = format!("00-{TRACE}-{PARENT}-01");

    ask(&gateway, &context, question("auto", "hello")).await;

    let upstream = small.next().await;
    assert_eq!((upstream.header("traceparent"), upstream.header("tracestate")), (Some(&*context), Some("rail=up")));
    assert!(!gateway.log().contains("trace_id"), "{}", gateway.log());
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_no_request_anything() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = format!("tracing: {{otlp: {{endpoint: 'http://{}', sample: 1}}}}", nobody().await);
    let gateway = Gateway::start_with(&Config { sections, ..Config::new(&small, &frontier) }, &[AT_ONCE]).await;

    for _ in 0..3 {
        assert_eq!(chat(gateway.listen, question("auto", "hello")).await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_wait_are_sent_before_the_process_ends() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let collector = Origin::start().await;
    let sections = format!("tracing: {{otlp: {{endpoint: 'http://{}', sample: 1}}}}", collector.address());
    let mut gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;
    chat(gateway.listen, question("auto", "hello")).await;

    assert!(tokio::task::block_in_place(|| gateway.stop()).success(), "{}", gateway.log());

    let spans = soon("the spans", spans(&collector, 3)).await;
    assert_eq!(spans.len(), 3);
}

#[tokio::test]
async fn a_reload_turns_traces_on_and_off() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let collector = Origin::start().await;
    let off = Config::new(&small, &frontier);
    let sections = format!("tracing: {{otlp: {{endpoint: 'http://{}', sample: 1}}}}", collector.address());
    let on = Config { sections, ..off.clone() };
    let gateway = Gateway::start_with(&off, &[AT_ONCE]).await;

    for (config, generation) in [(&on, 2), (&off, 3)] {
        gateway.write(&config.yaml());
        crate::reload::until_metric(&gateway, &format!("pointsman_generation {generation}")).await;
        chat(gateway.listen, question("auto", "hello")).await;
        if generation == 2 {
            assert_eq!(spans(&collector, 3).await.len(), 3);
        }
    }

    assert!(collector.take().is_none(), "a span after traces were turned off");
    assert!(small.next().await.header("traceparent").is_some());
    assert!(small.next().await.header("traceparent").is_none());
}

#[tokio::test]
async fn a_collector_behind_tls_is_trusted_by_the_operator_s_authority_and_by_no_other() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let [own, other] = [0, 1].map(|_| tempfile::tempdir().expect("a temporary folder"));
    certify(own.path());
    certify(other.path());
    let collector = Origin::certified(&own.path().join("cert.pem"), &own.path().join("key.pem")).await;
    let trusting = async |folder: &std::path::Path| {
        let (address, ca) = (collector.address(), folder.join("cert.pem"));
        let ca = ca.display();
        let sections = format!("tracing: {{otlp: {{endpoint: 'https://{address}', sample: 1, tls: {{ca: {ca}}}}}}}");
        Gateway::start_with(&Config { sections, ..Config::new(&small, &frontier) }, &[AT_ONCE]).await
    };
    let (trusted, stranger) = (trusting(own.path()).await, trusting(other.path()).await);

    chat(stranger.listen, question("auto", "hello")).await;
    stranger.until_logged("its certificate is not trusted").await;
    let refused = collector.take();
    chat(trusted.listen, question("auto", "hello")).await;

    assert!(refused.is_none(), "a span went to a stranger");
    assert_eq!(spans(&collector, 3).await.len(), 3);
}
