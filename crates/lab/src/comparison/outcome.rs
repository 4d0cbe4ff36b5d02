//! The worth of an answer and what it took.

use crate::answers::{AnswerRow, GraderWeights};
use crate::statistics::RunningMean;

/// The quality from which on an answer counts as right where its graders do not say.
const RIGHT: f64 = 0.5;

/// The worth of an answer and what it took; the mean where a prompt was asked several times.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AnswerOutcome {
    /// The quality, 0 to 1; 0 of a request that failed.
    pub quality: f64,
    /// The share of right answers: 1 or 0 where there is one.
    pub right: f64,
    /// The cost in US dollars, that of judges which chose the model included; `None` where it is not known.
    pub cost: Option<f64>,
    /// The part of the cost that judges took.
    pub judge_cost: f64,
    /// Milliseconds to the end, the choice of the model included.
    pub duration_ms: Option<f64>,
    /// Milliseconds to the first byte.
    pub first_byte_ms: Option<f64>,
    /// Microseconds that Pointsman took of them.
    pub overhead_us: Option<f64>,
}

impl AnswerOutcome {
    /// Returns the mean over the answers to one prompt; `None` where one of them is not graded.
    pub(super) fn of(rows: &[AnswerRow], weights: &GraderWeights) -> Option<Self> {
        Self::mean(&Self::each(rows, weights)?)
    }

    /// Returns the outcome of each answer to one prompt; `None` where one of them is not graded.
    pub(super) fn each(rows: &[AnswerRow], weights: &GraderWeights) -> Option<Vec<Self>> {
        rows.iter().map(|row| Self::of_row(row, weights)).collect()
    }

    /// Returns the mean of outcomes; `None` of none. What one of them does not know, the mean does not either.
    pub(super) fn mean(outcomes: &[Self]) -> Option<Self> {
        let known = |part: fn(&Self) -> Option<f64>| -> Option<f64> {
            let parts: Vec<f64> = outcomes.iter().map(part).collect::<Option<_>>()?;
            mean(parts)
        };
        Some(Self {
            quality: known(|outcome| Some(outcome.quality))?,
            right: known(|outcome| Some(outcome.right))?,
            cost: known(|outcome| outcome.cost),
            judge_cost: known(|outcome| Some(outcome.judge_cost))?,
            duration_ms: known(|outcome| outcome.duration_ms),
            first_byte_ms: known(|outcome| outcome.first_byte_ms),
            overhead_us: known(|outcome| outcome.overhead_us),
        })
    }

    /// Returns what is expected where `part` of the requests get `other`.
    pub(super) fn mixed(self, other: Self, part: f64) -> Self {
        let of = |own: f64, other: f64| own + part * (other - own);
        Self {
            quality: of(self.quality, other.quality),
            right: of(self.right, other.right),
            cost: self.cost.zip(other.cost).map(|(own, other)| of(own, other)),
            ..Self::default()
        }
    }

    /// Returns the outcome behind a choice that took so many microseconds.
    pub(super) fn after(self, took_us: f64) -> Self {
        let later = |ms: f64| ms + took_us / 1e3;
        Self {
            duration_ms: self.duration_ms.map(later),
            first_byte_ms: self.first_byte_ms.map(later),
            overhead_us: Some(self.overhead_us.unwrap_or_default() + took_us),
            ..self
        }
    }

    /// Returns the outcome behind another answer, which costs too and which the client waited for.
    pub(super) fn behind(self, first: Self) -> Self {
        let sum = |own: Option<f64>, before: Option<f64>| own.zip(before).map(|(own, before)| own + before);
        Self {
            cost: sum(self.cost, first.cost),
            judge_cost: self.judge_cost + first.judge_cost,
            duration_ms: sum(self.duration_ms, first.duration_ms),
            first_byte_ms: sum(self.first_byte_ms, first.duration_ms),
            ..self
        }
    }

