//! The errors of a run: a prompt, or a model, that gives no scores.

/// An error of one run of a classifier.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum InferenceError {
    /// The tokenizer failed.
    #[error("the tokenizer failed")]
    Tokenize(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// ONNX Runtime failed.
    #[error("ONNX Runtime failed")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The output is not one embedding for each input.
    #[error("the output has shape {actual:?}, expected {expected:?}")]
    Shape { actual: Vec<i64>, expected: Vec<i64> },
    /// An embedding, a feature or a score is infinite or not a number.
    #[error("head `{head}` reads or gives something that is not a number")]
    NotFinite { head: String },
    /// The largest id of the tokenizer fails, and others do not.
    #[error("the model has no row for the largest id of the tokenizer, {largest}; it belongs to another tokenizer")]
    Vocabulary { largest: u64, source: Box<Self> },
    /// Inputs within the budget are too long for the model.
    #[error(
        "tokenizer.max_tokens is {max_tokens}, and the model runs inputs of {longest} tokens at most; set max_tokens to {longest} or less"
    )]
    TooLong { max_tokens: usize, longest: usize, source: Box<Self> },
    /// One input runs, and several at once do not.
    #[error(
        "the model runs one input and fails with {rows} at once; export it again with a dynamic batch axis, or set `batch: {{max_size: 1}}` of the classifier"
    )]
    Batch { rows: usize, source: Box<Self> },
    /// Something panicked; the worker lives on.
    #[error("the classifier panicked")]
    Panicked,
}

/// A model that was loaded and fails in its first runs.
#[derive(Debug, thiserror::Error)]
#[error("{file} fails to run")]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub struct ModelRunError {
    pub file: String,
    pub source: InferenceError,
}
