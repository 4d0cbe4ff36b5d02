//! Credentials and keys of providers: where they come from, and that none stands in the configuration itself.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use super::ConfigChecker;
use crate::config::problem::KeyPath;
use crate::config::{Credential, ProviderConfig, SecretSource};

const WEIGHT: RangeInclusive<u32> = 1..=1000;
/// The keys that a provider may have.
const MAX_KEYS: usize = 64;
const VARIABLE: &str = "the name of an environment variable";
const FILE: &str = "the path of a file";

impl ConfigChecker<'_> {
    /// Checks a credential, and never repeats the value: it may be the key itself, put here by mistake.
    pub(super) fn credential(&mut self, path: &KeyPath, credential: &Credential) {
        match credential {
            Credential::Env(name) => self.variable(&path.key("env"), name),
            Credential::File(file) => self.secret_file(&path.key("file"), file),
            Credential::None | Credential::Passthrough => {}
        }
    }

    /// Checks the source of a secret.
    pub(super) fn secret_source(&mut self, path: &KeyPath, source: &SecretSource) {
        self.credential(path, &source.as_credential());
    }

    /// Checks the file of a secret.
    pub(super) fn secret_file(&mut self, path: &KeyPath, file: &Path) {
        if file.as_os_str().is_empty() {
            self.wrong(path, format!("must be {FILE}, never the key itself"));
        }
    }

    fn variable(&mut self, path: &KeyPath, name: &str) {
        if !is_variable(name) {
            self.wrong(path, format!("must be {VARIABLE}, never the key itself"));
        }
    }

    /// Checks the keys of a provider that has several.
    pub(super) fn provider_keys(&mut self, path: &KeyPath, provider: &ProviderConfig) {
        let path = path.key("keys");
        if provider.keys.is_empty() {
            return;
        }
        if provider.credential != Credential::None {
            self.wrong(&path, "stands beside `credential` (allowed: one of them)");
        }
        if provider.keys.len() > MAX_KEYS {
            self.wrong(&path, format!("has {} keys (allowed: up to {MAX_KEYS})", provider.keys.len()));
        }
        let mut names = BTreeSet::new();
        for (index, key) in provider.keys.iter().enumerate() {
            let own = path.index(index);
            match key.source() {
                Some(source) => self.credential(&own, &source),
                None => self.wrong(&own, "names no source, or two (allowed: `env` or `file`)"),
            }
            self.within(&own.key("weight"), &key.weight, &WEIGHT);
            if !names.insert(key.shown_name(index + 1)) {
                self.wrong(&own, "has the name of a key before it (allowed: a `name` of its own)");
            }
        }
    }
}

pub(super) fn is_variable(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
