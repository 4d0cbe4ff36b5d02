//! Answers of Google's contents: the documents of a stream are like a whole answer.

use serde_json::Value;

use super::draft::AnswerDraft;

pub(super) fn read(document: &Value, draft: &mut AnswerDraft) {
    if let Some(reason) = document["promptFeedback"]["blockReason"].as_str() {
        draft.end(reason);
    }
    let Some(candidates) = document["candidates"].as_array() else { return };
    draft.recognize();
    let first = candidates.iter().find(|candidate| candidate["index"].as_u64().unwrap_or_default() == 0);
    let Some(candidate) = first else { return };
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        if let Some(text) = part["text"].as_str().filter(|_| part["thought"] != true) {
            draft.push_text(text);
        }
        if part["functionCall"].is_object() {
            let call = &part["functionCall"];
            let arguments = call["args"].as_object().map(|_| call["args"].to_string()).unwrap_or_default();
            draft.push_call(draft.next_call(), call["name"].as_str().unwrap_or_default(), &arguments);
        }
    }
    for token in candidate["logprobsResult"]["chosenCandidates"].as_array().into_iter().flatten() {
        token["logProbability"].as_f64().into_iter().for_each(|logprob| draft.push_logprob(logprob));
    }
    if let Some(mean) = candidate["avgLogprobs"].as_f64() {
        draft.set_mean_logprob(mean);
    }
    if let Some(reason) = candidate["finishReason"].as_str() {
        draft.end(reason);
    }
}
