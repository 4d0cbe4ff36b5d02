//! Pointsman inside a Pingora service of your own: LLM traffic goes through it, everything else to your own upstream.
//!
//! `cargo run --example embed -- config/quickstart.yaml 127.0.0.1:8081 127.0.0.1:3000`

use std::env;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};
use pointsman::{Metrics, Proxy, Router, SnapshotBuilder};

/// Your service, with Pointsman as a part of it.
struct Service {
    llm: Proxy,
    rest: String,
}

/// What a request remembers: Pointsman's part, and whether it is Pointsman's at all.
struct Context {
    llm: <Proxy as ProxyHttp>::CTX,
    is_llm: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (file, listen, rest) = (next("config/quickstart.yaml"), next("127.0.0.1:8081"), next("127.0.0.1:3000"));

    let metrics = Arc::new(Metrics::new());
    let builder = SnapshotBuilder::new(file.as_ref(), Arc::clone(&metrics));
    let snapshot = builder.build(builder.prepare()?, None)?;
    let router = Arc::new(Router::new(snapshot, Arc::clone(&metrics)));
    let llm = Proxy::new(router, metrics);

    let mut server = Server::new(None)?;
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Service { llm, rest });
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever();
}

/// Every phase that Pointsman has is handed on; leave none out, or streams, retries and accounting break.
#[async_trait]
impl ProxyHttp for Service {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context { llm: self.llm.new_ctx(), is_llm: false }
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        ctx.is_llm = session.req_header().uri.path().starts_with("/v1/");
        if ctx.is_llm { self.llm.early_request_filter(session, &mut ctx.llm).await } else { Ok(()) }
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        if ctx.is_llm { self.llm.request_filter(session, &mut ctx.llm).await } else { Ok(false) }
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        if ctx.is_llm {
            return self.llm.upstream_peer(session, &mut ctx.llm).await;
        }
        Ok(Box::new(HttpPeer::new(self.rest.as_str(), false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        if !ctx.is_llm {
            return Ok(());
        }
        self.llm.upstream_request_filter(session, upstream, &mut ctx.llm).await
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        if !ctx.is_llm {
            return Ok(());
        }
        self.llm.request_body_filter(session, body, end_of_stream, &mut ctx.llm).await
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        upstream: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        if !ctx.is_llm {
            return Ok(());
        }
        self.llm.upstream_response_filter(session, upstream, &mut ctx.llm).await
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        if !ctx.is_llm {
            return Ok(None);
        }
        self.llm.response_body_filter(session, body, end_of_stream, &mut ctx.llm)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        if ctx.is_llm { self.llm.response_filter(session, answer, &mut ctx.llm).await } else { Ok(()) }
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        if ctx.is_llm {
            return self.llm.error_while_proxy(peer, session, error, &mut ctx.llm, reused);
        }
        error.retry.decide_reuse(reused && !session.as_ref().retry_buffer_truncated());
        error
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        if ctx.is_llm { self.llm.fail_to_connect(session, peer, &mut ctx.llm, error) } else { error }
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        if ctx.is_llm {
            return self.llm.fail_to_proxy(session, error, &mut ctx.llm).await;
        }
        let code = 502;
        let _ = session.respond_error(code).await; // the client may have left
        FailToProxy { error_code: code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        if ctx.is_llm {
            self.llm.logging(session, error, &mut ctx.llm).await;
        }
    }
}
