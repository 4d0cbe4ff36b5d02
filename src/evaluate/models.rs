//! Several models beside each other: what each is worth, what it costs, which are worth their price.

use std::collections::BTreeMap;

use serde::Serialize;

use super::binary::{Claim, EventFigures, auc};
use super::dataset::Answer;
use super::routing::Curve;
use crate::config::Name;

/// The part of the best model's quality that must be kept while saving.
const KEPT: f64 = 0.95;

/// One model on every prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelFigures {
    /// The model.
    pub model: String,
    /// The mean quality of its answers.
    pub quality: f64,
    /// The mean cost of one answer; absent when the file does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Whether no other model is as good for less.
    pub pareto: bool,
}

/// A mean cost and quality.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostQuality {
    /// The mean cost of one answer.
    pub cost: f64,
    /// The mean quality of the answers.
    pub quality: f64,
}

/// Several models, and what routing between two of them saves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelsFigures {
    /// Every model, the best first.
    pub models: Vec<ModelFigures>,
    /// The quality of an oracle that knows the best model for each prompt.
    pub oracle_quality: f64,
    /// What that oracle pays when it takes the cheapest of the best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oracle_cost: Option<f64>,
    /// Cost and quality along the router's thresholds, the fewest calls to the strong model first.
    pub cost_quality: Vec<CostQuality>,
    /// The least cost at which the router keeps 95 % of the best single model's quality.
    pub cost_at_95: Option<f64>,
    /// The same, as a share of the best single model's cost.
    pub cost_at_95_share: Option<f64>,
}

/// Routing between several models by how likely each succeeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuccessFigures {
    /// The models that have heads.
    pub models: Vec<String>,
    /// The quality of always taking the model whose success is the most probable.
    pub quality: f64,
    /// What that costs; absent when the file does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// How much of the prompts each model gets then.
    pub shares: Vec<f64>,
    /// Means over the models: AUC, expected calibration error, Brier score.
    pub auc: f64,
    /// The same.
    pub ece: f64,
    /// The same.
    pub brier: f64,
    /// Cost and quality when a success is worth less and less, down to where cost alone decides: the cheapest first, and of
    /// what is dominated nothing. Empty without costs.
    pub frontier: Vec<CostQuality>,
    /// The least cost on that line at which 95 % of the best single model's quality is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_at_95: Option<f64>,
}

/// Sums over rows of several models.
#[derive(Debug, Default)]
pub(super) struct ModelsTally {
    rows: Vec<BTreeMap<String, Answer>>,
}

impl ModelsTally {
    pub(super) fn add(&mut self, answers: BTreeMap<String, Answer>) {
        self.rows.push(answers);
    }

    pub(super) fn rows(&self) -> &[BTreeMap<String, Answer>] {
        &self.rows
    }

    /// Returns every model that answers all prompts, the best first.
    pub(super) fn models(&self) -> Vec<ModelFigures> {
        let names = self.rows.first().into_iter().flat_map(BTreeMap::keys);
        let mut models: Vec<ModelFigures> = names.filter_map(|model| self.model(model)).collect();
        models.sort_by(|a, b| b.quality.total_cmp(&a.quality));
        let dominated = |one: &ModelFigures, other: &ModelFigures| {
            let (one_cost, other_cost) = (one.cost.unwrap_or(0.0), other.cost.unwrap_or(0.0));
            other.quality >= one.quality
                && other_cost <= one_cost
                && (other.quality > one.quality || other_cost < one_cost)
        };
        let pareto: Vec<bool> = models.iter().map(|one| !models.iter().any(|other| dominated(one, other))).collect();
        models.iter_mut().zip(pareto).for_each(|(model, pareto)| model.pareto = pareto);
        models
    }

