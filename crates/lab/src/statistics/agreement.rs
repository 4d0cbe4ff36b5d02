//! Agreement of raters: how often they say the same, and how much of that chance would not explain (Cohen 1960, Fleiss
//! 1971).

use std::collections::BTreeMap;

use serde::Serialize;

use super::bootstrap::{ConfidenceInterval, RESAMPLES, RandomDraws};

/// The ratings of one item by rater.
pub type ItemRatings = BTreeMap<String, i64>;

/// Agreement of several raters over the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RaterAgreement {
    /// Every two raters.
    pub pairs: Vec<PairAgreement>,
    /// Fleiss' kappa over the items that all rated, of three raters or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleiss: Option<FleissAgreement>,
}

/// Agreement of two raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairAgreement {
    /// The raters' names.
    pub raters: [String; 2],
    /// The number of items that both rated.
    pub n: u64,
    /// The share of items that both rated the same.
    pub share: f64,
    /// The interval of the share.
    #[serde(rename = "share_ci95")]
    pub share_interval: ConfidenceInterval,
    /// The share of items whose ratings differ by at most one level.
    pub within_one: f64,
    /// Cohen's kappa; `None` where both gave one and the same rating throughout.
    pub kappa: Option<f64>,
    /// The interval of the kappa.
    #[serde(rename = "kappa_ci95", skip_serializing_if = "Option::is_none")]
    pub kappa_interval: Option<ConfidenceInterval>,
}

/// Agreement of all raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleissAgreement {
    /// The number of raters.
    pub raters: usize,
    /// The number of items that all of them rated.
    pub n: u64,
    /// Fleiss' kappa.
    pub kappa: f64,
    /// The interval of the kappa.
    #[serde(rename = "kappa_ci95")]
    pub interval: ConfidenceInterval,
}

impl RaterAgreement {
    /// Compares raters; `None` unless two of them rated an item in common.
    #[must_use]
    pub fn of(items: &[ItemRatings], seed: u64) -> Option<Self> {
        let mut raters: Vec<&String> = items.iter().flat_map(BTreeMap::keys).collect();
        raters.sort_unstable();
        raters.dedup();
        let mut pairs = Vec::new();
        for (place, one) in raters.iter().enumerate() {
            pairs.extend(raters[place + 1..].iter().filter_map(|other| PairAgreement::of(items, [one, other], seed)));
        }
        let fleiss = (raters.len() > 2).then(|| FleissAgreement::of(items, &raters, seed)).flatten();
        (!pairs.is_empty()).then_some(Self { pairs, fleiss })
    }
}

impl PairAgreement {
    fn of(items: &[ItemRatings], raters: [&String; 2], seed: u64) -> Option<Self> {
        let both = |item: &ItemRatings| Some([*item.get(raters[0])?, *item.get(raters[1])?]);
        let rated: Vec<[i64; 2]> = items.iter().filter_map(both).collect();
        if rated.is_empty() {
            return None;
        }
        let n = rated.len() as u64;
        let same = rated.iter().filter(|[a, b]| a == b).count() as u64;
        let near = rated.iter().filter(|[a, b]| a.abs_diff(*b) <= 1).count();
        Some(Self {
            raters: raters.map(Clone::clone),
            n,
            share: same as f64 / n as f64,
            share_interval: ConfidenceInterval::wilson(same, n),
            within_one: near as f64 / n as f64,
            kappa: cohen(&rated),
            kappa_interval: resampled(&rated, seed, cohen),
        })
    }
}

impl FleissAgreement {
    fn of(items: &[ItemRatings], raters: &[&String], seed: u64) -> Option<Self> {
        let all = |item: &ItemRatings| raters.iter().map(|rater| item.get(*rater).copied()).collect::<Option<Vec<_>>>();
        let rated: Vec<Vec<i64>> = items.iter().filter_map(all).collect();
        let kappa = fleiss(&rated)?;
        let interval = resampled(&rated, seed, fleiss)?;
        Some(Self { raters: raters.len(), n: rated.len() as u64, kappa, interval })
    }
}

/// Returns the middle 95 % of a kappa over items that are drawn with replacement.
fn resampled<T: Clone>(items: &[T], seed: u64, kappa: impl Fn(&[T]) -> Option<f64>) -> Option<ConfidenceInterval> {
    let mut draws = RandomDraws::new(seed);
    let mut draw = || {
        let drawn: Vec<T> = items.iter().map(|_| items[draws.below(items.len() as u64) as usize].clone()).collect();
        kappa(&drawn)
    };
    let kappas: Vec<f64> = (0..RESAMPLES).filter_map(|_| draw()).collect();
    (!kappas.is_empty()).then(|| ConfidenceInterval::of(kappas))
}