    /// Returns the outcome beside so many further answers, which cost and are not waited for.
    pub(super) fn beside(self, answer: Self, times: u32) -> Self {
        let cost = if times == 0 {
            self.cost
        } else {
            self.cost.zip(answer.cost).map(|(own, more)| own + f64::from(times) * more)
        };
        Self { cost, ..self }
    }

    /// Returns the outcome with the cost of a judge of the answer.
    pub(super) fn judged(self, dollars: Option<f64>) -> Self {
        let judge_cost = self.judge_cost + dollars.unwrap_or_default();
        Self { cost: self.cost.zip(dollars).map(|(own, judge)| own + judge), judge_cost, ..self }
    }

    fn of_row(row: &AnswerRow, weights: &GraderWeights) -> Option<Self> {
        let judge_cost = row.judge_cost_usd.unwrap_or_default();
        let took = Self {
            judge_cost,
            duration_ms: row.duration_ms,
            first_byte_ms: row.first_byte_ms,
            overhead_us: row.overhead_us.map(|us| us as f64),
            ..Self::default()
        };
        if row.error.is_some() {
            // A request that failed is worth nothing; what it may have cost is in its row, if anybody knows.
            return Some(Self { cost: Some(row.cost_usd.unwrap_or_default() + judge_cost), ..took });
        }
        let quality = row.quality(weights)?;
        let told: Vec<bool> = row.grades.iter().filter_map(|grade| grade.correct).collect();
        let right = if told.is_empty() { quality >= RIGHT } else { told.iter().all(|correct| *correct) };
        let cost = row.cost_usd.map(|cost| cost + judge_cost);
        Some(Self { quality, right: f64::from(u8::from(right)), cost, ..took })
    }
}

fn mean(values: Vec<f64>) -> Option<f64> {
    let mut mean = RunningMean::default();
    values.into_iter().for_each(|value| mean.add(value));
    mean.mean()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(rows: &serde_json::Value) -> Vec<AnswerRow> {
        serde_json::from_value(rows.clone()).expect("rows")
    }

    fn outcome(of: &serde_json::Value) -> Option<AnswerOutcome> {
        AnswerOutcome::of(&rows(of), &GraderWeights::default())
    }

    #[test]
    fn a_failed_request_is_worth_nothing_and_costs_what_is_known() {
        let failed =
            json!([{"id": "a", "asked": "m", "error": {"code": "timeout", "message": ""}, "duration_ms": 9.0}]);

        let outcome = outcome(&failed).expect("an outcome");

        assert_eq!((outcome.quality, outcome.cost, outcome.duration_ms), (0.0, Some(0.0), Some(9.0)));
    }

    #[test]
    fn an_answer_that_nobody_graded_has_no_outcome() {
        let graded = json!({"id": "a", "asked": "m", "answer": "x", "grades": [{"grader": "choice", "score": 1.0}]});
        let ungraded = json!({"id": "a", "asked": "m", "answer": "x"});

        assert_eq!(outcome(&json!([graded, ungraded])), None);
        assert!(outcome(&json!([graded])).is_some());
    }

    #[test]
    fn several_answers_are_their_mean_and_a_judge_s_cost_is_part_of_the_cost() {
        let answer = |score: f64, cost: f64, correct: bool| {
            json!({"id": "a", "asked": "auto", "answer": "x", "cost_usd": cost, "judge_cost_usd": 0.5,
                "grades": [{"grader": "choice", "score": score, "correct": correct}]})
        };

        let outcome = outcome(&json!([answer(1.0, 1.0, true), answer(0.5, 2.0, false)])).expect("an outcome");

        assert_eq!((outcome.quality, outcome.right), (0.75, 0.5));
        assert_eq!((outcome.cost, outcome.judge_cost, outcome.duration_ms), (Some(2.0), 0.5, None));
    }

    #[test]
    fn without_a_word_of_the_graders_half_a_quality_is_right() {
        let right = |score: f64| {
            let row =
                json!([{"id": "a", "asked": "m", "answer": "x", "grades": [{"grader": "judge", "score": score}]}]);
            outcome(&row).expect("an outcome").right
        };

        assert_eq!([right(0.49), right(0.5)], [0.0, 1.0]);
    }
}
