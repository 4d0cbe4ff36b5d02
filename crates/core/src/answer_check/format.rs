//! The form that a request asks for in its answer, and whether an answer has it.

use jsonschema::PatternOptions;
use serde_json::{Map, Value};

use crate::prompt::Dialect;

/// The largest schema that is used, in bytes: it is the client's, and compiling it takes time.
const MAX_SCHEMA: usize = 64 << 10;

/// The form that a request asks for in its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestedFormat {
    /// Any text.
    Free,
    /// A JSON document.
    Json,
    /// A JSON document that a schema takes.
    Schema(Value),
}

impl RequestedFormat {
    /// Returns the form that a request body of an API asks for.
    #[must_use]
    pub fn of(dialect: Dialect, body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Self::Free };
        if dialect.is_google() {
            return of_google(&body);
        }
        let format = if dialect.is_responses() {
            &body["text"]["format"]
        } else if dialect.is_anthropic() {
            [&body["output_config"]["format"], &body["output_format"]]
                .into_iter()
                .find(|format| format.is_object())
                .unwrap_or(&Value::Null)
        } else {
            &body["response_format"]
        };
        let schema = [&format["json_schema"]["schema"], &format["schema"]].into_iter().find(|it| it.is_object());
        match (format["type"].as_str(), schema) {
            (Some("json_schema"), Some(schema)) => Self::Schema(schema.clone()),
            (Some("json_schema" | "json_object"), _) => Self::Json,
            _ => Self::Free,
        }
    }

    /// Returns whether an answer has the form; `None` where the schema is none that can be used. Thoughts and fences around
    /// the document make it another form: a client that parses the answer would fail.
    #[must_use]
    pub fn takes(&self, answer: &str) -> Option<bool> {
        let document = || serde_json::from_str::<Value>(answer.trim()).ok();
        match self {
            Self::Free => Some(true),
            Self::Json => Some(document().is_some()),
            Self::Schema(schema) => {
                let Some(document) = document() else { return Some(false) };
                if schema.to_string().len() > MAX_SCHEMA {
                    return None;
                }
                // Patterns are the client's: only those that take linear time. Nothing that a schema refers to is fetched.
                let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
                options.build(schema).ok().map(|validator| validator.is_valid(&document))
            }
        }
    }

    /// Returns whether any text has the form.
    #[must_use]
    pub fn is_free(&self) -> bool {
        *self == Self::Free
    }
}

/// Returns the form that a request of Google's API asks for: JSON Schema, or a schema in the words of OpenAPI.
fn of_google(body: &Value) -> RequestedFormat {
    let settings = [&body["generationConfig"], &body["generation_config"]].into_iter().find(|it| it.is_object());
    let Some(settings) = settings else { return RequestedFormat::Free };
    let of = |keys: [&str; 2]| keys.into_iter().map(|key| &settings[key]).find(|value| !value.is_null());
    if let Some(schema) = of(["responseJsonSchema", "response_json_schema"]) {
        return RequestedFormat::Schema(schema.clone());
    }
    if let Some(schema) = of(["responseSchema", "response_schema"]) {
        return RequestedFormat::Schema(as_json_schema(schema));
    }
    let kind = of(["responseMimeType", "response_mime_type"]).and_then(Value::as_str);
    if kind == Some("application/json") { RequestedFormat::Json } else { RequestedFormat::Free }
}

/// Returns a schema in the words of OpenAPI as JSON Schema: types in lower case, `nullable` as a type.
fn as_json_schema(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut made = Map::new();
    for (key, value) in members {
        let value = match (key.as_str(), value) {
            ("type", Value::String(kind)) => Value::String(kind.to_ascii_lowercase()),
            ("properties", Value::Object(parts)) => {
                parts.iter().map(|(name, part)| (name.clone(), as_json_schema(part))).collect()
            }
            ("items", part) => as_json_schema(part),
            ("anyOf" | "any_of", Value::Array(parts)) => parts.iter().map(as_json_schema).collect(),
            ("nullable" | "propertyOrdering" | "property_ordering" | "example" | "format", _) => continue,
            (_, value) => value.clone(),
        };
        made.insert(if key == "any_of" { "anyOf".to_owned() } else { key.clone() }, value);
    }
    let is_nullable = members.get("nullable") == Some(&Value::Bool(true));
    if let (true, Some(kind)) = (is_nullable, made.get("type").cloned()) {
        made.insert("type".to_owned(), Value::Array(vec![kind, Value::from("null")]));
    }
    Value::Object(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(dialect: Dialect, body: &Value) -> RequestedFormat {
        RequestedFormat::of(dialect, body.to_string().as_bytes())
    }

    #[test]
    fn the_form_is_read_in_every_api_s_words() {
        let schema = json!({"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}});
        let openapi = json!({"type": "OBJECT", "required": ["age"], "properties": {"age": {"type": "INTEGER"}}});
        for (dialect, body) in [
            (
                Dialect::ChatCompletions,
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": schema}}}),
            ),
            (Dialect::Responses, json!({"text": {"format": {"type": "json_schema", "name": "p", "schema": schema}}})),
            (Dialect::Messages, json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}})),
            (Dialect::GenerateContent, json!({"generationConfig": {"responseJsonSchema": schema}})),
            (
                Dialect::GenerateContent,
                json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": openapi}}),
            ),
        ] {
            let format = of(dialect, &body);
            assert_eq!(format.takes("{\"age\": 3}"), Some(true), "{body}");
            assert_eq!(format.takes("{\"age\": \"x\"}"), Some(false), "{body}");
            assert_eq!(format.takes("```json\n{\"age\": 3}\n```"), Some(false), "{body}");
        }
        assert_eq!(
            of(Dialect::ChatCompletions, &json!({"response_format": {"type": "json_object"}})),
            RequestedFormat::Json
        );
        assert!(of(Dialect::ChatCompletions, &json!({"response_format": {"type": "text"}})).is_free());
    }

    #[test]
    fn a_schema_that_cannot_be_used_leaves_the_question_open() {
        let remote = RequestedFormat::Schema(json!({"$ref": "https://schemas.example/person.json"}));

        assert_eq!(remote.takes("{}"), None);
        assert_eq!(remote.takes("no JSON"), Some(false));
    }
}
