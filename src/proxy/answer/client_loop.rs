//! Errors that are fit for the loops of clients: what SDKs and agents do after them, as seen in their releases.
//!
//! | client (release) | after an error |
//! |---|---|
//! | openai 3.57.0, anthropic 2.14.0 (Python, Node) | 408, 409, 429 and 5xx are asked again twice; `x-should-retry` decides otherwise |
//! | anthropic 2.14.0 | any `Retry-After` is slept in full |
//! | Codex 0.171.0 | 503 and 529 are asked 30 times, 401, 403, 404, 409, 413 and 422 six times, 400 once |
//! | LlamaIndex (openai-like 0.8.1) | a call is asked 12 times, three times the SDK's |

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pointsman_http_client::{RETRY_AFTER_MS, retry_after};

use super::rejection::Rejection;
use crate::proxy::attempt::earlier_failure::EarlierFailure;
use crate::proxy::context::RequestContext;
use crate::proxy::header_fields::SHOULD_RETRY;

const NO: HeaderValue = HeaderValue::from_static("false");

/// Returns the word on whether a client is to ask again after an error of ours: it is not where we have, nor where a
/// model may be writing an answer all the same. `None` leaves it to the client.
pub(super) fn should_retry(method: &Method, ctx: &RequestContext, rejection: &Rejection) -> Option<HeaderValue> {
    let may_be_made = match ctx.attempts.body.asks_for() {
        None => *method == Method::POST, // an image, a sound, a job
        Some(_) => !ctx.attempts.may_generate_again(),
    };
    let may_be_written = matches!(rejection, Rejection::UpstreamTimeout { .. }) && may_be_made;
    let is_used_up = rejection.status().is_server_error() && rejection.retry_after().is_none() && has_tried_again(ctx);
    // The wait for a budget is longer than any client should sleep.
    let is_final = matches!(rejection, Rejection::NotCached | Rejection::QuotaExceeded { .. });
    (may_be_written || is_used_up || is_final).then_some(NO)
}

/// Makes an upstream's error fit: no longer wait than is allowed, and no further attempts of the client's on top of
/// ours.
pub(super) fn fit_error(fields: &mut HeaderMap, ctx: &RequestContext, status: StatusCode) {
    let most = ctx.snapshot.config.retry.max_retry_after.0;
    let wait = retry_after(fields);
    if wait.is_some_and(|wait| wait > most) {
        fields.insert(header::RETRY_AFTER, HeaderValue::from(most.as_secs().max(1)));
        fields.remove(RETRY_AFTER_MS);
    }
    let earlier = ctx.attempts.earlier().and_then(EarlierFailure::retry_after).filter(|_| wait.is_none());
    if let Some(wait) = earlier.filter(|_| status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()) {
        let seconds = wait.min(most).as_secs() + u64::from(wait.subsec_nanos() > 0);
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    } else if status.is_server_error() && wait.is_none() && has_tried_again(ctx) {
        fields.insert(SHOULD_RETRY, NO);
    }
}

/// Returns the status by which a client takes a final refusal for final: to Codex only 400 is.
pub(super) fn status_for(request: &HeaderMap, status: StatusCode) -> StatusCode {
    let is_repeated = matches!(status.as_u16(), 401 | 403 | 404 | 409 | 413 | 422);
    if is_repeated && is_codex(request) { StatusCode::BAD_REQUEST } else { status }
}

fn is_codex(request: &HeaderMap) -> bool {
    [HeaderName::from_static("originator"), header::USER_AGENT].iter().any(|field| {
        request
            .get(field)
            .is_some_and(|value| value.as_bytes().get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"codex")))
    })
}

fn has_tried_again(ctx: &RequestContext) -> bool {
    ctx.attempts.count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_to_codex_and_itself_to_all_others() {
        let agent = |value: &'static str| [(header::USER_AGENT, HeaderValue::from_static(value))].into_iter().collect();

        for (code, to_codex) in [(401, 400), (403, 400), (404, 400), (413, 400), (429, 429), (503, 503), (400, 400)] {
            let status = StatusCode::from_u16(code).expect("a status");

            assert_eq!(status_for(&agent("codex_cli_rs/0.171.0 (Debian)"), status).as_u16(), to_codex);
            assert_eq!(status_for(&agent("AsyncOpenAI/Python 3.57.0"), status), status);
        }
    }
}
