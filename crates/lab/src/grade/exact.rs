//! Graders that need no judge: each compares an answer with its row's reference.

use super::command::{CommandError, CommandOutcome, CommandSettings};
use super::number::WrittenNumber;
use super::reference::ExactCheck;
use super::{code, schema};
use crate::answers::AnswerGrade;

/// The finding of a check.
struct CheckFinding {
    is_correct: bool,
    is_unclear: bool,
    reason: Option<String>,
}

impl ExactCheck {
    /// Grades an answer; `None` where it takes a command and none may run.
    pub(super) async fn grade(
        &self,
        answer: &str,
        commands: Option<&CommandSettings>,
    ) -> Result<Option<AnswerGrade>, CommandError> {
        let (grader, finding) = match self {
            Self::Choice { right, options } => {
                let found = options
                    .chosen(answer)
                    .map(|letter| CheckFinding::of(letter == *right, || format!("{letter} for {right}")));
                ("choice", CheckFinding::or_unclear(found))
            }
            Self::Number { right, tolerance } => {
                let found = WrittenNumber::of_answer(answer).map(|number| {
                    CheckFinding::of(number.equals(*right, *tolerance), || {
                        format!("{} for {}", number.value, right.value)
                    })
                });
                ("number", CheckFinding::or_unclear(found))
            }
            Self::Pattern(pattern) => {
                ("pattern", CheckFinding::of(pattern.is_match(answer), || "the pattern does not match".to_owned()))
            }
            Self::Schema(validator) => {
                let found = schema::json_of(answer).map(|value| {
                    let violation = schema::violation(validator, &value);
                    CheckFinding::of(violation.is_none(), || violation.unwrap_or_default())
                });
                ("schema", CheckFinding::or_unclear(found))
            }
            Self::Tests(tests) => {
                let Some(commands) = commands else { return Ok(None) };
                let outcome = commands.run(tests, &code::code_of(answer)).await?;
                let reason = |outcome| match outcome {
                    CommandOutcome::Passed => String::new(),
                    CommandOutcome::Failed(reason) => reason,
                    CommandOutcome::TimedOut => "the command took too long".to_owned(),
                };
                ("tests", CheckFinding::of(outcome == CommandOutcome::Passed, || reason(outcome)))
            }
        };
        Ok(Some(finding.grade(grader)))
    }
}

impl CheckFinding {
    fn of(is_correct: bool, reason: impl FnOnce() -> String) -> Self {
        let reason = if is_correct { None } else { Some(reason()) };
        Self { is_correct, is_unclear: false, reason }
    }

    /// Takes an answer that cannot be read for a wrong one, and says so.
    fn or_unclear(found: Result<Self, &str>) -> Self {
        found.unwrap_or_else(|unclear| Self { is_correct: false, is_unclear: true, reason: Some(unclear.to_owned()) })
    }

    fn grade(self, grader: &str) -> AnswerGrade {
        AnswerGrade {
            grader: grader.to_owned(),
            score: f64::from(u8::from(self.is_correct)),
            correct: Some(self.is_correct),
            unclear: self.is_unclear,
            reason: self.reason,
            ..AnswerGrade::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::ExactGrader;
    use super::*;

    async fn grade(grader: ExactGrader, reference: Value, answer: &str) -> AnswerGrade {
        let check = ExactCheck::read(grader, reference.as_object().expect("an object"), 0.0);
        let check = check.expect("a reference").expect("a check");
        check.grade(answer, None).await.expect("no command").expect("a grade")
    }

    #[tokio::test]
    async fn a_right_answer_has_1_and_a_wrong_one_0_with_what_it_said() {
        let reference = json!({"choice": "B", "choices": 4});

        let (right, wrong) = (
            grade(ExactGrader::Choice, reference.clone(), "The answer is (B).").await,
            grade(ExactGrader::Choice, reference, "The answer is (C).").await,
        );

        assert_eq!((right.score, right.correct, right.reason), (1.0, Some(true), None));
        assert_eq!((wrong.score, wrong.correct, wrong.unclear), (0.0, Some(false), false));
        assert_eq!(wrong.reason.as_deref(), Some("C for B"));
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_has_0_and_says_why() {
        let grade = grade(ExactGrader::Number, json!({"number": 3}), "many").await;

        assert_eq!((grade.score, grade.unclear), (0.0, true));
        assert_eq!(grade.reason.as_deref(), Some("the answer has no number"));
    }

    #[tokio::test]
    async fn a_pattern_and_a_schema_are_graded() {
        let schema = json!({"schema": {"type": "object", "required": ["a"]}});

        assert_eq!(grade(ExactGrader::Pattern, json!({"pattern": "(?i)paris"}), "In Paris.").await.score, 1.0);
        assert_eq!(grade(ExactGrader::Pattern, json!({"pattern": "^paris"}), "In Paris.").await.score, 0.0);
        assert_eq!(grade(ExactGrader::Schema, schema.clone(), "```json\n{\"a\": 1}\n```").await.score, 1.0);
        assert!(!grade(ExactGrader::Schema, schema.clone(), "{\"b\": 1}").await.unclear);
        assert!(grade(ExactGrader::Schema, schema, "no").await.unclear);
    }

    #[tokio::test]
    async fn a_check_that_needs_a_command_gives_no_grade_where_none_may_run() {
        let reference = json!({"tests": "sh {file}"});
        let check = ExactCheck::read(ExactGrader::Tests, reference.as_object().expect("an object"), 0.0);

        let grade = check.expect("a reference").expect("a check").grade("exit 0", None).await;

        assert!(matches!(grade, Ok(None)));
    }
}
