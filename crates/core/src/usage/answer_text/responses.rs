//! Answers of OpenAI's responses: items of output. Events of a stream repeat at their ends what their deltas have said, so
//! that only deltas count.

use serde_json::Value;

use super::draft::AnswerDraft;

pub(super) fn read(response: &Value, draft: &mut AnswerDraft) {
    let Some(items) = response["output"].as_array() else { return };
    draft.recognize();
    for (number, item) in (0..).zip(items) {
        for part in item["content"].as_array().into_iter().flatten() {
            read_part(part, draft);
            let texts = [&part["text"], &part["refusal"]].into_iter().filter_map(Value::as_str);
            texts.filter(|_| item["type"] == "message").for_each(|text| draft.push_text(text));
        }
        read_call(number, item, draft);
    }
    read_end(response, draft);
}

pub(super) fn read_event(event: &Value, draft: &mut AnswerDraft) {
    let number = event["output_index"].as_u64().unwrap_or_default();
    let delta = event["delta"].as_str().unwrap_or_default();
    match event["type"].as_str().unwrap_or_default() {
        "response.created" => draft.recognize(),
        "response.output_text.delta" => {
            draft.push_text(delta);
            read_logprobs(event, draft);
        }
        "response.refusal.delta" => {
            draft.push_text(delta);
            draft.refuse();
        }
        "response.output_item.added" => read_call(number, &event["item"], draft),
        "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
            draft.push_call(number, "", delta);
        }
        "response.completed" | "response.incomplete" | "response.failed" => read_end(&event["response"], draft),
        _ => {}
    }
}

/// Reads what a part says beside its text: that it refuses, and how sure the model was.
fn read_part(part: &Value, draft: &mut AnswerDraft) {
    if part["type"] == "refusal" {
        draft.refuse();
    }
    read_logprobs(part, draft);
}

fn read_logprobs(holder: &Value, draft: &mut AnswerDraft) {
    for token in holder["logprobs"].as_array().into_iter().flatten() {
        token["logprob"].as_f64().into_iter().for_each(|logprob| draft.push_logprob(logprob));
    }
}

fn read_call(number: u64, item: &Value, draft: &mut AnswerDraft) {
    if !matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call")) {
        return;
    }
    let arguments = item["arguments"].as_str().or_else(|| item["input"].as_str());
    draft.push_call(number, item["name"].as_str().unwrap_or_default(), arguments.unwrap_or_default());
}

/// Reads why a response has ended: the reason that it is incomplete, else its status.
fn read_end(response: &Value, draft: &mut AnswerDraft) {
    let reason = response["incomplete_details"]["reason"].as_str().or_else(|| response["status"].as_str());
    if let Some(reason) = reason {
        draft.end(reason);
    }
}
