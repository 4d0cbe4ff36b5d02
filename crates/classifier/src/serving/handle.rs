//! The handle to a running classifier: what it is, what it runs on and how it does.
//!
//! [`Classifier::score`] in `request` is the entry that asks it; `start` makes it out of a bundle.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pointsman_core::config::Name;
use pointsman_core::scores::{ClassifierFailure, LevelThresholds, OfferedHead, ScoreSource};

use super::drift::DriftMonitor;
use super::queue::PromptQueue;
use super::state::ServingState;
use crate::bundle::{Bundle, BundleIdentity, DriftReference};
use crate::manifest::{BundleKind, CalibrationCurve};
use crate::onnx::device::SessionDevice;
use crate::scoring::heads::{HeadCalibration, Heads};
use crate::scoring::inputs::FeatureInputs;
use crate::scoring::lexical::LexicalHeads;
use crate::scoring::scope::TrainingScope;
use crate::scoring::tokenize::TokenBudget;

/// A handle to a running classifier; clones share it. When the last one is dropped, the workers finish what is queued
/// and end.
#[derive(Debug, Clone)]
pub struct Classifier(pub(super) Arc<ClassifierInner>);

#[derive(Debug)]
pub(super) struct ClassifierInner {
    pub(super) identity: BundleIdentity,
    pub(super) budget: TokenBudget,
    pub(super) inputs: FeatureInputs,
    pub(super) heads: Arc<Heads>,
    /// The heads that need no encoder, if the bundle has any.
    pub(super) lexical: Option<LexicalHeads>,
    pub(super) engine: EncoderState,
    pub(super) makes_embeddings: bool,
    /// The texts that the bundle was trained for.
    pub(super) scope: TrainingScope,
    /// Compares live traffic with the bundle's reference, if it brings one.
    pub(super) drift: Option<DriftMonitor>,
    pub(super) state: Arc<ServingState>,
}

/// The engine that runs the encoder, if any does.
#[derive(Debug)]
pub(super) enum EncoderState {
    /// Workers behind a queue.
    Workers(PromptQueue),
    /// No engine: no head reads an embedding.
    Unneeded,
    /// No engine, though some head needs one.
    Down(EncoderOutage),
}

/// The reason for which an encoder does not run although it should.
#[derive(Debug, Clone)]
pub struct EncoderOutage {
    /// The reason that decisions give.
    pub reason: ClassifierFailure,
    /// The cause that an operator has to mend.
    pub detail: String,
}

/// The counts of a classifier since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassifierStats {
    /// Prompts that wait.
    pub waiting: usize,
    /// Prompts that were skipped: their caller had left, or their deadline had passed.
    pub skipped: u64,
    /// Runs that failed, panics included.
    pub failures: u64,
    /// Runs that panicked.
    pub panics: u64,
    /// Threads that run.
    pub workers: usize,
    /// True where the last run failed.
    pub failing: bool,
}

