//! The way to an OpenTelemetry collector: sends exports over HTTP, with the certificate authorities of the system or of
//! the operator.
//!
//! An exporter has a thread of its own and waits on it, so a small runtime there drives the connection. A connection is
//! made for each export, every few seconds: a kept one may be closed by the collector just as it is used again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient as ExportClient, HttpError as ExportError};
use opentelemetry_sdk::Resource;
use pointsman_core::config::Secret;
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError, HttpOrigin, ServerTrust};
use tokio::runtime::{Builder, Runtime};

/// The longest answer that is read: a collector has little to say.
const MAX_ANSWER: usize = 1 << 20;

/// The client of the collector.
pub(crate) struct OtlpClient {
    /// What is sent, as a log record calls it: `spans`.
    exported: &'static str,
    runtime: Runtime,
    http: HttpClient,
    timeout: Duration,
    trust: ServerTrust,
    /// Set while exports fail; every change is logged, not every export.
    is_failing: AtomicBool,
}

impl OtlpClient {
    /// Makes a client for what is `exported` that gives an export `timeout`.
    pub(crate) fn new(exported: &'static str, timeout: Duration, trust: ServerTrust) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (http, is_failing) = (HttpClient::closing(), AtomicBool::new(false));
        Ok(Self { exported, runtime, http, timeout, trust, is_failing })
    }

    /// Sends one export and says in the log when that begins to fail and when it works again. Blocks, so that it is for
    /// an exporter's own thread, which runs no runtime.
    ///
    /// # Errors
    /// Says why nothing arrived; an answer of any status is none.
    pub(crate) fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let answered = self.runtime.block_on(self.send(request));
        self.tell(answered.as_ref().err());
        answered
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let origin = HttpOrigin::of(request.uri()).ok_or("its URL names no host")?;
        let limits = ExchangeLimits { connect: self.timeout, read: self.timeout, max_bytes: MAX_ANSWER };
        let exchange = async {
            let destination = origin.destination(self.trust.clone()).await?;
            self.http.send(&destination, request, limits).await
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(HttpError::Untrusted(error))) => Err(format!("its certificate is not trusted: {error}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it did not answer in time".to_owned()),
        }
    }

    /// Says why nothing arrives, or that it does again: the exporter calls it a network error whatever it was.
    fn tell(&self, trouble: Option<&String>) {
        let was_failing = self.is_failing.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(why) if !was_failing => tracing::warn!("No {} reach the collector: {why}", self.exported),
            None if was_failing => tracing::info!("The collector gets {} again", self.exported),
            _ => {}
        }
    }
}

#[async_trait]
impl ExportClient for OtlpClient {
    /// Blocks; called on the exporter's own thread, which runs no runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ExportError> {
        self.post(request).map_err(Into::into)
    }
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Returns what every export says of its sender; the environment may say more (`OTEL_RESOURCE_ATTRIBUTES`,
/// `OTEL_SERVICE_NAME`).
pub(crate) fn resource() -> Resource {
    Resource::builder()
        .with_service_name("pointsman")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Returns the header fields that go with every export.
pub(crate) fn headers(secrets: &[(String, Secret)]) -> HashMap<String, String> {
    let field = |(name, secret): &(String, Secret)| match &**name {
        "credential" => ("authorization".to_owned(), format!("Bearer {}", secret.expose())),
        name => (name.to_owned(), secret.expose().to_owned()),
    };
    secrets.iter().map(field).collect()
}
