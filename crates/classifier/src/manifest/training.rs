//! The record of how a bundle was made, as far as it tells which files it learnt from.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Manifest;

impl Manifest {
    /// Tells whether the bundle, or one that it was made of, learnt from the file with this sha256.
    #[must_use]
    pub fn was_trained_on(&self, sha256: &str) -> bool {
        mentions(&self.training, sha256)
    }
}

/// Returns whether a training record names a file's sha256, at any depth: a base may have a base.
fn mentions(training: &BTreeMap<String, Value>, sha256: &str) -> bool {
    fn holds(value: &Value, sha256: &str) -> bool {
        match value {
            Value::String(text) => text.eq_ignore_ascii_case(sha256),
            Value::Array(values) => values.iter().any(|value| holds(value, sha256)),
            Value::Object(values) => values.values().any(|value| holds(value, sha256)),
            _ => false,
        }
    }
    training.values().any(|value| holds(value, sha256))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hash_is_found_however_deep_it_stands() {
        let training = json!({"seed": 7, "base": {"training": {"data": [{"rows.jsonl": "ABC"}]}}});
        let training = training.as_object().cloned().expect("an object").into_iter().collect();

        assert!(mentions(&training, "abc") && !mentions(&training, "abd"));
    }
}
