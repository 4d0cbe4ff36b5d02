//! The golden check of a start: every golden input is scored, and the scores are compared with those of training.
//!
//! The check catches what hashes cannot: another library, another processor, or another reading of the contract that
//! gives other scores from the same files.

use pointsman_core::features::TokenCounter;
use pointsman_core::scores::HeadScores;

use crate::bundle::Bundle;
use crate::bundle::golden::GoldenInput;
use crate::scoring::encoder::Encoder;
use crate::scoring::error::ModelRunError;
use crate::scoring::lexical::{HeadsRead, LexicalHeads};
use crate::scoring::scorer::{Scorer, ScorerInput};

/// An error of scoring the golden inputs.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum GoldenCheckError {
    /// The model runs, but it is not the one whose scores were written down; `label` is the first that is off.
    #[error(
        "{file}: input {index} scores {actual:?} for {head} `{label}`, expected {expected:?} (tolerance {tolerance})"
    )]
    Mismatch { file: String, index: usize, head: String, label: String, actual: f32, expected: f32, tolerance: f32 },
    /// The model fails on a golden input.
    #[error(transparent)]
    Run(#[from] ModelRunError),
}

/// Scores every golden input alone, as on an idle proxy. Where prompts share runs it scores all of them in batches too, as
/// under load, one of them with as much padding as texts of the shortest window can have.
///
/// An encoder whose embeddings depend on their neighbours (int8 with one activation scale for the whole batch) is not
/// refused: it encodes one prompt at a time.
pub(super) fn check<E: Encoder>(bundle: &Bundle, scorer: &mut Scorer<E>) -> Result<(), GoldenCheckError> {
    let counter = TokenCounter::new();
    let inputs: Vec<ScorerInput> = bundle.golden.iter().map(|golden| input(golden, bundle, counter)).collect();
    compare_all(bundle, scorer, &inputs, 1)?;
    if scorer.largest_batch() == 1 {
        return Ok(()); // what never happens need not be right, and takes twice as long as all of the above
    }
    let together = compare_all(bundle, scorer, &inputs, scorer.largest_batch());
    match together.and_then(|()| compare_padded(bundle, scorer, &inputs)) {
        Err(GoldenCheckError::Mismatch { .. }) => {
            tracing::warn!(bundle = %bundle.manifest.name, "Scores depend on the batch, encoding one prompt at a time");
            scorer.encode_apart();
            Ok(())
        }
        checked => checked,
    }
}

/// Scores every golden input with the heads that need no encoder.
pub(super) fn check_lexical(bundle: &Bundle, lexical: &LexicalHeads) -> Result<(), GoldenCheckError> {
    let counter = TokenCounter::new();
    for (index, golden) in bundle.golden.iter().enumerate() {
        let file = || bundle.manifest.golden_file.clone();
        let scores = lexical.score(&input(golden, bundle, counter), HeadsRead::All);
        let scores = scores.map_err(|source| ModelRunError { file: file(), source })?;
        for head in scores.iter().filter(|scores| bundle.heads.is_lexical(&scores.head)) {
            compare(bundle, index, head, &golden.scores[&*head.head])?;
        }
    }
    Ok(())
}

fn input(golden: &GoldenInput, bundle: &Bundle, counter: TokenCounter) -> ScorerInput {
    ScorerInput::new(&golden.text, &golden.features(counter), bundle.tokenizer.budget(), &bundle.inputs)
}

fn compare_all<E: Encoder>(
    bundle: &Bundle,
    scorer: &mut Scorer<E>,
    inputs: &[ScorerInput],
    batch: usize,
) -> Result<(), GoldenCheckError> {
    let mut golden = bundle.golden.iter().enumerate();
    for inputs in inputs.chunks(batch) {
        let inputs: Vec<&ScorerInput> = inputs.iter().collect();
        let file = || bundle.manifest.encoder.file.clone();
        let rows = scorer.score(&inputs).map_err(|source| ModelRunError { file: file(), source })?;
        for (scores, (index, golden)) in rows.iter().zip(&mut golden) {
            for head in &scores.heads {
                compare(bundle, index, head, &golden.scores[&*head.head])?;
            }
        }
    }
    Ok(())
}

