//! Gradient boosting of small symmetric trees (Friedman 2001; the shape is that of `CatBoost`, Prokhorenkova et al.
//! 2018).
//!
//! All nodes of a level ask the same question, so a tree of depth 3 is three comparisons and a look-up. Trees see that
//! a prompt is long *and* full of digits, which no sum of features can.

use super::labels::{by_head, preference};
use crate::fit::folds::FitData;
use crate::fit::loss::{LinkFunction, log_loss, probabilities};
use crate::fit::outputs::{CrossFitting, OutOfFoldLogits};
use crate::fit::sample::{InputSpan, TrainingSample};
use crate::fit::task::LearningGoal;
use crate::fit::weighting::RowWeight;
use crate::statistics::RandomDraws;

/// Questions on the way to a leaf.
pub(in crate::fit) const DEPTH: usize = 3;

const LEAVES: usize = 1 << DEPTH;

/// The most trees.
const MAX_TREES: usize = 200;

/// Trees without a gain on held-out rows after which the search ends.
const PATIENCE: usize = 25;

/// The part of a tree that is added.
const RATE: f64 = 0.08;

/// Added to the curvature in each leaf, so that few rows move it little.
const RIDGE: f64 = 5.0;

/// The most places at which a feature may be cut.
const CUTS: usize = 31;

/// The most inputs that a tree chooses its questions from, drawn anew for each tree where there are more (random
/// subspaces, Ho 1998): trees over an embedding are less alike then, and grow as fast as those over features.
const MAX_INPUTS: usize = 48;

/// A sum of trees.
#[derive(Debug, Clone)]
pub(in crate::fit) struct BoostedTrees {
    pub(in crate::fit) span: InputSpan,
    pub(in crate::fit) link: LinkFunction,
    /// One number an output.
    pub(in crate::fit) bias: Vec<f64>,
    pub(in crate::fit) trees: Vec<ObliviousTree>,
}

/// One question a level, and what each way of answering them adds.
#[derive(Debug, Clone)]
pub(in crate::fit) struct ObliviousTree {
    /// The first question decides the lowest bit of the leaf.
    pub(in crate::fit) questions: [TreeSplit; DEPTH],
    /// Leaf by leaf, one number an output.
    pub(in crate::fit) leaves: Vec<f64>,
}

/// A question of a tree: whether an input is above a threshold.
#[derive(Debug, Clone, Copy)]
pub(in crate::fit) struct TreeSplit {
    pub(in crate::fit) input: usize,
    pub(in crate::fit) threshold: f32,
}

/// The number of trees that was best on held-out rows, and the logits of these rows with so many, one row a sample.
struct TreeSearch {
    trees: usize,
    loss: f64,
    logits: Vec<Vec<f64>>,
}

/// First and second derivative of a loss, of one row or summed over some.
#[derive(Debug, Clone, Copy, Default)]
struct LossDerivatives {
    slope: f64,
    curvature: f64,
}

/// Rows with their inputs cut into bins, and where their outputs are.
struct BinnedRows<'s> {
    samples: &'s [&'s TrainingSample],
    cuts: Vec<Vec<f32>>,
    /// Input by input, the bin of each row.
    bins: Vec<Vec<u8>>,
    /// The draws of inputs; the same for every fit.
    draws: RandomDraws,
    link: LinkFunction,
    outputs: usize,
    logits: Vec<f64>,
}

impl BoostedTrees {
    /// Fits trees on all rows, as many as were best on average over the splits.
    pub(super) fn cross_fit(data: &FitData<'_>, span: InputSpan) -> CrossFitting<Self> {
        let FitData { goal, splits, ref rows, .. } = *data;
        // The trees of a pair prefer one model; those of others learn the targets.
        let link = if goal == LearningGoal::Pair { LinkFunction::Softmax } else { goal.link() };
        let preferred = |samples: &[&TrainingSample]| -> Vec<TrainingSample> {
            let one = |sample: &&TrainingSample| TrainingSample {
                dense: span.dense(sample).to_vec(),
                target: preference(goal, sample),
                weight: RowWeight(data.weights.of_sample(sample) as f32),
                ..TrainingSample::default()
            };
            samples.iter().map(one).collect()
        };
        let dense = InputSpan { from: 0, to: span.to - span.from, sparse: 0 };
        let (mut trees, mut out_of_fold) = (0, OutOfFoldLogits::default());
        for split in splits {
            let (rest, held) = (preferred(&split.rest), preferred(&split.held));
            let (rest, held): (Vec<&TrainingSample>, Vec<&TrainingSample>) =
                (rest.iter().collect(), held.iter().collect());
            let best = Self::search(link, dense, &rest, &held);
            trees += best.trees;
            out_of_fold.extend(best.logits.into_iter().map(|logits| by_head(goal, logits)));
        }
        let rows = preferred(rows);
        let forest = Self::fit(link, dense, &rows.iter().collect::<Vec<_>>(), trees / splits.len().max(1));
        CrossFitting { model: Self { span, ..forest }, out_of_fold }
    }

