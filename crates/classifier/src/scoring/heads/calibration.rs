//! How a head's probabilities were calibrated, as explanations of decisions show it.

use std::sync::Arc;

use serde::Serialize;

use super::Heads;
use crate::manifest::CalibrationCurve;

/// The calibration of a head's probabilities.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeadCalibration {
    /// The head that gave them: the lexical form, where that stood in for another.
    pub head: Arc<str>,
    /// The divisor of the logits; `None` where the head has none.
    pub temperature: Option<f32>,
    /// True where an isotonic curve maps them afterwards.
    pub isotonic: bool,
}

impl Heads {
    /// Returns how the head called `name` is calibrated.
    pub(crate) fn calibration(&self, name: &str) -> Option<HeadCalibration> {
        let head = self.0.iter().find(|head| &*head.name == name)?;
        // Votes are shares already.
        let temperature = head.neighbours.is_none().then_some(head.temperature);
        Some(HeadCalibration { head: Arc::clone(&head.name), temperature, isotonic: head.isotonic.is_some() })
    }

    /// Returns the curve that maps the probabilities of the head called `name`, if it has one.
    pub(crate) fn curve(&self, name: &str) -> Option<&CalibrationCurve> {
        self.0.iter().find(|head| &*head.name == name)?.isotonic.as_ref()
    }
}
