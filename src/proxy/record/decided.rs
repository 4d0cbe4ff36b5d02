//! A request's line in the decision log, decided or refused: what was known, what was chosen, what came of it.
//!
//! Handed over when the request is over and written on the log's own thread. `docs/decision-log.md` lists the fields.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pointsman_classifier::Classifier;
use pointsman_core::config::Name;
use pointsman_core::features::{Features, TABLE, Value};
use pointsman_core::policy::{Asked, By, Constraint, Decision, Denial, PinTrace};
use pointsman_core::prompt::AskSource;
use pointsman_core::scores::{Scores, Unfamiliar};
use pointsman_core::usage::Usage;
use pointsman_telemetry::{Entry, Kept};
use serde::{Serialize, Serializer};

use crate::proxy::answer::rejection::RejectionCode;
use crate::proxy::context::RequestContext;
use crate::router::{PolicyFinding, Verdict};
use crate::snapshot::{ClassifierState, Snapshot};

/// The longest text feature that is written; a client's own words do not belong into the log.
const MAX_WORD: usize = 16;

/// The largest body that waits in the log's queue to be measured there, in bytes.
const MAX_KEPT_BODY: usize = 16 << 10;

/// The totals of a request that is over.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Over {
    pub(in crate::proxy) status: Option<u16>,
    pub(in crate::proxy) usage: Option<Usage>,
    pub(in crate::proxy) cost: Option<f64>,
    pub(in crate::proxy) baseline: Option<f64>,
    pub(in crate::proxy) duration: Duration,
}

/// A decided request that is over.
struct Decided {
    ended: SystemTime,
    request_id: String,
    client: Option<Name>,
    snapshot: Arc<Snapshot>,
    /// The verdict, which has a finding of a policy.
    verdict: Verdict,
    /// `None` when the policy refused the request, or only watched.
    answered_by: Option<Name>,
    /// True when the policy's finding is what happened.
    applied: bool,
    code: Option<&'static str>,
    attempts: u32,
    first_byte: Option<Duration>,
    overhead: Duration,
    over: Over,
    kept: Kept,
}

/// The line's shape.
#[derive(Serialize)]
struct Line<'d> {
    kind: &'static str,
    time: String,
    request_id: &'d str,
    client: Option<&'d Name>,
    policy: Option<&'d Name>,
    generation: u64,
    classifier: Option<&'d Name>,
    bundle: Option<Bundle<'d>>,
    rule: Option<usize>,
    strategy: Option<&'static str>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<Denied>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<LoggedPin<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<&'d BTreeMap<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judge_cost_usd: Option<f64>,
    degraded: Option<&'static str>,
    label: Option<&'d str>,
    label_from: Option<&'static str>,
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judge_rationale: Option<&'d str>,
    source: Option<pointsman_core::scores::Source>,
    scores: Option<BTreeMap<&'d str, BTreeMap<&'d str, f32>>>,
    truncated_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_ngrams: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfamiliar: Option<Unfamiliar>,
    features: LoggedFeatures<'d>,
    candidates: Vec<Candidate<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'d Name>,
    answered_by: Option<&'d Name>,
    applied: bool,
    attempts: u32,
    status: Option<u16>,
    error: Option<&'static str>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    tokens_estimated: Option<bool>,
    cost_usd: Option<f64>,
    baseline_cost_usd: Option<f64>,
    first_byte_ms: Option<f64>,
    duration_ms: f64,
    overhead_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    text_hash: Option<&'d str>,
    text_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'d str>,
}

#[derive(Serialize)]
struct Bundle<'d> {
    name: &'d str,
    version: &'d str,
    sha256: &'d str,
}

/// What a client got of a refusal, or would have got.
#[derive(Serialize)]
struct Denied {
    status: u16,
    code: &'static str,
}

#[derive(Serialize)]
struct Candidate<'d> {
    model: &'d Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<&'static str>,
}

/// What affinity did.
#[derive(Serialize)]
struct LoggedPin<'d> {
    #[serde(flatten)]
    trace: &'d PinTrace,
    /// What the strategy had chosen, where the pin was stronger.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<&'d Name>,
}

struct LoggedFeatures<'d>(&'d Features);

/// Hands the request's line over, if a policy decided or refused it and there is a log; the verdict leaves `ctx`.
pub(super) fn log(ctx: &mut RequestContext, over: Over) {
    let Some(log) = ctx.snapshot.decision_log.clone() else { return };
    let Some(mut verdict) = ctx.verdict.take().filter(is_of_policy) else { return };
    if let Some(features) = verdict.features_mut() {
        features.settle(MAX_KEPT_BODY);
    }
    log.write(Box::new(Decided {
        ended: SystemTime::now(),
        request_id: std::mem::take(&mut ctx.request_id),
        client: ctx.client_name().cloned(),
        snapshot: Arc::clone(&ctx.snapshot),
        answered_by: ctx.attempts.model().cloned(),
        applied: verdict.is_applied(),
        verdict,
        code: ctx.rejected.map(RejectionCode::as_str),
        attempts: ctx.attempts.count(),
        first_byte: ctx.clock.first_byte(),
        overhead: ctx.clock.overhead(),
        over,
        kept: std::mem::take(&mut ctx.kept),
    }));
}

/// Returns whether a policy decided or refused a request.
fn is_of_policy(verdict: &Verdict) -> bool {
    verdict.finding().is_some_and(|finding| finding.policy().is_some())
}

impl Entry for Decided {
    fn write(&self, line: &mut Vec<u8>) {
        // Plain data with text for keys.
        serde_json::to_writer(line, &self.line()).expect("a Vec takes what is written");
    }
}

