//! The models that a policy could have chosen, and what is expected of each.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::constraint::Constraint;
use crate::config::{Name, TokenPrice};
use crate::features::TokenizerFamily;

/// A model that a policy can choose, checked against the constraints of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The model's name in the catalog.
    pub model: Name,
    /// The first constraint that the model does not meet; `Ok` when it can serve the request.
    pub fits: Result<(), Constraint>,
    /// The model's prices.
    pub price: Option<TokenPrice>,
    /// The tokenizer by which the model counts.
    pub tokenizer: TokenizerFamily,
    /// The most tokens that the answer may have, where the request asks for more.
    pub answer_limit: Option<u64>,
    /// Expectations of the model; only in an explanation.
    pub expected: Option<ModelExpectation>,
}

/// Expectations of a model for one request. An unknown one is left out, never guessed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ModelExpectation {
    /// The chance that the strategy gives the model, by a calibrated score or a similarity; `success_is` says what that
    /// means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<f64>,
    /// The meaning of `success`, such as ``probability of `right` (head `success/small`)``.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_is: Option<String>,
    /// The request's cost at the catalog's prices, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The tokens of an answer that are in `cost_usd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Seconds that answers of the model lately took to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_seconds: Option<f64>,
    /// The utility that the strategy maximises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utility: Option<f64>,
}

impl ModelExpectation {
    /// Makes the expectation that is a calibrated probability of `labels`.
    pub(in crate::policy) fn probability<L: AsRef<str>>(labels: &[L], head: &Name, probability: f64) -> Self {
        Self { success: Some(probability), success_is: Some(Self::words(labels, head)), ..Self::default() }
    }

    /// Says what the probability of `labels` is.
    pub(in crate::policy) fn words<L: AsRef<str>>(labels: &[L], head: &Name) -> String {
        let labels = labels.iter().map(|label| format!("`{}`", label.as_ref())).collect::<Vec<_>>().join(" or ");
        format!("probability of {labels} (head `{head}`)")
    }
}

impl Serialize for Candidate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut candidate = serializer.serialize_struct("Candidate", 6)?;
        candidate.serialize_field("model", &self.model)?;
        candidate.serialize_field("fits", &self.fits.is_ok())?;
        candidate.serialize_field("lacks", &self.fits.err().map(Constraint::as_str))?;
        candidate.serialize_field("price", &self.price)?;
        candidate.serialize_field("answer_limit", &self.answer_limit)?;
        candidate.serialize_field("expected", &self.expected)?;
        candidate.end()
    }
}
