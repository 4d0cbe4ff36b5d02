//! Learners that a head may be made of. Each is cross-fitted: it chooses its own strength on held-out rows, and leaves
//! out-of-fold logits of them behind.

mod boosting;
mod labels;
mod lbfgs;
mod level_regression;
mod linear;
mod neighbours;
mod regression;

use pointsman_classifier::InputBlock;

pub(super) use self::boosting::{BoostedTrees, DEPTH, TreeSplit};
pub(super) use self::linear::LinearLearner;
pub(super) use self::neighbours::{NeighbourClassifier, SHARPNESS};
use super::folds::FitData;
use super::outputs::{CrossFitting, HeadOutputs};
use super::sample::TrainingSample;
use super::task::{HeadForm, LearningGoal};
use super::training_set::TrainingSet;

/// A kind of learner. The order is that of a mixture's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LearnerKind {
    /// The base's own head.
    Base,
    /// The base's own lexical form.
    BaseLexical,
    /// A regression over features and n-grams.
    Words,
    /// Trees over features.
    Trees,
    /// A regression over embedding and features.
    Dense,
    /// Trees over embedding and features.
    DenseTrees,
    /// A vote of the nearest embeddings.
    Near,
}

/// A fitted learner.
#[derive(Debug, Clone)]
pub(super) enum FittedLearner {
    /// A head of the base in one form, whose outputs come with each row.
    Base(HeadForm),
    /// A regression over words, or over dense numbers.
    Linear(LinearLearner),
    /// Boosted trees.
    Forest(BoostedTrees),
    /// A vote of the nearest exemplars.
    Votes(NeighbourClassifier),
}

impl LearnerKind {
    pub(super) const ALL: [Self; 7] =
        [Self::Base, Self::BaseLexical, Self::Words, Self::Trees, Self::Dense, Self::DenseTrees, Self::Near];

    /// Returns the kind's name in bundles and reports.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::BaseLexical => "base_lexical",
            Self::Words => "words",
            Self::Trees => "trees",
            Self::Dense => "dense",
            Self::DenseTrees => "dense_trees",
            Self::Near => "near",
        }
    }

    /// Returns the blocks of inputs that are read.
    pub(super) const fn blocks(self) -> &'static [InputBlock] {
        match self {
            Self::Base => &[InputBlock::Embedding, InputBlock::Features, InputBlock::Ngrams],
            Self::BaseLexical | Self::Words => &[InputBlock::Features, InputBlock::Ngrams],
            Self::Trees => &[InputBlock::Features],
            Self::Dense | Self::DenseTrees => &[InputBlock::Embedding, InputBlock::Features],
            Self::Near => &[InputBlock::Embedding],
        }
    }

    /// Returns the base's form that the kind stands for, if it is one of the base's heads.
    pub(super) const fn base_form(self) -> Option<HeadForm> {
        match self {
            Self::Base => Some(HeadForm::Full),
            Self::BaseLexical => Some(HeadForm::Lexical),
            _ => None,
        }
    }

    /// Returns whether no encoder is needed.
    pub(super) fn is_lexical(self) -> bool {
        !self.blocks().contains(&InputBlock::Embedding)
    }

    /// Returns whether the kind is a member of heads of `form`; the base's lexical form stands in for its full one only
    /// where there is none.
    pub(super) fn takes_part(self, form: HeadForm, others: &[Self]) -> bool {
        match form {
            HeadForm::Full => self != Self::BaseLexical || others.iter().all(|kind| kind.is_lexical()),
            HeadForm::Lexical => self.is_lexical(),
        }
    }

    /// Returns whether `set` has what the kind reads. One vote for each of several models would store the exemplars as
    /// often.
    pub(super) fn suits(self, set: &TrainingSet) -> bool {
        let has_inputs = match self {
            Self::Base => !set.base_heads.names(HeadForm::Full).is_empty(),
            Self::BaseLexical => !set.base_heads.names(HeadForm::Lexical).is_empty(),
            Self::Words => set.inputs.ngrams(),
            Self::Trees => !set.features.is_empty(),
            // Nothing tells how far to trust what reads an embedding that knows the answers; the base's head reads it
            // too.
            Self::Dense | Self::DenseTrees | Self::Near => {
                let has_base_head = set.knows_answers && !set.base_heads.names(HeadForm::Full).is_empty();
                set.inputs.embedding() && !has_base_head
            }
        };
        has_inputs && !(self == Self::Near && matches!(set.goal, LearningGoal::Each(_)))
    }

    /// Fits on all rows, as strongly as was best on the splits.
    pub(super) fn cross_fit(self, set: &TrainingSet, data: &FitData<'_>) -> CrossFitting<FittedLearner> {
        let span = set.span(self.blocks());
        match self {
            Self::Base => base_head(HeadForm::Full, data),
            Self::BaseLexical => base_head(HeadForm::Lexical, data),
            Self::Words | Self::Dense => LinearLearner::cross_fit(data, span).map(FittedLearner::Linear),
            Self::Trees | Self::DenseTrees => BoostedTrees::cross_fit(data, span).map(FittedLearner::Forest),
            Self::Near => NeighbourClassifier::cross_fit(data, span).map(FittedLearner::Votes),
        }
    }
}

impl FittedLearner {
    /// Returns the strength that was chosen on held-out rows: the penalty, the number of trees, the number of
    /// neighbours.
    pub(super) fn strength(&self) -> Option<f64> {
        match self {
            Self::Base(_) => None,
            Self::Linear(linear) => Some(linear.penalty),
            Self::Forest(forest) => Some(forest.trees.len() as f64),
            Self::Votes(votes) => Some(votes.count as f64),
        }
    }

    /// Returns one logit a label, for each head.
    pub(super) fn logits(&self, goal: LearningGoal, sample: &TrainingSample) -> HeadOutputs {
        match self {
            Self::Base(form) => sample.base.of_form(*form).clone(),
            Self::Linear(linear) => linear.logits(goal, sample),
            Self::Forest(forest) => labels::by_head(goal, forest.logits(sample)),
            Self::Votes(votes) => HeadOutputs::of_one_head(votes.logits(sample)),
        }
    }
}

fn base_head(form: HeadForm, data: &FitData<'_>) -> CrossFitting<FittedLearner> {
    let held = data.splits.iter().flat_map(|split| &split.held);
    let out_of_fold = held.map(|sample| sample.base.of_form(form).clone()).collect();
    CrossFitting { model: FittedLearner::Base(form), out_of_fold }
}
