//! The `decision_log` section: where decisions and feedback are written.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::secret::{Secret, SecretSource};
use super::values::TimeSpan;

/// The log of decisions and of feedback on them, one JSON object a line: `fit`, `calibrate` and `replay` read it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionLogConfig {
    /// The file, relative to the configuration file's folder. Its folder is made; full files stand beside it.
    pub path: PathBuf,
    /// Writes the newest ask, with what it answers where it does not stand by itself. Default false: only `hash_key`'s
    /// hash of it and its features.
    #[serde(default)]
    pub text: bool,
    /// The most bytes of a text that are written; its end is cut. Default 32 KiB.
    #[serde(default = "DecisionLogConfig::default_max_text_bytes")]
    pub max_text_bytes: usize,
    /// The secret that texts are hashed with (HMAC-SHA256), so that nobody without it can test guesses. Needed unless
    /// `text` is true. The same secret gives the same hashes.
    #[serde(default)]
    pub hash_key: Option<SecretSource>,
    /// A file is full at so many bytes. Default 128 MiB.
    #[serde(default = "DecisionLogConfig::default_max_bytes")]
    pub max_bytes: u64,
    /// A file is full at this age, whatever its size. Default 1d.
    #[serde(default = "DecisionLogConfig::default_max_age")]
    pub max_age: TimeSpan,
    /// Files that are kept, the one that is written included; the oldest goes. Default 14.
    #[serde(default = "DecisionLogConfig::default_max_files")]
    pub max_files: usize,
    /// Lines that may wait for the writer; one more is dropped and counted. Default 4096.
    #[serde(default = "DecisionLogConfig::default_queue")]
    pub queue: usize,
}

impl DecisionLogConfig {
    /// Characters that a hash key must have: shorter ones can be guessed.
    pub const MIN_KEY: usize = 16;

    /// Reads the secret that texts are hashed with, if there is one.
    ///
    /// # Errors
    /// Names the source that holds no good key. Never repeats its content.
    pub fn secret(&self, lookup: &dyn Fn(&str) -> Option<String>, base_dir: &Path) -> Result<Option<Secret>, String> {
        let Some(source) = &self.hash_key else { return Ok(None) };
        let secret = source.resolve(lookup, base_dir)?;
        if secret.expose().len() < Self::MIN_KEY {
            return Err(format!("the key is too short (allowed: {} characters or more)", Self::MIN_KEY));
        }
        Ok(Some(secret))
    }

    const fn default_max_text_bytes() -> usize {
        32 << 10
    }

    const fn default_max_bytes() -> u64 {
        128 << 20
    }

    const fn default_max_age() -> TimeSpan {
        TimeSpan::from_secs(24 * 60 * 60)
    }

    const fn default_max_files() -> usize {
        14
    }

    const fn default_queue() -> usize {
        4096
    }
}
