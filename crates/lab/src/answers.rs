//! Answers of models and policies to prompts, one JSON object a line: `collect` writes them, `grade` adds grades,
//! `eval --answers` compares them, and what `fit` reads comes of them.
//!
//! Owns the row, its file and its quality. Refuses to say which answer is right: that is for graders. Keys that are not
//! known pass through.

mod file;
mod outcomes;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use self::file::{AnswerFile, AnswerRows, AnswersError};
pub use self::outcomes::{OutcomeRow, OutcomeTable, OutcomeTokenCounts};
use crate::dataset::values::LabelValue;

/// One answer to one prompt, with what it took and what is thought of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswerRow {
    /// The kind of the row, among rows of decision logs.
    pub kind: AnswerKind,
    /// The prompt's id, which all answers to it share.
    #[serde(deserialize_with = "row_id")]
    pub id: String,
    /// The prompt, where the row has no `messages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The conversation, where the row has no `prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Value>,
    /// The group that near-duplicates and variants share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The part of the data: `train`, `validation` or `held_out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The reference that a grader needs: `choice`, `number`, `pattern`, `schema`, `text` or `tests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Map<String, Value>>,
    /// The `model` of the request: a policy's name, or a model of the catalog.
    pub asked: String,
    /// The policy that was asked, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The label that the policy's strategy went by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The score that the policy's strategy went by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The reason of the policy's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The probability of each label of each head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Value>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The failure, where there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<AnswerFailure>,
    /// The reason why the answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The answer's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The calls of tools that the answer asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// The tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// The tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The answer's cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The cost of the judges that chose the model, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_cost_usd: Option<f64>,
    /// Milliseconds to the first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// Milliseconds to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// Microseconds that Pointsman took of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overhead_us: Option<u64>,
    /// The number of upstreams that were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The time of the answer, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The grades of the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<AnswerGrade>,
    /// The other keys, which pass through.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The kind of a row of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// An answer.
    #[default]
    Answer,
}

/// A request that got no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswerFailure {
    /// The code of the error.
    pub code: String,
    /// The error in words.
    pub message: String,
}

/// A grade of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerGrade {
    /// The grader's name: `choice`, `number`, `pattern`, `schema`, `tests`, `judge`, `pairwise` or `human`.
    pub grader: String,
    /// The quality, 0 to 1.
    pub score: f64,
    /// True when the answer is right, where the grader can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<bool>,
    /// True when the answer does not say clearly what it means; its score is 0.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unclear: bool,
    /// The grader's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The judging model, or the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
    /// The grade's cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The other keys, which pass through.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The weights of graders in a row's quality; one that is not named has weight 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraderWeights(pub BTreeMap<String, f64>);

impl AnswerRow {
    /// Returns the mean of the grades, each by its grader's weight; `None` without a grade that counts.
    #[must_use]
    pub fn quality(&self, weights: &GraderWeights) -> Option<f64> {
        let (mut sum, mut whole) = (0.0, 0.0);
        for grade in &self.grades {
            let weight = weights.of(&grade.grader);
            sum += weight * grade.score;
            whole += weight;
        }
        (whole > 0.0).then(|| sum / whole)
    }

    /// Returns whether a policy chose the model.
    #[must_use]
    pub const fn is_routed(&self) -> bool {
        self.policy.is_some()
    }

    /// Returns whether the client of the request never saw the answer: another model was asked the same.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.other.get("shadow") == Some(&Value::Bool(true))
    }

    /// Returns whether only the beginning of the answer was written.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.other.get("answer_truncated") == Some(&Value::Bool(true))
    }

    /// Returns the model whose answer this is: who answered, else who was asked.
    #[must_use]
    pub fn answered_by(&self) -> &str {
        self.model.as_deref().unwrap_or(&self.asked)
    }

    /// Returns the answer's text; `None` where the request failed or the answer has no text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.answer.as_deref().filter(|_| self.error.is_none())
    }
}

impl GraderWeights {
    /// Returns the weight of a grader.
    #[must_use]
    pub fn of(&self, grader: &str) -> f64 {
        self.0.get(grader).copied().unwrap_or(1.0)
    }
}

/// Reads an id: a string, or a whole number.
fn row_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    LabelValue::deserialize(deserializer).map(|id| id.0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields by reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_comes_back_as_it_was_with_the_keys_that_nobody_knows() {
        let row = json!({
            "kind": "answer", "id": "a", "prompt": "2+2?", "asked": "auto", "policy": "auto", "model": "small",
            "status": 200, "answer": "4", "input_tokens": 3, "cost_usd": 0.25, "repeat": 2, "subject": "maths",
            "grades": [{"grader": "number", "score": 1.0, "correct": true, "by_hand": 7}],
        });

        let read: AnswerRow = serde_json::from_value(row.clone()).expect("a row");

        assert_eq!(read.other["repeat"], json!(2));
        assert_eq!(serde_json::to_value(read).expect("JSON"), row);
    }

    #[test]
    fn an_id_may_be_a_whole_number() {
        let row: AnswerRow = serde_json::from_value(json!({"id": 7, "asked": "small"})).expect("a row");

        assert_eq!((&*row.id, row.answered_by()), ("7", "small"));
    }

    #[test]
    fn the_quality_is_the_mean_of_the_grades_by_their_graders_weights() {
        let grade = |grader: &str, score| AnswerGrade { grader: grader.into(), score, ..AnswerGrade::default() };
        let row = AnswerRow { grades: vec![grade("choice", 1.0), grade("judge", 0.5)], ..AnswerRow::default() };
        let weighted = |judge| row.quality(&GraderWeights([("judge".to_owned(), judge)].into()));

        assert_eq!(row.quality(&GraderWeights::default()), Some(0.75));
        assert_eq!((weighted(0.0), weighted(3.0)), (Some(1.0), Some(0.625)));
        assert_eq!(AnswerRow::default().quality(&GraderWeights::default()), None);
    }

    #[test]
    fn a_failed_request_has_no_text() {
        let row =
            AnswerRow { answer: Some("half".into()), error: Some(AnswerFailure::default()), ..AnswerRow::default() };

        assert_eq!(row.text(), None);
    }
}
