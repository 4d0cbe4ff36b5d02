//! The metrics of parameters that do not fit a model.

use pointsman_core::config::Name;
use prometheus::IntCounter;

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The metric families of parameters.
pub(super) struct ParameterFamilies {
    adapted: Family<IntCounter, 2>,
    refused: Family<IntCounter, 1>,
}

impl ParameterFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            adapted: Family::register(registry, define::PARAMETERS_ADAPTED),
            refused: Family::register(registry, define::PARAMETERS_REFUSED),
        }
    }
}

impl Metrics {
    /// Counts a parameter that was changed so that it fits the model. `parameter` is a word of the program.
    pub fn parameter_adapted(&self, model: &Name, parameter: &'static str) {
        self.parameters.adapted.with([model.into(), parameter.into()]).inc();
    }

    /// Counts a parameter that the model's API refused.
    pub fn parameter_refused(&self, model: &Name) {
        self.parameters.refused.with([model.into()]).inc();
    }
}
