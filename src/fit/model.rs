//! The learners that a head may be made of, and how each chooses its own strength on held-out rows.

use super::folds::{Grouped, Split};
use super::forest::Forest;
use super::logistic::{Link, Regression, Shape, log_loss, probabilities};
use super::sample::{Sample, Span};
use super::task::{Goal, Learner};
use super::votes::{self, Votes};
use crate::classifier::Block;

/// Penalties to choose from, the strongest first, so that each fit starts from the one before it.
const PENALTIES: [f64; 8] = [3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

/// A kind of learner. The order is that of a mixture's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recipe {
    /// A regression over features and n-grams.
    Words,
    /// Trees over features.
    Trees,
    /// A regression over embedding and features.
    Dense,
    /// A vote of the nearest embeddings.
    Near,
}

/// A fitted learner.
#[derive(Debug, Clone)]
pub(super) enum Model {
    /// Words or dense.
    Linear {
        regression: Regression,
        /// Of a pair: slope and offset from the gain, the difference of the two chances, to the logit of the event.
        wins: (f64, f64),
        /// The penalty that was chosen.
        penalty: f64,
    },
    /// Trees.
    Forest(Forest),
    /// Near.
    Votes(Votes),
}

/// One logit a label, for each head, for each held-out row.
pub(super) type Held = Vec<Vec<Vec<f64>>>;

impl Recipe {
    pub(super) const ALL: [Self; 4] = [Self::Words, Self::Trees, Self::Dense, Self::Near];

    /// Returns its name in bundles and reports.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Trees => "trees",
            Self::Dense => "dense",
            Self::Near => "near",
        }
    }

    /// Returns what it reads.
    pub(super) const fn blocks(self) -> &'static [Block] {
        match self {
            Self::Words => &[Block::Features, Block::Ngrams],
            Self::Trees => &[Block::Features],
            Self::Dense => &[Block::Embedding, Block::Features],
            Self::Near => &[Block::Embedding],
        }
    }

    /// Returns whether it needs no encoder.
    pub(super) fn is_lexical(self) -> bool {
        !self.blocks().contains(&Block::Embedding)
    }

    /// Returns whether `learner` has what it reads. One vote for each of several models would store the exemplars as often.
    pub(super) fn suits(self, learner: &Learner) -> bool {
        let read = match self {
            Self::Words => learner.inputs.ngrams(),
            Self::Trees => !learner.features.is_empty(),
            Self::Dense | Self::Near => learner.inputs.embedding(),
        };
        read && !(self == Self::Near && matches!(learner.goal, Goal::Each(_)))
    }

    /// Fits on all of `rows`, as strongly as was best on the `splits`; returns what each held-out row got.
    pub(super) fn fit(self, learner: &Learner, splits: &[Split<'_>], rows: &[Grouped<'_>], seed: u64) -> (Model, Held) {
        let rows: Vec<&Sample> = rows.iter().map(|row| row.0).collect();
        let (goal, span) = (learner.goal, learner.span(self.blocks()));
        match self {
            Self::Words | Self::Dense => linear(goal, span, splits, &rows),
            Self::Trees => forest(goal, span, splits, &rows),
            Self::Near => near(goal, span, splits, &rows, seed),
        }
    }
}

impl Model {
    /// Returns what was chosen on held-out rows: the penalty, how many trees, how many neighbours.
    pub(super) fn strength(&self) -> f64 {
        match self {
            Self::Linear { penalty, .. } => *penalty,
            Self::Forest(forest) => forest.trees.len() as f64,
            Self::Votes(votes) => votes.count as f64,
        }
    }

    /// Returns one logit a label, for each head.
    pub(super) fn logits(&self, goal: Goal, sample: &Sample) -> Vec<Vec<f64>> {
        match self {
            Self::Linear { regression, wins, .. } => by_head(goal, &regression.logits(sample), *wins),
            Self::Forest(forest) => by_head_of_gain(goal, forest.logits(sample)),
            Self::Votes(votes) => vec![votes.logits(sample)],
        }
    }
}

/// The difference of a strong and a weak model's chances.
fn gain(logits: &[f64]) -> f64 {
    let both = probabilities(Link::Sigmoid, logits, 1.0);
    both.first().copied().unwrap_or_default() - both.get(1).copied().unwrap_or_default()
}

fn by_head(goal: Goal, outputs: &[f64], (slope, offset): (f64, f64)) -> Vec<Vec<f64>> {
    match goal {
        Goal::Choice(_) => vec![outputs.to_vec()],
        Goal::Pair => vec![vec![0.0, slope * gain(outputs) + offset]],
        Goal::Each(_) => outputs.iter().map(|logit| vec![0.0, *logit]).collect(),
    }
}

fn by_head_of_gain(goal: Goal, outputs: Vec<f64>) -> Vec<Vec<f64>> {
    match goal {
        Goal::Choice(_) | Goal::Pair => vec![outputs],
        Goal::Each(_) => outputs.iter().map(|logit| vec![0.0, *logit]).collect(),
    }
}

