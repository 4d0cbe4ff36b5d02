//! From decision logs to the rows that `fit` and `eval` read: equal prompts are one row, feedback is the outcome.
//!
//! A request is answered by one model, so of most prompts only one outcome is known. The others are filled in with that
//! model's mean over the log, and counted: a filled-in outcome teaches nothing of the prompt, it only lets the known
//! one count. Three passes over the files; in memory stands what was rated, about 100 bytes a prompt and model.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::rated::RatingTable;
use super::{DecisionLogs, LogLine, LoggedDecision};
use crate::dataset::DatasetError;

/// The kind of outcomes that rows are to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportKind {
    /// Qualities of a strong and a weak model's answers.
    Pair {
        /// The strong model.
        strong: String,
        /// The weak model.
        weak: String,
    },
    /// Qualities of each model's answers.
    Models,
}

/// Counts of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportCounts {
    /// Rows that were written.
    pub rows: u64,
    /// Rows among them with an outcome that was filled in.
    pub filled_in: u64,
    /// Rows among them without text.
    pub without_text: u64,
    /// Decisions in the logs.
    pub decisions: u64,
    /// Decisions that nobody rated.
    pub unrated: u64,
    /// Lines that were passed over.
    pub passed_over: u64,
    /// Models with outcomes, and how many.
    pub models: BTreeMap<String, u64>,
}

/// Errors that leave no rows.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum ExportError {
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] DatasetError),
    /// The rows cannot be written.
    #[error("cannot write the rows")]
    Write(#[from] io::Error),
    /// Nobody rated anything.
    #[error("the logs hold {decisions} decisions and no feedback on any of them")]
    NoFeedback { decisions: u64 },
    /// A model was never rated.
    #[error("no answer of `{model}` was rated (rated: {rated})")]
    Unrated { model: String, rated: String },
}

/// Writes the rows that the logs hold, one JSON object a line: `prompt` and the logged `features`, the outcomes, and
/// the logged scores.
///
/// # Errors
/// When a log cannot be read, nothing was rated, or a model that is wanted was not.
pub fn export(logs: &DecisionLogs, wanted: &ExportKind, mut to: impl Write) -> Result<ExportCounts, ExportError> {
    let mut rated = RatingTable::read(logs)?;
    let RatingTable { decisions, unrated, passed_over, .. } = rated;
    let models = rated.models().map(|(model, rated)| (model.to_owned(), rated)).collect();
    let mut exported = ExportCounts { decisions, unrated, passed_over, models, ..ExportCounts::default() };
    if rated.is_empty() {
        return Err(ExportError::NoFeedback { decisions });
    }
    let wanted = places(&rated, wanted)?;
    logs.each(|line| {
        let LogLine::Decision(decision) = line else { return Ok(()) };
        let Some(sums) = rated.take(&decision) else { return Ok(()) };
        let known = wanted.iter().filter(|(place, _)| sums.mean(*place).is_some()).count();
        if known == 0 {
            return Ok(());
        }
        exported.rows += 1;
        exported.filled_in += u64::from(known < wanted.len());
        exported.without_text += u64::from(decision.whole_text().is_none());
        let quality = |place: u16| sums.mean(place).or_else(|| rated.mean(place)).unwrap_or_default();
        let row = row(&decision, wanted.iter().map(|(place, name)| (name.as_str(), quality(*place))));
        Ok::<_, ExportError>(writeln!(to, "{row}")?)
    })?;
    to.flush()?;
    Ok(exported)
}

/// Returns the models that rows speak of, each with the key that it gets.
fn places(rated: &RatingTable, wanted: &ExportKind) -> Result<Vec<(u16, String)>, ExportError> {
    let ExportKind::Pair { strong, weak } = wanted else {
        let mut all: Vec<_> = rated
            .models()
            .enumerate()
            .filter_map(|(at, (model, _))| Some((u16::try_from(at).ok()?, model.to_owned())))
            .collect();
        all.sort_by(|a, b| a.1.cmp(&b.1));
        return Ok(all);
    };
    let find = |model: &String, key: &str| {
        let unrated = || ExportError::Unrated { model: model.clone(), rated: rated.names() };
        rated.place(model).map(|place| (place, key.to_owned())).ok_or_else(unrated)
    };
    Ok(vec![find(strong, "strong_correct")?, find(weak, "weak_correct")?])
}