impl Classifier {
    /// Iterates over the names of its heads and their labels, in the order of the scores.
    pub fn heads(&self) -> impl Iterator<Item = OfferedHead<'_>> {
        self.0.heads.iter()
    }

    /// Iterates over the heads that stand for themselves: those of [`Self::heads`] that are no lexical form of another.
    pub fn own_heads(&self) -> impl Iterator<Item = OfferedHead<'_>> {
        self.heads().filter(|head| !self.is_lexical_form(head.name))
    }

    /// Returns whether the head called `head` is the lexical form of another, which answers by that one's name.
    #[must_use]
    pub fn is_lexical_form(&self, head: &str) -> bool {
        let Some(lexical) = &self.0.lexical else { return false };
        self.heads().any(|own| lexical.form_of(own.name) == Some(head))
    }

    /// Returns the thresholds that decide a label of the head called `head`, if it has any.
    #[must_use]
    pub fn levels(&self, head: &str) -> Option<&Arc<LevelThresholds>> {
        self.0.heads.levels(head)
    }

    /// Returns the labels of the head called `head`, in the order of its scores.
    #[must_use]
    pub fn labels(&self, head: &str) -> Option<&[Arc<str>]> {
        self.0.heads.labels(head)
    }

    /// Returns how the scores of `head` that came from `source` are calibrated.
    #[must_use]
    pub fn calibration(&self, head: &str, source: ScoreSource) -> Option<HeadCalibration> {
        let lexical = self.0.lexical.as_ref().filter(|_| source != ScoreSource::Encoder);
        let form = lexical.and_then(|lexical| lexical.form_of(head));
        self.0.heads.calibration(form.unwrap_or(head))
    }

    /// Returns the curve that calibrates the head called `head`, if its bundle has one.
    #[must_use]
    pub fn calibration_curve(&self, head: &str) -> Option<&CalibrationCurve> {
        self.0.heads.curve(head)
    }

    /// Returns its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.state.name
    }

    /// Returns whether `other` is a handle to the same running classifier.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns whether replacing `other` by it would change nothing: it is the same, or neither gets its encoder to
    /// run.
    #[must_use]
    pub fn serves_like(&self, other: &Self) -> bool {
        self.is(other) || (self.is_down() && other.is_down() && self.identity() == other.identity())
    }

    /// Returns which bundle it runs.
    #[must_use]
    pub fn identity(&self) -> &BundleIdentity {
        &self.0.identity
    }

    /// Returns whether its encoder runs, and makes embeddings rather than logits.
    #[must_use]
    pub fn can_embed(&self) -> bool {
        self.0.makes_embeddings && matches!(self.0.engine, EncoderState::Workers(_))
    }

    /// Returns what it runs on.
    #[must_use]
    pub fn device(&self) -> SessionDevice {
        self.0.state.placement.device
    }

    /// Returns why it serves worse than it should: a lower device, a session that fails, threads that ended.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let ServingState { placement, counts, sessions, degrade_ladder, .. } = &*self.0.state;
        if let EncoderState::Down(EncoderOutage { reason, detail }) = &self.0.engine {
            return Some(format!("{}: the lexical heads decide: {detail}", reason.as_str()));
        }
        let workers = counts.workers.load(Ordering::Relaxed);
        if counts.failing.load(Ordering::Relaxed) {
            return Some("inference: the last run failed".to_owned());
        }
        if workers < *sessions {
            return Some(format!("worker_gone: {workers} of {sessions} workers run"));
        }
        if let stuck @ 1.. = counts.stuck.load(Ordering::Relaxed) {
            return Some(format!("worker_stuck: {stuck} of {sessions} workers are in a run that does not end"));
        }
        let device =
            || placement.fell_back.as_ref().map(|cause| format!("device: runs on {}, {cause}", placement.device));
        degrade_ladder.trouble().or_else(device)
    }

    /// Returns whether a fresh start could help: its sessions fail, or threads of it have ended.
    #[must_use]
    pub fn is_sick(&self) -> bool {
        let ServingState { counts, sessions, .. } = &*self.0.state;
        let able = counts.workers.load(Ordering::Relaxed).saturating_sub(counts.stuck.load(Ordering::Relaxed));
        counts.failing.load(Ordering::Relaxed) || able < *sessions
    }

    /// Returns whether the encoder should run and does not, so that only the lexical heads answer.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down().is_some()
    }

    /// Returns why the encoder does not run although it should.
    #[must_use]
    pub fn down(&self) -> Option<ClassifierFailure> {
        match &self.0.engine {
            EncoderState::Down(outage) => Some(outage.reason),
            EncoderState::Workers(_) | EncoderState::Unneeded => None,
        }
    }

    /// Returns what it has been through.
    #[must_use]
    pub fn stats(&self) -> ClassifierStats {
        let ClassifierInner { engine, state, .. } = &*self.0;
        ClassifierStats {
            waiting: if let EncoderState::Workers(queue) = engine { queue.waiting() } else { 0 },
            skipped: state.counts.skipped.load(Ordering::Relaxed),
            failures: state.counts.failures.load(Ordering::Relaxed),
            panics: state.counts.panics.load(Ordering::Relaxed),
            workers: state.counts.workers.load(Ordering::Relaxed),
            failing: state.counts.failing.load(Ordering::Relaxed),
        }
    }

    pub(super) fn of(
        bundle: Bundle,
        lexical: Option<LexicalHeads>,
        engine: EncoderState,
        state: Arc<ServingState>,
    ) -> Self {
        let budget = bundle.tokenizer.budget();
        let makes_embeddings = bundle.manifest.kind == BundleKind::Encoder;
        let Bundle { identity, inputs, heads, reference, scope, .. } = bundle;
        let drift = reference.map(|DriftReference { reference, probe }| {
            DriftMonitor::new(probe, &reference, state.drift, state.metrics.drift())
        });
        Self(Arc::new(ClassifierInner {
            identity,
            budget,
            inputs,
            heads,
            lexical,
            engine,
            makes_embeddings,
            scope,
            drift,
            state,
        }))
    }
}
