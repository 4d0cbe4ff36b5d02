//! The errors of a heads file.

use crate::manifest::FILE;

/// An error of a heads file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum HeadsError {
    /// The bytes are not a safetensors file.
    #[error("{file} is not a safetensors file")]
    Syntax { file: String, source: safetensors::SafeTensorError },
    /// A head's tensor is missing.
    #[error("{file} has no tensor `{tensor}`")]
    Missing { file: String, tensor: String },
    /// A tensor belongs to no head of the manifest.
    #[error("{file}: tensor `{tensor}` belongs to no head of {FILE}")]
    Unexpected { file: String, tensor: String },
    /// A tensor does not hold float32.
    #[error("{file}: tensor `{tensor}` is {actual}, must be F32")]
    Type { file: String, tensor: String, actual: String },
    /// A tensor does not fit its neighbours, the head's inputs or its labels.
    #[error("{file}: tensor `{tensor}` has shape {actual:?}, expected {expected}")]
    Shape { file: String, tensor: String, actual: Vec<usize>, expected: String },
    /// A weight is infinite or not a number; `index` counts row by row.
    #[error("{file}: tensor `{tensor}` holds {value} at {index}")]
    NotFinite { file: String, tensor: String, index: usize, value: f32 },
}
