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
    Cow::Owned(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(id)))
}

/// Returns the id that [`legal`] was given.
#[must_use]
pub fn original(id: &str) -> Cow<'_, str> {
    let decoded = id.strip_prefix(MARK).and_then(|coded| URL_SAFE_NO_PAD.decode(coded).ok());
    decoded.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(id), Cow::Owned)
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
}
