//! Ids of tool calls: legal on the other side, and back as they were.
//!
//! Anthropic takes `[a-zA-Z0-9_-]+`, OpenAI at most 64 bytes. An id with other characters is coded, so that it is the same
//! on every turn and comes back as the client knows it: the mark alone says that an id is coded.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The beginning of a coded id.
const MARK: &str = "pmid_";

/// The letters that every API takes in an id.
fn is_plain(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-'
}

/// Returns an id that every API takes.
#[must_use]
pub fn legal(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.bytes().all(is_plain) && !id.starts_with(MARK) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(coded(id))
}

/// Returns an id in code, whatever it is: it begins with a letter, and every API takes it.
#[must_use]
pub fn coded(id: &str) -> String {
    format!("{MARK}{}", URL_SAFE_NO_PAD.encode(id))
}

/// Returns the id that [`legal`] or [`coded`] was given.
#[must_use]
pub fn original(id: &str) -> Cow<'_, str> {
    let decoded = id.strip_prefix(MARK).and_then(|coded| URL_SAFE_NO_PAD.decode(coded).ok());
    decoded.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(id), Cow::Owned)
}

/// Returns an id of at most `most` bytes: a longer one is replaced by a hash of it, the same on every turn. `most` is at
/// least 36.
#[must_use]
pub fn bounded(id: &str, most: usize) -> Cow<'_, str> {
    if id.len() <= most {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("pmh_{:016x}{:016x}", fnv(id, 0xcbf2_9ce4_8422_2325), fnv(id, 0x6c62_272e_07bb_0142)))
}

/// Returns the FNV-1a hash of a text, begun with `seed`.
fn fnv(text: &str, seed: u64) -> u64 {
    text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_id_is_legal_and_comes_back(id in ".{0,40}") {
            let legal = legal(&id);

            prop_assert!(!legal.is_empty() && legal.bytes().all(is_plain));
            prop_assert_eq!(original(&legal).into_owned(), id);
        }
    }

    #[test]
    fn an_id_that_every_api_takes_is_left_as_it_is() {
        assert_eq!(legal("toolu_01A-b"), "toolu_01A-b");
    }

    #[test]
    fn a_long_id_is_a_short_one_that_is_the_same_on_every_turn() {
        let long = "a".repeat(65);

        assert_eq!(bounded(&long, 64), bounded(&long, 64));
        assert_eq!(bounded(&long, 64).len(), 36);
        assert_ne!(bounded(&long, 64), bounded(&"b".repeat(65), 64));
        assert_eq!(bounded("call_1", 64), "call_1");
    }
}