    /// Grows trees on `rest` while they help on `held`.
    fn search(link: LinkFunction, span: InputSpan, rest: &[&TrainingSample], held: &[&TrainingSample]) -> TreeSearch {
        let mut forest = Self::empty(link, span, rest);
        let mut rows = BinnedRows::new(&forest, rest);
        let mut logits: Vec<Vec<f64>> = held.iter().map(|_| forest.bias.clone()).collect();
        let mut best = TreeSearch { trees: 0, loss: loss(link, held, &logits), logits: logits.clone() };
        while forest.trees.len() < MAX_TREES && forest.trees.len() < best.trees + PATIENCE {
            let tree = rows.grow();
            held.iter().zip(&mut logits).for_each(|(sample, logits)| tree.add(span.dense(sample), logits));
            forest.trees.push(tree);
            let now = loss(link, held, &logits);
            if now < best.loss {
                best = TreeSearch { trees: forest.trees.len(), loss: now, logits: logits.clone() };
            }
        }
        best
    }

    /// Grows so many trees.
    fn fit(link: LinkFunction, span: InputSpan, samples: &[&TrainingSample], trees: usize) -> Self {
        let mut forest = Self::empty(link, span, samples);
        let mut rows = BinnedRows::new(&forest, samples);
        forest.trees = (0..trees).map(|_| rows.grow()).collect();
        forest
    }

    /// Returns the outputs before the link.
    pub(in crate::fit) fn logits(&self, sample: &TrainingSample) -> Vec<f64> {
        let mut logits = self.bias.clone();
        self.trees.iter().for_each(|tree| tree.add(self.span.dense(sample), &mut logits));
        logits
    }

    /// Returns the forest without trees: it knows how often each output holds, and no more.
    fn empty(link: LinkFunction, span: InputSpan, samples: &[&TrainingSample]) -> Self {
        let outputs = samples.first().map_or(0, |sample| sample.target.len());
        let n: f64 = samples.iter().map(|sample| f64::from(sample.weight.0)).sum();
        let share = |output: usize| {
            let part = |sample: &&TrainingSample| f64::from(sample.weight.0 * sample.target[output]);
            let sum: f64 = samples.iter().map(part).sum();
            (sum + 0.5) / (n + 1.0)
        };
        let logit = |p: f64| if link == LinkFunction::Softmax { p.ln() } else { (p / (1.0 - p)).ln() };
        Self { span, link, bias: (0..outputs).map(share).map(logit).collect(), trees: Vec::new() }
    }
}

impl ObliviousTree {
    fn add(&self, inputs: &[f32], logits: &mut [f64]) {
        let bit =
            |(level, question): (usize, &TreeSplit)| usize::from(inputs[question.input] > question.threshold) << level;
        let leaf: usize = self.questions.iter().enumerate().map(bit).sum();
        let added = &self.leaves[leaf * logits.len()..];
        logits.iter_mut().zip(added).for_each(|(logit, more)| *logit += more);
    }
}

