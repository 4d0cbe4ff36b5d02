//! The metrics of translations between APIs.

use prometheus::IntCounter;

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The metric families of translations.
pub(super) struct TranslationFamilies {
    requests: Family<IntCounter, 2>,
    losses: Family<IntCounter, 4>,
}

impl TranslationFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            requests: Family::register(registry, define::TRANSLATIONS),
            losses: Family::register(registry, define::TRANSLATION_LOSSES),
        }
    }
}

impl Metrics {
    /// Counts a request that was translated between two APIs. Both are words of the program.
    pub fn translated(&self, [from, to]: [&'static str; 2]) {
        self.translations.requests.with([from.into(), to.into()]).inc();
    }

    /// Counts a field that a translation between two APIs did not carry over as it was. All are words of the program.
    pub fn translation_lost(&self, [from, to]: [&'static str; 2], field: &'static str, kind: &'static str) {
        self.translations.losses.with([from.into(), to.into(), field.into(), kind.into()]).inc();
    }
}
