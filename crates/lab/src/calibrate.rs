//! A threshold of a policy for a target: a share of requests for the strong model, a cost, or a quality.
//!
//! Follows `RouteLLM`'s calibration (arXiv 2406.18665, `routellm/calibrate_threshold.py`): the threshold for a share is
//! that quantile of the scores on a sample of own prompts, interpolated. Cost and quality are searched over every place
//! where the sample can be cut. What the threshold, as it is written, achieves on the sample is counted anew, with an interval.

mod sample;
mod sweep;

use pointsman_core::config::ConfigProblem;
use serde::Serialize;

pub use self::sample::{SampleError, SampleSource, SampledRequest, ThresholdSample, ThresholdSides};
pub use self::sweep::SweptThreshold;
use crate::statistics::ConfidenceInterval;

/// The digits of a threshold: more would claim more than a sample knows.
const DIGITS: i32 = 4;

/// The digits of one that lies between two scores, at most: more are none of a 64-bit float.
const MOST_DIGITS: i32 = 17;

/// The error of a mean by rounding.
const SLACK: f64 = 1e-12;

/// The goal of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationGoal {
    /// The strong model's share of the requests that the strategy decides, 0 to 1.
    StrongShare(f64),
    /// At most so many US dollars for 1000 requests.
    CostPer1k(f64),
    /// At least this mean quality, 0 to 1, as cheap as that goes.
    Quality(f64),
}

/// The effect of a threshold on a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThresholdEffect {
    /// The strong model's share.
    pub strong_share: f64,
    /// The 95 % interval of the share (Wilson).
    pub strong_share_ci95: ConfidenceInterval,
    /// US dollars for 1000 requests, by those whose tokens and prices are known; `None` where none is.
    pub cost_per_1k: Option<f64>,
    /// The 95 % interval of the cost.
    pub cost_per_1k_ci95: Option<ConfidenceInterval>,
    /// Mean quality of the requests with outcomes; `None` where none has one.
    pub quality: Option<f64>,
    /// The 95 % interval of the quality.
    pub quality_ci95: Option<ConfidenceInterval>,
}

/// A threshold, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibratedThreshold {
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
    /// Rows of the split that is held out.
    pub held_out: u64,
    /// Requests among the `n` whose tokens and prices are known: costs are theirs.
    pub priced: usize,
    /// Requests among the `n` with outcomes: the quality is theirs.
    pub with_quality: usize,
    /// Requests among those with outcomes whose one side is the mean of a model's rated answers to other prompts.
    pub filled_in: u64,
    /// The effect of the present value on the sample.
    pub now: ThresholdEffect,
    /// The effect of the new value.
    pub achieved: ThresholdEffect,
}

