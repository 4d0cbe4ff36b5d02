//! Grouped cross-validation: every row is scored by heads that saw neither it nor its near-duplicates.

use std::thread;

use serde::Serialize;

use super::FitRequest;
use super::folds::{GroupedSample, folds};
use super::loss::argmax;
use super::outputs::HeadOutputs;
use super::rows::TrainingRow;
use super::sample::TrainingSample;
use super::task::{HeadForm, LearningGoal};
use super::training::{TrainedHeads, train};
use super::training_set::TrainingSet;
use crate::statistics::{
    BinaryClaim, CalibrationTally, ConfidenceInterval, ConfusionMatrix, EventFigures, PromptRanking, RoutedOutcome,
    RoutingFigures, RoutingIntervals, auc, mean,
};

/// Figures of heads on rows of the other folds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Validation {
    /// Figures of a head over labels.
    Labels {
        /// Rows scored.
        n: u64,
        /// The share of right labels.
        accuracy: f64,
        /// The mean F1 of the labels.
        macro_f1: f64,
        /// Expected calibration error of the top label.
        ece: f64,
        /// The mean distance of the decided level from the right one, in levels; only of labels that have an order.
        #[serde(skip_serializing_if = "Option::is_none")]
        level_error: Option<f64>,
    },
    /// Figures of a head between a weak and a strong model.
    Routing {
        /// Rows scored.
        n: usize,
        /// APGR and CPT.
        #[serde(flatten)]
        figures: RoutingFigures,
        /// 95 % of the APGR over bootstrap resamples.
        apgr_ci95: ConfidenceInterval,
        /// The 95 % interval of its lead over prompt length.
        apgr_over_length_ci95: ConfidenceInterval,
        /// Figures of prompt length as the score.
        length: RoutingFigures,
        /// The APGR of each fold alone.
        apgr_by_fold: Vec<f64>,
        /// Area under the curve of the event that only the strong model is right.
        auc: f64,
        /// Calibration of the probability of that event.
        #[serde(flatten)]
        calibration: EventFigures,
    },
    /// Figures of one head a model: means over the models.
    Success {
        /// Rows scored.
        n: usize,
        /// The mean AUC.
        auc: f64,
        /// The mean expected calibration error.
        ece: f64,
        /// The mean Brier score.
        brier: f64,
        /// The quality of taking the model whose success is the most probable.
        quality: f64,
        /// The quality of the model that is the best on all rows.
        best_single_quality: f64,
    },
}

/// Cross-validation of each form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormValidations {
    /// The full form, or the only one.
    pub full: Validation,
    /// The lexical form beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lexical: Option<Validation>,
    /// The cascade of both: the full form is asked only where the lexical one is not confident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cascade: Option<CascadeValidation>,
}

/// Gain and cost of stopping at the lexical form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CascadeValidation {
    /// The share of rows for which the lexical form was enough.
    pub stopped: f64,
    /// Figures of the cascade's scores.
    #[serde(flatten)]
    pub validation: Validation,
}

/// Validates in folds, several at a time; `progress` hears of each. Returns as well the scores of every row.
pub(super) fn validate(
    fit: &FitRequest,
    set: &TrainingSet,
    data: RowData<'_>,
    mut progress: impl FnMut(usize, usize),
) -> (FormValidations, Vec<HeldOutScores>) {
    let rows = data.rows;
    let fold_of = folds(rows, fit.folds, fit.seed);
    let score_fold = |fold: usize| {
        let rest = rows.iter().zip(&fold_of).filter(|(_, of)| **of != fold).map(|(row, _)| *row).collect();
        let trained = train(set, &fit.drawn(rest), fit.seed);
        let held = rows.iter().zip(&fold_of).enumerate().filter(|(_, (_, of))| **of == fold);
        held.map(|(index, ((sample, _), _))| (index, HeldOutScores::of(&trained, sample))).collect::<Vec<_>>()
    };
    let all: Vec<usize> = (0..fit.folds).collect();
    let mut scores: Vec<Option<HeldOutScores>> = rows.iter().map(|_| None).collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    for some in all.chunks(threads) {
        let scored = thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|fold| scope.spawn(move || score_fold(*fold))).collect();
            running.into_iter().map(|thread| thread.join().expect("a fit does not panic")).collect::<Vec<_>>()
        });
        for (index, one) in scored.into_iter().flatten() {
            scores[index] = Some(one);
        }
        progress(some.last().map_or(0, |fold| fold + 1), fit.folds);
    }
    let scores: Vec<HeldOutScores> = scores.into_iter().flatten().collect();
    (validations(&HeldOutEvaluation { set, data, fold_of: &fold_of, fit }, &scores), scores)
}

