//! The errors of a session: a model that ONNX Runtime does not run as the bundle says.

use crate::manifest::FILE;
use crate::scoring::error::ModelRunError;

/// An error of opening a session for a bundle's model.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum SessionError {
    /// The model's file cannot be used as it is.
    #[error("{file}: {problem}")]
    Model { file: String, problem: GraphError },
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

/// An error of a model's file that is found without ONNX Runtime.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum GraphError {
    /// The bytes are no ONNX model.
    #[error("is not an ONNX model: {0}")]
    Syntax(Box<dyn std::error::Error + Send + Sync>),
    /// Weights stand in a file whose hash nobody gave.
    #[error(
        "weights stand in `{location}`, which has no sha256 under `files` of {FILE}; put that file into the bundle and add `{location}: <sha256>` there"
    )]
    WeightsUnlisted { location: String },
    /// Weights stand somewhere else than in the bundle's folder.
    #[error(
        "weights stand in `{location}`, which is not a plain file name; save the model again with its weights in one file beside it, such as `model.onnx.data`"
    )]
    WeightsLocation { location: String },
    /// Weights of a nested graph, of a constant or of a function stand in another file.
    #[error(
        "the tensor `{tensor}` of a nested part stands in another file; save the model again with that tensor inside, as only initializers of the main graph may stand outside"
    )]
    WeightsNested { tensor: String },
    /// A tensor says twice where its numbers stand, or in a way that is not known.
    #[error(
        "the tensor `{tensor}` has the key `{key}` twice, or it is no key of weights in a file (allowed: location, offset, length, checksum, each once)"
    )]
    WeightsKey { tensor: String, key: String },
    /// A compiled engine stands in another file.
    #[error(
        "it runs an engine that stands in a file of its own; compile the model with `embed_mode` 1, or use the ONNX model"
    )]
    EngineOutside,
    /// A file ends before the weights that should stand in it.
    #[error("`{tensor}` ends at {end} of `{location}`, a file of {bytes} bytes; it belongs to another export")]
    WeightsCut { location: String, tensor: String, end: String, bytes: usize },
    /// The tokenizer has tokens that the embedding has no row for.
    #[error(
        "the embedding has {rows} rows, and {tokenizer} gives ids up to {largest}; export the model with the tokenizer that it was trained with, or resize its embedding to {} rows", largest + 1
    )]
    Vocabulary { rows: u64, tokenizer: String, largest: u64 },
    /// An axis of an input has one length only.
    #[error(
        "input `{input}` takes {shape} only; export the model again with batch and sequence as dynamic axes (`dynamic_axes` or `dynamic_shapes` of torch.onnx.export)"
    )]
    FixedAxes { input: String, shape: String },
}
