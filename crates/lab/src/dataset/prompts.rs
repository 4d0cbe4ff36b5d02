//! Prompts to ask, one row each: rows as `prepare` writes them, decision logs with text, benchmark files.
//!
//! Owns what is asked and the row's identity. Refuses to know answers: what a grader needs passes through as
//! `reference`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use pointsman_core::prompt::Dialect;
use pointsman_telemetry::decision_log::record::{DecisionRecord, RecordKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::asked::{AskedPrompt, REQUEST_KEYS, RowRequest};
use super::lines::RowLines;
use super::{DatasetError, benchmark};

/// Digits of an id that a row does not bring itself.
const ID_BYTES: usize = 8;

/// A row that asks something.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptRow {
    /// The row's own id, else one of its prompt.
    pub id: String,
    /// The newest ask.
    pub text: String,
    /// True where somebody spoke before the newest ask.
    pub is_reply: bool,
    /// The row's keys, but for its id: what is asked as `prompt` or `messages`, and all that passes through.
    pub keys: Map<String, Value>,
}

/// The rows of a file of prompts: an iterator that stops after the first error.
#[derive(Debug)]
pub struct PromptRows {
    lines: RowLines<BufReader<File>>,
    skipped: u64,
    ended: bool,
}

/// The kind of a line that may be a decision log's.
#[derive(Deserialize)]
struct LineKind {
    kind: Option<RecordKind>,
    request_id: Option<String>,
}

impl PromptRow {
    /// Takes a row of a file; `None` where nothing is asked, as a line of a log without text.
    pub(crate) fn of(mut keys: Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let id = keys.remove("id");
        if let Some(text) =
            keys.remove("text").filter(|_| !keys.contains_key("prompt") && !keys.contains_key("messages"))
        {
            keys.insert("prompt".to_owned(), text);
        }
        if ["prompt", "messages"].iter().all(|key| keys.get(*key).is_none_or(Value::is_null)) {
            return Err("missing field `prompt`");
        }
        let asked = AskedPrompt::take(&mut keys.clone())?;
        if asked.text.trim().is_empty() {
            return Ok(None);
        }
        let id = match id {
            Some(Value::String(id)) if !id.is_empty() => id,
            Some(Value::Number(id)) => id.to_string(),
            None | Some(Value::Null) => id_of(&keys),
            Some(_) => return Err("`id` is neither a string nor a number"),
        };
        Ok(Some(Self { id, is_reply: asked.is_reply(), text: asked.text, keys }))
    }

    /// Returns the request that asks it, with the row's parameters; its `model` is a placeholder.
    ///
    /// # Panics
    /// Never: the row was read as a request before.
    #[must_use]
    pub fn request(&self) -> RowRequest {
        let asked = AskedPrompt::take(&mut self.keys.clone()).expect("it was read when the row was");
        let read = asked.request();
        let mut body: Map<String, Value> = serde_json::from_str(read.body()).expect("a body of our own is an object");
        for key in REQUEST_KEYS {
            if let Some(value) = self.keys.get(key) {
                body.entry(key).or_insert_with(|| value.clone());
            }
        }
        // Beside a lone prompt, system words are a turn of the chat.
        if read.dialect() == Dialect::ChatCompletions
            && let Some(system) = body.remove("system")
            && let Some(Value::Array(turns)) = body.get_mut("messages")
        {
            turns.insert(0, json!({"role": "system", "content": system}));
        }
        RowRequest::of_body(read.dialect(), body)
    }

    /// Returns a key that passes through, where it is a text.
    #[must_use]
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.keys.get(key).and_then(Value::as_str)
    }
}

impl PromptRows {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        Ok(Self { lines: RowLines::open(path)?, skipped: 0, ended: false })
    }

    /// Returns the number of rows so far that ask nothing: logged requests without their whole text, blank prompts.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the sha256 of what was read so far: of the whole file once the rows have ended.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.lines.sha256()
    }

    /// Returns the number of the line that was read last, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.lines.number()
    }

    fn read(&mut self) -> Result<Option<PromptRow>, DatasetError> {
        while let Some(row) = self.read_line(|_| true)? {
            match row {
                Some(row) => return Ok(Some(row)),
                None => self.skipped += 1,
            }
        }
        Ok(None)
    }

    /// Reads the next line once `shape` has changed its row; the inner `None` where nothing is asked, or `shape` says
    /// no.
    pub(crate) fn read_line(
        &mut self,
        shape: impl FnOnce(&mut Map<String, Value>) -> bool,
    ) -> Result<Option<Option<PromptRow>>, DatasetError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let Some(mut keys) = (match self.logged()? {
            Some(logged) => logged,
            None => Some(self.lines.parse()?),
        }) else {
            return Ok(Some(None));
        };
        let refuse = |message| self.lines.incomplete(message);
        benchmark::adopt(&mut keys).map_err(refuse)?;
        if !shape(&mut keys) {
            return Ok(Some(None));
        }
        PromptRow::of(keys).map(Some).map_err(refuse)
    }

    /// Reads a line of a decision log; the outer `None` where it is a row. Feedback and denials ask nothing.
    fn logged(&self) -> Result<Option<Option<Map<String, Value>>>, DatasetError> {
        let Ok(LineKind { kind: Some(kind), request_id: Some(id) }) = serde_json::from_slice(self.lines.row()) else {
            return Ok(None);
        };
        if kind != RecordKind::Decision {
            return Ok(Some(None));
        }
        let decision: DecisionRecord<'_> = self.lines.parse()?;
        let row = decision
            .whole_text()
            .map(|text| Map::from_iter([("prompt".to_owned(), json!(text)), ("id".to_owned(), json!(id))]));
        Ok(Some(row))
    }
}

