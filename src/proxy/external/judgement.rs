//! The judgement on a request that another proxy sends: what it is to send on, or what its client is answered.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pointsman_core::config::{ExtProcFailure, Name};
use pointsman_core::prompt::GooglePath;
use pointsman_core::usage::UsageEvent;
use serde_json::{Map, Value, json};

use super::ExternalRequest;
use crate::proxy::answer;
use crate::proxy::answer::rejection::{Rejection, RejectionCode};
use crate::proxy::attempt::stale::ConnectionUse;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::decode::BodyEncoding;
use crate::proxy::entry;
use crate::proxy::plan::{self, RequestPlan};
use crate::proxy::record::{Recorder, traced};
use crate::router::{Routing, Verdict};

/// The judgement on a request.
#[derive(Debug)]
pub(crate) enum ExternalJudgement {
    /// It is to be sent on.
    Forward(Box<ForwardedRequest>),
    /// Pointsman itself answers: it refuses the request, or knows the answer.
    Answer(Box<OwnAnswer>),
    /// It could not be judged, and passes as it came.
    Unjudged(RejectionCode),
    /// Its sender has left.
    Gone,
}

/// A request as it is to be sent on.
#[derive(Debug, Default)]
pub(crate) struct ForwardedRequest {
    /// The model of the catalog; `None` where no policy is for the request, or changes nothing.
    pub(crate) model: Option<Name>,
    /// The model as its provider calls it, or as the client does.
    pub(crate) upstream_model: Option<String>,
    /// The body in place of the one that came, decoded; `None` where that stays as it is.
    pub(crate) body: Option<Bytes>,
    /// The path and query in place of those that came, where they name the model.
    pub(crate) path: Option<String>,
    /// The names of fields to remove, [`ExternalRequest::own_fields`] apart.
    pub(crate) removed: Vec<HeaderName>,
    /// What was decided, and by what.
    pub(crate) decision: Map<String, Value>,
}

/// An answer of Pointsman's own.
#[derive(Debug)]
pub(crate) struct OwnAnswer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
    /// The code of the error; `None` where it is none.
    pub(crate) code: Option<RejectionCode>,
    /// What was decided, and by what.
    pub(crate) decision: Map<String, Value>,
}

/// The kinds of rejections, by what they say of the request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RejectionKind {
    /// It is not to be served.
    Refused,
    /// It could not be read.
    Unreadable,
    /// Pointsman cannot do its work.
    OwnTrouble,
}

