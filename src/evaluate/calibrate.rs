//! A threshold of a policy for a target: a share of requests for the strong model, a cost, or a quality.
//!
//! Follows `RouteLLM`'s calibration (arXiv 2406.18665, `routellm/calibrate_threshold.py`): the threshold for a share is that
//! quantile of the scores on a sample of own prompts, interpolated. Cost and quality are searched over every place where
//! the sample can be cut. What the rounded threshold achieves on the sample is counted anew, with an interval.

mod knob;
mod sample;

use serde::Serialize;

pub use self::knob::Knob;
pub use self::sample::{Item, Sample, SampleError, SampleSource};
use super::Interval;
use crate::config::Problem;

/// A threshold's last digit: more would claim more than a sample knows.
const DIGITS: f64 = 1e4;

/// What rounding may do to a mean.
const SLACK: f64 = 1e-12;

/// What a threshold is to achieve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The strong model's share of the requests that the strategy decides, 0 to 1.
    StrongShare(f64),
    /// At most so many US dollars for 1000 requests.
    CostPer1k(f64),
    /// At least this mean quality, 0 to 1, as cheap as that goes.
    Quality(f64),
}

/// What a threshold does on a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Achieved {
    /// The strong model's share.
    pub strong_share: f64,
    /// Its 95 % interval (Wilson).
    pub strong_share_ci95: Interval,
    /// US dollars for 1000 requests; `None` where a price or tokens are not known.
    pub cost_per_1k: Option<f64>,
    /// Its 95 % interval.
    pub cost_per_1k_ci95: Option<Interval>,
    /// Mean quality; `None` without outcomes.
    pub quality: Option<f64>,
    /// Its 95 % interval.
    pub quality_ci95: Option<Interval>,
}

/// A threshold, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibrated {
    /// The key in the configuration.
    pub key: String,
    /// The value now.
    pub before: f64,
    /// The value that achieves the target.
    pub threshold: f64,
    /// The model whose share is meant.
    pub strong: String,
    /// Requests of the sample that reach the strategy.
    pub n: usize,
    /// Requests of the sample that rules or other strategies decide, or that got no scores.
    pub left_out: u64,
    /// What the present value does on the sample.
    pub now: Achieved,
    /// What the new value does.
    pub achieved: Achieved,
}

/// Why there is no threshold.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The sample cannot be had.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The key is not written in the file.
    #[error("{key}: is not in the file, so there is no value to change (write it with any value first)")]
    NoKey {
        /// The key.
        key: String,
    },
    /// Neither the strategy nor one within it has a threshold.
    #[error("{path}: a strategy of the kind `{kind}` has no threshold to calibrate (allowed: tiers, threshold)")]
    NoThreshold {
        /// Where it stands.
        path: String,
        /// Its kind.
        kind: &'static str,
    },
    /// Several strategies within it have one.
    #[error("{path}: holds more than one threshold, name one with `--at` (allowed: {allowed})")]
    Ambiguous {
        /// Where it stands.
        path: String,
        /// The thresholds.
        allowed: String,
    },
    /// There is no strategy and no threshold at this place.
    #[error("{path}: is no threshold of the policy (allowed: {allowed})")]
    NoSuch {
        /// The place.
        path: String,
        /// The thresholds.
        allowed: String,
    },
    /// The policies do not compile with the value at one of its ends.
    #[error("{key}: the policies do not compile with another value ({} problems)", problems.len())]
    Turned {
        /// The key.
        key: String,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// Nothing to go by.
    #[error("the sample holds no request that the strategy of `{policy}` decides")]
    Empty {
        /// The policy.
        policy: String,
    },
    /// The sample does not say what the target speaks of.
    #[error("the sample does not tell {what}")]
    Untold {
        /// What is missing.
        what: &'static str,
    },
    /// No threshold achieves it.
    #[error("no threshold reaches {what} {wanted} (the sample reaches {least:.4} to {most:.4})")]
    OutOfReach {
        /// What was wanted.
        what: &'static str,
        /// How much of it.
        wanted: f64,
        /// The least that a threshold gives.
        least: f64,
        /// The most.
        most: f64,
    },
}

/// Finds the value of `knob` that achieves `target` on `sample`.
///
/// # Errors
/// When the sample is empty or does not tell what the target speaks of, or no value achieves it.
pub fn calibrate(policy: &str, knob: &Knob, sample: &Sample, target: Target) -> Result<Calibrated, CalibrateError> {
    if sample.items.is_empty() {
        return Err(CalibrateError::Empty { policy: policy.to_owned() });
    }
    let mut items = sample.items.clone();
    items.sort_by(|a, b| a.score.total_cmp(&b.score));
    let cut = match target {
        // Where only the strong model stands on one side, the share is the quantile.
        Target::StrongShare(share) if items.iter().all(|item| item.above_is_strong && !item.below_is_strong) => {
            quantile(&items, 1.0 - share)
        }
        Target::StrongShare(share) => between(&items, nearest(&items, share)),
        Target::CostPer1k(dollars) => between(&items, dearest_within(&items, dollars / 1000.0)?),
        Target::Quality(least) => between(&items, cheapest_with(&items, least)?),
    };
    let threshold = (cut * DIGITS).round() / DIGITS;
    let threshold = threshold.clamp(knob.bounds.0, knob.bounds.1);
    Ok(Calibrated {
        key: knob.path.to_string(),
        before: knob.value,
        threshold,
        strong: knob.strong.clone(),
        n: items.len(),
        left_out: sample.left_out,
        now: achieved(&items, knob.value),
        achieved: achieved(&items, threshold),
    })
}

