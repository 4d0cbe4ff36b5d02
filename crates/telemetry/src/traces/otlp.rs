//! Spans by OpenTelemetry's SDK, which samples, batches and drops: a request hands its spans to a bounded queue and
//! never waits for a collector.

mod request;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use pointsman_core::config::{OtlpConfig, Secret};
use pointsman_http_client::ServerTrust;

pub use self::request::RequestTrace;
use super::TracerError;
use crate::collector::{OtlpClient, headers, resource};

/// Makes spans and sends them to a collector. Clones share the queue; the last one sends what is left.
#[derive(Clone)]
pub struct Tracer(Arc<TracerState>);

struct TracerState {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracer {
    /// Starts the exporter's thread; nothing is connected yet. `secrets` are the header fields and their values, among
    /// them
    /// `credential`; `trust` is in the collector.
    ///
    /// # Errors
    /// When the endpoint is none, or no thread starts.
    pub fn start(otlp: &OtlpConfig, secrets: &[(String, Secret)], trust: ServerTrust) -> Result<Self, TracerError> {
        let client = OtlpClient::new("spans", otlp.timeout.0, trust);
        let client = client.map_err(|error| TracerError(error.to_string()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(otlp.collector().url("traces").map_err(TracerError)?.to_string())
            .with_timeout(otlp.timeout.0)
            .with_headers(headers(secrets))
            .build()
            .map_err(|error| TracerError(error.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(otlp.sample.get()))))
            .with_resource(resource())
            .build();
        let tracer = provider.tracer("pointsman");
        Ok(Self(Arc::new(TracerState { provider, tracer })))
    }

    /// Sends what is queued. Blocks, for as long as an export may take.
    ///
    /// # Errors
    /// When the collector took it not, or not in time.
    pub fn flush(&self) -> Result<(), TracerError> {
        self.0.provider.force_flush().map_err(|error| TracerError(error.to_string()))
    }
}

/// The provider's shutdown waits for the collector: not on the thread of the request that held the last snapshot.
impl Drop for TracerState {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let provider = self.provider.clone();
        let shut_down = move || drop(provider.shutdown_with_timeout(PATIENCE));
        // Without a thread the spans that are left are lost, and the process has other worries.
        let _ = std::thread::Builder::new().name("traces-end".into()).spawn(shut_down);
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}
