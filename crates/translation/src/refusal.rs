//! Why something is not translated.

use thiserror::Error;

use crate::loss::{Field, Loss, LossReport};

/// Why a request or an answer is not translated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TranslationRefusal {
    /// The body does not have the form of its API.
    #[error("{place}: {problem}")]
    Malformed {
        /// The place in the body, such as `messages[0].content`.
        place: String,
        /// The fault.
        problem: String,
    },
    /// The other API cannot say something that must not be left out.
    #[error("`{}` cannot be said in the API of the chosen model{}", .0.field.as_str(), detail(.0))]
    Unsayable(Loss),
    /// The other API cannot say all of it, and nothing may be left out.
    #[error("nothing may be left out, and the API of the chosen model cannot say {}", left_out(.0))]
    Lossy(LossReport),
}

impl TranslationRefusal {
    /// Returns the fields that stand in the way, each once; none where the body is wrong.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        match self {
            Self::Malformed { .. } => Vec::new(),
            Self::Unsayable(loss) => vec![loss.field],
            Self::Lossy(losses) => losses.left_out().collect(),
        }
    }

    /// Makes a refusal of a body that is wrong at `place`.
    pub(crate) fn malformed(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { place: place.into(), problem: problem.into() }
    }
}

fn detail(loss: &Loss) -> String {
    loss.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default()
}

fn left_out(losses: &LossReport) -> String {
    losses.left_out().map(|field| format!("`{}`", field.as_str())).collect::<Vec<_>>().join(", ")
}
