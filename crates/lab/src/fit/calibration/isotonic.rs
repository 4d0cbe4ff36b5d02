//! Isotonic calibration: a rising curve from a mixture's probabilities to the observed frequencies.

use pointsman_classifier::CalibrationCurve;

use crate::statistics::SampleMean;

/// The least rows that a curve is drawn through: fewer draw noise.
const ROWS: usize = 1000;

/// Rows that each point of a curve stands for at least.
const ROWS_A_POINT: f64 = 40.0;

/// The least distance of a point from 0 and from 1.
const EDGE: f64 = 0.001;

/// The probability of one event, beside whether it came true.
#[derive(Debug, Clone, Copy)]
pub(in crate::fit) struct Forecast {
    pub(in crate::fit) probability: f64,
    /// The outcome, 0 to 1.
    pub(in crate::fit) outcome: f64,
}

/// Sums over the forecasts that a point of the curve stands for.
#[derive(Debug, Clone, Copy)]
struct IsotonicBlock {
    probabilities: f64,
    outcomes: f64,
    rows: f64,
}

/// Returns the curve through `forecasts` if halves of the rows speak for it: the one from each half must, on the other,
/// have a smaller loss than the probabilities themselves, by more than two standard errors.
pub(in crate::fit) fn isotonic_curve(forecasts: &[Forecast]) -> Option<CalibrationCurve> {
    if forecasts.len() < ROWS {
        return None;
    }
    let half = |first: usize| forecasts.iter().copied().skip(first).step_by(2).collect::<Vec<_>>();
    let halves = [half(0), half(1)];
    let mut gains = Vec::with_capacity(forecasts.len());
    for (learnt, held_out) in [(0, 1), (1, 0)] {
        let curve = curve(&halves[learnt])?;
        let gain =
            |row: &Forecast| loss(row.probability, row.outcome) - loss(through(&curve, row.probability), row.outcome);
        gains.extend(halves[held_out].iter().map(gain));
    }
    let gain = SampleMean::of(&gains);
    if gain.mean > 2.0 * gain.standard_error { curve(forecasts) } else { None }
}

impl IsotonicBlock {
    const fn of(row: &Forecast) -> Self {
        Self { probabilities: row.probability, outcomes: row.outcome, rows: 1.0 }
    }

    fn absorb(&mut self, other: &Self) {
        self.probabilities += other.probabilities;
        self.outcomes += other.outcomes;
        self.rows += other.rows;
    }

    fn frequency(&self) -> f64 {
        self.outcomes / self.rows
    }

    const fn is_small(&self) -> bool {
        self.rows < ROWS_A_POINT
    }
}

/// Pools adjacent violators (Ayer et al. 1955) and joins the centres of what is level (Oron, Flournoy 2017), so that of
/// two different probabilities the larger one stays so.
fn curve(forecasts: &[Forecast]) -> Option<CalibrationCurve> {
    let mut sorted = forecasts.to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let mut blocks: Vec<IsotonicBlock> = Vec::new();
    for row in &sorted {
        let mut block = IsotonicBlock::of(row);
        while let Some(last) = blocks.last().filter(|last| last.is_small() || last.frequency() >= block.frequency()) {
            block.absorb(last);
            blocks.pop();
            if block.is_small() {
                break;
            }
        }
        blocks.push(block);
    }
    let mut curve = CalibrationCurve { from: Vec::new(), to: Vec::new() };
    for block in blocks {
        let from = (block.probabilities / block.rows) as f32;
        let to = block.frequency().clamp(EDGE, 1.0 - EDGE) as f32;
        if curve.from.last().is_none_or(|last| *last < from) && curve.to.last().is_none_or(|last| *last <= to) {
            curve.from.push(from);
            curve.to.push(to);
        }
    }
    (curve.from.len() >= 2).then_some(curve)
}

fn through(curve: &CalibrationCurve, p: f64) -> f64 {
    let mut pair = [1.0 - p as f32, p as f32];
    curve.apply(&mut pair);
    f64::from(pair[1])
}

fn loss(p: f64, truth: f64) -> f64 {
    let log = |p: f64| p.max(1e-6).ln();
    -truth * log(p) - (1.0 - truth) * log(1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::RandomDraws;

    /// Of rows that say `p`, so many hold as `true_of` says.
    fn rows(n: u32, true_of: fn(f64) -> f64) -> Vec<Forecast> {
        let mut draws = RandomDraws::new(7);
        let mut drawn = || draws.below(1000) as f64 / 1000.0 + 0.0005;
        let row = |_| {
            let p = drawn();
            Forecast { probability: p, outcome: if drawn() < true_of(p) { 1.0 } else { 0.0 } }
        };
        (0..n).map(row).collect()
    }

    #[test]
    fn probabilities_that_no_temperature_mends_get_a_curve() {
        // True half of the time or not at all.
        let forecasts = rows(4000, |p| if p > 0.7 { 0.5 } else { 0.0 });

        let curve = isotonic_curve(&forecasts).expect("a curve");

        assert!((through(&curve, 0.9) - 0.5).abs() < 0.06 && through(&curve, 0.3) < 0.05, "{curve:?}");
        assert!(through(&curve, 0.95) >= through(&curve, 0.85));
    }

    #[test]
    fn honest_probabilities_and_few_rows_get_none() {
        assert_eq!(isotonic_curve(&rows(4000, |p| p)), None);
        assert_eq!(isotonic_curve(&rows(900, |_| 0.5)), None);
    }
}
