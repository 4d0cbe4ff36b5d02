//! The texts of a tensor, in each form that they come in; never more are kept than a request may have.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{InferenceError, TEXT};
use crate::classify::{ClassifyError, MAX_INPUTS};

/// The lists that may stand within each other in a tensor of JSON: the texts in one, or each in a list of its own.
const MAX_LISTS: usize = 2;

/// The texts of a tensor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TensorTexts {
    /// The first of them.
    texts: Vec<String>,
    count: usize,
    /// True where something else stands among those of JSON.
    has_others: bool,
}

/// A part of a tensor in JSON.
struct TensorPart<'t> {
    texts: &'t mut TensorTexts,
    /// The lists that may stand within it.
    lists: usize,
}

impl TensorTexts {
    /// Returns the texts.
    ///
    /// # Errors
    /// When there are too many, or something else stands among them.
    pub(super) fn all(self) -> Result<Vec<String>, InferenceError> {
        if self.has_others {
            return Err(InferenceError::invalid(format!("`data` of `{TEXT}` is no list of texts.")));
        }
        if self.count > self.texts.len() {
            return Err(ClassifyError::WrongCount { inputs: self.count }.into());
        }
        Ok(self.texts)
    }

    fn push(&mut self, text: &str) {
        self.count += 1;
        if self.texts.len() < MAX_INPUTS {
            self.texts.push(text.to_owned());
        }
    }
}

impl<'de> Deserialize<'de> for TensorTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut texts = Self::default();
        TensorPart { texts: &mut texts, lists: MAX_LISTS }.deserialize(deserializer)?;
        Ok(texts)
    }
}

impl TensorPart<'_> {
    fn other<E: Error>(self) -> Result<(), E> {
        self.texts.has_others = true;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for TensorPart<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TensorPart<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.texts.push(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some(lists) = self.lists.checked_sub(1) else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return self.other();
        };
        let texts = self.texts;
        while list.next_element_seed(TensorPart { texts: &mut *texts, lists })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.other()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.other()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.other()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.other()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.other()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.other()
    }
}

/// Reads texts as binary tensors hold them: each behind its length in four bytes, the lowest first.
///
/// # Errors
/// When a length leads beyond the end, a text is no UTF-8, or there are too many.
pub(crate) fn texts_of_binary(mut rest: &[u8]) -> Result<Vec<String>, InferenceError> {
    let broken = || {
        InferenceError::invalid(format!("`{TEXT}` ends within a text: each has its length in four bytes before it."))
    };
    let mut texts = TensorTexts::default();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or_else(broken)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| broken())?;
        let (text, behind) = behind.split_at_checked(length).ok_or_else(broken)?;
        texts.push(utf8(text)?);
        rest = behind;
    }
    texts.all()
}

/// Reads texts that stand apart already.
///
/// # Errors
/// When one is no UTF-8, or there are too many.
#[cfg(any(feature = "grpc", test))]
pub(crate) fn texts_of_elements<'e>(
    elements: impl IntoIterator<Item = &'e [u8]>,
) -> Result<Vec<String>, InferenceError> {
    let mut texts = TensorTexts::default();
    for element in elements {
        texts.push(utf8(element)?);
    }
    texts.all()
}

fn utf8(bytes: &[u8]) -> Result<&str, InferenceError> {
    str::from_utf8(bytes).map_err(|_| InferenceError::invalid(format!("A text of `{TEXT}` is no UTF-8.")))
}
