//! Collectors of spans and metrics: a URL without a password, header fields that exist, patience.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, root};
use crate::config::collector::OtlpCollector;
use crate::config::problem::KeyPath;
use crate::config::{MetricsConfig, TracingConfig};

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);

const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

impl ConfigChecker<'_> {
    pub(super) fn tracing(&mut self, tracing: &TracingConfig) {
        self.collector(&root("tracing").key("otlp"), tracing.otlp.collector(), "traces");
    }

    pub(super) fn metrics(&mut self, metrics: &MetricsConfig) {
        let Some(otlp) = &metrics.otlp else { return };
        let path = root("metrics").key("otlp");
        self.collector(&path, otlp.collector(), "metrics");
        self.span(&path.key("interval"), otlp.interval, &INTERVAL);
    }

    fn collector(&mut self, path: &KeyPath, collector: OtlpCollector<'_>, signal: &str) {
        if let Err(message) = collector.url(signal) {
            self.wrong(&path.key("endpoint"), message);
        }
        if collector.tls.is_some() && !collector.endpoint.starts_with("https:") {
            self.wrong(&path.key("tls"), "has no meaning for this endpoint (allowed: with https:// only)");
        }
        self.span(&path.key("timeout"), collector.timeout, &TIMEOUT);
        if let Some(source) = collector.credential {
            self.credential(&path.key("credential"), &source.as_credential());
        }
        for (name, source) in collector.headers {
            let path = path.key("headers").key(name);
            if !OtlpCollector::is_header(name) {
                self.wrong(&path, "is not a header field that can be added (allowed: such as x-scope-orgid)");
            }
            self.credential(&path, &source.as_credential());
        }
    }
}
