//! The parameters that an API's answer refuses, in the words of many vendors.
//!
//! Only what was sent can be refused: the keys of the request are looked for in an answer that says in one of the known
//! ways that a parameter is not taken. What makes up a question is never left out, whatever the answer says.

use bytes::Bytes;
use serde_json::Value;

use super::members::{BodyMembers, is_parameter};

/// A parameter that a model's API has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedParameter {
    /// The parameter: a key, or `object.key`.
    pub name: String,
    /// The name that the API wants in its place.
    pub(super) instead: Option<&'static str>,
    /// The JSON of the one value that was refused, where others may be taken.
    pub(super) only: Option<String>,
    /// The element of the list that was refused, where the others may stay.
    pub(super) element: Option<&'static str>,
}

/// Keys without which a request is another one.
const ESSENTIAL: [&str; 26] = [
    "model",
    "messages",
    "input",
    "prompt",
    "instructions",
    "system",
    "stream",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "text",
    "output_config",
    "n",
    "conversation",
    "previous_response_id",
    "suffix",
    "background",
    "modalities",
    "audio",
    "include",
    "container",
    "mcp_servers",
    "context_management",
    "image",
];

/// Objects whose members are parameters.
const OBJECTS: [&str; 7] =
    ["reasoning", "text", "output_config", "thinking", "stream_options", "chat_template_kwargs", "extra_body"];

/// The ways of saying that a parameter is not taken, in lower case.
const REFUSALS: [&str; 29] = [
    // OpenAI and Azure, and servers that speak like them.
    "unsupported param",
    "unsupported value",
    "unsupported argument",
    "unsupported field",
    "unknown parameter",
    "unknown argument",
    "unknown key",
    "unknown property",
    "unrecognized request argument",
    "unrecognized argument",
    "unrecognized parameter",
    "unrecognized field",
    "unrecognized key",
    // OpenAI, Groq, vLLM.
    "not supported",
    "is unsupported",
    // DeepSeek, xAI.
    "does not support",
    "argument not supported",
    // Anthropic, Mistral, Fireworks, and what is checked by pydantic.
    "not permitted",
    "extra_forbidden",
    "is deprecated for this model",
    "cannot both be specified",
    "may only be set to",
    // Gemini.
    "cannot find field",
    // Servers written in other languages.
    "unknown field",
    "unexpected keyword",
    "unexpected argument",
    "unexpected field",
    "unexpected property",
    "additional properties are not allowed",
];

/// Words, in lower case, after which a colon begins a list of names: "Unrecognized request argument supplied: user".
const BEFORE_NAMES: [&str; 14] = [
    "supplied",
    "model",
    "param",
    "params",
    "parameter",
    "parameters",
    "argument",
    "arguments",
    "field",
    "fields",
    "key",
    "keys",
    "property",
    "properties",
];

/// The element of `include` that models refuse which do not reason.
const SEALED_REASONING: &str = "reasoning.encrypted_content";

/// Names that are plain words as well: they must be quoted, stand at the head of the message, or in a list of
/// names at its end.
const PLAIN_WORDS: [&str; 8] = ["user", "stop", "seed", "store", "metadata", "prediction", "speed", "reasoning"];

/// The two names of the longest answer.
const LENGTHS: [(&str, &str); 2] = [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")];

/// The largest value that is remembered.
const MOST_VALUE_BYTES: usize = 64;

impl RefusedParameter {
    /// Returns the parameters of the request `sent` that the error body `answer` refuses.
    #[must_use]
    pub fn all_in(answer: &[u8], sent: &Bytes) -> Vec<Self> {
        let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return Vec::new() };
        let mut said = String::new();
        collect(&answer, &mut said);
        let lower = said.to_ascii_lowercase();
        if !REFUSALS.iter().any(|refusal| lower.contains(refusal)) {
            return Vec::new();
        }
        let members = BodyMembers::of(sent);
        if let Some(element) = Self::element(&lower, &members) {
            return vec![element];
        }
        let mut names: Vec<String> = sent_names(&members).filter(|name| is_named(&said, name)).collect();
        if lower.contains("cannot both be specified") && names.len() > 1 {
            names.retain(|name| name == "top_p");
        }
        // Where a member is named, the object stays.
        let inner: Vec<String> = names.iter().filter_map(|name| Some(name.split_once('.')?.0.to_owned())).collect();
        names.retain(|name| !inner.contains(name));
        let is_value = (lower.contains("unsupported value") || lower.contains("unsupported_value"))
            && !lower.contains("only the default");
        names.into_iter().map(|name| Self::of(name, &members, is_value)).collect()
    }

    /// Returns the element of `include` that is refused: one that clients send to every model alike.
    fn element(said: &str, members: &BodyMembers<'_>) -> Option<Self> {
        let is_said = said.contains("encrypted content") || said.contains("encrypted_content");
        let include: Vec<Value> = members.read("include").filter(|_| is_said)?;
        let is_sent = include.iter().any(|element| element == SEALED_REASONING);
        is_sent.then(|| Self { name: "include".to_owned(), instead: None, only: None, element: Some(SEALED_REASONING) })
    }

    /// Makes one; with `is_value` only the value that was sent is refused.
    fn of(name: String, members: &BodyMembers<'_>, is_value: bool) -> Self {
        let instead = LENGTHS.iter().find(|(old, _)| *old == name).map(|(_, new)| *new);
        let value = members.get(&name).filter(|value| is_value && value.len() <= MOST_VALUE_BYTES);
        let only = value.map(|value| String::from_utf8_lossy(&value).into_owned());
        Self { name, instead, only, element: None }
    }

    /// Returns whether `value`, the JSON that the parameter has now, is refused.
    pub(super) fn refuses(&self, value: &[u8]) -> bool {
        match (self.element, &self.only) {
            (Some(_), _) => self.rest(value).is_some(),
            (None, only) => only.as_ref().is_none_or(|only| only.as_bytes() == value),
        }
    }

    /// Returns the elements of the list `value` without the one that is refused; `None` where it is not there.
    pub(super) fn rest(&self, value: &[u8]) -> Option<Vec<Value>> {
        let (element, mut all) = (self.element?, serde_json::from_slice::<Vec<Value>>(value).ok()?);
        let before = all.len();
        all.retain(|other| other != element);
        (all.len() < before).then_some(all)
    }
}

