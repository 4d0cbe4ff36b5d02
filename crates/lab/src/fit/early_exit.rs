//! Early exit: the confidence of the lexical form from which on the encoder need not run.

use super::loss::argmax;
use super::stacking::{HeadMixture, HeldOutRows};
use super::task::LearningGoal;
use crate::statistics::{PromptRanking, RoutedOutcome};

/// The accuracy, or APGR, that stopping at the lexical form may cost.
const STOPPING_COST: f64 = 0.005;

/// The two forms of a head.
pub(super) struct FormMixtures<'f> {
    pub(super) lexical: &'f HeadMixture,
    pub(super) full: &'f HeadMixture,
}

/// Probabilities of a held-out row in both forms.
struct BothForms {
    lexical: Vec<f64>,
    full: Vec<f64>,
}

/// Returns the least confidence of the lexical form at which stopping there costs next to nothing.
pub(super) fn confidence(
    goal: LearningGoal,
    held_out: &HeldOutRows<'_>,
    forms: &FormMixtures<'_>,
    seed: u64,
) -> Option<f64> {
    let both = |row: usize| {
        let logs: Vec<Vec<f64>> = held_out.logs(row, 0).collect();
        let of = |mixture: &HeadMixture| mixture.probabilities(&logs, held_out.lengths[row]);
        BothForms { lexical: of(forms.lexical), full: of(forms.full) }
    };
    let rows: Vec<BothForms> = (0..held_out.len()).map(both).collect();
    let quality_from = |confidence: f64| {
        let cascaded: Vec<_> = rows.iter().map(|row| row.cascaded(confidence)).collect();
        quality(goal, held_out, &cascaded, seed)
    };
    let full = quality_from(f64::INFINITY)?;
    let steps = (51..100).map(|percent| f64::from(percent) / 100.0);
    // From above: a threshold counts only if all above it are as good.
    let is_enough = |step: &f64| quality_from(*step).is_some_and(|quality| quality >= full - STOPPING_COST);
    steps.rev().take_while(is_enough).last()
}

impl BothForms {
    /// Returns the probabilities of a cascade: the full form's unless the lexical one is confident.
    fn cascaded(&self, confidence: f64) -> &[f64] {
        if self.lexical[argmax(&self.lexical)] >= confidence { &self.lexical } else { &self.full }
    }
}

/// Returns accuracy, or for a pair the APGR; of heads for each of several models nothing that one number says.
fn quality(goal: LearningGoal, held_out: &HeldOutRows<'_>, probabilities: &[&[f64]], seed: u64) -> Option<f64> {
    let rows = held_out.samples.iter().zip(probabilities);
    match goal {
        LearningGoal::Choice(_) => {
            let right = rows.filter(|(sample, row)| argmax(&sample.target) == argmax(row)).count();
            Some(right as f64 / held_out.len().max(1) as f64)
        }
        LearningGoal::Pair => {
            let routed: Vec<RoutedOutcome> = rows
                .map(|(sample, row)| RoutedOutcome {
                    score: row[1],
                    strong: f64::from(sample.target[0]),
                    weak: f64::from(sample.target[1]),
                })
                .collect();
            Some(PromptRanking::of(routed.iter().map(|row| row.score), seed).curve(&routed).figures().apgr)
        }
        LearningGoal::Each(_) => None,
    }
}
