//! A decided request's line in the decision log: what was known, what was chosen, what came of it.
//!
//! Handed over when the request is over and written on the log's own thread. `docs/decision-log.md` lists the fields.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::context::{RequestContext, Route};
use crate::classifier::Classifier;
use crate::config::Name;
use crate::features::{TABLE, Value};
use crate::policy::{By, PinTrace};
use crate::router::Routing;
use crate::scores::Scores;
use crate::snapshot::{ClassifierState, Snapshot};
use crate::telemetry::{Entry, Kept};
use crate::usage::Usage;

/// The longest text feature that is written; a client's own words do not belong into the log.
const MAX_WORD: usize = 16;

/// The largest body that waits in the log's queue to be measured there, in bytes.
const MAX_KEPT_BODY: usize = 16 << 10;

/// What is known of a request once it is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Over {
    pub(super) status: Option<u16>,
    pub(super) usage: Option<Usage>,
    pub(super) cost: Option<f64>,
    pub(super) baseline: Option<f64>,
    pub(super) duration: Duration,
}

/// A decided request that is over.
struct Decided {
    ended: SystemTime,
    request_id: String,
    client: Option<Name>,
    snapshot: Arc<Snapshot>,
    routing: Box<Routing>,
    /// `None` when the policy only watched.
    answered_by: Option<Name>,
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
    policy: &'d Name,
    generation: u64,
    classifier: Option<&'d Name>,
    bundle: Option<Bundle<'d>>,
    rule: Option<usize>,
    strategy: Option<&'static str>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<LoggedPin<'d>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set: &'d BTreeMap<String, serde_json::Value>,
    degraded: Option<&'static str>,
    label: Option<&'d str>,
    score: Option<f32>,
    source: Option<crate::scores::Source>,
    scores: Option<BTreeMap<&'d str, BTreeMap<&'d str, f32>>>,
    truncated_tokens: Option<u32>,
    features: LoggedFeatures<'d>,
    candidates: Vec<Candidate<'d>>,
    model: &'d Name,
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

struct LoggedFeatures<'d>(&'d crate::features::Features);

/// Hands the request's line over, if a policy decided it and there is a log; the route leaves `ctx`.
pub(super) fn log(ctx: &mut RequestContext, over: Over) {
    let Some(log) = ctx.snapshot.decision_log.clone() else { return };
    let (answered_by, mut routing) = match ctx.route.take() {
        Some(Route::Model { target, routing }) => (Some(target.model.clone()), routing),
        Some(Route::Pass { shadow: Some(routing), .. }) => (None, routing),
        _ => return,
    };
    routing.features.settle(MAX_KEPT_BODY);
    log.write(Box::new(Decided {
        ended: SystemTime::now(),
        request_id: std::mem::take(&mut ctx.request_id),
        client: ctx.client.as_ref().map(|client| client.name().clone()),
        snapshot: Arc::clone(&ctx.snapshot),
        answered_by,
        routing,
        code: ctx.rejected,
        attempts: ctx.attempts,
        first_byte: ctx.first_byte.map(|at| at.duration_since(ctx.started)),
        overhead: ctx.overhead,
        over,
        kept: std::mem::take(&mut ctx.kept),
    }));
}

impl Entry for Decided {
    fn write(&self, line: &mut Vec<u8>) {
        // Plain data with text for keys.
        serde_json::to_writer(line, &self.line()).expect("a Vec takes what is written");
    }
}

impl Decided {
    fn line(&self) -> Line<'_> {
        let (decision, Over { usage, .. }) = (&self.routing.decision, self.over);
        let asked = self.routing.scores();
        let scores = asked.and_then(|scores| scores.as_ref().ok());
        let classifier = self.classifier();
        Line {
            kind: "decision",
            time: humantime::format_rfc3339_millis(self.ended).to_string(),
            request_id: &self.request_id,
            client: self.client.as_ref(),
            policy: &decision.policy,
            generation: self.snapshot.generation,
            classifier: self.routing.classifier(),
            bundle: classifier.map(Classifier::identity).map(|identity| Bundle {
                name: &identity.name,
                version: &identity.version,
                sha256: &identity.sha256,
            }),
            rule: decision.by.rule(),
            strategy: decision.by.strategy(),
            reason: decision.reason.as_str(),
            pin: self.pin(),
            set: &decision.set,
            degraded: asked.and_then(|scores| scores.as_ref().err()).map(|degraded| degraded.as_str()),
            label: decision.label.as_deref(),
            score: decision.score,
            source: scores.map(|scores| scores.source),
            scores: scores.map(by_head),
            truncated_tokens: scores.map(|scores| scores.truncated_tokens),
            features: LoggedFeatures(&self.routing.features),
            candidates: self.candidates(),
            model: &decision.model,
            answered_by: self.answered_by.as_ref(),
            applied: self.answered_by.is_some(),
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
            conversation: self.routing.conversation.map(|key| format!("{key:016x}")),
            text_hash: self.kept.hash.as_deref(),
            text_bytes: self.kept.bytes,
            text: self.kept.text.as_deref(),
        }
    }

    fn classifier(&self) -> Option<&Classifier> {
        match self.snapshot.classifiers.get(self.routing.classifier()?)? {
            ClassifierState::Ready(classifier) => Some(classifier),
            ClassifierState::Unavailable { .. } => None,
        }
    }

    fn pin(&self) -> Option<LoggedPin<'_>> {
        let decision = &self.routing.decision;
        // What a pin held back is the last of the stages.
        let held_back = decision.stages.last().filter(|_| decision.by == By::Affinity);
        let instead_of = held_back.and_then(|stage| stage.model.as_ref());
        decision.pin.as_ref().map(|trace| LoggedPin { trace, instead_of })
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let candidates = self.routing.decision.candidates.iter();
        let shown = candidates.map(|candidate| Candidate {
            model: &candidate.model,
            lacks: candidate.fits.err().map(crate::policy::Constraint::as_str),
        });
        shown.collect()
    }
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
