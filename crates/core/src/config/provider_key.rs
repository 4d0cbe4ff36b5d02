//! Several keys of one provider, of which each request gets one.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Credential;
use super::values::Name;

/// One of a provider's keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// The name of the key in logs and metrics. By default that of the variable or the file.
    #[serde(default)]
    pub name: Option<Name>,
    /// The environment variable that holds the key; either this or `file`.
    #[serde(default)]
    pub env: Option<String>,
    /// The file that holds the key.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The key's share of the requests, against the other keys'. Default 1.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

impl ProviderKey {
    /// Returns the source of the key; `None` where it has none, or two.
    #[must_use]
    pub fn source(&self) -> Option<Credential> {
        match (&self.env, &self.file) {
            (Some(variable), None) => Some(Credential::Env(variable.clone())),
            (None, Some(file)) => Some(Credential::File(file.clone())),
            _ => None,
        }
    }

    /// Returns the key's name in logs and metrics; `position` counts from 1 and names a key that nothing else does.
    ///
    /// # Panics
    /// Never: letters, a dash and digits are a name.
    #[must_use]
    pub fn shown_name(&self, position: usize) -> Name {
        let file = self.file.as_ref().and_then(|file| file.file_name()?.to_str());
        let found = self.env.as_deref().or(file).and_then(|text| Name::new(text).ok());
        let numbered = || Name::new(&format!("key-{position}")).expect("letters, a dash and digits are a name");
        self.name.clone().or(found).unwrap_or_else(numbered)
    }
}
