//! The verdict on an upstream's answer: the client's, or a failed attempt and what follows on it.

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use pointsman_core::prompt::Dialect;
use pointsman_core::usage::{AnswerFormat, AnswerTextReader, OpeningVerdict, StateScope};
use pointsman_translation::DialectFamily;

use super::answer::aws::AwsAnswer;
use super::answer::meter::AnswerMeter;
use super::answer::translated::AnswerTranslation;
use super::attempt::body_wait::BodyWait;
use super::attempt::cloud::{ClientAsk, CloudAttempt};
use super::attempt::{context_length, fallback, stale};
use super::context::RequestContext;
use super::{Proxy, header_fields, kept_state};
use crate::upstream::{AttemptFailure, ERROR_IN_ANSWER};

impl Proxy {
    /// Judges an answer by its header: it goes to the client, is held until more of it is known, or another model or peer is
    /// to be asked.
    ///
    /// # Errors
    /// When it is turned down, or cannot be measured.
    pub(super) fn judge_header(
        &self,
        session: &mut Session,
        upstream: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let status = upstream.status;
        ctx.attempts.note_wait(upstream);
        self.measure(session, upstream, ctx)?;
        if ctx.attempts.body.asks_for().is_some() && ctx.meter.as_mut().is_some_and(AnswerMeter::read_opening) {
            if Self::is_no_substitute(ctx, status) {
                return Err(stale::turned_down(status, false.into()));
            }
            if !self.begin_check(session, upstream, ctx) {
                let is_stream = ctx.meter.as_ref().is_some_and(AnswerMeter::is_stream);
                ctx.attempts.hold_answer(session, is_stream); // see `opened`
            }
            return Ok(());
        }
        let family = Self::readable_family(session, upstream, ctx);
        if ctx.attempts.withhold_for_wait(session, status, family) {
            return Ok(()); // see `read_wait`
        }
        let can_resend = ctx.attempts.can_resend(session);
        self.settle_status(ctx, status, can_resend)?;
        let is_stream = ctx.meter.as_ref().is_some_and(AnswerMeter::is_stream);
        ctx.attempts.watch_answer(session, status, is_stream);
        Ok(())
    }

    /// Counts an attempt by its answer's status, and begins the answer, unless another attempt follows.
    fn settle_status(&self, ctx: &mut RequestContext, status: StatusCode, can_resend: bool) -> Result<()> {
        self.recorder.attempt_answered(ctx, status);
        if let Some(again) = self.after_status(ctx, status, can_resend) {
            return Err(stale::turned_down(status, again.into()));
        }
        if Self::is_no_substitute(ctx, status) {
            return Err(stale::turned_down(status, false.into()));
        }
        self.recorder.answer_began(ctx, status);
        Ok(())
    }

    /// Returns the API of an answer whose body will come and can be read.
    fn readable_family(session: &Session, answer: &ResponseHeader, ctx: &RequestContext) -> Option<DialectFamily> {
        if ctx.escalation.is_some() {
            return None; // its client may have a header
        }
        if let Some(translation) = ctx.attempts.body.translation() {
            return ctx.answer_translation.as_ref().map(|_| translation.pair.upstream);
        }
        let is_readable = !answer.headers.contains_key(header::CONTENT_ENCODING)
            && answer.headers.get(header::CONTENT_LENGTH).is_none_or(|length| length != "0");
        Dialect::of_path(session.req_header().uri.path()).filter(|_| is_readable)?.family()
    }

    /// Reads on in an error that may ask for a wait; returns it once all of it is read.
    fn read_wait(ctx: &mut RequestContext, body: Option<&Bytes>, end_of_stream: bool) -> Option<BodyWait> {
        let is_whole = ctx.attempts.body_wait.as_mut()?.push(body, end_of_stream);
        ctx.attempts.body_wait.take_if(|_| is_whole)
    }

    /// Reads on in an error that may ask for a wait, and decides what follows on it once it is whole.
    ///
    /// # Errors
    /// When the client is not to see it.
    pub(super) fn pass_wait(&self, ctx: &mut RequestContext, body: Option<&Bytes>, end_of_stream: bool) -> Result<()> {
        let Some(error) = Self::read_wait(ctx, body, end_of_stream) else { return Ok(()) };
        let wait = error.found();
        ctx.attempts.note_body_wait(wait);
        self.settle_status(ctx, error.status, error.can_resend)?;
        if let Some(wait) = wait {
            error.tell(wait.min(ctx.snapshot.config.retry.max_retry_after.0));
        }
        Ok(())
    }

    /// Begins to measure an answer, and to translate it where its request was: it is read in the words of its own API.
    pub(super) fn measure(
        &self,
        session: &Session,
        upstream: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let client = session.req_header();
        let asked = ClientAsk { path: client.uri.path(), model: ctx.asked.model.as_deref() };
        let cloud = CloudAttempt::of(&ctx.attempts, asked).filter(CloudAttempt::wraps_answers);
        ctx.aws_answer = if cloud.is_some() { AwsAnswer::begin(upstream)?.map(Box::new) } else { None };
        let (path, scope) = if let Some(translation) = ctx.attempts.body.translation() {
            let begun = AnswerTranslation::begin(upstream, translation, &self.request_ids.next())?;
            let most = ctx.snapshot.config.retry.max_retry_after.0;
            let wait = ctx.attempts.told_to_wait().map(|wait| wait.min(most));
            ctx.answer_translation = begun.map(|begun| Box::new(begun.after(wait)));
            // What the upstream names, the client never gets to know.
            (translation.answer_dialect().path(), StateScope::Nothing)
        } else {
            ctx.answer_translation = None;
            (client.uri.path(), kept_state::scope_of(client, ctx))
        };
        ctx.meter = AnswerMeter::begin(upstream, path, ctx.attempts.body.usage_event(), scope);
        ctx.answer_text = answer_text(client, ctx);
        if let Some(cache) = &mut ctx.cache {
            cache.begin(upstream);
        }
        let counts_tokens = ctx.counts_tokens();
        if let Some(meter) = ctx.meter.as_mut().filter(|_| counts_tokens) {
            meter.read_encoded(&upstream.headers, path);
        }
        Ok(())
    }

