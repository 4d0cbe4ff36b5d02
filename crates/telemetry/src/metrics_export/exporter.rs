//! The thread that sends metrics, and the handle by which it is told to end.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use pointsman_core::config::{OtlpMetricsConfig, Secret};
use pointsman_http_client::ServerTrust;

use super::MetricsExporterError;
use super::messages::MetricsMessage;
use crate::Metrics;
use crate::collector::{OtlpClient, headers};

/// Those who may wait for an export at once; a process flushes once, at its end.
const WAITING: usize = 4;

/// The exporter of a process's metrics. Clones share the thread, which sends a last time when the last one is dropped.
#[derive(Clone)]
pub struct MetricsExporter(Arc<ExporterHandle>);

struct ExporterHandle {
    flushes: SyncSender<SyncSender<()>>,
    timeout: Duration,
}

/// The thread's side.
struct ExporterWorker {
    metrics: Arc<Metrics>,
    message: MetricsMessage,
    client: OtlpClient,
    url: Uri,
    headers: HeaderMap,
}

impl MetricsExporter {
    /// Starts the exporter's thread; the first export follows after an interval. `secrets` are the header fields and
    /// their values, among them `credential`; `trust` is in the collector.
    ///
    /// # Errors
    /// When the endpoint or a header field is none, or no thread starts.
    pub fn start(
        metrics: &Arc<Metrics>,
        otlp: &OtlpMetricsConfig,
        secrets: &[(String, Secret)],
        trust: ServerTrust,
    ) -> Result<Self, MetricsExporterError> {
        let wrong = |error: &dyn fmt::Display| MetricsExporterError(error.to_string());
        let timeout = otlp.timeout.0;
        let worker = ExporterWorker {
            metrics: Arc::clone(metrics),
            message: MetricsMessage::new(metrics),
            client: OtlpClient::new("metrics", timeout, trust).map_err(|error| wrong(&error))?,
            url: otlp.collector().url("metrics").map_err(MetricsExporterError)?,
            headers: fields(secrets)?,
        };
        let (flushes, asked) = sync_channel(WAITING);
        let interval = otlp.interval.0;
        let thread = std::thread::Builder::new().name("metrics-export".into());
        thread.spawn(move || worker.run(&asked, interval)).map_err(|error| wrong(&error))?;
        Ok(Self(Arc::new(ExporterHandle { flushes, timeout })))
    }

    /// Sends what is counted now, and waits for that as long as an export may take.
    pub fn flush(&self) {
        let (done, sent) = sync_channel(1);
        if self.0.flushes.try_send(done).is_ok() {
            let _ = sent.recv_timeout(self.0.timeout); // the log says what is wrong with the collector
        }
    }
}

impl ExporterWorker {
    fn run(self, asked: &Receiver<SyncSender<()>>, interval: Duration) {
        loop {
            match asked.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => self.export(),
                Ok(done) => {
                    self.export();
                    let _ = done.try_send(()); // whoever asked may have left
                }
                Err(RecvTimeoutError::Disconnected) => return self.export(),
            }
        }
    }

    fn export(&self) {
        let body = self.message.encode(&self.metrics, SystemTime::now());
        let mut request = Request::post(self.url.clone()).body(Bytes::from(body)).expect("a URL that was parsed");
        *request.headers_mut() = self.headers.clone();
        match self.client.post(request) {
            Ok(answer) if !answer.status().is_success() => {
                tracing::warn!(status = answer.status().as_u16(), "The collector refuses metrics");
            }
            Ok(_) | Err(_) => {} // the client has said so
        }
    }
}

fn fields(secrets: &[(String, Secret)]) -> Result<HeaderMap, MetricsExporterError> {
    let mut fields = HeaderMap::new();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    for (name, value) in headers(secrets) {
        let known = HeaderName::from_bytes(name.as_bytes());
        let (Ok(known), Ok(mut value)) = (known, HeaderValue::from_str(&value)) else {
            return Err(MetricsExporterError(format!("the value of the header field `{name}` cannot be sent")));
        };
        value.set_sensitive(true);
        fields.insert(known, value);
    }
    Ok(fields)
}

impl fmt::Debug for MetricsExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsExporter").finish_non_exhaustive()
    }
}
