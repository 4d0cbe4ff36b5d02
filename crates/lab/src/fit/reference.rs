//! The reference of the new bundle: what its scores are like on its rows, judged by heads that did not see them.

use std::path::Path;

use pointsman_classifier::{Blocks, Bundle, Collector};
use pointsman_core::scores::{HeadScores, Scores};

use super::FitError;
use super::examples::Example;
use super::task::Learner;
use super::train::Form;
use super::validate::Said;

/// Opens the bundle in `folder` and adds its reference; `said` are the scores of cross-validation, where there was one.
pub(super) fn write(folder: &Path, learner: &Learner, rows: &[Example], said: Option<&[Said]>) -> Result<(), FitError> {
    let bundle = Bundle::open(folder)?;
    let mut collector = Collector::new(bundle.manifest(), bundle.inputs());
    let nothing = vec![0.0; bundle.manifest().encoder.dimension];
    for (index, row) in rows.iter().enumerate() {
        let embedded = !row.embedding.is_empty();
        let embedding = if embedded { &row.embedding } else { &nothing };
        let features = bundle.inputs().scale(&row.features);
        let mut heads = bundle.heads().score(Blocks { embedding, features: &features, ngrams: &row.ngrams })?;
        heads.retain(|head| embedded || bundle.heads().is_lexical(&head.head));
        if let Some(said) = said.and_then(|said| said.get(index)) {
            replace(&mut heads, learner, said);
        }
        collector.add(&Scores::of(heads), &row.features);
    }
    if let Some(reference) = collector.finish() {
        reference.write(folder)?;
    }
    Ok(())
}

/// Puts what heads said that did not see the row in the place of what the new ones say.
fn replace(heads: &mut [HeadScores], learner: &Learner, said: &Said) {
    let forms = [(Form::Full, Some(&said.full)), (Form::Lexical, said.lexical.as_ref())];
    for (form, said) in forms.into_iter().filter_map(|(form, said)| Some((form, said?))) {
        for (index, probabilities) in said.iter().enumerate() {
            let name = learner.head(index, form);
            if let Some(head) = heads.iter_mut().find(|head| *head.head == *name) {
                head.probabilities = probabilities.iter().map(|p| *p as f32).collect();
            }
        }
    }
}
