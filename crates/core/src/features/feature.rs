//! One feature: its name, the type of its value, and how it is read.

use serde::Serialize;

use super::Features;
use crate::prompt::Prompt;

/// The part of a request that a feature is measured on, and the CEL object it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureScope {
    /// The conversation: `prompt.<name>`.
    Prompt,
    /// The parameters beside it: `request.<name>`.
    Request,
}

impl FeatureScope {
    /// Returns the scope's name in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Request => "request",
        }
    }
}

/// The type of a feature's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// A whole number, never negative.
    Int,
    /// A finite number.
    Float,
    /// Yes or no.
    Bool,
    /// A short string of the client's.
    Text,
}

impl FeatureKind {
    /// Returns the kind's name in the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Text => "text",
        }
    }
}

/// A feature's value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FeatureValue<'a> {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(&'a str),
}

impl FeatureValue<'_> {
    /// Returns the value as a number, a `bool` as 0 or 1; `None` for text.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no count of anything in a body comes near 2^52")]
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Bool(value) => Some(value.into()),
            Self::Text(_) => None,
        }
    }
}

/// One feature's entry in the [`FEATURE_TABLE`](super::FEATURE_TABLE).
#[derive(Debug)]
pub struct FeatureDefinition {
    /// The stable name.
    pub name: &'static str,
    /// The part of a request that it is measured on.
    pub scope: FeatureScope,
    /// The type of its value.
    pub kind: FeatureKind,
    /// The definition, with unit and limits, in one line of Markdown.
    pub doc: &'static str,
    /// Measures what the value is read from, if that waits until somebody asks, and nobody has.
    pub(super) measure: Option<fn(&Features, &Prompt<'_>)>,
    /// Reads the value.
    pub(super) read: fn(&Features) -> FeatureValue<'_>,
}

impl FeatureDefinition {
    pub(super) fn read<'f>(&self, features: &'f Features) -> FeatureValue<'f> {
        (self.read)(features)
    }
}
