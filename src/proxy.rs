//! The data plane: a request's life in Pingora's phases. Each phase delegates; the work is in four folders.
//!
//! | folder | owns |
//! |---|---|
//! | `downstream` | the client's side: connection, limits, key, body |
//! | `attempt` | the upstream's side: peers, bodies, retries, fallbacks |
//! | `answer` | the way back: headers, the meter, rejections, the list of models |
//! | `record` | the end: metrics, access line, traces, decision log, feedback |
//!
//! ```text
//! early_request_filter     timeouts and the request's id            downstream::connection, answer::headers
//! request_filter           admission: load, header size, client key downstream::{admission, clients}
//!                          intake -> prompt -> router -> rewrite    downstream::{intake, decode}, plan, attempt::original
//!                          or the list of models, or feedback       answer::models, record::feedback
//! upstream_peer            an address of the chosen provider        attempt::forward
//! upstream_request_filter  path, host, credential, Content-Length   attempt::{forward, body_adapter}, answer::headers
//! request_body_filter      Pingora sends the rewritten body
//! upstream_response_filter the answer has started                   attempt::fallback, answer::meter
//! response_filter          decision headers, not the account's      answer, answer::headers
//! response_body_filter     usage and pace of the answer             answer::meter
//! fail_to_proxy            what failed becomes a Rejection          answer, answer::rejection
//! logging                  request metrics, one access line         record::account
//!                          the spans of its trace                   record::traced
//!                          a line in the decision log               record::decided
//! ```
//!
//! Requests that no [`Dialect`](pointsman_core::prompt::Dialect) reads pass through to the default provider without being
//! buffered.

mod answer;
mod attempt;
mod context;
mod downstream;
pub mod health;
mod plan;
mod record;
mod server;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result, RetryType};
use pointsman_telemetry::Metrics;

use self::answer::meter::Meter;
pub use self::answer::rejection;
use self::answer::rejection::Rejection;
use self::answer::{headers, models};
use self::attempt::fallback::Cause;
use self::attempt::retry_budget::RetryBudget;
use self::attempt::{body_adapter, fallback, forward, withheld_answer};
pub use self::context::RequestContext;
use self::downstream::admission::Admission;
use self::downstream::drain::OpenRequests;
use self::downstream::{connection, intake};
use self::plan::Plan;
pub use self::record::feedback;
use self::record::{account, traced};
pub use self::server::{BindError, Draining, Listeners, Served, TakeOverError};
use crate::router::Router;

/// The proxy: give it to a Pingora service, or let [`Listeners`] serve it.
pub struct Proxy {
    router: Arc<Router>,
    metrics: Arc<Metrics>,
    request_ids: account::RequestIds,
    open: Arc<OpenRequests>,
    admission: Arc<Admission>,
    retry_budget: RetryBudget,
}

