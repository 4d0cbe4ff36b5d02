//! Marks that people gave: one JSON object a line, by prompt and model.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::opinions::{OpinionLines, OpinionsError};
use crate::answers::AnswerGrade;
use crate::dataset::values::LabelValue;

/// What a row of marks is.
const EXPECTED: &str =
    "a mark: an object with `id`, `model`, and `score` (0 to 1), `correct`, or `rating` (1 to 5, `up`, `down`)";

/// Marks by the prompt's id and the model, or the policy, that was asked.
#[derive(Debug, Default)]
pub(super) struct HumanMarks {
    by_answer: HashMap<[String; 2], Vec<AnswerGrade>>,
}

#[derive(Deserialize)]
struct MarkRow {
    id: LabelValue,
    model: String,
    score: Option<f64>,
    correct: Option<bool>,
    rating: Option<Value>,
    by: Option<String>,
    reason: Option<String>,
}

impl HumanMarks {
    /// Reads a file of marks.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no mark.
    pub(super) fn read(path: &Path) -> Result<Self, OpinionsError> {
        let (mut lines, mut marks) = (OpinionLines::open(path, EXPECTED)?, Self::default());
        while let Some(row) = lines.next::<MarkRow>()? {
            let mut grade = row.grade().map_err(|message| lines.refuse(message))?;
            (grade.judge, grade.reason) = (row.by, row.reason);
            marks.by_answer.entry([row.id.0, row.model]).or_default().push(grade);
        }
        Ok(marks)
    }

    /// Counts the marks of answers that are none of `marked`.
    pub(super) fn left(&self, marked: &HashSet<[String; 2]>) -> u64 {
        let left = self.by_answer.iter().filter(|(answer, _)| !marked.contains(*answer));
        left.map(|(_, marks)| marks.len() as u64).sum()
    }

    /// Returns the marks of an answer to a prompt.
    pub(super) fn of(&self, id: &str, model: &str) -> &[AnswerGrade] {
        self.by_answer.get(&[id.to_owned(), model.to_owned()]).map_or(&[], Vec::as_slice)
    }
}

impl MarkRow {
    /// Returns the grade of `score` (0 to 1), `correct`, or `rating` (1 to 5, `up` or `down`).
    fn grade(&self) -> Result<AnswerGrade, &'static str> {
        let (score, correct, level) = match (self.score, self.correct, &self.rating) {
            (Some(score), correct, None) if (0.0..=1.0).contains(&score) => (score, correct, None),
            (Some(_), _, None) => return Err("`score` is not from 0 to 1"),
            (None, Some(correct), None) => (f64::from(u8::from(correct)), Some(correct), None),
            (None, None, Some(rating)) => rated(rating).ok_or("`rating` is neither 1 to 5 nor `up` or `down`")?,
            (None, None, None) => return Err("missing field `score`, `correct` or `rating`"),
            _ => return Err("`rating` beside `score` or `correct`: one of them is the mark"),
        };
        let mut grade = AnswerGrade { grader: "human".to_owned(), score, correct, ..AnswerGrade::default() };
        grade.other.extend(level.map(|level| ("level".to_owned(), Value::from(level))));
        Ok(grade)
    }
}

/// Reads a rating: the score, whether it suffices, and the level of 1 to 5.
fn rated(rating: &Value) -> Option<(f64, Option<bool>, Option<i64>)> {
    match rating {
        Value::String(word) if word == "up" => Some((1.0, Some(true), None)),
        Value::String(word) if word == "down" => Some((0.0, Some(false), None)),
        _ => {
            let level = rating.as_i64().filter(|level| (1..=5).contains(level))?;
            Some(((level - 1) as f64 / 4.0, Some(level >= 4), Some(level)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HumanMarks, OpinionsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("marks.jsonl");
        std::fs::write(&path, text).expect("written");
        HumanMarks::read(&path)
    }

    #[test]
    fn a_mark_is_a_score_a_word_or_a_rating() {
        let marks = read(concat!(
            r#"{"id":"a","model":"m","score":0.25,"by":"Ada"}"#,
            "\n",
            r#"{"id":"a","model":"m","correct":true}"#,
            "\n",
            r#"{"id":1,"model":"m","rating":4}"#,
            "\n",
            r#"{"id":1,"model":"n","rating":"down"}"#,
        ));

        let marks = marks.expect("marks");
        let seen = |id: &str, model: &str| {
            marks.of(id, model).iter().map(|grade| (grade.score, grade.correct)).collect::<Vec<_>>()
        };
        assert_eq!(seen("a", "m"), [(0.25, None), (1.0, Some(true))]);
        assert_eq!((seen("1", "m"), seen("1", "n")), (vec![(0.75, Some(true))], vec![(0.0, Some(false))]));
        assert_eq!(marks.of("a", "m")[0].judge.as_deref(), Some("Ada"));
        assert_eq!((marks.left(&HashSet::new()), marks.left(&[["a", "m"].map(str::to_owned)].into())), (4, 2));
        assert!(marks.of("b", "m").is_empty());
    }

    #[test]
    fn what_is_no_mark_is_refused_with_its_place() {
        for (line, why) in [
            (r#"{"id":"a","model":"m"}"#, "column 22: missing field `score`, `correct` or `rating`"),
            (r#"{"id":"a","model":"m","score":5}"#, "`score` is not from 0 to 1"),
            (r#"{"id":"a","model":"m","rating":6}"#, "`rating` is neither"),
            (r#"{"id":"a","model":"m","rating":5,"score":1}"#, "`rating` beside `score`"),
            (r#"{"id":"a","score":1}"#, "missing field `model`"),
        ] {
            let error = read(line).expect_err(line).to_string();
            assert!(error.contains("line 1, ") && error.contains(why), "{error}");
        }
    }
}
