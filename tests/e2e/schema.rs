//! Whether JSON is what the OpenAPI document says: the part of JSON Schema that the document uses.

use serde_json::{Map, Value};

/// The document of a gateway, or of this version.
pub(crate) struct Document(Value);

impl Document {
    pub(crate) fn new() -> Self {
        let text = include_str!("../../src/admin/openapi.json");
        Self(serde_json::from_str(text).expect("the document is JSON"))
    }

    /// Returns what of `value` is not as the schema called `name` says.
    pub(crate) fn violations(&self, name: &str, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.check(self.schema(name), value, name, &mut found);
        found
    }

    fn schema(&self, name: &str) -> &Value {
        let schema = &self.0["components"]["schemas"][name];
        assert!(schema.is_object(), "no schema `{name}`");
        schema
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check(self.schema(name.rsplit('/').next().unwrap_or_default()), value, at, found);
        }
        if let Some(ways) = schema["anyOf"].as_array() {
            let tried = ways.iter().map(|way| {
                let mut own = Vec::new();
                self.check(way, value, at, &mut own);
                own
            });
            let best = tried.min_by_key(Vec::len).unwrap_or_default();
            return found.extend(best);
        }
        if !is_of_type(&schema["type"], value) {
            return found.push(format!("{at} is {value}, not of type {}", schema["type"]));
        }
        if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
            found.push(format!("{at} is {value}, not one of {allowed:?}"));
        }
        match value {
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                let is_low = schema["minimum"].as_f64().is_some_and(|least| number < least);
                if is_low || schema["maximum"].as_f64().is_some_and(|most| number > most) {
                    found.push(format!("{at} is {number}, out of bounds"));
                }
            }
            Value::Array(items) if schema["items"].is_object() => {
                let each = items.iter().enumerate();
                each.for_each(|(index, item)| self.check(&schema["items"], item, &format!("{at}[{index}]"), found));
            }
            Value::Object(entries) => self.check_object(schema, entries, at, found),
            _ => {}
        }
    }

    fn check_object(&self, schema: &Value, entries: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        found.extend(required.filter(|key| !entries.contains_key(*key)).map(|key| format!("{at} lacks `{key}`")));
        for (key, value) in entries {
            let at = format!("{at}.{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (own @ Value::Object(_), _) => self.check(own, value, &at, found),
                (_, Value::Bool(false)) => found.push(format!("{at} is not described")),
                (_, rest @ Value::Object(_)) => self.check(rest, value, &at, found),
                _ => {}
            }
        }
    }
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    wanted.as_array().map_or_else(|| is(wanted), |kinds| kinds.iter().any(is))
}

#[test]
fn what_the_document_does_not_say_is_found() {
    let document = Document::new();
    let flip = serde_json::json!({"of": "threshold", "value": "x", "threshold": 0.5, "more": 1});

    let mut found = document.violations("Flip", &flip);

    found.sort();
    assert_eq!(
        found,
        ["Flip lacks `model`", "Flip.more is not described", "Flip.value is \"x\", not of type \"number\""]
    );
}
