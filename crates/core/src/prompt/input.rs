//! The text in the place of a conversation: one text, several texts, or their token ids.

use std::borrow::Cow;

use serde::de::SeqAccess;

use super::text::join;
use super::tolerant::{FromJson, Tolerant};

/// A `prompt` or `input`: its texts joined with `\n`.
#[derive(Default)]
pub(super) struct PlainInput<'b> {
    /// `None` when there is neither text nor a token id.
    pub(super) text: Option<Cow<'b, str>>,
    /// Tokens that the client sent as their ids.
    pub(super) ids: u64,
}

impl<'b> FromJson<'b> for PlainInput<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { text: Some(text), ids: 0 }
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut input = Self::default();
        while let Some(Tolerant(element)) = array.next_element()? {
            match element {
                InputElement::Text(text) => join(&mut input.text, text),
                InputElement::Ids(ids) => {
                    input.ids = input.ids.saturating_add(ids);
                    input.text.get_or_insert_default();
                }
                InputElement::Other => {}
            }
        }
        Ok(input)
    }
}

#[derive(Default)]
enum InputElement<'b> {
    Text(Cow<'b, str>),
    /// One id, or an array of them.
    Ids(u64),
    #[default]
    Other,
}

impl<'b> FromJson<'b> for InputElement<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self::Text(text)
    }

    fn from_number() -> Self {
        Self::Ids(1)
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut ids = 0;
        while let Some(Tolerant(IsNumber(is_number))) = array.next_element()? {
            ids += u64::from(is_number);
        }
        Ok(Self::Ids(ids))
    }
}

#[derive(Default)]
struct IsNumber(bool);

impl FromJson<'_> for IsNumber {
    fn from_number() -> Self {
        Self(true)
    }
}