/// Errors that leave no threshold.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum CalibrateError {
    /// The sample cannot be had.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The key is not written in the file.
    #[error("{key}: is not in the file, so there is no value to change (write it with any value first)")]
    NoKey { key: String },
    /// Neither the strategy nor one within it has a threshold.
    #[error("{path}: a strategy of the kind `{kind}` has no threshold to calibrate (allowed: tiers, threshold)")]
    NoThreshold { path: String, kind: &'static str },
    /// Several strategies within it have one.
    #[error("{path}: holds more than one threshold, name one with `--at` (allowed: {allowed})")]
    Ambiguous { path: String, allowed: String },
    /// There is no strategy and no threshold at this place.
    #[error("{path}: is no threshold of the policy (allowed: {allowed})")]
    NoSuch { path: String, allowed: String },
    /// The policies do not compile with the value at one of its ends.
    #[error("{key}: the policies do not compile with another value ({} problems)", problems.len())]
    EndsDoNotCompile { key: String, problems: Vec<ConfigProblem> },
    /// Nothing to go by.
    #[error("the sample holds no request that the strategy of `{policy}` decides")]
    Empty { policy: String },
    /// All rows are kept to measure with.
    #[error("all {held_out} rows are of the split `held_out`, which no threshold is found on")]
    HeldOut { held_out: u64 },
    /// No request of the sample says what the target speaks of.
    #[error("the sample does not tell {what}")]
    MissingData { what: String },
    /// No threshold achieves it.
    #[error("no threshold reaches {what} {wanted} (the sample reaches {least:.4} to {most:.4})")]
    OutOfReach { what: &'static str, wanted: f64, least: f64, most: f64 },
}

/// Finds the value of `swept` that achieves `target` on `sample`.
///
/// # Errors
/// When the sample is empty, none of its requests tells what the target speaks of, or no value achieves it.
pub fn calibrate(
    policy: &str,
    swept: &SweptThreshold,
    sample: &ThresholdSample,
    target: CalibrationGoal,
) -> Result<CalibratedThreshold, CalibrateError> {
    if sample.items.is_empty() && sample.held_out > 0 && sample.left_out == 0 {
        return Err(CalibrateError::HeldOut { held_out: sample.held_out });
    }
    if sample.items.is_empty() {
        return Err(CalibrateError::Empty { policy: policy.to_owned() });
    }
    let mut items = sample.items.clone();
    items.sort_by(|a, b| a.score.total_cmp(&b.score));
    let cut = match target {
        // Where only the strong model stands on one side, the share is the quantile.
        CalibrationGoal::StrongShare(share)
            if items.iter().all(|item| item.above_is_strong && !item.below_is_strong) =>
        {
            rounded(quantile(&items, 1.0 - share), DIGITS)
        }
        CalibrationGoal::StrongShare(share) => between(&items, nearest(&items, share)),
        CalibrationGoal::CostPer1k(dollars) => between(&items, dearest_within(&items, dollars / 1000.0)?),
        CalibrationGoal::Quality(least) => between(&items, cheapest_with(&items, least, sample.no_quality.as_deref())?),
    };
    let threshold = cut.clamp(*swept.bounds.start(), *swept.bounds.end());
    Ok(CalibratedThreshold {
        key: swept.path.to_string(),
        before: swept.value,
        threshold,
        strong: swept.strong.clone(),
        n: items.len(),
        left_out: sample.left_out,
        held_out: sample.held_out,
        priced: items.iter().filter(|item| item.costs.is_some()).count(),
        with_quality: items.iter().filter(|item| item.qualities.is_some()).count(),
        filled_in: sample.filled_in,
        now: effect(&items, swept.value),
        achieved: effect(&items, threshold),
    })
}

/// Returns the quantile of sorted scores, interpolated between neighbours as pandas does.
fn quantile(items: &[SampledRequest], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (items.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of items")]
    let below = place.floor() as usize;
    let above = (below + 1).min(items.len() - 1);
    items[below].score + (items[above].score - items[below].score) * (place - below as f64)
}

/// Returns a threshold with `below` of the sorted items below it, in as few digits as tell them from the others: what was
/// asked for holds for the value that is written, not for one beside it.
fn between(items: &[SampledRequest], below: usize) -> f64 {
    if below == 0 {
        return 0.0;
    }
    let low = items[below - 1].score;
    let Some(above) = items.get(below) else { return 1.0 };
    let middle = f64::midpoint(low, above.score);
    let mut spelt = (DIGITS..=MOST_DIGITS).map(|digits| rounded(middle, digits));
    spelt.find(|cut| *cut > low && *cut <= above.score).unwrap_or(above.score)
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10.0_f64.powi(digits);
    (value * scale).round() / scale
}

/// Returns the places where the items can be cut: between scores that differ, and behind the last where it is below the
/// highest threshold.
fn cuts(items: &[SampledRequest]) -> impl Iterator<Item = usize> + '_ {
    (0..=items.len()).filter(|at| {
        let above = items.get(*at).map_or(1.0, |item| item.score);
        *at == 0 || items[*at - 1].score < above
    })
}

/// A number of the items over every cut: its mean over those of which it is known.
struct CutMeans(Vec<f64>);

impl CutMeans {
    /// Takes of each item its number below the cut and above; `None` when it is known of no item.
    fn of(items: &[SampledRequest], of: impl Fn(&SampledRequest) -> Option<ThresholdSides>) -> Option<Self> {
        let known = items.iter().filter(|item| of(item).is_some()).count();
        let first: f64 = items.iter().filter_map(&of).map(|sides| sides.above).sum();
        let mut sum = first;
        let after = items.iter().map(|item| {
            sum += of(item).map_or(0.0, |sides| sides.below - sides.above);
            sum
        });
        let sums: Vec<f64> = std::iter::once(first).chain(after).collect();
        (known > 0).then(|| Self(sums.into_iter().map(|sum| sum / known as f64).collect()))
    }

    /// Returns the strong model's share.
    fn of_strong(items: &[SampledRequest]) -> Self {
        let as_number = |is: bool| f64::from(u8::from(is));
        let strong = |item: &SampledRequest| {
            Some(ThresholdSides { below: as_number(item.below_is_strong), above: as_number(item.above_is_strong) })
        };
        Self::of(items, strong).unwrap_or(Self(vec![0.0]))
    }

    fn out_of_reach(&self, what: &'static str, wanted: f64, scale: f64) -> CalibrateError {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min) * scale;
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max) * scale;
        CalibrateError::OutOfReach { what, wanted, least, most }
    }
}

