//! Several models beside each other: what each is worth, what it costs, which are worth their price.
//!
//! An unknown cost is no cost of zero: figures that would need it are left out, and why is said.

pub(super) mod columns;
mod success;

use serde::Serialize;

use self::columns::ModelColumns;
pub use self::success::SuccessFigures;
use crate::statistics::{RoutingCurve, RoutingCurvePoint};

/// The part of the best model's quality that must be kept while saving.
const KEPT: f64 = 0.95;

/// One model on every prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelFigures {
    /// The model.
    pub model: String,
    /// The mean quality of its answers.
    pub quality: f64,
    /// The mean cost of one answer; `None` unless every answer's is known.
    pub cost: Option<f64>,
    /// Answers whose cost is known.
    pub priced: u64,
    /// The mean number of tokens of prompt and answer together; `None` unless every answer's are known.
    pub tokens: Option<f64>,
    /// True when no other model of known cost is as good for less; `None` when the model's own cost is not known.
    pub pareto: Option<bool>,
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
    /// The quality of a model drawn at random for each prompt.
    pub random_quality: f64,
    /// The mean cost of that; `None` when the cost of one model is not known.
    pub random_cost: Option<f64>,
    /// The quality of an oracle that knows the best model for each prompt.
    pub oracle_quality: f64,
    /// The mean cost of an oracle that takes the cheapest of the best; `None` when the cost of one of the best is not
    /// known.
    pub oracle_cost: Option<f64>,
    /// The reason for costs that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_left_out: Option<String>,
    /// Cost and quality along the router's thresholds, the fewest calls to the strong model first. Empty unless every
    /// cost of its two models is known.
    pub cost_quality: Vec<CostQuality>,
    /// The least cost at which the router keeps 95 % of the best single model's quality.
    pub cost_at_95: Option<f64>,
    /// The same, as a share of the best single model's cost.
    pub cost_at_95_share: Option<f64>,
}

impl ModelColumns {
    /// Returns every model that answers all prompts, the best first.
    pub(super) fn models(&self) -> Vec<ModelFigures> {
        let figures = |(model, column): (&str, &columns::ModelColumn)| ModelFigures {
            model: model.to_owned(),
            quality: column.mean_score(),
            cost: column.mean_cost(),
            priced: column.priced(),
            tokens: column.mean_tokens(),
            pareto: None,
        };
        let mut models: Vec<ModelFigures> = self.whole().map(figures).collect();
        models.sort_by(|a, b| b.quality.total_cmp(&a.quality));
        let front = |one: &ModelFigures| one.cost.map(|_| !models.iter().any(|other| other.dominates(one)));
        let pareto: Vec<Option<bool>> = models.iter().map(front).collect();
        models.iter_mut().zip(pareto).for_each(|(model, pareto)| model.pareto = pareto);
        models
    }

    /// Returns the figures of `models`, which are ours; `quality` and `cost` go along the router's thresholds.
    pub(super) fn figures(
        &self,
        models: Vec<ModelFigures>,
        quality: &RoutingCurve,
        cost: Option<&RoutingCurve>,
    ) -> ModelsFigures {
        let n = self.rows().max(1) as f64;
        let pair = |(quality, cost): (&RoutingCurvePoint, &RoutingCurvePoint)| CostQuality {
            cost: cost.quality,
            quality: quality.quality,
        };
        let cost_quality: Vec<CostQuality> =
            cost.map(|cost| quality.points().iter().zip(cost.points()).map(pair).collect()).unwrap_or_default();
        let single = models.first();
        let cost_at_95 = single.and_then(|single| least_cost(&cost_quality, KEPT * single.quality));
        let share =
            |cost: f64| single.and_then(|single| single.cost).filter(|full| *full > 0.0).map(|full| cost / full);
        let cheapest: Option<f64> = (0..self.rows()).map(|row| self.cheapest_best(row)).sum();
        let m = models.len().max(1) as f64;
        ModelsFigures {
            random_quality: models.iter().map(|model| model.quality).sum::<f64>() / m,
            random_cost: models.iter().map(|model| model.cost).sum::<Option<f64>>().map(|sum| sum / m),
            oracle_quality: (0..self.rows()).map(|row| self.best(row)).sum::<f64>() / n,
            oracle_cost: cheapest.map(|sum| sum / n),
            cost_left_out: left_out(&models, self.rows()),
            cost_at_95_share: cost_at_95.and_then(share),
            cost_at_95,
            cost_quality,
            models,
        }
    }
}

