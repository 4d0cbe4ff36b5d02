//! Folds: rows held out from learners that saw the others, near-duplicates on one side, every kind of target on each.

use std::collections::HashMap;

use super::sample::TrainingSample;
use super::task::{LearningGoal, LevelLoss};
use super::weighting::RowWeights;
use crate::statistics::RandomDraws;

/// Parts of the rows that inner splits deal.
const PARTS: usize = 5;

/// Parts that are held out in turn, by the least number of rows: more rows choose as well with fewer.
const HELD_OUT_PARTS: [(usize, usize); 3] = [(6500, 1), (3000, 2), (0, PARTS)];

/// A sample with its group of near-duplicates.
pub(super) type GroupedSample<'s> = (&'s TrainingSample, u64);

/// One way to hold rows out.
#[derive(Debug)]
pub(super) struct FoldSplit<'s> {
    /// The rows to learn from.
    pub(super) rest: Vec<&'s TrainingSample>,
    /// The rows held out.
    pub(super) held: Vec<&'s TrainingSample>,
}

/// The rows of a task as learners are fitted on them.
pub(super) struct FitData<'s> {
    pub(super) goal: LearningGoal,
    /// The loss by which regressions learn; of labels without an order cross-entropy.
    pub(super) loss: LevelLoss,
    pub(super) weights: RowWeights,
    pub(super) rows: Vec<&'s TrainingSample>,
    /// The splits on which a learner chooses its strength.
    pub(super) splits: &'s [FoldSplit<'s>],
    pub(super) seed: u64,
}

/// Deals groups to `folds` folds, evenly within each kind of target; returns each row's fold.
pub(super) fn folds(samples: &[GroupedSample<'_>], folds: usize, seed: u64) -> Vec<usize> {
    let mut draws = RandomDraws::new(seed);
    let mut order: Vec<usize> = (0..samples.len()).collect();
    draws.shuffle(&mut order);
    let kind = |index: &usize| samples[*index].0.target.iter().map(|value| (value * 4.0) as u8).collect::<Vec<_>>();
    order.sort_by_key(kind); // stable
    let mut dealt = HashMap::new();
    let mut next = 0;
    let mut fold_of = vec![0; samples.len()];
    for index in order {
        fold_of[index] = *dealt.entry(samples[index].1).or_insert_with(|| {
            next += 1;
            (next - 1) % folds
        });
    }
    fold_of
}

/// Returns the splits that choose between learners and calibrate them: every row held out once, or of many rows a part.
pub(super) fn inner<'s>(samples: &[GroupedSample<'s>], seed: u64) -> Vec<FoldSplit<'s>> {
    let enough = |(least, _): &(usize, usize)| samples.len() >= *least;
    let held_out = HELD_OUT_PARTS.into_iter().find(enough).map_or(PARTS, |(_, parts)| parts);
    let fold_of = folds(samples, PARTS, seed);
    let split = |fold: usize| {
        let (held, rest): (Vec<_>, Vec<_>) = samples.iter().zip(&fold_of).partition(|(_, of)| **of == fold);
        let samples = |rows: Vec<(&GroupedSample<'s>, _)>| rows.into_iter().map(|(row, _)| row.0).collect();
        FoldSplit { rest: samples(rest), held: samples(held) }
    };
    // Few rows may be fewer groups than folds.
    (0..held_out).map(split).filter(|split| !split.held.is_empty() && !split.rest.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_together_and_kinds_are_spread() {
        let sample = |target: [f32; 2]| TrainingSample { target: target.to_vec(), ..TrainingSample::default() };
        let samples: Vec<TrainingSample> =
            (0..40).map(|i| sample(if i % 4 == 0 { [1.0, 0.0] } else { [0.0, 1.0] })).collect();
        let grouped: Vec<GroupedSample<'_>> = samples.iter().enumerate().map(|(i, s)| (s, i as u64 % 20)).collect();

        let folds = folds(&grouped, 5, 7);

        assert!((0..20).all(|i| folds[i] == folds[i + 20]), "{folds:?}");
        for fold in 0..5 {
            let rare = (0..40).filter(|i| folds[*i] == fold && i % 4 == 0).count();
            assert_eq!(rare, 2, "{folds:?}");
        }
    }

    #[test]
    fn few_rows_are_each_held_out_once_and_many_in_part() {
        let samples = vec![TrainingSample { target: vec![1.0], ..TrainingSample::default() }; 6500];
        let grouped: Vec<GroupedSample<'_>> = samples.iter().enumerate().map(|(i, s)| (s, i as u64)).collect();

        let held = |rows: &[GroupedSample<'_>]| inner(rows, 7).iter().map(|split| split.held.len()).sum::<usize>();
        assert_eq!((held(&grouped[..100]), held(&grouped)), (100, 1300));
    }
}
