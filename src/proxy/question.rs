//! Questions which model a request would get, and why: decided as the request would be, and answered without sending it.
//! And questions what classifiers say of texts: see [`direct`].
//!
//! [`decide`], [`predict`] and [`direct`] serve the admin plane too. Here are the questions of clients, on listeners that take them
//! (`decisions: true`): with the client's key, within its limits, about the policies and models that may serve it. What is
//! said of the decision is what the admin plane says, without what belongs to the operator alone: see [`client_view`].

mod client_view;
pub(crate) mod direct;
pub(crate) mod predict;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pointsman_core::config::{Glob, Name};
use pointsman_core::policy::DecisionDetail;
use pointsman_core::prompt::RequestPath;
use pointsman_telemetry::DecisionQuestion;
use serde_json::Value;

use self::direct::{DirectAsker, DirectKind, DirectQuestion};
use self::predict::TextRouter;
use super::answer::rejection::Rejection;
use super::context::RequestContext;
use super::downstream::listener;
use super::large_work::{self, LARGE_BODY};
use super::plan::{RequestPlan, read_body};
use super::{Proxy, budget, pass_through};
use crate::budgets::BudgetParty;
use crate::clients::{Client, QuestionMeter};
use crate::inference;
use crate::judge::{JudgeAccount, JudgeCost};
use crate::router::{IncomingRequest, JudgeMode, QuotaMode, RequestState, Router, header_text};
use crate::snapshot::Snapshot;

/// The path whose policy decides when a body comes without one.
pub(crate) const DECIDED_PATH: &str = "/v1/chat/completions";

/// The paths of the questions.
const PATHS: [(&str, DecisionQuestion); 5] = [
    ("/v1/decide", DecisionQuestion::Decide),
    ("/predict", DecisionQuestion::Predict),
    ("/predict/batch", DecisionQuestion::PredictBatch),
    ("/v1/classify", DecisionQuestion::Classify),
    ("/v1/decisions", DecisionQuestion::Decisions),
];

/// A request that is decided on and sent nowhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnsentRequest<'r> {
    /// The data plane's path that it is decided for.
    pub(crate) path: &'r str,
    /// The request's header, as far as policies read it.
    pub(crate) headers: &'r HeaderMap,
    /// The client that it is decided for.
    pub(crate) client: Option<&'r Client>,
    /// When it comes, in seconds since 1970; `None` for now.
    pub(crate) at: Option<u64>,
    pub(crate) judging: JudgeMode<'r>,
    /// The meter that takes the prompt's tokens.
    pub(crate) meter: &'r QuestionMeter,
    pub(crate) body: &'r Bytes,
}

/// The decision on a request that was not sent.
#[derive(Debug)]
pub(crate) struct UnsentDecision {
    /// The decision and all that led there. A policy's refusal is no error: it is said here.
    pub(crate) explanation: Value,
    /// US dollars for the judges that were asked.
    pub(crate) judges: f64,
}

/// A client that asks.
struct AskingClient<'a> {
    router: &'a Router,
    snapshot: &'a Snapshot,
    client: Option<&'a Client>,
    /// The holder of the budgets that pay for judges.
    party: BudgetParty<'a>,
    /// The meter that takes what the question costs of the client's allowance.
    meter: QuestionMeter,
}

/// Decides on a request without sending it. Dropping the future abandons the decision.
///
/// # Errors
/// When the body cannot be read.
pub(crate) async fn decide(
    router: &Router,
    snapshot: &Snapshot,
    asked: UnsentRequest<'_>,
) -> Result<UnsentDecision, Rejection> {
    let UnsentRequest { path, headers, client, at, judging, meter, body } = asked;
    let RequestPath { path, dialect, google, .. } = RequestPath::read(path);
    let dialect = dialect.ok_or(Rejection::PathNotFound)?;
    let prompt = snapshot.read_asked(dialect, google.as_ref(), body)?;
    if meter.counts_tokens() {
        meter.take_tokens(pass_through::counted(&prompt));
    }
    let mut state = RequestState::of_prompt(&prompt, body);
    router.find_state(snapshot, client.map(Client::name), &mut state).await;
    let header = |name: &str| header_text(headers, name);
    let incoming = IncomingRequest {
        path: &path,
        header: &header,
        client,
        prompt: &prompt,
        body,
        state: Some(&state),
        at,
        judging,
        key: None,
        quotas: QuotaMode::Look,
        detail: DecisionDetail::Explanation,
    };
    let verdict = router.route(snapshot, &incoming).await;
    let applied = verdict.finding().filter(|_| verdict.is_applied());
    let judges = applied.and_then(|finding| finding.judge_cost_usd).unwrap_or_default();
    let explanation = verdict.explain(snapshot, &incoming);
    Ok(UnsentDecision { explanation, judges })
}

/// Returns the question that a request asks, on a listener that takes questions.
pub(super) fn of_request(session: &Session, ctx: &RequestContext) -> Option<DecisionQuestion> {
    let header = session.req_header();
    let path = header.uri.path();
    let (question, is_method) = match PATHS.into_iter().find(|(known, _)| *known == path) {
        Some((_, question)) => (question, header.method == Method::POST),
        None => (DecisionQuestion::Infer, header.method != Method::HEAD && inference::is_path(&header.method, path)),
    };
    let takes_questions = || listener::of(session, &ctx.snapshot.config).is_some_and(|listen| listen.decisions);
    (is_method && takes_questions()).then_some(question)
}

