//! What an evaluation found: one object, for `--json` and for people; this file has the part for labels.

use pointsman_classifier::BundleIdentity;
use pointsman_core::config::Name;
use serde::Serialize;

use super::baselines::{LabelBaselines, PromptLength};
use super::routing_report::RoutingReport;
use super::scoring::LabelPrediction;
use super::subject::{EvaluationSubject, LeftOutRows};
use crate::dataset::DataIdentity;
use crate::statistics::{
    BinaryClaim, BootstrapRows, CalibrationFigures, CalibrationTally, ClassFigures, ClassificationFigures,
    ConfusionMatrix, LabelIntervals, ReliabilityBin, ScoreIntervals, area, mean, squares,
};

/// The figures of one head on one file, with all that is needed to get them again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub enum EvaluationReport {
    /// On labels.
    Labels(LabelReport),
    /// On models' outcomes.
    Routing(RoutingReport),
}

/// The figures of a head over labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelReport {
    /// The bundle that was measured.
    pub bundle: BundleIdentity,
    /// Which of its heads.
    pub head: Name,
    /// The file that it was measured on.
    pub data: DataIdentity,
    /// The seed of the bootstrap's draws.
    pub seed: u64,
    /// The prompts that were judged.
    pub n: u64,
    /// Rows left out because they stand in a held-out set.
    pub contaminated: u64,
    /// Rows left out because they hold no text.
    pub blank: u64,
    /// Rows left out because their label is none of the head's.
    pub unknown_label: u64,
    /// Accuracy, F1 and their kin.
    #[serde(flatten)]
    pub figures: ClassificationFigures,
    /// Intervals of the figures.
    #[serde(flatten)]
    pub intervals: LabelIntervals,
    /// The mean over the labels of the chance that a prompt which deserves the label gets more of its probability than
    /// one which does not (one against the rest); `None` when all prompts deserve one label.
    pub auc: Option<f64>,
    /// Calibration of the probabilities.
    #[serde(flatten)]
    pub calibration: CalibrationFigures,
    /// Intervals of AUC, ECE and Brier score.
    #[serde(flatten)]
    pub spread: ScoreIntervals,
    /// The reliability diagram: how often the label is right, by its probability.
    pub reliability: Vec<ReliabilityBin>,
    /// One entry for each label, in the head's order.
    pub classes: Vec<LabelFigures>,
    /// Rows are the truth, columns what was predicted, both in the order of `classes`.
    pub confusion: Vec<Vec<u64>>,
    /// Baselines that the head must beat.
    pub baselines: LabelBaselines,
}

/// The figures of one label, with its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelFigures {
    /// The label.
    pub label: Name,
    /// The label's figures.
    #[serde(flatten)]
    pub figures: ClassFigures,
    /// The same chance for this label; `None` when none deserves it, or all do.
    pub auc: Option<f64>,
}

/// Sums over the rows seen so far: of each prompt only its length, its label and its probabilities are kept.
#[derive(Debug)]
pub(super) struct LabelTally {
    confusion: ConfusionMatrix,
    calibration: CalibrationTally,
    lengths: Vec<PromptLength>,
    /// Row by row, one a label.
    probabilities: Vec<f32>,
}

impl LabelTally {
    pub(super) fn new(labels: usize) -> Self {
        let (confusion, calibration) = (ConfusionMatrix::new(labels), CalibrationTally::default());
        Self { confusion, calibration, lengths: Vec::new(), probabilities: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub(super) fn report(mut self, subject: EvaluationSubject<'_>) -> LabelReport {
        let EvaluationSubject { bundle, head, data, seed, left_out, .. } = subject;
        let LeftOutRows { contaminated, blank, unknown_label } = left_out;
        let labelled = |(index, label): (usize, &Name)| LabelFigures {
            label: label.clone(),
            figures: self.confusion.class(index),
            auc: self.area(index),
        };
        let classes: Vec<LabelFigures> = head.labels.iter().enumerate().map(labelled).collect();
        LabelReport {
            bundle,
            head: head.name.clone(),
            data,
            seed,
            n: self.confusion.n(),
            contaminated,
            blank,
            unknown_label,
            figures: self.confusion.figures(),
            intervals: LabelIntervals::of(&self.confusion, seed),
            auc: mean(classes.iter().filter_map(|class| class.auc)),
            calibration: self.calibration.figures(),
            spread: self.spread(seed),
            reliability: self.calibration.reliability(),
            classes,
            confusion: self.confusion.rows().map(<[u64]>::to_vec).collect(),
            baselines: LabelBaselines::of(&self.confusion, &head.labels, &mut self.lengths),
        }
    }

    /// Returns the area under the curve of one label against the others.
    fn area(&self, label: usize) -> Option<f64> {
        area(&self.claims(label))
    }

    /// Returns what was claimed of one label, row by row.
    fn claims(&self, label: usize) -> Vec<BinaryClaim> {
        let claim =
            |(row, truth): (&[f32], usize)| BinaryClaim { probability: f64::from(row[label]), truth: truth == label };
        self.rows().map(claim).collect()
    }

    /// Iterates over the probabilities and the truth of each row.
    fn rows(&self) -> impl Iterator<Item = (&[f32], usize)> {
        let rows = self.probabilities.chunks_exact(self.labels().max(1));
        rows.zip(self.lengths.iter().map(|length| length.truth as usize))
    }

    fn labels(&self) -> usize {
        self.confusion.rows().count()
    }

    fn spread(&self, seed: u64) -> ScoreIntervals {
        let top = |(row, truth): (&[f32], usize)| {
            let (label, p) = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap_or((0, &0.0));
            BinaryClaim { probability: f64::from(*p), truth: label == truth }
        };
        let claims: Vec<BinaryClaim> = self.rows().map(top).collect();
        let squares: Vec<f64> = self.rows().map(|(row, truth)| squares(row, truth)).collect();
        let labels = (0..self.labels()).map(|label| self.claims(label)).collect();
        ScoreIntervals::of(claims.len(), &BootstrapRows { claims: Some(&claims), squares: &squares, labels, seed })
    }

    pub(super) fn add(&mut self, judgement: &LabelPrediction) {
        let LabelPrediction { truth, predicted, ref probabilities, chars } = *judgement;
        self.confusion.add(truth, predicted);
        self.calibration.add(probabilities, truth, predicted);
        self.probabilities.extend_from_slice(probabilities);
        let saturated = |number| u32::try_from(number).unwrap_or(u32::MAX);
        self.lengths.push(PromptLength { chars: saturated(chars), truth: saturated(truth) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_of_each_label_is_that_of_its_own_probability_against_the_rest() {
        let mut tally = LabelTally::new(3);
        for (truth, probabilities) in
            [(0, [0.75, 0.25, 0.0]), (0, [0.25, 0.5, 0.25]), (1, [0.5, 0.25, 0.25]), (1, [0.0, 1.0, 0.0])]
        {
            tally.add(&LabelPrediction { truth, predicted: 0, probabilities: probabilities.to_vec(), chars: 1 });
        }

        // Of 2 x 2 pairs each: .75 beats both, .25 beats one; 1 beats both, .25 ties one and loses to the other.
        assert_eq!([0, 1, 2].map(|label| tally.area(label)), [Some(0.75), Some(2.5 / 4.0), None]);
    }
}
