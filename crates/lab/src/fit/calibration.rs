//! Calibration of a mixture's probabilities, on rows that its members did not learn from: a temperature or Platt
//! scaling, then an isotonic curve where it helps.

mod isotonic;
mod platt;
mod temperature;

pub(super) use self::isotonic::{Forecast, isotonic_curve};
pub(super) use self::platt::{PlattScale, ScoredEvent};
pub(super) use self::temperature::top_label_temperature;
