//! The checks of a cheap model's answers offline: what the file holds of them, and nothing guessed.
//!
//! Each answer of the model to a prompt is checked. The answer's text and its end are in its row. What only asking would tell
//! stands there too, or the prompt is left out: a judge's grade, several answers of the model to the same prompt,
//! `mean_logprob`, or the outcome of a check itself (`checks: {judge: false}`). A judge's cost is that of its grade, or
//! `check_cost_usd: {judge: 0.0004}`; where neither is there, the cost of the answer is not known.

use pointsman_core::answer_check::{CheckVerdict, RequestedFormat, agreement, check};
use pointsman_core::config::{AnswerChecks, AnswerJudgeConfig, SelfConsistency};
use pointsman_core::policy::{AnswerCheck, EscalationPlan};
use pointsman_core::usage::{AnswerText, ToolCallText};
use serde_json::Value;

use crate::answers::{AnswerGrade, AnswerRow};

/// The score of a judge's grade from which on an answer passes.
const GOOD: f64 = 0.5;

/// The key of the mean log probability of an answer's tokens.
const MEAN_LOGPROB: &str = "mean_logprob";

/// The key of outcomes of checks.
const CHECKS: &str = "checks";

/// The key of costs of checks, in US dollars.
const CHECK_COSTS: &str = "check_cost_usd";

/// The grader's name of judges.
const JUDGE: &str = "judge";

/// What the checks of an answer came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OfflineVerdict {
    /// The check that it failed; `None` where the client gets it.
    pub(super) failed: Option<AnswerCheck>,
    /// The further answers of the cheap model that were paid.
    pub(super) samples: u32,
    /// The cost of its judge in US dollars: 0 where none was asked, `None` where it is not known.
    pub(super) judge_cost: Option<f64>,
}

/// The answers of a model to one prompt, and which of them is held.
#[derive(Clone, Copy)]
struct HeldRow<'r> {
    rows: &'r [AnswerRow],
    place: usize,
}

impl OfflineVerdict {
    const PASSED: Self = Self { failed: None, samples: 0, judge_cost: Some(0.0) };

    const fn failed(check: AnswerCheck) -> Self {
        Self { failed: Some(check), ..Self::PASSED }
    }
}

/// Makes the checks of a plan on each of a model's answers to one prompt.
///
/// # Errors
/// The check that the rows do not tell the outcome of.
pub(super) fn verdicts(
    plan: &EscalationPlan,
    rows: &[AnswerRow],
    format: &RequestedFormat,
) -> Result<Vec<OfflineVerdict>, AnswerCheck> {
    if rows.is_empty() {
        return Err(AnswerCheck::FinishReason);
    }
    (0..rows.len()).map(|place| verdict(plan, HeldRow { rows, place }, format)).collect()
}

fn verdict(plan: &EscalationPlan, held: HeldRow<'_>, format: &RequestedFormat) -> Result<OfflineVerdict, AnswerCheck> {
    let (row, checks) = (held.row(), &plan.config.check);
    if row.error.is_some() {
        return Ok(OfflineVerdict::failed(AnswerCheck::FinishReason)); // the strong model answers in place of one that fails
    }
    if let Some(failed) = failed_by_itself(plan, row, format)? {
        return Ok(OfflineVerdict::failed(failed));
    }
    let mut verdict = OfflineVerdict::PASSED;
    if let Some(judge) = &checks.judge {
        let grade = grade_by(judge, row);
        let is_good = told(row, AnswerCheck::Judge).or_else(|| grade.map(|grade| grade.score >= GOOD));
        let is_good = is_good.ok_or(AnswerCheck::Judge)?;
        let stated = row.other.get(CHECK_COSTS).and_then(|costs| costs.get(JUDGE)).and_then(Value::as_f64);
        verdict.judge_cost = stated.or_else(|| grade.and_then(|grade| grade.cost_usd));
        verdict.failed = (!is_good).then_some(AnswerCheck::Judge);
    }
    if let Some(samples) = checks.self_consistency.filter(|_| verdict.failed.is_none()) {
        verdict.samples = samples.n - 1;
        verdict.failed = (!is_consistent(held, samples)?).then_some(AnswerCheck::SelfConsistency);
    }
    Ok(verdict)
}