impl Proxy {
    /// Makes a proxy that asks `router`.
    #[must_use]
    pub fn new(router: Arc<Router>, metrics: Arc<Metrics>) -> Self {
        let admission = Arc::new(Admission::new(metrics.edge()));
        Self {
            router,
            metrics,
            request_ids: account::RequestIds::default(),
            open: Arc::default(),
            admission,
            retry_budget: RetryBudget::new(),
        }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed: Pingora moves it through a dozen futures, each of which would be larger by its size.
    type CTX = Box<RequestContext>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(RequestContext::new(self.router.snapshot(), self.request_ids.next(), self.open.enter()))
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        connection::request_began(session, &ctx.snapshot.config.limits);
        if let Some(id) = headers::request_id(session.req_header()) {
            ctx.request_id = id;
        }
        ctx.trace = traced::begin(session.req_header(), ctx);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        if self.open.is_draining() {
            session.set_keepalive(None);
        }
        let cut = ctx.open.cut();
        let planned = match self.admit(session, ctx) {
            Ok(()) => tokio::select! {
                biased;
                planned = self.plan(session, ctx) => planned,
                () = cut.fell() => Err(Rejection::ShuttingDown),
            },
            Err(rejection) => Err(rejection),
        };
        match planned {
            Ok(Plan::Forward) => Ok(false),
            Ok(Plan::Answer(body)) => models::send(session, ctx, body).await.map(|()| true),
            Err(rejection) => {
                answer::reject(session, ctx, &rejection).await;
                intake::discard_body(session).await;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        ctx.attempt_begins();
        traced::attempted(session.req_header(), ctx);
        let peer = forward::peer(ctx).await;
        peer.map_err(|mut error| {
            error.set_retry(self.attempt_failed(ctx, &error));
            error
        })
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        let Some(provider) = ctx.provider().cloned() else {
            return Error::e_explain(ErrorType::InternalError, "no route");
        };
        ctx.upstream_is_h2 = upstream.version == Version::HTTP_2;
        headers::edit_request(upstream, |upstream| {
            forward::set_target(upstream, &provider)?;
            headers::clean_request(&mut upstream.headers, session, ctx)?;
            forward::set_credential(&mut upstream.headers, &provider.credential);
            if let Some(trace) = &ctx.trace {
                trace.pass_on(&mut upstream.headers);
            }
            if ctx.target().is_some() {
                forward::want_plain(&mut upstream.headers);
            }
            if let Some(body) = &ctx.body {
                forward::set_length(&mut upstream.headers, body.len());
            }
            Ok(())
        })?;
        if let Some(body) = ctx.body.clone() {
            let timeouts = provider.timeouts;
            let total = timeouts.total.map(|total| total.0);
            let patience = ctx.patience();
            ctx.is_hurried = ctx.attempts > 1 && patience < timeouts.first_byte.0;
            ctx.swap.install(session, body, timeouts.first_byte.0.min(patience), total);
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        _body: &mut Option<Bytes>,
        _end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        // An HTTP/2 upstream that gives no window is left at once when an HTTP/2 client leaves, but Pingora watches the
        // client only through its real session.
        if ctx.upstream_is_h2 && session.req_header().version == Version::HTTP_2 {
            ctx.swap.restore(session);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        upstream: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.swap.restore(session); // an informational answer may be the first, and the deadline was kept
        if upstream.status.is_informational() {
            return Ok(());
        }
        self.attempt_answered(ctx, upstream.status);
        fallback::let_rest(ctx, upstream.status, &upstream.headers);
        if Self::is_retried(ctx, upstream.status)
            && can_resend(session, ctx)
            && self.try_again(ctx, Cause::Status(upstream.status))
        {
            let mut error = Error::new(ErrorType::HTTPStatus(upstream.status.as_u16())).into_up();
            error.set_retry(true);
            return Err(error);
        }
        self.remember_beginning(ctx, upstream.status);
        self.first_byte_arrived(ctx);
        Self::begin_answer(session, upstream, ctx);
        if upstream.status == StatusCode::BAD_REQUEST && ctx.may_try_again() && ctx.has_larger_window() {
            ctx.swap.hold(session);
        } else if ctx.body.is_some() {
            let is_stream = ctx.meter.as_ref().is_some_and(Meter::is_stream);
            ctx.swap.watch(session, forward::shorter_idle(ctx), is_stream);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        self.pass_answer(body, end_of_stream, ctx);
        Ok(None)
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        answer: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        answer::dress(answer, ctx)
    }

    /// Pingora's default forbids a retry of every POST. Here nothing of an answer has reached the client, and the body is
    /// still there: it is sent again, to another upstream.
    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        ctx.swap.restore(session);
        if matches!(error.etype(), ErrorType::HTTPStatus(_)) && error.retry() {
            return error; // `upstream_response_filter` has decided
        }
        let error = if *error.etype() == body_adapter::SILENT { error.into_up() } else { error };
        if *error.etype() == withheld_answer::CONTEXT_LENGTH {
            return self.widen(ctx, error);
        }
        let mut error = error.more_context(format!("peer: {peer}"));
        if !can_resend(session, ctx) || answer::begun(session).is_some() {
            error.set_retry(false);
            self.attempt_broke(ctx, &error);
            return error;
        }
        // A kept connection that turns out to be closed says nothing about the upstream: the same one is asked again.
        let is_stale = reused && matches!(error.retry, RetryType::ReusedOnly | RetryType::Decided(true));
        let again = if is_stale { ctx.again_after_stale() } else { self.attempt_failed(ctx, &error) };
        error.set_retry(again);
        error
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(self.attempt_failed(ctx, &error));
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        ctx.swap.restore(session);
        answer::fail(session, error, ctx).await
    }

    /// Pingora's default names the query string, in which some clients send keys.
    fn request_summary(&self, session: &Session, ctx: &Self::CTX) -> String {
        format!("{} {}", session.req_header().method, ctx.request_id)
    }

    /// One line from `logging` says it all; Pingora's own would repeat it, at error level when a client just left.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Self::CTX, error: &Error) -> bool {
        *error.esource() != ErrorSource::Internal
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Self::CTX) {
        ctx.swap.restore(session); // Pingora calls `finish` next: without the real session there is no keep-alive
        self.account(session, error, ctx);
        connection::request_ended();
    }
}

/// Returns whether another attempt could send the whole body: what was passed on unread is gone.
fn can_resend(session: &mut Session, ctx: &RequestContext) -> bool {
    ctx.body.is_some() || session.as_downstream_mut().is_body_empty()
}
