//! What the client gets: the upstream's answer with the decision on top, or Pointsman's own error.

pub(super) mod aws;
mod broken_stream;
mod client_loop;
mod decision_headers;
mod encoded;
mod list_place;
pub(super) mod meter;
pub(crate) mod rejection;
pub(super) mod translated;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::proxy::{FailToProxy, Session};
use pingora::{Error, ErrorType, Result};

use self::broken_stream::break_off;
pub(super) use self::decision_headers::decorate;
use self::meter::AnswerMeter;
use self::rejection::{AnswerShape, Rejection};
use super::Proxy;
use super::attempt;
use super::attempt::earlier_failure::is_refusal;
use super::context::RequestContext;
use super::downstream::intake;
use super::header_fields;
use super::websocket::AcceptedSocket;
use crate::response_cache::{CachedAnswer, UnixMillis};
use crate::upstream::{AttemptFailure, ERROR_IN_ANSWER};

/// The name of the budget that refuses a request, and the moment from which there is one again.
const BUDGET: HeaderName = HeaderName::from_static("x-pointsman-budget");
const BUDGET_RESET: HeaderName = HeaderName::from_static("x-pointsman-budget-reset");

/// Removes from an upstream's answer what is not for clients, and adds the decision.
pub(super) fn dress(answer: &mut ResponseHeader, ctx: &RequestContext) -> Result<()> {
    let status = answer.status;
    header_fields::edit_answer(answer, |fields| {
        let provider = ctx.attempts.provider();
        let section = provider.and_then(|provider| ctx.snapshot.config.providers.get(&provider.name));
        header_fields::clean_answer(fields, status, section.map_or(&[][..], |section| &section.expose_headers));
        if let Some(provider) = provider {
            header_fields::relocate(fields, &provider.base);
        }
        header_fields::rename_upstream_id(fields, &ctx.request_id);
        if let Some(translation) = ctx.attempts.body.translation() {
            attempt::translated::clean_answer(fields);
            attempt::translated::name_request(fields, translation, &ctx.request_id)?;
        }
        if let Some(translation) = &ctx.answer_translation {
            fields.insert(header::CONTENT_TYPE, translation.content_type(ctx.meter.as_ref()));
        }
        if status.is_client_error() || status.is_server_error() {
            client_loop::fit_error(fields, ctx, status);
        }
        decorate(fields, ctx)
    })
}

/// Returns the header of the answer that the client has got. What only informs, such as `100 Continue`, is none (RFC
/// 9110, 15.2).
pub(super) fn begun(session: &Session) -> Option<&ResponseHeader> {
    let is_answer = |status: StatusCode| !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS;
    session.response_written().filter(|written| is_answer(written.status))
}

/// Answers with `body`: what Pointsman itself knows.
pub(super) async fn send_own(session: &mut Session, ctx: &RequestContext, body: Bytes) -> Result<()> {
    if !session.as_downstream_mut().is_body_done() {
        session.set_keepalive(None); // what is left of a body must not be read as the next request
    }
    send(session, ctx, StatusCode::OK, [], body).await
}

/// Answers with a kept answer: its bytes in their order, and all of a stream at once.
pub(super) async fn replay(session: &mut Session, ctx: &mut RequestContext, kept: &CachedAnswer) -> Result<()> {
    if !session.as_downstream_mut().is_body_done() {
        session.set_keepalive(None); // what is left of a body must not be read as the next request
    }
    ctx.clock.first_byte_arrived();
    let mut header = ResponseHeader::build_no_case(StatusCode::OK, None)?;
    header_fields::edit_answer(&mut header, |answer| {
        answer.insert(header::CONTENT_TYPE, header_fields::value(&kept.content_type)?);
        answer.insert(header::CONTENT_LENGTH, HeaderValue::from(kept.body.len()));
        answer.insert(header::AGE, HeaderValue::from(UnixMillis::now().since(kept.kept_at).as_secs()));
        decorate(answer, ctx)
    })?;
    session.write_response_header(Box::new(header), false).await?;
    session.write_response_body(Some(kept.body.clone()), true).await
}

/// Answers the handshake of a WebSocket: HTTP ends here.
pub(super) async fn switch(session: &mut Session, ctx: &mut RequestContext, accepted: AcceptedSocket) -> Result<()> {
    let AcceptedSocket { accept_key, socket } = accepted;
    let mut header = ResponseHeader::build_no_case(StatusCode::SWITCHING_PROTOCOLS, None)?;
    header_fields::edit_answer(&mut header, |answer| {
        answer.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, header_fields::value(&accept_key)?);
        decorate(answer, ctx)
    })?;
    session.write_response_header(Box::new(header), false).await?;
    ctx.routed_socket = Some(socket);
    Ok(())
}