fn nearest(items: &[SampledRequest], share: f64) -> usize {
    let CutMeans(strong) = CutMeans::of_strong(items);
    let off = |at: &usize| (strong[*at] - share).abs();
    cuts(items).min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or_default()
}

fn dearest_within(items: &[SampledRequest], dollars: f64) -> Result<usize, CalibrateError> {
    let missing_data =
        || CalibrateError::MissingData { what: "what requests cost (prices in `models`, and tokens)".to_owned() };
    let costs = CutMeans::of(items, |item| item.costs).ok_or_else(missing_data)?;
    let fits = cuts(items).filter(|at| costs.0[*at] <= dollars + SLACK);
    let best = fits.max_by(|a, b| costs.0[*a].total_cmp(&costs.0[*b]));
    best.ok_or_else(|| costs.out_of_reach("the cost per 1k", dollars * 1000.0, 1000.0))
}

/// Returns the cheapest cut of at least a quality; of equally dear ones the one with the fewest calls of the strong
/// model, as not every request has a price.
fn cheapest_with(items: &[SampledRequest], least: f64, reason: Option<&str>) -> Result<usize, CalibrateError> {
    let missing_data = || {
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        CalibrateError::MissingData { what: format!("how well either model answers{reason}") }
    };
    let quality = CutMeans::of(items, |item| item.qualities).ok_or_else(missing_data)?;
    let strong = CutMeans::of_strong(items);
    let price = CutMeans::of(items, |item| item.costs);
    let price = price.as_ref().unwrap_or(&strong);
    let fits = cuts(items).filter(|at| quality.0[*at] >= least - SLACK);
    let order = |a: &usize, b: &usize| price.0[*a].total_cmp(&price.0[*b]).then(strong.0[*a].total_cmp(&strong.0[*b]));
    fits.min_by(order).ok_or_else(|| quality.out_of_reach("the quality", least, 1.0))
}

/// Counts the effect of a threshold, as the policy compares: at it and above it is above.
fn effect(items: &[SampledRequest], threshold: f64) -> ThresholdEffect {
    let n = items.len();
    let strong =
        items.iter().filter(|item| if item.score >= threshold { item.above_is_strong } else { item.below_is_strong });
    let strong = strong.count() as u64;
    let mean = |of: fn(&SampledRequest) -> Option<ThresholdSides>, scale: f64| {
        let values = items.iter().filter_map(|item| Some(scale * of(item)?.at(item.score, threshold)));
        MeanWithInterval::of(values)
    };
    let (cost, quality) = (mean(|item| item.costs, 1000.0), mean(|item| item.qualities, 1.0));
    ThresholdEffect {
        strong_share: strong as f64 / n as f64,
        strong_share_ci95: ConfidenceInterval::wilson(strong, n as u64),
        cost_per_1k: cost.map(|cost| cost.mean),
        cost_per_1k_ci95: cost.map(|cost| ConfidenceInterval { low: cost.ci95.low.max(0.0), ..cost.ci95 }),
        quality: quality.map(|quality| quality.mean),
        quality_ci95: quality.map(|MeanWithInterval { ci95: ConfidenceInterval { low, high }, .. }| {
            ConfidenceInterval { low: low.max(0.0), high: high.min(1.0) }
        }),
    }
}

#[derive(Clone, Copy)]
struct MeanWithInterval {
    mean: f64,
    ci95: ConfidenceInterval,
}

impl MeanWithInterval {
    /// Returns the mean of values, if there are any.
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (sum, squares, n) =
            values.fold((0.0, 0.0, 0), |(sum, squares, n), value| (sum + value, squares + value * value, n + 1));
        (n > 0).then(|| Self { mean: sum / n as f64, ci95: ConfidenceInterval::of_mean(sum, squares, n) })
    }
}

#[cfg(test)]
mod tests;