impl Iterator for PromptRows {
    type Item = Result<PromptRow, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

/// Returns an id of what is asked: the first digits of the SHA-256 of its JSON, keys in order.
fn id_of(keys: &Map<String, Value>) -> String {
    let asked: Map<String, Value> = ["prompt", "messages", "system", "tools"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), keys.get(key).filter(|value| !value.is_null())?.clone())))
        .collect();
    let digest = Sha256::digest(Value::Object(asked).to_string().as_bytes());
    digest[..ID_BYTES].iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes what is written");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Value) -> PromptRow {
        let Value::Object(value) = value else { panic!("an object") };
        PromptRow::of(value).expect("a row").expect("a prompt")
    }

    fn body(row: &PromptRow) -> Value {
        serde_json::from_str(row.request().body()).expect("JSON")
    }

    #[test]
    fn a_row_keeps_its_id_and_gets_one_of_its_prompt_where_it_has_none() {
        let own = row(json!({"id": 7, "prompt": "Hi"}));
        let (first, again) = (row(json!({"prompt": "Hi", "label": "x"})), row(json!({"text": "Hi"})));

        assert_eq!((own.id.as_str(), first.id.len()), ("7", 16));
        assert_eq!(first.id, again.id);
        assert_ne!(first.id, row(json!({"prompt": "Ho"})).id);
    }

    #[test]
    fn parameters_of_the_row_are_set_on_the_request() {
        let asked = row(json!({
            "prompt": "Sum up.", "system": "Be brief.", "max_tokens": 9, "temperature": 0, "label": "simple",
            "response_format": {"type": "json_object"},
        }));

        assert_eq!(
            body(&asked),
            json!({
                "model": "row", "max_tokens": 9, "temperature": 0, "response_format": {"type": "json_object"},
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Sum up."}],
            })
        );
    }

    #[test]
    fn every_key_of_a_request_is_the_request_s_for_whoever_reads_the_row() {
        let value = |key: &str| match key {
            "system" => json!("Be brief."),
            "temperature" | "top_p" => json!(0.5),
            "max_tokens" | "max_completion_tokens" | "top_k" | "seed" => json!(7),
            "parallel_tool_calls" => json!(true),
            "tools" | "functions" | "stop" | "stop_sequences" => json!([]),
            "reasoning_effort" | "tool_choice" => json!("auto"),
            _ => json!({}),
        };
        for key in REQUEST_KEYS {
            let turns = json!([{"role": "user", "content": "Sum up."}]);
            let keys = Map::from_iter([("messages".to_owned(), turns), (key.to_owned(), value(key))]);

            let asked = AskedPrompt::take(&mut keys.clone()).expect("a row of `eval`");
            let collected = row(Value::Object(keys));

            for request in [asked.request(), collected.request()] {
                let body: Value = serde_json::from_str(request.body()).expect("JSON");
                assert_eq!(body[key], value(key), "{key}");
            }
        }
        let rows = json!({"messages": [{"role": "user", "content": "Sum up."}], "top_p": 0.25, "label": "simple"});
        let asked = AskedPrompt::take(&mut rows.as_object().expect("an object").clone()).expect("a row");
        assert_eq!(json!(asked.features())["top_p"], json!(0.25), "`eval` sees what would serve");
    }

    #[test]
    fn a_conversation_is_asked_as_it_is_in_its_own_api() {
        let turns = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]);
        let chat = row(json!({ "messages": turns }));
        let messages = row(json!({"messages": turns, "system": "s", "max_tokens": 5}));

        assert_eq!((chat.text.as_str(), chat.is_reply), ("c", true));
        assert_eq!(
            (chat.request().dialect(), messages.request().dialect()),
            (Dialect::ChatCompletions, Dialect::Messages)
        );
        assert_eq!((&body(&messages)["system"], &body(&messages)["max_tokens"]), (&json!("s"), &json!(5)));
    }

    #[test]
    fn logs_and_benchmarks_are_read_and_what_asks_nothing_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prompts.jsonl");
        let decision = |id: &str, text: &str, bytes: usize| {
            json!({"kind": "decision", "request_id": id, "policy": "p", "reason": "tier", "model": "m", "features": {}, "candidates": [],
                "applied": true, "attempts": 1, "duration_ms": 1.0, "overhead_us": 1, "time": "", "generation": 1,
                "text": text, "text_bytes": bytes})
        };
        let lines = [
            decision("r1", "whole", 5),
            decision("r2", "cut", 9),
            json!({"kind": "feedback", "request_id": "r1", "correct": 1.0}),
            json!({"prompt": "  "}),
            json!({"question": "1+1?", "answer": "#### 2"}),
        ];
        std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("written");

        let mut rows = PromptRows::open(&path).expect("a file");
        let read: Vec<PromptRow> = rows.by_ref().collect::<Result<_, _>>().expect("rows");

        assert_eq!(read.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), ["whole", "1+1?"]);
        assert_eq!((read[0].id.as_str(), rows.skipped()), ("r1", 3));
        assert_eq!(read[1].keys["reference"], json!({"number": "2"}));
    }
}
