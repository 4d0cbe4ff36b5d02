//! JSON schemas within the vendors' limits: Google's own form and the keywords that its models follow, the rules of
//! OpenAI's strict mode, and the form that Anthropic takes.

mod anthropic;
mod strict;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

pub use self::anthropic::AnthropicSchema;
pub use self::strict::{NO_OBJECT, is_of_object, is_strict};
use crate::json::{self, Fields};

/// The deepest schema that is looked into.
const DEEPEST: usize = 32;

/// The keywords of JSON schema that Google's models follow.
const FOLLOWED_BY_GOOGLE: [&str; 22] = [
    "$id",
    "$defs",
    "$ref",
    "$anchor",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
    "nullable",
];

/// Keywords that say nothing about a value.
const NOTES: [&str; 9] =
    ["$schema", "$comment", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "strict"];

/// The schemas below a keyword.
enum SubschemaForm {
    None,
    One,
    List,
    Named,
}

fn below(keyword: &str) -> SubschemaForm {
    match keyword {
        "items" | "additionalProperties" | "not" | "if" | "then" | "else" | "contains" | "propertyNames" => {
            SubschemaForm::One
        }
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => SubschemaForm::List,
        "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => SubschemaForm::Named,
        _ => SubschemaForm::None,
    }
}

/// Returns the keywords of a schema that Google's models do not follow, each once, sorted. The schema may be sent as it
/// is: they are taken, and not enforced.
#[must_use]
pub fn not_followed_by_google(schema: &RawValue) -> Vec<String> {
    let mut found = Vec::new();
    collect_unfollowed(schema, DEEPEST, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn collect_unfollowed(schema: &RawValue, depth: usize, found: &mut Vec<String>) {
    let Some(fields) = Fields::of(schema).filter(|_| depth > 0) else { return };
    for (keyword, raw) in fields.iter() {
        if !FOLLOWED_BY_GOOGLE.contains(&keyword) && !NOTES.contains(&keyword) {
            found.push(keyword.to_owned());
        }
        match below(keyword) {
            SubschemaForm::None => {}
            SubschemaForm::One => collect_unfollowed(raw, depth - 1, found),
            SubschemaForm::List => {
                json::list(raw).unwrap_or_default().iter().for_each(|raw| collect_unfollowed(raw, depth - 1, found));
            }
            SubschemaForm::Named => {
                let named = Fields::of(raw).unwrap_or_default();
                named.iter().for_each(|(_, raw)| collect_unfollowed(raw, depth - 1, found));
            }
        }
    }
}

/// Writes a schema of Google's own form, OpenAPI's subset with types in capitals, as JSON schema to the end of `out`.
pub fn write_json_schema(schema: &RawValue, out: &mut Vec<u8>) {
    write_schema(schema, DEEPEST, out);
}

fn write_schema(schema: &RawValue, depth: usize, out: &mut Vec<u8>) {
    let Some(fields) = Fields::of(schema).filter(|_| depth > 0) else {
        out.extend_from_slice(schema.get().as_bytes());
        return;
    };
    let nullable = fields.value::<bool>("nullable") == Some(true);
    let ordering = fields.either(["propertyOrdering", "property_ordering"]).and_then(json::list).unwrap_or_default();
    let names = ordering.iter().filter_map(|name| json::text(name));
    let order = names.enumerate().map(|(place, name)| (name, place)).collect();
    out.push(b'{');
    let start = out.len();
    for (key, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
        let keyword = spelled(key);
        let is_said = match &*keyword {
            "nullable" | "propertyOrdering" => false,
            "type" => json::text(raw).is_none_or(|kind| kind != "TYPE_UNSPECIFIED"),
            // The only format of Google's own: a text out of an enumeration, which `enum` says.
            "format" => json::text(raw).as_deref() != Some("enum"),
            _ => true,
        };
        if !is_said {
            continue;
        }
        if out.len() > start {
            out.push(b',');
        }
        push_text(out, &keyword);
        out.push(b':');
        let place = SchemaPlace { keyword: &keyword, nullable, order: &order, depth };
        write_value(raw, &place, out);
    }
    out.push(b'}');
}

/// The place of a value in a schema.
struct SchemaPlace<'p> {
    keyword: &'p str,
    nullable: bool,
    order: &'p HashMap<Cow<'p, str>, usize>,
    depth: usize,
}

fn write_value(raw: &RawValue, place: &SchemaPlace<'_>, out: &mut Vec<u8>) {
    let below = place.depth - 1;
    match place.keyword {
        "type" => write_type(raw, place.nullable, out),
        "enum" => write_list(raw, out, |raw, out| out.extend_from_slice(raw.get().as_bytes()), place.nullable, "null"),
        "anyOf" => write_list(raw, out, |raw, out| write_schema(raw, below, out), place.nullable, NULL_SCHEMA),
        "oneOf" | "allOf" | "prefixItems" => {
            write_list(raw, out, |raw, out| write_schema(raw, below, out), false, "");
        }
        "items" | "additionalProperties" => write_schema(raw, below, out),
        "properties" | "$defs" => write_named(raw, place, out),
        "examples" => {
            out.push(b'[');
            out.extend_from_slice(raw.get().as_bytes());
            out.push(b']');
        }
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
            // Numbers of 64 bits are texts in Google's JSON.
            let number = json::text(raw).filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
            out.extend_from_slice(number.as_deref().unwrap_or(raw.get()).as_bytes());
        }
        _ => out.extend_from_slice(raw.get().as_bytes()),
    }
}

