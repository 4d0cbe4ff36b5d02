//! The dense features that heads read: which ones, and how each is scaled.

use pointsman_core::features;
use pointsman_core::features::{FeatureKind, Features};
use serde::Deserialize;

/// The most standard deviations that a feature may be from its mean; what is beyond says no more.
const BOUND: f64 = 5.0;

/// The features of a bundle, in the order of its features file.
#[derive(Debug, Clone, Default)]
pub struct FeatureInputs(Vec<FeatureInput>);

/// An error of a features file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum FeatureInputsError {
    /// The text is not a JSON list of features.
    #[error("{file} is not a list of features")]
    Syntax { file: String, source: serde_json::Error },
    /// A feature does not exist, or is not a number.
    #[error("{file}: `{feature}` is not a numeric feature of this version")]
    Unknown { file: String, feature: String },
    /// A feature cannot be scaled.
    #[error("{file}: `{feature}` has mean {mean} and std {std}; both must be finite, std above 0")]
    Scale { file: String, feature: String, mean: f64, std: f64 },
}

#[derive(Debug, Clone)]
struct FeatureInput {
    index: usize,
    transform: FeatureTransform,
    mean: f64,
    std: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureSpec {
    name: String,
    transform: FeatureTransform,
    mean: f64,
    std: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FeatureTransform {
    Identity,
    Log1p,
}

impl FeatureInputs {
    /// Reads a features file and finds each feature in the table.
    ///
    /// # Errors
    /// When the file is no JSON of that form, or names a feature that the table does not have.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, FeatureInputsError> {
        let specs: Vec<FeatureSpec> = serde_json::from_slice(bytes)
            .map_err(|source| FeatureInputsError::Syntax { file: file.to_owned(), source })?;
        specs.into_iter().map(|spec| spec.resolve(file)).collect::<Result<_, _>>().map(Self)
    }

    /// Returns how many numbers a prompt becomes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the heads read no features.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the index of the feature called `name`.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|input| features::FEATURE_TABLE[input.index].name == name)
    }

    /// Returns the features' indices in the table.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|input| input.index)
    }

    /// Returns the scaled numbers of one prompt.
    #[must_use]
    pub fn scale(&self, features: &Features) -> Vec<f32> {
        let scaled = |input: &FeatureInput| input.scale(features.number(input.index).unwrap_or_default());
        self.0.iter().map(scaled).collect()
    }
}

impl FeatureSpec {
    fn resolve(self, file: &str) -> Result<FeatureInput, FeatureInputsError> {
        let Self { name, transform, mean, std } = self;
        let file = file.to_owned();
        if !(mean.is_finite() && std.is_finite() && std > 0.0) {
            return Err(FeatureInputsError::Scale { file, feature: name, mean, std });
        }
        match features::index_of(&name).filter(|index| features::FEATURE_TABLE[*index].kind != FeatureKind::Text) {
            Some(index) => Ok(FeatureInput { index, transform, mean, std }),
            None => Err(FeatureInputsError::Unknown { file, feature: name }),
        }
    }
}

impl FeatureInput {
    #[expect(clippy::cast_possible_truncation, reason = "heads are f32")]
    fn scale(&self, value: f64) -> f32 {
        let value = match self.transform {
            FeatureTransform::Identity => value,
            FeatureTransform::Log1p => value.ln_1p(),
        };
        ((value - self.mean) / self.std).clamp(-BOUND, BOUND) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(transform: FeatureTransform) -> FeatureInput {
        FeatureInput { index: 0, transform, mean: 1.0, std: 2.0 }
    }

    fn refusal(json: &str) -> String {
        FeatureInputs::parse("features.json", json.as_bytes()).expect_err("a wrong features file").to_string()
    }

    #[test]
    fn a_number_is_centred_scaled_and_bounded() {
        let input = input(FeatureTransform::Identity);

        assert_eq!([5.0, 1e9, -1e9].map(|value| input.scale(value)), [2.0, 5.0, -5.0]);
    }

    #[test]
    fn a_logarithm_is_taken_before_scaling() {
        let expected = (3.0_f32.ln_1p() - 1.0) / 2.0;

        assert!((input(FeatureTransform::Log1p).scale(3.0) - expected).abs() < 1e-6);
    }

    #[test]
    fn a_feature_that_is_not_in_the_table_is_refused_by_name() {
        let error = refusal(r#"[{"name": "mood", "transform": "identity", "mean": 0, "std": 1}]"#);

        assert_eq!(error, "features.json: `mood` is not a numeric feature of this version");
    }

    #[test]
    fn a_text_feature_is_refused() {
        let error = refusal(r#"[{"name": "reasoning_effort", "transform": "identity", "mean": 0, "std": 1}]"#);

        assert!(error.contains("`reasoning_effort` is not a numeric feature"), "{error}");
    }

    #[test]
    fn a_feature_without_spread_is_refused() {
        let error = refusal(r#"[{"name": "text_chars", "transform": "identity", "mean": 0, "std": 0}]"#);

        assert!(error.contains("`text_chars` has mean 0 and std 0"), "{error}");
    }
}
