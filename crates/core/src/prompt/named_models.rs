//! The models that a body of an unknown API names.
//!
//! APIs put a model at the top (`/v1/images/generations`), or into what they do many of or later
//! (`requests[].params` of Anthropic's batches, `session` of realtime clients, `body` of a batch's line), beside it for
//! later (`models`, `fallbacks`), or into a tool that asks one. Content is not looked at: a tool's parameter or a
//! person's JSON may be called `model` as well.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::mend::mend;
use super::model_field::model_field;
use super::parse_error::ParseError;

/// The levels of objects and lists that are looked through, with the name itself.
const MAX_DEPTH: u8 = 6;

/// The keys whose values are content, or names of the client's own.
const CONTENT: [&str; 10] = [
    "messages",
    "prompt",
    "system",
    "instructions",
    "functions",
    "metadata",
    "documents",
    "response_format",
    "text",
    "schema",
];

/// The keys of a tool whose values are a schema of the client's own.
const SCHEMAS: [&str; 6] =
    ["parameters", "input_schema", "inputSchema", "function", "functionDeclarations", "function_declarations"];

/// Returns every model that `body` names, in its order.
///
/// # Errors
/// When `body` is not JSON.
pub fn named_models(body: &[u8]) -> Result<Vec<String>, ParseError> {
    let mut models = Vec::new();
    match str::from_utf8(body).ok().map(|body| read(body, &mut models)) {
        Some(Ok(())) => Ok(models),
        _ => {
            models.clear();
            read(&mend(body), &mut models)?;
            Ok(models)
        }
    }
}

/// Returns every model that `body` names beside its top-level `model`, in its order.
///
/// # Errors
/// When `body` is not JSON.
pub fn model_names_beside(body: &[u8]) -> Result<Vec<String>, ParseError> {
    let mut models = named_models(body)?;
    if let Ok(field) = model_field(body)
        && let Some(at) = models.iter().position(|model| *model == field.name)
    {
        models.remove(at); // which of two alike is the same
    }
    Ok(models)
}

fn read(body: &str, models: &mut Vec<String>) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(body);
    ModelSearch { models, depth: MAX_DEPTH, place: SearchPlace::Settings }.deserialize(&mut json)?;
    json.end()
}

/// The place in a body that is searched, by the key that leads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SearchPlace {
    /// Settings: a model's name is the value of `model`.
    Settings,
    /// A model, or a list of them: every text is a name.
    Names,
    /// A model as an object, or a model and its substitutes: `{"model": "a"}`, `{"a": ["b"]}`.
    Substitutes,
    /// Tools: as settings, but for the schemas of the client's own functions.
    Tools,
    /// Content where it is text or a list, settings where it is an object.
    Input,
}

struct ModelSearch<'m> {
    models: &'m mut Vec<String>,
    depth: u8,
    place: SearchPlace,
}

impl SearchPlace {
    /// Returns the place behind a key; `None` where nothing is searched.
    fn below(self, key: &str) -> Option<Self> {
        match key {
            "model" | "models" | "fallback_models" => Some(Self::Names),
            _ if key == "fallback" || key.ends_with("fallbacks") => Some(Self::Names),
            "tools" => Some(Self::Tools),
            "input" => Some(Self::Input),
            _ if CONTENT.contains(&key) => None,
            _ if self == Self::Tools && SCHEMAS.contains(&key) => None,
            "id" | "name" if self == Self::Names => Some(Self::Names),
            _ if self == Self::Names => Some(Self::Substitutes),
            _ if self == Self::Input => Some(Self::Settings),
            _ => Some(self),
        }
    }
}

impl ModelSearch<'_> {
    const fn at(&mut self, place: SearchPlace) -> ModelSearch<'_> {
        ModelSearch { models: self.models, depth: self.depth.saturating_sub(1), place }
    }
}

impl<'de> DeserializeSeed<'de> for ModelSearch<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth == 0 {
            return IgnoredAny::deserialize(deserializer).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ModelSearch<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        if self.place == SearchPlace::Names {
            self.models.push(name.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        let place = match self.place {
            SearchPlace::Input => {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
            SearchPlace::Substitutes => SearchPlace::Names,
            place => place,
        };
        while array.next_element_seed(self.at(place))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<Cow<'de, str>>()? {
            match self.place.below(&key) {
                Some(place) => object.next_value_seed(self.at(place))?,
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &str) -> Vec<String> {
        named_models(body.as_bytes()).expect("JSON")
    }

    #[test]
    fn a_model_is_found_where_apis_put_it_and_nowhere_else() {
        assert_eq!(named(r#"{"prompt":"a cat","model":"image"}"#), ["image"]);
        assert_eq!(named(r#"{"requests":[{"params":{"model":"a"}},{"params":{"mod\u0065l":"b"}}]}"#), ["a", "b"]);
        assert_eq!(named(r#"{"session":{"type":"realtime","model":"voice"}}"#), ["voice"]);
        assert_eq!(named(r#"{"session":{"audio":{"input":{"transcription":{"model":"ear"}}}}}"#), ["ear"]);
        assert_eq!(named(r#"{"model":"a","model":"b","model":7}"#), ["a", "b"]);
        for none in [
            r#"{"messages":[{"model":"x"}],"metadata":{"model":"x"},"input":[{"model":"x"}]}"#,
            r#"{"tools":[{"name":"f","parameters":{"model":"x"}},{"function":{"model":"x"}}]}"#,
            r#"{"tools":[{"input_schema":{"properties":{"model":{"type":"string"}}}}]}"#,
            r#"{"a":{"a":{"a":{"a":{"a":{"model":"x"}}}}}}"#,
            "[1, \"model\", null, true, 1.5, -2]",
        ] {
            assert!(named(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn the_models_that_a_provider_falls_back_on_or_that_a_tool_asks_are_found_too() {
        assert_eq!(named(r#"{"models":["a",{"model":"b"}],"model":"c"}"#), ["a", "b", "c"]);
        assert_eq!(named(r#"{"fallbacks":["a",{"model":"b","messages":"x"},{"c":["d"]}]}"#), ["a", "b", "d"]);
        assert_eq!(named(r#"{"extra_body":{"model":"a","models":["b"]}}"#), ["a", "b"]);
        assert_eq!(named(r#"{"tools":[{"type":"image_generation","model":"a"}]}"#), ["a"]);
        let beside = model_names_beside(br#"{"model":"a","models":["a","b"]}"#).expect("JSON");
        assert_eq!(beside, ["a", "b"]);
    }

    #[test]
    fn what_is_no_text_does_not_hide_a_model_and_what_is_no_json_is_an_error() {
        assert_eq!(named(r#"{"\ud800":1,"x":"\ud800","model":"a"}"#), ["a"]);
        assert!(named_models(b"{\"model\":\"a\"").is_err());
        assert!(named_models(b"").is_err());
        assert!(named_models(&[b'['; 1_000_000]).is_err());
    }
}
