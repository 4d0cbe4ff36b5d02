//! One variant for each way a bundle can be wrong.

use std::io;
use std::path::PathBuf;

use pointsman_core::config::Name;

use crate::bundle::reference::ReferenceError;
use crate::manifest::{Block, FILE, FORMAT, FormError, GateError, MixError, ScopeError};
use crate::scoring::encoder::InferenceError;

/// What a library said; its own type stays behind the fence of the module that uses it.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a folder is not a bundle that can serve. Every message names the file and the value.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is not YAML of the right shape.
    #[error("{FILE}: {message}")]
    Manifest {
        /// What is wrong, with line and column.
        message: String,
    },
    /// The manifest is of another format.
    #[error("{FILE}: format is {found}, only {FORMAT} is supported")]
    Format {
        /// The manifest's format.
        found: u32,
    },
    /// The golden tolerance makes no sense.
    #[error("{FILE}: golden_tolerance is {value}, must be above 0 and at most 1")]
    Tolerance {
        /// The manifest's value.
        value: f32,
    },
    /// What the manifest says of its training makes no sense.
    #[error("{FILE}: {0}")]
    Scope(ScopeError),
    /// The manifest uses a file but gives no hash of it.
    #[error("{FILE}: {file} has no sha256 under `files`")]
    Unlisted {
        /// The file.
        file: String,
    },
    /// The manifest lacks what its kind needs.
    #[error("{FILE}: `{key}` is required")]
    Lacks {
        /// The key.
        key: &'static str,
    },
    /// A sequence classification has one output, so it has one head.
    #[error("{FILE}: a sequence_classification has one head, not {heads}")]
    SequenceHeads {
        /// How many the manifest has.
        heads: usize,
    },
    /// A sequence classification says something that only heads of an encoder can.
    #[error("{FILE}: a sequence_classification has no `{key}`")]
    SequenceExtra {
        /// The key.
        key: &'static str,
    },
    /// The logits are not those of the labels.
    #[error("{FILE}: encoder.dimension is {dimension}, the labels of head `{head}` need {logits} logits")]
    SequenceWidth {
        /// The head.
        head: Name,
        /// The manifest's `dimension`.
        dimension: usize,
        /// What the head's kind and labels need.
        logits: usize,
    },
    /// The manifest names a file outside of its folder.
    #[error("{FILE}: `{file}` is not a plain file name")]
    FileName {
        /// The name.
        file: String,
    },
    /// A file is not the one that the manifest was written for: changed, truncated or swapped.
    #[error("{file}: sha256 is {actual} ({bytes} bytes), {FILE} says {expected}")]
    Hash {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
        /// The manifest's hash.
        expected: String,
        /// The file's hash.
        actual: String,
    },
    /// The token budget leaves no room.
    #[error(
        "{FILE}: max_tokens {max_tokens} with head_tokens {head_tokens}; allowed are 3 to 8192, head_tokens at most max_tokens - 2"
    )]
    TokenBudget {
        /// The manifest's `max_tokens`.
        max_tokens: usize,
        /// The manifest's `head_tokens`.
        head_tokens: usize,
    },
    /// No run of words can be told from a repeat.
    #[error("{FILE}: tokenizer.repeat_words {value}; allowed are 2 to 64")]
    RepeatWords {
        /// The manifest's value.
        value: usize,
    },
    /// The tokenizer cannot be built.
    #[error("{file} is not a tokenizer")]
    Tokenizer {
        /// The file.
        file: String,
        /// What the library said.
        source: Cause,
    },
    /// The tokenizer does not know a token that every input needs.
    #[error("{file} has no post-processor that adds specials, and no token `{token}`")]
    TokenMissing {
        /// The file.
        file: String,
        /// The token.
        token: &'static str,
    },
    /// The features file is not JSON of the right shape.
    #[error("{file} is not a list of features")]
    Features {
        /// The file.
        file: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The bundle wants a feature that does not exist, or that is not a number.
    #[error("{file}: `{feature}` is not a numeric feature of this version")]
    FeatureUnknown {
        /// The file.
        file: String,
        /// The feature.
        feature: String,
    },
    /// A feature cannot be scaled.
    #[error("{file}: `{feature}` has mean {mean} and std {std}; both must be finite, std above 0")]
    FeatureScale {
        /// The file.
        file: String,
        /// The feature.
        feature: String,
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
    /// The bundle judges nothing.
    #[error("{FILE}: `heads` is empty")]
    NoHeads,
    /// Two heads share a name.
    #[error("{FILE}: head `{head}` is there twice")]
    HeadTwice {
        /// The name.
        head: Name,
    },
    /// A head has nothing to choose from.
    #[error("{FILE}: head `{head}` has {labels} labels, needs at least 2")]
    TooFewLabels {
        /// The head.
        head: Name,
        /// How many labels it has.
        labels: usize,
    },
    /// Two labels of a head share a name.
    #[error("{FILE}: head `{head}` has the label `{label}` twice")]
    LabelTwice {
        /// The head.
        head: Name,
        /// The label.
        label: Name,
    },
    /// An alias points to no label, or is one itself.
    #[error(
        "{FILE}: head `{head}` has the alias `{alias}` for `{label}`; it must be no label itself and stand for one of {labels:?}"
    )]
    Alias {
        /// The head.
        head: Name,
        /// The alias.
        alias: String,
        /// What it stands for.
        label: Name,
        /// The head's labels.
        labels: Vec<Name>,
    },
    /// A head reads nothing, or the same block twice.
    #[error("{FILE}: head `{head}` reads {inputs:?}; needs at least one block, each once")]
    HeadInputs {
        /// The head.
        head: Name,
        /// Its blocks.
        inputs: Vec<Block>,
    },
    /// A head's temperature is no positive number.
    #[error("{FILE}: head `{head}` has temperature {value}, must be above 0")]
    Temperature {
        /// The head.
        head: Name,
        /// The manifest's value.
        value: f32,
    },
    /// A head cannot be the mixture, the vote or the hidden member that it says it is.
    #[error("{FILE}: head `{head}` {problem}")]
    Mix {
        /// The head.
        head: Name,
        /// What is wrong with it.
        problem: MixError,
    },
    /// A head cannot have the gate that it wants.
    #[error("{FILE}: head `{head}` {problem}")]
    Gate {
        /// The head.
        head: Name,
        /// What is wrong with it.
        problem: GateError,
    },
    /// A head cannot be the lexical form that it says it is.
    #[error("{FILE}: head `{head}` {problem}")]
    Form {
        /// The form.
        head: Name,
        /// What is wrong with it.
        problem: FormError,
    },
    /// Every head needs the encoder, which cannot run.
    #[error("{FILE}: no head can do without the encoder")]
    NoLexical,
    /// The reference file does not describe distributions.
    #[error("{file}: {problem}")]
    Reference {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: ReferenceError,
    },
    /// The heads file is not a safetensors file.
    #[error("{file} is not a safetensors file")]
    Heads {
        /// The file.
        file: String,
        /// What the library said.
        source: safetensors::SafeTensorError,
    },
    /// A head's tensor is not there.
    #[error("{file} has no tensor `{tensor}`")]
    TensorMissing {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
    },
    /// A tensor belongs to no head of the manifest.
    #[error("{file}: tensor `{tensor}` belongs to no head of {FILE}")]
    TensorUnexpected {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
    },
    /// A tensor does not hold float32.
    #[error("{file}: tensor `{tensor}` is {actual}, must be F32")]
    TensorType {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        actual: String,
    },
    /// A tensor does not fit its neighbours, the head's inputs or its labels.
    #[error("{file}: tensor `{tensor}` has shape {actual:?}, expected {expected}")]
    TensorShape {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its shape.
        actual: Vec<usize>,
        /// The shape it should have, and why.
        expected: String,
    },
    /// A weight is infinite or not a number.
    #[error("{file}: tensor `{tensor}` holds {value} at {index}")]
    TensorNotFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Where, counted row by row.
        index: usize,
        /// What.
        value: f32,
    },
    /// ONNX Runtime refuses the model.
    #[error("{file} cannot be loaded by ONNX Runtime")]
    Session {
        /// The file.
        file: String,
        /// What ONNX Runtime said.
        source: Cause,
    },
    /// The model cannot run on the device that the configuration requires.
    #[error("device {device} is required and does not work")]
    Device {
        /// The device.
        device: String,
        /// Why.
        source: Box<Self>,
    },
    /// The model does not take what is fed, or gives not what is read.
    #[error("{file}: {what} is {actual}, expected {expected}")]
    Graph {
        /// The file.
        file: String,
        /// Which input or output.
        what: String,
        /// What the model declares.
        actual: String,
        /// What the bundle contract says.
        expected: String,
    },
    /// The golden file is not JSON of the right shape.
    #[error("{file} is not a list of golden inputs")]
    Golden {
        /// The file.
        file: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The golden file proves nothing.
    #[error("{file} holds no golden inputs")]
    GoldenEmpty {
        /// The file.
        file: String,
    },
    /// A golden input is not for these heads and labels.
    #[error("{file}: input {index} has {actual}, the bundle has {expected}")]
    GoldenShape {
        /// The file.
        file: String,
        /// Which input, from 0.
        index: usize,
        /// The heads, or a head and its number of scores.
        actual: String,
        /// The same of the bundle.
        expected: String,
    },
    /// The model runs, but it is not the one whose scores were written down.
    #[error(
        "{file}: input {index} scores {actual:?} for {head} `{label}`, expected {expected:?} (tolerance {tolerance})"
    )]
    GoldenMismatch {
        /// The file.
        file: String,
        /// Which input, from 0.
        index: usize,
        /// The head.
        head: String,
        /// The first label that is off.
        label: String,
        /// The score it got.
        actual: f32,
        /// The score it should get.
        expected: f32,
        /// How far it may be off.
        tolerance: f32,
    },
    /// The first runs fail.
    #[error("{file} fails to run")]
    Run {
        /// The model's file.
        file: String,
        /// Why.
        source: InferenceError,
    },
    /// The system gives no thread.
    #[error("cannot start the classifier's thread")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}
