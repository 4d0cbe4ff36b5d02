//! Shadow answers: a model that can be asked and paid for, and a log that takes both answers.

use std::ops::RangeInclusive;

use super::{ConfigChecker, KeyPath};
use crate::config::{Credential, ShadowAnswersConfig};

const CONCURRENCY: RangeInclusive<usize> = 1..=1024;
const TOKENS: RangeInclusive<u64> = 1..=1_000_000;

impl ConfigChecker<'_> {
    pub(super) fn shadow_answers(&mut self, path: &KeyPath, section: &ShadowAnswersConfig) {
        self.reference(&path.key("model"), &section.model, "models", "model");
        self.within(&path.key("max_concurrency"), &section.max_concurrency, &CONCURRENCY);
        self.within(&path.key("max_tokens"), &section.max_tokens, &TOKENS);
        if !(section.max_per_day > 0.0 && section.max_per_day <= 1e6) {
            self.wrong(&path.key("max_per_day"), "is out of bounds (allowed: above 0, at most 1000000 US dollars)");
        }
        self.askable(path, section);
        let answers = self.config.decision_log.as_ref().and_then(|log| log.answers.as_ref());
        match answers.map(|answers| answers.sample.get()) {
            None => self.wrong(path, "needs `decision_log.answers`, where both answers are written"),
            Some(logged) if section.sample.get() > logged => {
                let message = format!(
                    "{} is above `decision_log.answers.sample`, so that of some requests one answer would be missing \
                     (allowed: 0 to {logged})",
                    section.sample.get()
                );
                self.wrong(&path.key("sample"), message);
            }
            Some(_) => {}
        }
    }

    /// Checks that the model has a price, by which the budget is kept, and a key that is not the client's.
    fn askable(&mut self, path: &KeyPath, section: &ShadowAnswersConfig) {
        let Some(model) = self.config.models.get(&section.model) else { return };
        if model.price.is_none() {
            let message = format!("the price of `{}` is not known, so that no budget can be kept", section.model);
            self.wrong(&path.key("model"), format!("{message} (allowed: a model with a `price`)"));
        }
        let provider = self.config.providers.get(&model.provider);
        if provider.is_some_and(|provider| provider.credential == Credential::Passthrough) {
            let message = format!(
                "`{}` is asked with its clients' own keys, which are for their own requests (allowed: a model of a \
                 provider with another `credential`)",
                section.model
            );
            self.wrong(&path.key("model"), message);
        }
    }
}
