//! The fields of `bundle.yaml`: serde types and the checks that need no other file.
//!
//! A head's parts (mixture, gate, lexical form) are checked against the other heads, so their files read the
//! [`Manifest`] that they are part of: the one circle of files in this folder.

mod curve;
mod error;
mod forms;
mod gate;
mod head;
mod levels;
mod mix;
mod scope;
mod training;

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::config::Name;
use pointsman_core::scores::HeadLabels;
use serde::{Deserialize, Serialize};

pub use self::curve::CalibrationCurve;
pub use self::error::{FilesError, HeadSpecError, ManifestError, SequenceClassificationError, TokenizerSpecError};
pub use self::forms::{LexicalFormError, StopConfidence};
pub use self::gate::{GateError, GateSpec};
use self::head::repeated;
pub use self::head::{Activation, HeadKind, HeadSpec, InputBlock};
pub use self::levels::LevelsError;
pub use self::mix::{MixtureError, MixtureMember, NeighbourVote, TreesSpec};
pub(crate) use self::scope::script;
pub use self::scope::{NgramsSpec, ScopeError};

/// The only format that exists.
pub(crate) const FORMAT: u32 = 1;

/// The manifest's file name in every bundle.
pub(crate) const FILE: &str = "bundle.yaml";

/// The longest input, specials included, that a bundle may ask for.
const MAX_TOKENS: usize = 8192;

/// The widths that an embedding may have.
const DIMENSIONS: std::ops::RangeInclusive<usize> = 1..=1 << 16;

/// The most heads, hidden ones among them.
const MAX_HEADS: usize = 256;

/// The numbers of words of a run that may count as a repeat.
const REPEAT_WORDS: std::ops::RangeInclusive<usize> = 2..=64;

/// The whole of `bundle.yaml`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format's version; only 1 exists.
    pub format: u32,
    /// The kind of the graph.
    #[serde(default)]
    pub kind: BundleKind,
    /// The bundle's name.
    pub name: Name,
    /// The bundle's release.
    pub version: Name,
    /// One line for people.
    pub description: String,
    /// The network that turns tokens into an embedding, or into logits.
    pub encoder: EncoderSpec,
    /// The tokenizer and its token budget.
    pub tokenizer: TokenizerSpec,
    /// The file with the heads' weights; a sequence classification has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads_file: Option<String>,
    /// The file with the dense features; needed when a head reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features_file: Option<String>,
    /// The file with inputs and the scores they must get.
    pub golden_file: String,
    /// The file with the distributions of scores and features that were validated; without it nobody watches for drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_file: Option<String>,
    /// The languages that it was trained for and does well in, as codes of ISO 639; empty to say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// The scripts that it was trained for, by Unicode's names in lower case; empty to say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<String>,
    /// The record of the n-grams that training saw; without it no text counts as unfamiliar by its n-grams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngrams: Option<NgramsSpec>,
    /// The most by which a golden score may be off; by default what the precision allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden_tolerance: Option<f32>,
    /// The small models on top, at least one.
    pub heads: Vec<HeadSpec>,
    /// The sha256 of every other file of the bundle.
    pub files: BTreeMap<String, String>,
    /// Notes on how the bundle was made; free form.
    #[serde(default)]
    pub training: BTreeMap<String, serde_json::Value>,
    /// Figures of how good it is; free form.
    #[serde(default)]
    pub metrics: BTreeMap<String, serde_json::Value>,
}

/// The kind of a bundle's graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BundleKind {
    /// Gives an embedding that the heads of the heads file read.
    #[default]
    Encoder,
    /// Gives the logits of the one head; there are no other weights.
    SequenceClassification,
}

/// The network that turns tokens into an embedding, or into logits.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// The ONNX file; inputs `input_ids` and, if it wants them, `attention_mask`, `token_type_ids`, `position_ids`, of
    /// shape [batch, sequence], int64 or int32. Weights that it keeps in files beside it are listed under `files`.
    pub file: String,
    /// The output that is read, floats of 32 or 16 bits of shape [batch, dimension].
    pub output: String,
    /// Numbers in one embedding, or logits.
    pub dimension: usize,
    /// The number format of the weights.
    pub precision: WeightPrecision,
}

