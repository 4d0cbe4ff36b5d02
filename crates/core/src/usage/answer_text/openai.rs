//! Answers of chat completions and completions: a whole one says in `message` what the chunks of a stream say in `delta`.

use serde_json::Value;

use super::draft::AnswerDraft;

pub(super) fn read(document: &Value, draft: &mut AnswerDraft) {
    let Some(choices) = document["choices"].as_array() else { return };
    draft.recognize();
    let first = choices.iter().find(|choice| choice["index"].as_u64().unwrap_or_default() == 0);
    let Some(choice) = first else { return };
    if let Some(text) = choice["text"].as_str() {
        draft.push_text(text);
    }
    for said in [&choice["message"], &choice["delta"]] {
        read_message(said, draft);
    }
    for token in choice["logprobs"]["content"].as_array().into_iter().flatten() {
        token["logprob"].as_f64().into_iter().for_each(|logprob| draft.push_logprob(logprob));
    }
    for logprob in choice["logprobs"]["token_logprobs"].as_array().into_iter().flatten() {
        logprob.as_f64().into_iter().for_each(|logprob| draft.push_logprob(logprob));
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        draft.end(reason);
    }
}

fn read_message(said: &Value, draft: &mut AnswerDraft) {
    if said["refusal"].as_str().is_some_and(|refusal| !refusal.is_empty()) {
        draft.refuse();
    }
    let parts = said["content"].as_array().into_iter().flatten().map(|part| &part["text"]);
    let texts = [&said["content"], &said["refusal"]].into_iter().chain(parts);
    texts.filter_map(Value::as_str).for_each(|text| draft.push_text(text));
    for (place, call) in (0..).zip(said["tool_calls"].as_array().into_iter().flatten()) {
        let number = call["index"].as_u64().unwrap_or(place);
        read_call(number, if call["custom"].is_object() { &call["custom"] } else { &call["function"] }, draft);
    }
    if said["function_call"].is_object() {
        read_call(0, &said["function_call"], draft);
    }
}

fn read_call(number: u64, call: &Value, draft: &mut AnswerDraft) {
    let arguments = call["arguments"].as_str().or_else(|| call["input"].as_str());
    draft.push_call(number, call["name"].as_str().unwrap_or_default(), arguments.unwrap_or_default());
}
