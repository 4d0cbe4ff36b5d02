//! `request_filter`: reads the request, decides where it goes, and prepares the body that goes there.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use pingora::proxy::Session;
use tokio::time::Instant;

use super::context::{RequestContext, Route};
use super::rejection::Rejection;
use super::{Proxy, affinity, fallback, intake};
use crate::policy::RequestFacts;
use crate::prompt::{Dialect, Prompt};
use crate::router::Verdict;
use crate::telemetry::Stage;
use crate::upstream::Provider;

impl Proxy {
    /// Decides where the request goes, and leaves the route and the body in `ctx`.
    pub(super) async fn plan(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<(), Rejection> {
        let header = session.req_header();
        let dialect = Dialect::of_path(header.uri.path()).filter(|_| header.method == Method::POST);
        let Some(dialect) = dialect else {
            let provider = default_provider(ctx).ok_or(Rejection::PathNotFound)?;
            ctx.route = Some(Route::Pass { provider });
            return Ok(());
        };
        let limits = &ctx.snapshot.config.limits;
        let body = intake::read_body(session, limits.max_body_bytes, limits.body_idle.0).await?;
        let received = Instant::now();
        self.route(session, ctx, dialect, body).await?;
        ctx.overhead = received.elapsed();
        Ok(())
    }

    async fn route(
        &self,
        session: &Session,
        ctx: &mut RequestContext,
        dialect: Dialect,
        body: Bytes,
    ) -> Result<(), Rejection> {
        let started = Instant::now();
        let snapshot = Arc::clone(&ctx.snapshot);
        let prompt = Prompt::parse(dialect, &body)?;
        self.metrics.stage_ended(Stage::Intake, started.elapsed());
        ctx.prefix = snapshot.upstreams.want_key().then(|| affinity::key(&prompt));
        let header = session.req_header();
        let facts = RequestFacts {
            model: &prompt.model,
            path: header.uri.path(),
            header: &|name| header.headers.get(name)?.to_str().ok(),
        };
        match self.router.decide(&snapshot, &facts, &prompt).await {
            Verdict::Route(routing) => {
                self.router.count(&routing);
                let target = snapshot.upstreams.model(&routing.decision.model).ok_or(Rejection::Internal)?;
                let started = Instant::now();
                ctx.original = Some((body.clone(), prompt.model_span.clone()));
                ctx.body = Some(ctx.body_for(target));
                self.metrics.stage_ended(Stage::Rewrite, started.elapsed());
                ctx.route = Some(Route::Model { target: Arc::clone(target), routing });
                ctx.fallbacks = fallback::fallbacks(ctx).collect();
                self.retry_budget.deposit(snapshot.config.retry.budget);
                self.avoid_resting(ctx);
            }
            Verdict::Pass { .. } => {
                let provider = default_provider(ctx).ok_or_else(|| unknown_model(ctx, &prompt.model))?;
                ctx.route = Some(Route::Pass { provider });
                ctx.body = Some(body.clone());
            }
        }
        Ok(())
    }
}

fn default_provider(ctx: &RequestContext) -> Option<Arc<Provider>> {
    ctx.snapshot.upstreams.default_provider().cloned()
}

/// Names the models that a client may ask for: those that a policy matches by their exact name.
fn unknown_model(ctx: &RequestContext, model: &str) -> Rejection {
    let mut known: Vec<_> = ctx.snapshot.config.virtual_models().map(str::to_owned).collect();
    known.dedup();
    Rejection::ModelNotFound { model: model.to_owned(), models: known }
}
