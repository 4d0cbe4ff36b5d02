//! Link functions and log losses: from logits to probabilities, and what probabilities cost beside the truth.

use std::borrow::Cow;

/// The least probability that mixtures take the logarithm of, here as when they serve.
const FLOOR: f64 = 1e-6;

/// The link from logits to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkFunction {
    /// Exactly one of the outputs holds.
    Softmax,
    /// Each output holds or not.
    Sigmoid,
    /// Ordinal labels: the k-th output says whether a label above the k-th holds, so there is one less than labels
    /// (Frank, Hall 2001).
    Steps,
    /// The output is the number of the level itself, from 0.
    Level,
}

impl LinkFunction {
    /// Returns the targets of the outputs, from how likely each label is.
    pub(super) fn target(self, labels: &[f32]) -> Cow<'_, [f32]> {
        match self {
            Self::Softmax | Self::Sigmoid => Cow::Borrowed(labels),
            Self::Steps => Cow::Owned((1..labels.len()).map(|step| labels[step..].iter().sum()).collect()),
            Self::Level => Cow::Owned(vec![labels.iter().enumerate().map(|(level, part)| level as f32 * part).sum()]),
        }
    }
}

/// Returns the probabilities of `logits` at a temperature; of a level the level itself.
pub(super) fn probabilities(link: LinkFunction, logits: &[f64], temperature: f64) -> Vec<f64> {
    match link {
        LinkFunction::Level => logits.to_vec(),
        LinkFunction::Sigmoid | LinkFunction::Steps => {
            logits.iter().map(|z| 1.0 / (1.0 + (-z / temperature).exp())).collect()
        }
        LinkFunction::Softmax => {
            let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let parts: Vec<f64> = logits.iter().map(|z| ((z - top) / temperature).exp()).collect();
            let sum: f64 = parts.iter().sum();
            parts.into_iter().map(|part| part / sum).collect()
        }
    }
}

/// Returns the softmax of logits as log probabilities, none below that of [`FLOOR`].
pub(super) fn log_probabilities(logits: &[f64]) -> Vec<f64> {
    probabilities(LinkFunction::Softmax, logits, 1.0).into_iter().map(|p| p.max(FLOOR).ln()).collect()
}

/// Returns the log loss of one prompt; of a level half the squared error.
pub(super) fn log_loss(link: LinkFunction, probabilities: &[f64], target: &[f32]) -> f64 {
    let log = |p: f64| p.max(1e-12).ln();
    let term = |(p, t): (&f64, &f32)| match link {
        LinkFunction::Level => 0.5 * (p - f64::from(*t)).powi(2),
        LinkFunction::Softmax => -f64::from(*t) * log(*p),
        LinkFunction::Sigmoid | LinkFunction::Steps => -f64::from(*t) * log(*p) - (1.0 - f64::from(*t)) * log(1.0 - p),
    };
    probabilities.iter().zip(target).map(term).sum()
}

/// Returns the index of the largest value, of equal ones the first.
pub(super) fn argmax<T: Copy + Into<f64>>(values: &[T]) -> usize {
    (0..values.len()).rev().max_by(|a, b| values[*a].into().total_cmp(&values[*b].into())).unwrap_or_default()
}
