//! A calibration that is no temperature: a curve through points, from what a head says to what comes true.

use serde::{Deserialize, Serialize};

/// A rising curve through points, flat outside them (isotonic regression; Zadrozny, Elkan 2002).
///
/// Of two labels it maps the probability of the second; of more, that of the best label, which stays the best, and the
/// others share what is left as before.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationCurve {
    /// Probabilities before, rising; at least two.
    pub from: Vec<f32>,
    /// The calibrated probability of each; never falling, above 0 and below 1.
    pub to: Vec<f32>,
}

impl CalibrationCurve {
    /// Returns whether it is a curve at all.
    pub(super) fn is_sound(&self) -> bool {
        let probabilities = self.from.iter().all(|p| (0.0..=1.0).contains(p));
        let inside = self.to.iter().all(|p| *p > 0.0 && *p < 1.0);
        let rises = self.from.is_sorted_by(|a, b| a < b) && self.to.is_sorted();
        self.from.len() >= 2 && self.from.len() == self.to.len() && probabilities && inside && rises
    }

    /// Puts calibrated probabilities in the place of others.
    pub fn apply(&self, probabilities: &mut [f32]) {
        if let [first, second] = probabilities {
            *second = self.at(*second);
            *first = 1.0 - *second;
            return;
        }
        let best =
            (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]).then(b.cmp(a)));
        let Some(best) = best else { return };
        let before = probabilities[best];
        let others = (1.0 - before).max(f32::EPSILON);
        let next = probabilities.iter().enumerate().filter(|(label, _)| *label != best).map(|(_, p)| *p);
        let next = next.fold(0.0, f32::max) / others;
        // So that the next one, with its share of the rest, is at most as probable.
        let becomes = self.at(before).max(next / (1.0 + next));
        probabilities.iter_mut().for_each(|p| *p *= (1.0 - becomes) / others);
        probabilities[best] = becomes;
    }

    fn at(&self, p: f32) -> f32 {
        let above = self.from.partition_point(|from| *from < p);
        match (above.checked_sub(1), self.from.get(above)) {
            (Some(below), Some(end)) => {
                let part = (p - self.from[below]) / (end - self.from[below]);
                self.to[below] + part * (self.to[above] - self.to[below])
            }
            (None, _) => self.to[0],
            (Some(last), None) => self.to[last],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> CalibrationCurve {
        CalibrationCurve { from: vec![0.2, 0.6], to: vec![0.1, 0.9] }
    }

    #[test]
    fn of_two_labels_the_second_follows_the_curve() {
        let become_of = |p: f32| {
            let mut probabilities = [1.0 - p, p];
            curve().apply(&mut probabilities);
            probabilities[1]
        };

        assert_eq!([0.0, 0.2, 0.9].map(become_of), [0.1, 0.1, 0.9]);
        assert!((become_of(0.4) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn of_more_labels_the_best_stays_the_best_and_the_sum_is_one() {
        let mut sure = [0.2, 0.2, 0.6];
        let mut torn = [0.25, 0.35, 0.4];
        let doubt = CalibrationCurve { from: vec![0.0, 1.0], to: vec![0.1, 0.2] };

        curve().apply(&mut sure);
        doubt.apply(&mut torn);

        assert!((sure[2] - 0.9).abs() < 1e-6 && (sure[0] - 0.05).abs() < 1e-6, "{sure:?}");
        assert!(torn[2] >= torn[1] && (torn.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{torn:?}");
    }

    #[test]
    fn a_curve_that_falls_or_is_cut_short_is_none() {
        assert!(curve().is_sound());
        assert!(!CalibrationCurve { to: vec![0.9, 0.1], ..curve() }.is_sound());
        assert!(!CalibrationCurve { to: vec![0.1], ..curve() }.is_sound());
        assert!(!CalibrationCurve { from: vec![0.2, 0.2], ..curve() }.is_sound());
        assert!(!CalibrationCurve { to: vec![0.0, 0.5], ..curve() }.is_sound());
    }
}