/// Returns the check that an answer fails by what is in its row, of those that ask nobody.
fn failed_by_itself(
    plan: &EscalationPlan,
    row: &AnswerRow,
    format: &RequestedFormat,
) -> Result<Option<AnswerCheck>, AnswerCheck> {
    let mut open = Vec::new();
    for wanted in plan.checks().filter(|check| !matches!(check, AnswerCheck::Judge | AnswerCheck::SelfConsistency)) {
        match told(row, wanted) {
            Some(true) => {}
            Some(false) => return Ok(Some(wanted)),
            None => open.push(wanted),
        }
    }
    let Some(first) = open.first() else { return Ok(None) };
    if row.answer.is_none() && row.tool_calls.is_empty() {
        return Err(*first);
    }
    let checks = only(&plan.config.check, &open);
    if checks.min_logprob.is_some() && !row.other.contains_key(MEAN_LOGPROB) {
        return Err(AnswerCheck::MinLogprob);
    }
    match check(&answer(row), &checks, format) {
        CheckVerdict::Passed => Ok(None),
        CheckVerdict::Failed(failed) => Ok(Some(failed)),
        CheckVerdict::Unmade(unmade) => Err(unmade),
    }
}

/// Returns the grade of an answer by a judge.
fn grade_by<'r>(judge: &AnswerJudgeConfig, row: &'r AnswerRow) -> Option<&'r AnswerGrade> {
    row.grades.iter().find(|grade| grade.grader == JUDGE || grade.grader == judge.judge.as_str())
}

/// Returns whether the answers after the one that is held say the same.
fn is_consistent(held: HeldRow<'_>, samples: SelfConsistency) -> Result<bool, AnswerCheck> {
    if let Some(told) = told(held.row(), AnswerCheck::SelfConsistency) {
        return Ok(told);
    }
    let more = samples.n as usize - 1;
    let others: Vec<&str> = held.others().filter_map(|row| row.text()).take(more).collect();
    let text = held.row().text().filter(|_| others.len() == more).ok_or(AnswerCheck::SelfConsistency)?;
    Ok(agreement(text, others) + 0.005 >= samples.agreement.get())
}

impl<'r> HeldRow<'r> {
    fn row(self) -> &'r AnswerRow {
        &self.rows[self.place]
    }

    /// Returns the other answers, those after it first.
    fn others(self) -> impl Iterator<Item = &'r AnswerRow> {
        self.rows[self.place + 1..].iter().chain(&self.rows[..self.place])
    }
}

/// Returns what the row itself says of a check.
fn told(row: &AnswerRow, check: AnswerCheck) -> Option<bool> {
    row.other.get(CHECKS)?.get(check.as_str()).and_then(Value::as_bool)
}

/// Returns the checks that are still open, of those that ask nobody.
fn only(checks: &AnswerChecks, open: &[AnswerCheck]) -> AnswerChecks {
    let is_open = |check| open.contains(&check);
    AnswerChecks {
        finish_reason: checks.finish_reason && is_open(AnswerCheck::FinishReason),
        refusal: checks.refusal && is_open(AnswerCheck::Refusal),
        schema: checks.schema && is_open(AnswerCheck::Schema),
        min_logprob: checks.min_logprob.filter(|_| is_open(AnswerCheck::MinLogprob)),
        ..AnswerChecks::default()
    }
}

