//! What a gateway needs beside providers: the store that replicas share, the collector of traces, the folder of the
//! decision log.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use http::Uri;
use pointsman_core::config::{Config, RedisConfig, StoreAccess, StoreConfig};
use pointsman_telemetry::Metrics;
use rustix::fs::{Access, access};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::finding::DoctorFinding;
use crate::store::SharedStore;
use crate::upstream::TrustedAuthorities;

/// The port of Redis and Valkey.
const REDIS_PORT: u16 = 6379;

/// The port of `http://` where the endpoint names none.
const OTLP_PORT: u16 = 80;

/// Looks at each of them that is configured.
pub(super) async fn look(config: &Config, base_dir: &Path, patience: Duration) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    if let Some(StoreConfig::Redis(redis)) = &config.store {
        findings.push(store(redis, base_dir, patience).await);
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

/// Looks at every address of the store, and tries what the store is asked. One address that is reached is enough to go on;
/// the others say so.
async fn store(redis: &RedisConfig, base_dir: &Path, patience: Duration) -> DoctorFinding {
    const CHECK: &str = "store.redis";
    let access = match redis.access(&|name| std::env::var(name).ok(), base_dir) {
        Ok(access) => access,
        Err(wrong) => {
            let problems: Vec<_> = wrong.iter().map(|(path, problem)| format!("{path}: {problem}")).collect();
            return DoctorFinding::fail(CHECK, problems.join("; "), "set the variable or file that is named");
        }
    };
    let reached = join_all(access.servers.iter().map(|server| connect(&server.url, REDIS_PORT, patience))).await;
    let count = reached.len();
    let away: Vec<String> = reached
        .into_iter()
        .enumerate()
        .filter_map(|(at, answer)| Some((at, answer.err()?)))
        .map(|(at, problem)| if count == 1 { problem } else { format!("address {} of {count}: {problem}", at + 1) })
        .collect();
    let problem = format!("no connection: {}", away.join("; "));
    if away.len() < count
        && let Err(why) = examine(redis, access, base_dir, patience).await
    {
        let mend = "mend the user, the password or what the user may do (docs/store.md, \"Users and TLS\")";
        let away = if away.is_empty() { String::new() } else { format!("; {problem}") };
        return DoctorFinding::fail(
            CHECK,
            format!("it is reached, and does not do what it is asked: {why}{away}"),
            mend,
        );
    }
    match away.len() {
        0 if count == 1 => DoctorFinding::ok(CHECK, "the server is reached, and does what it is asked"),
        0 => DoctorFinding::ok(CHECK, format!("all {count} addresses are reached; the store does what it is asked")),
        some if some < count => DoctorFinding::warn(CHECK, problem, "look whether these servers run; the others serve"),
        _ => DoctorFinding::fail(
            CHECK,
            problem,
            "look whether the server runs; without it each process goes by its own memory",
        ),
    }
}

/// Tries every kind of command that a process gives the store, as its user.
async fn examine(redis: &RedisConfig, access: StoreAccess, base_dir: &Path, patience: Duration) -> Result<(), String> {
    let ca = redis.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    let trust = ca.map(|file| TrustedAuthorities::read(&base_dir.join(file))).transpose()?;
    let authorities = trust.map(|trust| trust.authorities().clone());
    let store = SharedStore::start(access, authorities, redis, Metrics::new().store());
    Box::pin(store.map_err(|error| error.to_string())?.examine(patience)).await
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
