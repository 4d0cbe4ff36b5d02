//! Symmetric trees: a few comparisons and a look-up each.

use super::error::HeadsError;
use super::reader::TensorReader;
use crate::manifest::{HeadSpec, TreesSpec};

/// A sum of trees over a head's dense inputs.
#[derive(Debug, Clone)]
pub(super) struct TreeEnsemble {
    depth: usize,
    /// The questions `[tree][level]`; the first level decides the lowest bit of the leaf.
    questions: Vec<TreeQuestion>,
    /// The summands `[tree][leaf][logit]`.
    leaves: Vec<f32>,
    /// The summands `[logit]` that no question decides.
    bias: Vec<f32>,
}

/// A question of a tree: whether an input is above a threshold.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeQuestion {
    pub(super) input: usize,
    pub(super) threshold: f32,
}

impl TreeEnsemble {
    /// Reads `<head>.trees.input`, `.threshold`, `.leaf` and `.bias`.
    pub(super) fn read(
        reader: &mut TensorReader<'_>,
        spec: &HeadSpec,
        trees: TreesSpec,
        inputs: usize,
    ) -> Result<Self, HeadsError> {
        let (depth, logits) = (trees.depth, spec.logits());
        let name = |part: &str| format!("{}.trees.{part}", spec.name);
        let (shape, asked) = reader.tensor(&name("input"))?;
        let count = shape.first().copied().unwrap_or_default();
        let known = |input: &f32| input.fract() == 0.0 && *input >= 0.0 && (*input as usize) < inputs;
        if shape != [count, depth] || !asked.iter().all(known) {
            return Err(reader.misshapen(name("input"), shape, format!("[trees, {depth}] of places below {inputs}")));
        }
        let thresholds = reader.shaped(name("threshold"), &[count, depth])?;
        let leaves = reader.shaped(name("leaf"), &[count, logits << depth])?;
        let bias = reader.shaped(name("bias"), &[logits])?;
        let question = |(input, threshold): (f32, f32)| TreeQuestion { input: input as usize, threshold };
        let questions = asked.into_iter().zip(thresholds).map(question).collect();
        Ok(Self { depth, questions, leaves, bias })
    }

    /// Returns the logits; `input` reads one of the head's inputs.
    pub(super) fn logits(&self, input: impl Fn(usize) -> f32) -> Vec<f32> {
        let mut logits = self.bias.clone();
        let trees = self.questions.chunks_exact(self.depth);
        for (questions, leaves) in trees.zip(self.leaves.chunks_exact(logits.len() << self.depth)) {
            let is_above = |question: &TreeQuestion| input(question.input) > question.threshold;
            let bits = questions.iter().enumerate().map(|(level, question)| usize::from(is_above(question)) << level);
            let leaf: usize = bits.sum();
            let added = &leaves[leaf * logits.len()..];
            logits.iter_mut().zip(added).for_each(|(logit, more)| *logit += more);
        }
        logits
    }

    #[cfg(test)]
    pub(super) fn of(depth: usize, questions: Vec<TreeQuestion>, leaves: Vec<f32>, bias: Vec<f32>) -> Self {
        Self { depth, questions, leaves, bias }
    }
}
