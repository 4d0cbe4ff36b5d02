//! Sends exports over HTTP, with the certificate authorities of the system or of the operator.
//!
//! The exporter has a thread of its own and waits on it, so a small runtime there drives the connection. A connection
//! is made for each export, every few seconds: a kept one may be closed by the collector just as it is used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient as ExportClient, HttpError as ExportError};
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError, HttpOrigin, ServerTrust};
use tokio::runtime::{Builder, Runtime};

/// The longest answer that is read: a collector has little to say.
const MAX_ANSWER: usize = 1 << 20;

/// The client of the collector.
pub(super) struct OtlpClient {
    runtime: Runtime,
    http: HttpClient,
    timeout: Duration,
    trust: ServerTrust,
    /// Set while exports fail; every change is logged, not every export.
    is_failing: AtomicBool,
}

impl OtlpClient {
    /// Makes a client that gives an export `timeout`.
    pub(super) fn new(timeout: Duration, trust: ServerTrust) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (http, is_failing) = (HttpClient::closing(), AtomicBool::new(false));
        Ok(Self { runtime, http, timeout, trust, is_failing })
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
            Some(why) if !was_failing => tracing::warn!("No spans reach the collector: {why}"),
            None if was_failing => tracing::info!("Spans reach the collector again"),
            _ => {}
        }
    }
}

#[async_trait]
impl ExportClient for OtlpClient {
    /// Blocks; called on the exporter's own thread, which runs no runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ExportError> {
        let answered = self.runtime.block_on(self.send(request));
        self.tell(answered.as_ref().err());
        answered.map_err(Into::into)
    }
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