/// The schema of nothing but `null`.
const NULL_SCHEMA: &str = r#"{"type":"null"}"#;

fn write_type(raw: &RawValue, nullable: bool, out: &mut Vec<u8>) {
    let Some(kind) = json::text(raw) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    let kind = kind.to_ascii_lowercase();
    if nullable && kind != "null" {
        out.push(b'[');
        push_text(out, &kind);
        out.extend_from_slice(b",\"null\"]");
    } else {
        push_text(out, &kind);
    }
}

fn write_list(raw: &RawValue, out: &mut Vec<u8>, write: impl Fn(&RawValue, &mut Vec<u8>), has_null: bool, null: &str) {
    let Some(elements) = json::list(raw) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    out.push(b'[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    if has_null {
        if !elements.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(null.as_bytes());
    }
    out.push(b']');
}

/// Writes named schemas: properties come in the order that Google's field of its own says.
fn write_named(raw: &RawValue, place: &SchemaPlace<'_>, out: &mut Vec<u8>) {
    let Some(fields) = Fields::of(raw) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    let mut named: Vec<_> = fields.iter().collect();
    if place.keyword == "properties" {
        named.sort_by_key(|(name, _)| place.order.get(*name).copied().unwrap_or(usize::MAX));
    }
    out.push(b'{');
    for (index, (name, schema)) in named.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        write_schema(schema, place.depth - 1, out);
    }
    out.push(b'}');
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text is JSON, and a Vec takes every byte");
}

/// Returns a keyword of JSON schema by either spelling of Google's.
fn spelled(key: &str) -> Cow<'_, str> {
    match key {
        "defs" => Cow::Borrowed("$defs"),
        "ref" => Cow::Borrowed("$ref"),
        "example" => Cow::Borrowed("examples"),
        _ if !key.starts_with('$') && key.contains('_') => Cow::Owned(camel_case(key)),
        _ => Cow::Borrowed(key),
    }
}

/// Returns `any_of` as `anyOf`.
pub(crate) fn camel_case(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut is_next_large = false;
    for letter in key.chars() {
        if letter == '_' {
            is_next_large = true;
        } else if std::mem::take(&mut is_next_large) {
            camel.push(letter.to_ascii_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("JSON")
    }

    fn converted(text: &str) -> String {
        let mut out = Vec::new();
        write_json_schema(raw(text), &mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn googles_form_becomes_json_schema_in_either_spelling() {
        let google = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true,"enum":["x"],"format":"enum"},
            "b_c":{"any_of":[{"type":"INTEGER"},{"type":"ARRAY","items":{"type":"NUMBER"},"min_items":"1","maxItems":3}],"nullable":true}},
            "required":["a"],"property_ordering":["b_c","a"],"example":{"a":"x"},"description":"D"}"#;

        assert_eq!(
            converted(google),
            concat!(
                r#"{"type":"object","properties":{"b_c":{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"number"},"#,
                r#""minItems":1,"maxItems":3},{"type":"null"}]},"a":{"type":["string","null"],"enum":["x",null]}},"#,
                r#""required":["a"],"examples":[{"a":"x"}],"description":"D"}"#
            )
        );
    }

    #[test]
    fn a_json_schema_is_left_as_it_is() {
        let schema = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":["string","null"]}},"additionalProperties":false}"##;

        assert_eq!(converted(schema), schema);
    }

    #[test]
    fn keywords_that_google_does_not_follow_are_named_where_they_are_keywords() {
        let schema = r#"{"type":"object","properties":{"pattern":{"type":"string","minLength":1},"x":{"anyOf":[{"const":1}]}},"$schema":"s"}"#;

        assert_eq!(not_followed_by_google(raw(schema)), ["const", "minLength"]);
    }

    #[test]
    fn a_schema_without_end_does_not_take_the_stack() {
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(3_000), "}".repeat(3_000));
        let schema = RawValue::from_string(deep).ok();

        // Deeper than the parser goes: no schema at all. What it takes is looked into up to a depth.
        if let Some(schema) = schema {
            let _ = (not_followed_by_google(&schema), is_strict(&schema), AnthropicSchema::of(&schema));
            let mut out = Vec::new();
            write_json_schema(&schema, &mut out);
        }
    }
}
