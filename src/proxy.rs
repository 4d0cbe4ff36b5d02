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
//! early_request_filter     timeouts, the path, the request's id     downstream::connection, asked, header_fields
//! request_filter           admission: load, header size, client key entry, downstream::{admission, client_use}
//!                          intake -> prompt -> router -> rewrite    downstream::{intake, decode}, plan, attempt::original
//!                          or models, feedback, a mere question     answer::models, record::feedback, question
//!                          what it may cost is reserved             budget
//! upstream_peer            an address of the chosen provider        attempt::forward
//! upstream_request_filter  path, host, credential, Content-Length   attempt::{forward, body_adapter}, answer::headers
//! request_body_filter      Pingora sends the rewritten body
//! upstream_response_filter the answer has started: it is held       attempt::fallback, answer::meter
//! response_filter          decision headers, not the account's      answer, answer::headers
//! response_body_filter     what is real goes out; usage and pace    answer::meter, attempt::body_adapter
//! fail_to_proxy            what failed becomes a Rejection          answer, answer::rejection
//! logging                  request metrics, one access line         record::account
//!                          its trace, a line in the decision log    record::{traced, decision_line}
//! ```
//!
//! A WebSocket's messages come to the same phases, one by one: `websocket`. Requests that no
//! [`Dialect`](pointsman_core::prompt::Dialect) reads pass through to the default provider: JSON once it was looked at,
//! all else without being buffered. Paths are normalised before anything looks at them: `asked`.

mod answer;
mod answer_verdict;
mod asked;
mod attempt;
mod budget;
mod cache;
mod clock;
mod context;
mod downstream;
mod entry;
mod escalation;
#[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "what asks so speaks gRPC"))]
pub(crate) mod external;
mod failed_attempt;
mod header_fields;
mod kept_state;
mod large_work;
mod models;
mod own_count;
mod own_keys;
mod pass_through;
mod plan;
pub(crate) mod question;
mod record;
mod router_question;
mod server;
mod shadow_answer;
#[cfg(feature = "grpc")]
pub(crate) mod stopped;
mod upstream_request;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Version;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, Result};
use pointsman_telemetry::Metrics;

use self::answer::meter::AnswerMeter;
pub(crate) use self::answer::rejection;
use self::attempt::fallback::RetryLedger;
use self::attempt::stale::ConnectionUse;
pub use self::context::RequestContext;
use self::downstream::admission::Admission;
pub(crate) use self::downstream::browser;
#[cfg(feature = "grpc")]
pub(crate) use self::downstream::client_use::find_key;
use self::downstream::drain::OpenRequests;
use self::downstream::{connection, intake};
use self::plan::RequestPlan;
pub(crate) use self::record::feedback;
use self::record::{Recorder, RequestIds, RequestOwners, traced};
#[cfg(feature = "grpc")]
pub(crate) use self::server::CountedRequest;
pub(crate) use self::server::{
    BindError, DrainState, Listeners, OtherSocket, RunningProxy, ShutdownReason, ShutdownUrge, TakeOverError,
};
use crate::router::Router;
use crate::upstream::{AttemptFailure, ESCALATED};

/// The proxy: give it to a Pingora service, or let `proxy::Listeners` serve it.
pub struct Proxy {
    router: Arc<Router>,
    metrics: Arc<Metrics>,
    recorder: Recorder,
    request_ids: RequestIds,
    owners: Arc<RequestOwners>,
    open: Arc<OpenRequests>,
    admission: Arc<Admission>,
    sockets: Arc<websocket::OpenSockets>,
    retries: RetryLedger,
}

impl Proxy {
    /// Makes a proxy that asks `router`.
    #[must_use]
    pub fn new(router: Arc<Router>, metrics: Arc<Metrics>) -> Self {
        let admission = Arc::new(Admission::new(metrics.edge()));
        Self {
            recorder: Recorder::new(Arc::clone(&router), Arc::clone(&metrics)),
            retries: RetryLedger::new(Arc::clone(&metrics)),
            sockets: Arc::new(websocket::OpenSockets::new(metrics.websockets())),
            router,
            metrics,
            request_ids: RequestIds::default(),
            owners: Arc::default(),
            open: Arc::default(),
            admission,
        }
    }