/// Sends an answer of Pointsman's own: JSON, with the decision on top.
async fn send(
    session: &mut Session,
    ctx: &RequestContext,
    status: StatusCode,
    fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<()> {
    let mut header = ResponseHeader::build_no_case(status, None)?;
    header_fields::edit_answer(&mut header, |answer| {
        answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        answer.extend(fields);
        decorate(answer, ctx)
    })?;
    session.write_response_header(Box::new(header), false).await?;
    session.write_response_body(Some(body), true).await
}

/// Answers with Pointsman's own error, unless an answer was started or the client is gone. Returns whether the error was
/// written whole.
pub(super) async fn reject(session: &mut Session, ctx: &mut RequestContext, rejection: &Rejection) -> bool {
    ctx.rejected = Some(rejection.code());
    let is_broken = matches!(rejection, Rejection::ClientGone | Rejection::InvalidFraming);
    if is_broken || !session.as_downstream_mut().is_body_done() {
        session.set_keepalive(None); // what is left of the body must not be read as the next request
    }
    if begun(session).is_some() || matches!(rejection, Rejection::ClientGone) {
        return false;
    }
    // A client that left before it read its error is no error of ours.
    write(session, ctx, rejection).await.is_ok()
}

/// Returns whether a request that failed had its whole answer before: SDKs hang up after the last event of a stream
/// instead of waiting for the end of the body.
pub(super) fn is_whole(ctx: &RequestContext, error: &Error) -> bool {
    let has_said_all = || ctx.meter.as_ref().is_some_and(AnswerMeter::has_said_all);
    let is_unwritten = *error.etype() == ErrorType::WriteError;
    let is_client_gone = AttemptFailure::of(error) == AttemptFailure::ClientGone;
    is_client_gone && (ctx.attempts.adapter.has_delivered_all() || (has_said_all() && !is_unwritten))
}

async fn write(session: &mut Session, ctx: &RequestContext, rejection: &Rejection) -> Result<()> {
    let request = session.req_header();
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let most = ctx.snapshot.config.retry.max_retry_after.0.as_secs().max(1);
    let wait = rejection.retry_after().map(|wait| wait.min(most));
    let body = rejection.body_after(AnswerShape::of(request.uri.path(), &request.headers), wait);
    let retry_after = wait.map(|wait| (header::RETRY_AFTER, HeaderValue::from(wait)));
    let should_retry =
        client_loop::should_retry(&request.method, ctx, rejection).map(|word| (header_fields::SHOULD_RETRY, word));
    let status = client_loop::status_for(&request.headers, rejection.status());
    // Says what to speak instead (RFC 9110, 15.5.22); HTTP/2 knows no such field.
    let needs_upgrade = matches!(rejection, Rejection::UpgradeRequired) && request.version <= Version::HTTP_11;
    let upgrade = needs_upgrade.then_some((header::UPGRADE, HeaderValue::from_static("HTTP/1.1")));
    let budget = spent_budget(rejection)?;
    let fields = [no_store].into_iter().chain(retry_after).chain(should_retry).chain(upgrade).chain(budget);
    send(session, ctx, status, fields, body).await
}

/// Returns the fields that name the budget which refuses a request, and the moment from which there is one again.
fn spent_budget(rejection: &Rejection) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let Rejection::QuotaExceeded { exceeded } = rejection else { return Ok(Vec::new()) };
    let reset = header_fields::value(&rejection::moment(exceeded.resets_at).to_string())?;
    Ok(vec![(BUDGET, header_fields::value(exceeded.budget.as_str())?), (BUDGET_RESET, reset)])
}

/// Turns what Pingora says went wrong into an answer.
pub(super) async fn fail(session: &mut Session, error: &Error, ctx: &mut RequestContext) -> FailToProxy {
    if let Some(written) = begun(session).filter(|_| is_whole(ctx, error)) {
        return FailToProxy { error_code: written.status.as_u16(), can_reuse_downstream: false };
    }
    let is_gone = AttemptFailure::of(error) == AttemptFailure::ClientGone;
    if !is_gone && Proxy::send_kept(session, ctx).await {
        ctx.keeps_connection = session.as_downstream_mut().is_body_done();
        return FailToProxy { error_code: StatusCode::OK.as_u16(), can_reuse_downstream: false };
    }
    let provider = ctx.attempts.provider().map(|provider| provider.name.clone());
    let said = ctx.attempts.answer_error.take().filter(|_| *error.etype() == ERROR_IN_ANSWER);
    let is_refused = matches!(error.etype(), ErrorType::HTTPStatus(_))
        || said.as_ref().is_some_and(|said| is_refusal(said.status()));
    let rejection = match (provider, ctx.attempts.earlier(), said) {
        _ if intake::is_misframed(error) => Rejection::InvalidFraming,
        (None, ..) => Rejection::Internal,
        (_, Some(earlier), _) if is_refused => Rejection::of_earlier(earlier), // by a fallback
        (Some(provider), _, Some(said)) => Rejection::of_answer(said, provider, ctx.attempts.told_to_wait()),
        (Some(provider), ..) => Rejection::of_attempt(AttemptFailure::of(error), provider),
    };
    let is_ended = break_off(session, ctx, &rejection).await;
    let is_written = reject(session, ctx, &rejection).await;
    ctx.keeps_connection = (is_written || is_ended) && session.as_downstream_mut().is_body_done();
    if is_written && !ctx.keeps_connection {
        intake::discard_body(session).await;
    }
    let status = begun(session).map_or_else(|| rejection.status(), |written| written.status);
    FailToProxy { error_code: status.as_u16(), can_reuse_downstream: false } // see `connection::keep`
}
