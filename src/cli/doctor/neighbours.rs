//! What a gateway needs beside providers: the store that replicas share, the collector of traces, the folder of the
//! decision log.

use std::path::Path;
use std::time::Duration;

use http::Uri;
use pointsman_core::config::{Config, StoreConfig};
use rustix::fs::{Access, access};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::finding::DoctorFinding;

/// The port of Redis and Valkey.
const REDIS_PORT: u16 = 6379;

/// The port of `http://` where the endpoint names none.
const OTLP_PORT: u16 = 80;

/// Looks at each of them that is configured.
pub(super) async fn look(config: &Config, base_dir: &Path, patience: Duration) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    if let Some(StoreConfig::Redis(redis)) = &config.store {
        let url = redis.url.resolve(&|name| std::env::var(name).ok(), base_dir);
        let reached = match url {
            Ok(url) => connect(&url, REDIS_PORT, patience).await,
            Err(problem) => Err(problem),
        };
        findings.push(match reached {
            Ok(()) => DoctorFinding::ok("store.redis", "the server is reached"),
            Err(problem) => DoctorFinding::fail(
                "store.redis",
                format!("no connection: {problem}"),
                "look whether the server runs; without it each process goes by its own memory",
            ),
        });
    }
    let spans = config.tracing.as_ref().map(|tracing| ("tracing.otlp", &tracing.otlp.endpoint));
    let numbers = config.metrics.otlp.as_ref().map(|otlp| ("metrics.otlp", &otlp.endpoint));
    for (section, endpoint) in spans.into_iter().chain(numbers) {
        findings.push(match connect(endpoint, OTLP_PORT, patience).await {
            Ok(()) => DoctorFinding::ok(section, "the collector is reached"),
            Err(problem) => DoctorFinding::warn(
                section,
                format!("no connection: {problem}"),
                "look whether the collector runs; requests are served without it",
            ),
        });
    }
    if let Some(log) = &config.decision_log {
        findings.push(decision_log(&base_dir.join(&log.path)));
    }
    findings
}

fn decision_log(file: &Path) -> DoctorFinding {
    const CHECK: &str = "decision_log.path";
    let folder = file.parent().unwrap_or(Path::new("/"));
    match access(folder, Access::WRITE_OK) {
        Ok(()) => DoctorFinding::ok(CHECK, format!("`{}` can be written to", folder.display())),
        Err(error) => DoctorFinding::fail(
            CHECK,
            format!("`{}` cannot be written to: {error}", folder.display()),
            "make the folder, and let the process's user write there",
        ),
    }
}

/// Connects to the server of a URL. Problems never repeat it, as it may hold a password.
async fn connect(url: &str, port: u16, patience: Duration) -> Result<(), String> {
    let late = |_| "no connection in time".to_owned();
    if let Some((_, path)) = url.split_once("unix://") {
        let path = path.split('?').next().unwrap_or_default();
        let connected = timeout(patience, UnixStream::connect(path)).await.map_err(late)?;
        return connected.map(drop).map_err(|error| error.to_string());
    }
    let uri: Uri = url.parse().map_err(|_| "is no URL".to_owned())?;
    let authority = uri.authority().ok_or("names no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(port);
    let connected = timeout(patience, TcpStream::connect((host, port))).await.map_err(late)?;
    connected.map(drop).map_err(|error| error.to_string())
}
