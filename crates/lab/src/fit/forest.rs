//! Gradient boosting of small symmetric trees (Friedman 2001; the shape is that of `CatBoost`, Prokhorenkova et al. 2018).
//!
//! All nodes of a level ask the same question, so a tree of depth 3 is three comparisons and a look-up. Trees see that a prompt
//! is long *and* full of digits, which no sum of features can.

use super::logistic::{Link, log_loss, probabilities};
use super::sample::{Sample, Span};

/// Questions on the way to a leaf.
pub(super) const DEPTH: usize = 3;

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

/// A sum of trees.
#[derive(Debug, Clone)]
pub(super) struct Forest {
    pub(super) span: Span,
    pub(super) link: Link,
    /// One number an output.
    pub(super) bias: Vec<f64>,
    pub(super) trees: Vec<Tree>,
}

/// One question a level, and what each way of answering them adds.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// Whether an input is above a threshold; the first question decides the lowest bit of the leaf.
    pub(super) questions: [(usize, f32); DEPTH],
    /// Leaf by leaf, one number an output.
    pub(super) leaves: Vec<f64>,
}

/// Rows with their inputs cut into bins, and where their outputs are.
struct Rows<'s> {
    samples: &'s [&'s Sample],
    cuts: Vec<Vec<f32>>,
    /// Row by row, the bin of each input.
    bins: Vec<u8>,
    link: Link,
    outputs: usize,
    logits: Vec<f64>,
}

impl Forest {
    /// Grows trees on `rest` while they help on `held`; returns how many were best, and the held-out logits with so many.
    pub(super) fn search(link: Link, span: Span, rest: &[&Sample], held: &[&Sample]) -> (usize, Vec<Vec<f64>>) {
        let mut forest = Self::empty(link, span, rest);
        let mut rows = Rows::new(&forest, rest);
        let mut logits: Vec<Vec<f64>> = held.iter().map(|_| forest.bias.clone()).collect();
        let mut best = (loss(link, held, &logits), 0, logits.clone());
        while forest.trees.len() < MAX_TREES && forest.trees.len() < best.1 + PATIENCE {
            let tree = rows.grow();
            held.iter().zip(&mut logits).for_each(|(sample, logits)| tree.add(span.dense(sample), logits));
            forest.trees.push(tree);
            let now = loss(link, held, &logits);
            if now < best.0 {
                best = (now, forest.trees.len(), logits.clone());
            }
        }
        (best.1, best.2)
    }

    /// Grows so many trees.
    pub(super) fn fit(link: Link, span: Span, samples: &[&Sample], trees: usize) -> Self {
        let mut forest = Self::empty(link, span, samples);
        let mut rows = Rows::new(&forest, samples);
        forest.trees = (0..trees).map(|_| rows.grow()).collect();
        forest
    }

    /// Returns the outputs before the link.
    pub(super) fn logits(&self, sample: &Sample) -> Vec<f64> {
        let mut logits = self.bias.clone();
        self.trees.iter().for_each(|tree| tree.add(self.span.dense(sample), &mut logits));
        logits
    }

    /// Knows how often each output holds, and no more.
    fn empty(link: Link, span: Span, samples: &[&Sample]) -> Self {
        let outputs = samples.first().map_or(0, |sample| sample.target.len());
        let n = samples.len() as f64;
        let share = |output: usize| {
            let sum: f64 = samples.iter().map(|sample| f64::from(sample.target[output])).sum();
            (sum + 0.5) / (n + 1.0)
        };
        let logit = |p: f64| if link == Link::Softmax { p.ln() } else { (p / (1.0 - p)).ln() };
        Self { span, link, bias: (0..outputs).map(share).map(logit).collect(), trees: Vec::new() }
    }
}

impl Tree {
    fn add(&self, inputs: &[f32], logits: &mut [f64]) {
        let bit =
            |(level, (input, threshold)): (usize, &(usize, f32))| usize::from(inputs[*input] > *threshold) << level;
        let leaf: usize = self.questions.iter().enumerate().map(bit).sum();
        let added = &self.leaves[leaf * logits.len()..];
        logits.iter_mut().zip(added).for_each(|(logit, more)| *logit += more);
    }
}

