//! The operations of a request, as OpenTelemetry's conventions for generative AI count them: one for each attempt at a
//! model, where `metrics.gen_ai` is set. What passes through names a model that the client wrote, and is none.

use pingora::http::RequestHeader;
use pointsman_core::prompt::Dialect;
use pointsman_core::usage::Usage;
use pointsman_telemetry::metrics::GenAiOperation;
use tokio::time::Instant;

use super::{Recorder, traced};
use crate::proxy::answer::meter::AnswerMeter;
use crate::proxy::context::RequestContext;

/// The operation of the current attempt.
pub(in crate::proxy) struct AttemptOperation {
    pub(in crate::proxy) operation: GenAiOperation,
    started: Instant,
    /// True until its end was noted.
    is_open: bool,
}

impl Recorder {
    /// Begins the operation of the next attempt, if such are counted.
    pub(in crate::proxy) fn operation_began(header: &RequestHeader, ctx: &mut RequestContext) {
        if !ctx.snapshot.config.metrics.gen_ai {
            return;
        }
        let dialect = Dialect::of_path(header.uri.path()).filter(|dialect| !dialect.only_counts());
        ctx.operation = dialect.zip(ctx.attempts.target()).map(|(dialect, target)| {
            let (provider, model) = target.gen_ai_names.clone();
            let operation = GenAiOperation { operation: traced::operation(dialect), provider, model };
            Box::new(AttemptOperation { operation, started: Instant::now(), is_open: true })
        });
    }

    /// Notes the end of the current attempt's operation; `error` is what it ended with, if it did not succeed.
    pub(in crate::proxy) fn operation_ended(&self, ctx: &mut RequestContext, error: Option<&'static str>) {
        let Some(open) = ctx.operation.as_mut().filter(|open| open.is_open) else { return };
        open.is_open = false;
        self.metrics.operation_ended(&open.operation, open.started.elapsed(), error);
        if error.is_none()
            && let Some(first) = ctx.meter.as_ref().and_then(AnswerMeter::first_chunk)
        {
            self.metrics.operation_streamed(&open.operation, first.duration_since(open.started));
        }
    }

    /// Notes what the current attempt's operation used.
    pub(super) fn operation_used(&self, ctx: &RequestContext, usage: &Usage) {
        if let Some(open) = &ctx.operation {
            self.metrics.operation_used(&open.operation, usage.input, usage.output);
        }
    }
}
