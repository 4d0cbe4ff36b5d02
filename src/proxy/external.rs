//! Requests that another proxy sends: it asks what would become of them here, sends them on itself, and may tell what was
//! answered.
//!
//! The same phases as for a request that comes to Pointsman's own listeners, and the same code: admission, the client's
//! key, the body within its limits, the router, quotas and budgets; then the answer's usage, and the account. A session that
//! has no connection ([`ExternalSession`]) stands in for the client's. What is the sender's business is left out: peers,
//! retries, credentials, translations, the cache, checks of answers.
//!
//! [`ExternalRequest`] is one such request, from its header to its end.

mod answers;
mod judgement;
mod session;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType};
use pointsman_core::config::WebSocketLimits;
use pointsman_core::prompt::Dialect;

#[cfg_attr(not(feature = "grpc"), expect(unused_imports, reason = "who asks so speaks gRPC"))]
pub(crate) use self::judgement::{ExternalJudgement, ForwardedRequest, OwnAnswer};
pub(crate) use self::session::BodyFeed;
use self::session::{ExternalSession, WrittenBody};
use super::Proxy;
use super::asked::{self, AskedTarget};
use super::context::RequestContext;
use super::downstream::admission::BodyReservation;
use super::downstream::intake;
use super::header_fields::{self, is_ours};
use super::own_keys::OwnKeys;
use super::record::traced;
use crate::snapshot::Snapshot;

/// The header of a request that another proxy has.
pub(crate) struct ExternalHeader {
    header: RequestHeader,
    /// The path and query as they came, where there is a query: a key in it has been moved.
    target: Option<Box<str>>,
    asked: AskedTarget,
}

/// The terms on which another proxy asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExternalTerms {
    /// The longest that a decision may take, from the end of the body.
    pub(crate) deadline: Duration,
    /// True where the answer will be shown too, and may be changed.
    pub(crate) reads_answers: bool,
}

/// The part of another proxy in a request.
pub(super) struct ExternalUse {
    terms: ExternalTerms,
    /// The body as it was read, decoded.
    received: Option<Bytes>,
    /// True once the sender may send the request on.
    is_sent_on: bool,
}

/// A request that another proxy sends.
pub(crate) struct ExternalRequest {
    proxy: Arc<Proxy>,
    session: Session,
    ctx: Box<RequestContext>,
    /// The path and query as they came, where there is a query.
    target: Option<Box<str>>,
    written: WrittenBody,
}

/// Memory for what another proxy sends, within what all bodies may take; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct ExternalMemory(BodyReservation);

/// The way in which a request that another proxy sends is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExternalEnd {
    /// All that was to be seen of it was seen.
    Whole,
    /// The sender has broken off before.
    BrokenOff,
}

impl ExternalHeader {
    /// Makes the header of a request; `None` where it is none that HTTP knows.
    pub(crate) fn new(method: &Method, target: &str, fields: &HeaderMap) -> Option<Self> {
        let mut header = RequestHeader::build_no_case(method.clone(), target.as_bytes(), Some(fields.len())).ok()?;
        header.set_version(Version::HTTP_2); // no `Expect`, no upgrade: the sender has seen to them
        for (name, value) in fields {
            header.append_header(name.clone(), value.clone()).ok()?;
        }
        asked::collapse_length(&mut header);
        let asked = asked::normalize(&mut header);
        let target = target.contains('?').then(|| target.into());
        Some(Self { header, target, asked })
    }

    /// Returns whether a model is asked: what else there is goes where the sender's own routes lead.
    pub(crate) fn is_for_model(&self) -> bool {
        self.header.method == Method::POST && Dialect::of_path(self.header.uri.path()).is_some()
    }

    /// Returns whether a WebSocket is asked for that may not be opened: one by which a model is asked, as its sender would pass
    /// its messages on unread; and any where they are off.
    pub(crate) fn is_refused_socket(&self, limits: &WebSocketLimits) -> bool {
        let is_for_model = || Dialect::of_path(self.header.uri.path()).is_some();
        intake::is_websocket(&self.header) && (limits.max_open == 0 || is_for_model())
    }
}

