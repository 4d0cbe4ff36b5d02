//! A bundle: the folder that is loaded, verified and swapped as one.
//!
//! Every file is read once, hashed, and parsed from the bytes that were hashed: a folder that changes while it is being
//! read cannot slip through. The ONNX graph and the golden inputs are checked when a session exists, by
//! [`Classifier::start`](super::Classifier::start).

mod edit;
mod error;
mod files;
pub(crate) mod golden;
pub(crate) mod reference;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::error::BundleError;
use self::files::VerifiedFiles;
use self::golden::GoldenInput;
use crate::bundle::reference::{ReferenceDistributions, SignalReader};
use crate::manifest::{Manifest, ManifestError};
use crate::scoring::heads::Heads;
use crate::scoring::inputs::FeatureInputs;
use crate::scoring::scope::TrainingScope;
use crate::scoring::tokenize::Tokenizer;

/// The verified content of a bundle's folder.
#[derive(Debug)]
pub struct Bundle {
    pub(crate) identity: BundleIdentity,
    pub(crate) manifest: Manifest,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) inputs: FeatureInputs,
    pub(crate) heads: Arc<Heads>,
    pub(crate) golden: Vec<GoldenInput>,
    pub(crate) reference: Option<DriftReference>,
    pub(crate) scope: TrainingScope,
    pub(crate) model: Vec<u8>,
    /// The verified files that no key of the manifest names: weights that the model keeps outside, if it keeps any.
    pub(crate) weights: BTreeMap<String, Arc<[u8]>>,
}

/// The identity of a bundle: its name, its version and the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleIdentity {
    /// The manifest's name.
    pub name: Arc<str>,
    /// The manifest's version.
    pub version: Arc<str>,
    /// The manifest's sha256; the manifest holds every other file's, so it stands for the whole content.
    pub sha256: Arc<str>,
}

/// The reference distributions of a bundle, and the probe that reads their signals.
#[derive(Debug)]
pub(crate) struct DriftReference {
    pub(crate) reference: ReferenceDistributions,
    pub(crate) probe: SignalReader,
}

impl DriftReference {
    fn new(file: &str, bytes: &[u8], manifest: &Manifest) -> Result<Self, BundleError> {
        let error = |problem| BundleError::Reference { file: file.to_owned(), problem };
        let reference = ReferenceDistributions::parse(bytes).map_err(error)?;
        let probe = SignalReader::new(&reference, manifest).map_err(error)?;
        Ok(Self { reference, probe })
    }
}

impl Bundle {
    /// Reads a folder and checks everything that needs no ONNX Runtime.
    ///
    /// # Errors
    /// The first thing that is wrong, by file and value.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        let bytes = files::manifest(folder)?;
        let manifest = parse(&bytes)?;
        // Hashing the model takes as long as parsing all the rest.
        thread::scope(|scope| {
            let read = || VerifiedFiles::read_model(folder, &manifest);
            let reading = thread::Builder::new().name("hash".into()).spawn_scoped(scope, read);
            let bundle = Self::without_model(folder, &bytes, &manifest);
            let model = reading.map_or_else(
                |_no_thread| read(),
                |reading| reading.join().unwrap_or_else(|panic| resume_unwind(panic)),
            );
            Ok(Self { model: model?, ..bundle? })
        })
    }

    fn without_model(folder: &Path, bytes: &[u8], manifest: &Manifest) -> Result<Self, BundleError> {
        let mut files = VerifiedFiles::read(folder, manifest)?;
        let tokenizer = Tokenizer::parse(&manifest.tokenizer, &files.take(&manifest.tokenizer.file))?;
        let inputs = match &manifest.features_file {
            Some(file) => FeatureInputs::parse(file, &files.take(file))?,
            None => FeatureInputs::default(),
        };
        let heads = match &manifest.heads_file {
            Some(file) => Heads::parse(manifest, file, &files.take(file), inputs.len())?,
            None => Heads::of_logits(manifest),
        };
        let golden = golden::parse(&manifest.golden_file, &files.take(&manifest.golden_file), &heads)?;
        let reference = match &manifest.reference_file {
            Some(file) => Some(DriftReference::new(file, &files.take(file), manifest)?),
            None => None,
        };
        let ngrams = manifest.ngrams.as_ref().map(|ngrams| files.take(&ngrams.file));
        let scope = TrainingScope::parse(manifest, ngrams)?;
        let weights = files.rest().into_iter().map(|(file, bytes)| (file, bytes.into())).collect();

        let identity = BundleIdentity::new(manifest, bytes);
        let (tokenizer, heads) = (Arc::new(tokenizer), Arc::new(heads));
        let (manifest, model) = (manifest.clone(), Vec::new());
        Ok(Self { identity, manifest, tokenizer, inputs, heads, golden, reference, scope, model, weights })
    }

    /// Reads the manifest of a folder and no other file.
    ///
    /// # Errors
    /// When there is none, or it is not sound.
    pub fn read_manifest(folder: &Path) -> Result<Manifest, BundleError> {
        parse(&files::manifest(folder)?)
    }

    /// Returns which bundle a folder holds, once the hash of every file is checked. Keeps nothing of them in memory.
    ///
    /// # Errors
    /// When the manifest is not sound, or a file is not the one that it was written for.
    pub fn verify(folder: &Path) -> Result<BundleIdentity, BundleError> {
        let bytes = files::manifest(folder)?;
        let manifest = parse(&bytes)?;
        VerifiedFiles::check(folder, &manifest)?;
        Ok(BundleIdentity::new(&manifest, &bytes))
    }

    /// Returns which bundle it is.
    #[must_use]
    pub const fn identity(&self) -> &BundleIdentity {
        &self.identity
    }

    /// Returns what `bundle.yaml` says.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the tokenizer with its budget.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the dense features that the heads read.
    #[must_use]
    pub const fn inputs(&self) -> &FeatureInputs {
        &self.inputs
    }

    /// Returns the heads.
    #[must_use]
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Returns whether some head needs the encoder.
    #[must_use]
    pub fn needs_encoder(&self) -> bool {
        self.heads.need_encoder()
    }

    /// Returns how many golden inputs it holds.
    #[must_use]
    pub const fn golden_inputs(&self) -> usize {
        self.golden.len()
    }

    /// Returns the golden inputs' texts with the scores that they must get, by head.
    pub fn golden_scores(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, Vec<f32>>)> {
        self.golden.iter().map(|golden| (golden.text.as_str(), &golden.scores))
    }

    /// Returns the distributions that its scores were validated with, if it brings any.
    #[must_use]
    pub fn reference(&self) -> Option<&ReferenceDistributions> {
        self.reference.as_ref().map(|watched| &watched.reference)
    }

    /// Returns the files besides those that the manifest's keys name, such as weights that the model keeps outside.
    pub fn other_files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.weights.iter().map(|(file, bytes)| (file.as_str(), &**bytes))
    }

    /// Returns the ONNX model's bytes.
    #[must_use]
    pub fn model(&self) -> &[u8] {
        &self.model
    }
}

impl BundleIdentity {
    fn new(manifest: &Manifest, bytes: &[u8]) -> Self {
        Self {
            name: manifest.name.as_str().into(),
            version: manifest.version.as_str().into(),
            sha256: sha256(bytes).into(),
        }
    }
}

fn parse(manifest: &[u8]) -> Result<Manifest, BundleError> {
    let text = str::from_utf8(manifest).map_err(|error| ManifestError::Syntax { message: error.to_string() })?;
    Ok(Manifest::parse(text)?)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes what is written");
        text
    })
}

#[cfg(test)]
mod tests;
