//! What a confusion matrix says: accuracy, F1 and their kin.
//!
//! Ratios of nothing are zero: the precision of a class that was never predicted, the recall of one that never occurs.

use serde::Serialize;

/// A confusion matrix: rows are the truth, columns the prediction, both in the head's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    labels: usize,
    counts: Vec<u64>,
}

/// The figures of a classification as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassificationFigures {
    /// The share of right labels.
    pub accuracy: f64,
    /// The share of labels that are right or next to it in the head's order.
    pub adjacent_accuracy: f64,
    /// The mean F1 of the labels that occur, as truth or as prediction.
    pub macro_f1: f64,
    /// The mean F1, each label weighted by how often it is the truth.
    pub weighted_f1: f64,
}

/// The figures of one label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassFigures {
    /// The share of prompts with the label that deserved it.
    pub precision: f64,
    /// The share of prompts that deserved the label and got it.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// The number of prompts that deserve the label.
    pub support: u64,
}

impl ConfusionMatrix {
    /// Makes the matrix of nothing, over `labels` labels.
    #[must_use]
    pub fn new(labels: usize) -> Self {
        Self { labels, counts: vec![0; labels * labels] }
    }

    /// Counts one prompt.
    ///
    /// # Panics
    /// When a label is not of this matrix.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        assert!(truth < self.labels && predicted < self.labels, "labels {truth}, {predicted} of {}", self.labels);
        self.counts[truth * self.labels + predicted] += 1;
    }

    /// Returns a matrix of the same labels in which nothing is counted.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self::new(self.labels)
    }

    /// Counts prompts in a cell, counted as [`cells`](Self::cells) lists them.
    pub(crate) fn add_to_cell(&mut self, cell: usize, prompts: u64) {
        self.counts[cell] += prompts;
    }

    /// Returns the number of prompts.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the rows, one for each true label.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.labels.max(1))
    }

    /// Returns the cells, row by row.
    #[must_use]
    pub fn cells(&self) -> &[u64] {
        &self.counts
    }

    /// Returns how often `label` is the truth.
    #[must_use]
    pub fn support(&self, label: usize) -> u64 {
        (0..self.labels).map(|predicted| self.count(label, predicted)).sum()
    }

    /// Returns how often `label` was predicted.
    #[must_use]
    pub fn predicted(&self, label: usize) -> u64 {
        (0..self.labels).map(|truth| self.count(truth, label)).sum()
    }

    /// Returns the figures of one label.
    #[must_use]
    pub fn class(&self, label: usize) -> ClassFigures {
        let (hits, support, predicted) = (self.count(label, label), self.support(label), self.predicted(label));
        ClassFigures {
            precision: ratio(hits, predicted),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predicted),
            support,
        }
    }

    /// Returns the figures of the whole.
    #[must_use]
    pub fn figures(&self) -> ClassificationFigures {
        ClassificationFigures {
            accuracy: self.accuracy(),
            adjacent_accuracy: self.within(1),
            macro_f1: self.macro_f1(),
            weighted_f1: self.weighted_f1(),
        }
    }

    /// Returns the share of right labels.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.within(0)
    }

    /// Returns the mean F1 of the labels that occur.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        let occurs = |label: &usize| self.support(*label) + self.predicted(*label) > 0;
        mean((0..self.labels).filter(occurs).map(|label| self.class(label).f1)).unwrap_or_default()
    }

    fn weighted_f1(&self) -> f64 {
        let weighted = |label| {
            let class = self.class(label);
            class.f1 * ratio(class.support, self.n())
        };
        (0..self.labels).map(weighted).sum()
    }

    /// Returns the mean area under the curve of each label against the others, where it is given or not: nothing is
    /// known but the labels. `None` when no label has both rows that deserve it and rows that do not.
    pub(crate) fn auc(&self) -> Option<f64> {
        let area = |label: usize| {
            let (hits, support, predicted) = (self.count(label, label), self.support(label), self.predicted(label));
            let others = self.n() - support;
            let area = (1.0 + ratio(hits, support) - ratio(predicted - hits, others)) / 2.0;
            (support > 0 && others > 0).then_some(area)
        };
        mean((0..self.labels).filter_map(area))
    }

    /// Returns the share of labels at most `steps` away from the right one.
    fn within(&self, steps: usize) -> f64 {
        let near = |truth: usize| {
            let last = (truth + steps).min(self.labels - 1);
            (truth.saturating_sub(steps)..=last).map(move |predicted| self.count(truth, predicted)).sum::<u64>()
        };
        ratio((0..self.labels).map(near).sum(), self.n())
    }

    fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.labels + predicted]
    }
}

/// Returns the mean of `values`, if there are any.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
pub(crate) fn confusion<const K: usize>(rows: [[u64; K]; K]) -> ConfusionMatrix {
    ConfusionMatrix { labels: K, counts: rows.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 prompts: 14 right, 5 one step off, 1 two steps off.
    fn example() -> ConfusionMatrix {
        confusion([[8, 1, 1], [2, 4, 0], [0, 2, 2]])
    }

    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-12, "{actual} is not {expected}");
    }

    #[test]
    fn the_figures_are_those_computed_by_hand() {
        let figures = example().figures();

        assert_close(figures.accuracy, 14.0 / 20.0);
        assert_close(figures.adjacent_accuracy, 19.0 / 20.0);
        // F1 by 2 hits / (support + predicted): 16/20, 8/13, 4/7.
        assert_close(figures.macro_f1, (0.8 + 8.0 / 13.0 + 4.0 / 7.0) / 3.0);
        assert_close(figures.weighted_f1, (10.0 * 0.8 + 6.0 * 8.0 / 13.0 + 4.0 * 4.0 / 7.0) / 20.0);
    }

    #[test]
    fn a_class_has_precision_recall_f1_and_support() {
        let class = example().class(1);

        assert_eq!(class, ClassFigures { precision: 4.0 / 7.0, recall: 4.0 / 6.0, f1: 8.0 / 13.0, support: 6 });
    }

    #[test]
    fn a_label_that_never_occurs_does_not_pull_the_macro_f1_down() {
        assert_close(confusion([[1, 0, 0], [0, 1, 0], [0, 0, 0]]).macro_f1(), 1.0);
        assert_close(confusion([[1, 0, 0], [0, 0, 1], [0, 0, 0]]).macro_f1(), 1.0 / 3.0);
    }

    #[test]
    fn nothing_counted_is_zero_and_not_nan() {
        let figures = ConfusionMatrix::new(3).figures();

        assert_eq!((figures.accuracy, figures.macro_f1, figures.weighted_f1), (0.0, 0.0, 0.0));
    }
}