/// Returns Cohen's kappa: the share of agreement beyond chance, of what is left to chance.
fn cohen(rated: &[[i64; 2]]) -> Option<f64> {
    let n = rated.len() as f64;
    let mut shares: BTreeMap<i64, [f64; 2]> = BTreeMap::new();
    let mut same = 0.0;
    for [a, b] in rated {
        shares.entry(*a).or_default()[0] += 1.0 / n;
        shares.entry(*b).or_default()[1] += 1.0 / n;
        same += f64::from(u8::from(a == b)) / n;
    }
    let chance: f64 = shares.values().map(|[a, b]| a * b).sum();
    beyond(same, chance)
}

/// Returns Fleiss' kappa of items that the same number of raters rated.
fn fleiss(rated: &[Vec<i64>]) -> Option<f64> {
    let raters = rated.first()?.len() as f64;
    let n = rated.len() as f64;
    let mut shares: BTreeMap<i64, f64> = BTreeMap::new();
    let mut same = 0.0;
    for item in rated {
        let mut counts: BTreeMap<i64, f64> = BTreeMap::new();
        item.iter().for_each(|rating| *counts.entry(*rating).or_default() += 1.0);
        same += counts.values().map(|count| count * (count - 1.0)).sum::<f64>() / (raters * (raters - 1.0)) / n;
        counts.into_iter().for_each(|(rating, count)| *shares.entry(rating).or_default() += count / (n * raters));
    }
    beyond(same, shares.values().map(|share| share * share).sum())
}

/// Returns the part of what chance leaves that the agreement takes; `None` where chance leaves nothing.
fn beyond(same: f64, chance: f64) -> Option<f64> {
    (chance < 1.0 - 1e-12).then(|| (same - chance) / (1.0 - chance))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(ratings: &[&[i64]]) -> Vec<ItemRatings> {
        let item =
            |ratings: &&[i64]| ratings.iter().zip('a'..).map(|(rating, rater)| (rater.to_string(), *rating)).collect();
        ratings.iter().map(item).collect()
    }

    #[test]
    fn cohen_s_kappa_is_that_of_his_table() {
        // 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: share .7, chance .5, kappa .4.
        let cells = [([1, 1], 20), ([1, 0], 5), ([0, 1], 10), ([0, 0], 15)];
        let rated: Vec<[i64; 2]> = cells.into_iter().flat_map(|(cell, n)| vec![cell; n]).collect();

        assert!(cohen(&rated).is_some_and(|kappa| (kappa - 0.4).abs() < 1e-12));
    }

    #[test]
    fn fleiss_kappa_is_that_of_his_table() {
        // The example of Fleiss (1971) as it is often quoted: 14 raters, 10 subjects, 5 categories, kappa .210.
        let table: [[usize; 5]; 10] = [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ];
        let item = |row: &[usize; 5]| row.iter().zip(0..).flat_map(|(count, rating)| vec![rating; *count]).collect();
        let rated: Vec<Vec<i64>> = table.iter().map(item).collect();

        assert!(fleiss(&rated).is_some_and(|kappa| (kappa - 0.210).abs() < 5e-4), "{:?}", fleiss(&rated));
    }

    #[test]
    fn raters_are_compared_over_the_items_that_both_rated() {
        let mut items = items(&[&[5, 5], &[4, 5], &[1, 1], &[2, 5]]);
        items.push([("a".to_owned(), 3)].into());

        let agreement = RaterAgreement::of(&items, 7).expect("two raters");

        let pair = &agreement.pairs[0];
        assert_eq!((agreement.pairs.len(), pair.n, pair.share, pair.within_one), (1, 4, 0.5, 0.75));
        assert!(agreement.fleiss.is_none());
        let interval = pair.kappa_interval.expect("an interval");
        assert!(pair.kappa.is_some_and(|kappa| interval.low <= kappa && kappa <= interval.high), "{pair:?}");
    }

    #[test]
    fn three_raters_have_three_pairs_and_one_kappa_of_all() {
        let items = items(&[&[1, 1, 1], &[0, 0, 0], &[1, 1, 0], &[0, 1, 0]]);

        let agreement = RaterAgreement::of(&items, 7).expect("raters");

        assert_eq!(agreement.pairs.len(), 3);
        assert_eq!(agreement.fleiss.map(|fleiss| (fleiss.raters, fleiss.n)), Some((3, 4)));
    }

    #[test]
    fn agreement_that_chance_explains_wholly_has_no_kappa_and_one_rater_no_agreement() {
        let same = RaterAgreement::of(&items(&[&[5, 5], &[5, 5]]), 7).expect("two raters");

        assert_eq!((same.pairs[0].share, same.pairs[0].kappa), (1.0, None));
        assert!(RaterAgreement::of(&items(&[&[5], &[4]]), 7).is_none());
    }
}
