//! Training: from samples to calibrated heads in their full and their lexical form.
//!
//! ```text
//! samples ─► learners ─► out-of-fold logits ─► one mixture a head and form ─► early exit
//! ```

use super::early_exit;
use super::folds::{FitData, GroupedSample, inner};
use super::learners::{FittedLearner, LearnerKind};
use super::loss::log_probabilities;
use super::outputs::{HeadOutputs, OutOfFoldLogits};
use super::sample::TrainingSample;
use super::stacking::{HeadMixture, HeldOutRows, MixturePrior, MixtureRow, discounted};
use super::task::{HeadForm, LearningGoal};
use super::training_set::TrainingSet;
use super::weighting::RowWeights;
use crate::statistics::SampleMean;

/// The least held-out rows that can tell what stopping at the lexical form costs.
const STOPPING_ROWS: usize = 500;

/// Fitted learners, and how each head is mixed of them.
#[derive(Debug, Clone)]
pub(super) struct TrainedHeads {
    pub(super) goal: LearningGoal,
    pub(super) models: Vec<(LearnerKind, FittedLearner)>,
    /// One mixture a head, over all learners.
    pub(super) full: Vec<HeadMixture>,
    /// One mixture a head, over the learners that need no encoder; empty where that is the full form.
    pub(super) lexical: Vec<HeadMixture>,
    /// The probability of the lexical form's best label from which on the full form need not be asked.
    pub(super) confidence: Option<f64>,
    pub(super) length: LengthScale,
}

/// The prompt's length among a sample's numbers, with its mean and deviation over the training rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct LengthScale {
    pub(super) mean: f64,
    pub(super) deviation: f64,
    index: Option<usize>,
}

/// Fits and calibrates on `samples`.
pub(super) fn train(set: &TrainingSet, samples: &[GroupedSample<'_>], seed: u64) -> TrainedHeads {
    let splits = inner(samples, seed);
    let rows: Vec<&TrainingSample> = samples.iter().map(|(sample, _)| *sample).collect();
    let weights = RowWeights::of(set.class_weights, &rows);
    let data = FitData { goal: set.goal, loss: set.loss, weights, rows, splits: &splits, seed };
    let length = LengthScale::of(&data.rows, set.length_index());
    let kinds: Vec<LearnerKind> = LearnerKind::ALL.into_iter().filter(|kind| kind.suits(set)).collect();
    let cross_fit = |kind: &LearnerKind| {
        let fitted = kind.cross_fit(set, &data);
        ((*kind, fitted.model), fitted.out_of_fold)
    };
    let (models, out_of_fold): (Vec<_>, Vec<OutOfFoldLogits>) = kinds.iter().map(cross_fit).unzip();
    let held: Vec<&TrainingSample> = splits.iter().flat_map(|split| split.held.iter().copied()).collect();
    let lengths = held.iter().map(|sample| length.scaled(sample)).collect();
    let held_out = HeldOutRows { samples: held, lengths, out_of_fold };
    let (learnt, weights) = (samples.len(), &data.weights);
    let stack = StackingRun { set, held_out: &held_out, kinds: &kinds, learnt, weights };
    let full = stack.mixtures(HeadForm::Full);
    let lexical_kinds = kinds.iter().filter(|kind| kind.is_lexical()).count();
    let has_lexical_form = lexical_kinds > 0 && lexical_kinds < kinds.len();
    let lexical = if has_lexical_form { stack.mixtures(HeadForm::Lexical) } else { Vec::new() };
    // Where the base knows the answers, both forms are right too often to compare.
    let confidence = match set.knows_answers && !set.base_heads.names(HeadForm::Full).is_empty() {
        _ if !has_lexical_form => None,
        true => set.base_heads.confidence(),
        false if held_out.len() >= STOPPING_ROWS => early_exit::confidence(
            set.goal,
            &held_out,
            &early_exit::FormMixtures { lexical: &lexical[0], full: &full[0] },
            seed,
        ),
        false => None,
    };
    TrainedHeads { goal: set.goal, models, full, lexical, confidence, length }
}

/// Held-out rows and the learners that mixtures are made of.
struct StackingRun<'b> {
    set: &'b TrainingSet,
    held_out: &'b HeldOutRows<'b>,
    kinds: &'b [LearnerKind],
    /// Rows that the learners learnt from.
    learnt: usize,
    weights: &'b RowWeights,
}

