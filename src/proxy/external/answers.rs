//! The answer to a request that another proxy has sent: what it used is read while it passes.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;

use super::ExternalRequest;
use super::judgement::decision_fields;
use crate::proxy::answer::meter::AnswerMeter;

impl ExternalRequest {
    /// Takes the header of the answer; returns the fields to set on it. Its length is no longer known where the body may
    /// change: see [`Self::may_shorten`].
    pub(crate) fn answer_began(
        &mut self,
        status: StatusCode,
        fields: HeaderMap,
    ) -> BoxFuture<'_, Vec<(HeaderName, HeaderValue)>> {
        Box::pin(self.begin_answer(status, fields))
    }

    async fn begin_answer(&mut self, status: StatusCode, fields: HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let Self { proxy, session, ctx, .. } = self;
        let Ok(mut header) = ResponseHeader::build_no_case(status, Some(fields.len())) else { return Vec::new() };
        for (name, value) in &fields {
            let _ = header.append_header(name.clone(), value.clone()); // one that cannot be is not read
        }
        proxy.measure_passing(session, &mut header, ctx);
        proxy.recorder.attempt_answered(ctx, status);
        proxy.recorder.answer_began(ctx, status);
        let _ = session.write_response_header(Box::new(header), false).await; // the session keeps it
        decision_fields(ctx)
    }

    /// Returns whether something may be taken out of the answer.
    pub(crate) fn may_shorten(&self) -> bool {
        use pointsman_core::usage::UsageEvent;
        self.ctx.attempts.body.usage_event() == UsageEvent::Remove && self.ctx.meter.is_some()
    }

    /// Reads a piece of the answer; returns what the client gets in its place, where that differs.
    pub(crate) fn answer_piece(&mut self, piece: &Bytes, is_last: bool) -> Option<Bytes> {
        let Self { proxy, ctx, .. } = self;
        let mut body = Some(piece.clone()).filter(|piece| !piece.is_empty());
        let gap = ctx.meter.as_mut().and_then(|meter| meter.pass(&mut body, is_last));
        ctx.keep_answer(body.as_ref());
        if let (Some(gap), Some(meter)) = (gap, &mut ctx.meter) {
            let operation = ctx.operation.as_ref().map(|open| &open.operation);
            meter.gaps(|| proxy.metrics.chunk_gaps(ctx.attempts.model(), operation)).note(gap);
        }
        proxy.recorder.remember_state(ctx);
        if is_last {
            proxy.recorder.confirm_state(ctx);
        }
        let passed = body.unwrap_or_default();
        (passed != *piece).then_some(passed)
    }

    /// Returns whether the answer has said all that its API has it say.
    pub(crate) fn has_said_all(&self) -> bool {
        self.ctx.meter.as_ref().is_some_and(AnswerMeter::has_said_all)
    }
}