impl ModelFigures {
    /// Returns whether it is as good as `other` for less, or better for no more, as far as both costs are known.
    fn dominates(&self, other: &Self) -> bool {
        let Some((own, others)) = self.cost.zip(other.cost) else { return false };
        self.quality >= other.quality && own <= others && (self.quality > other.quality || own < others)
    }
}

/// Says which models' costs are not known, and how many of their answers are priced.
fn left_out(models: &[ModelFigures], rows: usize) -> Option<String> {
    let unknown: Vec<&ModelFigures> = models.iter().filter(|model| model.cost.is_none()).collect();
    if unknown.is_empty() {
        return None;
    }
    if models.iter().all(|model| model.priced == 0) {
        return Some("the rows have no `cost_usd`, nor `tokens` of models with a price".to_owned());
    }
    let each: Vec<String> =
        unknown.iter().map(|model| format!("{} of {rows} of {}", model.priced, model.model)).collect();
    Some(format!("not every answer has a cost: priced are {}", each.join(", ")))
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
    use crate::dataset::ModelOutcome;
    use crate::statistics::{PromptRanking, RoutedOutcome};

    fn columns(rows: &[&[(&str, f64, Option<f64>)]]) -> ModelColumns {
        let mut columns = ModelColumns::default();
        for row in rows {
            let answer = |(model, score, cost): &(&str, f64, Option<f64>)| {
                ((*model).to_owned(), ModelOutcome { score: *score, cost: *cost, tokens: None })
            };
            columns.add(&row.iter().map(answer).collect());
        }
        columns
    }

    #[test]
    fn a_model_is_on_the_pareto_front_when_none_is_as_good_for_less() {
        let columns = columns(&[&[("a", 1.0, Some(3.0)), ("b", 0.5, Some(1.0)), ("c", 0.5, Some(2.0))]]);

        let front: Vec<_> = columns.models().into_iter().map(|model| (model.model, model.pareto)).collect();

        assert_eq!(front, [("a", true), ("b", true), ("c", false)].map(|(model, is)| (model.to_owned(), Some(is))));
    }

    #[test]
    fn a_model_of_unknown_cost_is_neither_free_nor_in_anybody_s_way() {
        let row = |cost| [("free", 1.0, cost), ("a", 1.0, Some(3.0)), ("b", 0.5, Some(4.0))];
        let columns = columns(&[&row(None), &row(Some(0.5))]);

        let models = columns.models();

        let known: Vec<_> =
            models.iter().map(|model| (&*model.model, model.cost, model.priced, model.pareto)).collect();
        assert_eq!(known, [("a", Some(3.0), 2, Some(true)), ("free", None, 1, None), ("b", Some(4.0), 2, Some(false))]);
        let note = left_out(&models, 2).expect("a reason");
        assert_eq!(note, "not every answer has a cost: priced are 1 of 2 of free");
        let quality =
            PromptRanking::of([0.0, 1.0], 7).curve(&[RoutedOutcome { score: 0.0, strong: 1.0, weak: 0.5 }; 2]);
        let figures = columns.figures(models, &quality, None);
        assert_eq!((figures.oracle_cost, figures.cost_at_95, figures.cost_quality.len()), (None, None, 0));
    }

    #[test]
    fn the_cost_of_a_quality_lies_on_the_line_between_thresholds() {
        let point = |cost, quality| CostQuality { cost, quality };

        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.625), Some(2.0));
        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.8), None);
        assert_eq!(least_cost(&[point(1.0, 0.5), point(3.0, 0.75)], 0.25), Some(1.0));
    }
}
