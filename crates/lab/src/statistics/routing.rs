//! Routing between a weak and a strong model, measured as `RouteLLM` does (arXiv 2406.18665, `routellm/evals`).
//!
//! A score ranks the prompts; the strong model gets those above one of ten quantiles. The curve of quality over the
//! strong model's share gives the performance gap recovered: PGR at each share, APGR over all of them, and CPT, the
//! share that recovers a part of the gap.

mod curve;

use serde::Serialize;

pub use self::curve::{RoutingCurve, RoutingCurvePoint};
use super::bootstrap::{ConfidenceInterval, RESAMPLES, RandomDraws};

/// One prompt: where the score ranks it, and how well either model answers it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoutedOutcome {
    /// The more, the sooner the strong model gets it.
    pub score: f64,
    /// The strong model's quality, 0 to 1.
    pub strong: f64,
    /// The weak model's quality, 0 to 1.
    pub weak: f64,
}

/// The figures of one way to rank prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RoutingFigures {
    /// Average performance gap recovered: 0 for the weak model alone, 1 for the strong one, .5 at random.
    pub apgr: f64,
    /// Calls to the strong model, in per cent, that recover half of the gap.
    pub cpt_50: f64,
    /// Calls to the strong model, in per cent, that recover 80 % of the gap.
    pub cpt_80: f64,
}

/// The intervals of the figures that reports quote.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RoutingIntervals {
    /// The interval of the APGR.
    #[serde(rename = "apgr_ci95")]
    pub apgr: ConfidenceInterval,
    /// The interval of the share that recovers half of the gap.
    #[serde(rename = "cpt_50_ci95")]
    pub cpt_50: ConfidenceInterval,
    /// The interval of the share that recovers 80 % of the gap.
    #[serde(rename = "cpt_80_ci95")]
    pub cpt_80: ConfidenceInterval,
    /// The interval of the APGR's lead over prompt length on the same draws.
    #[serde(rename = "apgr_over_length_ci95")]
    pub over_length: ConfidenceInterval,
}

/// Prompts in the order of their scores, the lowest first; what scores the same stands in random order.
#[derive(Debug, Clone)]
pub struct PromptRanking {
    /// Each prompt's place in the file.
    order: Vec<usize>,
}

impl PromptRanking {
    /// Ranks prompts by score; `seed` decides between equal ones.
    #[must_use]
    pub fn of(scores: impl IntoIterator<Item = f64>, seed: u64) -> Self {
        let mut draws = RandomDraws::new(seed);
        let mut keys: Vec<(f64, u64, usize)> =
            scores.into_iter().enumerate().map(|(index, score)| (score, draws.next(), index)).collect();
        keys.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Self { order: keys.into_iter().map(|(_, _, index)| index).collect() }
    }

    /// Returns the curve over all prompts.
    #[must_use]
    pub fn curve(&self, rows: &[RoutedOutcome]) -> RoutingCurve {
        RoutingCurve::of(self.order.iter().map(|index| (&rows[*index], 1)))
    }

    /// Returns the curve over prompts drawn with replacement: each `counts` times.
    fn resampled(&self, rows: &[RoutedOutcome], counts: &[u32]) -> RoutingCurve {
        RoutingCurve::of(self.order.iter().map(|index| (&rows[*index], counts[*index])))
    }
}

impl RoutingIntervals {
    /// Draws the rows with replacement, [`RESAMPLES`] times; both rankings are measured on the same draws.
    #[must_use]
    pub fn of(rows: &[RoutedOutcome], ranking: &PromptRanking, length: &PromptRanking, seed: u64) -> Self {
        let mut draws = RandomDraws::new(seed);
        let mut values: [Vec<f64>; 4] = Default::default();
        for _ in 0..RESAMPLES {
            let counts = draws.counts(rows.len());
            let figures = ranking.resampled(rows, &counts).figures();
            let lead = figures.apgr - length.resampled(rows, &counts).figures().apgr;
            for (values, value) in values.iter_mut().zip([figures.apgr, figures.cpt_50, figures.cpt_80, lead]) {
                values.push(value);
            }
        }
        let [apgr, cpt_50, cpt_80, over_length] = values.map(ConfidenceInterval::of);
        Self { apgr, cpt_50, cpt_80, over_length }
    }
}

#[cfg(test)]
mod tests;
