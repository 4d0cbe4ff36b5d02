//! The types of expressions.

use std::fmt;

use cel::common::ast::LiteralValue;

/// The type of an expression's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExpressionType {
    Int,
    Uint,
    Double,
    Bool,
    Text,
    List(Box<Self>),
    /// Anything: an empty list's elements, and whatever has been reported already.
    Any,
}

impl ExpressionType {
    /// Returns the type of a literal; `None` for those that rules have no use for.
    pub(super) const fn of(literal: &LiteralValue) -> Option<Self> {
        match literal {
            LiteralValue::Boolean(_) => Some(Self::Bool),
            LiteralValue::Double(_) => Some(Self::Double),
            LiteralValue::Int(_) => Some(Self::Int),
            LiteralValue::UInt(_) => Some(Self::Uint),
            LiteralValue::String(_) => Some(Self::Text),
            LiteralValue::Bytes(_) | LiteralValue::Null => None,
        }
    }

    /// Tells whether one can stand where the other is wanted.
    pub(super) fn fits(&self, other: &Self) -> bool {
        self.unify(other).is_some()
    }

    /// Returns the type that both are, the more precise one of the two.
    pub(super) fn unify(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, known) | (known, Self::Any) => Some(known.clone()),
            (Self::List(left), Self::List(right)) => left.unify(right).map(|element| Self::List(Box::new(element))),
            _ => (self == other).then(|| self.clone()),
        }
    }

    /// CEL compares numbers of different types, and nothing else of different types.
    pub(super) fn comparable(&self, other: &Self) -> bool {
        self.fits(other) || (self.is_number() && other.is_number())
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }
}

impl fmt::Display for ExpressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Bool => f.write_str("bool"),
            Self::Text => f.write_str("text"),
            Self::List(element) => write!(f, "list of {element}"),
            Self::Any => f.write_str("any"),
        }
    }
}
