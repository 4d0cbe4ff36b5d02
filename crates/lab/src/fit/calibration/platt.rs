//! Platt scaling: slope and offset of a logit.

/// Rows that it takes to move a slope away from what it was expected to be.
const SLOPE_ROWS: f64 = 10.0;

/// Steps of Newton's method at most.
const MAX_STEPS: usize = 50;

/// An event: the number that speaks for it, beside how likely it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::fit) struct ScoredEvent {
    pub(in crate::fit) score: f64,
    /// The target, 0 to 1.
    pub(in crate::fit) truth: f64,
    /// The weight of the event beside others.
    pub(in crate::fit) weight: f64,
}

/// A line from scores to logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::fit) struct PlattScale {
    pub(in crate::fit) slope: f64,
    pub(in crate::fit) offset: f64,
}

impl PlattScale {
    /// The line that changes nothing.
    pub(in crate::fit) const IDENTITY: Self = Self { slope: 1.0, offset: 0.0 };

    /// Fits the line (Platt 1999); `expected` is the slope before any row was seen, and more must never mean less.
    pub(in crate::fit) fn fit(events: &[ScoredEvent], expected: f64) -> Self {
        let (mut slope, mut offset) = (expected, 0.0);
        let ridge = SLOPE_ROWS / (expected * expected);
        for _ in 0..MAX_STEPS {
            // Gradient and Hessian of the loss in slope (a) and offset (b).
            let (mut a, mut b, mut aa, mut ab, mut bb) = (ridge * (slope - expected), 0.0, ridge, 0.0, 1e-6);
            for ScoredEvent { score, truth, weight } in events {
                let p = 1.0 / (1.0 + (-(slope * score + offset)).exp());
                let (error, curvature) = (weight * (p - truth), weight * (p * (1.0 - p)).max(1e-6));
                (a, b) = (a + error * score, b + error);
                (aa, ab, bb) = (aa + curvature * score * score, ab + curvature * score, bb + curvature);
            }
            let determinant = (aa * bb - ab * ab).max(1e-12);
            let slope_step = (bb * a - ab * b) / determinant;
            let offset_step = (aa * b - ab * a) / determinant;
            slope -= slope_step.clamp(-expected, expected);
            offset -= offset_step.clamp(-1.0, 1.0);
            if slope_step.abs() + offset_step.abs() < 1e-9 {
                break;
            }
        }
        Self { slope: slope.max(0.02 * expected), offset }
    }

    /// Returns the logit of a score.
    pub(in crate::fit) fn logit(self, score: f64) -> f64 {
        self.slope * score + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platt_scaling_finds_slope_and_offset_and_keeps_to_what_is_expected_of_few() {
        let truth = |score: f64| 1.0 / (1.0 + (-(2.0 * score - 0.5)).exp());
        let event = |score: f64| ScoredEvent { score, truth: truth(score), weight: 1.0 };
        let events: Vec<ScoredEvent> = (-10_000..10_000).map(|i| event(f64::from(i) / 3000.0)).collect();

        let PlattScale { slope, offset } = PlattScale::fit(&events, 1.0);
        let few = PlattScale::fit(&events[10_000..10_001], 3.0).slope;

        assert!((slope - 2.0).abs() < 0.05 && (offset + 0.5).abs() < 0.05, "{slope}, {offset}");
        assert!((few - 3.0).abs() < 0.1, "{few}");
    }
}