/// The number format of an encoder's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightPrecision {
    /// 32-bit floats.
    Fp32,
    /// 16-bit floats; inputs and outputs as ever.
    Fp16,
    /// 8-bit integers, activations quantised while running.
    Int8,
}

/// The tokenizer and its token budget.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerSpec {
    /// The Hugging Face `tokenizer.json`.
    pub file: String,
    /// The most tokens of one input, specials included; 3 to 8192.
    pub max_tokens: usize,
    /// The tokens that come from a long text's start; the others come from its end.
    pub head_tokens: usize,
    /// The tokens that a text gets however near its deadline is, and up to which texts of different lengths share a
    /// run; by default `max_tokens`, so that no deadline shortens what is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_tokens: Option<usize>,
    /// The length, in words, of a run that is not read when it occurred before; by default everything is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_words: Option<usize>,
    /// The token that fills shorter texts of a batch up; by default that of the file's `padding`, else `[PAD]` or
    /// `<pad>`. Where none of these exists, texts of different lengths never share a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_token: Option<String>,
}

impl WeightPrecision {
    /// Returns how far a golden score may be off when the manifest does not say.
    ///
    /// An int8 encoder rounds activations between float kernels that differ in the last bit from one instruction set to
    /// the next: tipped roundings moved golden scores by up to 0.027, a misread tokenizer by 0.047 and more
    /// (docs/bundles.md).
    #[must_use]
    pub const fn tolerance(self) -> f32 {
        match self {
            Self::Fp32 => 1e-3,
            Self::Fp16 => 5e-3,
            Self::Int8 => 0.04,
        }
    }
}

impl Manifest {
    /// The manifest's file in the folder of a bundle.
    pub const FILE: &str = FILE;

