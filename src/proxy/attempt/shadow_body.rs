//! A client's request as another model is asked it for comparison: for a whole answer of bounded length, in the words of
//! that model's provider.
//!
//! Only what a model answers by itself is asked again: nothing that providers keep, no tools that a vendor carries out, no
//! other media than text. What names the client's own users or accounts, or asks a vendor to keep something, is left out.

use std::collections::BTreeMap;

use bytes::Bytes;
use pointsman_core::prompt::{BodyEdits, Dialect, google_settings};
use serde_json::Value;

use super::original::OriginalBody;
use super::translated::AttemptTranslation;
use crate::upstream::{Deployment, translation_for};

/// The largest body that is asked again: it is kept until the client has its answer.
pub(in crate::proxy) const MAX_BODY: usize = 256 << 10;

/// Keys that are left out: how the answer comes, what it costs, whose it is, and who keeps it.
const LEFT_OUT: [&str; 13] = [
    "stream",
    "stream_options",
    "service_tier",
    "speed",
    "n",
    "best_of",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "background",
    "store",
];

/// Keys of state that providers keep, of tools that vendors carry out, and of other media: never asked again.
const UNSUITABLE: [&str; 12] = [
    "previous_response_id",
    "conversation",
    "prompt",
    "web_search_options",
    "audio",
    "modalities",
    "mcp_servers",
    "container",
    "cachedContent",
    "cached_content",
    "context_management",
    "prediction",
];

/// The types of tools that a client carries out itself.
const CLIENT_TOOLS: [&str; 6] = ["function", "custom", "bash_", "text_editor_", "computer_", "memory_"];

/// Keys under which bodies hold other media than text, wherever they stand.
const MEDIA: [&str; 11] = [
    "image_url",
    "input_audio",
    "file",
    "file_id",
    "file_url",
    "file_data",
    "inlineData",
    "inline_data",
    "fileData",
    "image_file",
    "video_url",
];

/// A request that can be sent to the other model.
#[derive(Debug)]
pub(in crate::proxy) struct ShadowRequest {
    pub(in crate::proxy) body: Bytes,
    /// The API that it is in.
    pub(in crate::proxy) dialect: Dialect,
    /// The translation, where that is not the client's.
    pub(in crate::proxy) translation: Option<AttemptTranslation>,
}

impl OriginalBody {
    /// Returns the request for `target`, whose answer has `max_tokens` at most; `None` for what is not asked again.
    pub(in crate::proxy) fn shadow_request(&self, target: &Deployment, max_tokens: u64) -> Option<ShadowRequest> {
        let client = self.dialect.family().filter(|_| self.dialect.generates())?;
        let body: Value = serde_json::from_slice(self.bytes()).ok()?;
        if !is_suitable(&body) {
            return None;
        }
        let own = Dialect::of_family(client);
        let (length_key, asked) = asked_length(own, &body);
        let limit = asked.map_or(max_tokens, |asked| asked.min(max_tokens));
        let set = BTreeMap::from([(length_key.to_owned(), Value::from(limit))]);
        let mut set = if own.is_google() { google_settings(self.bytes(), &set) } else { set };
        let mut left_out: Vec<String> = LEFT_OUT.iter().map(|key| (*key).to_owned()).collect();
        if own == Dialect::Responses {
            left_out.retain(|key| key != "store");
            set.insert("store".to_owned(), Value::Bool(false)); // its default keeps answers
        }
        let asking = self.asking_whole(&BodyEdits::new(&left_out, &BTreeMap::new(), &set));
        match translation_for(own, target).ok()? {
            Some(pair) => {
                let made = asking.translated_for(target, pair, Some(limit), None).ok()?;
                let dialect = made.translation.answer_dialect();
                Some(ShadowRequest { body: made.bytes, dialect, translation: Some(made.translation) })
            }
            None => {
                let fitted = target.fit(own, asking.bytes(), Some(limit));
                let body = asking.body_for(target, &fitted.edits);
                Some(ShadowRequest { body, dialect: own, translation: None })
            }
        }
    }
}