impl ExternalRequest {
    /// Lets the request in, by its header; returns the judgement where that is enough for one.
    pub(crate) fn admit(&mut self, failure: ExtProcFailure) -> BoxFuture<'_, Option<ExternalJudgement>> {
        Box::pin(async move {
            let rejection = entry::admit(&self.proxy, &self.session, &mut self.ctx).err()?;
            Some(self.rejected(&rejection, failure).await)
        })
    }

    /// Returns the refusal of a request whose body cannot be seen, of a client with a key: its limits could not hold. `seen`
    /// is what has come of the body, where the sender shows the beginning.
    pub(crate) async fn refuse_unseen(&mut self, seen: Option<usize>) -> Option<ExternalJudgement> {
        self.ctx.client.as_ref()?;
        let rejection = seen.map_or(Rejection::Internal, |limit| Rejection::BodyTooLarge { limit });
        answer::reject(&mut self.session, &mut self.ctx, &rejection).await;
        Some(self.own_answer())
    }

    /// Returns the refusal of a WebSocket: nobody could read the messages of one that its sender passes on.
    pub(crate) async fn refuse_socket(&mut self) -> ExternalJudgement {
        answer::reject(&mut self.session, &mut self.ctx, &Rejection::UpgradeRequired).await;
        self.own_answer()
    }

    /// Judges a request that was let in, once its body is there. `failure` says what becomes of it where it cannot be
    /// judged.
    ///
    /// A boxed future: whoever drives it has not to look through all that a plan may wait for.
    pub(crate) fn judge(&mut self, failure: ExtProcFailure) -> BoxFuture<'_, ExternalJudgement> {
        Box::pin(self.plan(failure))
    }

    async fn plan(&mut self, failure: ExtProcFailure) -> ExternalJudgement {
        let Self { proxy, session, ctx, .. } = self;
        let is_encoded = BodyEncoding::of(&session.req_header().headers).is_ok_and(|it| it != BodyEncoding::Identity);
        let sent = match plan::uncut_plan(proxy, session, ctx).await {
            Ok(RequestPlan::Forward | RequestPlan::WebSocket(_)) => {
                return ExternalJudgement::Forward(Box::new(self.forward(is_encoded)));
            }
            Ok(RequestPlan::Answer(body)) => answer::send_own(session, ctx, body).await,
            Ok(RequestPlan::Replay(kept)) => answer::replay(session, ctx, &kept).await,
            Err(rejection) => return self.rejected(&rejection, failure).await,
        };
        sent.map_or(ExternalJudgement::Gone, |()| self.own_answer())
    }

    async fn rejected(&mut self, rejection: &Rejection, failure: ExtProcFailure) -> ExternalJudgement {
        let Self { session, ctx, .. } = self;
        if matches!(rejection, Rejection::ClientGone) {
            return ExternalJudgement::Gone;
        }
        if passes(rejection, failure, ctx) {
            return ExternalJudgement::Unjudged(rejection.code());
        }
        answer::reject(session, ctx, rejection).await;
        self.own_answer()
    }

    fn own_answer(&self) -> ExternalJudgement {
        let Some(header) = self.session.response_written() else { return ExternalJudgement::Gone };
        ExternalJudgement::Answer(Box::new(OwnAnswer {
            status: header.status,
            fields: header.headers.clone(),
            body: self.written.take(),
            code: self.ctx.rejected,
            decision: decision(&self.ctx),
        }))
    }

    /// Notes that the request is sent on, and returns what of it changes.
    fn forward(&mut self, is_encoded: bool) -> ForwardedRequest {
        let query = self.kept_query();
        let Self { session, ctx, .. } = self;
        ctx.attempts.begin();
        ctx.attempts.connected(ConnectionUse::New);
        traced::attempted(session.req_header(), ctx);
        Recorder::operation_began(session.req_header(), ctx);
        let received = ctx.external.as_mut().and_then(|external| {
            external.is_sent_on = true;
            external.received.take()
        });
        let body = ctx.attempts.body.bytes().filter(|body| received.as_ref() != Some(body)).cloned();
        let target = ctx.attempts.target();
        let upstream_model = target.map(|target| target.upstream_name.clone()).or_else(|| ctx.asked.model.clone());
        let mut removed = Vec::new();
        if body.is_some() && is_encoded {
            removed.push(header::CONTENT_ENCODING);
        }
        if ctx.attempts.body.usage_event() == UsageEvent::Remove {
            removed.push(header::ACCEPT_ENCODING); // the event is taken out of the answer again
        }
        ForwardedRequest {
            model: ctx.attempts.model().cloned(),
            path: target
                .and(ctx.asked.google.as_ref())
                .zip(upstream_model.as_deref())
                .map(|(google, model)| google_path(google, model, query.as_deref())),
            upstream_model,
            body,
            removed,
            decision: decision(ctx),
        }
    }
}

/// Tells whether a request passes that is rejected, because it could not be judged. The limits of a client with a key hold
/// for what cannot be read, too; and where clients need keys, none passes at whose key nobody has looked yet.
fn passes(rejection: &Rejection, failure: ExtProcFailure, ctx: &RequestContext) -> bool {
    let is_open = failure == ExtProcFailure::Open;
    match kind(rejection) {
        RejectionKind::Refused => false,
        RejectionKind::Unreadable => is_open && ctx.client.is_none(),
        RejectionKind::OwnTrouble => is_open && (ctx.client.is_some() || !ctx.snapshot.clients.are_required()),
    }
}

