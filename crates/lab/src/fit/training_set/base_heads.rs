//! The base's own heads of the task: a fit starts from them, so that it is no worse than what it replaces.

use pointsman_classifier::{Bundle, BundleKind, HeadInputs, HeadKind, HeadSpec, Manifest};
use pointsman_core::config::Name;
use pointsman_core::scores::HeadScores;

use crate::fit::outputs::{BaseOutputs, HeadOutputs};
use crate::fit::rows::TrainingRow;
use crate::fit::task::{FitInputs, FitTask, HeadForm};
use crate::fit::{FitError, FitRequest};

/// The least probability that is taken the logarithm of, as in mixtures when they serve.
const FLOOR: f32 = 1e-6;

/// The most members of a mixture that is taken over, as each fit on top of another adds some.
const MOST_MEMBERS: usize = 16;

/// The names of the base's heads that mean what the new ones will, one for each new head; none where one is missing.
#[derive(Debug, Clone, Default)]
pub(in crate::fit) struct BaseHeads {
    full: Vec<String>,
    lexical: Vec<String>,
    confidence: Option<f32>,
}

impl BaseHeads {
    /// Looks for heads called `heads` that have the `labels`.
    pub(super) fn find(fit: &FitRequest, base: &Manifest, heads: &[String], labels: &[Name]) -> Self {
        if fit.fresh || base.kind != BundleKind::Encoder || fit.inputs == FitInputs::Dense {
            return Self::default();
        }
        let fits = |spec: &&HeadSpec| spec.labels == *labels && spec.mix.len() <= MOST_MEMBERS;
        let all = |names: Vec<Option<String>>| names.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default();
        let full = |head: &String| base.head(head).filter(fits).map(|spec| spec.name.to_string());
        let lexical = |head: &String| base.lexical_form(head).filter(fits).map(|spec| spec.name.to_string());
        let full = if fit.inputs == FitInputs::Full { heads.iter().map(full).collect() } else { Vec::new() };
        let confidence = base.lexical_form(&heads[0]).and_then(|spec| spec.confidence.as_ref()?.most());
        Self { full: all(full), lexical: all(heads.iter().map(lexical).collect()), confidence }
    }

    /// Returns the base's heads for a form; empty where it has none.
    pub(in crate::fit) fn names(&self, form: HeadForm) -> &[String] {
        if form == HeadForm::Full { &self.full } else { &self.lexical }
    }

    /// Returns from which probability on the base's lexical form was enough.
    pub(in crate::fit) fn confidence(&self) -> Option<f64> {
        self.confidence.map(f64::from)
    }

    /// Returns the log probabilities of a row, form by form.
    pub(super) fn log_probabilities(&self, base: &Bundle, row: &TrainingRow) -> Result<BaseOutputs, FitError> {
        if self.full.is_empty() && self.lexical.is_empty() {
            return Ok(BaseOutputs::default());
        }
        let features = base.inputs().scale(&row.features);
        let blocks = HeadInputs { embedding: &row.embedding, features: &features, ngrams: &row.ngrams };
        let scores =
            if self.full.is_empty() { base.heads().score_lexical(blocks)? } else { base.heads().score(blocks)? };
        let log = |p: &f32| f64::from(p.max(FLOOR).ln());
        let logs = |scores: &HeadScores| scores.probabilities.iter().map(log).collect();
        let head = |name: &String| scores.iter().find(|scores| *scores.head == **name).map(logs).unwrap_or_default();
        let outputs = |names: &[String]| HeadOutputs::by_head(names.iter().map(head).collect());
        Ok(BaseOutputs { full: outputs(&self.full), lexical: outputs(&self.lexical) })
    }
}

/// Returns whether labels of a task have an order that the base or their names tell.
pub(super) fn ordered(task: FitTask, template: Option<&HeadSpec>, labels: &[Name]) -> bool {
    let number = |label: &Name| label.as_str().parse::<u32>().is_ok();
    match template {
        _ if labels.len() < 3 => false,
        Some(head) => task == FitTask::Tier || head.kind == HeadKind::Ordinal,
        None => task == FitTask::Tier && labels.iter().all(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fixtures::manifest_of_heads;

    const HEADS: &str = "
- {name: tier, kind: ordinal, labels: [low, mid, high], inputs: [embedding], temperature: 1}
- {name: words, kind: multinomial, labels: [weak, strong], inputs: [ngrams], temperature: 1, hidden: true}
- {name: near, kind: multinomial, labels: [weak, strong], inputs: [embedding], temperature: 1}
- {name: wins, kind: multinomial, labels: [weak, strong], temperature: 2, mix: [{head: words, weight: 0.5}, {head: near, weight: 2}]}
";

    #[test]
    fn tiers_have_an_order_where_the_base_or_numbers_tell_it() {
        let base = manifest_of_heads(HEADS).expect("sound");
        let labels = |labels: [&str; 3]| labels.map(|label| Name::new(label).expect("a name")).to_vec();
        let tier = base.head("tier");

        assert!(ordered(FitTask::Tier, tier, &labels(["low", "mid", "high"])));
        assert!(ordered(FitTask::Tier, None, &labels(["0", "1", "2"])));
        assert!(!ordered(FitTask::Tier, None, &labels(["high", "low", "mid"])));
        assert!(!ordered(FitTask::Domain, None, &labels(["0", "1", "2"])));
    }
}
