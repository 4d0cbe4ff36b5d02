//! The models that a body of an unknown API names.
//!
//! APIs put a model at the top (`/v1/images/generations`), or into what they do many of or later
//! (`requests[].params` of Anthropic's batches, `session` of realtime clients, `body` of a batch's line), beside it for
//! later (`models`, `fallbacks`), or into a tool that asks one. A key counts in any case: some servers read it so. Content is not looked at: a tool's parameter or a
//! person's JSON may be called `model` as well.

use std::borrow::Cow;
use std::fmt;

use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::api_key::folded;
use super::mend::mend;
use super::model_field::model_field;
use super::parse_error::ParseError;
use super::reading::CountedList;

/// The most models that a body may name; one that comes again and again counts twice.
const MOST: usize = 10_000;

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

/// The keys of Google's requests whose values are content or schemas, in lower case.
const GOOGLE_CONTENT: [&str; 5] =
    ["contents", "systeminstruction", "system_instruction", "generationconfig", "generation_config"];

/// The keys of a tool whose values are a schema of the client's own, in lower case.
const SCHEMAS: [&str; 6] =
    ["parameters", "input_schema", "inputschema", "function", "functiondeclarations", "function_declarations"];

/// Returns every model that `body` names, in its order; of those alike the first two.
///
/// # Errors
/// When `body` is not JSON, or names too many.
pub fn named_models(body: &[u8]) -> Result<Vec<String>, ParseError> {
    match str::from_utf8(body).ok().map(read) {
        Some(Ok(models)) => Ok(models),
        Some(Err(error @ ParseError::TooMany { .. })) => Err(error),
        _ => read(&mend(body)),
    }
}

/// Returns every model that `body` names beside its top-level `model`, in its order.
///
/// # Errors
/// As [`named_models`].
pub fn model_names_beside(body: &[u8]) -> Result<Vec<String>, ParseError> {
    let mut models = named_models(body)?;
    if let Ok(field) = model_field(body)
        && let Some(at) = models.iter().position(|model| *model == field.name)
    {
        models.remove(at); // which of two alike is the same
    }
    Ok(models)
}

/// Returns every model that a body of Google's names, whose path names the one that it is for: without their collection.
///
/// # Errors
/// As [`named_models`].
pub fn names_beside_contents(body: &[u8]) -> Result<Vec<String>, ParseError> {
    let read = |body: &str| read_from(body, SearchPlace::Contents);
    let models = match str::from_utf8(body).ok().map(read) {
        Some(Ok(models)) => models,
        Some(Err(error @ ParseError::TooMany { .. })) => return Err(error),
        _ => read(&mend(body))?,
    };
    let bare = |name: String| name.rsplit_once("models/").map_or(name.clone(), |(_, bare)| bare.to_owned());
    Ok(models.into_iter().map(bare).collect())
}

fn read(body: &str) -> Result<Vec<String>, ParseError> {
    read_from(body, SearchPlace::Settings)
}

fn read_from(body: &str, place: SearchPlace) -> Result<Vec<String>, ParseError> {
    let mut found = FoundModels::default();
    let mut json = serde_json::Deserializer::from_str(body);
    let search = ModelSearch { found: &mut found, depth: MAX_DEPTH, place };
    let read = search.deserialize(&mut json).and_then(|()| json.end());
    if found.names.len() > MOST {
        return Err(ParseError::TooMany { list: CountedList::Models, limit: MOST });
    }
    read?;
    Ok(found.names)
}

/// The models that were found so far.
#[derive(Default)]
struct FoundModels {
    names: Vec<String>,
    /// How often each of them was, up to twice.
    times: FxHashMap<String, u8>,
}

impl FoundModels {
    fn push<E: Error>(&mut self, name: &str) -> Result<(), E> {
        match self.times.get_mut(name) {
            Some(2..) => return Ok(()),
            Some(times) => *times += 1,
            None => drop(self.times.insert(name.to_owned(), 1)),
        }
        self.names.push(name.to_owned());
        if self.names.len() > MOST { Err(E::custom("too many models")) } else { Ok(()) }
    }
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
    /// Settings beside Google's contents.
    Contents,
}

struct ModelSearch<'m> {
    found: &'m mut FoundModels,
    depth: u8,
    place: SearchPlace,
}

impl SearchPlace {
    /// Returns the place behind a key; `None` where nothing is searched.
    fn below(self, key: &str) -> Option<Self> {
        match key {
            _ if self == Self::Contents && GOOGLE_CONTENT.contains(&key) => None,
            "generatecontentrequest" | "generate_content_request" if self == Self::Contents => Some(Self::Contents),
            "model" | "models" | "fallback_models" => Some(Self::Names),
            _ if key == "fallback" || key.ends_with("fallbacks") => Some(Self::Names),
            "tools" => Some(Self::Tools),
            "input" => Some(Self::Input),
            _ if CONTENT.contains(&key) => None,
            _ if self == Self::Tools && SCHEMAS.contains(&key) => None,
            "id" | "name" if self == Self::Names => Some(Self::Names),
            _ if self == Self::Names => Some(Self::Substitutes),
            _ if matches!(self, Self::Input | Self::Contents) => Some(Self::Settings),
            _ => Some(self),
        }
    }
}

impl ModelSearch<'_> {
    const fn at(&mut self, place: SearchPlace) -> ModelSearch<'_> {
        ModelSearch { found: self.found, depth: self.depth.saturating_sub(1), place }
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

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if self.place == SearchPlace::Names { self.found.push(name) } else { Ok(()) }
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
            match self.place.below(folded(&key).as_deref().unwrap_or(&key)) {
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

    #[test]
    fn one_model_may_be_named_often_and_not_too_many_of_them() {
        let list = |name: &dyn Fn(usize) -> String| {
            let names: Vec<String> = (0..=MOST).map(|number| format!("\"{}\"", name(number))).collect();
            named_models(format!("{{\"models\":[{}]}}", names.join(",")).as_bytes())
        };

        assert_eq!(list(&|_| "a".to_owned()), Ok(vec!["a".to_owned(); 2]));
        assert_eq!(
            list(&|number| number.to_string()),
            Err(ParseError::TooMany { list: CountedList::Models, limit: MOST })
        );
    }

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
        assert_eq!(named(r#"{"Model":"a","MODELS":["b"],"tools":[{"inputSchema":{"model":"x"}}]}"#), ["a", "b"]);
    }

    #[test]
    fn models_beside_google_s_contents_are_found_without_their_collection() {
        let beside = |body: &str| names_beside_contents(body.as_bytes()).expect("JSON");

        assert_eq!(beside(r#"{"model":"models/a","generateContentRequest":{"model":"b","contents":[]}}"#), ["a", "b"]);
        assert_eq!(
            beside(r#"{"contents":[],"fallbacks":["a"],"x":{"model":"publishers/google/models/b"}}"#),
            ["a", "b"]
        );
        let none = r#"{"contents":{"model":"x"},"generationConfig":{"responseSchema":{"properties":{"model":{"enum":["a"]}}}}}"#;
        assert!(beside(none).is_empty());
    }

    #[test]
    fn what_is_no_text_does_not_hide_a_model_and_what_is_no_json_is_an_error() {
        assert_eq!(named(r#"{"\ud800":1,"x":"\ud800","model":"a"}"#), ["a"]);
        assert_eq!(named(&format!(r#"{{"x":[1e999,-{}],"model":"a"}}"#, "9".repeat(400))), ["a"]);
        assert!(named_models(b"{\"model\":\"a\"").is_err());
        assert!(named_models(b"").is_err());
        assert!(named_models(&[b'['; 1_000_000]).is_err());
    }
}
