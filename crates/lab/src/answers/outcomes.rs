//! Outcomes of models, from their graded answers: the rows that `fit --task success` and `eval` read.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::{AnswerRow, GraderWeights};
use crate::statistics::RunningMean;

/// The outcomes of one prompt with several models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutcomeRow {
    /// The prompt's id.
    pub id: String,
    /// The prompt, where it is no conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Value>,
    /// The group that near-duplicates and variants share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The part of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The quality of each model's answer, 0 to 1.
    pub scores: BTreeMap<String, f64>,
    /// The cost of each model's answer, in US dollars, where it is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cost_usd: BTreeMap<String, f64>,
    /// The tokens of each model's answer, where they are known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, OutcomeTokenCounts>,
}

/// The tokens of an answer, by what they are paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OutcomeTokenCounts {
    /// The tokens of the prompt.
    pub input: u64,
    /// The tokens of the answer.
    pub output: u64,
}

/// Graded answers by prompt, in the order in which prompts first occur.
#[derive(Debug, Default)]
pub struct OutcomeTable {
    weights: GraderWeights,
    places: HashMap<String, usize>,
    prompts: Vec<PromptOutcomes>,
}

#[derive(Debug)]
struct PromptOutcomes {
    /// The first answer, for what was asked.
    first: AnswerRow,
    models: BTreeMap<String, AnswerMeans>,
}

/// The means over a model's answers to one prompt: those that were asked of it, and those that a policy had from it.
#[derive(Debug, Default)]
struct AnswerMeans {
    asked: OutcomeMeans,
    routed: OutcomeMeans,
}

#[derive(Debug, Default)]
struct OutcomeMeans {
    quality: RunningMean,
    cost: RunningMean,
    tokens: Option<OutcomeTokenCounts>,
}

impl OutcomeTable {
    /// Returns an empty table that weights graders so.
    #[must_use]
    pub fn weighted(weights: GraderWeights) -> Self {
        Self { weights, ..Self::default() }
    }

    /// Takes an answer; one without a grade that counts is left out.
    pub fn add(&mut self, row: &AnswerRow) {
        let Some(quality) = row.quality(&self.weights) else { return };
        let place = *self.places.entry(row.id.clone()).or_insert(self.prompts.len());
        if place == self.prompts.len() {
            let first = AnswerRow {
                id: row.id.clone(),
                prompt: row.prompt.clone(),
                messages: row.messages.clone(),
                group: row.group.clone(),
                split: row.split.clone(),
                ..AnswerRow::default()
            };
            self.prompts.push(PromptOutcomes { first, models: BTreeMap::new() });
        }
        let means = self.prompts[place].models.entry(row.answered_by().to_owned()).or_default();
        let means = if row.is_routed() { &mut means.routed } else { &mut means.asked };
        means.quality.add(quality);
        row.cost_usd.into_iter().for_each(|cost| means.cost.add(cost));
        let tokens = row.input_tokens.zip(row.output_tokens);
        means.tokens = means.tokens.or(tokens.map(|(input, output)| OutcomeTokenCounts { input, output }));
    }

    /// Returns the rows: several answers of a model to one prompt are one outcome, their mean. An answer that a policy
    /// had counts where the model was not asked itself.
    pub fn rows(self) -> impl Iterator<Item = OutcomeRow> {
        self.prompts.into_iter().map(|PromptOutcomes { first, models }| {
            let AnswerRow { id, prompt, messages, group, split, .. } = first;
            let (scores, cost_usd, tokens) = Default::default();
            let mut row = OutcomeRow { id, prompt, messages, group, split, scores, cost_usd, tokens };
            for (model, means) in models {
                let means = if means.asked.quality.count() > 0 { means.asked } else { means.routed };
                row.cost_usd.extend(means.cost.mean().map(|cost| (model.clone(), cost)));
                row.tokens.extend(means.tokens.map(|tokens| (model.clone(), tokens)));
                row.scores.extend(means.quality.mean().map(|quality| (model, quality)));
            }
            row
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::AnswerGrade;
    use super::*;

    fn answer(id: &str, model: &str, score: f64) -> AnswerRow {
        let grade = AnswerGrade { grader: "choice".into(), score, ..AnswerGrade::default() };
        AnswerRow {
            id: id.into(),
            prompt: Some(format!("prompt {id}")),
            asked: model.into(),
            model: Some(model.into()),
            cost_usd: Some(score / 4.0),
            grades: vec![grade],
            ..AnswerRow::default()
        }
    }

    #[test]
    fn answers_to_one_prompt_become_one_row_that_fit_reads() {
        let mut table = OutcomeTable::default();
        for row in [answer("a", "small", 0.0), answer("b", "small", 1.0), answer("a", "large", 1.0)] {
            table.add(&row);
        }

        let rows: Vec<Value> = table.rows().map(|row| json!(row)).collect();

        let expected = json!({"id": "a", "prompt": "prompt a", "scores": {"large": 1.0, "small": 0.0}, "cost_usd": {"large": 0.25, "small": 0.0}});
        assert_eq!((rows.len(), &rows[0]), (2, &expected));
    }

    #[test]
    fn repeats_are_their_mean_and_a_policy_s_answer_counts_where_the_model_was_not_asked() {
        let mut table = OutcomeTable::default();
        let routed = |model: &str, score| AnswerRow {
            asked: "auto".into(),
            policy: Some("auto".into()),
            ..answer("a", model, score)
        };
        for row in [answer("a", "small", 0.0), answer("a", "small", 1.0), routed("small", 1.0), routed("large", 1.0)] {
            table.add(&row);
        }

        let row = table.rows().next().expect("a row");

        assert_eq!(json!(row.scores), json!({"small": 0.5, "large": 1.0}));
    }

    #[test]
    fn answers_without_a_grade_are_left_out() {
        let mut table = OutcomeTable::default();
        table.add(&AnswerRow { grades: Vec::new(), ..answer("a", "small", 0.0) });

        assert_eq!(table.rows().count(), 0);
    }
}
