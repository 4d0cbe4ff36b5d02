//! What scores and features were like on the rows that a bundle was validated with: what live traffic is compared with.
//!
//! `reference.json` holds the number of rows and, by signal, the shares of its bins. A number's bins are cut at the
//! deciles of those rows; a label's bins are the labels themselves.

mod probe;

use serde::{Deserialize, Serialize};

pub use self::probe::ReferenceCollector;
pub(crate) use self::probe::SignalReader;

/// The most by which the sum of a signal's shares may differ from one.
const SUM_TOLERANCE: f64 = 1e-3;

/// The distributions of a bundle's scores and features on the rows that it was validated with.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceDistributions {
    /// The rows that were counted.
    pub rows: u64,
    /// The signals, at least one, each once.
    pub signals: Vec<SignalDistribution>,
}

/// The distribution of one signal.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignalDistribution {
    /// `score.<head>`, `label.<head>` or `feature.<name>`.
    pub name: String,
    /// The upper edges of a number's bins but the last, which has none; ascending. A value on an edge is below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<f64>,
    /// The labels, where the signal is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The share of the rows in each bin; one together.
    pub shares: Vec<f64>,
}

/// An error of a reference file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum ReferenceError {
    /// The text is not JSON with the reference's keys.
    #[error("is not a reference: {0}")]
    Shape(String),
    /// The reference has no rows or no signals.
    #[error("counts no rows or has no signals")]
    Empty,
    /// A signal belongs to no head of the bundle and to no feature.
    #[error("signal `{signal}` is not `score.` or `label.` and a head, or `feature.` and a feature")]
    Unknown { signal: String },
    /// Two signals share a name.
    #[error("has the signal `{signal}` twice")]
    Twice { signal: String },
    /// A signal has neither edges nor labels, or both.
    #[error("signal `{signal}` must have either `edges` or `labels`")]
    Bins { signal: String },
    /// A signal's edges do not ascend.
    #[error("signal `{signal}` has edges that are not ascending numbers")]
    Edges { signal: String },
    /// A signal's shares do not fit its bins, or are no shares.
    #[error("signal `{signal}` has {shares} shares with the sum {sum}, expected {bins} from 0 to 1 with the sum 1")]
    Shares { signal: String, shares: usize, sum: f64, bins: usize },
}

impl ReferenceDistributions {
    /// Reads a reference file and checks every distribution.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReferenceError> {
        let parsed = serde_json::from_slice(bytes).map_err(|error| ReferenceError::Shape(error.to_string()));
        parsed.and_then(|reference: Self| reference.check().map(|()| reference))
    }

    fn check(&self) -> Result<(), ReferenceError> {
        if self.rows == 0 || self.signals.is_empty() {
            return Err(ReferenceError::Empty);
        }
        for (index, signal) in self.signals.iter().enumerate() {
            if self.signals[..index].iter().any(|other| other.name == signal.name) {
                return Err(ReferenceError::Twice { signal: signal.name.clone() });
            }
            signal.check()?;
        }
        Ok(())
    }
}

impl SignalDistribution {
    /// Returns the number of bins.
    #[must_use]
    pub const fn bins(&self) -> usize {
        if self.labels.is_empty() { self.edges.len() + 1 } else { self.labels.len() }
    }

    /// Returns the bin of a number.
    pub(crate) fn bin(&self, value: f64) -> usize {
        self.edges.partition_point(|edge| *edge < value)
    }

    fn check(&self) -> Result<(), ReferenceError> {
        let signal = || self.name.clone();
        if self.edges.is_empty() == self.labels.is_empty() {
            return Err(ReferenceError::Bins { signal: signal() });
        }
        let ascends = self.edges.iter().all(|edge| edge.is_finite()) && self.edges.is_sorted_by(|a, b| a < b);
        if !ascends {
            return Err(ReferenceError::Edges { signal: signal() });
        }
        let sum: f64 = self.shares.iter().sum();
        let are_shares = self.shares.iter().all(|share| (0.0..=1.0).contains(share));
        if self.shares.len() != self.bins() || !are_shares || (sum - 1.0).abs() > SUM_TOLERANCE {
            let shares = self.shares.len();
            return Err(ReferenceError::Shares { signal: signal(), shares, sum, bins: self.bins() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"{"rows": 10, "signals": [
        {"name": "score.tier", "edges": [0.5, 0.9], "shares": [0.2, 0.3, 0.5]},
        {"name": "label.tier", "labels": ["simple", "complex"], "shares": [0.5, 0.5]}]}"#;

    #[test]
    fn a_sound_reference_is_read() {
        let reference = ReferenceDistributions::parse(SOUND.as_bytes()).expect("sound");

        assert_eq!(reference.signals.iter().map(SignalDistribution::bins).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn each_way_a_reference_can_be_wrong_is_told() {
        let cases = [
            ("\"rows\": 10", "\"rows\": 0", "counts no rows or has no signals"),
            ("label.tier", "score.tier", "has the signal `score.tier` twice"),
            ("[\"simple\", \"complex\"]", "[]", "signal `label.tier` must have either `edges` or `labels`"),
            ("[0.5, 0.9]", "[0.9, 0.5]", "signal `score.tier` has edges that are not ascending numbers"),
            ("[0.2, 0.3, 0.5]", "[0.2, 0.8]", "has 2 shares with the sum 1, expected 3 from 0 to 1 with the sum 1"),
            ("[0.2, 0.3, 0.5]", "[0.2, 0.3, 0.6]", "signal `score.tier` has 3 shares with the sum 1.1"),
            ("[0.2, 0.3, 0.5]", "[-0.2, 0.7, 0.5]", "signal `score.tier` has 3 shares"),
            ("\"rows\"", "\"lines\"", "is not a reference: unknown field `lines`"),
        ];
        for (from, to, expected) in cases {
            assert!(SOUND.contains(from), "{from}");

            let error = ReferenceDistributions::parse(SOUND.replacen(from, to, 1).as_bytes()).expect_err("wrong");

            let error = error.to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
