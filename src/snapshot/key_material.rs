//! The key material of a snapshot: whether the secrets and authorities in files are those that it was made of.

use std::path::Path;

use pointsman_core::config::{Config, NamesFiles as _, RegularFile};
use sha2::{Digest as _, Sha256};

/// The largest file of a key or of authorities.
const MAX_BYTES: u64 = 16 << 20;

/// The hash of every file of secrets and authorities that a configuration names.
#[derive(Debug, Clone)]
pub(crate) struct KeyMaterial {
    /// `None` where a file cannot be read.
    sha256: Option<[u8; 32]>,
}

impl KeyMaterial {
    /// Hashes the files that `config` names. To be called before they are read for use: what changes in between then
    /// counts as another.
    pub(super) fn read(config: &Config, base_dir: &Path) -> Self {
        let mut hash = Sha256::new();
        for file in config.files().into_iter().filter(|file| file.role.is_key_material()) {
            let Some(bytes) = content(&base_dir.join(file.path)) else { return Self { sha256: None } };
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        Self { sha256: Some(hash.finalize().into()) }
    }

    /// Returns whether both are known to be the same.
    #[must_use]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.sha256.is_some() && self.sha256 == other.sha256
    }
}

fn content(path: &Path) -> Option<Vec<u8>> {
    RegularFile::open(path, MAX_BYTES).and_then(RegularFile::bytes).ok()
}