    /// Begins to measure an answer that another proxy passes on. What it used is read although it is compressed: nobody
    /// has asked for it plain.
    pub(super) fn measure_passing(&self, session: &Session, answer: &mut ResponseHeader, ctx: &mut RequestContext) {
        let client = session.req_header();
        let (path, scope) = (client.uri.path(), kept_state::scope_of(client, ctx));
        ctx.meter = AnswerMeter::begin(answer, path, ctx.attempts.body.usage_event(), scope);
        ctx.answer_text = answer_text(client, ctx);
        if let Some(meter) = &mut ctx.meter {
            meter.read_encoded(&answer.headers, path);
        }
    }

    /// Says what follows on an answer with a status that may be tried elsewhere: another attempt, or none; `None` where
    /// the answer is the client's.
    pub(super) fn after_status(&self, ctx: &mut RequestContext, status: StatusCode, can_resend: bool) -> Option<bool> {
        let code = status.as_u16();
        let failure = AttemptFailure::Status(code);
        let is_refused = ctx.attempts.is_refused_by_fallback(failure);
        let is_tried = fallback::is_retried(code, &ctx.snapshot.config.retry) || ctx.attempts.is_of_key(failure);
        if !is_refused && !is_tried {
            return None;
        }
        let again = can_resend && ctx.attempts.try_again(failure, &self.retries);
        (again || is_refused).then_some(again)
    }

    /// Puts a chunk of an answer into the words of the client's API, where its request was translated. A whole answer is let
    /// out once it is translated: until then another model may be asked.
    pub(super) fn translate(
        &self,
        ctx: &mut RequestContext,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
    ) -> Result<()> {
        let Some(translation) = &mut ctx.answer_translation else { return Ok(()) };
        let error = translation.pass(body, end_of_stream, ctx.meter.as_ref())?;
        if let Some(error) = error {
            ctx.attempts.look_through(&error)?;
        }
        if end_of_stream && translation.take_awaiting() {
            if let Some(request) = ctx.attempts.body.translation().filter(|_| !translation.losses().is_empty()) {
                ctx.attempts.adapter.note_translation(header_fields::value(&request.note(Some(translation.losses())))?);
            }
            self.opened(ctx, OpeningVerdict::Begun)?;
        }
        Ok(())
    }

    /// Takes the verdict on the opening of an answer: lets it out, or fails the attempt, of which the client has seen
    /// nothing.
    pub(super) fn opened(&self, ctx: &mut RequestContext, verdict: OpeningVerdict) -> Result<()> {
        match verdict {
            OpeningVerdict::Open => {}
            OpeningVerdict::Begun
                if ctx.answer_translation.as_mut().is_some_and(|answer| answer.awaits_its_end(ctx.meter.as_ref())) => {}
            OpeningVerdict::Begun if self.check_begun(ctx) => {}
            OpeningVerdict::Begun => {
                ctx.attempts.adapter.release();
                self.recorder.attempt_answered(ctx, StatusCode::OK);
                self.recorder.answer_began(ctx, StatusCode::OK);
            }
            OpeningVerdict::Error(error) => {
                ctx.attempts.answer_error = Some(*error);
                return Err(Error::explain(ERROR_IN_ANSWER, "the answer is an error").into_up());
            }
            OpeningVerdict::Empty => {
                return Err(Error::explain(ErrorType::ConnectionClosed, "the answer has nothing in it").into_up());
            }
        }
        Ok(())
    }

    /// Counts an attempt whose answer was an error although its status was good; returns whether another one follows.
    pub(super) fn after_error_in_answer(&self, ctx: &mut RequestContext) -> bool {
        let Some(error) = &ctx.attempts.answer_error else { return false };
        let (status, is_too_long) = (error.status(), context_length::is_said_by(error));
        (ctx.meter, ctx.answer_text) = (None, None);
        self.recorder.attempt_answered(ctx, StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY));
        if is_too_long {
            return ctx.attempts.widen(&self.retries);
        }
        let failure = AttemptFailure::Status(status);
        let is_tried = fallback::is_retried(status, &ctx.snapshot.config.retry)
            || ctx.attempts.is_refused_by_fallback(failure)
            || ctx.attempts.is_of_key(failure);
        is_tried && ctx.attempts.try_again(failure, &self.retries)
    }
}

/// Returns the reader of an answer's text as its client gets it, where answers of that kind are logged and this one is
/// among them.
fn answer_text(client: &RequestHeader, ctx: &RequestContext) -> Option<Box<AnswerTextReader>> {
    let log = ctx.snapshot.decision_log.as_ref().filter(|_| ctx.meter.is_some())?;
    let max_bytes = log.answer_bytes(&ctx.request_id)?;
    let path = client.uri.path();
    ctx.verdict.as_ref()?.finding()?.policy()?;
    Dialect::of_path(path).filter(|dialect| dialect.generates())?;
    Some(Box::new(AnswerTextReader::new(AnswerFormat::of_path(path), max_bytes)))
}
