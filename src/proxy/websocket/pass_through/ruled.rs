//! The model of a WebSocket that passes through, where a rule of a policy gives it one: there is no prompt to read, so that
//! nothing else decides.

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use pingora::proxy::Session;
use pointsman_core::policy::{DecisionDetail, Reason};
use pointsman_core::prompt::Dialect;

use crate::proxy::Proxy;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::context::RequestContext;
use crate::router::{IncomingRequest, JudgeMode, QuotaMode, Verdict, header_text};
use crate::upstream::Deployment;

/// The query parameter that names the model of a session.
const MODEL: &str = "model";

/// Sends a WebSocket to the model that a rule gives it by what its query names; returns whether one did.
///
/// # Errors
/// When a policy refuses it.
pub(super) async fn route_by_rule(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
) -> Result<bool, Rejection> {
    let Some(asked) = asked_model(&session.req_header().uri) else { return Ok(false) };
    let Some(target) = ruled(proxy, session, ctx, &asked).await? else { return Ok(false) };
    let Some(uri) = with_model(&session.req_header().uri, &target.upstream_name) else { return Ok(false) };
    session.req_header_mut().set_uri(uri);
    ctx.asked.model = Some(target.upstream_name.clone());
    ctx.attempts.pass_to(Arc::clone(&target.provider));
    Ok(true)
}

async fn ruled(
    proxy: &Proxy,
    session: &Session,
    ctx: &mut RequestContext,
    model: &str,
) -> Result<Option<Arc<Deployment>>, Rejection> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let body = Bytes::from(serde_json::json!({"model": model, "input": ""}).to_string());
    let Ok(prompt) = snapshot.read(Dialect::Responses, &body) else { return Ok(None) };
    let header = session.req_header();
    let field = |name: &str| header_text(&header.headers, name);
    let incoming = IncomingRequest {
        path: header.uri.path(),
        header: &field,
        client: ctx.client.as_ref().map(|used| &**used.client()),
        key: ctx.client.as_ref().map(|used| used.key),
        prompt: &prompt,
        body: &body,
        state: Some(&ctx.state),
        at: None,
        judging: JudgeMode::Never,
        quotas: QuotaMode::Look,
        detail: DecisionDetail::Decision,
    };
    match proxy.router.route(&snapshot, &incoming).await {
        Verdict::Route(routing) if routing.decision.reason == Reason::Rule => {
            proxy.router.count_signals(&snapshot, &routing);
            let target = snapshot.upstreams.model(&routing.decision.model).cloned();
            ctx.passed_by = Some(routing);
            Ok(target)
        }
        Verdict::Deny(refusal) => {
            proxy.router.count_denial(&refusal.denial);
            Err(Rejection::denied(&refusal.denial))
        }
        Verdict::Route(_) | Verdict::Pass { .. } => Ok(None),
    }
}

/// Returns the model that a query names, where it names one.
fn asked_model(uri: &Uri) -> Option<String> {
    let mut named = form_urlencoded::parse(uri.query()?.as_bytes()).filter(|(name, _)| name == MODEL);
    let (_, model) = named.next()?;
    named.next().is_none().then(|| model.into_owned())
}

/// Returns the target with another model in its query; all else stays as it was written.
fn with_model(uri: &Uri, model: &str) -> Option<Uri> {
    let is_model = |pair: &str| form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| name == MODEL);
    let encoded = form_urlencoded::Serializer::new(String::new()).append_pair(MODEL, model).finish();
    let pairs = uri.query()?.split('&').map(|pair| if is_model(pair) { encoded.as_str() } else { pair });
    let target = format!("{}?{}", uri.path(), pairs.collect::<Vec<_>>().join("&"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_a_query_is_replaced_and_nothing_else() {
        let uri: Uri = "/v1/realtime?a=%20b&model=voice-auto&c".parse().expect("a target");
        assert_eq!(asked_model(&uri).as_deref(), Some("voice-auto"));
        assert_eq!(with_model(&uri, "org/m").expect("a target"), "/v1/realtime?a=%20b&model=org%2Fm&c");
        for none in ["/v1/realtime", "/v1/realtime?a=b", "/v1/realtime?model=a&model=b"] {
            assert_eq!(asked_model(&none.parse().expect("a target")), None, "{none}");
        }
    }
}
