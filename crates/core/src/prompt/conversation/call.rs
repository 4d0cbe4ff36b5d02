//! A call of a tool, in whatever dialect: which tool, and with what.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::prompt::material::Material;
use crate::prompt::pieces::PieceKind;
use crate::prompt::tolerant::{Shape, Tolerant};
use crate::prompt::turn::Fingerprint;

/// The name and the arguments that a call is told apart by, as the body spells them.
#[derive(Default, Clone, Copy)]
pub(super) struct Call<'b> {
    pub(super) name: Option<&'b RawValue>,
    /// `arguments`, `input` or `action`.
    pub(super) arguments: Option<&'b RawValue>,
}

impl Call<'_> {
    pub(super) fn fingerprint(self) -> Fingerprint {
        Fingerprint::of_call(&[self.name, self.arguments].map(|raw| raw.map_or("", RawValue::get)))
    }
}

/// Calls of one turn: what tells them apart, and what a provider counts of them.
#[derive(Default)]
pub(super) struct Calls<'b> {
    pub(super) made: Vec<Fingerprint>,
    pub(super) material: Material<'b>,
}

impl<'b> Calls<'b> {
    pub(super) fn push(&mut self, call: Call<'b>) {
        self.made.push(call.fingerprint());
        self.material.push(PieceKind::Call, call.name);
        self.material.push(PieceKind::Call, call.arguments);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.made.extend(other.made);
        self.material.add(other.material);
    }
}

/// A message's `tool_calls`.
impl<'b> Shape<'b> for Calls<'b> {
    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut calls = Self::default();
        while let Some(Tolerant(call)) = array.next_element::<Tolerant<Call<'b>>>()? {
            calls.push(call);
        }
        Ok(calls)
    }
}

/// A message's legacy `function_call`, if an object stands there.
#[derive(Default)]
pub(super) struct LegacyCall<'b>(pub(super) Option<Call<'b>>);

impl<'b> Shape<'b> for LegacyCall<'b> {
    fn from_object<A: MapAccess<'b>>(object: A) -> Result<Self, A::Error> {
        Ok(Self(Some(Call::from_object(object)?)))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    /// Chat's, which hold the name and the arguments.
    #[serde(alias = "custom")]
    Function,
    Name,
    #[serde(alias = "input", alias = "action")]
    Arguments,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for Call<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let mut call = Self::default();
        while let Some(key) = object.next_key()? {
            match key {
                Key::Function => Tolerant(call) = object.next_value()?,
                Key::Name => call.name = object.next_value()?,
                Key::Arguments => call.arguments = object.next_value()?,
                Key::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(call)
    }
}
