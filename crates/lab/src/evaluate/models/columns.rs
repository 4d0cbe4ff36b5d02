//! What became of many prompts with each of several models: two columns of numbers a model, and no text.
//!
//! A map a row would take fifty times the room.

use std::collections::BTreeMap;

use crate::dataset::ModelOutcome;

/// The answers of several models to the same prompts.
#[derive(Debug, Default)]
pub(in crate::evaluate) struct ModelColumns {
    by_model: BTreeMap<String, ModelColumn>,
    rows: usize,
}

/// One model's answers, row by row.
#[derive(Debug, Default)]
pub(in crate::evaluate) struct ModelColumn {
    /// Not a number where a row does not speak of the model.
    scores: Vec<f64>,
    /// Not a number where the cost is not known.
    costs: Vec<f64>,
    tokens: TokenSum,
}

/// Tokens of the answers whose tokens are known.
#[derive(Debug, Default)]
struct TokenSum {
    tokens: u64,
    answers: u64,
}

impl ModelColumns {
    pub(in crate::evaluate) fn add(&mut self, answers: &BTreeMap<String, ModelOutcome>) {
        for (model, answer) in answers {
            if !self.by_model.contains_key(model) {
                self.by_model.insert(model.clone(), ModelColumn::default());
            }
            if let Some(column) = self.by_model.get_mut(model) {
                column.fill(self.rows);
                column.scores.push(answer.score);
                column.costs.push(answer.cost.unwrap_or(f64::NAN));
                if let Some(tokens) = answer.tokens {
                    column.tokens.tokens = column.tokens.tokens.saturating_add(tokens);
                    column.tokens.answers += 1;
                }
            }
        }
        self.rows += 1;
        self.by_model.values_mut().for_each(|column| column.fill(self.rows));
    }

    /// Returns the number of prompts.
    pub(in crate::evaluate) const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the answers of `model`, if it answered every prompt.
    pub(in crate::evaluate) fn model(&self, model: &str) -> Option<&ModelColumn> {
        self.by_model.get(model).filter(|column| column.is_whole())
    }

    /// Iterates over the models that answered every prompt, in the order of their names.
    pub(super) fn whole(&self) -> impl Iterator<Item = (&str, &ModelColumn)> {
        self.by_model.iter().filter(|(_, column)| column.is_whole()).map(|(model, column)| (model.as_str(), column))
    }

    /// Returns how good the best answer to a prompt is.
    pub(super) fn best(&self, row: usize) -> f64 {
        self.by_model.values().map(|column| column.scores[row]).fold(0.0, f64::max)
    }

    /// Returns the least cost of the best answers to a prompt, if the cost of each is known.
    pub(super) fn cheapest_best(&self, row: usize) -> Option<f64> {
        let best = self.best(row);
        let costs = self.by_model.values().filter(|column| column.scores[row] >= best).map(|column| column.cost(row));
        costs.collect::<Option<Vec<f64>>>()?.into_iter().min_by(f64::total_cmp)
    }
}

impl ModelColumn {
    /// Returns how good each answer is, 0 to 1.
    pub(in crate::evaluate) fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Returns what an answer cost, if that is known.
    pub(in crate::evaluate) fn cost(&self, row: usize) -> Option<f64> {
        self.costs.get(row).copied().filter(|cost| !cost.is_nan())
    }

    /// Returns how many answers have a cost.
    pub(super) fn priced(&self) -> u64 {
        self.costs.iter().filter(|cost| !cost.is_nan()).count() as u64
    }

    pub(super) fn mean_score(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len() as f64
    }

    /// Returns the mean cost, if all are known: a mean of some would stand beside those of other prompts.
    pub(super) fn mean_cost(&self) -> Option<f64> {
        let sum: f64 = self.costs.iter().sum();
        (!sum.is_nan()).then(|| sum / self.costs.len() as f64)
    }

    /// Returns the mean number of tokens, prompt and answer together, if all are known.
    pub(super) fn mean_tokens(&self) -> Option<f64> {
        let TokenSum { tokens, answers } = self.tokens;
        (answers > 0 && answers == self.scores.len() as u64).then(|| tokens as f64 / answers as f64)
    }

    fn is_whole(&self) -> bool {
        self.scores.iter().all(|score| !score.is_nan())
    }

    /// Notes that nothing is known of the rows up to `rows`.
    fn fill(&mut self, rows: usize) {
        let rows = rows.max(self.scores.len());
        self.scores.resize(rows, f64::NAN);
        self.costs.resize(rows, f64::NAN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(answers: &[(&str, f64, Option<f64>)]) -> BTreeMap<String, ModelOutcome> {
        answers
            .iter()
            .map(|(model, score, cost)| {
                ((*model).to_owned(), ModelOutcome { score: *score, cost: *cost, tokens: None })
            })
            .collect()
    }

    #[test]
    fn a_model_that_some_rows_do_not_speak_of_is_not_whole_but_may_be_the_best() {
        let mut columns = ModelColumns::default();
        columns.add(&row(&[("a", 0.5, Some(1.0))]));
        columns.add(&row(&[("a", 0.5, None), ("late", 1.0, Some(2.0))]));
        columns.add(&row(&[("a", 0.5, Some(3.0))]));

        let whole: Vec<_> =
            columns.whole().map(|(model, column)| (model, column.priced(), column.mean_cost())).collect();
        assert_eq!(whole, [("a", 2, None)]);
        assert!(columns.model("late").is_none());
        assert_eq!([0, 1, 2].map(|row| columns.best(row)), [0.5, 1.0, 0.5]);
        assert_eq!([0, 1, 2].map(|row| columns.cheapest_best(row)), [Some(1.0), Some(2.0), Some(3.0)]);
    }

    #[test]
    fn of_equally_good_answers_one_of_unknown_cost_may_be_the_cheapest() {
        let mut columns = ModelColumns::default();
        columns.add(&row(&[("a", 1.0, None), ("b", 1.0, Some(2.0)), ("c", 0.0, Some(1.0))]));

        assert_eq!(columns.cheapest_best(0), None);
    }
}
