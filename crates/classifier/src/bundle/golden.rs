//! Golden inputs: texts and the scores that training wrote down for them, scored again whenever a bundle is loaded.
//!
//! The check catches what hashes cannot: another library, another processor, or another reading of the contract that
//! gives other scores from the same files.

use std::collections::BTreeMap;

use pointsman_core::features::{Features, TextStructure, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_core::scores::HeadScores;
use serde::Deserialize;

use crate::bundle::{Bundle, BundleError};
use crate::scoring::encoder::Encoder;
use crate::scoring::heads::Heads;
use crate::scoring::lexical::Lexical;
use crate::scoring::scorer::{Input, Scorer};

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

/// Scores every golden input alone, as on an idle proxy, and then all of them in batches, as under load.
///
/// An encoder whose embeddings depend on their neighbours (int8 with one activation scale for the whole batch) is not
/// refused: it encodes one prompt at a time.
pub(crate) fn check<E: Encoder>(bundle: &Bundle, scorer: &mut Scorer<E>) -> Result<(), BundleError> {
    let counter = TokenCounter::new();
    let inputs: Vec<Input> = bundle.golden.iter().map(|golden| golden.input(bundle, counter)).collect();
    compare_all(bundle, scorer, &inputs, 1)?;
    match compare_all(bundle, scorer, &inputs, scorer.max_batch()) {
        Err(BundleError::GoldenMismatch { .. }) => {
            tracing::warn!(bundle = %bundle.manifest.name, "Scores depend on the batch, encoding one prompt at a time");
            scorer.encode_apart();
            Ok(())
        }
        checked => checked,
    }
}

/// Scores every golden input with the heads that need no encoder.
pub(crate) fn check_lexical(bundle: &Bundle, lexical: &Lexical) -> Result<(), BundleError> {
    let counter = TokenCounter::new();
    for (index, golden) in bundle.golden.iter().enumerate() {
        let file = || bundle.manifest.golden_file.clone();
        let scores = lexical.score(&golden.input(bundle, counter));
        let scores = scores.map_err(|source| BundleError::Run { file: file(), source })?;
        for head in scores.iter().filter(|scores| bundle.heads.is_lexical(&scores.head)) {
            compare(bundle, index, head, &golden.scores[&*head.head])?;
        }
    }
    Ok(())
}

impl GoldenInput {
    fn input(&self, bundle: &Bundle, counter: TokenCounter) -> Input {
        Input::new(&self.text, &self.features(counter), bundle.tokenizer.budget(), &bundle.inputs)
    }

    /// Returns the features of a chat request whose one user turn is the text.
    pub(crate) fn features(&self, counter: TokenCounter) -> Features {
        let body = serde_json::json!({"model": "golden", "messages": [{"role": "user", "content": self.text}]});
        let body = body.to_string();
        let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("what serde_json wrote is JSON");
        // Of all of the text, whatever of it a person would be taken to have asked.
        Features::of(&prompt, &counter).with_text(TextStructure::of(&self.text))
    }
}

fn compare_all<E: Encoder>(
    bundle: &Bundle,
    scorer: &mut Scorer<E>,
    inputs: &[Input],
    batch: usize,
) -> Result<(), BundleError> {
    let mut golden = bundle.golden.iter().enumerate();
    for inputs in inputs.chunks(batch) {
        let inputs: Vec<&Input> = inputs.iter().collect();
        let file = || bundle.manifest.encoder.file.clone();
        let rows = scorer.score(&inputs).map_err(|source| BundleError::Run { file: file(), source })?;
        for (scores, (index, golden)) in rows.iter().zip(&mut golden) {
            for head in &scores.heads {
                compare(bundle, index, head, &golden.scores[&*head.head])?;
            }
        }
    }
    Ok(())
}

fn compare(bundle: &Bundle, index: usize, head: &HeadScores, expected: &[f32]) -> Result<(), BundleError> {
    let tolerance = bundle.manifest.tolerance();
    for ((label, &actual), &expected) in head.labels.iter().zip(&head.probabilities).zip(expected) {
        if (actual - expected).abs() > tolerance {
            return Err(BundleError::GoldenMismatch {
                file: bundle.manifest.golden_file.clone(),
                index,
                head: head.head.to_string(),
                label: label.to_string(),
                actual,
                expected,
                tolerance,
            });
        }
    }
    Ok(())
}

fn shape(head: &str, scores: usize) -> String {
    format!("{head}: {scores} scores")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::tokenize::Tokens;
    use crate::serving::tests::{Embeddings, Scripted, fixture};

    /// The fixture with an encoder of its own, and golden scores that are right for one prompt a run.
    fn golden_for(embed: fn(&[Tokens]) -> Embeddings) -> (Bundle, Scorer<Scripted>) {
        let mut bundle = Bundle::open(&fixture()).expect("the fixture is sound");
        let mut scorer = Scorer::new(&bundle, Scripted::new(embed), 8);
        let inputs: Vec<Input> =
            bundle.golden.iter().map(|golden| golden.input(&bundle, TokenCounter::new())).collect();
        for (golden, input) in bundle.golden.iter_mut().zip(&inputs) {
            let scores = scorer.score(&[input]).expect("scores").remove(0);
            golden.scores = scores.heads.into_iter().map(|head| (head.head.to_string(), head.probabilities)).collect();
        }
        (bundle, scorer)
    }

    #[test]
    fn an_encoder_that_ignores_its_neighbours_keeps_its_batches() {
        let (bundle, mut scorer) = golden_for(|batch| Ok(vec![vec![0.5; 4]; batch.len()]));

        check(&bundle, &mut scorer).expect("golden");

        assert_eq!(scorer.max_batch(), 8);
    }

    #[test]
    fn an_encoder_that_depends_on_its_neighbours_encodes_one_prompt_at_a_time() {
        let (bundle, mut scorer) =
            golden_for(|batch| Ok(vec![vec![if batch.len() == 1 { 0.0 } else { 9.0 }; 4]; batch.len()]));

        check(&bundle, &mut scorer).expect("golden when alone");

        assert_eq!(scorer.max_batch(), 1);
    }
}
