//! What happens when an upstream fails a request before the first byte of its answer: the next peer, then the next model.
//!
//! Bounded by `retry`: attempts, an overall deadline, and a budget. Each model is asked under its own name and with its
//! provider's key. When nothing is left to try, the last attempt's own error reaches the client.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use pingora::{Error, ErrorSource, ErrorType};
use tokio::time::Instant;

use super::body_adapter::SILENT;
use super::forward::PROVIDER_BUSY;
use crate::proxy::Proxy;
use crate::proxy::context::{RequestContext, Route};
use crate::upstream::Target;

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Cause {
    /// No connection: refused, unreachable, TLS.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection broke before an answer began.
    Broken,
    /// An answer that says to try elsewhere.
    Status(StatusCode),
    /// The prompt does not fit its context window.
    ContextLength,
    /// Its provider has as many requests in flight as it may.
    Busy,
    /// It had said when it will take requests again, and that is not yet.
    Resting,
}

impl Cause {
    /// Returns the stable name used in metrics.
    pub(in crate::proxy) const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status(StatusCode::REQUEST_TIMEOUT) => "status_408",
            Self::Status(StatusCode::TOO_MANY_REQUESTS) => "status_429",
            Self::Status(status) if status.as_u16() >= 500 => "status_5xx",
            Self::Status(_) => "status_4xx",
            Self::ContextLength => "context_length",
            Self::Busy => "provider_busy",
            Self::Resting => "retry_after",
        }
    }

    /// Returns the cause of an error, if another upstream could do better: nobody helps a client that left.
    pub(in crate::proxy) fn of(error: &Error) -> Option<Self> {
        use ErrorType::{ConnectTimedout, ReadTimedout, TLSHandshakeTimedout, WriteTimedout};
        match error.etype() {
            etype if *etype == SILENT => Some(Self::Timeout),
            etype if *etype == PROVIDER_BUSY => Some(Self::Busy),
            _ if *error.esource() == ErrorSource::Downstream => None,
            ConnectTimedout | ReadTimedout | TLSHandshakeTimedout | WriteTimedout => Some(Self::Timeout),
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::InvalidCert => Some(Self::Connect),
            _ if *error.esource() == ErrorSource::Upstream => Some(Self::Broken),
            _ => None,
        }
    }
}

impl Proxy {
    /// Returns whether an answer with `status` is to be tried elsewhere.
    pub(in crate::proxy) fn is_retried(ctx: &RequestContext, status: StatusCode) -> bool {
        let code = status.as_u16();
        matches!(code, 408 | 429 | 500..) || ctx.snapshot.config.retry.statuses.contains(&code)
    }

    /// Prepares the next attempt, or says that there is none: then the last one's error stands.
    pub(in crate::proxy) fn try_again(&self, ctx: &mut RequestContext, cause: Cause) -> bool {
        if !ctx.may_try_again() {
            return false;
        }
        // Neither is the peer's: the provider's other peers would say the same.
        let is_peers = !matches!(cause, Cause::Busy | Cause::ContextLength);
        let has_peer = is_peers && ctx.provider().is_some_and(|provider| provider.has_untried(&ctx.tried));
        if !has_peer && ctx.fallbacks.is_empty() {
            return false;
        }
        // Where nothing was sent, another try is no more load than the first.
        if cause != Cause::Busy && !self.retry_budget.withdraw() {
            self.metrics.retry_refused();
            return false;
        }
        if !has_peer {
            self.fall_back(ctx, cause);
        }
        true
    }

    /// Goes on to a model with a larger window. The answer that said so was held back, so the client has seen nothing.
    pub(in crate::proxy) fn widen(&self, ctx: &mut RequestContext, mut error: Box<Error>) -> Box<Error> {
        ctx.first_byte = None;
        ctx.drop_smaller_windows();
        error.set_retry(self.try_again(ctx, Cause::ContextLength));
        error
    }

    /// Leaves a model that asked to be left alone for now, if another one is ready.
    pub(in crate::proxy) fn avoid_resting(&self, ctx: &mut RequestContext) {
        let rests = matches!(&ctx.route, Some(Route::Model { target, .. }) if target.is_resting());
        if rests && ctx.fallbacks.iter().any(|target| !target.is_resting()) {
            self.fall_back(ctx, Cause::Resting);
        }
    }

    /// Goes on to the next model: the first that does not rest, or the first.
    fn fall_back(&self, ctx: &mut RequestContext, cause: Cause) {
        let ready = ctx.fallbacks.iter().position(|target| !target.is_resting()).unwrap_or_default();
        let Some(next) = ctx.fallbacks.remove(ready) else { return };
        ctx.prepare_for(&next);
        if let Some(Route::Model { target, .. }) = &mut ctx.route {
            self.metrics.fell_back(&target.model, &next.model, cause.as_str());
            *target = next;
        }
    }
}

/// Remembers how long the model asked to be left alone, a minute at most: it may be back sooner than it fears. What one peer
/// of several says is only its own word: the others are asked first.
pub(in crate::proxy) fn let_rest(ctx: &RequestContext, status: StatusCode, headers: &HeaderMap) {
    const MOST: Duration = Duration::from_secs(60);
    let Some(target) = ctx.target().filter(|target| !target.provider.has_untried(&ctx.tried)) else { return };
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return;
    }
    if let Some(wait) = retry_after(headers, SystemTime::now()) {
        target.rest_until(Instant::now() + wait.min(MOST));
    }
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
}

/// Returns the models to fall back on, in order.
pub(in crate::proxy) fn fallbacks(ctx: &RequestContext) -> impl Iterator<Item = Arc<Target>> {
    let names = ctx.routing().map(|routing| routing.decision.fallback.as_slice()).unwrap_or_default();
    names.iter().filter_map(|name| ctx.snapshot.upstreams.model(name).cloned())
}

/// Returns the policy's models with a larger window than the chosen one, from the smallest, for a prompt that may turn out to
/// be too long: none for one that cannot, whose body need not be kept.
pub(in crate::proxy) fn wider(ctx: &RequestContext) -> Vec<Arc<Target>> {
    let Some(Route::Model { target, routing }) = &ctx.route else { return Vec::new() };
    let most = routing.features.tokens_at_most(target.tokenizer);
    let most = most.saturating_add(routing.features.request.max_output_tokens);
    if target.context.is_none_or(|context| most <= context / 2) {
        return Vec::new();
    }
    let able = routing.decision.candidates.iter().filter(|candidate| candidate.fits.is_ok());
    let models = able.filter_map(|candidate| ctx.snapshot.upstreams.model(&candidate.model));
    let mut wider: Vec<_> = models.filter(|model| model.is_wider_than(target)).cloned().collect();
    wider.sort_by_key(|model| model.context);
    wider
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::RETRY_AFTER, retry_after.parse().expect("a header value"))])
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let wait = |text| retry_after(&headers(text), now);

        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), None, "a date that is past");
        assert_eq!(wait("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_client_that_left_is_no_cause_to_try_again() {
        let left = Error::new(ErrorType::ReadError).into_down();
        let broken = Error::new(ErrorType::ReadError).into_up();
        let silent = Error::new(SILENT).into_down();

        assert_eq!(Cause::of(&left), None);
        assert_eq!(Cause::of(&broken), Some(Cause::Broken));
        assert_eq!(Cause::of(&silent), Some(Cause::Timeout), "the adapter surfaces it on the client's side");
    }
}
