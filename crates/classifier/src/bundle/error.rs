//! The errors of a bundle's folder: those of the disk, and for each file the error of what reads it.

use std::io;
use std::path::PathBuf;

use pointsman_core::config::RegularFileError;

use super::golden::GoldenError;
use super::reference::ReferenceError;
use crate::manifest::{FILE, ManifestError};
use crate::scoring::heads::HeadsError;
use crate::scoring::inputs::FeatureInputsError;
use crate::scoring::tokenize::TokenizerError;

/// An error of a bundle's folder. Every message names the file and the value.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum BundleError {
    /// A file cannot be read: a path or a permission is wrong, or it is no regular file of a fitting size.
    #[error("cannot read {}: {problem}", path.display())]
    Read { path: PathBuf, problem: RegularFileError },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file is not the one that the manifest was written for: changed, truncated or swapped. Another copy helps.
    #[error("{file}: sha256 is {actual} ({bytes} bytes), {FILE} says {expected}")]
    Hash { file: String, bytes: u64, expected: String, actual: String },
    /// The manifest is at fault.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The tokenizer file is at fault.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The features file is at fault.
    #[error(transparent)]
    Features(#[from] FeatureInputsError),
    /// The heads file is at fault.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The golden file is at fault.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The reference file is at fault.
    #[error("{file}: {problem}")]
    Reference { file: String, problem: ReferenceError },
}
