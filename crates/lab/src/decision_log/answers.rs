//! From decision logs to rows of answers, which `grade` and `eval --answers` read: what clients got, and beside it what
//! another model answered to the same request.
//!
//! Both rows of a request have one `id`, so that they can be graded blind against each other. Feedback on either can go along
//! as a mark of people. Two passes over the files, six with feedback: in memory stand the shadow answers, which are few, and
//! what was said. An ask that was cut is no prompt that could be graded, and is left out.

use std::collections::HashMap;
use std::io::Write;

use serde_json::{Map, Value, json};

use super::rows::ExportError;
use super::{DecisionLogs, FeedbackOutcomes, LogLine, LoggedDecision, LoggedShadowAnswer, key, prompt_group};

/// The quality from which a word says that an answer is right, as 4 of 5 does.
const RIGHT: f64 = 0.75;

/// Counts of an export of answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Answers that clients got.
    pub served: u64,
    /// Answers of other models to the same requests.
    pub shadow: u64,
    /// Answers whose asks were not written whole.
    pub without_text: u64,
    /// Answers with a mark of people.
    pub marked: u64,
    /// Lines that were passed over.
    pub passed_over: u64,
}

/// The handling of feedback in an export of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExportedMarks {
    /// Answers go alone.
    #[default]
    None,
    /// The last word on an answer is its grade by the grader `human`.
    Feedback,
}

/// The last words on answers, by side.
#[derive(Debug, Default)]
struct LoggedWords {
    served: FeedbackOutcomes,
    shadow: FeedbackOutcomes,
}

/// Writes the answers that the logs hold, one JSON object a line, those of other models behind those to the same requests.
///
/// # Errors
/// When a log cannot be read, or the rows cannot be written.
pub fn export_answers(
    logs: &DecisionLogs,
    marks: ExportedMarks,
    mut to: impl Write,
) -> Result<AnswerCounts, ExportError> {
    let words = match marks {
        ExportedMarks::None => LoggedWords::default(),
        ExportedMarks::Feedback => LoggedWords { served: logs.outcomes()?, shadow: logs.shadow_outcomes()? },
    };
    let mut shadows: HashMap<u128, LoggedShadowAnswer> = HashMap::new();
    let passed_over = logs.each(|line| {
        if let LogLine::ShadowAnswer(answer) = line {
            shadows.insert(key((answer.client.as_deref(), &*answer.request_id)), *answer);
        }
        Ok::<_, ExportError>(())
    })?;
    let mut counts = AnswerCounts { passed_over, ..AnswerCounts::default() };
    logs.each(|line| {
        let LogLine::Decision(decision) = line else { return Ok(()) };
        let shadow = shadows.remove(&key((decision.client.as_deref(), &*decision.request_id)));
        if decision.answer.is_none() {
            return Ok(());
        }
        let Some(prompt) = decision.whole_text() else {
            counts.without_text += 1;
            return Ok(());
        };
        let shared = shared(&decision, prompt);
        let mut write = |mut row: Map<String, Value>, words: &FeedbackOutcomes| {
            let mark = words.of(&decision).map(mark);
            counts.marked += u64::from(mark.is_some());
            row.extend(mark.map(|mark| ("grades".to_owned(), json!([mark]))));
            writeln!(to, "{}", Value::Object(row))
        };
        write(served_row(&decision, shared.clone()), &words.served)?;
        if let Some(shadow) = &shadow {
            write(shadow_row(shadow, shared), &words.shadow)?;
        }
        counts.served += 1;
        counts.shadow += u64::from(shadow.is_some());
        Ok::<_, ExportError>(())
    })?;
    to.flush()?;
    Ok(counts)
}

/// Returns what both rows of a request have in common.
fn shared(decision: &LoggedDecision, prompt: &str) -> Map<String, Value> {
    let id = match &decision.client {
        Some(client) => format!("{client}:{}", decision.request_id),
        None => decision.request_id.to_string(),
    };
    members(json!({
        "kind": "answer",
        "id": id,
        "request_id": decision.request_id,
        "prompt": prompt,
        "group": format!("{:016x}", prompt_group(decision) >> 64),
    }))
}

fn served_row(decision: &LoggedDecision, mut row: Map<String, Value>) -> Map<String, Value> {
    row.extend(members(json!({
        "asked": decision.policy,
        "policy": decision.policy,
        "model": decision.answered_by,
        "label": decision.label,
        "score": decision.score,
        "reason": decision.reason,
        "scores": decision.scores,
        "status": decision.status,
        "error": decision.error.as_ref().map(|code| json!({"code": code, "message": ""})),
        "finish_reason": decision.finish_reason,
        "answer": decision.answer,
        "tool_calls": calls(&decision.tool_calls),
        "answer_truncated": decision.answer_truncated.then_some(true),
        "input_tokens": decision.input_tokens,
        "output_tokens": decision.output_tokens,
        "cost_usd": decision.cost_usd,
        "judge_cost_usd": decision.judge_cost_usd,
        "first_byte_ms": decision.first_byte_ms,
        "duration_ms": decision.duration_ms,
        "overhead_us": decision.overhead_us,
        "attempts": decision.attempts,
        "time": decision.time,
    })));
    row
}

