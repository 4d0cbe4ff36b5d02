//! Golden inputs: texts and the scores that training wrote down for them, scored again whenever a bundle is loaded.
//!
//! The check catches what hashes cannot: another library, another processor, or another reading of the contract that
//! gives other scores from the same files.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::bundle::{Bundle, BundleError};
use super::encoder::Encoder;
use super::heads::Heads;
use super::scorer::{Input, Scorer};
use crate::features::{Features, TokenCounter};
use crate::prompt::{Dialect, Prompt};
use crate::scores::HeadScores;

/// A text and its scores by head, in the order of the head's labels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoldenInput {
    pub(crate) text: String,
    pub(crate) scores: BTreeMap<String, Vec<f32>>,
}

/// Reads a golden file; every input must cover every head and label.
pub(crate) fn parse(file: &str, bytes: &[u8], heads: &Heads) -> Result<Vec<GoldenInput>, BundleError> {
    let file = || file.to_owned();
    let inputs: Vec<GoldenInput> =
        serde_json::from_slice(bytes).map_err(|source| BundleError::Golden { file: file(), source })?;
    if inputs.is_empty() {
        return Err(BundleError::GoldenEmpty { file: file() });
    }
    let mut expected: Vec<_> =
        heads.names().map(|head| shape(head, heads.labels(head).map_or(0, <[_]>::len))).collect();
    expected.sort_unstable();
    let expected = expected.join(", ");
    for (index, input) in inputs.iter().enumerate() {
        let actual = input.scores.iter().map(|(head, scores)| shape(head, scores.len())).collect::<Vec<_>>().join(", ");
        if actual != expected {
            return Err(BundleError::GoldenShape { file: file(), index, actual, expected });
        }
    }
    Ok(inputs)
}

/// Scores every golden input, one at a time as on an idle proxy.
pub(crate) fn check<E: Encoder>(bundle: &Bundle, scorer: &mut Scorer<E>) -> Result<(), BundleError> {
    let counter = TokenCounter::new();
    for (index, golden) in bundle.golden.iter().enumerate() {
        let input = Input {
            excerpt: bundle.tokenizer.budget().excerpt(golden.text.clone()),
            features: bundle.inputs.scale(&features(&golden.text, &counter)),
        };
        let scores = scorer
            .score(&[&input])
            .map_err(|source| BundleError::Run { file: bundle.manifest.encoder.file.clone(), source })?;
        for head in scores.iter().flat_map(|scores| &scores.heads) {
            compare(bundle, index, head, &golden.scores[&*head.head])?;
        }
    }
    Ok(())
}

/// Returns the features of a chat request whose one user turn is `text`.
pub(crate) fn features(text: &str, counter: &TokenCounter) -> Features {
    let message = serde_json::json!({"model": "golden", "messages": [{"role": "user", "content": text}]});
    let body = message.to_string();
    let prompt =
        Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body that was just written is JSON");
    Features::of(&prompt, counter)
}

fn compare(bundle: &Bundle, index: usize, head: &HeadScores, expected: &[f32]) -> Result<(), BundleError> {
    let tolerance = bundle.manifest.tolerance();
    let rows = head.labels.iter().zip(&head.probabilities).zip(expected);
    let furthest = rows.max_by(|((_, a), b), ((_, c), d)| (*a - *b).abs().total_cmp(&(*c - *d).abs()));
    match furthest {
        // Negated, so that an expected score that is not a number is off as well.
        Some(((label, actual), expected)) if !((actual - expected).abs() <= tolerance) => {
            Err(BundleError::GoldenMismatch {
                file: bundle.manifest.golden_file.clone(),
                index,
                head: head.head.to_string(),
                label: label.to_string(),
                actual: *actual,
                expected: *expected,
                tolerance,
            })
        }
        _ => Ok(()),
    }
}

fn shape(head: &str, scores: usize) -> String {
    format!("{head}: {scores} scores")
}
