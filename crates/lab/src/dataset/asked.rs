//! What a row asks: one prompt, or a conversation that a user turn ends, alone or within a whole request body.

use pointsman_core::answer_check::RequestedFormat;
use pointsman_core::features::{Features, TextStructure, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use serde_json::{Map, Value, json};

/// The keys beside what is asked that are the request's, for whoever reads rows. What else stands in a row may mean anything.
pub(super) const REQUEST_KEYS: [&str; 17] = [
    "system",
    "tools",
    "tool_choice",
    "functions",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "output_config",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "stop",
    "stop_sequences",
];

/// Blocks of a turn that only Messages has.
const MESSAGES_BLOCKS: [&str; 4] = ["tool_use", "tool_result", "thinking", "document"];

/// What a row asks.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedPrompt {
    /// The text of the newest user turn.
    pub text: String,
    /// The turns before it, as a chat body has them; none where a row holds one prompt.
    pub history: Vec<Value>,
    /// The whole request, where a row holds more than a prompt.
    pub request: Option<RowRequest>,
}

/// The request that a row holds: it is read as one that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRequest {
    dialect: Dialect,
    body: String,
}

impl AskedPrompt {
    /// Returns the form that the request asks for in its answer.
    pub(crate) fn format(&self) -> RequestedFormat {
        let request = self.request.as_ref();
        request.map_or(RequestedFormat::Free, |request| RequestedFormat::of(request.dialect, request.body.as_bytes()))
    }

    /// Takes what is asked out of a row: `prompt`, else `messages`, else `text`.
    pub(crate) fn take(row: &mut Map<String, Value>) -> Result<Self, &'static str> {
        let prompt = string(row, "prompt").ok_or("`prompt` is no string")?;
        match (prompt, row.remove("messages").filter(|messages| !messages.is_null())) {
            (Some(_), Some(_)) => Err("`prompt` beside `messages`: one of them is what was asked"),
            (Some(text), None) => Ok(Self::of_text(text)),
            (None, Some(Value::Array(turns))) => {
                let keys = REQUEST_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), row.remove(*key)?)));
                Self::of_body(keys.collect(), turns)
            }
            (None, Some(Value::Object(mut body))) => match body.remove("messages") {
                Some(Value::Array(turns)) => Self::of_body(body, turns),
                _ => Err("`messages` is an object without the turns of a chat as its own `messages`"),
            },
            (None, Some(_)) => Err("`messages` is neither the turns of a chat nor a request body"),
            (None, None) => {
                let text = string(row, "text").ok_or("`text` is no string")?;
                text.map(Self::of_text).ok_or("missing field `prompt`")
            }
        }
    }

    /// Returns whether a user or an assistant spoke before: what a reply needs is not in its own words.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.history.iter().any(|turn| turn["role"] != "system" && turn["role"] != "developer")
    }

    /// Returns the conversation as a judge reads it, turn by turn.
    #[must_use]
    pub fn transcript(&self) -> String {
        let turn = |turn: &Value| {
            let role = turn["role"].as_str().unwrap_or("turn");
            let content = turn["content"].as_str().map_or_else(|| turn["content"].to_string(), str::to_owned);
            format!("{role}: {content}\n\n")
        };
        self.history.iter().map(turn).collect::<String>() + "user: " + &self.text
    }

    /// Returns the features of the request.
    #[must_use]
    pub fn features(&self) -> Features {
        let counter = TokenCounter::new();
        let features = match &self.request {
            Some(request) => Features::of(&request.prompt(), &counter),
            None => Features::of(&RowRequest::of_text(&self.text).prompt(), &counter),
        };
        features.with_text(TextStructure::of(&self.text))
    }

    /// Returns the request, or that of a chat whose one user turn is the text.
    #[must_use]
    pub fn request(&self) -> RowRequest {
        self.request.clone().unwrap_or_else(|| RowRequest::of_text(&self.text))
    }

    fn of_text(text: String) -> Self {
        Self { text, history: Vec::new(), request: None }
    }

    fn of_body(mut body: Map<String, Value>, turns: Vec<Value>) -> Result<Self, &'static str> {
        let (newest, history) = turns.split_last().ok_or("`messages` ends with no user turn, it is empty")?;
        if newest["role"] != "user" {
            return Err("`messages` ends with no user turn");
        }
        let text = text(&newest["content"]).ok_or("`messages` ends with no user turn whose `content` has text")?;
        let history = history.to_vec();
        let dialect = dialect(&body, &turns);
        body.insert("model".to_owned(), json!("row"));
        body.insert("messages".to_owned(), Value::Array(turns));
        let request = RowRequest { dialect, body: Value::Object(body).to_string() };
        if Prompt::parse(dialect, request.body.as_bytes()).is_err() {
            return Err("`messages` and the keys beside it are no request");
        }
        Ok(Self { text, history, request: Some(request) })
    }
}

impl RowRequest {
    /// Returns the chat request whose one user turn is `text`.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let body = json!({"model": "row", "messages": [{"role": "user", "content": text}]}).to_string();
        Self { dialect: Dialect::ChatCompletions, body }
    }

    /// Makes the request of a body that was read in this API before.
    pub(crate) fn of_body(dialect: Dialect, body: Map<String, Value>) -> Self {
        Self { dialect, body: Value::Object(body).to_string() }
    }

    /// Returns the API of the request.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the request's body, whose `model` is a placeholder.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Reads the request as one that a client sent.
    ///
    /// # Panics
    /// Never: it was read when the row was.
    #[must_use]
    pub fn prompt(&self) -> Prompt<'_> {
        Prompt::parse(self.dialect, self.body.as_bytes()).expect("it was read when the row was")
    }
}

/// Takes a string, `None` for one that is missing; the outer `None` for a value of another kind.
fn string(row: &mut Map<String, Value>, key: &str) -> Option<Option<String>> {
    match row.remove(key) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text)),
        Some(_) => None,
    }
}

/// Returns the text of a turn's content: a string, or parts of which some are text.
fn text(content: &Value) -> Option<String> {
    let Value::Array(parts) = content else { return content.as_str().map(str::to_owned) };
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn dialect(body: &Map<String, Value>, turns: &[Value]) -> Dialect {
    let parts = turns.iter().filter_map(|turn| turn["content"].as_array()).flatten();
    let is_messages = |part: &Value| part["type"].as_str().is_some_and(|kind| MESSAGES_BLOCKS.contains(&kind));
    if body.contains_key("system") || parts.into_iter().any(is_messages) {
        Dialect::Messages
    } else {
        Dialect::ChatCompletions
    }
}