/// Returns the quantile of sorted scores, interpolated between neighbours as pandas does.
fn quantile(items: &[Item], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (items.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of items")]
    let below = place.floor() as usize;
    let above = (below + 1).min(items.len() - 1);
    items[below].score + (items[above].score - items[below].score) * (place - below as f64)
}

/// Returns a threshold with `below` of the sorted items below it.
fn between(items: &[Item], below: usize) -> f64 {
    match below {
        0 => 0.0,
        all if all == items.len() => 1.0,
        some => f64::midpoint(items[some - 1].score, items[some].score),
    }
}

/// Returns the places where the items can be cut: between scores that differ.
fn cuts(items: &[Item]) -> impl Iterator<Item = usize> + '_ {
    (0..=items.len()).filter(|at| *at == 0 || *at == items.len() || items[*at - 1].score < items[*at].score)
}

/// Sums a number of each item over a cut: the one below it, the other above.
fn sums(items: &[Item], of: impl Fn(&Item) -> Option<(f64, f64)>) -> Option<Vec<f64>> {
    let pairs: Vec<(f64, f64)> = items.iter().map(of).collect::<Option<_>>()?;
    let mut sum: f64 = pairs.iter().map(|(_, above)| above).sum();
    let after = pairs.iter().map(|(below, above)| {
        sum += below - above;
        sum
    });
    let first: f64 = pairs.iter().map(|(_, above)| above).sum();
    Some(std::iter::once(first).chain(after).collect())
}

fn nearest(items: &[Item], share: f64) -> usize {
    let n = items.len() as f64;
    let as_number = |is: bool| f64::from(u8::from(is));
    let strong = sums(items, |item| Some((as_number(item.below_is_strong), as_number(item.above_is_strong))));
    let strong = strong.unwrap_or_default();
    let off = |at: &usize| (strong[*at] / n - share).abs();
    cuts(items).min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or_default()
}

fn dearest_within(items: &[Item], dollars: f64) -> Result<usize, CalibrateError> {
    let what = "what requests cost (prices in `models`, and tokens)";
    let costs = sums(items, |item| item.costs).ok_or(CalibrateError::Untold { what })?;
    let n = items.len() as f64;
    let fits = cuts(items).filter(|at| costs[*at] / n <= dollars + SLACK);
    let best = fits.max_by(|a, b| costs[*a].total_cmp(&costs[*b]));
    best.ok_or_else(|| out_of_reach("the cost per 1k", dollars * 1000.0, &costs, 1000.0 / n))
}

fn cheapest_with(items: &[Item], least: f64) -> Result<usize, CalibrateError> {
    let what = "how well either model answers (`strong_correct` and `weak_correct`, or `scores` by model)";
    let quality = sums(items, |item| item.qualities).ok_or(CalibrateError::Untold { what })?;
    let n = items.len() as f64;
    let as_number = |is: bool| f64::from(u8::from(is));
    let strong = |item: &Item| Some((as_number(item.below_is_strong), as_number(item.above_is_strong)));
    let price = sums(items, |item| item.costs).or_else(|| sums(items, strong)).unwrap_or_default();
    let fits = cuts(items).filter(|at| quality[*at] / n >= least - SLACK);
    let best = fits.min_by(|a, b| price[*a].total_cmp(&price[*b]));
    best.ok_or_else(|| out_of_reach("the quality", least, &quality, 1.0 / n))
}

fn out_of_reach(what: &'static str, wanted: f64, sums: &[f64], scale: f64) -> CalibrateError {
    let least = sums.iter().copied().fold(f64::INFINITY, f64::min) * scale;
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max) * scale;
    CalibrateError::OutOfReach { what, wanted, least, most }
}

/// Counts what a threshold does, as the policy compares: at it and above it is above.
fn achieved(items: &[Item], threshold: f64) -> Achieved {
    let n = items.len();
    let strong =
        items.iter().filter(|item| if item.score >= threshold { item.above_is_strong } else { item.below_is_strong });
    let strong = strong.count() as u64;
    let mean = |of: fn(&Item) -> Option<(f64, f64)>, scale: f64| {
        let values =
            items.iter().map(|item| of(item).map(|(below, above)| if item.score >= threshold { above } else { below }));
        let values: Vec<f64> = values.map(|value| value.map(|value| value * scale)).collect::<Option<_>>()?;
        let (sum, squares) =
            values.iter().fold((0.0, 0.0), |(sum, squares), value| (sum + value, squares + value * value));
        Some((sum / n as f64, Interval::of_mean(sum, squares, n)))
    };
    let (cost, quality) = (mean(|item| item.costs, 1000.0), mean(|item| item.qualities, 1.0));
    Achieved {
        strong_share: strong as f64 / n as f64,
        strong_share_ci95: Interval::wilson(strong, n as u64),
        cost_per_1k: cost.map(|cost| cost.0),
        cost_per_1k_ci95: cost.map(|cost| cost.1),
        quality: quality.map(|quality| quality.0),
        quality_ci95: quality.map(|quality| quality.1),
    }
}

#[cfg(test)]
mod tests;
