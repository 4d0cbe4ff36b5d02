//! Several models beside each other: what each is worth, what it costs, which are worth their price.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dataset::Answer;
use super::routing::Curve;

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
    fn the_cost_of_a_quality_lies_on_the_line_between_thresholds() {
        let point = |cost, quality| CostQuality { cost, quality };

        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.625), Some(2.0));
        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.8), None);
        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.25), Some(1.0));
    }
}
