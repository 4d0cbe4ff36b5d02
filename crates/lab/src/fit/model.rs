//! The learners that a head may be made of, and how each chooses its own strength on held-out rows.

use pointsman_classifier::Block;

use super::folds::{Grouped, Split};
use super::forest::Forest;
use super::logistic::{Link, Regression, Shape, log_loss, probabilities};
use super::sample::{Sample, Span};
use super::task::{Goal, Learner};
use super::train::Form;
use super::votes::{self, Votes};

/// Penalties to choose from, the strongest first, so that each fit starts from the one before it.
const PENALTIES: [f64; 8] = [3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

/// A kind of learner. The order is that of a mixture's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recipe {
    /// The base's own head.
    Own,
    /// The base's own lexical form.
    OwnLexical,
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
    /// The base's own, whose words come with each row.
    Own(Form),
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
    pub(super) const ALL: [Self; 6] = [Self::Own, Self::OwnLexical, Self::Words, Self::Trees, Self::Dense, Self::Near];

    /// Returns its name in bundles and reports.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "base",
            Self::OwnLexical => "base_lexical",
            Self::Words => "words",
            Self::Trees => "trees",
            Self::Dense => "dense",
            Self::Near => "near",
        }
    }

    /// Returns what it reads.
    pub(super) const fn blocks(self) -> &'static [Block] {
        match self {
            Self::Own => &[Block::Embedding, Block::Features, Block::Ngrams],
            Self::OwnLexical | Self::Words => &[Block::Features, Block::Ngrams],
            Self::Trees => &[Block::Features],
            Self::Dense => &[Block::Embedding, Block::Features],
            Self::Near => &[Block::Embedding],
        }
    }

    /// Returns which of the base's forms it is, if it is one.
    pub(super) const fn own(self) -> Option<Form> {
        match self {
            Self::Own => Some(Form::Full),
            Self::OwnLexical => Some(Form::Lexical),
            _ => None,
        }
    }

    /// Returns whether it needs no encoder.
    pub(super) fn is_lexical(self) -> bool {
        !self.blocks().contains(&Block::Embedding)
    }

    /// Returns whether it is a member of heads of `form`; the base's lexical form stands in for its full one only where
    /// there is none.
    pub(super) fn takes_part(self, form: Form, beside: &[Self]) -> bool {
        match form {
            Form::Full => self != Self::OwnLexical || beside.iter().all(|recipe| recipe.is_lexical()),
            Form::Lexical => self.is_lexical(),
        }
    }

    /// Returns whether `learner` has what it reads. One vote for each of several models would store the exemplars as often.
    pub(super) fn suits(self, learner: &Learner) -> bool {
        let read = match self {
            Self::Own => !learner.own.names(Form::Full).is_empty(),
            Self::OwnLexical => !learner.own.names(Form::Lexical).is_empty(),
            Self::Words => learner.inputs.ngrams(),
            Self::Trees => !learner.features.is_empty(),
            // Nothing tells how far to trust what reads an embedding that knows the answers; the base's head reads it too.
            Self::Dense | Self::Near => {
                let own = learner.knows_answers && !learner.own.names(Form::Full).is_empty();
                learner.inputs.embedding() && !own
            }
        };
        read && !(self == Self::Near && matches!(learner.goal, Goal::Each(_)))
    }

    /// Fits on all of `rows`, as strongly as was best on the `splits`; returns what each held-out row got.
    pub(super) fn fit(self, learner: &Learner, splits: &[Split<'_>], rows: &[Grouped<'_>], seed: u64) -> (Model, Held) {
        let rows: Vec<&Sample> = rows.iter().map(|row| row.0).collect();
        let (goal, span) = (learner.goal, learner.span(self.blocks()));
        match self {
            Self::Own => own(Form::Full, splits),
            Self::OwnLexical => own(Form::Lexical, splits),
            Self::Words | Self::Dense => linear(learner, span, splits, &rows),
            Self::Trees => forest(goal, span, splits, &rows),
            Self::Near => near(goal, span, splits, &rows, seed),
        }
    }
}

impl Model {
    /// Returns what was chosen on held-out rows: the penalty, how many trees, how many neighbours.
    pub(super) fn strength(&self) -> Option<f64> {
        match self {
            Self::Own(_) => None,
            Self::Linear { penalty, .. } => Some(*penalty),
            Self::Forest(forest) => Some(forest.trees.len() as f64),
            Self::Votes(votes) => Some(votes.count as f64),
        }
    }

