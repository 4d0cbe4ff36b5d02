//! The look for a kept answer, between the decision and the first attempt: in this process, in the store, by what was
//! asked, or with a request that asks the same right now.

use std::sync::Arc;
use std::time::Duration;

use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pointsman_core::config::Credential;
use pointsman_telemetry::metrics::ResponseCacheOutcome;
use tokio::time::Instant;

use super::bypass::BypassReason;
use super::directives::CacheDirectives;
use super::{CacheMiss, CacheState, CacheUse, ReplayedAnswer};
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::context::RequestContext;
use crate::proxy::large_work;
use crate::proxy::plan::RequestPlan;
use crate::proxy::router_question::RouterQuestion;
use crate::response_cache::{
    AnswerFreshness, AnswerOwner, AskedAnswer, CacheKey, CacheScope, CachedAnswer, ComparedAsk, FlightEnd, FlightLead,
    FlightSeat, KeyDigest, PolicyCache, SingleAsk, UnixMillis,
};
use crate::router::Routing;
use crate::snapshot::ClassifierState;

/// A question to the cache of a policy.
struct CacheQuestion<'q> {
    cache: &'q PolicyCache,
    directives: CacheDirectives,
    key: CacheKey,
    /// Whose answers are looked at, and everything that they depend on but the body.
    scope: CacheScope,
    around: KeyDigest,
}

/// The place that a look came to an end at.
enum SearchEnd {
    Found(ReplayedAnswer),
    /// The request asks a model, and leads those that want the same answer, unless another one does.
    Nothing(Option<FlightLead>, Option<ComparedAsk>),
}

/// Looks for a kept answer to a request, if the policy that decided has a cache.
///
/// # Errors
/// When the client wants a kept answer only and there is none, or leaves.
pub(in crate::proxy) async fn look_up(
    session: &mut Session,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
) -> Result<Option<RequestPlan>, Rejection> {
    if ctx.snapshot.response_caches.are_none() {
        return Ok(None);
    }
    let policy = ctx.routing().and_then(|routing| routing.decision.deciding_policy());
    let Some(cache) = policy.and_then(|policy| ctx.snapshot.response_caches.of(policy)).cloned() else {
        return Ok(None);
    };
    Ok(Box::pin(look_up_in(cache, session, ctx, asked)).await?.map(RequestPlan::Replay))
}

async fn look_up_in(
    cache: Arc<PolicyCache>,
    session: &mut Session,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
) -> Result<Option<Arc<CachedAnswer>>, Rejection> {
    let directives = CacheDirectives::of(&session.req_header().headers);
    let Some(routing) = ctx.routing() else { return Ok(None) };
    let by_client = directives.no_store.then_some(BypassReason::Client);
    let state = match by_client.or_else(|| BypassReason::of(asked, routing, cache.section())) {
        Some(reason) => CacheState::Bypass(reason),
        None => {
            let question = CacheQuestion::of(session.req_header(), ctx, asked, (&cache, directives));
            match question.search(session, ctx, asked).await? {
                SearchEnd::Found(answer) => CacheState::Replay(answer),
                SearchEnd::Nothing(lead, ask) => {
                    CacheState::Miss(Box::new(CacheMiss::new(question.key, asked.prompt.dialect, lead, ask)))
                }
            }
        }
    };
    let used = CacheUse { cache, state };
    let answer = used.kept().cloned();
    ctx.cache = Some(Box::new(used));
    if directives.only_if_cached && answer.is_none() { Err(Rejection::NotCached) } else { Ok(answer) }
}

