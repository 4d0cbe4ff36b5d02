//! The top-level `model` of a JSON body: its value, and the bytes that spell it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::parse_error::ParseError;
use super::scan;
use super::splice::splice;

/// The model that a body names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelField<'b> {
    /// The name, with escapes resolved.
    pub name: Cow<'b, str>,
    /// The bytes of the JSON string in the body, quotes included.
    pub span: Range<usize>,
}

/// Finds the top-level `model` of any JSON object without reading anything else in it.
///
/// The key counts however it is escaped; a `model` inside a nested value does not. Nesting of any depth is safe.
///
/// # Errors
///
/// When the body is not a JSON object, or does not name exactly one model at its top level.
pub fn model_field(body: &[u8]) -> Result<ModelField<'_>, ParseError> {
    model_slot(body)?.into_field(body)
}

/// Returns whether a JSON object has no top-level `model`, or `null` for one.
#[must_use]
pub fn names_no_model(body: &[u8]) -> bool {
    model_slot(body).is_ok_and(|slot| slot.value.is_none() || slot.null().is_some())
}

fn model_slot(body: &[u8]) -> Result<ModelSlot<'_>, ParseError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_map(ModelFieldVisitor).and_then(|slot| json.end().map(|()| slot));
    match read {
        Err(error) if error.is_syntax() && serde_json::from_slice::<IgnoredAny>(body).is_ok() => scanned_slot(body),
        read => Ok(read?),
    }
}

/// Finds the model of a body that is JSON and has keys which are no text: half of a surrogate pair.
fn scanned_slot(body: &[u8]) -> Result<ModelSlot<'_>, ParseError> {
    let open = scan::object_at(body, 0).ok_or(ParseError::NotAnObject)?;
    let mut slot = ModelSlot::default();
    for member in scan::members(body, open).filter(|member| member.name(body).as_deref() == Some("model")) {
        slot.put(serde_json::from_slice(&body[member.value])?);
    }
    Ok(slot)
}

/// Returns `body` with `model` as its top-level `model`, whether it names one, `null`, or none; every other byte stays.
///
/// # Errors
/// As [`model_field`], but for a body that names no model.
pub fn with_model(body: &Bytes, model: &str) -> Result<Bytes, ParseError> {
    let slot = model_slot(body)?;
    if let Some(null) = slot.null() {
        return Ok(splice(body, span_in(body, null), model));
    }
    match slot.into_field(body) {
        Ok(field) if field.name == model => Ok(body.clone()),
        Ok(field) => Ok(splice(body, field.span, model)),
        Err(ParseError::ModelMissing) => Ok(begun_with(body, model)),
        Err(error) => Err(error),
    }
}

/// Returns `body` for readers that need the name of a model: with an empty one where it has none that is a text.
///
/// # Errors
/// When the body is not a JSON object, or names a model twice.
pub fn with_readable_model(body: &Bytes) -> Result<Bytes, ParseError> {
    let slot = model_slot(body)?;
    let odd = slot.value;
    match slot.into_field(body) {
        Ok(_) => Ok(body.clone()),
        Err(ParseError::ModelMissing) => Ok(begun_with(body, "")),
        Err(ParseError::ModelNotAString) => {
            Ok(odd.map_or_else(|| body.clone(), |odd| splice(body, span_in(body, odd), "")))
        }
        Err(error) => Err(error),
    }
}

/// Puts `model` before the first key of a body that is an object without it.
fn begun_with(body: &Bytes, model: &str) -> Bytes {
    let Some(open) = body.iter().position(|byte| *byte == b'{') else { return body.clone() };
    let (start, rest) = body.split_at(open + 1);
    let is_empty = rest.trim_ascii_start().first() == Some(&b'}');
    let comma = if is_empty { "" } else { "," };
    let quoted = serde_json::Value::from(model).to_string();
    [start, format!("\"model\":{quoted}{comma}").as_bytes(), rest].concat().into()
}

/// The slot in which a reader of the top level puts each `model` it meets.
#[derive(Default)]
pub(super) struct ModelSlot<'b> {
    value: Option<&'b RawValue>,
    twice: bool,
}

impl<'b> ModelSlot<'b> {
    pub(super) fn put(&mut self, value: &'b RawValue) {
        self.twice |= self.value.replace(value).is_some();
    }

    pub(super) const fn is_given(&self) -> bool {
        self.value.is_some()
    }

