//! The `decision_log` section: where decisions, feedback and answers are written.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::secret::{Secret, SecretSource};
use super::values::{Ratio, TimeSpan};

/// The log of decisions and of feedback on them, one JSON object a line: `fit`, `calibrate` and `replay` read it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
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
    /// Writes answers too, of a share of the requests. Needs `text`. Default: no answer is written.
    #[serde(default)]
    pub answers: Option<AnswerLogConfig>,
}

/// The answers that are written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLogConfig {
    /// The share of the requests whose answers are written, 0 to 1: chosen by a hash of the request's id, so that replicas
    /// choose the same.
    pub sample: Ratio,
    /// The most bytes of an answer that are held and written; its end is cut. Default 32 KiB.
    #[serde(default = "AnswerLogConfig::default_max_bytes")]
    pub max_bytes: usize,
    /// The personal data and keys that are replaced in every text of the log, asks included: true for all kinds, false for
    /// none, or a list of kinds. Default true.
    #[serde(default)]
    pub redact: RedactedKinds,
}

/// The kinds of personal data and secrets that are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedactedKinds(BTreeSet<RedactedKind>);

/// A kind of personal data, or of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedactedKind {
    /// Addresses of email.
    Email,
    /// Telephone numbers.
    Phone,
    /// Numbers of bank accounts.
    Iban,
    /// Numbers of payment cards.
    Card,
    /// Numbers of the United States' social security.
    Ssn,
    /// Addresses of the internet protocol.
    Ip,
    /// Keys, tokens and passwords of APIs.
    Key,
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

impl AnswerLogConfig {
    const fn default_max_bytes() -> usize {
        32 << 10
    }
}

impl RedactedKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [Self::Email, Self::Phone, Self::Iban, Self::Card, Self::Ssn, Self::Ip, Self::Key];
}

impl RedactedKinds {
    /// Returns whether a kind is replaced.
    #[must_use]
    pub fn has(&self, kind: RedactedKind) -> bool {
        self.0.contains(&kind)
    }

    /// Returns whether nothing is replaced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<RedactedKind> for RedactedKinds {
    fn from_iter<I: IntoIterator<Item = RedactedKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().collect())
    }
}

impl Default for RedactedKinds {
    fn default() -> Self {
        RedactedKind::ALL.into_iter().collect()
    }
}

impl<'de> Deserialize<'de> for RedactedKinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindsVisitor;

        impl<'de> Visitor<'de> for KindsVisitor {
            type Value = RedactedKinds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a list of email, phone, iban, card, ssn, ip and key")
            }

            fn visit_bool<E: de::Error>(self, all: bool) -> Result<RedactedKinds, E> {
                Ok(if all { RedactedKinds::default() } else { RedactedKinds(BTreeSet::new()) })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, kinds: A) -> Result<RedactedKinds, A::Error> {
                BTreeSet::deserialize(SeqAccessDeserializer::new(kinds)).map(RedactedKinds)
            }
        }

        deserializer.deserialize_any(KindsVisitor)
    }
}
