//! Bodies in the form that readers borrow from: what other APIs write as other JSON is written so before.
//!
//! Readers hold nothing of their own. So schemas of Google's own form become JSON schemas, and probabilities get OpenAI's
//! form, by replacing these values alone.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::value::RawValue;

use super::logprobs;
use super::splices::BodySplices;
use crate::conversion::schema::write_json_schema;
use crate::json::{self, Fields};

/// Returns a request's body with JSON schemas alone.
pub(super) fn request(body: &[u8]) -> Cow<'_, [u8]> {
    let has = |word: &[u8]| memmem::find(body, word).is_some();
    if !has(b"\"parameters\"") && !has(b"\"responseSchema\"") && !has(b"\"response_schema\"") {
        return Cow::Borrowed(body);
    }
    let Ok(fields) = Fields::of_document(body) else { return Cow::Borrowed(body) };
    let mut splices = BodySplices::of(body);
    for tool in fields.list("tools") {
        let tool = Fields::of(tool).unwrap_or_default();
        let functions = tool.either(["functionDeclarations", "function_declarations"]).and_then(json::list);
        for function in functions.unwrap_or_default() {
            if let Some(schema) = Fields::of(function).unwrap_or_default().get("parameters") {
                splices.replace(schema, converted(schema));
            }
        }
    }
    let config = fields.either(["generationConfig", "generation_config"]).and_then(Fields::of).unwrap_or_default();
    if let Some(schema) = config.either(["responseSchema", "response_schema"]) {
        splices.replace(schema, converted(schema));
    }
    splices.apply()
}

fn converted(schema: &RawValue) -> Vec<u8> {
    let mut out = Vec::with_capacity(schema.get().len());
    write_json_schema(schema, &mut out);
    out
}

/// Returns an answer's body with probabilities in OpenAI's form.
pub(super) fn answer(body: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(body, b"\"logprobsResult\"").is_none() {
        return Cow::Borrowed(body);
    }
    let Ok(fields) = Fields::of_document(body) else { return Cow::Borrowed(body) };
    let mut splices = BodySplices::of(body);
    for candidate in fields.list("candidates") {
        if let Some(raw) = Fields::of(candidate).unwrap_or_default().get("logprobsResult") {
            splices.replace(raw, logprobs::to_open(raw).unwrap_or_else(|| b"null".to_vec()));
        }
    }
    splices.apply()
}
