//! Grouped cross-validation: every row judged by heads that saw neither it nor its near-duplicates.

use std::thread;

use serde::Serialize;

use super::Fit;
use super::examples::Example;
use super::folds::{Grouped, folds};
use super::pool::top;
use super::sample::Sample;
use super::task::{Goal, Learner};
use super::train::{Form, Trained, train};
use crate::statistics::{
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
        /// The quality of taking the model whose success is the most probable.
        quality: f64,
        /// The quality of the model that is the best on all rows.
        best_single_quality: f64,
    },
}

/// What cross-validation found of each form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validations {
    /// Of the full form, or the only one.
    pub full: Validation,
    /// Of the lexical form beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lexical: Option<Validation>,
    /// Of both: the full form is asked only where the lexical one is not confident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cascade: Option<Cascade>,
}

/// What stopping early gains and costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cascade {
    /// The share of rows for which the lexical form was enough.
    pub stopped: f64,
    /// How good what was then said is.
    #[serde(flatten)]
    pub validation: Validation,
}

/// Validates in folds, several at a time; `progress` hears of each. Returns as well what was said of every row.
pub(super) fn validate(
    fit: &Fit,
    learner: &Learner,
    rows: &[Grouped<'_>],
    examples: &[Example],
    mut progress: impl FnMut(usize, usize),
) -> (Validations, Vec<Said>) {
    let fold_of = folds(rows, fit.folds, fit.seed);
    let judge_fold = |fold: usize| {
        let rest = rows.iter().zip(&fold_of).filter(|(_, of)| **of != fold).map(|(row, _)| *row).collect();
        let trained = train(learner, &fit.drawn(rest), fit.seed);
        let held = rows.iter().zip(&fold_of).enumerate().filter(|(_, (_, of))| **of == fold);
        held.map(|(index, ((sample, _), _))| (index, Said::of(&trained, sample))).collect::<Vec<_>>()
    };
    let all: Vec<usize> = (0..fit.folds).collect();
    let mut said: Vec<Option<Said>> = rows.iter().map(|_| None).collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    for some in all.chunks(threads) {
        let judged = thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|fold| scope.spawn(move || judge_fold(*fold))).collect();
            running.into_iter().map(|thread| thread.join().expect("a fit does not panic")).collect::<Vec<_>>()
        });
        for (index, one) in judged.into_iter().flatten() {
            said[index] = Some(one);
        }
        progress(some.last().map_or(0, |fold| fold + 1), fit.folds);
    }
    let said: Vec<Said> = said.into_iter().flatten().collect();
    let judged = |pick: fn(&Said) -> &Probabilities| {
        let said = said.iter().map(pick).collect();
        Judged { learner, rows, examples, fold_of: &fold_of, said, fit }.validation()
    };
    let has_lexical = said.iter().any(|said| said.lexical.is_some());
    let stops = said.iter().filter(|said| said.stops).count();
    let validations = Validations {
        full: judged(|said| &said.full),
        lexical: has_lexical.then(|| judged(|said| said.lexical.as_ref().unwrap_or(&said.full))),
        cascade: (stops > 0).then(|| Cascade {
            stopped: stops as f64 / said.len().max(1) as f64,
            validation: judged(|said| said.lexical.as_ref().filter(|_| said.stops).unwrap_or(&said.full)),
        }),
    };
    (validations, said)
}

/// Of one prompt, head by head, the probability of each label.
pub(super) type Probabilities = Vec<Vec<f64>>;

/// What heads that did not see a prompt said of it.
pub(super) struct Said {
    pub(super) full: Probabilities,
    pub(super) lexical: Option<Probabilities>,
    /// Whether the lexical form was confident enough.
    stops: bool,
}

impl Said {
    fn of(trained: &Trained, sample: &Sample) -> Self {
        let lexical = (!trained.lexical.is_empty()).then(|| trained.probabilities(sample, Form::Lexical));
        let sure = |said: &Probabilities| said[0][top(&said[0])];
        let stops = lexical.as_ref().zip(trained.confidence).is_some_and(|(said, least)| sure(said) >= least);
        Self { full: trained.probabilities(sample, Form::Full), lexical, stops }
    }
}

/// Every row with what was said of it.
struct Judged<'v> {
    learner: &'v Learner,
    rows: &'v [Grouped<'v>],
    examples: &'v [Example],
    fold_of: &'v [usize],
    said: Vec<&'v Probabilities>,
    fit: &'v Fit,
}

impl Judged<'_> {
    fn validation(&self) -> Validation {
        match self.learner.goal {
            Goal::Choice(labels) => self.labels(labels),
            Goal::Pair => self.routing(),
            Goal::Each(models) => self.success(models),
        }
    }

    fn labels(&self, labels: usize) -> Validation {
        let mut confusion = Confusion::new(labels);
        let mut calibration = Calibration::default();
        for ((sample, _), said) in self.rows.iter().zip(&self.said) {
            let probabilities: Vec<f32> = said[0].iter().map(|p| *p as f32).collect();
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
        let routed = |((sample, _), said): (&Grouped<'_>, &&Probabilities)| Routed {
            score: said[0][1],
            strong: f64::from(sample.target[0]),
            weak: f64::from(sample.target[1]),
        };
        let rows: Vec<Routed> = self.rows.iter().zip(&self.said).map(routed).collect();
        let claim = |row: &Routed| Claim { probability: row.score, truth: row.strong > row.weak };
        let claims: Vec<Claim> = rows.iter().map(claim).collect();
        let seed = self.fit.seed;
        let ranking = Ranking::of(rows.iter().map(|row| row.score), seed);
        let length = Ranking::of(self.examples.iter().map(|row| row.features.text().chars as f64), seed);
        let intervals = RoutingIntervals::of(&rows, &ranking, &length, seed);
        let apgr_of = |fold: usize| {
            let of = self.fold_of.iter().zip(&rows).filter(|(of, _)| **of == fold);
            let rows: Vec<Routed> = of.map(|(_, row)| *row).collect();
            Ranking::of(rows.iter().map(|row| row.score), seed).curve(&rows).figures().apgr
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

    fn success(&self, models: usize) -> Validation {
        let figures = (0..models).map(|model| {
            let claim = |((sample, _), said): (&Grouped<'_>, &&Probabilities)| Claim {
                probability: said[model][1],
                truth: sample.target[model] >= 0.5,
            };
            let claims: Vec<Claim> = self.rows.iter().zip(&self.said).map(claim).collect();
            (auc(&claims), EventFigures::of(&claims))
        });
        let sums = figures
            .fold((0.0, 0.0, 0.0), |sums, (auc, event)| (sums.0 + auc, sums.1 + event.ece, sums.2 + event.brier));
        let m = models.max(1) as f64;
        let routed: f64 = self.rows.iter().zip(&self.said).map(|((sample, _), said)| chosen(sample, said)).sum();
        let means = |model: usize| self.rows.iter().map(|(sample, _)| f64::from(sample.target[model])).sum::<f64>();
        let best = (0..models).map(means).fold(0.0, f64::max);
        let n = self.rows.len();
        let mean = |sum: f64| sum / n.max(1) as f64;
        Validation::Success {
            n,
            auc: sums.0 / m,
            ece: sums.1 / m,
            brier: sums.2 / m,
            quality: mean(routed),
            best_single_quality: mean(best),
        }
    }
}

/// Returns how well the model answers whose success is the most probable.
fn chosen(sample: &Sample, said: &Probabilities) -> f64 {
    let chances: Vec<f64> = said.iter().map(|chance| chance[1]).collect();
    f64::from(sample.target[top(&chances)])
}
