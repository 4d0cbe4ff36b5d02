//! Pieces of JSON that several protocols share.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::UnreadableAnswer;

/// The members of an object in their order, which says the order of labels.
#[derive(Debug)]
pub(super) struct OrderedMembers<T>(pub(super) Vec<(String, T)>);

impl<T> Default for OrderedMembers<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrderedMembers<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData)).map(Self)
    }
}

/// Reads an answer's body. The error says the place and never repeats the body.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, UnreadableAnswer> {
    serde_json::from_slice(body).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        format!("the answer is not of the protocol's form: {kind:?} error at line {line}, column {column}")
    })
}
