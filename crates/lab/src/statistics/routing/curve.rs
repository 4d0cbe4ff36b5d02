//! Quality over the share of prompts that the strong model gets.

use serde::Serialize;

use super::{RoutedOutcome, RoutingFigures};

/// Points of a curve: the edges of ten quantiles.
const POINTS: usize = 11;

/// One threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct RoutingCurvePoint {
    /// Calls to the strong model, in per cent.
    pub strong_percent: f64,
    /// Mean quality of the answers.
    pub quality: f64,
    /// The part of the gap between the models that is recovered.
    pub pgr: f64,
}

/// The thresholds from none of the prompts for the strong model to all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoutingCurve {
    points: [RoutingCurvePoint; POINTS],
}

impl RoutingCurve {
    /// Measures prompts that come in ascending order of score, each with how often it counts.
    ///
    /// A threshold is an edge of `pandas.qcut(scores, 10)`, and scores at or above it go to the strong model; at the
    /// last edge none does. With no score twice that is a matter of ranks: edge `k` lies at rank `k (n - 1) / 10`.
    pub(super) fn of<'r>(rows: impl Iterator<Item = (&'r RoutedOutcome, u32)> + Clone) -> Self {
        let total: usize = rows.clone().map(|(_, count)| count as usize).sum();
        let strong: f64 = rows.clone().map(|(row, count)| row.strong * f64::from(count)).sum();
        let weak: f64 = rows.clone().map(|(row, count)| row.weak * f64::from(count)).sum();
        let edge = |k: usize| if k == POINTS - 1 { total } else { (total.saturating_sub(1) * k).div_ceil(POINTS - 1) };

        let n = total.max(1) as f64;
        let point = |below: usize, sum: f64| {
            let pgr = if strong == weak { 0.0 } else { (sum - weak) / (strong - weak) };
            RoutingCurvePoint { strong_percent: 100.0 * (total - below) as f64 / n, quality: sum / n, pgr }
        };
        // Starts with everything strong; each prompt that falls below the threshold swaps its answer.
        let (mut points, mut below, mut sum, mut k) = ([RoutingCurvePoint::default(); POINTS], 0, strong, 0);
        for (row, count) in rows {
            for _ in 0..count {
                while k < POINTS && edge(k) == below {
                    points[POINTS - 1 - k] = point(below, sum);
                    k += 1;
                }
                sum += row.weak - row.strong;
                below += 1;
            }
        }
        for k in k..POINTS {
            points[POINTS - 1 - k] = point(total, weak);
        }
        Self { points }
    }

    /// Returns the points, the fewest calls to the strong model first.
    #[must_use]
    pub const fn points(&self) -> &[RoutingCurvePoint; POINTS] {
        &self.points
    }

    /// Returns the figures that sum the curve up.
    #[must_use]
    pub fn figures(&self) -> RoutingFigures {
        RoutingFigures { apgr: self.area(), cpt_50: self.percent_for(0.5), cpt_80: self.percent_for(0.8) }
    }

    /// The area under the PGR, by trapezoids.
    fn area(&self) -> f64 {
        let width = |pair: &[RoutingCurvePoint]| (pair[1].strong_percent - pair[0].strong_percent) / 100.0;
        self.points.windows(2).map(|pair| width(pair) * f64::midpoint(pair[0].pgr, pair[1].pgr)).sum()
    }

    /// Returns the per cent of strong calls at which `pgr` is reached: `numpy.interp`, whose bisection decides where a
    /// curve that is not monotone crosses it more than once.
    fn percent_for(&self, pgr: f64) -> f64 {
        let points = &self.points;
        if pgr <= points[0].pgr {
            return points[0].strong_percent;
        }
        if pgr >= points[POINTS - 1].pgr {
            return points[POINTS - 1].strong_percent;
        }
        // numpy looks at the first cells before it bisects.
        let early = (1..=3).find(|index| pgr < points[*index].pgr);
        let above = early.unwrap_or_else(|| {
            let (mut low, mut high) = (3, if pgr < points[9].pgr { 9 } else { POINTS });
            while low < high {
                let middle = usize::midpoint(low, high);
                if pgr >= points[middle].pgr { low = middle + 1 } else { high = middle }
            }
            low
        });
        let (from, to) = (points[above - 1], points[above]);
        from.strong_percent + (to.strong_percent - from.strong_percent) * (pgr - from.pgr) / (to.pgr - from.pgr)
    }
}
