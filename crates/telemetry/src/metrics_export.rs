//! The export of every metric to an OpenTelemetry collector, off unless `metrics.otlp` is configured.
//!
//! A thread of its own gathers what `GET /metrics` shows, once in an interval, and sends it as OTLP: cumulative sums,
//! gauges and histograms under the same names, those of the conventions for generative AI under theirs
//! (`gen_ai.client.token.usage`). No request takes part in it. A collector that is gone costs a log record, and the next
//! export says all that the lost one did, but for its moment.
//!
//! A build without the feature `otlp` has no exporter: [`MetricsExporter`] has no values there.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
mod messages;

#[cfg(not(feature = "otlp"))]
pub use self::absent::MetricsExporter;
#[cfg(feature = "otlp")]
pub use self::exporter::MetricsExporter;

/// The reason why no metrics can be sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot send metrics: {0}")]
pub struct MetricsExporterError(String);