impl<'s> Rows<'s> {
    fn new(forest: &Forest, samples: &'s [&'s Sample]) -> Self {
        let span = forest.span;
        let cuts: Vec<Vec<f32>> = (0..span.to - span.from)
            .map(|input| cuts(samples.iter().map(|sample| span.dense(sample)[input]).collect()))
            .collect();
        let bin = |(value, cuts): (&f32, &Vec<f32>)| cuts.partition_point(|cut| value > cut) as u8;
        let bins = samples.iter().flat_map(|sample| span.dense(sample).iter().zip(&cuts).map(bin)).collect();
        let logits = samples.iter().flat_map(|_| forest.bias.iter().copied()).collect();
        Self { samples, cuts, bins, link: forest.link, outputs: forest.bias.len(), logits }
    }

    /// Grows one tree and adds it to the rows' outputs.
    fn grow(&mut self) -> Tree {
        let slopes = self.slopes();
        let mut leaf_of = vec![0_usize; self.samples.len()];
        let mut questions = [(0, f32::INFINITY); DEPTH];
        for (level, question) in questions.iter_mut().enumerate() {
            let Some((input, cut)) = self.best(&slopes, &leaf_of, 1 << level) else { continue };
            *question = (input, self.cuts[input][cut]);
            for (leaf, bins) in leaf_of.iter_mut().zip(self.bins.chunks_exact(self.cuts.len())) {
                *leaf |= usize::from(usize::from(bins[input]) > cut) << level;
            }
        }
        let mut sums = vec![(0.0, 0.0); LEAVES * self.outputs];
        for (leaf, slopes) in leaf_of.iter().zip(slopes.chunks_exact(self.outputs)) {
            add(&mut sums[leaf * self.outputs..], slopes);
        }
        let leaves: Vec<f64> = sums.iter().map(|(slope, curve)| -RATE * slope / (curve + RIDGE)).collect();
        for (leaf, logits) in leaf_of.iter().zip(self.logits.chunks_exact_mut(self.outputs)) {
            logits.iter_mut().zip(&leaves[leaf * self.outputs..]).for_each(|(logit, more)| *logit += more);
        }
        Tree { questions, leaves }
    }

    /// Returns slope and curvature of the loss by output, row by row.
    fn slopes(&self) -> Vec<(f64, f64)> {
        let one = |(sample, logits): (&&Sample, &[f64])| {
            let probabilities = probabilities(self.link, logits, 1.0);
            let slope = |(p, target): (f64, &f32)| (p - f64::from(*target), p * (1.0 - p));
            probabilities.into_iter().zip(&sample.target).map(slope).collect::<Vec<_>>()
        };
        self.samples.iter().zip(self.logits.chunks_exact(self.outputs.max(1))).flat_map(one).collect()
    }

    /// Returns the input and the cut whose question to all `leaves` gains most; of equal ones the first.
    fn best(&self, slopes: &[(f64, f64)], leaf_of: &[usize], leaves: usize) -> Option<(usize, usize)> {
        let mut best = (0.0, None);
        for input in 0..self.cuts.len() {
            let bins = self.cuts[input].len() + 1;
            let mut sums = vec![(0.0, 0.0); leaves * bins * self.outputs];
            let rows = self.bins.iter().skip(input).step_by(self.cuts.len()).zip(leaf_of);
            for ((bin, leaf), slopes) in rows.zip(slopes.chunks_exact(self.outputs)) {
                add(&mut sums[(leaf * bins + usize::from(*bin)) * self.outputs..], slopes);
            }
            let mut gains = vec![0.0; bins - 1];
            for leaf in sums.chunks_exact(bins * self.outputs) {
                self.gains(leaf, &mut gains);
            }
            for (cut, gain) in gains.into_iter().enumerate() {
                if gain > best.0 + 1e-9 {
                    best = (gain, Some((input, cut)));
                }
            }
        }
        best.1
    }

    /// Adds what each cut of one leaf gains.
    fn gains(&self, leaf: &[(f64, f64)], gains: &mut [f64]) {
        let score = |(slope, curve): (f64, f64)| slope * slope / (curve + RIDGE);
        for output in 0..self.outputs {
            let bins = || leaf.iter().skip(output).step_by(self.outputs);
            let all = bins().fold((0.0, 0.0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1));
            let mut below = (0.0, 0.0);
            for (gain, bin) in gains.iter_mut().zip(bins()) {
                below = (below.0 + bin.0, below.1 + bin.1);
                *gain += score(below) + score((all.0 - below.0, all.1 - below.1)) - score(all);
            }
        }
    }
}

fn add(sums: &mut [(f64, f64)], slopes: &[(f64, f64)]) {
    sums.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum = (sum.0 + slope.0, sum.1 + slope.1));
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

fn loss(link: Link, samples: &[&Sample], logits: &[Vec<f64>]) -> f64 {
    let one =
        |(sample, logits): (&&Sample, &Vec<f64>)| log_loss(link, &probabilities(link, logits, 1.0), &sample.target);
    samples.iter().zip(logits).map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of two features alone holds: no sum of them tells.
    fn samples() -> Vec<Sample> {
        let sample = |i: u16| {
            let (a, b) = (i.is_multiple_of(2), (i / 2).is_multiple_of(2));
            let dense = vec![f32::from(u8::from(a)), f32::from(u8::from(b))];
            Sample { dense, target: vec![f32::from(u8::from(a != b))], ..Sample::default() }
        };
        // One row more of one corner, or else no first question would gain anything.
        (0..401).map(sample).collect()
    }

    #[test]
    fn what_only_two_features_together_tell_is_learnt() {
        let samples = samples();
        let rows: Vec<&Sample> = samples.iter().collect();
        let span = Span { from: 0, to: 2, sparse: 0 };

        let (trees, _) = Forest::search(Link::Sigmoid, span, &rows, &rows);
        let forest = Forest::fit(Link::Sigmoid, span, &rows, trees);

        for sample in &samples[..4] {
            let p = probabilities(Link::Sigmoid, &forest.logits(sample), 1.0)[0];
            assert!((p - f64::from(sample.target[0])).abs() < 0.1, "{p} for {sample:?}");
        }
    }

    #[test]
    fn cuts_stand_between_values_that_occur() {
        assert_eq!(cuts(vec![0.0, 2.0, 0.0, 4.0]), [1.0, 3.0]);
        assert_eq!(cuts(vec![1.0; 9]), [0.0_f32; 0]);
    }
}
