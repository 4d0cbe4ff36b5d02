//! Discounting: a mixture with a head of the base that knows the rows' answers, whose weight cannot be chosen on them.

use super::{HeadMixture, MixturePrior, MixtureRow};
use crate::fit::leakage::entropy;
use crate::fit::loss::{LinkFunction, log_loss};
use crate::statistics::SampleMean;

/// Rows that a head of the base is worth. Chosen, as the next one, on the tenth of MMLU outcomes that calibrated the
/// default bundle and that it did not learn from.
const OWN_ROWS: f64 = 2000.0;

/// The largest share of heads that the base does not have.
const MOST: f64 = 0.8;

/// Mixes the base's own head, the first of each row's, with the others, which `rows` are new to.
///
/// The others count as their rows beside [`OWN_ROWS`], and for at most [`MOST`]; for less by as much as they gain less
/// on held-out rows, beside the shares of the labels, than the base's head promises: its probabilities were calibrated
/// on rows that it had not seen.
pub(in crate::fit) fn discounted(start: &MixturePrior, rows: &[MixtureRow<'_>]) -> HeadMixture {
    let others = start.weights.len() - 1;
    let new: Vec<MixtureRow<'_>> = rows.iter().map(without_first).collect();
    let weights = vec![1.0 / others as f64; others];
    let mut mixture = HeadMixture::fit(&MixturePrior { weights, has_base_head: false, ..start.clone() }, &new);
    let shares = label_shares(rows);
    let gains =
        new.iter().map(|row| loss(&shares, row.truth) - loss(&mixture.probabilities(&row.logs, row.length), row.truth));
    let gain = SampleMean::of(&gains.collect::<Vec<_>>()).mean;
    let promises = rows.iter().map(|row| {
        let base: Vec<f64> = row.logs[0].iter().map(|log| log.exp()).collect();
        loss(&shares, row.truth) - entropy(&base)
    });
    let promise = SampleMean::of(&promises.collect::<Vec<_>>()).mean;
    let part = start.learnt as f64 / (start.learnt as f64 + OWN_ROWS);
    mixture.prepend(1.0 - part.min(MOST) * (gain / promise.max(1e-3)).clamp(0.0, 1.0));
    mixture
}

fn without_first<'t>(row: &MixtureRow<'t>) -> MixtureRow<'t> {
    MixtureRow { logs: row.logs[1..].to_vec(), ..*row }
}

fn label_shares(rows: &[MixtureRow<'_>]) -> Vec<f64> {
    let labels = rows.first().map_or(0, |row| row.truth.len());
    let share = |label: usize| rows.iter().map(|row| f64::from(row.truth[label])).sum::<f64>() / rows.len() as f64;
    (0..labels).map(share).collect()
}

fn loss(probabilities: &[f64], truth: &[f32]) -> f64 {
    log_loss(LinkFunction::Softmax, probabilities, truth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::task::LearningGoal;
    use crate::fit::weighting::ClassWeights;

    const TRUTHS: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

    #[test]
    fn a_newcomer_that_only_tosses_coins_leaves_the_own_head_as_it_was() {
        let logs = |p: f64| vec![(1.0 - p).ln(), p.ln()];
        let row = |i: usize| {
            let coin = logs(if i % 4 < 2 { 0.6 } else { 0.4 });
            MixtureRow {
                logs: vec![logs(if i % 2 == 1 { 0.8 } else { 0.2 }), coin],
                truth: &TRUTHS[i % 2],
                length: 0.0,
                weight: 1.0,
            }
        };
        let rows: Vec<MixtureRow<'_>> = (0..400).map(row).collect();
        let start = MixturePrior {
            goal: LearningGoal::Choice(2),
            labels: 2,
            weights: vec![1.0, 0.0],
            learnt: 400,
            has_base_head: true,
            class_weights: ClassWeights::Auto,
        };

        let mixture = discounted(&start, &rows);

        assert!(mixture.weights[0] > 0.95, "{mixture:?}");
    }
}
