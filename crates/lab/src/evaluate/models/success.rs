//! Routing between several models by how likely each succeeds.

use pointsman_core::config::Name;
use serde::Serialize;

use super::columns::ModelColumn;
use super::{CostQuality, KEPT, least_cost};
use crate::statistics::{BinaryClaim, EventFigures, auc};

/// Routing between several models by how likely each succeeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuccessFigures {
    /// The models that have heads.
    pub models: Vec<String>,
    /// The quality of always taking the model whose success is the most probable.
    pub quality: f64,
    /// The mean cost of those answers; `None` when the cost of one is not known.
    pub cost: Option<f64>,
    /// The share of prompts of each model then.
    pub shares: Vec<f64>,
    /// Means over the models: AUC, expected calibration error, Brier score.
    pub auc: f64,
    /// The same.
    pub ece: f64,
    /// The same.
    pub brier: f64,
    /// Cost and quality when a success is worth less and less, down to where cost alone decides: the cheapest first,
    /// and of what is dominated nothing. Empty unless every answer's cost is known.
    pub frontier: Vec<CostQuality>,
    /// The least cost on that line at which 95 % of the best single model's quality is kept.
    pub cost_at_95: Option<f64>,
}

/// Rows with what is known of each model's answer, before and after.
struct SuccessRoutes<'r> {
    /// Row by row, how likely each model succeeds.
    chances: &'r [f32],
    /// The outcomes of each model, in the same order.
    answers: Vec<&'r ModelColumn>,
    /// The mean cost of each model; what one answer costs is not known before.
    prices: Option<Vec<f64>>,
}

impl SuccessFigures {
    /// Routes every row by its chances, one for each of `models`, whose `answers` stand in the same order.
    pub(in crate::evaluate) fn of(models: &[(String, Name)], chances: &[f32], answers: Vec<&ModelColumn>) -> Self {
        let prices = answers.iter().map(|column| column.mean_cost()).collect();
        let routes = SuccessRoutes { chances, answers, prices };
        let best = routes.taken(f64::INFINITY);
        let n = best.len().max(1) as f64;
        let share = |model: usize| best.iter().filter(|taken| **taken == model).count() as f64 / n;
        let frontier = routes.frontier();
        let single = routes.answers.iter().map(|column| column.mean_score()).fold(0.0, f64::max);
        let (auc, ece, brier) = routes.calibration();
        Self {
            quality: routes.quality(&best),
            cost: routes.cost(&best),
            shares: (0..models.len()).map(share).collect(),
            auc,
            ece,
            brier,
            cost_at_95: least_cost(&frontier, KEPT * single),
            frontier,
            models: models.iter().map(|(model, _)| model.clone()).collect(),
        }
    }
}

impl SuccessRoutes<'_> {
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.chances.chunks_exact(self.answers.len().max(1))
    }

    /// Returns which model each row gets when a success is worth so much.
    fn taken(&self, worth: f64) -> Vec<usize> {
        let value = |chances: &[f32], model: usize| {
            let chance = f64::from(chances[model]);
            match &self.prices {
                Some(prices) if worth.is_finite() => worth * chance - prices[model],
                _ => chance,
            }
        };
        let best = |chances: &[f32]| {
            let order = |a: &usize, b: &usize| value(chances, *a).total_cmp(&value(chances, *b));
            (0..self.answers.len()).rev().max_by(order).unwrap_or_default()
        };
        self.rows().map(best).collect()
    }

    fn quality(&self, taken: &[usize]) -> f64 {
        let sum: f64 = taken.iter().enumerate().map(|(row, model)| self.answers[*model].scores()[row]).sum();
        sum / taken.len().max(1) as f64
    }

    fn cost(&self, taken: &[usize]) -> Option<f64> {
        let sum: Option<f64> = taken.iter().enumerate().map(|(row, model)| self.answers[*model].cost(row)).sum();
        sum.map(|sum| sum / taken.len().max(1) as f64)
    }

    /// Returns cost and quality at 41 values of a success, from a hundredth of the dearest model's price to 100 times.
    fn frontier(&self) -> Vec<CostQuality> {
        let Some(prices) = &self.prices else { return Vec::new() };
        let dearest = prices.iter().copied().fold(0.0, f64::max);
        let worths = (-20..=20).map(|step| dearest * 10_f64.powf(f64::from(step) / 10.0)).chain([f64::INFINITY]);
        let mut points: Vec<CostQuality> = worths
            .filter_map(|worth| {
                let taken = self.taken(worth);
                Some(CostQuality { cost: self.cost(&taken)?, quality: self.quality(&taken) })
            })
            .collect();
        points.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.quality.total_cmp(&a.quality)));
        let mut best = f64::NEG_INFINITY;
        points.retain(|point| {
            let better = point.quality > best;
            best = best.max(point.quality);
            better
        });
        points
    }

    /// Returns means over the models: AUC, ECE, Brier.
    fn calibration(&self) -> (f64, f64, f64) {
        let of = |model: usize| {
            let claim = |(chances, score): (&[f32], &f64)| BinaryClaim {
                probability: f64::from(chances[model]),
                truth: *score >= 0.5,
            };
            let claims: Vec<BinaryClaim> = self.rows().zip(self.answers[model].scores()).map(claim).collect();
            (auc(&claims), EventFigures::of(&claims))
        };
        let models = self.answers.len();
        let sums = (0..models)
            .map(of)
            .fold((0.0, 0.0, 0.0), |sums, (auc, event)| (sums.0 + auc, sums.1 + event.ece, sums.2 + event.brier));
        let m = models.max(1) as f64;
        (sums.0 / m, sums.1 / m, sums.2 / m)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::columns::ModelColumns;
    use super::*;
    use crate::dataset::ModelOutcome;

    fn figures(costs: [Option<f64>; 2]) -> SuccessFigures {
        let row = |scores: [f64; 2]| {
            let answer = |model: usize| {
                (["a", "b"][model].to_owned(), ModelOutcome { score: scores[model], cost: costs[model], tokens: None })
            };
            BTreeMap::from([answer(0), answer(1)])
        };
        let models = ["a", "b"].map(|model| (model.to_owned(), Name::new(model).expect("a name")));
        let mut columns = ModelColumns::default();
        columns.add(&row([1.0, 1.0]));
        columns.add(&row([0.0, 1.0]));
        let answers = ["a", "b"].map(|model| columns.model(model).expect("a column")).to_vec();
        SuccessFigures::of(&models, &[0.9, 0.8, 0.1, 0.7], answers)
    }

    #[test]
    fn the_most_probable_model_is_taken_and_the_frontier_starts_at_the_cheapest() {
        let figures = figures([Some(1.0), Some(4.0)]);

        assert_eq!((figures.quality, figures.cost, figures.shares), (1.0, Some(2.5), vec![0.5, 0.5]));
        let point = |cost, quality| CostQuality { cost, quality };
        assert_eq!(figures.frontier, [point(1.0, 0.5), point(2.5, 1.0)]);
    }

    #[test]
    fn answers_of_unknown_cost_are_not_free() {
        let figures = figures([Some(1.0), None]);

        assert_eq!((figures.quality, figures.cost, figures.cost_at_95), (1.0, None, None));
        assert!(figures.frontier.is_empty());
    }
}