/// Samples, and the rows that they were made of, in the same order.
#[derive(Clone, Copy)]
pub(super) struct RowData<'r> {
    pub(super) rows: &'r [GroupedSample<'r>],
    pub(super) examples: &'r [TrainingRow],
}

/// Scores of a row by heads that did not see it.
pub(super) struct HeldOutScores {
    pub(super) full: HeadOutputs,
    pub(super) lexical: Option<HeadOutputs>,
    /// True when the lexical form was confident enough.
    stops: bool,
}

impl HeldOutScores {
    fn of(trained: &TrainedHeads, sample: &TrainingSample) -> Self {
        let lexical = (!trained.lexical.is_empty()).then(|| trained.probabilities(sample, HeadForm::Lexical));
        let top = |scores: &HeadOutputs| scores.of_head(0)[argmax(scores.of_head(0))];
        let stops = lexical.as_ref().zip(trained.confidence).is_some_and(|(scores, least)| top(scores) >= least);
        Self { full: trained.probabilities(sample, HeadForm::Full), lexical, stops }
    }

    fn lexical_or_full(&self) -> &HeadOutputs {
        self.lexical.as_ref().unwrap_or(&self.full)
    }

    /// Returns the scores of a cascade.
    fn cascaded(&self) -> &HeadOutputs {
        if self.stops { self.lexical_or_full() } else { &self.full }
    }
}

fn validations(judged: &HeldOutEvaluation<'_>, scores: &[HeldOutScores]) -> FormValidations {
    let has_lexical = scores.iter().any(|scores| scores.lexical.is_some());
    let stops = scores.iter().filter(|scores| scores.stops).count();
    let validation =
        |form: fn(&HeldOutScores) -> &HeadOutputs| judged.validation(&scores.iter().map(form).collect::<Vec<_>>());
    FormValidations {
        full: validation(|scores| &scores.full),
        lexical: has_lexical.then(|| validation(HeldOutScores::lexical_or_full)),
        cascade: (stops > 0).then(|| CascadeValidation {
            stopped: stops as f64 / scores.len().max(1) as f64,
            validation: validation(HeldOutScores::cascaded),
        }),
    }
}

/// Rows to measure scores on.
struct HeldOutEvaluation<'v> {
    set: &'v TrainingSet,
    data: RowData<'v>,
    fold_of: &'v [usize],
    fit: &'v FitRequest,
}

