//! A call of a tool, in whatever dialect: which tool, and with what.

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::prompt::api_key::ApiKey;
use crate::prompt::material::CountedMaterial;
use crate::prompt::pieces::PieceKind;
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::FromJson;
use crate::prompt::turn::TurnFingerprint;

/// The name and the arguments that a call is told apart by, as the body spells them.
#[derive(Default, Clone, Copy)]
pub(super) struct ToolCall<'b> {
    pub(super) name: Option<&'b RawValue>,
    /// `arguments`, `input` or `action`.
    pub(super) arguments: Option<&'b RawValue>,
}

impl ToolCall<'_> {
    pub(super) fn fingerprint(self) -> TurnFingerprint {
        TurnFingerprint::of_call(&[self.name, self.arguments].map(|raw| raw.map_or("", RawValue::get)))
    }
}

/// Calls of one turn: what tells them apart, and what a provider counts of them.
#[derive(Default)]
pub(super) struct ToolCalls<'b> {
    pub(super) made: Vec<TurnFingerprint>,
    pub(super) material: CountedMaterial<'b>,
}

impl<'b> ToolCalls<'b> {
    pub(super) fn push(&mut self, call: ToolCall<'b>) {
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
impl<'b> FromJson<'b> for ToolCalls<'b> {
    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut calls = Self::default();
        while let Some(call) = reading.part(&mut array)? {
            calls.push(call);
        }
        Ok(calls)
    }
}

/// A message's legacy `function_call`, if an object stands there.
#[derive(Default)]
pub(super) struct LegacyToolCall<'b>(pub(super) Option<ToolCall<'b>>);

impl<'b> FromJson<'b> for LegacyToolCall<'b> {
    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        Ok(Self(Some(ToolCall::from_object(object, reading)?)))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ToolCallKey {
    /// Chat's, which hold the name and the arguments.
    #[serde(alias = "custom")]
    Function,
    Name,
    #[serde(alias = "input", alias = "action")]
    Arguments,
    #[serde(other)]
    Other,
}

impl ApiKey for ToolCallKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }

    fn is_unseen(&self) -> bool {
        matches!(self, Self::Name | Self::Other)
    }
}

impl<'b> FromJson<'b> for ToolCall<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut call = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                ToolCallKey::Function => call = reading.value(&mut object)?,
                ToolCallKey::Name => call.name = reading.optional(&mut object)?,
                ToolCallKey::Arguments => call.arguments = reading.optional(&mut object)?,
                ToolCallKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(call)
    }
}