impl<'q> CacheQuestion<'q> {
    fn of(
        header: &RequestHeader,
        ctx: &RequestContext,
        asked: RouterQuestion<'_>,
        (cache, directives): (&'q PolicyCache, CacheDirectives),
    ) -> Self {
        let fields = &header.headers;
        let routing = ctx.routing();
        let owner = AnswerOwner { client: ctx.client_name(), asks_by_own_key: asks_by_own_key(ctx), fields };
        let scope = cache.scope(&owner);
        let set = routing.map(|routing| serde_json::to_vec(&routing.decision.set)).and_then(Result::ok);
        let around = KeyDigest::of(
            scope,
            &AskedAnswer {
                model: routing.map_or(cache.policy(), |routing| &routing.decision.model),
                set: &set.unwrap_or_default(),
                path: header.uri.path(),
                query: header.uri.query(),
                named: &asked.prompt.model,
                fields,
            },
        );
        let hashed = around.clone();
        let key = large_work::at_once(asked.body.len(), || hashed.exact(asked.body));
        Self { cache, directives, key, scope, around }
    }

    /// Looks for an answer, and waits for one that is under way.
    async fn search(
        &self,
        session: &mut Session,
        ctx: &RequestContext,
        asked: RouterQuestion<'_>,
    ) -> Result<SearchEnd, Rejection> {
        let patience = self.cache.section().max_wait.0;
        let until = Instant::now() + patience;
        let mut outcome = ResponseCacheOutcome::Hit;
        let lead = loop {
            if let Some(answer) = self.kept() {
                return Ok(SearchEnd::Found(ReplayedAnswer { answer, outcome }));
            }
            if patience.is_zero() || self.directives.only_if_cached {
                break None;
            }
            match self.cache.join(self.key) {
                FlightSeat::Lead(lead) => break Some(lead),
                FlightSeat::Follow(_) if self.directives.no_cache => break None,
                FlightSeat::Follow(end) => {
                    if !waited(session, end, until).await? {
                        break None;
                    }
                    outcome = ResponseCacheOutcome::Joined;
                }
            }
        };
        if self.directives.no_cache {
            return Ok(SearchEnd::Nothing(lead, self.compared(ctx, asked).await));
        }
        // Who led before may have ended between the look and the lead.
        if let Some(answer) = self.kept() {
            return Ok(SearchEnd::Found(ReplayedAnswer { answer, outcome }));
        }
        if let Some(answer) = self.cache.find_shared(self.key, self.freshness()).await {
            return Ok(SearchEnd::Found(ReplayedAnswer { answer, outcome }));
        }
        let ask = self.compared(ctx, asked).await;
        let near = ask.as_ref().and_then(|ask| self.cache.find_near(ask, self.freshness()));
        Ok(match near {
            Some(answer) => SearchEnd::Found(ReplayedAnswer { answer, outcome: ResponseCacheOutcome::Semantic }),
            None => SearchEnd::Nothing(lead, ask),
        })
    }

    fn kept(&self) -> Option<Arc<CachedAnswer>> {
        if self.directives.no_cache { None } else { self.cache.find(self.key, self.freshness()) }
    }

    fn freshness(&self) -> AnswerFreshness {
        AnswerFreshness { now: UnixMillis::now(), max_age: self.directives.max_age }
    }

    /// Embeds the ask of a request, where the policy compares asks and the request is one of those.
    async fn compared(&self, ctx: &RequestContext, asked: RouterQuestion<'_>) -> Option<ComparedAsk> {
        let semantic = self.cache.section().semantic.as_ref()?;
        let Some(ClassifierState::Ready(classifier)) = ctx.snapshot.classifiers.get(&semantic.classifier) else {
            return None;
        };
        let SingleAsk { text, around } = SingleAsk::of(asked.prompt.dialect, asked.body)?;
        let features = &ctx.routing()?.features;
        features.read_text(asked.prompt);
        let patience = ctx.snapshot.config.classifiers.get(&semantic.classifier).map(|section| section.deadline.0);
        let deadline = Instant::now() + patience.unwrap_or(Duration::ZERO);
        let embedding = classifier.embed(&text, features, deadline).await.ok()?;
        Some(ComparedAsk { scope: self.scope, frame: self.around.clone().framed(&around), text, embedding })
    }
}

/// Waits for the end of a flight; false when it takes too long.
async fn waited(session: &mut Session, end: FlightEnd, until: Instant) -> Result<bool, Rejection> {
    tokio::select! {
        biased;
        () = end.wait() => Ok(true),
        () = tokio::time::sleep_until(until) => Ok(false),
        // A client that leaves meanwhile is noticed.
        _ = session.as_downstream_mut().read_body_or_idle(true) => Err(Rejection::ClientGone),
    }
}

/// Returns whether the chosen model's provider is asked with the client's own key.
fn asks_by_own_key(ctx: &RequestContext) -> bool {
    let model = ctx.routing().map(|routing: &Routing| &routing.decision.model);
    let entry = model.and_then(|model| ctx.snapshot.config.models.get(model));
    let provider = entry.and_then(|entry| ctx.snapshot.config.providers.get(&entry.provider));
    provider.is_some_and(|provider| provider.credential == Credential::Passthrough)
}