impl StackingRun<'_> {
    /// Fits one mixture a head; learners that take no part in the form weigh nothing.
    fn mixtures(&self, form: HeadForm) -> Vec<HeadMixture> {
        let takes_part: Vec<bool> = self.kinds.iter().map(|kind| kind.takes_part(form, self.kinds)).collect();
        let start = self.start(&takes_part);
        (0..self.set.goal.heads()).map(|head| self.mixture(&start, &takes_part, head)).collect()
    }

    /// Returns what is expected of the members: whatever is new starts with nothing beside a head that was good before,
    /// else with equal shares.
    fn start(&self, takes_part: &[bool]) -> MixturePrior {
        let members = || self.kinds.iter().zip(takes_part).filter(|(_, takes)| **takes).map(|(kind, _)| kind);
        let has_base_head = members().any(|kind| kind.base_form().is_some());
        let equal = 1.0 / members().count() as f64;
        let weight = |kind: &LearnerKind| {
            if has_base_head { f64::from(u8::from(kind.base_form().is_some())) } else { equal }
        };
        let goal = self.set.goal;
        MixturePrior {
            goal,
            labels: goal.labels(),
            weights: members().map(weight).collect(),
            learnt: self.learnt,
            has_base_head,
            class_weights: self.set.class_weights,
        }
    }

    fn mixture(&self, start: &MixturePrior, takes_part: &[bool], head: usize) -> HeadMixture {
        let goal = self.set.goal;
        let truths: Vec<Vec<f32>> =
            self.held_out.samples.iter().map(|sample| goal.truth(&sample.target, head)).collect();
        let row = |(index, truth)| {
            let logs = self.held_out.logs(index, head).zip(self.kinds).zip(takes_part);
            let logs = logs.filter(|(_, takes)| **takes).map(|((logs, kind), _)| self.weighted(*kind, logs)).collect();
            let weight = self.weights.of_sample(self.held_out.samples[index]);
            MixtureRow { logs, truth, length: self.held_out.lengths[index], weight }
        };
        let rows: Vec<MixtureRow<'_>> = truths.iter().map(Vec::as_slice).enumerate().map(row).collect();
        let base_is_overfitted = self.set.knows_answers && start.has_base_head && start.weights.len() > 1;
        let mut mixture = if base_is_overfitted { discounted(start, &rows) } else { HeadMixture::fit(start, &rows) };
        let mut weights = mixture.weights.into_iter();
        let weight = |takes: &bool| if *takes { weights.next().unwrap_or_default() } else { 0.0 };
        mixture.weights = takes_part.iter().map(weight).collect();
        self.shift_bases(&mut mixture);
        mixture
    }

    /// Returns the log probabilities of a learner as class weights would have made them: a head of the base was fitted
    /// without, and its labels' odds lack the ratio of their weights.
    fn weighted(&self, kind: LearnerKind, logs: Vec<f64>) -> Vec<f64> {
        match self.weights.logs().filter(|_| kind.base_form().is_some()) {
            Some(shifts) => log_probabilities(&logs.iter().zip(&shifts).map(|(a, b)| a + b).collect::<Vec<_>>()),
            None => logs,
        }
    }

    /// Moves the class weights of the base's heads into the bias: when they serve, they give what they always gave.
    fn shift_bases(&self, mixture: &mut HeadMixture) {
        let Some(shifts) = self.weights.logs() else { return };
        let bases = self.kinds.iter().zip(&mixture.weights).filter(|(kind, _)| kind.base_form().is_some());
        let share: f64 = bases.map(|(_, weight)| weight).sum();
        mixture.bias.iter_mut().zip(shifts).for_each(|(bias, shift)| *bias += share * shift);
    }
}

impl TrainedHeads {
    /// Returns the mixtures of a form, one a head.
    pub(super) fn mixtures(&self, form: HeadForm) -> &[HeadMixture] {
        if form == HeadForm::Lexical && !self.lexical.is_empty() { &self.lexical } else { &self.full }
    }

    /// Returns the calibrated probabilities of each head's labels.
    pub(super) fn probabilities(&self, sample: &TrainingSample, form: HeadForm) -> HeadOutputs {
        let logits: Vec<HeadOutputs> = self.models.iter().map(|(_, model)| model.logits(self.goal, sample)).collect();
        let length = self.length.scaled(sample);
        let one = |(head, mixture): (usize, &HeadMixture)| {
            let logs: Vec<Vec<f64>> = logits.iter().map(|heads| log_probabilities(heads.of_head(head))).collect();
            mixture.probabilities(&logs, length)
        };
        HeadOutputs::by_head(self.mixtures(form).iter().enumerate().map(one).collect())
    }
}

impl LengthScale {
    fn of(samples: &[&TrainingSample], index: Option<usize>) -> Self {
        let unscaled = Self { mean: 0.0, deviation: 1.0, index };
        let SampleMean { mean, deviation, .. } =
            SampleMean::of(&samples.iter().map(|sample| unscaled.length(sample)).collect::<Vec<_>>());
        Self { mean, deviation: deviation.max(1e-6), index }
    }

    /// Returns a prompt's length in standard deviations from the mean.
    pub(super) fn scaled(&self, sample: &TrainingSample) -> f64 {
        (self.length(sample) - self.mean) / self.deviation
    }

    fn length(&self, sample: &TrainingSample) -> f64 {
        self.index.map_or(0.0, |index| f64::from(sample.dense[index]))
    }
}