/// Returns the key of the longest answer, and what the client says of it.
fn asked_length(dialect: Dialect, body: &Value) -> (&'static str, Option<u64>) {
    let of = |key: &'static str| (key, body[key].as_u64());
    match dialect {
        Dialect::ChatCompletions if !body["max_completion_tokens"].is_null() => of("max_completion_tokens"),
        Dialect::Responses => of("max_output_tokens"),
        Dialect::GenerateContent => {
            let settings = ["generationConfig", "generation_config"].into_iter().map(|key| &body[key]);
            let said = settings.flat_map(|settings| [&settings["maxOutputTokens"], &settings["max_output_tokens"]]);
            ("max_tokens", said.filter_map(Value::as_u64).next())
        }
        _ => of("max_tokens"),
    }
}

fn is_suitable(body: &Value) -> bool {
    let Some(members) = body.as_object() else { return false };
    let has_state = UNSUITABLE.iter().any(|key| members.get(*key).is_some_and(|value| !value.is_null()));
    let tools = body["tools"].as_array().into_iter().flatten();
    let settings = ["generationConfig", "generation_config"].into_iter().map(|key| &body[key]);
    let has_media =
        settings.flat_map(|it| [&it["responseModalities"], &it["response_modalities"]]).any(|it| !it.is_null());
    let is_background = body["background"] == true;
    !has_state && !is_background && !has_media && tools.into_iter().all(is_client_tool) && is_text(body)
}

/// Returns whether nobody but the client carries out what a tool does.
fn is_client_tool(tool: &Value) -> bool {
    match tool["type"].as_str() {
        Some(kind) => CLIENT_TOOLS.iter().any(|known| kind.starts_with(known)),
        None => tool.as_object().is_some_and(|members| {
            // Anthropic's have a name; Google's are lists of functions, or an object for each of its own.
            let is_function = |key: &String| key == "functionDeclarations" || key == "function_declarations";
            members.contains_key("name") || (!members.is_empty() && members.keys().all(is_function))
        }),
    }
}

/// Returns whether there is nothing but text in what was said. Schemas of tools may name what they like.
fn is_text(body: &Value) -> bool {
    ["messages", "input", "contents", "system", "instructions"].into_iter().all(|key| is_text_within(&body[key]))
}

fn is_text_within(said: &Value) -> bool {
    match said {
        Value::Array(items) => items.iter().all(is_text_within),
        Value::Object(members) => {
            let is_media = members.keys().any(|key| MEDIA.contains(&key.as_str()))
                || matches!(
                    members.get("type").and_then(Value::as_str),
                    Some("image" | "document" | "input_file" | "input_image")
                );
            !is_media
                && ["content", "parts", "output"].into_iter().all(|key| members.get(key).is_none_or(is_text_within))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_text_without_kept_state_and_with_the_client_s_own_tools_is_asked_again() {
        let text = json!([{"role": "user", "content": "hi"}]);
        for body in [
            json!({"messages": text}),
            json!({"messages": text, "tools": [{"type": "function", "function": {"name": "file", "parameters": {"image_url": 1}}}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "tools": [{"name": "look", "input_schema": {}}]}),
            json!({"contents": [{"parts": [{"text": "hi"}]}], "tools": [{"functionDeclarations": []}]}),
            json!({"input": "hi", "previous_response_id": null}),
        ] {
            assert!(is_suitable(&body), "{body}");
        }
        for body in [
            json!({"input": "hi", "previous_response_id": "resp_1"}),
            json!({"input": "hi", "background": true}),
            json!({"messages": text, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            json!({"input": "hi", "tools": [{"type": "mcp", "server_url": "https://x"}]}),
            json!({"contents": [], "tools": [{"googleSearch": {}}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}),
            json!({"contents": [{"parts": [{"fileData": {"fileUri": "x"}}]}]}),
            json!([]),
        ] {
            assert!(!is_suitable(&body), "{body}");
        }
    }
}
