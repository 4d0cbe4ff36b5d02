//! The text, the calls and the end of an answer, in the words of its API.

mod stream;

use pointsman_core::prompt::Dialect;
use serde_json::Value;

/// An answer as it was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ReadAnswer {
    /// The text; empty where the answer has none.
    pub(super) text: String,
    /// The calls of tools, as the API has them.
    pub(super) tool_calls: Vec<Value>,
    /// The reason why it ended.
    pub(super) finish_reason: Option<String>,
}

impl ReadAnswer {
    /// Reads a stream that answers a request of `dialect`.
    ///
    /// # Errors
    /// Returns the error that the stream tells, or one of its end.
    pub(super) fn of_stream(events: &[u8], dialect: Dialect) -> Result<Self, Value> {
        stream::whole(events, dialect).map(|body| Self::of(&body, dialect))
    }

    /// Reads an answer to a request of `dialect`.
    pub(super) fn of(body: &Value, dialect: Dialect) -> Self {
        let owned = |value: &Value| value.as_str().map(str::to_owned);
        if dialect == Dialect::Messages {
            let (calls, others): (Vec<&Value>, Vec<&Value>) =
                body["content"].as_array().into_iter().flatten().partition(|block| block["type"] == "tool_use");
            return Self {
                text: others.iter().filter_map(|block| block["text"].as_str()).collect(),
                tool_calls: calls.into_iter().cloned().collect(),
                finish_reason: owned(&body["stop_reason"]),
            };
        }
        let (choice, message) = (&body["choices"][0], &body["choices"][0]["message"]);
        let parts = || message["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
        let refusal = || message["refusal"].as_str().unwrap_or_default().to_owned();
        let text = owned(&message["content"]).unwrap_or_else(|| parts().collect());
        Self {
            text: if text.is_empty() { refusal() } else { text },
            tool_calls: message["tool_calls"].as_array().cloned().unwrap_or_default(),
            finish_reason: owned(&choice["finish_reason"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_in_the_words_of_its_api() {
        let chat = json!({"choices": [{"finish_reason": "stop", "message": {"content": "4"}}]});
        let parts = json!({"choices": [{"message": {"content": [{"type": "text", "text": "4"}]}}]});
        let refusal = json!({"choices": [{"message": {"content": null, "refusal": "no"}}]});
        let messages = json!({"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "4"},
            {"type": "tool_use", "id": "c"}], "stop_reason": "tool_use"});

        let read = [chat, parts, refusal].map(|body| ReadAnswer::of(&body, Dialect::ChatCompletions).text);
        let said = ReadAnswer::of(&messages, Dialect::Messages);

        assert_eq!(read, ["4", "4", "no"]);
        assert_eq!(
            (said.text.as_str(), said.tool_calls.len(), said.finish_reason.as_deref()),
            ("4", 1, Some("tool_use"))
        );
        assert_eq!(ReadAnswer::of(&Value::Null, Dialect::ChatCompletions), ReadAnswer::default());
    }
}
