//! The cache of embeddings: one file for each encoder, to which records are appended as they are computed.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use pointsman_classifier::Embedder;
use sha2::{Digest, Sha256};

use crate::fit::{FitError, file_error};

/// Bytes of a text's hash, which begin its record.
const KEY: usize = 32;

/// Embeddings by text, in memory and in their file.
pub(super) struct EmbeddingCache {
    known: HashMap<[u8; KEY], Vec<f32>>,
    path: PathBuf,
    file: BufWriter<File>,
}

impl EmbeddingCache {
    /// Opens or makes the file at `path`. Half a record, which a killed run may have left, is cut off.
    pub(super) fn open(path: &Path, dimension: usize) -> io::Result<Self> {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = fs::read(path)?;
        let record = KEY + 4 * dimension;
        file.set_len((bytes.len() / record * record) as u64)?;
        let known = bytes.chunks_exact(record).map(|record| {
            let (key, values) = record.split_at(KEY);
            let values = values.as_chunks().0.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes)).collect();
            (<[u8; KEY]>::try_from(key).expect("split at a key's length"), values)
        });
        Ok(Self { known: known.collect(), path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Returns the embedding of a text, computed now or before.
    pub(super) fn get(&mut self, text: &str, embedder: &mut Embedder) -> Result<Vec<f32>, FitError> {
        let key: [u8; KEY] = Sha256::digest(text.as_bytes()).into();
        if let Some(embedding) = self.known.get(&key) {
            return Ok(embedding.clone());
        }
        let embedding = embedder.embed(text)?;
        let bytes: Vec<u8> = key.into_iter().chain(embedding.iter().flat_map(|value| value.to_le_bytes())).collect();
        self.file.write_all(&bytes).map_err(file_error(&self.path))?;
        self.known.insert(key, embedding.clone());
        Ok(embedding)
    }

    /// Writes what is still buffered.
    pub(super) fn flush(&mut self) -> Result<(), FitError> {
        self.file.flush().map_err(file_error(&self.path))
    }
}
