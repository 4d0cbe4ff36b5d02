//! The models that a body of an unknown API names.
//!
//! APIs put a model at the top (`/v1/images/generations`), or into what they do many of or later
//! (`requests[].params` of Anthropic's batches, `session` of realtime clients, `body` of a batch's line). Content is
//! not looked at: a tool's parameter or a person's JSON may be called `model` as well.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::mend::mend;
use super::parse_error::ParseError;
use super::tolerant::{Tolerant, TolerantText};

/// The levels of objects and lists that are looked through.
const MAX_DEPTH: u8 = 5;

/// The keys whose values are content, or names of the client's own.
const CONTENT: [&str; 12] = [
    "messages",
    "input",
    "prompt",
    "system",
    "instructions",
    "tools",
    "functions",
    "metadata",
    "documents",
    "response_format",
    "text",
    "schema",
];

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

fn read(body: &str, models: &mut Vec<String>) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(body);
    ModelSearch { models, depth: MAX_DEPTH }.deserialize(&mut json)?;
    json.end()
}

struct ModelSearch<'m> {
    models: &'m mut Vec<String>,
    depth: u8,
}

impl ModelSearch<'_> {
    const fn below(&mut self) -> ModelSearch<'_> {
        ModelSearch { models: self.models, depth: self.depth.saturating_sub(1) }
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

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(self.below())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<Cow<'de, str>>()? {
            if key == "model" {
                let Tolerant(TolerantText(name)) = object.next_value()?;
                self.models.extend(name.map(Cow::into_owned));
            } else if CONTENT.contains(&&*key) {
                object.next_value::<IgnoredAny>()?;
            } else {
                object.next_value_seed(self.below())?;
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
        assert_eq!(named(r#"{"model":"a","model":"b","model":7}"#), ["a", "b"]);
        for none in [
            r#"{"messages":[{"model":"x"}],"tools":[{"model":"x"}],"metadata":{"model":"x"}}"#,
            r#"{"a":{"a":{"a":{"a":{"a":{"model":"x"}}}}}}"#,
            "[1, \"model\", null, true, 1.5, -2]",
        ] {
            assert!(named(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn what_is_no_text_does_not_hide_a_model_and_what_is_no_json_is_an_error() {
        assert_eq!(named(r#"{"\ud800":1,"x":"\ud800","model":"a"}"#), ["a"]);
        assert!(named_models(b"{\"model\":\"a\"").is_err());
        assert!(named_models(b"").is_err());
        assert!(named_models(&[b'['; 1_000_000]).is_err());
    }
}