fn shadow_row(shadow: &LoggedShadowAnswer, mut row: Map<String, Value>) -> Map<String, Value> {
    row.extend(members(json!({
        "asked": shadow.model,
        "model": shadow.model,
        "provider": shadow.provider,
        "shadow": true,
        "status": shadow.status,
        "error": shadow.error.as_ref().map(|error| json!({"code": "shadow_failed", "message": error})),
        "finish_reason": shadow.finish_reason,
        "answer": shadow.answer,
        "tool_calls": calls(&shadow.tool_calls),
        "answer_truncated": shadow.answer_truncated.then_some(true),
        "input_tokens": shadow.input_tokens,
        "output_tokens": shadow.output_tokens,
        "cost_usd": shadow.cost_usd,
        "duration_ms": shadow.duration_ms,
        "time": shadow.time,
    })));
    row
}

/// Returns what somebody said of an answer as a grade.
fn mark(quality: f64) -> Value {
    let score = (quality * 1e4).round() / 1e4; // of the digits that were given, not those of a short float
    json!({"grader": "human", "score": score, "correct": score >= RIGHT, "judge": "feedback"})
}

fn calls<C: serde::Serialize>(calls: &[C]) -> Option<&[C]> {
    (!calls.is_empty()).then_some(calls)
}

/// Returns the members of an object that say something.
fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(lines: &[Value]) -> (AnswerCounts, Vec<Value>) {
        exported_with(ExportedMarks::None, lines)
    }

    fn exported_with(marks: ExportedMarks, lines: &[Value]) -> (AnswerCounts, Vec<Value>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("d.jsonl");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, text).expect("written");
        let mut rows = Vec::new();
        let counts = export_answers(&DecisionLogs::new(vec![file]), marks, &mut rows).expect("rows");
        let rows = String::from_utf8(rows).expect("text");
        (counts, rows.lines().map(|row| serde_json::from_str(row).expect("a row")).collect())
    }

    fn decision(id: &str, text: &str, answer: Option<&str>) -> Value {
        json!({"kind": "decision", "request_id": id, "client": "team", "policy": "auto", "model": "small", "answered_by": "small",
            "text": text, "text_bytes": text.len(), "status": 200, "answer": answer, "finish_reason": "stop", "cost_usd": 0.25})
    }

    fn shadow(id: &str, client: &str, answer: &str) -> Value {
        json!({"kind": "shadow_answer", "request_id": id, "client": client, "policy": "auto", "model": "big", "served_by": "small",
            "status": 200, "answer": answer, "cost_usd": 0.5, "tool_calls": [{"name": "look", "arguments": "{}"}]})
    }

    #[test]
    fn both_answers_to_a_request_are_rows_with_one_id() {
        let lines = [
            shadow("a", "team", "four"),
            decision("a", "2 + 2?", Some("4")),
            decision("b", "hi", Some("hello")),
            shadow("b", "others", "of another client's request"),
            decision("c", "no answer logged", None),
        ];

        let (counts, rows) = exported(&lines);

        assert_eq!((counts.served, counts.shadow, counts.without_text), (2, 1, 0));
        let told: Vec<_> =
            rows.iter().map(|row| (row["id"].clone(), row["model"].clone(), row["answer"].clone())).collect();
        let expected = [("team:a", "small", "4"), ("team:a", "big", "four"), ("team:b", "small", "hello")];
        assert_eq!(told, expected.map(|(id, model, answer)| (json!(id), json!(model), json!(answer))));
        assert_eq!((&rows[0]["prompt"], &rows[1]["prompt"]), (&json!("2 + 2?"), &json!("2 + 2?")));
        assert_eq!((&rows[0]["asked"], &rows[1]["asked"]), (&json!("auto"), &json!("big")));
        assert_eq!((&rows[1]["tool_calls"][0]["name"], &rows[1]["policy"]), (&json!("look"), &Value::Null));
        assert_eq!(rows[0]["group"], rows[1]["group"]);
    }

    #[test]
    fn the_last_word_on_either_answer_is_a_mark_of_people_where_marks_are_wanted() {
        let word = |kind: &str, more: Value| {
            let mut word = json!({"kind": kind, "request_id": "a", "time": "2026-11-30T10:00:00Z"});
            word.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            word
        };
        let lines = [
            decision("a", "2 + 2?", Some("4")),
            shadow("a", "team", "four"),
            decision("b", "hi", Some("hello")),
            word("feedback", json!({"client": "team", "rating": 0.3})),
            word("feedback", json!({"client": "others", "rating": 0.0})),
            word("shadow_feedback", json!({"operator": true, "correct": true})),
        ];

        let (counts, rows) = exported_with(ExportedMarks::Feedback, &lines);

        assert_eq!((counts.marked, counts.served, counts.shadow), (2, 2, 1));
        let mark = |score: f64, correct: bool| json!([{"grader": "human", "score": score, "correct": correct, "judge": "feedback"}]);
        assert_eq!((&rows[0]["grades"], &rows[1]["grades"]), (&mark(0.3, false), &mark(1.0, true)));
        assert_eq!((&rows[2]["grades"], &exported(&lines).1[0]["grades"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn an_ask_that_was_cut_is_no_prompt_and_one_that_was_redacted_is() {
        let mut cut = decision("a", "half of", Some("4"));
        cut["text_bytes"] = json!(100);
        let mut redacted = decision("b", "[EMAIL] wrote", Some("4"));
        (redacted["text_bytes"], redacted["redactions"]) = (json!(100), json!(1));

        let (counts, rows) = exported(&[cut, redacted]);

        assert_eq!((counts.without_text, rows.len()), (1, 1));
        assert_eq!(rows[0]["prompt"], "[EMAIL] wrote");
    }
}
