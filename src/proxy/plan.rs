//! `request_filter`: reads the request, decides where it goes, and prepares the body that goes there.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pointsman_core::features::{Features, TokenCounter, Tokenizer};
use pointsman_core::policy::Detail;
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_telemetry::Stage;
use tokio::time::Instant;

use super::Proxy;
use super::answer::models;
use super::answer::models::Question;
use super::answer::rejection::{Rejection, Shape};
use super::attempt::fallback;
use super::attempt::original::Original;
use super::context::{RequestContext, Route};
use super::downstream::admission::Held;
use super::downstream::{clients, intake};
use super::record::traced;
use crate::clients::Client;
use crate::router::{self, Incoming, Judging, Routing, Verdict, header_text};
use crate::snapshot::Snapshot;
use crate::upstream::Provider;

/// What is to happen with a request.
pub(super) enum Plan {
    /// It goes where the context says.
    Forward,
    /// Pointsman itself answers, with this.
    Answer(Bytes),
}

/// What is asked of the router, the header apart.
#[derive(Clone, Copy)]
struct Asked<'a> {
    snapshot: &'a Snapshot,
    client: Option<&'a Client>,
    prompt: &'a Prompt<'a>,
    body: &'a Bytes,
}

impl Proxy {
    /// Decides where the request goes, and leaves the route and the body in `ctx`.
    pub(super) async fn plan(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<Plan, Rejection> {
        if let Some(body) = self.feedback(session, ctx).await? {
            return Ok(Plan::Answer(body));
        }
        let header = session.req_header();
        if let Some(body) = answer(header, ctx)? {
            return Ok(Plan::Answer(body));
        }
        let dialect = Dialect::of_path(header.uri.path()).filter(|_| header.method == Method::POST);
        let Some(dialect) = dialect.filter(|_| intake::is_json(&header.headers)) else {
            clients::authorize(ctx, None)?;
            let provider = default_provider(ctx).ok_or_else(|| unreadable(header, dialect))?;
            ctx.route = Some(Route::Pass { provider, shadow: None });
            return Ok(Plan::Forward);
        };
        let limits = &ctx.snapshot.config.limits;
        let held = ctx.held.insert(Held::new(&self.admission, limits.max_bytes_in_flight));
        let body = intake::read_body(session, limits, held).await?;
        let received = *ctx.received.insert(Instant::now());
        self.route(session, ctx, dialect, body).await?;
        ctx.overhead = received.elapsed();
        Ok(Plan::Forward)
    }

    async fn route(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
        dialect: Dialect,
        body: Bytes,
    ) -> Result<(), Rejection> {
        let started = Instant::now();
        let snapshot = Arc::clone(&ctx.snapshot);
        let prompt = snapshot.read(dialect, &body)?;
        self.metrics.stage_ended(Stage::Intake, started.elapsed());
        ctx.prefix = snapshot.upstreams.want_key().then(|| router::beginning(&prompt));
        let client = ctx.client.as_ref().map(|used| Arc::clone(used.client()));
        let asked = Asked { snapshot: &snapshot, client: client.as_deref(), prompt: &prompt, body: &body };
        ctx.original = Some(Original::new(&body, &prompt));
        let verdict = if snapshot.advisers.have_judges() {
            // A judge takes its time: a client that leaves meanwhile is noticed.
            let header = session.req_header().clone();
            tokio::select! {
                biased;
                verdict = Box::pin(self.verdict(&header, asked)) => verdict,
                _ = session.as_downstream_mut().read_body_or_idle(true) => return Err(Rejection::ClientGone),
            }
        } else {
            self.verdict(session.req_header(), asked).await
        };
        match verdict {
            Verdict::Route(routing) => self.take(ctx, &snapshot, &prompt, routing),
            Verdict::Deny(refusal) => {
                let rejection = Rejection::denied(&refusal.denial);
                keep(ctx, &prompt);
                ctx.refusal = Some(refusal);
                Err(rejection)
            }
            Verdict::Pass { shadow, denied, .. } => {
                clients::debit(ctx, || {
                    Features::counted(&prompt, &TokenCounter::new()).tokens_of(Tokenizer::of_model(&prompt.model))
                })?;
                let unknown = || models::not_found(&snapshot.config, &prompt.model);
                let provider = default_provider(ctx).ok_or_else(unknown)?;
                if let Some(refusal) = denied {
                    self.router.count_shadow_denial(&refusal.denial);
                    keep(ctx, &prompt);
                    ctx.refusal = Some(refusal);
                }
                if let Some(routing) = &shadow {
                    self.router.count_shadow(&snapshot, routing);
                    keep(ctx, &prompt);
                }
                ctx.route = Some(Route::Pass { provider, shadow });
                ctx.body = Some(body.clone());
                Ok(())
            }
        }
    }

    async fn verdict(&self, header: &RequestHeader, asked: Asked<'_>) -> Verdict {
        let Asked { snapshot, client, prompt, body } = asked;
        let field = |name: &str| header_text(&header.headers, name);
        let path = header.uri.path();
        let (judging, detail) = (Judging::Ask, Detail::Decision);
        let incoming = Incoming { path, header: &field, client, prompt, body, at: None, judging, detail };
        self.router.route(snapshot, &incoming).await
    }

    /// Sends a request to the model that a policy chose.
    fn take(
        &self,
        ctx: &mut RequestContext,
        snapshot: &Snapshot,
        prompt: &Prompt<'_>,
        routing: Box<Routing>,
    ) -> Result<(), Rejection> {
        let target = snapshot.upstreams.model(&routing.decision.model).ok_or(Rejection::Internal)?;
        clients::debit(ctx, || routing.features.tokens_of(target.tokenizer))?;
        self.router.count(snapshot, &routing);
        traced::decided(&mut ctx.trace, &routing);
        keep(ctx, prompt);
        let started = Instant::now();
        if let Some(original) = &mut ctx.original {
            original.set(&routing.decision.set);
        }
        ctx.prepare_for(target);
        self.metrics.stage_ended(Stage::Rewrite, started.elapsed());
        ctx.route = Some(Route::Model { target: Arc::clone(target), routing });
        ctx.fallbacks = fallback::fallbacks(ctx).collect();
        ctx.wider = fallback::wider(ctx);
        ctx.hold_bodies()?;
        self.retry_budget.deposit(snapshot.config.retry.budget);
        self.avoid_resting(ctx);
        Ok(())
    }
}

/// Keeps of a prompt what the decision log writes, if there is one.
fn keep(ctx: &mut RequestContext, prompt: &Prompt<'_>) {
    if let Some(log) = &ctx.snapshot.decision_log {
        ctx.kept = log.keep(&prompt.ask_text());
    }
}

/// Returns what Pointsman itself answers, if it is asked for its models. What it does not know may be the default
/// provider's.
fn answer(header: &RequestHeader, ctx: &RequestContext) -> Result<Option<Bytes>, Rejection> {
    let config = &ctx.snapshot.config;
    let path = header.uri.path();
    let asked = Question::of_path(path).filter(|_| header.method == Method::GET);
    let has_default = default_provider(ctx).is_some();
    let Some(question) = asked.filter(|_| !(has_default && models::has_none(config))) else { return Ok(None) };
    let visible = models::visible(config, |policy| clients::may_use(ctx, policy));
    match (question.answer(&visible, Shape::of(path, &header.headers)), question) {
        (None, Question::One(model)) if !has_default => Err(models::not_found(config, &model)),
        (answer, _) => Ok(answer),
    }
}

/// Says why a request that no dialect reads has nowhere to go.
fn unreadable(header: &RequestHeader, dialect: Option<Dialect>) -> Rejection {
    let content_type = header.headers.get(header::CONTENT_TYPE).map(|given| String::from_utf8_lossy(given.as_bytes()));
    match (dialect, content_type) {
        (Some(_), Some(given)) => Rejection::UnsupportedMediaType { content_type: given.into_owned() },
        _ => Rejection::PathNotFound,
    }
}

fn default_provider(ctx: &RequestContext) -> Option<Arc<Provider>> {
    ctx.snapshot.upstreams.default_provider().cloned()
}