    fn model(&self, model: &str) -> Option<ModelFigures> {
        let answers: Vec<&Answer> = self.rows.iter().map(|row| row.get(model)).collect::<Option<_>>()?;
        let costs: Option<f64> = answers.iter().map(|answer| answer.cost).sum();
        let n = answers.len() as f64;
        let quality = answers.iter().map(|answer| answer.score).sum::<f64>() / n;
        Some(ModelFigures { model: model.to_owned(), quality, cost: costs.map(|sum| sum / n), pareto: false })
    }

    /// Returns the figures; `curves` are quality and cost along the router's thresholds.
    pub(super) fn figures(&self, quality: &Curve, cost: Option<&Curve>) -> ModelsFigures {
        let models = self.models();
        let n = self.rows.len().max(1) as f64;
        let best = |row: &BTreeMap<String, Answer>| row.values().map(|answer| answer.score).fold(0.0, f64::max);
        let cheapest = |row: &BTreeMap<String, Answer>| {
            let top = best(row);
            let costs = row.values().filter(|answer| answer.score >= top).filter_map(|answer| answer.cost);
            costs.min_by(f64::total_cmp)
        };
        let pair = |(quality, cost): (&super::Point, &super::Point)| CostQuality {
            cost: cost.quality,
            quality: quality.quality,
        };
        let cost_quality: Vec<CostQuality> =
            cost.map(|cost| quality.points().iter().zip(cost.points()).map(pair).collect()).unwrap_or_default();
        let single = models.first();
        let cost_at_95 = single.and_then(|single| least_cost(&cost_quality, KEPT * single.quality));
        let share =
            |cost: f64| single.and_then(|single| single.cost).filter(|full| *full > 0.0).map(|full| cost / full);
        ModelsFigures {
            oracle_quality: self.rows.iter().map(best).sum::<f64>() / n,
            oracle_cost: self.rows.iter().map(cheapest).sum::<Option<f64>>().map(|sum| sum / n),
            cost_at_95_share: cost_at_95.and_then(share),
            cost_at_95,
            cost_quality,
            models,
        }
    }
}

impl SuccessFigures {
    /// Routes every row by its `chances`, one for each of `models`, in whose order they stand.
    pub(super) fn of(models: &[(String, Name)], chances: &[Vec<f32>], rows: &[BTreeMap<String, Answer>]) -> Self {
        let models: Vec<String> = models.iter().map(|(model, _)| model.clone()).collect();
        let answers: Vec<Vec<Answer>> =
            rows.iter().map(|row| models.iter().map(|model| row[model]).collect()).collect();
        let routes =
            Routes { models: models.len(), chances, answers: &answers, prices: prices(&answers, models.len()) };
        let best = routes.taken(f64::INFINITY);
        let n = rows.len().max(1) as f64;
        let share = |model: usize| best.iter().filter(|taken| **taken == model).count() as f64 / n;
        let frontier = routes.frontier();
        let single = |model: usize| answers.iter().map(|row| row[model].score).sum::<f64>() / n;
        let single = (0..models.len()).map(single).fold(0.0, f64::max);
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
            models,
        }
    }
}

/// Rows with what is known of each model's answer, before and after.
struct Routes<'r> {
    models: usize,
    chances: &'r [Vec<f32>],
    answers: &'r [Vec<Answer>],
    /// The mean cost of each model; what one answer costs is not known before.
    prices: Option<Vec<f64>>,
}

