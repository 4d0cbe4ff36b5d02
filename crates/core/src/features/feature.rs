//! One feature: its name, the type of its value, and how it is read.

use serde::Serialize;

use super::Features;

/// The part of a request that a feature is measured on, and the CEL object it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The conversation: `prompt.<name>`.
    Prompt,
    /// The parameters beside it: `request.<name>`.
    Request,
}

impl Scope {
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
pub enum Kind {
    /// A whole number, never negative.
    Int,
    /// A finite number.
    Float,
    /// Yes or no.
    Bool,
    /// A short string of the client's.
    Text,
}

impl Kind {
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
pub enum Value<'a> {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(&'a str),
}

impl Value<'_> {
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

/// One feature's entry in the [`TABLE`](super::TABLE).
#[derive(Debug)]
pub struct Spec {
    /// The stable name.
    pub name: &'static str,
    /// The part of a request that it is measured on.
    pub scope: Scope,
    /// The type of its value.
    pub kind: Kind,
    /// The definition, with unit and limits, in one line of Markdown.
    pub doc: &'static str,
    /// Reads the value.
    pub(super) read: fn(&Features) -> Value<'_>,
}

impl Spec {
    pub(super) fn read<'f>(&self, features: &'f Features) -> Value<'f> {
        (self.read)(features)
    }
}