fn answer(row: &AnswerRow) -> AnswerText {
    let call = |call: &Value| ToolCallText {
        name: call["name"].as_str().unwrap_or_default().to_owned(),
        arguments: call["arguments"].as_str().unwrap_or_default().to_owned(),
    };
    AnswerText {
        text: row.answer.clone().unwrap_or_default(),
        tool_calls: row.tool_calls.iter().map(call).collect(),
        finish_reason: row.finish_reason.clone(),
        mean_logprob: row.other.get(MEAN_LOGPROB).and_then(Value::as_f64),
        ..AnswerText::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn plan(check: &Value) -> EscalationPlan {
        let config = json!({"cheap": "small", "strong": "big", "check": check});
        EscalationPlan { path: Arc::from("p"), config: serde_json::from_value(config).expect("a section") }
    }

    fn rows(rows: &Value) -> Vec<AnswerRow> {
        serde_json::from_value(rows.clone()).expect("rows")
    }

    fn all(check: &Value, of: &Value) -> Result<Vec<OfflineVerdict>, AnswerCheck> {
        verdicts(&plan(check), &rows(of), &RequestedFormat::Free)
    }

    fn checked(check: &Value, of: &Value) -> Result<OfflineVerdict, AnswerCheck> {
        all(check, of).map(|verdicts| verdicts[0])
    }

    #[test]
    fn what_the_rows_hold_is_checked_and_what_they_do_not_is_named() {
        let row = json!([{"id": "a", "asked": "small", "answer": "I'm sorry, but I can't help with that.", "finish_reason": "length",
            "grades": [{"grader": "judge", "score": 0.25}]}]);
        let failed = |check| Ok(OfflineVerdict::failed(check));

        assert_eq!(checked(&json!({"refusal": true}), &row), failed(AnswerCheck::Refusal));
        assert_eq!(checked(&json!({"finish_reason": true}), &row), failed(AnswerCheck::FinishReason));
        let judged = OfflineVerdict { judge_cost: None, ..OfflineVerdict::failed(AnswerCheck::Judge) };
        assert_eq!(checked(&json!({"judge": {"judge": "big"}}), &row), Ok(judged));
        assert_eq!(checked(&json!({"min_logprob": -1.0}), &row), Err(AnswerCheck::MinLogprob));
        assert_eq!(checked(&json!({"self_consistency": {}}), &row), Err(AnswerCheck::SelfConsistency));
    }

    #[test]
    fn a_row_may_say_what_a_check_came_to_and_several_rows_are_several_samples() {
        let told = json!([{"id": "a", "asked": "small", "answer": "4", "checks": {"judge": false}}]);
        let three = |last: &str| json!([{"id": "a", "answer": "4"}, {"id": "a", "answer": "It is 4."}, {"id": "a", "answer": last}]);
        let samples = json!({"self_consistency": {"n": 3, "agreement": 1.0}});

        let failed = checked(&json!({"judge": {"judge": "big"}}), &told).expect("told").failed;
        assert_eq!(failed, Some(AnswerCheck::Judge));
        let agreed = OfflineVerdict { samples: 2, ..OfflineVerdict::PASSED };
        assert_eq!(all(&samples, &three("4")), Ok(vec![agreed; 3]));
        assert_eq!(checked(&samples, &three("5")).expect("three").failed, Some(AnswerCheck::SelfConsistency));
    }

    #[test]
    fn each_answer_to_a_prompt_is_checked() {
        let two = json!([{"id": "a", "answer": "Four.", "finish_reason": "stop"}, {"id": "a", "answer": "Fo", "finish_reason": "length"}]);

        let failed =
            all(&json!({"finish_reason": true}), &two).expect("rows").into_iter().map(|verdict| verdict.failed);

        assert_eq!(failed.collect::<Vec<_>>(), [None, Some(AnswerCheck::FinishReason)]);
    }

    #[test]
    fn a_judge_costs_what_its_grade_does_or_the_row_says_and_nothing_where_it_was_not_asked() {
        let judge = json!({"refusal": true, "judge": {"judge": "big"}});
        let cost = |row: Value| checked(&judge, &json!([row])).expect("a row").judge_cost;
        let grade = json!([{"grader": "judge", "score": 1.0, "cost_usd": 0.25}]);

        assert_eq!(cost(json!({"id": "a", "answer": "4", "grades": grade})), Some(0.25));
        let stated = json!({"judge": 0.5});
        assert_eq!(cost(json!({"id": "a", "answer": "4", "grades": grade, "check_cost_usd": stated})), Some(0.5));
        assert_eq!(cost(json!({"id": "a", "answer": "4", "checks": {"judge": true}})), None);
        assert_eq!(
            cost(json!({"id": "a", "answer": "I'm sorry, but I can't help with that.", "grades": grade})),
            Some(0.0)
        );
    }
}
