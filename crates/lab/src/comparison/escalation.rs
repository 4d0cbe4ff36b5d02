//! The checks of a cheap model's answer offline: what the file holds of it, and nothing guessed.
//!
//! The answer's text and its end are in its row. What only asking would tell stands there too, or the prompt is left out: a
//! judge's grade, several answers of the model to the same prompt, `mean_logprob`, or the outcome of a check itself
//! (`checks: {judge: false}`).

use pointsman_core::answer_check::{CheckVerdict, RequestedFormat, agreement, check};
use pointsman_core::config::AnswerChecks;
use pointsman_core::policy::{AnswerCheck, EscalationPlan};
use pointsman_core::usage::{AnswerText, ToolCallText};
use serde_json::Value;

use crate::answers::AnswerRow;

/// The score of a judge's grade from which on an answer passes.
const GOOD: f64 = 0.5;

/// The key of the mean log probability of an answer's tokens.
const MEAN_LOGPROB: &str = "mean_logprob";

/// The key of outcomes of checks.
const CHECKS: &str = "checks";

/// The grader's name of judges.
const JUDGE: &str = "judge";

/// What the checks of an answer came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OfflineVerdict {
    /// The check that it failed; `None` where the client gets it.
    pub(super) failed: Option<AnswerCheck>,
    /// The answers of the cheap model that were paid.
    pub(super) paid: u32,
}

/// Makes the checks of a plan on a model's answers to one prompt.
///
/// # Errors
/// The check that the rows do not tell the outcome of.
pub(super) fn verdict(
    plan: &EscalationPlan,
    rows: &[AnswerRow],
    format: &RequestedFormat,
) -> Result<OfflineVerdict, AnswerCheck> {
    let once = |failed| Ok(OfflineVerdict { failed, paid: 1 });
    let Some(row) = rows.first() else { return Err(AnswerCheck::FinishReason) };
    if row.error.is_some() {
        return once(Some(AnswerCheck::FinishReason)); // the strong model answers in place of one that fails
    }
    let mut open = Vec::new();
    for wanted in plan.checks() {
        match told(row, wanted) {
            Some(true) => {}
            Some(false) => return once(Some(wanted)),
            None => open.push(wanted),
        }
    }
    let checks = only(&plan.config.check, &open);
    let has_text = row.answer.is_some() || !row.tool_calls.is_empty();
    if !has_text && !open.is_empty() {
        return Err(open[0]);
    }
    if checks.min_logprob.is_some() && !row.other.contains_key(MEAN_LOGPROB) {
        return Err(AnswerCheck::MinLogprob);
    }
    match check(&answer(row), &checks, format) {
        CheckVerdict::Passed => {}
        CheckVerdict::Failed(failed) => return once(Some(failed)),
        CheckVerdict::Unmade(unmade) => return Err(unmade),
    }
    if let Some(judge) = &checks.judge {
        let is_of_judge = |grader: &str| grader == JUDGE || grader == judge.judge.as_str();
        let grade = row.grades.iter().find(|grade| is_of_judge(&grade.grader)).ok_or(AnswerCheck::Judge)?;
        if grade.score < GOOD {
            return once(Some(AnswerCheck::Judge));
        }
    }
    let Some(samples) = checks.self_consistency else { return once(None) };
    let texts: Vec<&str> = rows.iter().filter_map(|row| row.answer.as_deref()).take(samples.n as usize).collect();
    if texts.len() < samples.n as usize {
        return Err(AnswerCheck::SelfConsistency);
    }
    let is_enough = agreement(texts[0], texts[1..].iter().copied()) + 0.005 >= samples.agreement.get();
    let failed = (!is_enough).then_some(AnswerCheck::SelfConsistency);
    Ok(OfflineVerdict { failed, paid: samples.n })
}

/// Returns what the row itself says of a check.
fn told(row: &AnswerRow, check: AnswerCheck) -> Option<bool> {
    row.other.get(CHECKS)?.get(check.as_str()).and_then(Value::as_bool)
}

/// Returns the checks that are still open.
fn only(checks: &AnswerChecks, open: &[AnswerCheck]) -> AnswerChecks {
    let is_open = |check| open.contains(&check);
    AnswerChecks {
        finish_reason: checks.finish_reason && is_open(AnswerCheck::FinishReason),
        refusal: checks.refusal && is_open(AnswerCheck::Refusal),
        schema: checks.schema && is_open(AnswerCheck::Schema),
        min_logprob: checks.min_logprob.filter(|_| is_open(AnswerCheck::MinLogprob)),
        judge: checks.judge.clone().filter(|_| is_open(AnswerCheck::Judge)),
        self_consistency: checks.self_consistency.filter(|_| is_open(AnswerCheck::SelfConsistency)),
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

    fn checked(check: &Value, of: &Value) -> Result<OfflineVerdict, AnswerCheck> {
        verdict(&plan(check), &rows(of), &RequestedFormat::Free)
    }

    #[test]
    fn what_the_rows_hold_is_checked_and_what_they_do_not_is_named() {
        let row = json!([{"id": "a", "asked": "small", "answer": "I'm sorry, but I can't help with that.", "finish_reason": "length",
            "grades": [{"grader": "judge", "score": 0.25}]}]);
        let failed = |check| Ok(OfflineVerdict { failed: Some(check), paid: 1 });

        assert_eq!(checked(&json!({"refusal": true}), &row), failed(AnswerCheck::Refusal));
        assert_eq!(checked(&json!({"finish_reason": true}), &row), failed(AnswerCheck::FinishReason));
        assert_eq!(checked(&json!({"judge": {"judge": "big"}}), &row), failed(AnswerCheck::Judge));
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
        assert_eq!(checked(&samples, &three("4")), Ok(OfflineVerdict { failed: None, paid: 3 }));
        assert_eq!(checked(&samples, &three("5")).expect("three").failed, Some(AnswerCheck::SelfConsistency));
    }
}