/// Returns the names of what was sent and may be left out: keys, and the members of the objects of parameters.
fn sent_names(members: &BodyMembers<'_>) -> impl Iterator<Item = String> {
    let mut names: Vec<String> = Vec::new();
    for key in members.names() {
        if !ESSENTIAL.contains(&key) {
            names.push(key.to_owned());
        }
        if OBJECTS.contains(&key) {
            let object: Value = members.read(key).unwrap_or_default();
            let inner = object.as_object().into_iter().flat_map(|object| object.keys());
            let inner = inner.filter(|inner| is_parameter(inner));
            names.extend(
                inner
                    .filter(|inner| !matches!(inner.as_str(), "format" | "type"))
                    .map(|inner| format!("{key}.{inner}")),
            );
        }
    }
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// Gathers every text of an answer, and paths (`loc: [body, temperature]`) with their parts quoted.
fn collect(value: &Value, said: &mut String) {
    match value {
        Value::String(text) => {
            said.push_str(text);
            said.push('\n');
        }
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, said)),
        Value::Object(fields) => {
            for (key, field) in fields {
                match (&**key, field) {
                    ("param", Value::String(name)) => said.push_str(&format!("\"{name}\"\n")),
                    ("loc", Value::Array(path)) => said.push_str(&format!("\"{}\"\n", dotted(path))),
                    // What was sent comes back in it.
                    ("input", _) => {}
                    (_, field) => collect(field, said),
                }
            }
        }
        _ => {}
    }
}

fn dotted(path: &[Value]) -> String {
    let parts = path.iter().filter_map(Value::as_str).filter(|part| *part != "body");
    parts.collect::<Vec<_>>().join(".")
}

/// Returns whether `said` names the parameter, as it is or as other languages spell it.
fn is_named(said: &str, name: &str) -> bool {
    let is_plain = PLAIN_WORDS.contains(&name);
    let inner = name.rsplit('.').next().unwrap_or_default();
    stands_in(said, name, is_plain)
        || stands_in(said, &camel_case(name), is_plain)
        || name.contains('.') && inner != "type" && stands_in(said, inner, true)
}

/// Returns whether `name` stands in `said` as a whole; where `quoted_only`, in quotes or at the head of a line.
fn stands_in(said: &str, name: &str, quoted_only: bool) -> bool {
    said.match_indices(name).any(|(at, _)| {
        let before = said[..at].chars().next_back();
        let after = said[at + name.len()..].chars().next();
        let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let is_quoted = before.is_some_and(is_quote) && after.is_some_and(|c| is_quote(c) || c == '.');
        let heads = before.is_none_or(|c| c == '\n') && after == Some(':');
        let is_whole = !before.is_some_and(|c| is_word(c) || c == '.') && !after.is_some_and(is_word);
        is_quoted || heads || is_whole && (!quoted_only || is_in_list(said, at))
    })
}

/// Returns whether what stands `at` is in a list of names at the end of a line: `parameters: a, b and c.`
fn is_in_list(said: &str, at: usize) -> bool {
    let start = said[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = said[start..].lines().next().unwrap_or_default();
    let Some((head, list)) = line.rsplit_once(':').filter(|(head, _)| start + head.len() < at) else { return false };
    let is_name = |name: &str| is_parameter(name.trim_end_matches('.'));
    let is_list = list.split([',']).flat_map(|part| part.split(" and ")).all(|name| is_name(name.trim()));
    let before = head.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_ascii_lowercase();
    is_list && BEFORE_NAMES.contains(&&*before)
}

fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut camel = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            camel.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    camel
}

#[cfg(test)]
mod tests;
