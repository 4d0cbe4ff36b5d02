//! What stands between layers, and what makes probabilities of the last one's numbers.

use crate::manifest::{Activation, NeighbourVote};

/// Similarities are at most 1 where embeddings have length 1; where they have not, this keeps votes finite.
const MAX_EXPONENT: f32 = 60.0;

impl Activation {
    pub(super) fn apply(self, value: f32) -> f32 {
        match self {
            Self::Relu => value.max(0.0),
            Self::Gelu => 0.5 * value * (1.0 + erf(value * std::f32::consts::FRAC_1_SQRT_2)),
            Self::Tanh => value.tanh(),
        }
    }
}

pub(super) fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut parts: Vec<f32> = logits.iter().map(|logit| ((logit - top) / temperature).exp()).collect();
    let sum: f32 = parts.iter().sum();
    parts.iter_mut().for_each(|part| *part /= sum);
    parts
}

/// Differences of the probabilities to be above each label; one that is larger than the one before counts as equal.
pub(super) fn ordinal(logits: &[f32], temperature: f32) -> Vec<f32> {
    let mut above = 1.0_f32;
    let mut probabilities = Vec::with_capacity(logits.len() + 1);
    for logit in logits {
        let next = above.min(sigmoid(logit / temperature));
        probabilities.push(above - next);
        above = next;
    }
    probabilities.push(above);
    probabilities
}

/// A probability for each label, whatever the others'.
pub(super) fn independent(logits: &[f32], temperature: f32) -> Vec<f32> {
    logits.iter().map(|logit| sigmoid(logit / temperature)).collect()
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The error function by Abramowitz and Stegun 7.1.26, within 1.5e-7 and f32's rounding.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let terms = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let polynomial = terms.iter().fold(0.0, |sum, term| (sum + term) * t);
    (1.0 - polynomial * (-x * x).exp()).copysign(x)
}

/// Returns the shares that the nearest of `similarities` have in a vote: the others' are 0. Of equal ones the first
/// counts.
pub(super) fn nearest(similarities: &[f32], neighbours: NeighbourVote) -> Vec<f32> {
    let mut order: Vec<usize> = (0..similarities.len()).collect();
    let count = neighbours.count.min(order.len());
    if count < order.len() {
        order.select_nth_unstable_by(count, |a, b| similarities[*b].total_cmp(&similarities[*a]).then(a.cmp(b)));
    }
    let mut shares = vec![0.0; similarities.len()];
    for index in &order[..count] {
        shares[*index] = (neighbours.sharpness * (similarities[*index] - 1.0)).min(MAX_EXPONENT).exp();
    }
    shares
}
