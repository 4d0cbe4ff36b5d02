//! Values of rows as people write them: qualities that are true or false, labels that are numbers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde_json::{Map, Value};

/// The largest whole number that a float holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A quality from 0 to 1, or true or false.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QualityValue(pub(crate) f64);

/// A label: a string, a whole number, true or false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelValue(pub(crate) String);

/// Takes a row's weight out of `key`: a finite number of at least 0, `None` where the row has none.
pub(crate) fn weight(row: &mut Map<String, Value>, key: &str) -> Result<Option<f64>, String> {
    let Some(value) = row.remove(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let weight = value.as_f64().filter(|weight| weight.is_finite() && *weight >= 0.0);
    weight.map(Some).ok_or_else(|| format!("`{key}` is no weight, which is a number of at least 0"))
}

struct QualityVisitor;

struct LabelVisitor;

impl<'de> Deserialize<'de> for QualityValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QualityVisitor)
    }
}

impl<'de> Deserialize<'de> for LabelValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelVisitor)
    }
}

impl Visitor<'_> for QualityVisitor {
    type Value = QualityValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true or false")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<QualityValue, E> {
        Ok(QualityValue(f64::from(u8::from(value))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<QualityValue, E> {
        Ok(QualityValue(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "a quality has few digits")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<QualityValue, E> {
        Ok(QualityValue(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a quality has few digits")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<QualityValue, E> {
        Ok(QualityValue(value as f64))
    }
}

impl Visitor<'_> for LabelVisitor {
    type Value = LabelValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label: a string, a whole number, true or false")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<LabelValue, E> {
        Ok(LabelValue(value.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<LabelValue, E> {
        Ok(LabelValue(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<LabelValue, E> {
        Ok(LabelValue(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<LabelValue, E> {
        Ok(LabelValue(value.to_string()))
    }

    /// Takes `2.0` for 2: a column of whole numbers with a gap is written so.
    fn visit_f64<E: Error>(self, value: f64) -> Result<LabelValue, E> {
        if value.fract() == 0.0 && value.abs() < EXACT {
            return Ok(LabelValue(format!("{value:.0}")));
        }
        Err(E::invalid_type(Unexpected::Float(value), &self))
    }
}
