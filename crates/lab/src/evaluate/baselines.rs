//! What a head on labels must beat: chance, one label for all, the length of the prompt; and what nothing can beat.

use pointsman_core::config::Name;
use serde::Serialize;

use crate::statistics::{ClassificationFigures, ConfusionMatrix};

/// The baselines that stand beside a head's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelBaselines {
    /// Labels drawn as often as each is right in this file: what is expected of it, not one draw.
    pub random: LabelBaseline,
    /// Prompts get labels by their length. Nothing is fitted: the shortest get the head's first label and so on, each
    /// label as often as the head gave it, so both send equally many prompts to each.
    pub length: LabelBaseline,
    /// Every prompt gets the label that is most often right in this file.
    pub best_single: SingleLabel,
    /// Every prompt gets its right label.
    pub oracle: LabelBaseline,
}

/// The figures of one other way to give labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelBaseline {
    /// Accuracy, F1 and their kin.
    #[serde(flatten)]
    pub figures: ClassificationFigures,
    /// The mean over the labels of the area under a curve of one point: the label was given, or not.
    pub auc: Option<f64>,
}

/// One label for every prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SingleLabel {
    /// The label.
    pub label: Name,
    /// The figures of giving it to all.
    #[serde(flatten)]
    pub figures: LabelBaseline,
}

/// A prompt as the length baseline sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptLength {
    /// The prompt's characters; those beyond `u32::MAX` do not count.
    pub chars: u32,
    /// The right label.
    pub truth: u32,
}

impl LabelBaselines {
    /// Returns the baselines for the prompts that `confusion` counts over `labels`; `lengths` has one entry for each,
    /// in the file's order, which decides between prompts of one length.
    ///
    /// # Panics
    /// When there is no label.
    #[must_use]
    pub fn of(confusion: &ConfusionMatrix, labels: &[Name], lengths: &mut [PromptLength]) -> Self {
        let supports: Vec<u64> = confusion.rows().map(|row| row.iter().sum()).collect();
        let most = (0..supports.len()).rev().max_by_key(|label| supports[*label]).unwrap_or_default();
        Self {
            random: LabelBaseline::of(&random(confusion, &supports)),
            length: LabelBaseline::of(&by_length(confusion, lengths)),
            best_single: SingleLabel {
                label: labels[most].clone(),
                figures: LabelBaseline::of(&answering(confusion, &supports, |_| most)),
            },
            oracle: LabelBaseline::of(&answering(confusion, &supports, |truth| truth)),
        }
    }
}

impl LabelBaseline {
    fn of(answers: &ConfusionMatrix) -> Self {
        Self { figures: answers.figures(), auc: answers.auc() }
    }
}

/// Counts every prompt as often as there are prompts: in each cell stands then what chance expects, as a whole number.
fn random(confusion: &ConfusionMatrix, supports: &[u64]) -> ConfusionMatrix {
    let mut answers = confusion.emptied();
    let cells = supports.iter().flat_map(|truth| supports.iter().map(move |given| truth * given));
    cells.enumerate().for_each(|(cell, count)| answers.add_to_cell(cell, count));
    answers
}

fn answering(confusion: &ConfusionMatrix, supports: &[u64], given: impl Fn(usize) -> usize) -> ConfusionMatrix {
    let mut answers = confusion.emptied();
    for (truth, support) in supports.iter().enumerate() {
        answers.add_to_cell(truth * supports.len() + given(truth), *support);
    }
    answers
}

fn by_length(confusion: &ConfusionMatrix, lengths: &mut [PromptLength]) -> ConfusionMatrix {
    lengths.sort_by_key(|length| length.chars); // stable
    let labels = confusion.rows().count();
    let given = (0..labels).flat_map(|label| (0..confusion.predicted(label)).map(move |_| label));
    let mut answers = confusion.emptied();
    for (length, label) in lengths.iter().zip(given) {
        answers.add(length.truth as usize, label);
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::classification::confusion;

    fn lengths<const N: usize>(prompts: [(u32, u32); N]) -> [PromptLength; N] {
        prompts.map(|(chars, truth)| PromptLength { chars, truth })
    }

    fn baselines<const K: usize>(rows: [[u64; K]; K]) -> LabelBaselines {
        let labels: Vec<Name> = (0..K).map(|label| Name::new(&format!("l{label}")).expect("a name")).collect();
        LabelBaselines::of(&confusion(rows), &labels, &mut [])
    }

    #[test]
    fn the_best_single_label_is_the_most_frequent_truth() {
        let single = baselines([[1, 1], [0, 4]]).best_single;

        assert_eq!((single.label.as_str(), single.figures.figures.accuracy), ("l1", 4.0 / 6.0));
        assert_eq!(single.figures.auc, Some(0.5));
    }

    #[test]
    fn chance_is_right_as_often_as_two_draws_agree_and_the_oracle_always() {
        let LabelBaselines { random, oracle, .. } = baselines([[1, 1, 0], [0, 4, 0], [1, 0, 1]]);

        // Shares of a quarter, a half and a quarter; the F1 of each label is its share.
        assert_eq!((random.figures.accuracy, random.auc), (1.0 / 16.0 + 1.0 / 4.0 + 1.0 / 16.0, Some(0.5)));
        assert!((random.figures.macro_f1 - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((oracle.figures.accuracy, oracle.figures.macro_f1, oracle.auc), (1.0, 1.0, Some(1.0)));
    }

    #[test]
    fn length_gives_each_label_as_often_as_the_head_does() {
        let mut prompts = lengths([(90, 1), (10, 0), (50, 0), (20, 1)]);

        let answers = by_length(&confusion([[1, 1], [0, 2]]), &mut prompts);

        // The head says 0 once: the prompt of 10 characters; 20 and 90 are rightly 1, 50 wrongly.
        assert_eq!(answers, confusion([[1, 1], [0, 2]]));
    }

    #[test]
    fn prompts_of_one_length_keep_the_order_of_the_file() {
        let mut prompts = lengths([(5, 0), (5, 1)]);

        assert_eq!(by_length(&confusion([[1, 0], [0, 1]]), &mut prompts), confusion([[1, 0], [0, 1]]));
    }
}