    /// Returns the value, if it is the only one and `null`.
    fn null(&self) -> Option<&'b RawValue> {
        self.value.filter(|value| !self.twice && value.get() == "null")
    }

    /// Locates the value in `body`, which it must have been read from.
    pub(super) fn into_field(self, body: &'b [u8]) -> Result<ModelField<'b>, ParseError> {
        let value = self.value.ok_or(ParseError::ModelMissing)?;
        let raw = value.get();
        if self.twice {
            return Err(ParseError::ModelTwice);
        }
        if !raw.starts_with('"') {
            return Err(ParseError::ModelNotAString);
        }
        // Half of a surrogate pair is grammatical JSON, but no string.
        let name = match raw[1..].strip_suffix('"').filter(|name| !name.contains('\\')) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(serde_json::from_str(raw).map_err(|_| ParseError::ModelNotAString)?),
        };
        Ok(ModelField { name, span: span_in(body, value) })
    }
}

/// Returns where a value stands in the body that it was read from.
fn span_in(body: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ModelFieldKey {
    Model,
    #[serde(other)]
    Other,
}

struct ModelFieldVisitor;

impl<'b> Visitor<'b> for ModelFieldVisitor {
    type Value = ModelSlot<'b>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut slot = ModelSlot::default();
        while let Some(key) = map.next_key()? {
            match key {
                ModelFieldKey::Model => slot.put(map.next_value()?),
                ModelFieldKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_put_in_or_replaced_and_every_other_byte_stays() {
        let with = |body: &'static str| with_model(&Bytes::from_static(body.as_bytes()), "a\"b");

        assert_eq!(with(" { \"n\" : 1 }").expect("a body"), &br#" {"model":"a\"b", "n" : 1 }"#[..]);
        assert_eq!(with("{ }").expect("a body"), &br#"{"model":"a\"b" }"#[..]);
        assert_eq!(with(r#"{"n":1.0,"model" : "x"}"#).expect("a body"), &br#"{"n":1.0,"model" : "a\"b"}"#[..]);
        assert_eq!(with(r#"{"model": null ,"n":1}"#).expect("a body"), &br#"{"model": "a\"b" ,"n":1}"#[..]);
        assert_eq!(with(r#"{"model":null,"model":null}"#), Err(ParseError::ModelTwice));
        assert_eq!(with(r#"{"model":1}"#), Err(ParseError::ModelNotAString));
        assert_eq!(with(r#"{"model":"a","model":"a"}"#), Err(ParseError::ModelTwice));
    }

    #[test]
    fn a_body_is_readable_whatever_its_model_is_unless_it_is_there_twice() {
        let readable = |body: &'static str| with_readable_model(&Bytes::from_static(body.as_bytes()));

        assert_eq!(readable(r#"{"model":"a"}"#).expect("a body"), &br#"{"model":"a"}"#[..]);
        assert_eq!(readable(r#"{"n":1}"#).expect("a body"), &br#"{"model":"","n":1}"#[..]);
        for odd in [r#"{"model":7}"#, r#"{"model":{"id":[1e999]}}"#, r#"{"model":null}"#, r#"{"model":"\ud800"}"#] {
            assert_eq!(readable(odd).expect("a body"), &br#"{"model":""}"#[..], "{odd}");
        }
        assert_eq!(readable(r#"{"model":7,"model":7}"#), Err(ParseError::ModelTwice));
        assert_eq!(readable("[]"), Err(ParseError::NotAnObject));
    }

    #[test]
    fn a_key_that_is_no_text_hides_no_model() {
        let body = br#"{"\ud800":"\udfff","model" : "a","x":"\ud83d"}"#;

        let field = model_field(body).expect("a model");

        assert_eq!((&*field.name, &body[field.span]), ("a", &br#""a""#[..]));
        assert_eq!(model_field(br#"{"\ud800":1,"model":"a","model":"b"}"#), Err(ParseError::ModelTwice));
        assert!(matches!(model_field(br#"{"\ud800":1,"model":"a""#), Err(ParseError::InvalidJson { .. })));
    }

    #[test]
    fn null_names_no_model() {
        for body in ["{}", r#"{"model":null}"#, r#"{"m":{"model":"a"}}"#] {
            assert!(names_no_model(body.as_bytes()), "{body}");
        }
        for body in [r#"{"model":"a"}"#, r#"{"model":1}"#, r#"{"model":null,"model":"a"}"#, "null", "{"] {
            assert!(!names_no_model(body.as_bytes()), "{body}");
        }
    }
}
