//! The report of a fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::cross_validation::FormValidations;
use super::folds::GroupedSample;
use super::task::{FitInputs, FitTask, HeadForm, LevelLoss};
use super::training::TrainedHeads;
use super::training_set::TrainingSet;
use super::weighting::ClassWeights;
use crate::dataset::DataIdentity;
use crate::statistics::ConfidenceInterval;

/// The report of a fit: its inputs, its heads' members, and how good they are on rows that they did not see.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FitReport {
    /// The task that the rows taught.
    pub task: FitTask,
    /// The inputs of the heads.
    pub inputs: FitInputs,
    /// The class weights that were asked for.
    pub class_weights: ClassWeights,
    /// The loss by which regressions learnt; of labels without an order cross-entropy.
    pub loss: LevelLoss,
    /// Rows that said a weight.
    pub weighted_rows: u64,
    /// The rows' file.
    pub data: DataIdentity,
    /// The base bundle's manifest.
    pub base_sha256: Arc<str>,
    /// True when the base was trained on this very file, or its heads know the rows' answers: then cross-validation
    /// flatters whatever reads its embedding.
    pub base_saw_data: bool,
    /// The seed of every draw.
    pub seed: u64,
    /// Rows that the heads learnt from.
    pub n_train: usize,
    /// Rows left out: in held-out sets, blank, or without what the task needs.
    pub left_out: u64,
    /// Rows left out because they are of the split that is held out.
    pub held_out: u64,
    /// The members of each head.
    pub members: Vec<MixtureMemberReport>,
    /// The probability of the lexical form's best label from which on the encoder need not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Figures on rows of the other folds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<FormValidations>,
    /// The same with fewer rows to learn from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub learning_curve: Vec<LearningCurvePoint>,
    /// The agreement of near-duplicates: what noise in the targets leaves to be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<DuplicateAgreement>,
}

/// A learner in a head.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixtureMemberReport {
    /// The head.
    pub head: String,
    /// The learner.
    pub learner: &'static str,
    /// The factor of its log probabilities; of the length, what one standard deviation adds to the logit.
    pub weight: f64,
    /// The strength that was chosen: the penalty of a regression, how many trees there are, how many neighbours vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
}

/// A point of a learning curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearningCurvePoint {
    /// Rows to learn from.
    pub limit: usize,
    /// Figures of heads that learnt from so many rows.
    #[serde(flatten)]
    pub cross_validation: FormValidations,
}

/// Prompts that occur more than once, with the agreement of their targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DuplicateAgreement {
    /// Rows that have a near-duplicate.
    pub rows: usize,
    /// Different prompts among them.
    pub prompts: usize,
    /// The share of the rows whose target is their prompt's most frequent one: on these very rows no head is more often
    /// right.
    pub agreement: f64,
    /// The chance that two rows of one prompt have the same target: the mean over the prompts.
    pub pair_agreement: f64,
    /// The 95 % interval of the pair agreement, by the normal approximation.
    pub pair_agreement_ci95: ConfidenceInterval,
    /// Bounds of the accuracy of the best possible head on new rows of such prompts. Where p are the chances of a
    /// prompt's targets, two agree with chance sum p^2 and the best guess is right with chance max p: no less than
    /// that, and no more than its root.
    pub ceiling: ConfidenceInterval,
}

impl MixtureMemberReport {
    pub(super) fn of(set: &TrainingSet, trained: &TrainedHeads) -> Vec<Self> {
        let forms =
            if trained.lexical.is_empty() { &[HeadForm::Full][..] } else { &[HeadForm::Full, HeadForm::Lexical] };
        let mut members = Vec::new();
        for form in forms {
            for (index, mixture) in trained.mixtures(*form).iter().enumerate() {
                let used = trained.models.iter().zip(&mixture.weights).filter(|(_, weight)| **weight > 0.0);
                members.extend(used.map(|((kind, model), weight)| Self {
                    head: set.head(index, *form),
                    learner: kind.as_str(),
                    weight: *weight,
                    strength: model.strength(),
                }));
                if mixture.length > 0.0 {
                    members.push(Self {
                        head: set.head(index, *form),
                        learner: "length",
                        weight: mixture.length,
                        strength: None,
                    });
                }
            }
        }
        members
    }
}

impl DuplicateAgreement {
    /// Counts near-duplicates.
    pub(super) fn among(rows: &[GroupedSample<'_>]) -> Option<Self> {
        let mut groups: BTreeMap<u64, BTreeMap<Vec<u32>, usize>> = BTreeMap::new(); // ordered: sums are the same every time
        for (sample, group) in rows {
            let target = sample.target.iter().map(|value| value.to_bits()).collect();
            *groups.entry(*group).or_default().entry(target).or_default() += 1;
        }
        let (mut rows, mut prompts, mut agree, mut sum, mut squares) = (0, 0, 0, 0.0, 0.0);
        for targets in groups.values() {
            let n: usize = targets.values().sum();
            if n > 1 {
                let pairs: usize = targets.values().map(|count| count * (count - 1)).sum();
                let agreeing = pairs as f64 / (n * (n - 1)) as f64;
                (rows, prompts) = (rows + n, prompts + 1);
                agree += targets.values().max().copied().unwrap_or_default();
                (sum, squares) = (sum + agreeing, squares + agreeing * agreeing);
            }
        }
        let pair_agreement = sum / f64::from(prompts.max(1));
        (prompts > 0).then(|| Self {
            rows,
            prompts: prompts as usize,
            agreement: agree as f64 / rows as f64,
            pair_agreement,
            pair_agreement_ci95: ConfidenceInterval::of_mean(sum, squares, prompts as usize),
            ceiling: ConfidenceInterval { low: pair_agreement, high: pair_agreement.sqrt() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::sample::TrainingSample;

    #[test]
    fn near_duplicates_that_disagree_bound_what_can_be_reached() {
        let sample = |target: f32| TrainingSample { target: vec![target], ..TrainingSample::default() };
        let samples = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0].map(sample);
        let rows: Vec<GroupedSample<'_>> = samples.iter().zip([1, 1, 1, 2, 3, 3]).collect();

        let repeats = DuplicateAgreement::among(&rows).expect("five rows of two prompts");

        assert_eq!((repeats.rows, repeats.prompts, repeats.agreement), (5, 2, 4.0 / 5.0));
        // One of three pairs agrees, and one of one.
        assert_eq!(repeats.pair_agreement, 2.0 / 3.0);
        assert_eq!((repeats.ceiling.low, repeats.ceiling.high), (2.0 / 3.0, (2.0_f64 / 3.0).sqrt()));
    }
}
