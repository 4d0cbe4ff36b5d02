//! The check of an answer in the phases of a request: it is held, read, let out or failed.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, Result};
use pointsman_core::answer_check::CheckVerdict;
use pointsman_core::policy::AnswerCheck;
use pointsman_telemetry::CheckedAnswer;

use super::asking::{AskedCheck, AskedFor, marked};
use super::{AskedBy, AskerKind, EscalationWatch, HeldAnswer, WatchState};
use crate::judge;
use crate::proxy::Proxy;
use crate::proxy::answer::meter::AnswerMeter;
use crate::proxy::context::RequestContext;
use crate::snapshot::UNAVAILABLE;
use crate::upstream::ESCALATED;

impl Proxy {
    /// Begins to hold the answer of a cheap model that is checked; false where the answer goes its usual way.
    pub(in crate::proxy) fn begin_check(
        &self,
        session: &mut Session,
        upstream: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> bool {
        let Some(watch) = &mut ctx.escalation else { return false };
        let is_cheap = ctx.attempts.target().is_some_and(|target| target.model == *watch.plan.cheap());
        if !is_cheap {
            watch.forget_held();
        }
        if !is_cheap || !matches!(watch.state, WatchState::Waiting | WatchState::Held(_)) {
            return false;
        }
        let is_stream = ctx.meter.as_ref().is_some_and(AnswerMeter::is_stream);
        let client = session.req_header();
        let is_judge = client.headers.contains_key(judge::HEADER);
        let asker = if is_judge { AskerKind::Judge } else { AskerKind::Client };
        let translated = ctx.attempts.body.translation().map(|translation| translation.answer_dialect());
        let path = translated.map_or_else(|| client.uri.path().to_owned(), |dialect| dialect.path().to_owned());
        let limits = watch.begin(upstream, &path, AskedBy { is_stream, asker });
        ctx.attempts.hold_for_check(session, limits);
        true
    }

    /// Reads a part of an answer that is checked.
    pub(in crate::proxy) fn read_for_check(ctx: &mut RequestContext, body: &mut Option<Bytes>, end_of_stream: bool) {
        if let Some(watch) = ctx.escalation.as_mut().filter(|watch| watch.reads()) {
            watch.read(body, end_of_stream);
        }
    }

    /// Notes that something real of the answer has come; false where it is not checked.
    pub(in crate::proxy) fn check_begun(&self, ctx: &mut RequestContext) -> bool {
        let Some(WatchState::Held(held)) = ctx.escalation.as_mut().map(|watch| &mut watch.state) else { return false };
        held.has_begun = true;
        ctx.attempts.adapter.note_begun();
        self.recorder.attempt_answered(ctx, StatusCode::OK);
        true
    }

    /// Lets an answer out that is checked, fails it, or holds it on.
    ///
    /// # Errors
    /// [`ESCALATED`] where its first words have failed it.
    pub(in crate::proxy) fn settle_check(&self, ctx: &mut RequestContext, end_of_stream: bool) -> Result<()> {
        let Some(watch) = ctx.escalation.as_mut() else { return Ok(()) };
        let WatchState::Held(held) = &watch.state else { return Ok(()) };
        if !held.has_begun {
            return Ok(());
        }
        let is_beyond = held.bytes > watch.plan.config.hold.max_bytes;
        if ctx.attempts.adapter.has_expired() || is_beyond {
            watch.advisers.metrics.checked(CheckedAnswer::Released);
            return self.let_out(ctx);
        }
        if end_of_stream {
            return self.end_check(ctx);
        }
        match EscalationWatch::early(held, &watch.plan.config.check) {
            Some(CheckVerdict::Passed) => {
                watch.count_passed(CheckVerdict::Passed);
                self.let_out(ctx)
            }
            Some(verdict) => {
                watch.outcome().verdict = Some(verdict);
                Err(Error::explain(ESCALATED, "the answer has failed a check").into_up())
            }
            None => Ok(()),
        }
    }

    /// Makes the checks of an answer that has ended; those that ask somebody are waited for by the session.
    fn end_check(&self, ctx: &mut RequestContext) -> Result<()> {
        let Some(watch) = ctx.escalation.as_mut() else { return Ok(()) };
        let WatchState::Held(held) = std::mem::replace(&mut watch.state, WatchState::Asking) else { return Ok(()) };
        let HeldAnswer { reader, asker, until, .. } = *held;
        let answer = reader.finish();
        let verdict = watch.own_checks(answer.as_ref());
        if verdict.is_passed()
            && let Some(answer) = answer
            && let Some(asked) = AskedCheck::of(watch, answer, AskedFor { asker, until })
        {
            ctx.attempts.adapter.check_by(Box::pin(asked.run()));
            self.recorder.answer_chosen(ctx); // the client may go on before anybody notes that it has passed
            return Ok(());
        }
        if watch.cause(verdict).is_some() {
            watch.outcome().verdict = Some(verdict);
            ctx.attempts.adapter.check_by(Box::pin(std::future::ready(false)));
            return Ok(());
        }
        watch.count_passed(verdict);
        self.let_out(ctx)
    }

    /// Lets the answer out that is held.
    fn let_out(&self, ctx: &mut RequestContext) -> Result<()> {
        if let Some(watch) = &mut ctx.escalation {
            watch.state = WatchState::Over;
        }
        ctx.attempts.adapter.release();
        self.recorder.answer_began(ctx, StatusCode::OK);
        Ok(())
    }

    /// Goes on to the strong model; false where its API cannot say the request, or its quota is used up.
    pub(in crate::proxy) fn escalate(&self, ctx: &mut RequestContext) -> bool {
        self.recorder.bill_failed_answer(ctx);
        ctx.clock.answer_withdrawn();
        let text = ctx.answer_text.take();
        ctx.forget_answer();
        let Some(watch) = &mut ctx.escalation else { return false };
        watch.failed_text = text;
        let verdict = watch.outcome().verdict.unwrap_or(CheckVerdict::Unmade(AnswerCheck::FinishReason));
        let cause = watch.cause(verdict).unwrap_or(UNAVAILABLE);
        watch.advisers.metrics.escalated(cause);
        watch.state = WatchState::Escalated(cause);
        let is_ready = ctx.attempts.escalate_to(&watch.strong);
        tracing::debug!(request_id = %ctx.request_id, check = cause, is_ready, "The cheap model's answer has failed a check");
        is_ready
    }

    /// Tells whether an answer of the strong model, or of whoever answers in its place, is none that the client may get: an
    /// error, where the cheap answer is at hand or a stream has begun; what is no stream, where one has.
    pub(in crate::proxy) fn is_no_substitute(ctx: &RequestContext, status: StatusCode) -> bool {
        if ctx.escalation.is_none() {
            return false;
        }
        let adapter = &ctx.attempts.adapter;
        let is_stream = || ctx.meter.as_ref().is_some_and(AnswerMeter::is_stream);
        (adapter.has_kept() && !status.is_success()) || (adapter.has_spoken() && !(status.is_success() && is_stream()))
    }

    /// Sends the cheap answer after all, where nobody else has answered; false where there is none.
    pub(in crate::proxy) async fn send_kept(session: &mut Session, ctx: &mut RequestContext) -> bool {
        let Some(tasks) = ctx.attempts.adapter.take_kept() else { return false };
        let Some(watch) = &mut ctx.escalation else { return false };
        let WatchState::Escalated(check) = watch.state else { return false };
        watch.state = WatchState::Unanswered(check);
        watch.advisers.metrics.checked(CheckedAnswer::Unanswered);
        let (cheap, text) = (Arc::clone(&watch.cheap), watch.failed_text.take());
        ctx.attempts.return_to(&cheap);
        ctx.forget_answer();
        ctx.answer_text = text;
        let tasks = marked(tasks, ctx);
        session.as_downstream_mut().response_duplex_vec(tasks).await.is_ok()
    }

    /// Marks when the client's answer began, where somebody was asked about it; counts how it went out.
    pub(in crate::proxy) fn note_asked_check(&self, ctx: &mut RequestContext) {
        let Some(watch) = ctx.escalation.as_mut() else { return };
        let (verdict, is_released, at) = {
            let asked = watch.outcome();
            (asked.verdict, asked.is_released, asked.at)
        };
        if !matches!(watch.state, WatchState::Asking) {
            return;
        }
        if is_released {
            watch.advisers.metrics.checked(CheckedAnswer::Released);
        } else {
            let Some(verdict) = verdict.filter(|verdict| watch.cause(*verdict).is_none()) else { return };
            watch.count_passed(verdict);
        }
        watch.state = WatchState::Over;
        self.recorder.answer_began(ctx, StatusCode::OK);
        if let Some(at) = at {
            ctx.clock.first_byte_at(at);
        }
    }
}
