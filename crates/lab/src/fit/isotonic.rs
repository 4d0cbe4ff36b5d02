//! Isotonic calibration: a rising curve from what a mixture says to how often that came true.

use pointsman_classifier::Curve;

/// The least rows that a curve is drawn through: fewer draw noise.
const ROWS: usize = 1000;

/// Rows that each point of a curve stands for at least.
const ROWS_A_POINT: f64 = 40.0;

/// No point says less than this, or that much less than certain.
const EDGE: f64 = 0.001;

/// What was said of one event, and whether it came true.
pub(super) type Said = (f64, f64);

/// Returns the curve through `said` if halves of the rows speak for it: the one from each half must, on the other, have a
/// smaller loss than what was said, by more than two standard errors.
pub(super) fn chosen(said: &[Said]) -> Option<Curve> {
    if said.len() < ROWS {
        return None;
    }
    let half = |first: usize| said.iter().copied().skip(first).step_by(2).collect::<Vec<_>>();
    let halves = [half(0), half(1)];
    let mut gains = Vec::with_capacity(said.len());
    for (learnt, judged) in [(0, 1), (1, 0)] {
        let curve = curve(&halves[learnt])?;
        gains.extend(halves[judged].iter().map(|(p, truth)| loss(*p, *truth) - loss(through(&curve, *p), *truth)));
    }
    let n = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / n;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / n;
    if mean > 2.0 * (variance / n).sqrt() { curve(said) } else { None }
}

/// Pools adjacent violators (Ayer et al. 1955) and joins the centres of what is level (Oron, Flournoy 2017), so that of two
/// different probabilities the larger one stays so.
fn curve(said: &[Said]) -> Option<Curve> {
    let mut sorted = said.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Sums of what was said, of what came true, and of rows.
    let mut blocks: Vec<[f64; 3]> = Vec::new();
    for (p, truth) in sorted {
        let mut block = [p, truth, 1.0];
        while let Some(last) =
            blocks.last().filter(|last| last[2] < ROWS_A_POINT || last[1] / last[2] >= block[1] / block[2])
        {
            block.iter_mut().zip(last).for_each(|(sum, more)| *sum += more);
            blocks.pop();
            if block[2] < ROWS_A_POINT {
                break;
            }
        }
        blocks.push(block);
    }
    let mut curve = Curve { from: Vec::new(), to: Vec::new() };
    for [p, truth, n] in blocks {
        let (from, to) = ((p / n) as f32, (truth / n).clamp(EDGE, 1.0 - EDGE) as f32);
        if curve.from.last().is_none_or(|last| *last < from) && curve.to.last().is_none_or(|last| *last <= to) {
            curve.from.push(from);
            curve.to.push(to);
        }
    }
    (curve.from.len() >= 2).then_some(curve)
}

fn through(curve: &Curve, p: f64) -> f64 {
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
    use crate::statistics::Draws;

    /// Of rows that say `p`, so many hold as `true_of` says.
    fn rows(n: u32, true_of: fn(f64) -> f64) -> Vec<Said> {
        let mut draws = Draws::new(7);
        let mut drawn = || draws.below(1000) as f64 / 1000.0 + 0.0005;
        let row = |_| {
            let p = drawn();
            (p, if drawn() < true_of(p) { 1.0 } else { 0.0 })
        };
        (0..n).map(row).collect()
    }

    #[test]
    fn probabilities_that_no_temperature_mends_get_a_curve() {
        // True half of the time or not at all.
        let said = rows(4000, |p| if p > 0.7 { 0.5 } else { 0.0 });

        let curve = chosen(&said).expect("a curve");

        assert!((through(&curve, 0.9) - 0.5).abs() < 0.06 && through(&curve, 0.3) < 0.05, "{curve:?}");
        assert!(through(&curve, 0.95) >= through(&curve, 0.85));
    }

    #[test]
    fn honest_probabilities_and_few_rows_get_none() {
        assert_eq!(chosen(&rows(4000, |p| p)), None);
        assert_eq!(chosen(&rows(900, |_| 0.5)), None);
    }
}
