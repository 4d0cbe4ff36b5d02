//! Bootstrap intervals of what needs the probabilities themselves: AUC, calibration error, Brier score.

use serde::Serialize;

use super::binary::{BinaryClaim, EventFigures, area, reliability};
use super::bins::{BINS, CalibrationBin, ReliabilityBin};
use super::bootstrap::{ConfidenceInterval, RESAMPLES, RandomDraws};
use super::classification::mean;

/// Draws of the outcomes of claims that are exactly right.
const HONEST_DRAWS: usize = 200;

/// Intervals of figures of probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScoreIntervals {
    /// The interval of the AUC, or of its mean over the labels; `None` where there is none.
    #[serde(rename = "auc_ci95", skip_serializing_if = "Option::is_none")]
    pub auc: Option<ConfidenceInterval>,
    /// Intervals of the calibration, where the scores are probabilities.
    #[serde(flatten)]
    pub honesty: Option<CalibrationIntervals>,
}

/// Intervals of the calibration of probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationIntervals {
    /// The interval of the expected calibration error. A resample adds its own noise to every bin, so the draws are
    /// moved down until their mean is the error itself, and are never below 0.
    #[serde(rename = "ece_ci95")]
    pub ece: ConfidenceInterval,
    /// The mean calibration error that so many claims have when each is exactly right: nothing can be expected below
    /// it.
    pub ece_by_chance: f64,
    /// The interval of the Brier score.
    #[serde(rename = "brier_ci95")]
    pub brier: ConfidenceInterval,
}

/// The rows that a bootstrap draws anew: one entry a row everywhere.
#[derive(Debug)]
pub(crate) struct BootstrapRows<'d> {
    /// Claims that the label is right; `None` where scores are no probabilities.
    pub(crate) claims: Option<&'d [BinaryClaim]>,
    /// Each row's part of the Brier score.
    pub(crate) squares: &'d [f64],
    /// For each label its score beside whether it is the truth.
    pub(crate) labels: Vec<Vec<BinaryClaim>>,
    /// Decides the draws.
    pub(crate) seed: u64,
}

/// The claims of one label, the lowest first.
struct ScoreOrder {
    entries: Vec<ScoredRow>,
    /// The area of all rows, for draws without a row that deserves the label, or without any other.
    whole: f64,
}

struct ScoredRow {
    row: u32,
    truth: bool,
    /// True when the score is above that of the entry before.
    rises: bool,
}

impl ScoreIntervals {
    /// Draws `rows` rows with replacement, [`RESAMPLES`] times.
    pub(crate) fn of(rows: usize, drawn: &BootstrapRows<'_>) -> Self {
        let mut draws = RandomDraws::new(drawn.seed);
        let orders: Vec<ScoreOrder> = drawn.labels.iter().filter_map(|claims| ScoreOrder::of(claims)).collect();
        let (mut areas, mut gaps, mut squares) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RESAMPLES {
            let counts = draws.counts(rows);
            areas.extend(mean(orders.iter().map(|order| order.area(&counts).unwrap_or(order.whole))));
            if let Some(claims) = drawn.claims {
                let share = |sum: f64| sum / rows.max(1) as f64;
                gaps.push(share(gap(claims, &counts)));
                squares.push(share(drawn.squares.iter().zip(&counts).map(|(square, n)| square * f64::from(*n)).sum()));
            }
        }
        let honesty = drawn.claims.map(|claims| CalibrationIntervals {
            ece: ConfidenceInterval::of(centred(gaps, EventFigures::of(claims).ece)),
            ece_by_chance: by_chance(claims, &mut draws),
            brier: ConfidenceInterval::of(squares),
        });
        Self { auc: (!areas.is_empty()).then(|| ConfidenceInterval::of(areas)), honesty }
    }
}

impl ScoreOrder {
    /// Returns the order of a label that some rows deserve and some do not.
    fn of(claims: &[BinaryClaim]) -> Option<Self> {
        let whole = area(claims)?;
        let mut rows: Vec<u32> = (0..u32::try_from(claims.len()).unwrap_or(u32::MAX)).collect();
        let score = |row: u32| claims[row as usize].probability;
        rows.sort_by(|a, b| score(*a).total_cmp(&score(*b)));
        let rises = |place: usize| place > 0 && score(rows[place]) > score(rows[place - 1]);
        let entry = |(place, row): (usize, &u32)| ScoredRow {
            row: *row,
            truth: claims[*row as usize].truth,
            rises: rises(place),
        };
        Some(Self { entries: rows.iter().enumerate().map(entry).collect(), whole })
    }

    /// Returns the area under the curve when each row counts as often as it was drawn.
    fn area(&self, counts: &[u32]) -> Option<f64> {
        let (mut wins, mut trues, mut falses) = (0.0, 0.0, 0.0);
        let (mut hits, mut misses) = (0.0, 0.0);
        let close = |(hits, misses): (f64, f64), falses: f64| hits * (falses + misses / 2.0);
        for ScoredRow { row, truth, rises } in &self.entries {
            if *rises {
                wins += close((hits, misses), falses);
                (trues, falses) = (trues + hits, falses + misses);
                (hits, misses) = (0.0, 0.0);
            }
            *(if *truth { &mut hits } else { &mut misses }) += f64::from(counts[*row as usize]);
        }
        wins += close((hits, misses), falses);
        let pairs = (trues + hits) * (falses + misses);
        (pairs > 0.0).then(|| wins / pairs)
    }
}

