//! Grouped cross-validation: every row judged by heads that saw neither it nor its near-duplicates.

use std::thread;

use serde::Serialize;

use super::examples::Example;
use super::task::Learner;
use super::train::{Grouped, Trained, folds, train};
use super::{Fit, Task};
use crate::evaluate::{
    Calibration, Claim, Confusion, EventFigures, Interval, Ranking, Routed, RoutingFigures, RoutingIntervals, auc,
};

/// How good heads are on rows of the other folds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Validation {
    /// Of a head over labels.
    Labels {
        /// Rows judged.
        n: u64,
        /// The share of right labels.
        accuracy: f64,
        /// The mean F1 of the labels.
        macro_f1: f64,
        /// Expected calibration error of the top label.
        ece: f64,
    },
    /// Of a head between a weak and a strong model.
    Routing {
        /// Rows judged.
        n: usize,
        /// APGR and CPT.
        #[serde(flatten)]
        figures: RoutingFigures,
        /// 95 % of the APGR over bootstrap resamples.
        apgr_ci95: Interval,
        /// The same of its lead over prompt length.
        apgr_over_length_ci95: Interval,
        /// What prompt length gets.
        length: RoutingFigures,
        /// The APGR of each fold alone.
        apgr_by_fold: Vec<f64>,
        /// Of the event that only the strong model is right.
        auc: f64,
        /// The same event.
        #[serde(flatten)]
        calibration: EventFigures,
    },
    /// Of one head a model: means over the models.
    Success {
        /// Rows judged.
        n: usize,
        /// The mean AUC.
        auc: f64,
        /// The mean expected calibration error.
        ece: f64,
        /// The mean Brier score.
        brier: f64,
    },
}

/// Validates in folds, several at a time; `progress` hears of each.
pub(super) fn validate(
    fit: &Fit,
    learner: &Learner,
    rows: &[Grouped<'_>],
    examples: &[Example],
    mut progress: impl FnMut(usize, usize),
) -> Validation {
    let fold_of = folds(rows, fit.folds, fit.seed);
    let train_fold = |fold: usize| {
        let rest = rows.iter().zip(&fold_of).filter(|(_, of)| **of != fold).map(|(row, _)| *row).collect();
        train(learner.shape, &fit.drawn(rest), fit.seed)
    };
    let all: Vec<usize> = (0..fit.folds).collect();
    let mut trained: Vec<Trained> = Vec::new();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    for some in all.chunks(threads) {
        trained.extend(thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|fold| scope.spawn(move || train_fold(*fold))).collect();
            running.into_iter().map(|thread| thread.join().expect("a fit does not panic")).collect::<Vec<_>>()
        }));
        progress(trained.len(), fit.folds);
    }
    let judged = Judged { learner, rows, examples, fold_of, trained, seed: fit.seed };
    match fit.task {
        Task::Tier | Task::Domain => judged.labels(),
        Task::StrongWeak => judged.routing(),
        Task::Success => judged.success(),
    }
}

/// Every row with the heads that did not see it.
struct Judged<'v> {
    learner: &'v Learner,
    rows: &'v [Grouped<'v>],
    examples: &'v [Example],
    fold_of: Vec<usize>,
    trained: Vec<Trained>,
    seed: u64,
}

impl Judged<'_> {
    fn labels(&self) -> Validation {
        let mut confusion = Confusion::new(self.learner.names.len());
        let mut calibration = Calibration::default();
        for ((sample, _), fold) in self.rows.iter().zip(&self.fold_of) {
            let probabilities: Vec<f32> =
                self.trained[*fold].probabilities(sample).into_iter().map(|p| p as f32).collect();
            let (truth, predicted) = (top(&sample.target), top(&probabilities));
            confusion.add(truth, predicted);
            calibration.add(&probabilities, truth, predicted);
        }
        let figures = confusion.figures();
        Validation::Labels {
            n: confusion.n(),
            accuracy: figures.accuracy,
            macro_f1: figures.macro_f1,
            ece: calibration.figures().ece,
        }
    }

    fn routing(&self) -> Validation {
        let rows: Vec<Routed> = self
            .rows
            .iter()
            .zip(&self.fold_of)
            .map(|((sample, _), fold)| Routed {
                score: self.trained[*fold].strong_wins(sample),
                strong: f64::from(sample.target[0]),
                weak: f64::from(sample.target[1]),
            })
            .collect();
        let claims: Vec<Claim> =
            rows.iter().map(|row| Claim { probability: row.score, truth: row.strong > row.weak }).collect();
        let ranking = Ranking::of(rows.iter().map(|row| row.score), self.seed);
        let length = Ranking::of(self.examples.iter().map(|row| row.text.chars().count() as f64), self.seed);
        let intervals = RoutingIntervals::of(&rows, &ranking, &length, self.seed);
        let apgr_of = |fold: usize| {
            let of = self.fold_of.iter().zip(&rows).filter(|(of, _)| **of == fold);
            let rows: Vec<Routed> = of.map(|(_, row)| *row).collect();
            Ranking::of(rows.iter().map(|row| row.score), self.seed).curve(&rows).figures().apgr
        };
        Validation::Routing {
            n: rows.len(),
            figures: ranking.curve(&rows).figures(),
            apgr_ci95: intervals.apgr,
            apgr_over_length_ci95: intervals.over_length,
            length: length.curve(&rows).figures(),
            apgr_by_fold: (0..self.trained.len()).map(apgr_of).collect(),
            auc: auc(&claims),
            calibration: EventFigures::of(&claims),
        }
    }

    fn success(&self) -> Validation {
        let models = self.learner.names.len();
        let figures = (0..models).map(|model| {
            let claim = |((sample, _), fold): (&Grouped<'_>, &usize)| Claim {
                probability: self.trained[*fold].probabilities(sample)[model],
                truth: sample.target[model] >= 0.5,
            };
            let claims: Vec<Claim> = self.rows.iter().zip(&self.fold_of).map(claim).collect();
            (auc(&claims), EventFigures::of(&claims))
        });
        let sums = figures
            .fold((0.0, 0.0, 0.0), |sums, (auc, event)| (sums.0 + auc, sums.1 + event.ece, sums.2 + event.brier));
        let m = models.max(1) as f64;
        Validation::Success { n: self.rows.len(), auc: sums.0 / m, ece: sums.1 / m, brier: sums.2 / m }
    }
}

fn top(values: &[f32]) -> usize {
    (0..values.len()).rev().max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or_default()
}
