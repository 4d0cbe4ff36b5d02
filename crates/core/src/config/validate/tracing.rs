//! Traces: a URL without a password, header fields that exist, patience.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, root};
use crate::config::{OtlpConfig, TracingConfig};

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);

impl ConfigChecker<'_> {
    pub(super) fn tracing(&mut self, tracing: &TracingConfig) {
        let path = root("tracing").key("otlp");
        let otlp = &tracing.otlp;
        if let Err(message) = otlp.url() {
            self.wrong(&path.key("endpoint"), message);
        }
        if otlp.tls.is_some() && !otlp.endpoint.starts_with("https:") {
            self.wrong(&path.key("tls"), "has no meaning for this endpoint (allowed: with https:// only)");
        }
        self.span(&path.key("timeout"), otlp.timeout, &TIMEOUT);
        if let Some(source) = &otlp.credential {
            self.credential(&path.key("credential"), &source.as_credential());
        }
        for (name, source) in &otlp.headers {
            let path = path.key("headers").key(name);
            if !OtlpConfig::is_header(name) {
                self.wrong(&path, "is not a header field that can be added (allowed: such as x-scope-orgid)");
            }
            self.credential(&path, &source.as_credential());
        }
    }
}
