//! The features file of the new bundle: the base's, as its heads stay, and whatever else varies among the rows.

use std::fs;

use pointsman_classifier::Manifest;
use pointsman_core::features::{FEATURE_TABLE, FeatureKind, FeatureScope};
use serde_json::{Value, json};

use super::rows::TrainingRow;
use super::{FitError, FitRequest, file_error};

/// The least share of rows in which a feature differs from its most frequent value: what is nearly constant here
/// teaches nothing, and would speak up elsewhere.
const VARYING: f64 = 0.005;

/// The features file of the new bundle.
pub(super) struct FeaturesFile {
    pub(super) bytes: Vec<u8>,
    /// The number of features that are the base's; they come first.
    pub(super) of_base: usize,
}

/// Returns the features file.
pub(super) fn features_file(fit: &FitRequest, base: &Manifest, rows: &[TrainingRow]) -> Result<FeaturesFile, FitError> {
    let mut specs: Vec<Value> = match &base.features_file {
        None => Vec::new(),
        Some(file) => {
            let path = fit.base.join(file);
            serde_json::from_slice(&fs::read(&path).map_err(file_error(&path))?).expect("the base was parsed before")
        }
    };
    let of_base = specs.len();
    for (index, spec) in FEATURE_TABLE.iter().enumerate() {
        let stands = |other: &Value| other["name"] == spec.name;
        if spec.scope == FeatureScope::Prompt && spec.kind != FeatureKind::Text && !specs[..of_base].iter().any(stands)
        {
            specs.extend(feature(index, rows));
        }
    }
    Ok(FeaturesFile { bytes: serde_json::to_vec_pretty(&specs).expect("plain data"), of_base })
}

/// Returns the scale of the feature at `index` of the table, if it varies.
fn feature(index: usize, rows: &[TrainingRow]) -> Option<Value> {
    let n = rows.len() as f64;
    let log = FEATURE_TABLE[index].kind == FeatureKind::Int;
    let values = rows.iter().map(|row| row.features.number(index).unwrap_or_default());
    let mut values: Vec<f64> = values.map(|value| if log { value.ln_1p() } else { value }).collect();
    let mean = values.iter().sum::<f64>() / n;
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    values.sort_by(f64::total_cmp);
    let constant = values.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or_default();
    let transform = if log { "log1p" } else { "identity" };
    let varies = std > 1e-6 && n - constant as f64 >= (VARYING * n).max(1.0);
    varies.then(|| json!({"name": FEATURE_TABLE[index].name, "transform": transform, "mean": mean, "std": std}))
}