/// Answers a client's question.
///
/// # Errors
/// When it cannot be read, or the client leaves.
pub(super) async fn answer(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
    question: DecisionQuestion,
) -> Result<RequestPlan, Rejection> {
    ctx.question = Some(question);
    let body = match session.req_header().method {
        Method::POST => read_body(proxy, session, ctx).await?,
        _ => Bytes::new(),
    };
    let header = session.req_header().clone();
    let is_large = body.len() >= LARGE_BODY;
    let patience = ctx.snapshot.config.limits.body_idle.0;
    let place = if is_large { Some(Box::pin(large_work::place(session, patience)).await?) } else { None };
    // A judge takes its time: a client that leaves meanwhile is noticed.
    let work = Box::pin(async {
        tokio::select! {
            biased;
            said = say(proxy, &header, ctx, (question, &body)) => said,
            _ = session.as_downstream_mut().read_body_or_idle(true) => Err(Rejection::ClientGone),
        }
    });
    let said = match place {
        Some(place) => large_work::drive(place, work).await,
        None => work.await,
    }?;
    ctx.clock.decided();
    Ok(RequestPlan::Answer(said))
}

/// Returns the answer to a question. What it costs of the client's allowance is taken on the way: a request for each text,
/// and the tokens.
async fn say(
    proxy: &Proxy,
    header: &RequestHeader,
    ctx: &RequestContext,
    (question, body): (DecisionQuestion, &Bytes),
) -> Result<Bytes, Rejection> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let client = ctx.client.as_ref().map(|used| Arc::clone(used.client()));
    let asking = AskingClient {
        router: &proxy.router,
        snapshot: &snapshot,
        client: client.as_deref(),
        party: budget::party(ctx),
        meter: QuestionMeter::of(client.as_ref()),
    };
    match question {
        DecisionQuestion::Decide => {
            asking.accept(1);
            asking.decide_on(&header.headers, body).await.map(|said| said.to_string().into())
        }
        DecisionQuestion::Predict => predict::one(&asking, body).await.map(|said| written(&said)),
        DecisionQuestion::PredictBatch => predict::many(&asking, body).await.map(|said| written(&said)),
        DecisionQuestion::Classify => asking.ask(DirectKind::Classify, header, body).await,
        DecisionQuestion::Infer => asking.ask(DirectKind::Infer, header, body).await,
        DecisionQuestion::Decisions => asking.ask(DirectKind::Decide, header, body).await,
    }
}

fn written(said: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(said).expect("texts, numbers and names are JSON").into()
}

impl AskingClient<'_> {
    /// Asks what no policy decides on.
    async fn ask(&self, kind: DirectKind, header: &RequestHeader, body: &Bytes) -> Result<Bytes, Rejection> {
        let (method, path, headers) = (&header.method, header.uri.path(), &header.headers);
        let asked = DirectQuestion { kind, method, path, headers, body };
        let asker = DirectAsker { meter: &self.meter, account: self };
        Box::pin(direct::answer(self.snapshot, asked, asker)).await
    }

    /// Decides on a request of the client's, and says what the client may know of it.
    async fn decide_on(&self, headers: &HeaderMap, body: &Bytes) -> Result<Value, Rejection> {
        let judging = budget::judging(self.router, self.snapshot, self.party);
        let (client, meter) = (self.client, &self.meter);
        let asked = UnsentRequest { path: DECIDED_PATH, headers, client, at: None, judging, meter, body };
        let decided = decide(self.router, self.snapshot, asked).await?;
        budget::charge(self.router, self.snapshot, self.party, decided.judges);
        Ok(client_view::of(decided.explanation, |model| self.snapshot.may_serve(self.client, model)))
    }
}

impl JudgeAccount for AskingClient<'_> {
    /// A judge's answer is the client's answer here: its lists of models hold, as do its budgets.
    fn may_ask(&self, model: &Name) -> bool {
        self.snapshot.may_serve(self.client, model) && !budget::is_used_up(self.router, self.party)
    }

    fn pay(&self, cost: JudgeCost) {
        budget::charge(self.router, self.snapshot, self.party, cost.dollars);
        self.meter.take_tokens(cost.tokens);
    }
}

impl TextRouter for AskingClient<'_> {
    type Error = Rejection;

    fn accept(&self, texts: usize) {
        self.meter.take_texts(texts);
    }

    async fn decide(&self, body: Bytes) -> Result<Value, Rejection> {
        self.decide_on(&HeaderMap::new(), &body).await
    }

    fn virtual_model(&self) -> Option<String> {
        let may_use = |name| self.client.is_none_or(|client| client.may_use(Some(name)));
        let usable = self.snapshot.config.policies.iter().filter(|policy| may_use(&policy.name));
        let exact = usable.flat_map(|policy| &policy.matches.model).find_map(Glob::exact);
        exact.map(str::to_owned)
    }
}
