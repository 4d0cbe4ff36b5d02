//! A request's line in the decision log, decided or refused: what was known, what was chosen, what came of it.
//!
//! Handed over when the request is over and written on the log's own thread. `docs/decision-log.md` lists the fields.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pointsman_classifier::BundleIdentity;
use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::policy::{ClassifierAnswer, Constraint, Decision, DecisionMaker, Denial};
use pointsman_core::prompt::AskSource;
use pointsman_core::usage::{AnswerText, AnswerTextReader, Usage};
use pointsman_telemetry::decision_log::record::{
    BundleRecord, CandidateRecord, DecisionRecord, DenialRecord, LoggedFeatures, PinRecord, RecordKind,
    head_probabilities,
};
use pointsman_telemetry::{DecisionLogEntry, LoggedText};

use super::redacted_texts::{RedactedTexts, TextEnd};
use crate::proxy::answer::rejection::RejectionCode;
use crate::proxy::context::RequestContext;
use crate::proxy::large_work;
use crate::router::{PolicyFinding, Verdict};
use crate::snapshot::{ClassifierHandle, ClassifierState, Snapshot};

/// The largest body that waits in the log's queue to be measured there, in bytes.
const MAX_KEPT_BODY: usize = 16 << 10;

/// The totals of a request that is over.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct RequestTotals {
    pub(in crate::proxy) status: Option<u16>,
    pub(in crate::proxy) usage: Option<Usage>,
    pub(in crate::proxy) cost: Option<f64>,
    pub(in crate::proxy) baseline: Option<f64>,
    pub(in crate::proxy) duration: Duration,
}

/// A decided request that is over.
struct DecidedRequest {
    ended: SystemTime,
    request_id: String,
    client: Option<Name>,
    snapshot: Arc<Snapshot>,
    /// The verdict, which has a finding of a policy.
    verdict: Verdict,
    /// `None` when the policy refused the request, or only watched.
    answered_by: Option<Name>,
    /// The check that the first answer failed.
    escalated: Option<String>,
    /// The part of the response cache.
    cache: Option<&'static str>,
    /// The cost of judges of the answer.
    checked_for: Option<f64>,
    /// The cost of answers that the client did not get.
    discarded: Option<f64>,
    /// True when the policy's finding is what happened.
    applied: bool,
    code: Option<&'static str>,
    attempts: u32,
    /// The key of the last attempt, where the provider has several.
    key: Option<Name>,
    first_byte: Option<Duration>,
    overhead: Duration,
    over: RequestTotals,
    kept: LoggedText,
    /// The answer's text, of requests whose answers are logged.
    answer: Option<AnswerText>,
}

/// Hands the request's line over, if a policy decided or refused it and there is a log; the verdict leaves `ctx`.
pub(super) fn log(ctx: &mut RequestContext, over: RequestTotals) {
    let Some(log) = ctx.snapshot.decision_log.clone() else { return };
    let Some(mut verdict) = ctx.verdict.take().filter(is_of_policy) else { return };
    if let Some(features) = verdict.features_mut() {
        features.settle(MAX_KEPT_BODY);
    }
    log.write(Box::new(DecidedRequest {
        ended: SystemTime::now(),
        request_id: std::mem::take(&mut ctx.request_id),
        client: ctx.client_name().cloned(),
        snapshot: Arc::clone(&ctx.snapshot),
        answered_by: ctx.attempts.model().or(ctx.replay().map(|kept| &kept.model)).cloned(),
        escalated: ctx.escalation.as_ref().and_then(|watch| watch.word()),
        cache: ctx.cache.as_ref().map(|used| used.word()),
        checked_for: ctx.escalation.as_ref().and_then(|watch| watch.judge_cost()),
        discarded: ctx.escalation.as_ref().map(|watch| watch.cost_beside()).filter(|dollars| *dollars > 0.0),
        applied: verdict.is_applied(),
        verdict,
        code: ctx.rejected.map(RejectionCode::as_str),
        attempts: ctx.attempts.count(),
        key: ctx.attempts.credential.key().map(|key| key.name().clone()),
        first_byte: ctx.clock.first_byte(),
        overhead: ctx.clock.overhead(),
        over,
        kept: std::mem::take(&mut ctx.kept),
        answer: ctx.answer_text.take().and_then(|text| finished(*text)),
    }));
}

