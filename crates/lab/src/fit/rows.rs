//! Training rows: prompts as heads will read them, with features, n-grams and embeddings.

mod embedding_cache;

use std::path::Path;

use pointsman_classifier::{Bundle, Embedder, Ngrams};
use pointsman_core::features::{Features, TextStructure, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::embedding_cache::EmbeddingCache;
use super::{FitError, FitRequest, FitTask, file_error};
use crate::dataset::{Dataset, GroundTruth, TruthPreference, words};

/// The key of a row's weight, unless another is named.
const WEIGHT: &str = "weight";

/// One prompt that may be learnt from.
#[derive(Debug)]
pub(super) struct TrainingRow {
    pub(super) text: String,
    pub(super) truth: GroundTruth,
    /// The weight that the row brings: 1 where it says none.
    pub(super) weight: f32,
    /// The key of near-duplicates, which differ in case, spaces and punctuation only: they stay on one side of every
    /// split.
    pub(super) group: u64,
    pub(super) features: Features,
    pub(super) ngrams: Ngrams,
    /// Empty when the head reads none.
    pub(super) embedding: Vec<f32>,
}

/// The rows of a file that may be learnt from.
pub(super) struct TrainingRows {
    pub(super) rows: Vec<TrainingRow>,
    pub(super) left_out: u64,
    /// Rows of the split that is held out.
    pub(super) held_out: u64,
    /// Rows that say a weight.
    pub(super) weighted: u64,
    pub(super) sha256: String,
}

impl TrainingRows {
    /// Reads every row of `fit` that may be learnt from.
    pub(super) fn read(fit: &FitRequest, bundle: &Bundle) -> Result<Self, FitError> {
        let prefer = match fit.task {
            FitTask::Tier | FitTask::Domain => TruthPreference::Labels,
            FitTask::Success => TruthPreference::Scores,
            FitTask::StrongWeak => TruthPreference::Outcomes,
        };
        let weights = fit.sample_weights.as_deref().unwrap_or(WEIGHT);
        let mut dataset = Dataset::open(&fit.data)?.preferring(prefer).weighted_by(weights);
        let (mut rows, mut left_out, mut held_out, mut weighted) = (Vec::new(), 0, 0, 0);
        for row in &mut dataset {
            let row = row?;
            if row.held_out {
                held_out += 1;
                continue;
            }
            let is_blank = row.asked.text.trim().is_empty();
            // A reply in a conversation is judged by what it answers: nothing is to be learnt from its own words.
            let is_reply = row.asked.is_reply();
            if row.contaminated || row.overlaps_heldout || is_reply || (is_blank && row.features.is_none()) {
                left_out += 1;
                continue;
            }
            weighted += u64::from(row.weight.is_some());
            rows.push(TrainingRow {
                weight: row.weight.unwrap_or(1.0) as f32,
                // Rows of a decision log without text are one for each prompt already.
                group: if is_blank { row.line } else { group(&row.asked.text) },
                features: row.features.unwrap_or_else(|| row.asked.features()),
                ngrams: Ngrams::of(&bundle.tokenizer().budget().excerpt(&row.asked.text)),
                embedding: Vec::new(),
                text: row.asked.text,
                truth: row.truth,
            });
        }
        if rows.is_empty() && held_out > 0 {
            return Err(FitError::HeldOut { path: fit.data.clone(), held_out });
        }
        if rows.is_empty() {
            return Err(FitError::Empty { path: fit.data.clone() });
        }
        if weighted == 0 && fit.sample_weights.is_some() {
            return Err(fit.refuse(format!("no row has the weight `{weights}`")));
        }
        if rows.iter().all(|row| row.weight == 0.0) {
            return Err(fit.refuse(format!("every row has a `{weights}` of 0")));
        }
        Ok(Self { rows, left_out, held_out, weighted, sha256: dataset.sha256() })
    }

    /// Fills in the embeddings; `progress` hears of each row.
    pub(super) fn embed(
        &mut self,
        cache: &Path,
        bundle: &Bundle,
        embedder: &mut Embedder,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), FitError> {
        let manifest = bundle.manifest();
        let key = [&manifest.encoder.file, &manifest.tokenizer.file].map(|file| &manifest.files[file][..16]).join("-");
        let budget = format!("{}-{}", manifest.tokenizer.max_tokens, manifest.tokenizer.head_tokens);
        let path = cache.join(format!("embeddings-{key}-{budget}.bin"));
        let mut cache = EmbeddingCache::open(&path, manifest.encoder.dimension).map_err(file_error(&path))?;
        let total = self.rows.len();
        for (done, row) in self.rows.iter_mut().enumerate() {
            row.embedding = cache.get(&row.text, embedder)?;
            progress(done + 1, total);
        }
        cache.flush()
    }
}

/// Returns the features of a chat request whose one user turn is `text`, as golden inputs have them.
pub(super) fn features(text: &str) -> Features {
    let body = json!({"model": "fit", "messages": [{"role": "user", "content": text}]}).to_string();
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body of our own parses");
    Features::of(&prompt, &TokenCounter::new()).with_text(TextStructure::of(text))
}

fn group(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(words::normal(text).as_bytes()).into();
    u64::from_le_bytes(*digest.first_chunk().expect("32 bytes hold 8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_duplicates_are_one_group() {
        assert_eq!(group("What is DNA?"), group("what  is dna\n"));
        assert_ne!(group("What is DNA?"), group("What is RNA?"));
    }
}
