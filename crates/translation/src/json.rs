//! JSON as bodies hold it: objects whose fields stay the text that they are until somebody reads them.
//!
//! A body is read level by level, so that what nobody reads costs no more than to skip it. Of a key that comes twice the
//! last counts, as with most servers. U+FFFD stands for half of a surrogate pair, which JSON can spell and no text can hold.

pub(crate) mod escape;
pub(crate) mod halves;
pub(crate) mod writer;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object, in their order. A name with half of a surrogate pair is none.
#[derive(Debug, Clone, Default)]
pub struct Fields<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

/// A string that borrows from the body where it holds no escapes.
#[derive(Debug, Clone)]
pub(crate) struct Text<'b>(pub(crate) Cow<'b, str>);

impl<'b> Fields<'b> {
    /// Reads an object out of the bytes of a document.
    ///
    /// # Errors
    /// When the bytes are no JSON object.
    pub fn of_document(document: &'b [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(document)
    }

    /// Reads an object; `None` for any other value.
    #[must_use]
    pub fn of(raw: &'b RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// Returns the value of a field; `None` for one that is absent or `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'b RawValue> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, raw)| *raw).filter(|raw| !is_null(raw))
    }

    /// Returns the first of the fields that is there: APIs of Google take both spellings of a name.
    #[must_use]
    pub fn either(&self, names: [&str; 2]) -> Option<&'b RawValue> {
        names.into_iter().find_map(|name| self.get(name))
    }

    /// Returns a field's text; `None` where it is absent or no string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'b, str>> {
        self.get(name).and_then(text)
    }

    /// Returns a field's value of a plain type; `None` where it is absent or of another type.
    #[must_use]
    pub fn value<T: Deserialize<'b>>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(value)
    }

    /// Returns a field's object.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Self> {
        self.get(name).and_then(Self::of)
    }

    /// Returns the elements of a field's list; none where it is absent or no list.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&'b RawValue> {
        self.get(name).and_then(list).unwrap_or_default()
    }

    /// Returns every field, in its order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'b RawValue)> {
        self.0.iter().map(|(key, raw)| (&**key, *raw))
    }

    /// Tells whether the object has no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Fields<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Text<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes: halves of surrogate pairs are an error in what is read as a string.
        deserializer.deserialize_bytes(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        form.write_str("a string")
    }

    fn visit_borrowed_bytes<E: serde::de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        str::from_utf8(bytes).map(Cow::Borrowed).map_err(E::custom)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(text.to_owned())),
            Err(problem) => halves::text_of_wtf8(bytes).map(Cow::Owned).ok_or_else(|| E::custom(problem)),
        }
    }
}

/// The name of a field. Read as a string, for what is read as bytes may hold what no JSON does.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct FieldName<'b>(#[serde(borrow)] Cow<'b, str>);

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        form.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(8));
        while let Some(FieldName(key)) = map.next_key()? {
            fields.push((key, map.next_value()?));
        }
        Ok(Fields(fields))
    }
}

/// Returns the text of a string; `None` for any other value.
#[must_use]
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    // It was read as JSON before: without an escape it is what it stands for.
    let plain = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', plain.as_bytes()).is_none() {
        return Some(Cow::Borrowed(plain));
    }
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Returns a value of a plain type; `None` for one of another type.
#[must_use]
pub fn value<'b, T: Deserialize<'b>>(raw: &'b RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Returns the elements of a list; `None` for any other value.
#[must_use]
pub fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// Returns the elements of a list as objects, and `None` for each that is another value; `None` for what is no list. A list
/// of which nothing but the objects' fields is wanted is read once so, and not once more for each element.
#[must_use]
pub(crate) fn objects(raw: &RawValue) -> Option<Vec<Option<Fields<'_>>>> {
    let elements: Option<Vec<Element<'_>>> =
        raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok()).flatten();
    elements.map(|elements| elements.into_iter().map(|element| element.0).collect())
}

/// An element of a list, as an object.
struct Element<'b>(Option<Fields<'b>>);

impl<'de: 'b, 'b> Deserialize<'de> for Element<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor).map(Element)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Option<Fields<'de>>;

    fn expecting(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        form.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        FieldsVisitor.visit_map(map).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Tells whether a value is `null`.
#[must_use]
pub fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Tells whether a value is a string.
#[must_use]
pub fn is_text(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_with_and_without_escapes_and_nothing_else_is_one() {
        let fields = Fields::of_document(br#"{"a": "x \u00e9\n", "b": "", "c": "gr\u00fcn", "d": 1, "e": ["x"]}"#);
        let fields = fields.expect("an object");

        let read = ["a", "b", "c", "d", "e"].map(|name| fields.text(name));
        assert_eq!(read, [Some("x \u{e9}\n".into()), Some("".into()), Some("gr\u{fc}n".into()), None, None]);
        assert!(matches!(fields.text("b"), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn half_of_a_surrogate_pair_costs_a_text_that_letter_alone() {
        let fields = Fields::of_document(br#"{"a": "10 KB \ud83d", "b": ["\ude00\ud83d x \ud83d\ude00\n"]}"#);
        let fields = fields.expect("an object");

        assert_eq!(fields.text("a").as_deref(), Some("10 KB \u{fffd}"));
        let texts = fields.list("b").into_iter().filter_map(text).collect::<Vec<_>>();
        assert_eq!(texts, ["\u{fffd}\u{fffd} x \u{1f600}\n"]);
        for document in [&b"{\"a\xff\": 1}"[..], b"{\"a\n\": 1}", b"{\"a\": \"\n\"}"] {
            assert!(Fields::of_document(document).is_err());
        }
    }

    #[test]
    fn the_objects_of_a_list_are_read_and_what_is_none_has_its_place() {
        let fields = Fields::of_document(br#"{"a": [{"b": 1}, "x", [1, {}], null, true, -1, 2, 0.5, {}], "c": {}}"#);
        let fields = fields.expect("an object");

        let read = fields.get("a").and_then(objects).expect("a list");
        let found: Vec<_> = read.iter().map(|element| element.as_ref().map(|fields| fields.iter().count())).collect();
        assert_eq!(found, [Some(1), None, None, None, None, None, None, None, Some(0)]);
        assert!(fields.get("c").and_then(objects).is_none());
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_counts_and_null_is_absent() {
        let fields =
            Fields::of_document(br#"{"a": 1, "a": "\u0062", "c": null, "d": [1, {"e": 2}]}"#).expect("an object");

        assert_eq!(fields.text("a").as_deref(), Some("b"));
        assert!(fields.get("c").is_none());
        assert_eq!(fields.list("d").iter().map(|raw| raw.get()).collect::<Vec<_>>(), ["1", "{\"e\": 2}"]);
        assert!(Fields::of_document(b"[]").is_err());
    }
}