    /// Returns one logit a label, for each head.
    pub(super) fn logits(&self, goal: Goal, sample: &Sample) -> Vec<Vec<f64>> {
        match self {
            Self::Own(form) => sample.own[*form as usize].clone(),
            Self::Linear { regression, wins, .. } => {
                by_head(goal, regression.shape.link, &regression.logits(sample), *wins)
            }
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

fn by_head(goal: Goal, link: Link, outputs: &[f64], (slope, offset): (f64, f64)) -> Vec<Vec<f64>> {
    match goal {
        Goal::Choice(_) if link == Link::Steps => vec![levels(outputs)],
        Goal::Choice(_) => vec![outputs.to_vec()],
        Goal::Pair => vec![vec![0.0, slope * gain(outputs) + offset]],
        Goal::Each(_) => outputs.iter().map(|logit| vec![0.0, *logit]).collect(),
    }
}

/// Returns the log probabilities of levels: the differences of how likely more than each is.
fn levels(outputs: &[f64]) -> Vec<f64> {
    let mut above = 1.0_f64;
    let steps = probabilities(Link::Steps, outputs, 1.0).into_iter().chain([0.0]);
    let level = |step: f64| {
        let next = above.min(step);
        (std::mem::replace(&mut above, next) - next).max(1e-6).ln()
    };
    steps.map(level).collect()
}

fn own(form: Form, splits: &[Split<'_>]) -> (Model, Held) {
    let held = splits.iter().flat_map(|split| &split.held).map(|sample| sample.own[form as usize].clone());
    (Model::Own(form), held.collect())
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

/// A regression with the penalty that was best on held-out rows, what it said of them, and their loss.
struct Tried {
    model: Model,
    held: Held,
    loss: f64,
}

/// Fits a regression; where labels are levels, the one of steps if that was better on held-out rows.
fn linear(learner: &Learner, span: Span, splits: &[Split<'_>], rows: &[&Sample]) -> (Model, Held) {
    let (goal, link) = (learner.goal, learner.goal.link());
    let plain = regression(goal, Shape { link, outputs: goal.outputs(), span }, splits, rows);
    let steps = || regression(goal, Shape { link: Link::Steps, outputs: goal.outputs() - 1, span }, splits, rows);
    let best = match learner.ordered.then(steps) {
        Some(steps) if steps.loss < plain.loss => steps,
        _ => plain,
    };
    (best.model, best.held)
}

fn regression(goal: Goal, shape: Shape, splits: &[Split<'_>], rows: &[&Sample]) -> Tried {
    let mut paths: Vec<Regression> = splits.iter().map(|_| Regression::new(shape)).collect();
    let mut best = (f64::INFINITY, 0, Vec::new());
    let mut start = Regression::new(shape);
    for (index, penalty) in PENALTIES.into_iter().enumerate() {
        let mut held = Vec::new();
        for (path, split) in paths.iter_mut().zip(splits) {
            *path = path.clone().fit(&split.rest, penalty);
            held.extend(split.held.iter().map(|sample| (*sample, path.logits(sample))));
        }
        let now: f64 = held.iter().map(|(sample, logits)| one_loss(shape.link, sample, logits)).sum();
        // Once less of a penalty only hurts, still less would hurt more, and take longest.
        if now >= best.0 {
            break;
        }
        best = (now, index, held);
    }
    for penalty in &PENALTIES[best.1.saturating_sub(1)..=best.1] {
        start = start.fit(rows, *penalty);
    }
    let wins = if goal == Goal::Pair { wins(&best.2) } else { (1.0, 0.0) };
    let held = best.2.iter().map(|(_, logits)| by_head(goal, shape.link, logits, wins)).collect();
    Tried { model: Model::Linear { regression: start, wins, penalty: PENALTIES[best.1] }, held, loss: best.0 }
}

fn one_loss(link: Link, sample: &Sample, logits: &[f64]) -> f64 {
    match link {
        Link::Steps => log_loss(Link::Softmax, &probabilities(Link::Softmax, &levels(logits), 1.0), &sample.target),
        link => log_loss(link, &probabilities(link, logits, 1.0), &sample.target),
    }
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
            target: preference(goal, sample),
            ..Sample::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_share_what_steps_leave_and_never_less_than_nothing() {
        let odds = |p: f64| (p / (1.0 - p)).ln();

        let said: Vec<f64> = levels(&[odds(0.75), odds(0.25)]).into_iter().map(f64::exp).collect();
        let crossed: Vec<f64> = levels(&[odds(0.25), odds(0.75)]).into_iter().map(f64::exp).collect();

        for (p, expected) in said.iter().zip([0.25, 0.5, 0.25]).chain(crossed.iter().zip([0.75, 0.0, 0.25])) {
            assert!((p - expected).abs() < 1e-5, "{said:?}, {crossed:?}");
        }
    }

    #[test]
    fn steps_learn_levels_that_rise_with_an_input() {
        let sample = |i: u16| {
            let x = f32::from(i % 30) / 10.0;
            let level = usize::from(i % 30 / 10);
            let target = (0..3).map(|label| f32::from(u8::from(label == level))).collect();
            Sample { dense: vec![x - 1.5], target, ..Sample::default() }
        };
        let samples: Vec<Sample> = (0..300).map(sample).collect();
        let rows: Vec<&Sample> = samples.iter().collect();
        let splits = [Split { rest: rows[..150].to_vec(), held: rows[150..].to_vec() }];
        let shape = Shape { link: Link::Steps, outputs: 2, span: Span { from: 0, to: 1, sparse: 0 } };

        let tried = regression(Goal::Choice(3), shape, &splits, &rows);

        let said = tried.model.logits(Goal::Choice(3), &samples[25]).remove(0);
        assert!(said[2] > said[1] && said[1] > said[0], "{said:?}");
    }
}
