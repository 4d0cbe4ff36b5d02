//! Reading JSON whose form is the upstream's affair: a value of an unexpected type is the type's default, never an
//! error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::reading::BodyReading;

/// A value that is made from the JSON types it knows and is empty for all others.
pub(super) trait FromJson<'b>: Default {
    fn from_text(_text: Cow<'b, str>) -> Self {
        Self::default()
    }

    fn from_number() -> Self {
        Self::default()
    }

    fn from_bool(_value: bool) -> Self {
        Self::default()
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        reading.skip_elements(&mut array)?;
        Ok(Self::default())
    }

    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        reading.skip_members(&mut object)?;
        Ok(Self::default())
    }
}

/// Reads any JSON value into a [`FromJson`].
pub(super) struct TolerantSeed<'r, T>(BodyReading<'r>, PhantomData<T>);

impl<'r, T> TolerantSeed<'r, T> {
    pub(super) const fn new(reading: BodyReading<'r>) -> Self {
        Self(reading, PhantomData)
    }
}

/// A string, borrowed where it holds no escapes.
#[derive(Default)]
pub(super) struct TolerantText<'b>(pub(super) Option<Cow<'b, str>>);

impl<'b> FromJson<'b> for TolerantText<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self(Some(text))
    }
}

/// A switch that is on where `true` stands.
#[derive(Default)]
pub(super) struct TolerantFlag(pub(super) bool);

impl FromJson<'_> for TolerantFlag {
    fn from_bool(value: bool) -> Self {
        Self(value)
    }
}

impl<'b, T: FromJson<'b>> DeserializeSeed<'b> for TolerantSeed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b, T: FromJson<'b>> Visitor<'b> for TolerantSeed<'_, T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::from_bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::from_number())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::from_number())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::from_number())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<T, E> {
        Ok(T::from_text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut array: A) -> Result<T, A::Error> {
        let reading = self.0.within()?;
        if reading.is_at_bottom() {
            reading.skip_elements(&mut array)?;
            return Ok(T::default());
        }
        T::from_array(array, reading)
    }

    fn visit_map<A: MapAccess<'b>>(self, mut object: A) -> Result<T, A::Error> {
        let reading = self.0.within()?;
        if reading.is_at_bottom() {
            reading.skip_members(&mut object)?;
            return Ok(T::default());
        }
        T::from_object(object, reading)
    }
}