/// What a vote or a tree learns of a pair: a half, more the better the strong model does, less the better the weak one.
fn preference(goal: Goal, sample: &Sample) -> Vec<f32> {
    match goal {
        Goal::Pair => {
            let strong = (1.0 + sample.target[0] - sample.target[1]) / 2.0;
            vec![1.0 - strong, strong]
        }
        _ => sample.target.clone(),
    }
}

fn linear(goal: Goal, span: Span, splits: &[Split<'_>], rows: &[&Sample]) -> (Model, Held) {
    let shape = Shape { link: goal.link(), outputs: goal.outputs(), span };
    let mut paths: Vec<Regression> = splits.iter().map(|_| Regression::new(shape)).collect();
    let mut best = (f64::INFINITY, 0, Vec::new());
    let mut start = Regression::new(shape);
    let (mut before, mut worse) = (f64::INFINITY, 0);
    for (index, penalty) in PENALTIES.into_iter().enumerate() {
        let mut held = Vec::new();
        for (path, split) in paths.iter_mut().zip(splits) {
            *path = path.clone().fit(&split.rest, penalty);
            held.extend(split.held.iter().map(|sample| (*sample, path.logits(sample))));
        }
        let now: f64 = held.iter().map(|(sample, logits)| one_loss(goal, sample, logits)).sum();
        if now < best.0 {
            best = (now, index, held);
        }
        // Once less of a penalty only hurts, still less would hurt more.
        worse = if now > before { worse + 1 } else { 0 };
        before = now;
        if worse == 2 {
            break;
        }
    }
    for penalty in &PENALTIES[best.1.saturating_sub(1)..=best.1] {
        start = start.fit(rows, *penalty);
    }
    let wins = if goal == Goal::Pair { wins(&best.2) } else { (1.0, 0.0) };
    let held = best.2.iter().map(|(_, logits)| by_head(goal, logits, wins)).collect();
    (Model::Linear { regression: start, wins, penalty: PENALTIES[best.1] }, held)
}

fn one_loss(goal: Goal, sample: &Sample, logits: &[f64]) -> f64 {
    log_loss(goal.link(), &probabilities(goal.link(), logits, 1.0), &sample.target)
}

/// Platt scaling of the gain on held-out rows; few rows move the slope little.
fn wins(held: &[(&Sample, Vec<f64>)]) -> (f64, f64) {
    let event = |(sample, logits): &(&Sample, Vec<f64>)| {
        (gain(logits), f64::from(u8::from(sample.target[0] > sample.target[1])))
    };
    let rows: Vec<(f64, f64)> = held.iter().map(event).collect();
    super::pool::platt(&rows, SLOPE)
}

/// How many times the gain the logit is before anything is known: the logistic function's slope around .2, inverted.
const SLOPE: f64 = 6.0;

fn forest(goal: Goal, span: Span, splits: &[Split<'_>], rows: &[&Sample]) -> (Model, Held) {
    // The trees of a pair prefer one model; those of others learn the targets.
    let link = if goal == Goal::Pair { Link::Softmax } else { goal.link() };
    let preferred = |samples: &[&Sample]| -> Vec<Sample> {
        let one = |sample: &&Sample| Sample {
            dense: span.dense(sample).to_vec(),
            sparse: Vec::new(),
            target: preference(goal, sample),
        };
        samples.iter().map(one).collect()
    };
    let own = Span { from: 0, to: span.to - span.from, sparse: 0 };
    let (mut trees, mut held) = (0, Held::new());
    for split in splits {
        let (rest, part) = (preferred(&split.rest), preferred(&split.held));
        let (rest, part): (Vec<&Sample>, Vec<&Sample>) = (rest.iter().collect(), part.iter().collect());
        let (best, logits) = Forest::search(link, own, &rest, &part);
        trees += best;
        held.extend(logits.into_iter().map(|logits| by_head_of_gain(goal, logits)));
    }
    let rows = preferred(rows);
    let forest = Forest::fit(link, own, &rows.iter().collect::<Vec<_>>(), trees / splits.len().max(1));
    (Model::Forest(Forest { span, ..forest }), held)
}

fn near(goal: Goal, span: Span, splits: &[Split<'_>], rows: &[&Sample], seed: u64) -> (Model, Held) {
    let target = |sample: &Sample| preference(goal, sample);
    let mut by_count: Vec<(f64, Held)> = Vec::new();
    for split in splits {
        let all = Votes::of(span, &split.rest, target, seed).all(&split.held);
        by_count.resize_with(all.len(), Default::default);
        for ((loss, held), logits) in by_count.iter_mut().zip(all) {
            *loss += votes::loss(&split.held, &logits, target);
            held.extend(logits.into_iter().map(|logits| vec![logits]));
        }
    }
    let order = |a: &usize, b: &usize| by_count[*a].0.total_cmp(&by_count[*b].0);
    let best = (0..by_count.len()).min_by(order).unwrap_or_default();
    let held = by_count.into_iter().nth(best).map(|(_, held)| held).unwrap_or_default();
    (Model::Votes(Votes::of(span, rows, target, seed).with_count(best)), held)
}
