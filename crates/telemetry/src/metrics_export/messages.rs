//! Metrics as OTLP has them: a Prometheus family becomes a cumulative sum, a gauge or a histogram.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prometheus::proto::{self, MetricFamily, MetricType};
use prost::Message;

use crate::Metrics;
use crate::collector::resource;
use crate::metrics::{MetricUnit, gen_ai_attribute, gen_ai_metric};

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// The message of an export, without its numbers.
pub(super) struct MetricsMessage {
    resource: Resource,
    /// The moment since which counters count, in nanoseconds since 1970.
    since: u64,
}

impl MetricsMessage {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let attributes = resource().iter().map(|(key, value)| attribute(key.as_str(), value.to_string())).collect();
        let resource = Resource { attributes, ..Resource::default() };
        Self { resource, since: nanos(metrics.created()) }
    }

    /// Returns the bytes of an export of `families` as they were at `at`.
    pub(super) fn encode(&self, families: Vec<MetricFamily>, at: SystemTime) -> Vec<u8> {
        let moment = [self.since, nanos(at)];
        let metrics = families.iter().filter_map(|family| metric(family, moment)).collect();
        let scope = InstrumentationScope {
            name: "pointsman".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    }
}

fn metric(family: &MetricFamily, moment: [u64; 2]) -> Option<Metric> {
    let points = family.get_metric();
    let data = match family.get_field_type() {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: points.iter().map(|one| number(one, one.get_counter().get_value(), moment)).collect(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        MetricType::GAUGE => {
            let data_points = points.iter().map(|one| number(one, one.get_gauge().get_value(), moment)).collect();
            Data::Gauge(Gauge { data_points })
        }
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: points.iter().map(|one| histogram(one, moment)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
        MetricType::SUMMARY | MetricType::UNTYPED => return None, // of which there are none
    };
    let name = family.name();
    Some(Metric {
        name: gen_ai_metric(name).unwrap_or(name).to_owned(),
        description: family.help().to_owned(),
        unit: MetricUnit::of(name).ucum().to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

fn number(point: &proto::Metric, value: f64, [since, at]: [u64; 2]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: since,
        time_unix_nano: at,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

/// Prometheus counts what is up to a bound, OTLP what lies between two.
fn histogram(point: &proto::Metric, [since, at]: [u64; 2]) -> HistogramDataPoint {
    let histogram = point.get_histogram();
    let (count, buckets) = (histogram.get_sample_count(), histogram.get_bucket());
    let up_to: Vec<u64> = buckets.iter().map(proto::Bucket::cumulative_count).chain([count]).collect();
    let before = [0].into_iter().chain(up_to.iter().copied());
    HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: since,
        time_unix_nano: at,
        count,
        sum: Some(histogram.get_sample_sum()),
        // A request that is counted between two reads may be in a bucket and not yet in the count.
        bucket_counts: up_to.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect(),
        explicit_bounds: buckets.iter().map(proto::Bucket::upper_bound).collect(),
        ..HistogramDataPoint::default()
    }
}

/// A label without a value is none.
fn attributes(point: &proto::Metric) -> Vec<KeyValue> {
    let labels = point.get_label().iter().filter(|label| !label.value().is_empty());
    labels.map(|label| attribute(gen_ai_attribute(label.name()), label.value().to_owned())).collect()
}

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn nanos(at: SystemTime) -> u64 {
    let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
