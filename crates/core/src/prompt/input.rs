//! The text in the place of a conversation: one text, several texts, or their token ids.

use std::borrow::Cow;

use serde::de::SeqAccess;

use super::reading::{BodyReading, CountedList};
use super::text::join;
use super::tolerant::FromJson;

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

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut input = Self::default();
        while let Some(element) = reading.element(&mut array)? {
            if !matches!(element, InputElement::Id) {
                reading.count(CountedList::Messages)?;
            }
            match element {
                InputElement::Text(text) => join(&mut input.text, text),
                InputElement::Id => input.add_ids(1),
                InputElement::Ids(ids) => input.add_ids(ids),
                InputElement::Other => {}
            }
        }
        Ok(input)
    }
}

impl PlainInput<'_> {
    fn add_ids(&mut self, ids: u64) {
        self.ids = self.ids.saturating_add(ids);
        self.text.get_or_insert_default();
    }
}

#[derive(Default)]
enum InputElement<'b> {
    Text(Cow<'b, str>),
    /// A token's id; of them there may be any number.
    Id,
    /// An array of ids.
    Ids(u64),
    #[default]
    Other,
}

impl<'b> FromJson<'b> for InputElement<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self::Text(text)
    }

    fn from_number() -> Self {
        Self::Id
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut ids = 0;
        while let Some(IsNumber(is_number)) = reading.element(&mut array)? {
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
