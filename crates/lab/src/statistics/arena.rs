//! The score of RouterArena: accuracy and cost as one figure.
//!
//! (1 + b) A C / (b A + C), with A the accuracy from 0 to 1 and C the cost of a thousand queries on a scale of log2 from
//! the dearest (0) to the cheapest (1) that its leaderboard knows.

/// The weight of the accuracy.
const BETA: f64 = 0.1;
/// The cost of a thousand queries that scores 0, in US dollars.
const DEAREST: f64 = 200.0;
/// The cost of a thousand queries that scores 1, in US dollars.
const CHEAPEST: f64 = 0.0044;

/// Returns the score of an accuracy from 0 to 1 at a mean cost of one query in US dollars.
#[must_use]
pub fn arena_score(accuracy: f64, cost: f64) -> f64 {
    let saved = cost_scale(cost);
    let divisor = BETA * accuracy + saved;
    if divisor > 0.0 { (1.0 + BETA) * accuracy * saved / divisor } else { 0.0 }
}

/// Returns the place of a query's cost between the dearest (0) and the cheapest (1).
fn cost_scale(cost: f64) -> f64 {
    let per_thousand = (1000.0 * cost).clamp(CHEAPEST, DEAREST);
    (DEAREST / per_thousand).log2() / (DEAREST / CHEAPEST).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_costs_is_logarithmic_between_its_ends() {
        let middle = (DEAREST * CHEAPEST).sqrt() / 1000.0;

        assert_eq!([cost_scale(1.0), cost_scale(0.2), cost_scale(0.0)], [0.0, 0.0, 1.0]);
        assert!((cost_scale(middle) - 0.5).abs() < 1e-12, "{}", cost_scale(middle));
    }

    #[test]
    fn the_score_weighs_the_accuracy_ten_times_as_much_as_the_cost() {
        // With b = 0.1 the score of A = 0.7 and C = 0.5 is 1.1 * 0.35 / 0.57.
        let middle = (DEAREST * CHEAPEST).sqrt() / 1000.0;

        assert!((arena_score(0.7, middle) - 0.385 / 0.57).abs() < 1e-12);
        assert_eq!([arena_score(0.0, 0.0), arena_score(1.0, 1.0), arena_score(1.0, 0.0)], [0.0, 0.0, 1.0]);
    }
}