impl HeldOutEvaluation<'_> {
    /// Measures the scores of one form, one entry a row.
    fn validation(&self, scores: &[&HeadOutputs]) -> Validation {
        match self.set.goal {
            LearningGoal::Choice(labels) => self.labels(labels, scores),
            LearningGoal::Pair => self.routing(scores),
            LearningGoal::Each(models) => self.success(models, scores),
        }
    }

    fn labels(&self, labels: usize, scores: &[&HeadOutputs]) -> Validation {
        let mut confusion = ConfusionMatrix::new(labels);
        let mut calibration = CalibrationTally::default();
        for ((sample, _), scores) in self.data.rows.iter().zip(scores) {
            let probabilities: Vec<f32> = scores.of_head(0).iter().map(|p| *p as f32).collect();
            let (truth, predicted) = (argmax(&sample.target), argmax(&probabilities));
            confusion.add(truth, predicted);
            calibration.add(&probabilities, truth, predicted);
        }
        let figures = confusion.figures();
        Validation::Labels {
            n: confusion.n(),
            accuracy: figures.accuracy,
            macro_f1: figures.macro_f1,
            ece: calibration.figures().ece,
            level_error: self.set.ordered.then(|| level_error(&confusion)),
        }
    }

    fn routing(&self, scores: &[&HeadOutputs]) -> Validation {
        let routed = |((sample, _), scores): (&GroupedSample<'_>, &&HeadOutputs)| RoutedOutcome {
            score: scores.of_head(0)[1],
            strong: f64::from(sample.target[0]),
            weak: f64::from(sample.target[1]),
        };
        let rows: Vec<RoutedOutcome> = self.data.rows.iter().zip(scores).map(routed).collect();
        let claim = |row: &RoutedOutcome| BinaryClaim { probability: row.score, truth: row.strong > row.weak };
        let claims: Vec<BinaryClaim> = rows.iter().map(claim).collect();
        let seed = self.fit.seed;
        let ranking = PromptRanking::of(rows.iter().map(|row| row.score), seed);
        let length = PromptRanking::of(self.data.examples.iter().map(|row| row.features.text().chars as f64), seed);
        let intervals = RoutingIntervals::of(&rows, &ranking, &length, seed);
        let apgr_of = |fold: usize| {
            let of = self.fold_of.iter().zip(&rows).filter(|(of, _)| **of == fold);
            let rows: Vec<RoutedOutcome> = of.map(|(_, row)| *row).collect();
            PromptRanking::of(rows.iter().map(|row| row.score), seed).curve(&rows).figures().apgr
        };
        Validation::Routing {
            n: rows.len(),
            figures: ranking.curve(&rows).figures(),
            apgr_ci95: intervals.apgr,
            apgr_over_length_ci95: intervals.over_length,
            length: length.curve(&rows).figures(),
            apgr_by_fold: (0..self.fit.folds).map(apgr_of).collect(),
            auc: auc(&claims),
            calibration: EventFigures::of(&claims),
        }
    }

    fn success(&self, models: usize, scores: &[&HeadOutputs]) -> Validation {
        let claims_of = |model: usize| -> Vec<BinaryClaim> {
            let claim = |((sample, _), scores): (&GroupedSample<'_>, &&HeadOutputs)| BinaryClaim {
                probability: scores.of_head(model)[1],
                truth: sample.target[model] >= 0.5,
            };
            self.data.rows.iter().zip(scores).map(claim).collect()
        };
        let (aucs, events): (Vec<f64>, Vec<EventFigures>) =
            (0..models).map(claims_of).map(|claims| (auc(&claims), EventFigures::of(&claims))).unzip();
        let n = self.data.rows.len();
        let over_rows = |sum: f64| sum / n.max(1) as f64;
        let routed: f64 = self
            .data
            .rows
            .iter()
            .zip(scores)
            .map(|((sample, _), scores)| quality_of_most_probable(sample, scores))
            .sum();
        let quality =
            |model: usize| self.data.rows.iter().map(|(sample, _)| f64::from(sample.target[model])).sum::<f64>();
        Validation::Success {
            n,
            auc: mean(aucs.into_iter()).unwrap_or_default(),
            ece: mean(events.iter().map(|event| event.ece)).unwrap_or_default(),
            brier: mean(events.iter().map(|event| event.brier)).unwrap_or_default(),
            quality: over_rows(routed),
            best_single_quality: over_rows((0..models).map(quality).fold(0.0, f64::max)),
        }
    }
}

/// Returns the mean distance of decided levels from the right ones.
fn level_error(confusion: &ConfusionMatrix) -> f64 {
    let cells = confusion.rows().enumerate().flat_map(|(truth, row)| {
        row.iter().enumerate().map(move |(decided, rows)| truth.abs_diff(decided) as f64 * *rows as f64)
    });
    cells.sum::<f64>() / confusion.n().max(1) as f64
}

/// Returns how well the model answers whose success is the most probable.
fn quality_of_most_probable(sample: &TrainingSample, scores: &HeadOutputs) -> f64 {
    let chances: Vec<f64> = scores.heads().map(|labels| labels[1]).collect();
    f64::from(sample.target[argmax(&chances)])
}
