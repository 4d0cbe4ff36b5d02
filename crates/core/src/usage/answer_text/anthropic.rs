//! Answers of Anthropic's messages: blocks, which a stream begins and goes on with by their numbers.

use serde_json::Value;

use super::draft::AnswerDraft;

pub(super) fn read(document: &Value, draft: &mut AnswerDraft) {
    let Some(blocks) = document["content"].as_array() else { return };
    draft.recognize();
    for (number, block) in (0..).zip(blocks) {
        read_block(number, block, draft);
    }
    if let Some(reason) = document["stop_reason"].as_str() {
        end(reason, draft);
    }
}

pub(super) fn read_event(event: &Value, draft: &mut AnswerDraft) {
    let number = event["index"].as_u64().unwrap_or_default();
    let delta = &event["delta"];
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => draft.recognize(),
        "content_block_start" => read_block(number, &event["content_block"], draft),
        "content_block_delta" => {
            if let Some(text) = delta["text"].as_str() {
                draft.push_text(text);
            }
            if let Some(piece) = delta["partial_json"].as_str() {
                draft.push_call(number, "", piece);
            }
        }
        "message_delta" => {
            if let Some(reason) = delta["stop_reason"].as_str() {
                end(reason, draft);
            }
        }
        _ => {}
    }
}

/// Reads a block, whole or as far as a stream begins it: the input of a call is an empty object then.
fn read_block(number: u64, block: &Value, draft: &mut AnswerDraft) {
    match block["type"].as_str().unwrap_or_default() {
        "text" => draft.push_text(block["text"].as_str().unwrap_or_default()),
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            let input = block["input"].as_object().filter(|input| !input.is_empty());
            let input = input.map(|_| block["input"].to_string()).unwrap_or_default();
            draft.push_call(number, block["name"].as_str().unwrap_or_default(), &input);
        }
        _ => {}
    }
}

/// Notes why an answer has ended, which may be that it refuses.
fn end(reason: &str, draft: &mut AnswerDraft) {
    if reason == "refusal" {
        draft.refuse();
    }
    draft.end(reason);
}
