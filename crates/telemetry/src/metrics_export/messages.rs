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
use prost::Message;

use crate::Metrics;
use crate::collector::resource;
use crate::metrics::{MetricDescription, MetricSeries, SeriesReading, gen_ai_attribute, gen_ai_metric};

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

    /// Returns the bytes of an export of `metrics` as they were at `at`.
    pub(super) fn encode(&self, metrics: &Metrics, at: SystemTime) -> Vec<u8> {
        let moment = [self.since, nanos(at)];
        let known = metrics.catalogue();
        let mut series = metrics.series(&known.iter().map(|metric| metric.name).collect::<Vec<_>>());
        let shown = known.iter().filter_map(|known| Some(metric(known, &series.remove(known.name)?, moment)));
        let metrics = shown.collect();
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

fn metric(known: &MetricDescription, series: &[MetricSeries], moment: [u64; 2]) -> Metric {
    let numbers = || series.iter().filter_map(|one| number(one, moment)).collect();
    let data = match known.kind {
        "counter" => Data::Sum(Sum { data_points: numbers(), aggregation_temporality: CUMULATIVE, is_monotonic: true }),
        "histogram" => Data::Histogram(Histogram {
            data_points: series.iter().filter_map(|one| histogram(one, moment)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
        _ => Data::Gauge(Gauge { data_points: numbers() }),
    };
    Metric {
        name: gen_ai_metric(known.name).unwrap_or(known.name).to_owned(),
        description: known.help.to_owned(),
        unit: known.unit().ucum().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(series: &MetricSeries, [since, at]: [u64; 2]) -> Option<NumberDataPoint> {
    let SeriesReading::Number { value } = series.reading else { return None };
    Some(NumberDataPoint {
        attributes: attributes(series),
        start_time_unix_nano: since,
        time_unix_nano: at,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

/// Prometheus counts what is up to a bound, OTLP what lies between two.
fn histogram(series: &MetricSeries, [since, at]: [u64; 2]) -> Option<HistogramDataPoint> {
    let SeriesReading::Histogram { count, sum, buckets } = &series.reading else { return None };
    let up_to: Vec<u64> = buckets.iter().map(|(_, up_to)| *up_to).chain([*count]).collect();
    let before = [0].into_iter().chain(up_to.iter().copied());
    Some(HistogramDataPoint {
        attributes: attributes(series),
        start_time_unix_nano: since,
        time_unix_nano: at,
        count: *count,
        sum: Some(*sum),
        // A request that is counted between two reads may be in a bucket and not yet in the count.
        bucket_counts: up_to.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect(),
        explicit_bounds: buckets.iter().map(|(bound, _)| *bound).collect(),
        ..HistogramDataPoint::default()
    })
}

/// A label without a value is none.
fn attributes(series: &MetricSeries) -> Vec<KeyValue> {
    let labels = series.labels.iter().filter(|(_, value)| !value.is_empty());
    labels.map(|(name, value)| attribute(gen_ai_attribute(name), value.clone())).collect()
}

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn nanos(at: SystemTime) -> u64 {
    let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
