//! Keys of providers: resolved from the environment or a file, never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::concealment::without_secrets;
use super::regular_file::RegularFile;

/// The largest credential file that is read.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// A key. `Debug` prints `***`; it cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The key that goes upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// No key: the client's own is removed, so that it does not leak to another provider.
    #[default]
    None,
    /// The client's own key goes upstream.
    Passthrough,
    /// The value of an environment variable.
    Env(String),
    /// The trimmed content of a file.
    File(PathBuf),
}

/// The place that a secret comes from; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// The value of an environment variable.
    Env(String),
    /// The trimmed content of a file.
    File(PathBuf),
}

impl Secret {
    /// Checks and wraps `text`, the value of `what`.
    fn new(text: &str, what: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{what} is empty"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "{what} holds characters that a key cannot have (allowed: printable ASCII, no spaces)"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the key, to be sent upstream and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Credential {
    /// Reads the key; `None` for [`Credential::None`] and [`Credential::Passthrough`].
    ///
    /// `lookup` reads the environment; relative files are taken from `base_dir`.
    ///
    /// # Errors
    /// Names the variable or file that is missing, empty or not a key. Never repeats its content.
    pub fn resolve(&self, lookup: &dyn Fn(&str) -> Option<String>, base_dir: &Path) -> Result<Option<Secret>, String> {
        match self {
            Self::None | Self::Passthrough => Ok(None),
            Self::Env(variable) => {
                let value = lookup(variable).ok_or_else(|| match is_usual_variable(variable) {
                    true => format!("environment variable `{variable}` is not set"),
                    // The name may be the key itself, put here by mistake.
                    false => "the environment variable that it names is not set".to_owned(),
                })?;
                if value.contains(char::is_control) {
                    return Err(format!("environment variable `{variable}` holds a line break or control character"));
                }
                Secret::new(&value, &format!("environment variable `{variable}`")).map(Some)
            }
            Self::File(path) => {
                let path = base_dir.join(path);
                let text = RegularFile::open(&path, MAX_FILE_BYTES).and_then(RegularFile::text);
                let text = text.map_err(|error| format!("cannot read `{}`: {error}", existing(&path).display()))?;
                Secret::new(&text, &format!("file `{}`", path.display())).map(Some)
            }
        }
    }
}

impl SecretSource {
    /// Reads the secret; `lookup` reads the environment, relative files are taken from `base_dir`.
    ///
    /// # Errors
    /// Names the variable or file that is missing, empty or not a key. Never repeats its content.
    pub fn resolve(&self, lookup: &dyn Fn(&str) -> Option<String>, base_dir: &Path) -> Result<Secret, String> {
        let resolved = self.as_credential().resolve(lookup, base_dir)?;
        resolved.ok_or_else(|| "is not there".to_owned())
    }

    /// Returns the same source as a provider's credential.
    #[must_use]
    pub fn as_credential(&self) -> Credential {
        match self {
            Self::Env(variable) => Credential::Env(variable.clone()),
            Self::File(path) => Credential::File(path.clone()),
        }
    }
}

/// Tells whether `name` is what variables are called: `OPENAI_API_KEY`, and not what keys look like.
fn is_usual_variable(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_plain = name.contains('_') || !name.bytes().any(|byte| byte.is_ascii_digit());
    name.len() <= 64 && is_plain && name.bytes().all(is_word) && without_secrets(name) == name
}

/// Returns the part of a file's path that is there, and `***` for the rest: it may be the key itself.
fn existing(path: &Path) -> PathBuf {
    match path.ancestors().find(|part| part.as_os_str().is_empty() || part.symlink_metadata().is_ok()) {
        Some(whole) if whole == path => path.to_owned(),
        Some(folder) => folder.join("***"),
        None => "***".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(credential: &Credential, value: &str) -> Result<Option<Secret>, String> {
        credential.resolve(&|name| (name == "KEY").then(|| value.to_owned()), Path::new("."))
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let secret = resolve(&Credential::Env("KEY".into()), "sk-123").expect("a key").expect("a key");

        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), "sk-123");
    }

    #[test]
    fn a_variable_with_a_line_break_is_refused_without_repeating_it() {
        for value in ["sk-1\r\nx-admin: 1", "sk-1\n", "sk-\0"] {
            let error = resolve(&Credential::Env("KEY".into()), value).expect_err("a control character");

            assert_eq!(error, "environment variable `KEY` holds a line break or control character");
        }
    }

    #[test]
    fn a_variable_that_is_missing_or_empty_is_named() {
        let missing = resolve(&Credential::Env("OTHER".into()), "").expect_err("missing");
        let empty = resolve(&Credential::Env("KEY".into()), " ").expect_err("empty");

        assert_eq!(missing, "environment variable `OTHER` is not set");
        assert_eq!(empty, "environment variable `KEY` is empty");
    }

    #[test]
    fn a_secret_in_the_place_of_its_source_is_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["sk-hunter2pass", "hunter2pass/hunter2pass", "/hunter2pass", "./hunter2pass\0", "hunter2pass/../x"]
        {
            let error = Credential::File(file.into()).resolve(&|_| None, folder.path()).expect_err("no file");

            assert!(!error.contains("hunter2") && error.starts_with("cannot read `"), "{error}");
        }
        for variable in ["hunter2pass", "sk-hunter2pass", "AKIAHUNTER2PASSHUNTER", "correct horse battery"] {
            let error = resolve(&Credential::Env(variable.into()), "").expect_err("not set");

            assert_eq!(error, "the environment variable that it names is not set");
        }
        std::fs::write(folder.path().join("key"), "").expect("written");
        let error = Credential::File("key".into()).resolve(&|_| None, folder.path()).expect_err("empty");
        assert!(error.ends_with("/key` is empty"), "{error}");
    }

    #[test]
    fn a_file_is_read_relative_to_the_configuration_and_trimmed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("key"), "sk-123\n").expect("written");

        let secret = Credential::File("key".into()).resolve(&|_| None, folder.path());

        assert_eq!(secret.expect("a key").expect("a key").expose(), "sk-123");
    }

    #[test]
    fn no_credential_and_passthrough_need_no_key() {
        for credential in [Credential::None, Credential::Passthrough] {
            assert_eq!(resolve(&credential, "unused"), Ok(None));
        }
    }
}
