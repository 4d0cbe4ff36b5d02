//! Temperature scaling by the top label.

use crate::fit::loss::{LinkFunction, argmax, probabilities};

/// Searches the temperature at which the top label is right as often as its probability says, in steps of 2 %; each row
/// is its logits beside its truth.
pub(in crate::fit) fn top_label_temperature(rows: &[(Vec<f64>, &[f32])]) -> f64 {
    let surprise = |temperature: f64| -> f64 {
        let one = |(logits, truth): &(Vec<f64>, &[f32])| {
            let probabilities = probabilities(LinkFunction::Softmax, logits, temperature);
            let best = argmax(&probabilities);
            let right = if argmax(truth) == best { probabilities[best] } else { 1.0 - probabilities[best] };
            -right.max(1e-9).ln()
        };
        rows.iter().map(one).sum()
    };
    let steps = (-35..=70).map(|step| 1.02_f64.powi(step));
    let scored = steps.map(|step| (step, surprise(step)));
    scored.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(1.0, |best| best.0)
}
