//! A vote of the nearest exemplars (Cover, Hart 1967): prompts like this one, and what they speak for.

use super::logistic::{Link, log_loss, probabilities};
use super::sample::{Sample, Span};
use crate::statistics::Draws;

/// The most exemplars that a bundle holds: 3 MB of embeddings, and a quarter of a millisecond to compare with.
const MAX_EXEMPLARS: usize = 2048;

/// How many may vote.
const COUNTS: [usize; 4] = [10, 25, 60, 120];

/// How much more the nearer ones say: at a cosine of .9 a third of what the prompt's own twin would.
pub(super) const SHARPNESS: f64 = 10.0;

/// Exemplars with what each speaks for.
#[derive(Debug, Clone)]
pub(super) struct Votes {
    pub(super) span: Span,
    pub(super) count: usize,
    pub(super) exemplars: Vec<Exemplar>,
    /// The shares over all rows: the vote of one more exemplar that is as near as can be.
    pub(super) prior: Vec<f64>,
}

/// A prompt that votes.
#[derive(Debug, Clone)]
pub(super) struct Exemplar {
    /// Of length 1.
    pub(super) embedding: Vec<f32>,
    pub(super) target: Vec<f32>,
}

impl Votes {
    /// Keeps at most [`MAX_EXEMPLARS`] of `samples`, drawn at random; `target` says what one speaks for.
    pub(super) fn of(span: Span, samples: &[&Sample], target: impl Fn(&Sample) -> Vec<f32>, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        Draws::new(seed).shuffle(&mut order);
        order.truncate(MAX_EXEMPLARS);
        order.sort_unstable();
        let exemplar = |index: usize| {
            let sample = samples[index];
            Exemplar { embedding: unit(span.dense(sample)), target: target(sample) }
        };
        let exemplars: Vec<Exemplar> = order.into_iter().map(exemplar).collect();
        let outputs = exemplars.first().map_or(0, |exemplar| exemplar.target.len());
        let n = exemplars.len() as f64 + 1.0;
        let share = |output: usize| {
            let sum: f64 = exemplars.iter().map(|exemplar| f64::from(exemplar.target[output])).sum();
            (sum + 1.0 / outputs as f64) / n
        };
        let prior = (0..outputs).map(share).collect();
        Self { span, count: COUNTS[0], exemplars, prior }
    }

    /// Returns the log probabilities with each of [`COUNTS`] voters.
    fn by_count(&self, sample: &Sample) -> Vec<Vec<f64>> {
        let embedding = unit(self.span.dense(sample));
        let mut near: Vec<(f32, usize)> =
            self.exemplars.iter().map(|e| dot(&e.embedding, &embedding)).zip(0..).collect();
        let most = COUNTS[COUNTS.len() - 1].min(near.len());
        let order = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if most < near.len() {
            near.select_nth_unstable_by(most, order);
        }
        near.truncate(most);
        near.sort_unstable_by(order);
        let (mut votes, mut voted, mut logits) = (self.prior.clone(), 0, Vec::with_capacity(COUNTS.len()));
        for count in COUNTS {
            for (similarity, index) in &near[voted..count.min(most)] {
                let share = (SHARPNESS * (f64::from(*similarity) - 1.0)).exp();
                let target = &self.exemplars[*index].target;
                votes.iter_mut().zip(target).for_each(|(vote, part)| *vote += share * f64::from(*part));
            }
            voted = count.min(most);
            let sum: f64 = votes.iter().sum();
            logits.push(votes.iter().map(|vote| (vote / sum).max(1e-6).ln()).collect());
        }
        logits
    }

    /// Returns the log probabilities of each of `samples`, by how many vote.
    pub(super) fn all(&self, samples: &[&Sample]) -> Vec<Vec<Vec<f64>>> {
        let by_row: Vec<_> = samples.iter().map(|sample| self.by_count(sample)).collect();
        (0..COUNTS.len()).map(|count| by_row.iter().map(|row| row[count].clone()).collect()).collect()
    }

    /// Takes the [`COUNTS`] at `index` as the number of voters.
    pub(super) fn with_count(mut self, index: usize) -> Self {
        self.count = COUNTS[index];
        self
    }

    /// Returns the log probabilities.
    pub(super) fn logits(&self, sample: &Sample) -> Vec<f64> {
        let index = COUNTS.iter().position(|count| *count == self.count).unwrap_or_default();
        self.by_count(sample).swap_remove(index)
    }
}

/// Returns the loss of log probabilities, one row a sample.
pub(super) fn loss(samples: &[&Sample], logits: &[Vec<f64>], target: impl Fn(&Sample) -> Vec<f32>) -> f64 {
    let one = |(sample, logits): (&&Sample, &Vec<f64>)| {
        log_loss(Link::Softmax, &probabilities(Link::Softmax, logits, 1.0), &target(sample))
    };
    samples.iter().zip(logits).map(one).sum()
}

fn unit(values: &[f32]) -> Vec<f32> {
    let length = dot(values, values).sqrt().max(1e-6);
    values.iter().map(|value| value / length).collect()
}

/// Eight sums at once, which is what lets the compiler use vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_decide() {
        let sample = |x: f32, y: f32, target: [f32; 2]| Sample {
            dense: vec![x, y],
            target: target.to_vec(),
            ..Sample::default()
        };
        let samples: Vec<Sample> = (0..30)
            .flat_map(|i| {
                let slant = f32::from(i % 7_u8) / 10.0;
                [sample(1.0, slant, [1.0, 0.0]), sample(slant, 1.0, [0.0, 1.0])]
            })
            .collect();
        let rows: Vec<&Sample> = samples.iter().collect();

        let votes = Votes::of(Span { from: 0, to: 2, sparse: 0 }, &rows, |sample| sample.target.clone(), 7);

        let logits = votes.logits(&sample(3.0, 0.1, [0.0; 2]));
        assert!(logits[0] > logits[1] + 2.0, "{logits:?}");
    }
}
