//! The checks of an answer that need nobody else: why it has ended, whether it refuses, its form, how sure the model was,
//! and how far answers to one request agree.
//!
//! Owns the judgement of one answer, read by [`AnswerTextReader`](crate::usage::AnswerTextReader) in any API's words.
//! Refuses to ask anybody: a judge's word and further answers are brought by whoever drives the checks.

mod agreement;
mod ending;
mod format;
mod refusal;

pub use self::agreement::agreement;
pub use self::ending::AnswerEnd;
pub use self::format::RequestedFormat;
pub use self::refusal::{RefusalReading, refusal_in};
use crate::config::AnswerChecks;
use crate::policy::AnswerCheck;
use crate::usage::AnswerText;

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckVerdict {
    /// The answer passes.
    Passed,
    /// The answer fails this check.
    Failed(AnswerCheck),
    /// This check could not be made.
    Unmade(AnswerCheck),
}

impl CheckVerdict {
    /// Returns whether the answer passes.
    #[must_use]
    pub fn is_passed(self) -> bool {
        self == Self::Passed
    }
}

/// Makes the checks of a whole answer that need nobody else, the first that it does not pass first.
///
/// An answer that is only a call of a tool has no text to refuse or to be of a form. An API that says no log
/// probabilities lets its answers pass that check.
#[must_use]
pub fn check(answer: &AnswerText, checks: &AnswerChecks, format: &RequestedFormat) -> CheckVerdict {
    let end = answer.finish_reason.as_deref().map(AnswerEnd::of);
    if checks.finish_reason && matches!(end, Some(AnswerEnd::Cut | AnswerEnd::Filtered)) {
        return CheckVerdict::Failed(AnswerCheck::FinishReason);
    }
    let is_refusal = || answer.is_refusal || (answer.tool_calls.is_empty() && refusal_in(&answer.text));
    if checks.refusal && is_refusal() {
        return CheckVerdict::Failed(AnswerCheck::Refusal);
    }
    let is_text = answer.tool_calls.is_empty() || !answer.text.trim().is_empty();
    if checks.schema && is_text {
        match format.takes(&answer.text) {
            Some(true) => {}
            Some(false) => return CheckVerdict::Failed(AnswerCheck::Schema),
            None => return CheckVerdict::Unmade(AnswerCheck::Schema),
        }
    }
    match (checks.min_logprob, answer.mean_logprob) {
        (Some(least), Some(mean)) if mean < least => CheckVerdict::Failed(AnswerCheck::MinLogprob),
        _ => CheckVerdict::Passed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::prompt::Dialect;

    fn answer(text: &str, reason: &str) -> AnswerText {
        AnswerText { text: text.to_owned(), finish_reason: Some(reason.to_owned()), ..AnswerText::default() }
    }

    fn checked(answer: &AnswerText, checks: &AnswerChecks) -> CheckVerdict {
        check(answer, checks, &RequestedFormat::Free)
    }

    #[test]
    fn each_check_fails_what_it_is_for_and_only_where_it_is_wanted() {
        let none = AnswerChecks::default();
        let cut = answer("It is", "length");
        let refused = answer("I'm sorry, but I can't help with that.", "stop");
        let unsure = AnswerText { mean_logprob: Some(-2.0), ..answer("Four", "stop") };

        for (answer, checks, failed) in [
            (&cut, AnswerChecks { finish_reason: true, ..none.clone() }, AnswerCheck::FinishReason),
            (&refused, AnswerChecks { refusal: true, ..none.clone() }, AnswerCheck::Refusal),
            (&unsure, AnswerChecks { min_logprob: Some(-1.2), ..none.clone() }, AnswerCheck::MinLogprob),
        ] {
            assert_eq!(checked(answer, &checks), CheckVerdict::Failed(failed));
            assert_eq!(checked(answer, &none), CheckVerdict::Passed);
        }
        let good = answer("It is four.", "stop");
        let all = AnswerChecks { finish_reason: true, refusal: true, schema: true, min_logprob: Some(-1.2), ..none };
        assert_eq!(checked(&good, &all), CheckVerdict::Passed);
    }

    #[test]
    fn a_call_of_a_tool_has_no_form() {
        let request = json!({"response_format": {"type": "json_object"}}).to_string();
        let format = RequestedFormat::of(Dialect::ChatCompletions, request.as_bytes());
        let call = AnswerText { tool_calls: vec![crate::usage::ToolCallText::default()], ..answer("", "tool_calls") };
        let checks = AnswerChecks { schema: true, ..AnswerChecks::default() };

        assert_eq!(check(&call, &checks, &format), CheckVerdict::Passed);
        assert_eq!(check(&answer("", "stop"), &checks, &format), CheckVerdict::Failed(AnswerCheck::Schema));
    }
}
