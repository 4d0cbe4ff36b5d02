//! The errors of a session: a model that ONNX Runtime does not run as the bundle says.

use crate::scoring::error::ModelRunError;

/// An error of opening a session for a bundle's model.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum SessionError {
    /// ONNX Runtime refuses the model.
    #[error("{file} cannot be loaded by ONNX Runtime")]
    Load { file: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// The graph does not take what is fed, or gives not what is read; `part` names the input or output.
    #[error("{file}: {part} is {actual}, expected {expected}")]
    Graph { file: String, part: String, actual: String, expected: String },
    /// The model loads and does not run; some devices fail only then.
    #[error(transparent)]
    Run(#[from] ModelRunError),
    /// The device that the configuration requires does not work.
    #[error("device {device} is required and does not work")]
    Device { device: String, source: Box<Self> },
}
