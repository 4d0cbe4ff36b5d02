//! An attempt that failed on its way: another one, or the end of the request.
//!
//! Stands behind `error_while_proxy`. What the status of an answer means is decided before, in
//! [`after_status`](super::Proxy); what a failure means for the upstream's peers and breaker is the recorder's.

use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};

use super::context::RequestContext;
use super::{Proxy, answer};
use crate::upstream::{CONTEXT_LENGTH, ERROR_IN_ANSWER, ESCALATED, NO_MODEL_FOR_KEY, REFUSED_PARAMETER, SILENT};

impl Proxy {
    /// Says of the error of an attempt whether another one follows.
    ///
    /// Pingora's default forbids a retry of every POST. Here nothing of an answer has reached the client, and the body is
    /// still there: it is sent again, to another upstream.
    pub(super) fn after_failure(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut RequestContext,
    ) -> Box<Error> {
        if matches!((error.etype(), error.esource()), (ErrorType::HTTPStatus(_), ErrorSource::Upstream)) {
            return error; // `upstream_response_filter` has decided
        }
        let mut error = if *error.etype() == SILENT { error.into_up() } else { error };
        if let Some(again) = self.after_own_error(&error, ctx) {
            error.set_retry(again);
            return error;
        }
        error = error.more_context(format!("peer: {peer}"));
        if ctx.attempts.again_after_stale(session, &error) {
            tracing::debug!(request_id = %ctx.request_id, %error, "A kept connection had been closed");
            error.set_retry(true);
            return error;
        }
        if answer::is_whole(ctx, &error) {
            error.set_retry(false);
            return error;
        }
        if !ctx.attempts.can_resend(session) || answer::begun(session).is_some() {
            error.set_retry(false);
            self.recorder.attempt_broke(ctx, &error);
            return error;
        }
        ctx.forget_answer();
        error.set_retry(self.recorder.attempt_failed(ctx, &error, &self.retries));
        error
    }

    /// Says what follows where the proxy itself has failed the attempt, because of what its answer holds; `None` where it
    /// has not.
    fn after_own_error(&self, error: &Error, ctx: &mut RequestContext) -> Option<bool> {
        let kind = error.etype();
        if *kind == ERROR_IN_ANSWER {
            return Some(self.after_error_in_answer(ctx));
        }
        if *kind == ESCALATED {
            return Some(self.escalate(ctx));
        }
        if *kind == CONTEXT_LENGTH {
            ctx.clock.answer_withdrawn();
            return Some(ctx.attempts.widen(&self.retries));
        }
        if *kind == NO_MODEL_FOR_KEY {
            ctx.clock.answer_withdrawn();
            return Some(ctx.attempts.try_other_key(&self.retries));
        }
        if *kind == REFUSED_PARAMETER {
            ctx.clock.answer_withdrawn();
            self.recorder.parameters_refused(ctx);
            return Some(true);
        }
        None
    }
}
