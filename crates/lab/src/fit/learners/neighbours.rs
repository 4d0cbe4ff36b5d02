//! A vote of the nearest exemplars (Cover, Hart 1967): prompts like this one, and what they speak for.

use super::labels::preference;
use crate::fit::folds::FitData;
use crate::fit::loss::{LinkFunction, log_loss, probabilities};
use crate::fit::outputs::{CrossFitting, HeadOutputs, OutOfFoldLogits};
use crate::fit::sample::{InputSpan, TrainingSample};
use crate::statistics::RandomDraws;

/// The most exemplars that a bundle holds: 3 MB of embeddings, and a quarter of a millisecond to compare with.
const MAX_EXEMPLARS: usize = 2048;

/// Numbers of voters to choose from.
const COUNTS: [usize; 4] = [10, 25, 60, 120];

/// The sharpness of votes by distance: at a cosine of .9 a vote counts a third of the prompt's own twin's.
pub(in crate::fit) const SHARPNESS: f64 = 10.0;

/// Exemplars with what each speaks for.
#[derive(Debug, Clone)]
pub(in crate::fit) struct NeighbourClassifier {
    pub(in crate::fit) span: InputSpan,
    pub(in crate::fit) count: usize,
    pub(in crate::fit) exemplars: Vec<VotingExemplar>,
    /// The shares over all rows: the vote of one more exemplar that is as near as can be.
    pub(in crate::fit) prior: Vec<f64>,
}

/// A prompt that votes.
#[derive(Debug, Clone)]
pub(in crate::fit) struct VotingExemplar {
    /// The embedding, of length 1.
    pub(in crate::fit) embedding: Vec<f32>,
    pub(in crate::fit) target: Vec<f32>,
}

/// The held-out rows under one number of voters: their loss, and the logits of each.
#[derive(Default)]
struct VoterCount {
    loss: f64,
    out_of_fold: OutOfFoldLogits,
}

impl NeighbourClassifier {
    /// Keeps exemplars of all rows, with the number of voters that was best on the splits.
    pub(super) fn cross_fit(data: &FitData<'_>, span: InputSpan) -> CrossFitting<Self> {
        let FitData { goal, splits, ref rows, seed, .. } = *data;
        // A weight counts in the vote: what one speaks for is multiplied by it.
        let target = |sample: &TrainingSample| -> Vec<f32> {
            let weight = data.weights.of_sample(sample) as f32;
            preference(goal, sample).into_iter().map(|part| weight * part).collect()
        };
        let mut counts: Vec<VoterCount> = COUNTS.iter().map(|_| VoterCount::default()).collect();
        for split in splits {
            let votes = Self::of(span, &split.rest, target, seed);
            let by_row: Vec<_> = split.held.iter().map(|sample| votes.by_count(sample)).collect();
            for (index, count) in counts.iter_mut().enumerate() {
                let logits = || by_row.iter().map(|by_count| &by_count[index]);
                count.loss += loss(split.held.iter().copied().zip(logits()), target);
                count.out_of_fold.extend(logits().map(|logits| HeadOutputs::of_one_head(logits.clone())));
            }
        }
        let order = |a: &usize, b: &usize| counts[*a].loss.total_cmp(&counts[*b].loss);
        let best = (0..counts.len()).min_by(order).unwrap_or_default();
        let out_of_fold = counts.swap_remove(best).out_of_fold;
        let votes = Self { count: COUNTS[best], ..Self::of(span, rows, target, seed) };
        CrossFitting { model: votes, out_of_fold }
    }

    /// Keeps at most [`MAX_EXEMPLARS`] of `samples`, drawn at random; `target` says what one speaks for.
    fn of(
        span: InputSpan,
        samples: &[&TrainingSample],
        target: impl Fn(&TrainingSample) -> Vec<f32>,
        seed: u64,
    ) -> Self {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        RandomDraws::new(seed).shuffle(&mut order);
        order.truncate(MAX_EXEMPLARS);
        order.sort_unstable();
        let exemplar = |index: usize| {
            let sample = samples[index];
            VotingExemplar { embedding: unit(span.dense(sample)), target: target(sample) }
        };
        let exemplars: Vec<VotingExemplar> = order.into_iter().map(exemplar).collect();
        let outputs = exemplars.first().map_or(0, |exemplar| exemplar.target.len());
        let n = exemplars.len() as f64 + 1.0;
        let share = |output: usize| {
            let sum: f64 = exemplars.iter().map(|exemplar| f64::from(exemplar.target[output])).sum();
            (sum + 1.0 / outputs as f64) / n
        };
        let prior = (0..outputs).map(share).collect();
        Self { span, count: COUNTS[0], exemplars, prior }
    }

    /// Returns the log probabilities with each of [`COUNTS`] voters, `[count][label]`.
    fn by_count(&self, sample: &TrainingSample) -> Vec<Vec<f64>> {
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

    /// Returns the log probabilities.
    pub(in crate::fit) fn logits(&self, sample: &TrainingSample) -> Vec<f64> {
        let index = COUNTS.iter().position(|count| *count == self.count).unwrap_or_default();
        self.by_count(sample).swap_remove(index)
    }
}

/// Returns the summed loss of samples beside their log probabilities.
fn loss<'r>(
    rows: impl Iterator<Item = (&'r TrainingSample, &'r Vec<f64>)>,
    target: impl Fn(&TrainingSample) -> Vec<f32>,
) -> f64 {
    rows.map(|(sample, logits)| {
        log_loss(LinkFunction::Softmax, &probabilities(LinkFunction::Softmax, logits, 1.0), &target(sample))
    })
    .sum()
}

fn unit(values: &[f32]) -> Vec<f32> {
    let length = dot(values, values).sqrt().max(1e-6);
    values.iter().map(|value| value / length).collect()
}

/// Returns the scalar product: eight sums at once, which is what lets the compiler use vector instructions.
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
        let sample = |x: f32, y: f32, target: [f32; 2]| TrainingSample {
            dense: vec![x, y],
            target: target.to_vec(),
            ..TrainingSample::default()
        };
        let samples: Vec<TrainingSample> = (0..30)
            .flat_map(|i| {
                let slant = f32::from(i % 7_u8) / 10.0;
                [sample(1.0, slant, [1.0, 0.0]), sample(slant, 1.0, [0.0, 1.0])]
            })
            .collect();
        let rows: Vec<&TrainingSample> = samples.iter().collect();

        let votes =
            NeighbourClassifier::of(InputSpan { from: 0, to: 2, sparse: 0 }, &rows, |sample| sample.target.clone(), 7);

        let logits = votes.logits(&sample(3.0, 0.1, [0.0; 2]));
        assert!(logits[0] > logits[1] + 2.0, "{logits:?}");
    }
}
