//! A bundle's encoder on its own, for training: the embedding that a worker would have computed.

use std::sync::Arc;

use super::device::SessionDevice;
use super::error::SessionError;
use super::runtime::OnnxRuntime;
use super::session::{OnnxEncoder, SessionOptions};
use crate::bundle::Bundle;
use crate::scoring::encoder::Encoder;
use crate::scoring::error::InferenceError;
use crate::scoring::tokenize::Tokenizer;

/// Turns texts into embeddings, one at a time: an int8 encoder may let the texts of a batch influence each other.
pub struct Embedder {
    tokenizer: Arc<Tokenizer>,
    encoder: OnnxEncoder,
}

impl Embedder {
    /// Starts the encoder of `bundle` on `threads` threads.
    ///
    /// # Errors
    /// When the graph is not what the manifest says.
    pub fn new(bundle: &Bundle, runtime: &OnnxRuntime, threads: usize) -> Result<Self, SessionError> {
        let encoder = OnnxEncoder::new(
            runtime,
            bundle,
            SessionOptions { device: SessionDevice::Cpu, threads, memory_limit: None },
        )?;
        Ok(Self { tokenizer: Arc::clone(&bundle.tokenizer), encoder })
    }

    /// Returns the embedding of `text`.
    ///
    /// # Errors
    /// When the tokenizer or the encoder fails.
    pub fn embed(&mut self, text: &str) -> Result<Vec<f32>, InferenceError> {
        let tokens = self.tokenizer.tokens(&self.tokenizer.budget().excerpt(text))?;
        Ok(self.encoder.embed(&[tokens])?.remove(0))
    }
}
