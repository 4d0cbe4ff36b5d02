//! A mixture with a head of the base that knows the rows' answers: its weight cannot be chosen on them.

use super::logistic::{Link, log_loss};
use super::pool::{Pool, Row, Start};
use super::sample::Sample;
use super::task::Goal;

/// How many rows a head of the base is worth. Chosen, as the next one, on the tenth of MMLU outcomes that calibrated the
/// default bundle and that it did not learn from.
const OWN_ROWS: f64 = 2000.0;

/// The largest share of heads that the base does not have.
const MOST: f64 = 0.8;

/// How far a head's loss must be below what its own probabilities promise, in standard errors, to have seen the rows.
const ERRORS: f64 = 4.0;

/// Mixes the base's own head, the first of each row's, with the others, which `rows` are new to.
///
/// The others count as their rows beside [`OWN_ROWS`], and for at most [`MOST`]; for less by as much as they gain less on
/// held-out rows, beside the shares of the labels, than the base's head promises: its probabilities were calibrated on rows
/// that it had not seen.
pub(super) fn pool(start: &Start, rows: &[Row<'_>]) -> Pool {
    let others = start.weights.len() - 1;
    let without = |row: &Row<'_>| row.logs[1..].to_vec();
    let new: Vec<Row<'_>> = rows.iter().map(|row| Row { logs: without(row), ..*row }).collect();
    let weights = vec![1.0 / others as f64; others];
    let mut pool = Pool::fit(&Start { weights, has_own: false, ..start.clone() }, &new);
    let said: Vec<Vec<f64>> = new.iter().map(|row| pool.probabilities(&row.logs, row.length)).collect();
    let own: Vec<Vec<f64>> = rows.iter().map(|row| row.logs[0].iter().map(|log| log.exp()).collect()).collect();
    let shares = shares(rows);
    let gains = rows.iter().zip(&said).map(|(row, said)| loss(&shares, row.truth) - loss(said, row.truth));
    let (gain, _) = mean(&gains.collect::<Vec<_>>());
    let promises = rows.iter().zip(&own).map(|(row, own)| loss(&shares, row.truth) - entropy(own));
    let (promise, _) = mean(&promises.collect::<Vec<_>>());
    let part = start.learnt as f64 / (start.learnt as f64 + OWN_ROWS);
    pool.dilute(1.0 - part.min(MOST) * (gain / promise.max(1e-3)).clamp(0.0, 1.0));
    pool
}

/// Returns whether the base's own heads are right far more often than their own probabilities say, in any form.
pub(super) fn knows_answers(goal: Goal, samples: &[Sample]) -> bool {
    let surprises = |form: usize| -> Vec<f64> {
        let one = |sample: &Sample| {
            let heads = sample.own[form].iter().enumerate();
            let surprise = |(head, logs): (usize, &Vec<f64>)| {
                let said: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
                entropy(&said) - loss(&said, &goal.truth(sample, head))
            };
            heads.map(surprise).sum()
        };
        samples.iter().map(one).collect()
    };
    (0..2).any(|form| {
        let (mean, error) = mean(&surprises(form));
        mean > ERRORS * error && mean > 1e-3
    })
}

fn shares(rows: &[Row<'_>]) -> Vec<f64> {
    let labels = rows.first().map_or(0, |row| row.truth.len());
    let share = |label: usize| rows.iter().map(|row| f64::from(row.truth[label])).sum::<f64>() / rows.len() as f64;
    (0..labels).map(share).collect()
}

fn loss(said: &[f64], truth: &[f32]) -> f64 {
    log_loss(Link::Softmax, said, truth)
}

fn entropy(said: &[f64]) -> f64 {
    said.iter().map(|p| -p * p.max(1e-12).ln()).sum()
}

/// Returns the mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTHS: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

    fn said(p: f64) -> Vec<f64> {
        vec![(1.0 - p).ln(), p.ln()]
    }

    #[test]
    fn a_head_that_is_always_right_and_never_sure_has_seen_the_rows() {
        let sample = |i: usize, right: bool| {
            let truth = i % 2;
            let told = if right { truth } else { (i / 2) % 2 };
            let own = [vec![said(if told == 1 { 0.7 } else { 0.3 })], Vec::new()];
            Sample { target: TRUTHS[truth].to_vec(), own, ..Sample::default() }
        };
        let samples = |right: bool| (0..400).map(|i| sample(i, right)).collect::<Vec<_>>();

        assert!(knows_answers(Goal::Choice(2), &samples(true)));
        assert!(!knows_answers(Goal::Choice(2), &samples(false)));
    }

    #[test]
    fn a_newcomer_that_only_tosses_coins_leaves_the_own_head_as_it_was() {
        let row = |i: usize| {
            let coin = said(if i % 4 < 2 { 0.6 } else { 0.4 });
            Row { logs: vec![said(if i % 2 == 1 { 0.8 } else { 0.2 }), coin], truth: &TRUTHS[i % 2], length: 0.0 }
        };
        let rows: Vec<Row<'_>> = (0..400).map(row).collect();
        let start = Start { goal: Goal::Choice(2), labels: 2, weights: vec![1.0, 0.0], learnt: 400, has_own: true };

        let pool = pool(&start, &rows);

        assert!(pool.weights[0] > 0.95, "{pool:?}");
    }
}
