//! The inference seam: what a worker needs from whatever turns tokens into embeddings.

use super::tokenize::Tokens;
use crate::serving::watchdog::Brake;

/// Turns batches of tokens into embeddings. The one real implementation is an ONNX Runtime session.
pub(crate) trait Encoder: Send + 'static {
    /// Returns one embedding for each input, in the same order.
    fn embed(&mut self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, InferenceError>;

    /// Returns what ends the run that goes on, if it can be ended.
    fn brake(&self) -> Brake {
        Box::new(|| ())
    }
}

/// Why a run gave no scores.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The tokenizer failed.
    #[error("the tokenizer failed")]
    Tokenize(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// ONNX Runtime failed.
    #[error("ONNX Runtime failed")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The output is not one embedding for each input.
    #[error("the output has shape {actual:?}, expected {expected:?}")]
    Shape {
        /// What came out.
        actual: Vec<i64>,
        /// What should have.
        expected: Vec<i64>,
    },
    /// An embedding, a feature or a score is infinite or not a number.
    #[error("head `{head}` reads or gives something that is not a number")]
    NotFinite {
        /// The head.
        head: String,
    },
    /// Something panicked; the worker lives on.
    #[error("the classifier panicked")]
    Panicked,
}
