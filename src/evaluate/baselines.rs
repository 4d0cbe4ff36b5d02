//! What a router must beat: no judgement at all, and the length of the prompt.

use serde::Serialize;

use super::classification::{Confusion, Figures};

/// The baselines that stand beside a head's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baselines {
    /// Every prompt gets the label that is most often right in this file.
    pub majority: Figures,
    /// Prompts get labels by their length. Nothing is fitted: the shortest get the head's first label and so on, each
    /// label as often as the head gave it, so both send equally many prompts to each.
    pub length: Figures,
}

/// A prompt as the length baseline sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// Its characters; those beyond `u32::MAX` do not count.
    pub chars: u32,
    /// The right label.
    pub truth: u32,
}

impl Baselines {
    /// Returns the baselines for the prompts that `confusion` counts; `lengths` has one entry for each, in the file's
    /// order, which decides between prompts of one length.
    #[must_use]
    pub fn of(confusion: &Confusion, lengths: &mut [Length]) -> Self {
        Self { majority: majority(confusion).figures(), length: by_length(confusion, lengths).figures() }
    }
}

fn majority(confusion: &Confusion) -> Confusion {
    let supports: Vec<u64> = confusion.rows().map(|row| row.iter().sum()).collect();
    let most = (0..supports.len()).rev().max_by_key(|label| supports[*label]).unwrap_or_default();
    let mut answers = confusion.emptied();
    for (truth, support) in supports.iter().enumerate() {
        (0..*support).for_each(|_| answers.add(truth, most));
    }
    answers
}

fn by_length(confusion: &Confusion, lengths: &mut [Length]) -> Confusion {
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
    use super::super::classification::confusion;
    use super::*;

    fn lengths<const N: usize>(prompts: [(u32, u32); N]) -> [Length; N] {
        prompts.map(|(chars, truth)| Length { chars, truth })
    }

    #[test]
    fn the_majority_is_the_most_frequent_truth() {
        let confusion = confusion([[1, 1], [0, 4]]);

        assert_eq!(majority(&confusion), super::super::classification::confusion([[0, 2], [0, 4]]));
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