const fn kind(rejection: &Rejection) -> RejectionKind {
    match rejection {
        Rejection::Overloaded | Rejection::ShuttingDown | Rejection::Internal => RejectionKind::OwnTrouble,
        Rejection::RequestTimeout
        | Rejection::InvalidJson { .. }
        | Rejection::InvalidBody
        | Rejection::ModelMissing
        | Rejection::ModelNotAString
        | Rejection::ModelTwice
        | Rejection::TooManyElements { .. }
        | Rejection::TooDeep { .. }
        | Rejection::KeyInAnotherCase { .. }
        | Rejection::AmbiguousModel
        | Rejection::BodyTooLarge { .. }
        | Rejection::UnsupportedEncoding { .. }
        | Rejection::InvalidEncoding { .. }
        | Rejection::UnsupportedMediaType { .. } => RejectionKind::Unreadable,
        _ => RejectionKind::Refused,
    }
}

/// Returns what was decided, and by what: names of the configuration and numbers, nothing of the client's.
fn decision(ctx: &RequestContext) -> Map<String, Value> {
    let mut fields = Map::from_iter([
        ("request_id".to_owned(), json!(ctx.request_id)),
        ("generation".to_owned(), json!(ctx.snapshot.generation)),
        ("overhead_us".to_owned(), json!(u64::try_from(ctx.clock.overhead().as_micros()).unwrap_or(u64::MAX))),
    ]);
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            fields.insert(key.to_owned(), value);
        }
    };
    put("client", json!(ctx.client_name()));
    put("code", json!(ctx.rejected.map(RejectionCode::as_str)));
    put("provider", json!(ctx.attempts.provider().map(|provider| &provider.name)));
    put("model", json!(ctx.attempts.model()));
    put("upstream_model", json!(ctx.attempts.target().map(|target| &*target.upstream_name)));
    put("estimated_cost_usd", json!(ctx.budget.as_ref().map(|reserved| reserved.estimate().dollars())));
    match &ctx.verdict {
        Some(Verdict::Route(routing)) => routed(routing, put),
        Some(Verdict::Deny(refusal)) => {
            put("policy", json!(refusal.denial.policy));
            put("reason", json!(refusal.denial.code));
            put("rule", json!(refusal.denial.by.rule()));
            put("quota", json!(refusal.denial.quota));
        }
        Some(Verdict::Pass { policy, shadow, .. }) => {
            put("policy", json!(policy));
            put("reason", json!("pass"));
            put("shadow_model", json!(shadow.as_ref().map(|routing| &routing.decision.model)));
        }
        None => {}
    }
    fields
}

fn routed(routing: &Routing, mut put: impl FnMut(&str, Value)) {
    let decision = &routing.decision;
    put("policy", json!(decision.deciding_policy()));
    put("reason", json!(decision.reason.as_str()));
    put("rule", json!(decision.by.rule()));
    put("strategy", json!(decision.by.strategy()));
    put("label", json!(decision.label));
    put("score", json!(decision.score));
    put("quota", json!(decision.quota));
    put("budget", json!(decision.tight_budget));
    put("judge_cost_usd", json!(decision.cost_usd));
    put("degraded", json!(routing.degraded().map(pointsman_core::scores::ClassifierFailure::as_str)));
    if let Some(Ok(scores)) = routing.scores() {
        put("source", json!(scores.source.as_str()));
        put("truncated_tokens", json!(scores.truncated_tokens));
        for head in &scores.heads {
            let labels = head.labels.iter().zip(&head.probabilities);
            let probabilities = labels.map(|(label, probability)| (label.to_string(), json!(probability)));
            put(&format!("{}_probabilities", head.head), Value::Object(probabilities.collect()));
        }
    }
}

/// Returns the path by which Google's API is asked for a model, with the query.
fn google_path(google: &GooglePath, model: &str, query: Option<&str>) -> String {
    let mut path = format!("{}/models/", google.root);
    for byte in model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => path.push(char::from(byte)),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path.push(':');
    path.push_str(google.operation);
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    path
}

/// Returns the fields by which an answer says what was decided.
pub(super) fn decision_fields(ctx: &RequestContext) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = HeaderMap::new();
    if answer::decorate(&mut fields, ctx).is_err() {
        return Vec::new(); // names of the configuration are good values
    }
    let named = fields.into_iter().scan(None, |name, (next, value)| {
        *name = next.or(name.take());
        Some((name.clone()?, value))
    });
    named.collect()
}