fn row<'n>(decision: &LoggedDecision, outcomes: impl Iterator<Item = (&'n str, f64)>) -> Value {
    let mut row = json!({
        "prompt": decision.whole_text().unwrap_or_default(),
        "features": decision.features,
        "logged_scores": decision.scores,
    });
    let mut scores = serde_json::Map::new();
    for (name, quality) in outcomes {
        match name {
            "strong_correct" | "weak_correct" => row[name] = json!(quality),
            model => drop(scores.insert(model.to_owned(), json!(quality))),
        }
    }
    if !scores.is_empty() {
        row["scores"] = Value::Object(scores);
    }
    row
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn decision(id: &str, hash: &str, model: &str, text: &str) -> String {
        let line = json!({"kind": "decision", "request_id": id, "policy": "p", "model": model, "answered_by": model,
            "text_hash": hash, "text": text, "text_bytes": text.len(), "features": {"text_words": 3}});
        format!("{line}\n")
    }

    fn word(id: &str, correct: f64) -> String {
        format!(
            "{}\n",
            json!({"kind": "feedback", "request_id": id, "time": "2026-11-21T10:00:00Z", "correct": correct})
        )
    }

    fn exported(files: &[String], wanted: &ExportKind) -> Result<(ExportCounts, Vec<Value>), ExportError> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |(index, text): (usize, &String)| {
            let path = folder.path().join(format!("{index}.jsonl"));
            fs::write(&path, text).expect("written");
            path
        };
        let logs = DecisionLogs::new(files.iter().enumerate().map(write).collect());
        let mut rows = Vec::new();
        let exported = export(&logs, wanted, &mut rows)?;
        let rows = String::from_utf8(rows).expect("text");
        Ok((exported, rows.lines().map(|row| serde_json::from_str(row).expect("a row")).collect()))
    }

    fn pair() -> ExportKind {
        ExportKind::Pair { strong: "big".into(), weak: "small".into() }
    }

    #[test]
    fn equal_prompts_are_one_row_and_what_is_not_known_is_the_model_s_mean() {
        let feedback = [("1", 0.0), ("2", 1.0), ("3", 1.0), ("4", 0.5)].map(|(id, correct)| word(id, correct)).concat();
        let decisions = [
            decision("1", "x", "small", "ask x"),
            decision("2", "x", "big", "ask x"),
            decision("3", "y", "small", "ask y"),
            decision("4", "y", "small", "ask y"),
            decision("5", "z", "small", "ask z"),
        ]
        .concat();

        // The feedback stands in an earlier file than the decisions: they may be named in any order.
        let (exported, rows) = exported(&[feedback, decisions], &pair()).expect("rows");

        assert_eq!((exported.rows, exported.filled_in, exported.decisions, exported.unrated), (2, 1, 5, 1));
        assert_eq!(exported.models, BTreeMap::from([("big".to_owned(), 1), ("small".to_owned(), 3)]));
        assert_eq!(
            (&rows[0]["prompt"], &rows[0]["strong_correct"], &rows[0]["weak_correct"]),
            (&json!("ask x"), &json!(1.0), &json!(0.0))
        );
        assert_eq!((&rows[1]["strong_correct"], &rows[1]["weak_correct"]), (&json!(1.0), &json!(0.75)));
    }

    #[test]
    fn a_refused_request_is_no_row_and_no_broken_line_whatever_was_said_of_it() {
        let denial = json!({"kind": "denial", "request_id": "1", "policy": "p", "reason": "denied_by_policy",
            "text_hash": "x", "answered_by": null, "features": {}});
        let log = [format!("{denial}\n"), decision("2", "y", "big", "ask y"), word("1", 1.0), word("2", 1.0)].concat();

        let (exported, rows) = exported(&[log], &ExportKind::Models).expect("rows");

        assert_eq!((exported.decisions, exported.passed_over, rows.len()), (1, 0, 1));
    }

    #[test]
    fn rows_for_each_model_hold_all_of_them_and_text_that_was_cut_is_none() {
        let cut = decision("1", "x", "small", "ask").replace("\"text_bytes\":3", "\"text_bytes\":9");
        let log = [cut, decision("2", "y", "big", "ask y"), word("1", 1.0), word("2", 0.0)].concat();

        let (exported, rows) = exported(&[log], &ExportKind::Models).expect("rows");

        assert_eq!((exported.rows, exported.without_text), (2, 1));
        assert_eq!((&rows[0]["prompt"], &rows[0]["scores"]), (&json!(""), &json!({"big": 0.0, "small": 1.0})));
        assert_eq!(rows[0]["features"]["text_words"], 3);
    }

    #[test]
    fn logs_without_feedback_or_without_a_wanted_model_are_refused() {
        let silent = exported(&[decision("1", "x", "small", "ask")], &pair()).expect_err("no feedback");
        let one = exported(&[decision("1", "x", "small", "ask") + &word("1", 1.0)], &pair()).expect_err("one model");

        assert_eq!(silent.to_string(), "the logs hold 1 decisions and no feedback on any of them");
        assert_eq!(one.to_string(), "no answer of `big` was rated (rated: small)");
    }
}