/// Returns the summed calibration gaps when each claim counts as often as it was drawn.
fn gap(claims: &[BinaryClaim], counts: &[u32]) -> f64 {
    let mut bins = [0.0; BINS];
    for (claim, n) in claims.iter().zip(counts) {
        bins[CalibrationBin::of(claim.probability)] +=
            f64::from(*n) * (f64::from(u8::from(claim.truth)) - claim.probability);
    }
    bins.iter().map(|gap: &f64| gap.abs()).sum()
}

/// Moves draws until their mean is the figure itself, none below 0.
fn centred(draws: Vec<f64>, figure: f64) -> Vec<f64> {
    let surplus = mean(draws.iter().copied()).unwrap_or(figure) - figure;
    draws.into_iter().map(|draw| (draw - surplus).max(0.0)).collect()
}

fn by_chance(claims: &[BinaryClaim], draws: &mut RandomDraws) -> f64 {
    let mut honest = claims.to_vec();
    let mut sum = 0.0;
    for _ in 0..HONEST_DRAWS {
        for claim in &mut honest {
            claim.truth = draws.share() < claim.probability;
        }
        let gap = |bin: &ReliabilityBin| (bin.observed - bin.predicted).abs() * bin.n as f64;
        sum += reliability(&honest).iter().map(gap).sum::<f64>();
    }
    sum / (HONEST_DRAWS * claims.len().max(1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims that hold exactly as often as they say, and squares of their errors.
    fn honest(n: usize) -> (Vec<BinaryClaim>, Vec<f64>) {
        let mut draws = RandomDraws::new(11);
        let claim = |_| {
            let probability = draws.share();
            BinaryClaim { probability, truth: draws.share() < probability }
        };
        let claims: Vec<BinaryClaim> = (0..n).map(claim).collect();
        let squares = claims.iter().map(BinaryClaim::square).collect();
        (claims, squares)
    }

    fn spread(claims: &[BinaryClaim], squares: &[f64], seed: u64) -> ScoreIntervals {
        let drawn = BootstrapRows { claims: Some(claims), squares, labels: vec![claims.to_vec()], seed };
        ScoreIntervals::of(claims.len(), &drawn)
    }

    #[test]
    fn rows_that_are_drawn_once_each_have_the_area_that_they_have() {
        let (mut claims, _) = honest(200);
        claims.iter_mut().for_each(|claim| claim.probability = (claim.probability * 10.0).round());

        let order = ScoreOrder::of(&claims).expect("both outcomes");

        assert_eq!((order.area(&[1; 200]), Some(order.whole)), (area(&claims), area(&claims)));
    }

    #[test]
    fn rows_that_were_not_drawn_do_not_count() {
        let claims =
            [(0.1, true), (0.2, false), (0.3, true)].map(|(probability, truth)| BinaryClaim { probability, truth });
        let order = ScoreOrder::of(&claims).expect("both outcomes");
        let area = |counts: [u32; 3]| order.area(&counts);

        assert_eq!(
            [area([0, 1, 1]), area([1, 1, 0]), area([1, 1, 3]), area([1, 0, 1])],
            [Some(1.0), Some(0.0), Some(0.75), None]
        );
    }

    #[test]
    fn intervals_hold_what_many_more_rows_would_show() {
        let (claims, squares) = honest(2_000);

        let ScoreIntervals { auc, honesty } = spread(&claims, &squares, 7);
        let (auc, honesty) = (auc.expect("both outcomes"), honesty.expect("probabilities"));

        // Of uniform honest claims the area is 5/6 and the Brier score 1/6.
        let holds = |interval: ConfidenceInterval, value: f64| interval.low < value && value < interval.high;
        assert!(holds(auc, 5.0 / 6.0) && auc.high - auc.low < 0.05, "{auc:?}");
        assert!(holds(honesty.brier, 1.0 / 6.0) && honesty.brier.high - honesty.brier.low < 0.03, "{honesty:?}");
        // sqrt(2 / pi) standard errors a bin: 15 bins of 133 rows whose variance is 1/6 on average.
        assert!((honesty.ece_by_chance - 0.027).abs() < 0.004, "{honesty:?}");
        assert!(holds(honesty.ece, EventFigures::of(&claims).ece), "{honesty:?}");
    }

    #[test]
    fn a_draw_without_a_rare_label_takes_the_area_of_all_rows() {
        let rare: Vec<BinaryClaim> =
            (0_u8..40).map(|row| BinaryClaim { probability: f64::from(row % 7), truth: row == 3 }).collect();
        let never: Vec<BinaryClaim> = rare.iter().map(|claim| BinaryClaim { truth: false, ..*claim }).collect();

        let drawn = BootstrapRows { claims: None, squares: &[], labels: vec![rare.clone(), never], seed: 7 };
        let ConfidenceInterval { low, high } = ScoreIntervals::of(40, &drawn).auc.expect("one label has an area");

        let whole = area(&rare).expect("both outcomes");
        assert!(low <= whole && whole <= high && low > 0.0, "{low} to {high}, not {whole}");
    }

    #[test]
    fn the_seed_decides_the_draws() {
        let (claims, squares) = honest(100);

        assert_eq!(spread(&claims, &squares, 7), spread(&claims, &squares, 7));
        assert_ne!(spread(&claims, &squares, 7), spread(&claims, &squares, 8));
    }

    #[test]
    fn scores_that_are_no_probabilities_have_an_area_only() {
        let (claims, _) = honest(100);

        let drawn = BootstrapRows { claims: None, squares: &[], labels: vec![claims], seed: 7 };
        let spread = ScoreIntervals::of(100, &drawn);

        assert!(spread.auc.is_some() && spread.honesty.is_none());
        assert_eq!(serde_json::to_value(spread).expect("plain data").as_object().map(serde_json::Map::len), Some(1));
    }
}