impl<'s> BinnedRows<'s> {
    fn new(forest: &BoostedTrees, samples: &'s [&'s TrainingSample]) -> Self {
        let span = forest.span;
        let cuts: Vec<Vec<f32>> = (0..span.to - span.from)
            .map(|input| cuts(samples.iter().map(|sample| span.dense(sample)[input]).collect()))
            .collect();
        let binned = |(input, cuts): (usize, &Vec<f32>)| -> Vec<u8> {
            let bin = |value: f32| cuts.partition_point(|cut| value > *cut) as u8;
            samples.iter().map(|sample| bin(span.dense(sample)[input])).collect()
        };
        let bins = cuts.iter().enumerate().map(binned).collect();
        let logits = samples.iter().flat_map(|_| forest.bias.iter().copied()).collect();
        let draws = RandomDraws::new(0);
        Self { samples, cuts, bins, draws, link: forest.link, outputs: forest.bias.len(), logits }
    }

    /// Grows one tree and adds it to the rows' outputs.
    fn grow(&mut self) -> ObliviousTree {
        let (derivatives, inputs) = (self.derivatives(), self.drawn());
        let mut leaf_of = vec![0_usize; self.samples.len()];
        let mut questions = [TreeSplit { input: 0, threshold: f32::INFINITY }; DEPTH];
        for (level, question) in questions.iter_mut().enumerate() {
            let Some((input, cut)) = self.best_cut(&inputs, &derivatives, &leaf_of) else { continue };
            *question = TreeSplit { input, threshold: self.cuts[input][cut] };
            for (leaf, bin) in leaf_of.iter_mut().zip(&self.bins[input]) {
                *leaf |= usize::from(usize::from(*bin) > cut) << level;
            }
        }
        let mut sums = vec![LossDerivatives::default(); LEAVES * self.outputs];
        for (leaf, row) in leaf_of.iter().zip(derivatives.chunks_exact(self.outputs)) {
            add(&mut sums[leaf * self.outputs..], row);
        }
        let leaves: Vec<f64> = sums.iter().map(|sum| -RATE * sum.slope / (sum.curvature + RIDGE)).collect();
        for (leaf, logits) in leaf_of.iter().zip(self.logits.chunks_exact_mut(self.outputs)) {
            logits.iter_mut().zip(&leaves[leaf * self.outputs..]).for_each(|(logit, more)| *logit += more);
        }
        ObliviousTree { questions, leaves }
    }

    /// Draws the inputs of a tree.
    fn drawn(&mut self) -> Vec<usize> {
        let mut inputs: Vec<usize> = (0..self.cuts.len()).collect();
        if inputs.len() > MAX_INPUTS {
            self.draws.shuffle(&mut inputs);
            inputs.truncate(MAX_INPUTS);
        }
        inputs
    }

    /// Returns the derivatives of the loss by output, row by row.
    fn derivatives(&self) -> Vec<LossDerivatives> {
        let one = |(sample, logits): (&&TrainingSample, &[f64])| {
            let probabilities = probabilities(self.link, logits, 1.0);
            let weight = f64::from(sample.weight.0);
            let derivatives = |(p, target): (f64, &f32)| LossDerivatives {
                slope: weight * (p - f64::from(*target)),
                curvature: weight * p * (1.0 - p),
            };
            probabilities.into_iter().zip(&sample.target).map(derivatives).collect::<Vec<_>>()
        };
        self.samples.iter().zip(self.logits.chunks_exact(self.outputs.max(1))).flat_map(one).collect()
    }

    /// Returns the input, out of `inputs`, and the cut whose question to all leaves gains most; of equal ones the
    /// first.
    fn best_cut(&self, inputs: &[usize], derivatives: &[LossDerivatives], leaf_of: &[usize]) -> Option<(usize, usize)> {
        let leaves = leaf_of.iter().copied().max().unwrap_or_default() + 1;
        let (mut most, mut best) = (0.0, None);
        for input in inputs.iter().copied() {
            let bins = self.cuts[input].len() + 1;
            let mut sums = vec![LossDerivatives::default(); leaves * bins * self.outputs];
            let rows = self.bins[input].iter().zip(leaf_of);
            for ((bin, leaf), row) in rows.zip(derivatives.chunks_exact(self.outputs)) {
                add(&mut sums[(leaf * bins + usize::from(*bin)) * self.outputs..], row);
            }
            let mut gains = vec![0.0; bins - 1];
            for leaf in sums.chunks_exact(bins * self.outputs) {
                self.add_gains(leaf, &mut gains);
            }
            for (cut, gain) in gains.into_iter().enumerate() {
                if gain > most + 1e-9 {
                    (most, best) = (gain, Some((input, cut)));
                }
            }
        }
        best
    }

    /// Adds what each cut of one leaf gains.
    fn add_gains(&self, leaf: &[LossDerivatives], gains: &mut [f64]) {
        for output in 0..self.outputs {
            let bins = || leaf.iter().skip(output).step_by(self.outputs);
            let all = bins().fold(LossDerivatives::default(), |sum, bin| sum.plus(*bin));
            let mut below = LossDerivatives::default();
            for (gain, bin) in gains.iter_mut().zip(bins()) {
                below = below.plus(*bin);
                *gain += below.score() + all.minus(below).score() - all.score();
            }
        }
    }
}

