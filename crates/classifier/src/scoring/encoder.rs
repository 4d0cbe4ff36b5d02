//! The inference seam: what scoring needs from whatever turns tokens into embeddings.

use super::error::InferenceError;
use super::tokenize::TokenIds;

/// A function that makes the encoder's current run end early, from any thread.
pub(crate) type RunTerminator = Box<dyn Fn() + Send + Sync>;

/// Turns batches of tokens into embeddings. The one real implementation is an ONNX Runtime session.
pub(crate) trait Encoder: Send + 'static {
    /// Returns the embeddings `[input][dimension]` of a batch, in the order of the inputs.
    fn embed(&mut self, batch: &[TokenIds]) -> Result<Vec<Vec<f32>>, InferenceError>;

    /// Returns what ends the current run, if it can be ended.
    fn brake(&self) -> RunTerminator {
        Box::new(|| ())
    }
}
