//! The members of a JSON object, each with its value as it was written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in their order; a key may stand twice.
#[derive(Debug)]
pub(super) struct Members<'j>(Vec<(Cow<'j, str>, &'j RawValue)>);

/// An object that is written member by member.
#[derive(Debug)]
pub(super) struct ObjectWriter(String);

impl<'j> Members<'j> {
    /// Reads an object.
    ///
    /// # Errors
    /// When the text is no JSON, or no object.
    pub(super) fn read(text: &'j str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the members.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'j RawValue)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    /// Returns the last value of a key, which is the one that counts.
    pub(super) fn get(&self, key: &str) -> Option<&'j RawValue> {
        self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| *value)
    }

    /// Returns the value of a key where it is a text.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?.get()).ok()
    }

    /// Returns whether a key's value is this switch.
    pub(super) fn is(&self, key: &str, switch: bool) -> bool {
        self.get(key).is_some_and(|value| value.get() == if switch { "true" } else { "false" })
    }
}

impl<'de: 'j, 'j> Deserialize<'de> for Members<'j> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// A key that is borrowed where it has no escapes; serde's own is owned in a `Cow`.
struct Key<'j>(Cow<'j, str>);

impl<'de: 'j, 'j> Deserialize<'de> for Key<'j> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl ObjectWriter {
    /// Begins an object of about so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self(text)
    }

    /// Writes a member whose value is JSON already.
    pub(super) fn member(&mut self, key: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&serde_json::Value::from(key).to_string());
        self.0.push(':');
        self.0.push_str(json);
    }

    /// Writes a member whose value is a text.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.member(key, &serde_json::Value::from(text).to_string());
    }

    /// Ends the object.
    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_their_spelling_and_their_twins() {
        let text = r#"{"b":1.50, "a\u0062":"x", "b" : {"c": [1 ,2]} }"#;
        let members = Members::read(text).expect("an object");
        let mut again = ObjectWriter::new(text.len());
        members.iter().for_each(|(key, value)| again.member(key, value.get()));

        assert_eq!(again.end(), r#"{"b":1.50,"ab":"x","b":{"c": [1 ,2]}}"#);
        assert_eq!(members.get("b").map(RawValue::get), Some(r#"{"c": [1 ,2]}"#));
        assert_eq!(members.text("ab").as_deref(), Some("x"));
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "[]", "1", "{", r#"{"a":}"#, "null"] {
            assert!(Members::read(text).is_err(), "{text}");
        }
        assert!(Members::read(r#"{"a":false}"#).expect("an object").is("a", false));
        assert_eq!(ObjectWriter::new(0).end(), "{}");
    }
}
