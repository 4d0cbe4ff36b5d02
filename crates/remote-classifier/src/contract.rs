//! The contract with a server: the heads that its answers make, with their labels, by name.

use std::fmt;
use std::sync::Arc;

use pointsman_core::scores::{HeadLabels, OfferedHead};

use crate::protocol::TextInput;

/// The heads that a server's answers make, as it answered a probe, and the version that it names.
#[derive(Debug, Clone)]
pub struct RemoteContract {
    /// The version of the model, where the server names one.
    pub version: Option<String>,
    pub(crate) heads: Vec<(Arc<str>, HeadLabels)>,
    /// The tensor that takes texts, where the protocol has tensors.
    pub(crate) input: Option<TextInput>,
}

/// The part of a contract that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractFlaw {
    /// The keys below the classifier's `remote` that ask for what is not there.
    pub keys: Vec<String>,
    /// The mistake, and what is allowed.
    pub message: String,
    /// The step of the question that shows it.
    pub shown_by: FlawSign,
}

/// The sign of a contract that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlawSign {
    /// An answer of the protocol, which lacks what is asked of it.
    Answer,
    /// No such answer: the server knows no such model or version, or speaks another protocol. It may be about to.
    Refusal,
}

impl RemoteContract {
    /// Iterates over the heads and their labels, in the order of scores.
    pub fn heads(&self) -> impl Iterator<Item = OfferedHead<'_>> {
        self.heads.iter().map(|(name, labels)| OfferedHead::new(name, labels))
    }

    /// Returns whether `other` has the same heads and labels, of the same version.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |own: &(Arc<str>, HeadLabels), other: &(Arc<str>, HeadLabels)| {
            own.0 == other.0 && own.1.names == other.1.names
        };
        self.version == other.version
            && self.input == other.input
            && self.heads.len() == other.heads.len()
            && self.heads.iter().zip(&other.heads).all(|(own, other)| same(own, other))
    }
}

impl ContractFlaw {
    pub(crate) fn of(keys: &[&str], message: impl Into<String>) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Self { keys, message: message.into(), shown_by: FlawSign::Answer }
    }

    /// The flaw of a server that does not answer what it is asked.
    pub(crate) fn of_refusal(key: &str, message: impl Into<String>) -> Self {
        Self { shown_by: FlawSign::Refusal, ..Self::of(&[key], message) }
    }
}

impl fmt::Display for ContractFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.keys.join("."), self.message)
    }
}