/// Returns what was read of an answer. A large document is parsed beside the threads that serve everybody.
fn finished(text: AnswerTextReader) -> Option<AnswerText> {
    large_work::at_once(text.held_bytes(), move || text.finish())
}

/// Returns whether a policy decided or refused a request.
fn is_of_policy(verdict: &Verdict) -> bool {
    verdict.finding().is_some_and(|finding| finding.policy().is_some())
}

impl DecisionLogEntry for DecidedRequest {
    fn write(&self, line: &mut Vec<u8>) {
        // Plain data with text for keys.
        serde_json::to_writer(line, &self.record()).expect("a Vec takes what is written");
    }
}

impl DecidedRequest {
    fn record(&self) -> DecisionRecord<'_> {
        let RequestTotals { usage, .. } = self.over;
        let (decision, denial, asked) = (self.decision(), self.denial(), self.asked());
        let scores = asked.and_then(|asked| asked.scores.as_ref().ok());
        let by = decision.map(|decision| decision.by).or(denial.map(|denial| denial.by));
        DecisionRecord {
            kind: if denial.is_some() { RecordKind::Denial } else { RecordKind::Decision },
            time: humantime::format_rfc3339_millis(self.ended).to_string().into(),
            request_id: Cow::from(&self.request_id),
            client: self.client.as_deref().map(Cow::from),
            policy: Cow::from(self.policy()),
            generation: self.snapshot.generation,
            classifier: asked.map(|asked| Cow::from(&*asked.classifier)),
            bundle: self.classifier().map(ClassifierHandle::identity).map(bundle),
            rule: by.and_then(DecisionMaker::rule),
            strategy: by.and_then(DecisionMaker::strategy).map(Cow::from),
            reason: decision.map_or_else(|| denial.map_or("", |denial| denial.code), |it| it.reason.as_str()).into(),
            denied: denial.map(|denial| DenialRecord { status: denial.status, code: denial.code.into() }),
            pin: decision.and_then(pin),
            set: decision.map(|decision| Cow::Borrowed(&decision.set)).unwrap_or_default(),
            judge_cost_usd: self.judges_cost(),
            degraded: asked.and_then(|asked| asked.scores.as_ref().err()).map(|degraded| degraded.as_str().into()),
            label: decision.and_then(|decision| decision.label.as_deref()).map(Cow::from),
            label_from: decision.and_then(|it| it.label.as_ref()).and(self.label_from()).map(Cow::from),
            score: decision.and_then(|decision| decision.score),
            source: scores.map(|scores| scores.source.as_str().into()),
            scores: scores.map(head_probabilities),
            truncated_tokens: scores.map(|scores| scores.truncated_tokens),
            known_ngrams: scores.and_then(|scores| scores.familiarity.known_ngrams),
            unfamiliar: scores.and_then(|scores| scores.familiarity.unfamiliar).map(|it| it.as_str().into()),
            features: LoggedFeatures::Measured(self.features()),
            candidates: self.candidates(),
            model: decision.map(|decision| Cow::from(&*decision.model)),
            answered_by: self.answered_by.as_deref().map(Cow::from),
            escalated: self.escalated.as_deref().map(Cow::from),
            escalation_cost_usd: self.discarded,
            cache: self.cache.map(Cow::from),
            applied: self.applied,
            attempts: self.attempts,
            key: self.key.as_deref().map(Cow::from),
            status: self.over.status,
            error: self.code.map(Cow::from),
            input_tokens: usage.map(|usage| usage.input),
            output_tokens: usage.map(|usage| usage.output),
            tokens_estimated: usage.map(|usage| usage.estimated),
            cost_usd: self.over.cost,
            baseline_cost_usd: self.over.baseline,
            first_byte_ms: self.first_byte.map(milliseconds),
            duration_ms: milliseconds(self.over.duration),
            overhead_us: u64::try_from(self.overhead.as_micros()).unwrap_or(u64::MAX),
            conversation: self.conversation().map(|key| format!("{key:016x}").into()),
            ..self.texts()
        }
    }

    /// Returns a record of the texts alone, as they may be written.
    fn texts(&self) -> DecisionRecord<'_> {
        let log = self.snapshot.decision_log.as_ref().expect("only what a log takes is written");
        let (mut texts, answer) = (RedactedTexts::new(log), self.answer.as_ref());
        DecisionRecord {
            judge_rationale: self.rationale().map(|rationale| texts.whole(rationale)),
            text_hash: self.kept.hash.as_deref().map(Cow::from),
            text_bytes: self.kept.bytes,
            text: self.kept.text.as_deref().map(|text| texts.of(text, self.text_end())),
            text_truncated: self.text_end() == TextEnd::Cut,
            answer: answer.map(|answer| texts.of(&answer.text, TextEnd::of(answer))),
            tool_calls: answer.map(|answer| texts.calls(answer)).unwrap_or_default(),
            finish_reason: answer.and_then(|answer| answer.finish_reason.as_deref()).map(Cow::from),
            answer_bytes: answer.map(|answer| answer.bytes),
            answer_truncated: answer.is_some_and(|answer| answer.is_truncated),
            redactions: texts.replaced(),
            ..DecisionRecord::default()
        }
    }

    /// Returns the end of the text that is kept.
    fn text_end(&self) -> TextEnd {
        let is_cut = self.kept.text.as_ref().is_some_and(|text| text.len() < self.kept.bytes);
        if is_cut { TextEnd::Cut } else { TextEnd::Whole }
    }

    fn finding(&self) -> PolicyFinding<'_> {
        self.verdict.finding().expect("only the verdict of a policy is logged")
    }

    /// Returns the policy that decided or refused.
    fn policy(&self) -> &str {
        let decided = self.decision().map(|decision| &decision.policy);
        decided.or_else(|| self.denial()?.policy.as_ref()).map_or("", Name::as_str)
    }

    /// Returns the judge's own words. They may quote the prompt, so they go where the prompt may go.
    fn rationale(&self) -> Option<&str> {
        self.decision()?.rationale.as_deref().filter(|_| self.kept.text.is_some())
    }

    fn decision(&self) -> Option<&Decision> {
        self.finding().result.ok()
    }

    fn label_from(&self) -> Option<&'static str> {
        self.finding().label_from.map(AskSource::as_str)
    }

    fn denial(&self) -> Option<&Denial> {
        self.finding().result.err()
    }

    fn judges_cost(&self) -> Option<f64> {
        self.finding().judge_cost_usd.into_iter().chain(self.checked_for).reduce(|sum, dollars| sum + dollars)
    }

    fn features(&self) -> &Features {
        self.finding().features
    }

    fn conversation(&self) -> Option<u64> {
        self.finding().conversation
    }

    /// Returns the classifier that was asked last, with its answer.
    fn asked(&self) -> Option<&ClassifierAnswer> {
        self.finding().asked.last()
    }

    fn classifier(&self) -> Option<&ClassifierHandle> {
        match self.snapshot.classifiers.get(&self.asked()?.classifier)? {
            ClassifierState::Ready(classifier) => Some(classifier),
            ClassifierState::Unavailable { .. } => None,
        }
    }

    fn candidates(&self) -> Vec<CandidateRecord<'_>> {
        let candidates =
            self.finding().result.map_or_else(|denial| &denial.candidates, |decision| &decision.candidates);
        let shown = candidates.iter().map(|candidate| CandidateRecord {
            model: Cow::from(&*candidate.model),
            lacks: candidate.fits.err().map(|constraint| Constraint::as_str(constraint).into()),
        });
        shown.collect()
    }
}

fn pin(decision: &Decision) -> Option<PinRecord<'_>> {
    // What a pin held back is the last of the stages.
    let held_back = decision.stages.last().filter(|_| decision.by == DecisionMaker::Affinity);
    let trace = decision.pin.as_ref()?;
    Some(PinRecord {
        model: trace.model.as_deref().map(Cow::from),
        last: trace.last.as_deref().map(Cow::from),
        age_seconds: trace.age_seconds,
        idle_seconds: trace.idle_seconds,
        in_tool_loop: trace.in_tool_loop,
        outcome: trace.outcome.as_str().into(),
        stay_usd: trace.stay_usd,
        move_usd: trace.move_usd,
        instead_of: held_back.and_then(|stage| stage.model.as_deref()).map(Cow::from),
    })
}

fn bundle(identity: &BundleIdentity) -> BundleRecord<'_> {
    BundleRecord {
        name: Cow::from(&*identity.name),
        version: Cow::from(&*identity.version),
        sha256: Cow::from(&*identity.sha256),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
