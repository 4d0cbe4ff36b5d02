//! The exporter of a build without the feature `otlp`: nothing makes one.

use std::convert::Infallible;
use std::sync::Arc;

use pointsman_core::config::{OtlpMetricsConfig, Secret};
use pointsman_http_client::ServerTrust;

use super::MetricsExporterError;
use crate::Metrics;
use crate::traces::unavailable;

/// An exporter, of which this build has none.
#[derive(Debug, Clone)]
pub struct MetricsExporter(Infallible);

impl MetricsExporter {
    /// Makes no exporter.
    ///
    /// # Errors
    /// Always.
    pub fn start(
        _metrics: &Arc<Metrics>,
        _otlp: &OtlpMetricsConfig,
        _secrets: &[(String, Secret)],
        _trust: ServerTrust,
    ) -> Result<Self, MetricsExporterError> {
        Err(MetricsExporterError(unavailable().unwrap_or_default().to_owned()))
    }

    /// Sends what is counted now, and waits for that.
    pub fn flush(&self) {
        match self.0 {}
    }
}
