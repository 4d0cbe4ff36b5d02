//! The keys of an API's objects, which count in the API's own spelling alone.
//!
//! Some servers match keys in any case (Go's `encoding/json`, and so Ollama; ASP.NET): what stands there as `Messages`
//! is unread here and read there. Such a key is met here as what it is; whether it is refused is the reading's affair.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, Visitor};

use super::reading::BodyReading;

/// The longest key that is looked at twice; no API has a longer one.
const MOST_BYTES: usize = 64;

/// A key of one kind of object. Keys that are not read are [`serde(other)`](serde).
pub(super) trait ApiKey: DeserializeOwned {
    /// Keys beside those that are read, whose spelling counts all the same.
    const ALSO: &'static [&'static str] = &[];

    /// Tells whether the key is none that is read.
    fn is_other(&self) -> bool;

    /// Tells whether it makes no difference if a server reads the key where it is not read here: no policy reads it.
    fn is_unseen(&self) -> bool {
        self.is_other()
    }
}

/// Reads a key.
pub(super) struct ApiKeySeed<'r, K>(pub(super) BodyReading<'r>, pub(super) PhantomData<K>);

impl<'b, K: ApiKey> DeserializeSeed<'b> for ApiKeySeed<'_, K> {
    type Value = K;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<K, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'b, K: ApiKey> Visitor<'b> for ApiKeySeed<'_, K> {
    type Value = K;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<K, E> {
        let key = K::deserialize(StrDeserializer::new(name))?;
        self.checked(key, name)
    }

    fn visit_borrowed_str<E: Error>(self, name: &'b str) -> Result<K, E> {
        let key = K::deserialize(BorrowedStrDeserializer::new(name))?;
        self.checked(key, name)
    }
}

impl<K: ApiKey> ApiKeySeed<'_, K> {
    fn checked<E: Error>(&self, key: K, name: &str) -> Result<K, E> {
        // First what costs least: nearly every key is one that is read.
        if key.is_other()
            && self.0.is_case_exact()
            && let Some(lower) = folded(name)
        {
            self.meet(name, &lower)?;
        }
        Ok(key)
    }

    #[cold]
    fn meet<E: Error>(&self, name: &str, lower: &str) -> Result<(), E> {
        let counts = K::ALSO.contains(&lower) || !K::deserialize(StrDeserializer::<E>::new(lower))?.is_unseen();
        if counts { self.0.meet_odd_key(name, lower) } else { Ok(()) }
    }
}

/// Returns a key as a server reads it that does not tell cases apart; `None` where it reads the key as it stands.
///
/// Letters beyond ASCII count that have one of ASCII as another case: `ſ` is an `S` to Go, and `K` (the kelvin sign) a
/// `K`.
pub(super) fn folded(name: &str) -> Option<Cow<'static, str>> {
    let is_odd = |byte: u8| byte.is_ascii_uppercase() || !byte.is_ascii();
    if name.len() > MOST_BYTES || !name.bytes().any(is_odd) {
        return None;
    }
    let lower: String = name.chars().map(in_lower_case).collect();
    (lower != name).then_some(Cow::Owned(lower))
}

fn in_lower_case(c: char) -> char {
    let ascii = || c.to_lowercase().chain(c.to_uppercase()).find(char::is_ascii);
    if c.is_ascii() { c.to_ascii_lowercase() } else { ascii().map_or(c, |ascii| ascii.to_ascii_lowercase()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_folded_as_servers_do_that_tell_no_cases_apart() {
        for (key, lower) in [
            ("Model", "model"),
            ("MESSAGES", "messages"),
            ("me\u{17f}\u{17f}ages", "messages"),
            ("to\u{212a}ens", "tokens"),
            ("\u{131}nput", "input"),
            ("\u{130}nput", "input"),
            ("É", "É"),
        ] {
            assert_eq!(folded(key).as_deref().unwrap_or(key), lower, "{key}");
        }
        for key in ["model", "max_tokens", "", "é", "模型"] {
            assert_eq!(folded(key), None, "{key}");
        }
    }
}