/// Scores the shortest golden input beside the longest text that there is, so that a wrong padding is found even where
/// all golden inputs are of one length.
fn compare_padded<E: Encoder>(
    bundle: &Bundle,
    scorer: &mut Scorer<E>,
    inputs: &[ScorerInput],
) -> Result<(), GoldenCheckError> {
    let shortest = bundle.golden.iter().enumerate().min_by_key(|(_, golden)| golden.text.len());
    let Some((index, golden)) = shortest else { return Ok(()) };
    let text = bundle.golden.iter().map(|golden| golden.text.as_str()).collect::<Vec<_>>().join(" ");
    let longest = GoldenInput { text, scores: golden.scores.clone() };
    let longest = input(&longest, bundle, TokenCounter::new());
    let file = || bundle.manifest.encoder.file.clone();
    let window = scorer.budget().least_tokens(); // Longer texts share no run with the shortest.
    let rows = scorer.score_within(&[&inputs[index], &longest], window);
    let rows = rows.map_err(|source| ModelRunError { file: file(), source })?;
    for head in rows.iter().take(1).flat_map(|scores| &scores.heads) {
        compare(bundle, index, head, &golden.scores[&*head.head])?;
    }
    Ok(())
}

fn compare(bundle: &Bundle, index: usize, head: &HeadScores, expected: &[f32]) -> Result<(), GoldenCheckError> {
    let tolerance = bundle.manifest.tolerance();
    for ((label, &actual), &expected) in head.labels.iter().zip(&head.probabilities).zip(expected) {
        if (actual - expected).abs() > tolerance {
            return Err(GoldenCheckError::Mismatch {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::tokenize::TokenIds;
    use crate::serving::tests::{Embeddings, ScriptedEncoder, fixture};

    /// The fixture with an encoder of its own, and golden scores that are right for one prompt a run.
    fn golden_for(embed: impl FnMut(&[TokenIds]) -> Embeddings + Send + 'static) -> (Bundle, Scorer<ScriptedEncoder>) {
        let mut bundle = Bundle::open(&fixture()).expect("the fixture is sound");
        let mut scorer = Scorer::new(&bundle.tokenizer, &bundle.heads, ScriptedEncoder::new(embed), 8);
        let inputs: Vec<ScorerInput> =
            bundle.golden.iter().map(|golden| input(golden, &bundle, TokenCounter::new())).collect();
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

        assert_eq!(scorer.largest_batch(), 8);
    }

    #[test]
    fn where_no_prompts_share_a_run_none_is_scored_in_company() {
        let (bundle, mut scorer) = golden_for(|batch| {
            assert_eq!(batch.len(), 1, "a batch that no prompt would be part of");
            Ok(vec![vec![0.5; 4]])
        });
        scorer.encode_apart();

        check(&bundle, &mut scorer).expect("golden");
    }

    #[test]
    fn an_encoder_that_depends_on_its_neighbours_encodes_one_prompt_at_a_time() {
        let (bundle, mut scorer) =
            golden_for(|batch| Ok(vec![vec![if batch.len() == 1 { 0.0 } else { 9.0 }; 4]; batch.len()]));

        check(&bundle, &mut scorer).expect("golden when alone");

        assert_eq!(scorer.largest_batch(), 1);
    }

    #[test]
    fn an_encoder_that_padding_changes_encodes_one_prompt_at_a_time_even_if_golden_inputs_are_of_one_length() {
        // As a decoder that looks for its last token by another token than the one that pads.
        let padded = |batch: &[TokenIds]| batch.windows(2).any(|pair| pair[0].ids.len() != pair[1].ids.len());
        let (mut bundle, mut scorer) =
            golden_for(move |batch| Ok(vec![vec![if padded(batch) { 9.0 } else { 0.0 }; 4]; batch.len()]));
        let first = bundle.golden[0].clone();
        bundle.golden = vec![first.clone(), first];

        check(&bundle, &mut scorer).expect("golden when alone");

        assert_eq!(scorer.largest_batch(), 1);
    }
}
