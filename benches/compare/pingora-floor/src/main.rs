//! A bare Pingora: passes requests through, or reads each body whole and replaces its `model`.
//!
//! It has no routing, limits, accounting, logs or metrics: it is the floor under everything that is built on Pingora. Bodies
//! are forwarded at any size: a body that is consumed in `request_filter` is only forwarded through Pingora's retry buffer,
//! which is dropped above 64 KiB, so the buffer is enabled for the tail of the body alone.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use pingora_core::prelude::{HttpPeer, Result};
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use serde_json::Value;

const RETRY_LIMIT: usize = 64 * 1024;
const MAX_BODY: usize = 32 * 1024 * 1024;
const MODEL: &str = "mock-small";
const USAGE: &str = "usage: pingora-floor PORT UPSTREAM_PORT pass|rewrite THREADS";

/// What is done to request bodies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyHandling {
    /// Forwards them as they come.
    Pass,
    /// Parses them and replaces `model`.
    Rewrite,
}

struct Arguments {
    port: u16,
    upstream: u16,
    bodies: BodyHandling,
    threads: usize,
}

impl Arguments {
    fn read() -> Option<Self> {
        let given: Vec<String> = env::args().skip(1).collect();
        let [port, upstream, bodies, threads] = given.as_slice() else { return None };
        let bodies = match bodies.as_str() {
            "pass" => BodyHandling::Pass,
            "rewrite" => BodyHandling::Rewrite,
            _ => return None,
        };
        Some(Self {
            port: port.parse().ok()?,
            upstream: upstream.parse().ok()?,
            bodies,
            threads: threads.parse().ok()?,
        })
    }
}

struct Floor {
    upstream: u16,
    bodies: BodyHandling,
}

/// The request's `content-length`; without one a body is not read here.
fn declared_length(head: &RequestHeader) -> Option<usize> {
    head.headers.get("content-length")?.to_str().ok()?.parse().ok()
}

async fn whole_body(session: &mut Session, length: usize) -> Result<BytesMut> {
    let mut body = BytesMut::with_capacity(length);
    loop {
        if length.saturating_sub(body.len()) <= RETRY_LIMIT {
            session.as_mut().enable_retry_buffering();
        }
        match session.as_mut().read_request_body().await? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(body),
        }
    }
}

fn with_model(body: &[u8]) -> Option<Bytes> {
    let mut request: Value = serde_json::from_slice(body).ok()?;
    request.as_object_mut()?.insert("model".into(), MODEL.into());
    serde_json::to_vec(&request).ok().map(Bytes::from)
}

#[async_trait]
impl ProxyHttp for Floor {
    type CTX = Option<Bytes>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    async fn request_filter(&self, session: &mut Session, rewritten: &mut Self::CTX) -> Result<bool> {
        if session.req_header().uri.path() == "/health" {
            session.respond_error_with_body(200, Bytes::from_static(b"ok")).await?;
            return Ok(true);
        }
        if self.bodies == BodyHandling::Pass || session.req_header().method != "POST" {
            return Ok(false);
        }
        let refusal = match declared_length(session.req_header()) {
            None => 411,
            Some(length) if length > MAX_BODY => 413,
            Some(length) => {
                *rewritten = with_model(&whole_body(session, length).await?);
                if rewritten.is_some() {
                    return Ok(false);
                }
                400
            }
        };
        session.respond_error(refusal).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(("127.0.0.1", self.upstream), false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        rewritten: &mut Self::CTX,
    ) -> Result<()> {
        if let Some(body) = rewritten {
            head.insert_header("content-length", body.len().to_string())?;
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        rewritten: &mut Self::CTX,
    ) -> Result<()> {
        if let Some(stored) = rewritten {
            *body = end.then(|| stored.clone());
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let settings =
        ServerConf { threads: arguments.threads, upstream_keepalive_pool_size: 512, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let floor = Floor { upstream: arguments.upstream, bodies: arguments.bodies };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), floor);
    service.add_tcp(&format!("127.0.0.1:{}", arguments.port));
    server.add_service(service);
    server.run_forever();
}