impl Decided {
    fn line(&self) -> Line<'_> {
        let Over { usage, .. } = self.over;
        let (decision, denial) = (self.decision(), self.denial());
        let asked = self.asked();
        let scores = asked.and_then(|asked| asked.scores.as_ref().ok());
        let by = decision.map(|decision| decision.by).or(denial.map(|denial| denial.by));
        Line {
            kind: if denial.is_some() { "denial" } else { "decision" },
            time: humantime::format_rfc3339_millis(self.ended).to_string(),
            request_id: &self.request_id,
            client: self.client.as_ref(),
            policy: decision.map(|decision| &decision.policy).or(denial.and_then(|denial| denial.policy.as_ref())),
            generation: self.snapshot.generation,
            classifier: asked.map(|asked| &asked.classifier),
            bundle: self.classifier().map(Classifier::identity).map(|identity| Bundle {
                name: &identity.name,
                version: &identity.version,
                sha256: &identity.sha256,
            }),
            rule: by.and_then(By::rule),
            strategy: by.and_then(By::strategy),
            reason: decision.map_or_else(|| denial.map_or("", |denial| denial.code), |it| it.reason.as_str()),
            denied: denial.map(|denial| Denied { status: denial.status, code: denial.code }),
            pin: decision.and_then(pin),
            set: decision.map(|decision| &decision.set).filter(|set| !set.is_empty()),
            judge_cost_usd: self.judges_cost(),
            degraded: asked.and_then(|asked| asked.scores.as_ref().err()).map(|degraded| degraded.as_str()),
            label: decision.and_then(|decision| decision.label.as_deref()),
            label_from: decision.and_then(|decision| decision.label.as_ref()).and(self.label_from()),
            score: decision.and_then(|decision| decision.score),
            // It may quote the prompt, so it goes where the prompt may go.
            judge_rationale: decision.and_then(|it| it.rationale.as_deref()).filter(|_| self.kept.text.is_some()),
            source: scores.map(|scores| scores.source),
            scores: scores.map(by_head),
            truncated_tokens: scores.map(|scores| scores.truncated_tokens),
            known_ngrams: scores.and_then(|scores| scores.familiarity.known_ngrams),
            unfamiliar: scores.and_then(|scores| scores.familiarity.unfamiliar),
            features: LoggedFeatures(self.features()),
            candidates: self.candidates(),
            model: decision.map(|decision| &decision.model),
            answered_by: self.answered_by.as_ref(),
            applied: self.applied,
            attempts: self.attempts,
            status: self.over.status,
            error: self.code,
            input_tokens: usage.map(|usage| usage.input),
            output_tokens: usage.map(|usage| usage.output),
            tokens_estimated: usage.map(|usage| usage.estimated),
            cost_usd: self.over.cost,
            baseline_cost_usd: self.over.baseline,
            first_byte_ms: self.first_byte.map(milliseconds),
            duration_ms: milliseconds(self.over.duration),
            overhead_us: u64::try_from(self.overhead.as_micros()).unwrap_or(u64::MAX),
            conversation: self.conversation().map(|key| format!("{key:016x}")),
            text_hash: self.kept.hash.as_deref(),
            text_bytes: self.kept.bytes,
            text: self.kept.text.as_deref(),
        }
    }

    fn finding(&self) -> PolicyFinding<'_> {
        self.verdict.finding().expect("only the verdict of a policy is logged")
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
        self.finding().judge_cost_usd
    }

    fn features(&self) -> &Features {
        self.finding().features
    }

    fn conversation(&self) -> Option<u64> {
        self.finding().conversation
    }

    /// Returns the classifier that was asked last, with its answer.
    fn asked(&self) -> Option<&Asked> {
        self.finding().asked.last()
    }

    fn classifier(&self) -> Option<&Classifier> {
        match self.snapshot.classifiers.get(&self.asked()?.classifier)? {
            ClassifierState::Ready(classifier) => Some(classifier),
            ClassifierState::Unavailable { .. } => None,
        }
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let candidates =
            self.finding().result.map_or_else(|denial| &denial.candidates, |decision| &decision.candidates);
        let shown = candidates.iter().map(|candidate| Candidate {
            model: &candidate.model,
            lacks: candidate.fits.err().map(Constraint::as_str),
        });
        shown.collect()
    }
}

fn pin(decision: &Decision) -> Option<LoggedPin<'_>> {
    // What a pin held back is the last of the stages.
    let held_back = decision.stages.last().filter(|_| decision.by == By::Affinity);
    let instead_of = held_back.and_then(|stage| stage.model.as_ref());
    decision.pin.as_ref().map(|trace| LoggedPin { trace, instead_of })
}

impl Serialize for LoggedFeatures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = TABLE.iter().enumerate().map(|(index, spec)| (spec.name, bounded(self.0.value(index))));
        serializer.collect_map(shown)
    }
}

/// A text feature is the client's own string: only what could be one of the API's words is written.
fn bounded(value: Value<'_>) -> Value<'_> {
    let is_word = |text: &str| text.len() <= MAX_WORD && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match value {
        Value::Text(text) if !is_word(text) => Value::Text("other"),
        other => other,
    }
}

fn by_head(scores: &Scores) -> BTreeMap<&str, BTreeMap<&str, f32>> {
    let heads = scores.heads.iter().map(|head| {
        let labels = head.labels.iter().zip(&head.probabilities).map(|(label, probability)| (&**label, *probability));
        (&*head.head, labels.collect())
    });
    heads.collect()
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