impl LossDerivatives {
    fn plus(self, other: Self) -> Self {
        Self { slope: self.slope + other.slope, curvature: self.curvature + other.curvature }
    }

    fn minus(self, other: Self) -> Self {
        Self { slope: self.slope - other.slope, curvature: self.curvature - other.curvature }
    }

    /// Returns twice the loss that the best value of a leaf with this sum saves.
    fn score(self) -> f64 {
        self.slope * self.slope / (self.curvature + RIDGE)
    }
}

fn add(sums: &mut [LossDerivatives], row: &[LossDerivatives]) {
    sums.iter_mut().zip(row).for_each(|(sum, derivatives)| *sum = sum.plus(*derivatives));
}

/// Returns thresholds between values, about as many rows between each two.
fn cuts(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_by(f32::total_cmp);
    let n = values.len();
    let at = |cut: usize| {
        let place = cut * n / (CUTS + 1);
        let above = values[place..].iter().find(|value| **value > values[place])?;
        Some(f32::midpoint(values[place], *above))
    };
    let mut cuts: Vec<f32> = (0..=CUTS).filter_map(at).collect();
    cuts.dedup();
    cuts
}

fn loss(link: LinkFunction, samples: &[&TrainingSample], logits: &[Vec<f64>]) -> f64 {
    let one = |(sample, logits): (&&TrainingSample, &Vec<f64>)| {
        f64::from(sample.weight.0) * log_loss(link, &probabilities(link, logits, 1.0), &sample.target)
    };
    samples.iter().zip(logits).map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of two features alone holds: no sum of them tells.
    fn samples() -> Vec<TrainingSample> {
        let sample = |i: u16| {
            let (a, b) = (i.is_multiple_of(2), (i / 2).is_multiple_of(2));
            let dense = vec![f32::from(u8::from(a)), f32::from(u8::from(b))];
            TrainingSample { dense, target: vec![f32::from(u8::from(a != b))], ..TrainingSample::default() }
        };
        // One row more of one corner, or else no first question would gain anything.
        (0..401).map(sample).collect()
    }

    #[test]
    fn what_only_two_features_together_tell_is_learnt() {
        let samples = samples();
        let rows: Vec<&TrainingSample> = samples.iter().collect();
        let span = InputSpan { from: 0, to: 2, sparse: 0 };

        let trees = BoostedTrees::search(LinkFunction::Sigmoid, span, &rows, &rows).trees;
        let forest = BoostedTrees::fit(LinkFunction::Sigmoid, span, &rows, trees);

        for sample in &samples[..4] {
            let p = probabilities(LinkFunction::Sigmoid, &forest.logits(sample), 1.0)[0];
            assert!((p - f64::from(sample.target[0])).abs() < 0.1, "{p} for {sample:?}");
        }
    }

    #[test]
    fn one_input_of_many_that_tells_is_found_though_each_tree_sees_some() {
        let sample = |i: usize| {
            let tells = i.is_multiple_of(2);
            let mut dense: Vec<f32> = (0..4 * MAX_INPUTS).map(|input| ((i * 7 + input * 31) % 13) as f32).collect();
            dense[100] = f32::from(u8::from(tells));
            TrainingSample { dense, target: vec![f32::from(u8::from(tells))], ..TrainingSample::default() }
        };
        let samples: Vec<TrainingSample> = (0..200).map(sample).collect();
        let rows: Vec<&TrainingSample> = samples.iter().collect();
        let span = InputSpan { from: 0, to: 4 * MAX_INPUTS, sparse: 0 };

        let [forest, again] = [(), ()].map(|()| BoostedTrees::fit(LinkFunction::Sigmoid, span, &rows, 120));

        let p =
            |forest: &BoostedTrees, i: usize| probabilities(LinkFunction::Sigmoid, &forest.logits(&samples[i]), 1.0)[0];
        assert!(p(&forest, 0) > 0.8 && p(&forest, 1) < 0.2, "{} and {}", p(&forest, 0), p(&forest, 1));
        assert_eq!(p(&forest, 0), p(&again, 0));
    }

    #[test]
    fn cuts_stand_between_values_that_occur() {
        assert_eq!(cuts(vec![0.0, 2.0, 0.0, 4.0]), [1.0, 3.0]);
        assert_eq!(cuts(vec![1.0; 9]), [0.0_f32; 0]);
    }
}