    /// Makes a proxy beside this one, for requests that others send: what both have open is bounded and drained together.
    pub(crate) fn beside(&self) -> Self {
        Self {
            owners: Arc::clone(&self.owners),
            open: Arc::clone(&self.open),
            admission: Arc::clone(&self.admission),
            sockets: Arc::clone(&self.sockets),
            ..Self::new(Arc::clone(&self.router), Arc::clone(&self.metrics))
        }
    }

    /// Returns what is known of the process by its metrics.
    #[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "what asks so speaks gRPC"))]
    pub(crate) const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Returns the router that is asked.
    #[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "what asks so speaks gRPC"))]
    pub(crate) const fn router(&self) -> &Arc<Router> {
        &self.router
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed: Pingora moves it through a dozen futures, each of which would be larger by its size.
    type CTX = Box<RequestContext>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(RequestContext::new(self.router.snapshot(), self.request_ids.next(), self.open.enter()))
    }

    /// None: Pingora's default is one that could compress answers, and asks each request and chunk whether to.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        connection::request_began(session, &ctx.snapshot.config.limits);
        asked::collapse_length(session.req_header_mut());
        ctx.asked = asked::normalize(session.req_header_mut());
        if let Some(id) = header_fields::request_id(session.req_header()) {
            ctx.request_id = id;
        }
        ctx.trace = traced::begin(session.req_header(), ctx);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        if self.open.is_draining() {
            session.set_keepalive(None);
        }
        match plan::admitted_plan(self, session, ctx).await {
            Ok(RequestPlan::Forward) => Ok(false),
            Ok(RequestPlan::Answer(body)) => answer::send_own(session, ctx, body).await.map(|()| true),
            Ok(RequestPlan::WebSocket(accepted)) => answer::switch(session, ctx, *accepted).await.map(|()| true),
            Ok(RequestPlan::Replay(kept)) => answer::replay(session, ctx, &kept).await.map(|()| true),
            Err(rejection) => {
                answer::reject(session, ctx, &rejection).await;
                intake::discard_body(session).await;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        ctx.attempts.pause().await;
        ctx.attempts.begin();
        traced::attempted(session.req_header(), ctx);
        Recorder::operation_began(session.req_header(), ctx);
        let peer = ctx.attempts.pick_peer(session).await;
        peer.map_err(|mut error| {
            error.set_retry(self.recorder.attempt_failed(ctx, &error, &self.retries));
            error
        })
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        _digest: Option<&pingora::protocols::Digest>,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.attempts.connected(if reused { ConnectionUse::Kept } else { ConnectionUse::New });
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        upstream_request::write(session, upstream, ctx)?;
        ctx.attempts.install_body(session, ctx.snapshot.config.limits.body_idle.0);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        intake::drop_empty_end(body, end_of_stream);
        if ctx.attempts.body.bytes().is_none() && !end_of_stream && !session.was_upgraded() {
            intake::passes_in_time(ctx.clock.elapsed(), &ctx.snapshot.config.limits)?;
        }
        websocket::note_sent(ctx, body.as_ref())?;
        // An HTTP/2 upstream that gives no window is left at once when an HTTP/2 client leaves, but Pingora watches the
        // client only through its real session.
        let is_read = ctx.attempts.body.bytes().is_some();
        if is_read && ctx.attempts.upstream_is_h2 && session.req_header().version == Version::HTTP_2 {
            ctx.attempts.adapter.restore(session);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        upstream: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        // An informational answer may be the first, and the deadline was kept.
        ctx.attempts.adapter.restore_for(session, upstream.status);
        if upstream.status.is_informational() {
            return ctx.attempts.inform(session, upstream.status);
        }
        ctx.attempts.turn_down_idle_answer(session, upstream)?;
        ctx.attempts.note_answer();
        if self.open.is_draining() {
            session.set_keepalive(None); // the drain may have begun since the request
        }
        self.judge_header(session, upstream, ctx)
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        websocket::note_received(ctx, body.as_ref())?;
        if let Some(answer) = &mut ctx.aws_answer {
            answer.pass(body, end_of_stream)?;
        }
        if let Some(translation) = &mut ctx.answer_translation {
            translation.decode(body, end_of_stream)?;
        }
        self.pass_wait(ctx, body.as_ref(), end_of_stream)?;
        Self::read_for_check(ctx, body, end_of_stream);
        if let Some(verdict) = ctx.meter.as_mut().and_then(|meter| meter.open(body.as_ref(), end_of_stream)) {
            self.opened(ctx, verdict)?;
        }
        let gap = ctx.meter.as_mut().and_then(|meter| meter.pass(body, end_of_stream));
        self.translate(ctx, body, end_of_stream)?;
        self.settle_check(ctx, end_of_stream)?;
        ctx.keep_answer(body.as_ref());
        if ctx.meter.as_ref().is_some_and(AnswerMeter::has_said_all) {
            ctx.attempts.adapter.answer_is_whole();
        }
        if let (Some(gap), Some(meter)) = (gap, &mut ctx.meter) {
            let operation = ctx.operation.as_ref().map(|open| &open.operation);
            meter.gaps(|| self.metrics.chunk_gaps(ctx.attempts.model(), operation)).note(gap);
        }
        self.recorder.remember_state(ctx);
        if end_of_stream {
            self.recorder.confirm_state(ctx);
        }
        Ok(None)
    }

    /// An HTTP/2 upstream may end its answer by trailers, which no body filter sees. The end of a translated answer is a
    /// part of its body.
    async fn response_trailer_filter(
        &self,
        _session: &mut Session,
        _trailers: &mut http::HeaderMap,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Bytes>> {
        let mut body = None;
        self.pass_wait(ctx, None, true)?;
        Self::read_for_check(ctx, &mut body, true);
        if ctx.answer_translation.is_some() {
            self.translate(ctx, &mut body, true)?;
        }
        self.settle_check(ctx, true)?;
        ctx.keep_answer(body.as_ref());
        Ok(body)
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        answer: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        answer::dress(answer, ctx)?;
        cache::note_header(ctx, answer);
        Ok(())
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Self::CTX,
        _reused: bool,
    ) -> Box<Error> {
        ctx.attempts.adapter.restore(session);
        self.after_failure(peer, session, error, ctx)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let again = ctx.attempts.again_after_closed(&error) || self.recorder.attempt_failed(ctx, &error, &self.retries);
        error.set_retry(again);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        ctx.attempts.adapter.restore(session);
        let failed = answer::fail(session, error, ctx).await;
        if AttemptFailure::of(error) == AttemptFailure::ClientSlow {
            intake::discard_body(session).await; // so that the client gets to read why
        }
        failed
    }

    /// Pingora's default names the query string, in which some clients send keys.
    fn request_summary(&self, session: &Session, ctx: &Self::CTX) -> String {
        format!("{} {}", session.req_header().method, ctx.request_id)
    }

    /// An answer that fails a check is no failure of its upstream.
    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Self::CTX,
        error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        *error.etype() == ESCALATED
    }

    /// One line from `logging` says it all; Pingora's own would repeat it, at error level when a client just left.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Self::CTX, error: &Error) -> bool {
        *error.esource() != ErrorSource::Internal
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Self::CTX) {
        ctx.attempts.adapter.restore(session); // Pingora calls `finish` next: without the real session there is no keep-alive
        self.note_asked_check(ctx);
        self.recorder.account(session, error, ctx);
        connection::request_ended();
        if ctx.keeps_connection {
            connection::keep(session).await;
        }
        websocket::request_ended(session, error, ctx);
    }
}