impl Routes<'_> {
    /// Returns which model each row gets when a success is worth so much.
    fn taken(&self, worth: f64) -> Vec<usize> {
        let value = |chances: &[f32], model: usize| {
            let chance = f64::from(chances[model]);
            match &self.prices {
                Some(prices) if worth.is_finite() => worth * chance - prices[model],
                _ => chance,
            }
        };
        let best = |chances: &Vec<f32>| {
            let order = |a: &usize, b: &usize| value(chances, *a).total_cmp(&value(chances, *b));
            (0..self.models).rev().max_by(order).unwrap_or_default()
        };
        self.chances.iter().map(best).collect()
    }

    fn quality(&self, taken: &[usize]) -> f64 {
        let sum: f64 = self.answers.iter().zip(taken).map(|(answers, model)| answers[*model].score).sum();
        sum / taken.len().max(1) as f64
    }

    fn cost(&self, taken: &[usize]) -> Option<f64> {
        let sum: Option<f64> = self.answers.iter().zip(taken).map(|(answers, model)| answers[*model].cost).sum();
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
            let claim = |(chances, answers): (&Vec<f32>, &Vec<Answer>)| Claim {
                probability: f64::from(chances[model]),
                truth: answers[model].score >= 0.5,
            };
            let claims: Vec<Claim> = self.chances.iter().zip(self.answers).map(claim).collect();
            (auc(&claims), EventFigures::of(&claims))
        };
        let sums = (0..self.models)
            .map(of)
            .fold((0.0, 0.0, 0.0), |sums, (auc, event)| (sums.0 + auc, sums.1 + event.ece, sums.2 + event.brier));
        let m = self.models.max(1) as f64;
        (sums.0 / m, sums.1 / m, sums.2 / m)
    }
}

/// Returns the mean cost of each model, if all are known.
fn prices(answers: &[Vec<Answer>], models: usize) -> Option<Vec<f64>> {
    let n = answers.len().max(1) as f64;
    let price = |model: usize| answers.iter().map(|row| row[model].cost).sum::<Option<f64>>().map(|sum| sum / n);
    (0..models).map(price).collect()
}

/// Returns the least cost on the line through `points` at which the quality is at least `quality`.
fn least_cost(points: &[CostQuality], quality: f64) -> Option<f64> {
    let ends = points.iter().filter(|point| point.quality >= quality).map(|point| point.cost);
    let crossings = points.windows(2).filter_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let share = (quality - from.quality) / (to.quality - from.quality);
        (0.0..=1.0).contains(&share).then_some(from.cost + share * (to.cost - from.cost))
    });
    ends.chain(crossings).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(rows: &[&[(&str, f64, f64)]]) -> ModelsTally {
        let mut tally = ModelsTally::default();
        for row in rows {
            let answer = |(model, score, cost): &(&str, f64, f64)| {
                ((*model).to_owned(), Answer { score: *score, cost: Some(*cost) })
            };
            tally.add(row.iter().map(answer).collect());
        }
        tally
    }

    #[test]
    fn a_model_is_on_the_pareto_front_when_none_is_as_good_for_less() {
        let tally = tally(&[&[("a", 1.0, 3.0), ("b", 0.5, 1.0), ("c", 0.5, 2.0)]]);

        let front: Vec<_> = tally.models().into_iter().map(|model| (model.model, model.pareto)).collect();

        assert_eq!(front, [("a".to_owned(), true), ("b".to_owned(), true), ("c".to_owned(), false)]);
    }

    #[test]
    fn the_most_probable_model_is_taken_and_the_frontier_starts_at_the_cheapest() {
        let answer = |score, cost| Answer { score, cost: Some(cost) };
        let row = |a, b| BTreeMap::from([("a".to_owned(), answer(a, 1.0)), ("b".to_owned(), answer(b, 4.0))]);
        let models = ["a", "b"].map(|model| (model.to_owned(), Name::new(model).expect("a name")));
        let chances = [vec![0.9, 0.8], vec![0.1, 0.7]];

        let figures = SuccessFigures::of(&models, &chances, &[row(1.0, 1.0), row(0.0, 1.0)]);

        assert_eq!((figures.quality, figures.cost, figures.shares), (1.0, Some(2.5), vec![0.5, 0.5]));
        let point = |cost, quality| CostQuality { cost, quality };
        assert_eq!(figures.frontier, [point(1.0, 0.5), point(2.5, 1.0)]);
    }

    #[test]
    fn the_cost_of_a_quality_lies_on_the_line_between_thresholds() {
        let point = |cost, quality| CostQuality { cost, quality };

        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.625), Some(2.0));
        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.8), None);
        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.25), Some(1.0));
    }
}
