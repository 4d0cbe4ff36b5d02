//! The errors of a manifest: a type for each part of `bundle.yaml` that a person corrects.

use pointsman_core::config::Name;

use super::{
    DIMENSIONS, FILE, FORMAT, GateError, InputBlock, LevelsError, LexicalFormError, MAX_HEADS, MixtureError, ScopeError,
};

/// An error of a manifest. Every message names the file and the value.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum ManifestError {
    /// The text is not YAML with the manifest's keys.
    #[error("{FILE}: {message}")]
    Syntax { message: String },
    /// The format is of another version.
    #[error("{FILE}: format is {found}, only {FORMAT} is supported")]
    Format { found: u32 },
    /// The golden tolerance is no share that a score could be off by.
    #[error("{FILE}: golden_tolerance is {value}, must be above 0 and at most 1")]
    Tolerance { value: f32 },
    /// A file is missing, has no hash or is outside of the folder.
    #[error("{FILE}: {0}")]
    Files(FilesError),
    /// The tokenizer section asks for what no tokenizer can do.
    #[error("{FILE}: {0}")]
    Tokenizer(TokenizerSpecError),
    /// The declared training scope contradicts itself.
    #[error("{FILE}: {0}")]
    Scope(ScopeError),
    /// No head is offered to policies.
    #[error("{FILE}: `heads` is empty")]
    NoHeads,
    /// There are more heads than are run.
    #[error("{count} heads are listed (allowed: at most {MAX_HEADS})")]
    ManyHeads { count: usize },
    /// The embedding has no width, or an unlikely one.
    #[error("encoder.dimension is {dimension} (allowed: {} to {})", DIMENSIONS.start(), DIMENSIONS.end())]
    Dimension { dimension: usize },
    /// A head cannot be what its section says.
    #[error("{FILE}: head `{head}` {problem}")]
    Head { head: Name, problem: HeadSpecError },
    /// The graph is a sequence classification, and another key does not fit that.
    #[error("{FILE}: {0}")]
    SequenceClassification(SequenceClassificationError),
}

/// An error of the files that a manifest names.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum FilesError {
    /// A file has no hash that it could be verified by.
    #[error("{file} has no sha256 under `files`")]
    Unlisted { file: String },
    /// A key that names a file is needed and not there.
    #[error("`{key}` is required")]
    Missing { key: &'static str },
    /// A name leads out of the bundle's folder.
    #[error("`{file}` is not a plain file name")]
    Name { file: String },
}

/// An error of a manifest's tokenizer section.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum TokenizerSpecError {
    /// The token budget leaves no room for a text.
    #[error(
        "max_tokens {max_tokens} with head_tokens {head_tokens}; allowed are 3 to 8192, head_tokens at most max_tokens - 2"
    )]
    Budget { max_tokens: usize, head_tokens: usize },
    /// The shortest window is no part of the longest.
    #[error("tokenizer.least_tokens {value}; allowed are 3 to max_tokens, {max_tokens}")]
    LeastTokens { value: usize, max_tokens: usize },
    /// A run of so many words cannot be told from a repeat.
    #[error("tokenizer.repeat_words {value}; allowed are 2 to 64")]
    RepeatWords { value: usize },
}

/// An error of one head's section.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum HeadSpecError {
    /// The name is that of a head before it.
    #[error("is there twice")]
    Twice,
    /// The labels leave nothing to choose from.
    #[error("has {labels} labels, needs at least 2")]
    TooFewLabels { labels: usize },
    /// Two labels share a name.
    #[error("has the label `{label}` twice")]
    LabelTwice { label: Name },
    /// An alias points to no label, or is a label itself.
    #[error("has the alias `{alias}` for `{label}`; it must be no label itself and stand for one of {labels:?}")]
    Alias { alias: String, label: Name, labels: Vec<Name> },
    /// The inputs are none, or hold a block twice.
    #[error("reads {inputs:?}; needs at least one block, each once")]
    Inputs { inputs: Vec<InputBlock> },
    /// The temperature is no positive number.
    #[error("has temperature {value}, must be above 0")]
    Temperature { value: f32 },
    /// The head is no sound mixture, member of one, vote or forest.
    #[error("{0}")]
    Mix(MixtureError),
    /// The gate cannot blend.
    #[error("{0}")]
    Gate(GateError),
    /// The levels decide no label.
    #[error("{0}")]
    Levels(LevelsError),
    /// The head cannot be the lexical form of another.
    #[error("{0}")]
    Form(LexicalFormError),
}

/// An error of a manifest whose graph is a sequence classification, which does everything itself.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum SequenceClassificationError {
    /// The heads are not one, as the graph's output is.
    #[error("a sequence_classification has one head, not {heads}")]
    Heads { heads: usize },
    /// A key is there that only heads of an encoder can have.
    #[error("a sequence_classification has no `{key}`")]
    Extra { key: &'static str },
    /// The logits are not as many as the labels need.
    #[error("encoder.dimension is {dimension}, the labels of head `{head}` need {logits} logits")]
    Width { head: Name, dimension: usize, logits: usize },
}
