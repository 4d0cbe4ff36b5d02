//! What the client gets: the upstream's answer with the decision on top, or Pointsman's own error.

use http::{HeaderValue, header};
use pingora::http::ResponseHeader;
use pingora::proxy::{FailToProxy, Session};
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::body_adapter::FIRST_BYTE_TIMEOUT;
use super::clients;
use super::context::RequestContext;
use super::forward::PROVIDER_BUSY;
use super::held_answer::CONTEXT_LENGTH;
use super::meter;
use super::rejection::{Rejection, Shape};

/// Adds the decision to an answer. Names of the configuration only: no host, no key, nothing of the client's.
pub(super) fn decorate(answer: &mut ResponseHeader, ctx: &RequestContext) -> Result<()> {
    answer.insert_header("x-pointsman-request-id", ctx.request_id.as_str())?;
    answer.insert_header("x-request-id", ctx.request_id.as_str())?;
    clients::show(answer, ctx)?;
    let Some(routing) = ctx.routing() else { return Ok(()) };
    let decision = &routing.decision;
    let model = ctx.model().unwrap_or(&decision.model);
    answer.insert_header("x-pointsman-model", model.as_str())?;
    if *model != decision.model {
        answer.insert_header("x-pointsman-fallback-from", decision.model.as_str())?;
    }
    answer.insert_header("x-pointsman-policy", decision.policy.as_str())?;
    answer.insert_header("x-pointsman-reason", decision.reason.as_str())?;
    if let Some(label) = &decision.label {
        answer.insert_header("x-pointsman-label", &**label)?;
    }
    if let Some(score) = decision.score {
        answer.insert_header("x-pointsman-score", format!("{score:.4}"))?;
    }
    if let Some(Ok(scores)) = &routing.scores {
        answer.insert_header("x-pointsman-source", scores.source.as_str())?;
        if scores.truncated_tokens > 0 {
            answer.insert_header("x-pointsman-truncated-tokens", HeaderValue::from(scores.truncated_tokens))?;
        }
    }
    if let Some(reason) = routing.degraded() {
        answer.insert_header("x-pointsman-degraded", reason.as_str())?;
    }
    answer.insert_header("x-pointsman-generation", HeaderValue::from(ctx.snapshot.generation))?;
    answer.insert_header("x-pointsman-attempts", HeaderValue::from(ctx.attempts))?;
    let overhead = u64::try_from(ctx.overhead.as_micros()).unwrap_or(u64::MAX);
    answer.insert_header("x-pointsman-overhead-us", HeaderValue::from(overhead))
}

/// Answers with Pointsman's own error, unless an answer was started or the client is gone.
pub(super) async fn reject(session: &mut Session, ctx: &mut RequestContext, rejection: &Rejection) {
    ctx.reject(rejection);
    if session.response_written().is_some() || matches!(rejection, Rejection::ClientGone) {
        return;
    }
    if !session.as_downstream_mut().is_body_done() {
        session.set_keepalive(None); // what is left of the body must not be read as the next request
    }
    // A client that left before it read its error is no error of ours.
    let _ = write(session, ctx, rejection).await;
}

async fn write(session: &mut Session, ctx: &RequestContext, rejection: &Rejection) -> Result<()> {
    let request = session.req_header();
    let body = rejection.body(Shape::of(request.uri.path(), &request.headers));
    let mut header = ResponseHeader::build(rejection.status(), Some(10))?;
    header.insert_header(header::CONTENT_TYPE, "application/json")?;
    header.insert_header(header::CONTENT_LENGTH, body.len())?;
    header.insert_header(header::CACHE_CONTROL, "no-store")?;
    if let Some(seconds) = rejection.retry_after() {
        header.insert_header(header::RETRY_AFTER, HeaderValue::from(seconds))?;
    }
    decorate(&mut header, ctx)?;
    session.write_response_header(Box::new(header), false).await?;
    session.write_response_body(Some(body), true).await
}

/// Turns what Pingora says went wrong into an answer.
pub(super) async fn fail(session: &mut Session, error: &Error, ctx: &mut RequestContext) -> FailToProxy {
    let rejection = rejection_of(error, ctx);
    meter::break_off(session, ctx, &rejection).await;
    reject(session, ctx, &rejection).await;
    let status = session.response_written().map_or_else(|| rejection.status(), |written| written.status);
    FailToProxy { error_code: status.as_u16(), can_reuse_downstream: false }
}

fn rejection_of(error: &Error, ctx: &RequestContext) -> Rejection {
    use ErrorType::{
        ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout, InvalidCert, ReadTimedout, SocketError,
        TLSHandshakeFailure, TLSHandshakeTimedout, TLSWantX509Lookup, WriteTimedout,
    };
    let Some(provider) = ctx.provider().map(|provider| provider.name.clone()) else { return Rejection::Internal };
    if *error.etype() == CONTEXT_LENGTH {
        return Rejection::ContextLength;
    }
    if *error.esource() == ErrorSource::Downstream {
        return Rejection::ClientGone;
    }
    match error.etype() {
        ConnectTimedout | TLSHandshakeTimedout | ReadTimedout | WriteTimedout => {
            Rejection::UpstreamTimeout { provider }
        }
        other if *other == PROVIDER_BUSY => Rejection::ProviderBusy { provider },
        other if *other == FIRST_BYTE_TIMEOUT => Rejection::UpstreamTimeout { provider },
        ConnectRefused | ConnectNoRoute | ConnectError | SocketError | TLSHandshakeFailure | TLSWantX509Lookup
        | InvalidCert => Rejection::UpstreamUnreachable { provider },
        _ if *error.esource() == ErrorSource::Internal => Rejection::Internal,
        _ => Rejection::UpstreamError { provider },
    }
}
