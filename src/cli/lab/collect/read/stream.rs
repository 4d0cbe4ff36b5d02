//! A stream put together to the document that it is of: only what is read of an answer.

use pointsman_core::prompt::Dialect;
use serde_json::{Map, Value, json};

/// Returns the document.
///
/// # Errors
/// Returns the event that tells an error, or an error of our own for a stream without its end.
pub(super) fn whole(events: &[u8], dialect: Dialect) -> Result<Value, Value> {
    let text = String::from_utf8_lossy(events);
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    let mut answer = PartialAnswer::default();
    for data in data {
        if data == "[DONE]" {
            answer.has_ended = true;
            continue;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        if !event["error"].is_null() {
            return Err(event);
        }
        match dialect {
            Dialect::Messages => answer.add_message_event(&event),
            _ => answer.add_chunk(&event),
        }
    }
    if !answer.has_ended {
        return Err(json!({"error": {"code": "cut_stream", "message": "the stream has no end"}}));
    }
    Ok(answer.document(dialect))
}

/// An answer as far as its events came.
#[derive(Default)]
struct PartialAnswer {
    text: String,
    refusal: String,
    calls: Vec<PartialCall>,
    finish: Option<String>,
    has_ended: bool,
}

/// A call whose arguments come in pieces.
#[derive(Default)]
struct PartialCall {
    head: Map<String, Value>,
    name: String,
    arguments: String,
}

impl PartialAnswer {
    /// Adds a chunk of Chat Completions.
    fn add_chunk(&mut self, chunk: &Value) {
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        self.text.push_str(delta["content"].as_str().unwrap_or_default());
        self.refusal.push_str(delta["refusal"].as_str().unwrap_or_default());
        for part in delta["tool_calls"].as_array().into_iter().flatten() {
            let call = self.call(&part["index"]);
            for key in ["id", "type"] {
                if let Some(value) = part.get(key).filter(|value| !value.is_null()) {
                    call.head.insert(key.to_owned(), value.clone());
                }
            }
            call.name.push_str(part["function"]["name"].as_str().unwrap_or_default());
            call.arguments.push_str(part["function"]["arguments"].as_str().unwrap_or_default());
        }
        self.end(&choice["finish_reason"]);
    }

    /// Adds an event of Messages.
    fn add_message_event(&mut self, event: &Value) {
        let (delta, block) = (&event["delta"], &event["content_block"]);
        match event["type"].as_str().unwrap_or_default() {
            "content_block_start" if block["type"] == "tool_use" => {
                let call = self.call(&event["index"]);
                // Beside its index, by which the parts of its arguments find it.
                call.head.extend(block.as_object().cloned().unwrap_or_default());
            }
            "content_block_start" => self.text.push_str(block["text"].as_str().unwrap_or_default()),
            "content_block_delta" => {
                self.text.push_str(delta["text"].as_str().unwrap_or_default());
                if let Some(part) = delta["partial_json"].as_str() {
                    self.call(&event["index"]).arguments.push_str(part);
                }
            }
            "message_delta" => self.end(&delta["stop_reason"]),
            "message_stop" => self.has_ended = true,
            _ => {}
        }
    }

    fn end(&mut self, reason: &Value) {
        if let Some(reason) = reason.as_str() {
            self.finish = Some(reason.to_owned());
            self.has_ended = true;
        }
    }

    /// Returns the call with an index, which the API counts as it likes.
    fn call(&mut self, index: &Value) -> &mut PartialCall {
        let place = self.calls.iter().position(|call| call.head.get("index") == Some(index));
        let place = place.unwrap_or_else(|| {
            self.calls.push(PartialCall::default());
            self.calls.len() - 1
        });
        let call = &mut self.calls[place];
        call.head.entry("index").or_insert_with(|| index.clone());
        call
    }

    fn document(self, dialect: Dialect) -> Value {
        let Self { text, refusal, calls, finish, .. } = self;
        if dialect == Dialect::Messages {
            let calls = calls.into_iter().map(|PartialCall { mut head, arguments, .. }| {
                head.remove("index");
                head.insert("input".to_owned(), serde_json::from_str(&arguments).unwrap_or_else(|_| json!({})));
                Value::Object(head)
            });
            let content: Vec<Value> = [json!({"type": "text", "text": text})].into_iter().chain(calls).collect();
            return json!({"content": content, "stop_reason": finish});
        }
        let calls = calls.into_iter().map(|PartialCall { mut head, name, arguments }| {
            head.remove("index");
            head.insert("function".to_owned(), json!({"name": name, "arguments": arguments}));
            Value::Object(head)
        });
        let message = json!({"content": text, "refusal": refusal, "tool_calls": calls.collect::<Vec<_>>()});
        json!({"choices": [{"finish_reason": finish, "message": message}]})
    }
}

#[cfg(test)]
mod tests {
    use super::super::ReadAnswer;
    use super::*;

    fn stream(events: &[Value]) -> Vec<u8> {
        events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes()
    }

    #[test]
    fn chunks_are_put_together_with_their_calls_and_their_end() {
        let delta = |delta: Value, finish: Value| json!({"choices": [{"delta": delta, "finish_reason": finish}]});
        let call = |part: Value| delta(json!({"tool_calls": [part]}), Value::Null);
        let events = [
            delta(json!({"content": "4"}), Value::Null),
            delta(json!({"content": "2"}), Value::Null),
            call(json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}})),
            call(json!({"index": 0, "function": {"arguments": ":1}"}})),
            delta(json!({}), json!("tool_calls")),
            json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}),
        ];

        let read = ReadAnswer::of_stream(&stream(&events), Dialect::ChatCompletions).expect("whole");

        assert_eq!((read.text.as_str(), read.finish_reason.as_deref()), ("42", Some("tool_calls")));
        let expected = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
        assert_eq!(read.tool_calls, [expected]);
    }

    #[test]
    fn events_of_messages_are_put_together() {
        let events = [
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
            json!({"type": "content_block_start", "index": 1,
                "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
            json!({"type": "message_stop"}),
        ];

        let read = ReadAnswer::of_stream(&stream(&events), Dialect::Messages).expect("whole");

        assert_eq!((read.text.as_str(), read.finish_reason.as_deref()), ("Hi", Some("tool_use")));
        assert_eq!(read.tool_calls, [json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}})]);
    }

    #[test]
    fn an_error_within_and_a_stream_without_its_end_are_no_answers() {
        let cut = [json!({"choices": [{"delta": {"content": "4"}}]})];
        let broken = [json!({"error": {"code": "overloaded", "message": "m"}})];

        let told = [&cut, &broken].map(|events| whole(&stream(events), Dialect::ChatCompletions).expect_err("none"));

        assert_eq!([&told[0]["error"]["code"], &told[1]["error"]["code"]], ["cut_stream", "overloaded"]);
    }
}
