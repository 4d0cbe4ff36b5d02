//! Manifests for the tests of this room.

use pointsman_classifier::{Manifest, ManifestError};

/// Reads the manifest of a bundle of which only the heads matter, as a list in YAML.
pub(super) fn manifest_of_heads(heads: &str) -> Result<Manifest, ManifestError> {
    let rest = "format: 1
name: n
version: v
description: d
encoder: {file: m, output: o, dimension: 4, precision: fp32}
tokenizer: {file: t, max_tokens: 8, head_tokens: 4}
heads_file: h
features_file: f
golden_file: g
files: {m: a, t: a, h: a, f: a, g: a}
heads:
";
    Manifest::parse(&format!("{rest}{heads}"))
}
