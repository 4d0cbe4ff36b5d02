//! The reference of the new bundle: the distributions of its scores on its rows, by heads that did not see them.

use std::path::Path;

use pointsman_classifier::{Bundle, HeadInputs, ReferenceCollector};
use pointsman_core::scores::{HeadScores, Scores};

use crate::fit::FitError;
use crate::fit::cross_validation::HeldOutScores;
use crate::fit::rows::TrainingRow;
use crate::fit::task::HeadForm;
use crate::fit::training_set::TrainingSet;

/// Opens the bundle in `folder` and adds its reference; `held_out` are the scores of cross-validation, where there was
/// one.
pub(in crate::fit) fn write(
    folder: &Path,
    set: &TrainingSet,
    rows: &[TrainingRow],
    held_out: Option<&[HeldOutScores]>,
) -> Result<(), FitError> {
    let bundle = Bundle::open(folder)?;
    let mut collector = ReferenceCollector::new(bundle.manifest(), bundle.inputs());
    let nothing = vec![0.0; bundle.manifest().encoder.dimension];
    for (index, row) in rows.iter().enumerate() {
        let embedded = !row.embedding.is_empty();
        let embedding = if embedded { &row.embedding } else { &nothing };
        let features = bundle.inputs().scale(&row.features);
        let mut heads = bundle.heads().score(HeadInputs { embedding, features: &features, ngrams: &row.ngrams })?;
        heads.retain(|head| embedded || bundle.heads().is_lexical(&head.head));
        if let Some(scores) = held_out.and_then(|scores| scores.get(index)) {
            replace(&mut heads, set, scores);
        }
        collector.add(&Scores::of(heads), &row.features);
    }
    if let Some(reference) = collector.finish() {
        reference.write(folder)?;
    }
    Ok(())
}

/// Puts the scores of heads that did not see the row in the place of the new ones' scores.
fn replace(heads: &mut [HeadScores], set: &TrainingSet, held_out: &HeldOutScores) {
    let forms = [(HeadForm::Full, Some(&held_out.full)), (HeadForm::Lexical, held_out.lexical.as_ref())];
    for (form, scores) in forms.into_iter().filter_map(|(form, scores)| Some((form, scores?))) {
        for (index, probabilities) in scores.heads().enumerate() {
            let name = set.head(index, form);
            if let Some(head) = heads.iter_mut().find(|head| *head.head == *name) {
                head.probabilities = probabilities.iter().map(|p| *p as f32).collect();
            }
        }
    }
}