impl ExternalMemory {
    /// Reserves nothing yet.
    pub(crate) fn of(proxy: &Proxy) -> Self {
        let limit = proxy.router.snapshot().config.limits.bytes_in_flight();
        Self(BodyReservation::new(&proxy.admission, limit))
    }

    /// Reserves so many bytes more; false where there is no room for them.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        self.0.cover(self.0.bytes() + bytes).is_ok()
    }

    /// Gives all of it back.
    pub(crate) fn release(&mut self) {
        self.0.settle(0);
    }
}

impl ExternalUse {
    /// Notes the body as it was read.
    pub(super) fn received(&mut self, body: &Bytes) {
        self.received = Some(body.clone());
    }

    /// Returns whether the answer will be shown too.
    pub(super) const fn reads_answers(&self) -> bool {
        self.terms.reads_answers
    }

    /// Returns how long a decision may take.
    pub(super) const fn deadline(&self) -> Duration {
        self.terms.deadline
    }

    /// Returns whether the sender has sent the request on, as far as is known.
    pub(super) const fn is_sent_on(&self) -> bool {
        self.is_sent_on
    }
}

impl ExternalRequest {
    /// Begins a request, against a snapshot; its body comes through the feed.
    pub(crate) fn begin(
        proxy: &Arc<Proxy>,
        snapshot: Arc<Snapshot>,
        header: ExternalHeader,
        terms: ExternalTerms,
    ) -> (Self, BodyFeed) {
        let ExternalHeader { header, target, asked } = header;
        let (session, feed, written) = ExternalSession::open(header);
        let mut ctx = Box::new(RequestContext::new(snapshot, proxy.request_ids.next(), proxy.open.enter()));
        ctx.asked = asked;
        ctx.external = Some(Box::new(ExternalUse { terms, received: None, is_sent_on: false }));
        if let Some(id) = header_fields::request_id(session.req_header()) {
            ctx.request_id = id;
        }
        ctx.trace = traced::begin(session.req_header(), &ctx);
        (Self { proxy: Arc::clone(proxy), session, ctx, target, written }, feed)
    }

    /// Returns what tells when the request has to end at once, because the process does.
    pub(crate) fn cut(&self) -> impl Future<Output = ()> + Send + use<> {
        let cut = self.ctx.open.cut();
        async move { cut.fell().await }
    }

    /// Returns the names of fields that go no further: those that only Pointsman may say, and all that hold its keys.
    pub(crate) fn own_fields(&self) -> Vec<HeaderName> {
        let fields = &self.session.req_header().headers;
        let mut own: Vec<_> = fields.keys().filter(|name| is_ours(name)).cloned().collect();
        own.extend(self.own_keys().into_iter().flat_map(|keys| keys.fields(fields)));
        own
    }

    /// Returns the path and query without Pointsman's keys, where there is one in it.
    pub(crate) fn target_without_own_keys(&self) -> Option<String> {
        self.own_keys()?.target_without(self.target.as_ref()?)
    }

    fn own_keys(&self) -> Option<OwnKeys<'_>> {
        OwnKeys::of(&self.ctx.snapshot.clients, self.ctx.client.as_ref())
    }

    /// Returns the query that goes on.
    fn kept_query(&self) -> Option<String> {
        let target = self.target_without_own_keys();
        let (_, query) = target.as_deref().or(self.target.as_deref())?.split_once('?')?;
        Some(query.to_owned())
    }

    /// Notes that the sender sends the request on as it came.
    pub(crate) fn pass(&mut self) {
        if let Some(external) = &mut self.ctx.external {
            external.is_sent_on = true;
        }
    }

    /// Counts and logs the request, which is over.
    pub(crate) fn end(mut self, end: ExternalEnd) {
        let broken = (end == ExternalEnd::BrokenOff)
            .then(|| Error::explain(ErrorType::ConnectionClosed, "the sender broke off").into_down());
        self.proxy.recorder.account(&self.session, broken.as_deref(), &mut self.ctx);
    }
}