    /// Reads the manifest and checks what can be checked without the other files.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self =
            serde_saphyr::from_str(text).map_err(|error| ManifestError::Syntax { message: error.to_string() })?;
        manifest.check_format()?;
        manifest.check_files()?;
        manifest.check_tokenizer()?;
        manifest.check_heads()?;
        scope::check(&manifest).map_err(ManifestError::Scope)?;
        Ok(manifest)
    }

    /// Returns the head called `name`.
    #[must_use]
    pub fn head(&self, name: &str) -> Option<&HeadSpec> {
        self.heads.iter().find(|head| head.name.as_str() == name)
    }

    /// Returns whether some head reads what the graph gives, hidden ones included.
    #[must_use]
    pub fn names_embedding(&self) -> bool {
        let reads = |head: &HeadSpec| head.inputs.contains(&InputBlock::Embedding);
        self.kind == BundleKind::SequenceClassification || self.heads.iter().any(reads)
    }

    /// Returns the labels of a head, and the thresholds that decide one of them: a lexical form has those of the head
    /// that it stands for.
    #[must_use]
    pub fn labels_of(&self, head: &HeadSpec) -> HeadLabels {
        let full = head.stands_for.as_ref().and_then(|full| self.head(full.as_str()));
        let levels = full.unwrap_or(head).levels.clone().map(Arc::new);
        HeadLabels { names: head.labels.iter().map(|label| Arc::from(label.as_str())).collect(), levels }
    }

    /// Returns how far a golden score may be off.
    #[must_use]
    pub fn tolerance(&self) -> f32 {
        self.golden_tolerance.unwrap_or(self.encoder.precision.tolerance())
    }

    fn check_format(&self) -> Result<(), ManifestError> {
        if self.format != FORMAT {
            return Err(ManifestError::Format { found: self.format });
        }
        match self.golden_tolerance {
            Some(value) if !(value > 0.0 && value <= 1.0) => Err(ManifestError::Tolerance { value }),
            _ => Ok(()),
        }
    }

    fn check_files(&self) -> Result<(), ManifestError> {
        let ngrams = self.ngrams.as_ref().map(|ngrams| &ngrams.file);
        let optional = self.heads_file.iter().chain(&self.features_file).chain(&self.reference_file).chain(ngrams);
        for file in [&self.encoder.file, &self.tokenizer.file, &self.golden_file].into_iter().chain(optional) {
            if !self.files.contains_key(file) {
                return Err(ManifestError::Files(FilesError::Unlisted { file: file.clone() }));
            }
        }
        // Plain names only, so that a manifest cannot make the process read files of others.
        match self.files.keys().find(|file| file.contains(['/', '\\']) || [".", "..", ""].contains(&file.as_str())) {
            Some(file) => Err(ManifestError::Files(FilesError::Name { file: file.clone() })),
            None => Ok(()),
        }
    }

    fn check_tokenizer(&self) -> Result<(), ManifestError> {
        let TokenizerSpec { max_tokens, head_tokens, repeat_words, .. } = self.tokenizer;
        if let Some(value) = repeat_words.filter(|value| !REPEAT_WORDS.contains(value)) {
            return Err(ManifestError::Tokenizer(TokenizerSpecError::RepeatWords { value }));
        }
        if !(3..=MAX_TOKENS).contains(&max_tokens) || head_tokens > max_tokens - 2 {
            return Err(ManifestError::Tokenizer(TokenizerSpecError::Budget { max_tokens, head_tokens }));
        }
        if let Some(value) = self.tokenizer.least_tokens.filter(|value| !(3..=max_tokens).contains(value)) {
            return Err(ManifestError::Tokenizer(TokenizerSpecError::LeastTokens { value, max_tokens }));
        }
        Ok(())
    }

    fn check_heads(&self) -> Result<(), ManifestError> {
        if self.heads.is_empty() {
            return Err(ManifestError::NoHeads);
        }
        if self.heads.len() > MAX_HEADS {
            return Err(ManifestError::ManyHeads { count: self.heads.len() });
        }
        if !DIMENSIONS.contains(&self.encoder.dimension) {
            return Err(ManifestError::Dimension { dimension: self.encoder.dimension });
        }
        for (index, head) in self.heads.iter().enumerate() {
            if self.heads[..index].iter().any(|other| other.name == head.name) {
                return Err(head.error(HeadSpecError::Twice));
            }
            head.check().map_err(|problem| head.error(problem))?;
        }
        gate::check(self)?;
        mix::check(self)?;
        forms::check(self)?;
        match self.kind {
            BundleKind::Encoder => self.check_encoder(),
            BundleKind::SequenceClassification => {
                self.check_sequence_classification().map_err(ManifestError::SequenceClassification)
            }
        }
    }

    fn check_encoder(&self) -> Result<(), ManifestError> {
        let reads = |block: &InputBlock| self.heads.iter().any(|head| head.inputs.contains(block));
        if self.heads_file.is_none() {
            return Err(ManifestError::Files(FilesError::Missing { key: "heads_file" }));
        }
        if self.features_file.is_none() && reads(&InputBlock::Features) {
            return Err(ManifestError::Files(FilesError::Missing { key: "features_file" }));
        }
        match self
            .heads
            .iter()
            .find(|head| head.mix.is_empty() && (head.inputs.is_empty() || repeated(&head.inputs).is_some()))
        {
            Some(head) => Err(head.error(HeadSpecError::Inputs { inputs: head.inputs.clone() })),
            None => Ok(()),
        }
    }

    /// The graph does everything, so whatever else the manifest wants would be ignored.
    fn check_sequence_classification(&self) -> Result<(), SequenceClassificationError> {
        let [head] = &self.heads[..] else {
            return Err(SequenceClassificationError::Heads { heads: self.heads.len() });
        };
        let extra = [
            ("heads_file", self.heads_file.is_some()),
            ("features_file", self.features_file.is_some()),
            ("inputs", !head.inputs.is_empty()),
            ("neighbours", head.neighbours.is_some()),
            ("trees", head.trees.is_some()),
            ("mix", !head.mix.is_empty()),
            ("hidden", head.hidden),
        ];
        if let Some((key, _)) = extra.into_iter().find(|(_, is_there)| *is_there) {
            return Err(SequenceClassificationError::Extra { key });
        }
        let (dimension, logits) = (self.encoder.dimension, head.logits());
        if dimension != logits {
            return Err(SequenceClassificationError::Width { head: head.name.clone(), dimension, logits });
        }
        Ok(())
    }
}
