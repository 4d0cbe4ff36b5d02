//! The longest answer: lowered to what the model can give.

use super::super::change::ChangeReason;
use super::draft::FitDraft;

/// The names of the longest answer in the dialects.
const LENGTHS: [&str; 7] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    // Google's, in the spellings of its API.
    "generationConfig.maxOutputTokens",
    "generationConfig.max_output_tokens",
    "generation_config.max_output_tokens",
    "generation_config.maxOutputTokens",
];

impl FitDraft<'_> {
    /// Lowers the longest answer to the limit.
    pub(super) fn fit_length(&mut self) {
        let Some(limit) = self.limit else { return };
        for key in LENGTHS {
            if self.members.count(key).is_some_and(|asked| asked > limit) {
                self.lower(key, limit, ChangeReason::Limit);
            }
        }
    }

    /// Returns the longest answer that goes to the model, if the request names one.
    pub(super) fn length(&self) -> Option<u64> {
        let asked = LENGTHS.into_iter().find_map(|key| self.members.count(key));
        asked.map(|asked| self.limit.map_or(asked, |limit| asked.min(limit)))
    }
}
