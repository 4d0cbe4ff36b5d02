//! The reference of the new bundle: the distributions of its scores on its rows, by heads that did not see them.

use std::path::Path;

use pointsman_classifier::{Blocks, Bundle, Collector};
use pointsman_core::scores::{HeadScores, Scores};

use crate::fit::FitError;
use crate::fit::cross_validation::Said;
use crate::fit::rows::Example;
use crate::fit::task::Form;
use crate::fit::training_set::Learner;

/// Opens the bundle in `folder` and adds its reference; `held_out` are the scores of cross-validation, where there was
/// one.
pub(in crate::fit) fn write(
    folder: &Path,
    set: &Learner,
    rows: &[Example],
    held_out: Option<&[Said]>,
) -> Result<(), FitError> {
    let bundle = Bundle::open(folder)?;
    let mut collector = Collector::new(bundle.manifest(), bundle.inputs());
    let nothing = vec![0.0; bundle.manifest().encoder.dimension];
    for (index, row) in rows.iter().enumerate() {
        let embedded = !row.embedding.is_empty();
        let embedding = if embedded { &row.embedding } else { &nothing };
        let features = bundle.inputs().scale(&row.features);
        let mut heads = bundle.heads().score(Blocks { embedding, features: &features, ngrams: &row.ngrams })?;
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
fn replace(heads: &mut [HeadScores], set: &Learner, held_out: &Said) {
    let forms = [(Form::Full, Some(&held_out.full)), (Form::Lexical, held_out.lexical.as_ref())];
    for (form, scores) in forms.into_iter().filter_map(|(form, scores)| Some((form, scores?))) {
        for (index, probabilities) in scores.heads().enumerate() {
            let name = set.head(index, form);
            if let Some(head) = heads.iter_mut().find(|head| *head.head == *name) {
                head.probabilities = probabilities.iter().map(|p| *p as f32).collect();
            }
        }
    }
}
