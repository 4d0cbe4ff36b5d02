//! The vocabulary of hashed n-grams that occur in training rows.

use pointsman_classifier::NGRAM_BUCKETS;

use crate::fit::rows::TrainingRow;

/// The scale of n-grams beside features, on top of their rarity.
const NGRAM_SCALE: f32 = 2.0;

/// N-grams that occur in some row; the weights of all others would stay 0.
#[derive(Debug, Default)]
pub(in crate::fit) struct NgramVocabulary {
    /// Places among all n-grams, in ascending order; a sample counts them by their index here.
    places: Vec<u32>,
    /// The factor of each.
    rarity: Vec<f32>,
}

impl NgramVocabulary {
    /// Collects the n-grams of `rows`.
    pub(super) fn among(rows: &[TrainingRow]) -> Self {
        let mut counts = vec![0_u32; NGRAM_BUCKETS];
        for (place, _) in rows.iter().flat_map(|row| row.ngrams.entries()) {
            counts[*place as usize] += 1;
        }
        // Inverse document frequency (Sparck Jones 1972): rare n-grams may say more under the same penalty.
        let n = rows.len() as f32;
        let rarity = |count: u32| NGRAM_SCALE * (1.0 + ((1.0 + n) / (1.0 + count as f32)).ln());
        let occurring = counts.into_iter().zip(0..).filter(|(count, _)| *count > 0);
        let (places, rarity) = occurring.map(|(count, place)| (place, rarity(count))).unzip();
        Self { places, rarity }
    }

    /// Returns the number of n-grams.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns an n-gram's entry of a sample, if it is of the vocabulary.
    pub(super) fn scaled(&self, (place, value): (u32, f32)) -> Option<(u32, f32)> {
        let index = self.places.binary_search(&place).ok()?;
        Some((index as u32, value * self.rarity[index]))
    }

    /// Returns weights of the vocabulary as weights of all n-grams.
    pub(in crate::fit) fn spread(&self, weights: &[f32]) -> Vec<f32> {
        let mut all = vec![0.0; NGRAM_BUCKETS];
        for ((place, rarity), weight) in self.places.iter().zip(&self.rarity).zip(weights) {
            all[*place as usize] = weight * rarity;
        }
        all
    }
}
