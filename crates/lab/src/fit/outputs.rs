//! Outputs of heads and learners with their axes: of one row by head and label, of held-out rows by row, head and
//! label.

use super::task::HeadForm;

/// Outputs of one row, `[head][label]`: logits, log probabilities or probabilities, as their holder says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HeadOutputs(Vec<Vec<f64>>);

/// Log probabilities of one row by the base's own heads, in both forms; no head where the base has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct BaseOutputs {
    pub(super) full: HeadOutputs,
    pub(super) lexical: HeadOutputs,
}

/// Out-of-fold logits, `[row][head][label]`: each row's by a learner that was not fitted on it.
#[derive(Debug, Clone, Default)]
pub(super) struct OutOfFoldLogits(Vec<HeadOutputs>);

/// Cross-fitting's result: a learner fitted on all rows, and the out-of-fold logits of its twins.
pub(super) struct CrossFitting<M> {
    pub(super) model: M,
    pub(super) out_of_fold: OutOfFoldLogits,
}

impl HeadOutputs {
    /// Takes one entry a head.
    pub(super) const fn by_head(heads: Vec<Vec<f64>>) -> Self {
        Self(heads)
    }

    /// Takes the labels of a task's only head.
    pub(super) fn of_one_head(labels: Vec<f64>) -> Self {
        Self(vec![labels])
    }

    /// Returns the outputs of a head, one a label.
    pub(super) fn of_head(&self, head: usize) -> &[f64] {
        &self.0[head]
    }

    /// Iterates over the heads.
    pub(super) fn heads(&self) -> impl Iterator<Item = &[f64]> {
        self.0.iter().map(Vec::as_slice)
    }
}

impl BaseOutputs {
    /// Returns the outputs of the heads of a form.
    pub(super) const fn of_form(&self, form: HeadForm) -> &HeadOutputs {
        match form {
            HeadForm::Full => &self.full,
            HeadForm::Lexical => &self.lexical,
        }
    }
}

impl OutOfFoldLogits {
    /// Returns the logits of a row's head, one a label.
    pub(super) fn of(&self, row: usize, head: usize) -> &[f64] {
        self.0[row].of_head(head)
    }
}

impl FromIterator<HeadOutputs> for OutOfFoldLogits {
    fn from_iter<I: IntoIterator<Item = HeadOutputs>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl Extend<HeadOutputs> for OutOfFoldLogits {
    fn extend<I: IntoIterator<Item = HeadOutputs>>(&mut self, rows: I) {
        self.0.extend(rows);
    }
}

impl<M> CrossFitting<M> {
    /// Turns the learner into another type.
    pub(super) fn map<N>(self, into: impl FnOnce(M) -> N) -> CrossFitting<N> {
        CrossFitting { model: into(self.model), out_of_fold: self.out_of_fold }
    }
}
