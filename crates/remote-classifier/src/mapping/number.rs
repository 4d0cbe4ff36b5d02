//! Heads that are one number: a server's own, or a weighted sum of its outputs.

use pointsman_core::config::{RemoteHead, RemoteTerm};

use super::{activated, narrowed, no_output, output_of};
use crate::contract::ContractFlaw;
use crate::protocol::{RemoteAnswer, RemoteOutput};

/// Returns the number that a head is.
///
/// # Errors
/// When the answer does not hold what the number is made of.
pub(super) fn number_of(name: &str, section: &RemoteHead, answer: &RemoteAnswer) -> Result<f64, ContractFlaw> {
    if section.sum.is_empty() {
        let keys = ["heads", name, "output"];
        let named = section.output.as_deref().unwrap_or(name);
        let output = output_of(answer, named).ok_or_else(|| no_output(&keys, named, answer))?;
        return scalar(output)
            .ok_or_else(|| ContractFlaw::of(&keys, "the server's output is no number (allowed: one)"));
    }
    let mut sum = 0.0;
    for (index, term) in section.sum.iter().enumerate() {
        let place = format!("sum[{index}]");
        sum += term.weight * value_of(&["heads", name, &place], term, answer)?;
    }
    Ok(sum)
}

/// Returns the probabilities of a number's labels.
pub(super) fn probabilities(section: &RemoteHead, number: f64) -> Vec<f32> {
    if section.cuts.is_empty() {
        let [low, high] = section.range.unwrap_or([0.0, 1.0]);
        let place = ((number - low) / (high - low)).clamp(0.0, 1.0);
        return narrowed(&[1.0 - place, place]);
    }
    let place = section.cuts.iter().take_while(|cut| number >= **cut).count();
    (0..=section.cuts.len()).map(|label| if label == place { 1.0 } else { 0.0 }).collect()
}

fn value_of(keys: &[&str], term: &RemoteTerm, answer: &RemoteAnswer) -> Result<f64, ContractFlaw> {
    let named = term.output.as_deref().unwrap_or_default();
    let output = output_of(answer, named).ok_or_else(|| no_output(keys, named, answer))?;
    let value = if term.values.is_empty() {
        let none =
            || ContractFlaw::of(keys, format!("`{named}` is no number (allowed: one, or `values` for its labels)"));
        scalar(output).ok_or_else(none)?
    } else {
        mean_of(keys, term, output)?
    };
    let value = value / term.divide;
    Ok(if term.floor.is_some_and(|floor| value < floor) { 0.0 } else { value })
}

/// Returns the mean of a term's values by the probabilities of an output.
fn mean_of(keys: &[&str], term: &RemoteTerm, output: &RemoteOutput) -> Result<f64, ContractFlaw> {
    let row = match output {
        RemoteOutput::Row(row) => row.clone(),
        RemoteOutput::Named(pairs) => pairs.iter().map(|(_, value)| *value).collect(),
        RemoteOutput::Label(_) => Vec::new(),
    };
    if row.len() != term.values.len() {
        let message = format!("has {} values for the server's {} (allowed: one each)", term.values.len(), row.len());
        return Err(ContractFlaw::of(keys, message));
    }
    let probabilities = activated(term.activation, &row).map_err(|message| ContractFlaw::of(keys, message))?;
    Ok(probabilities.iter().zip(&term.values).map(|(probability, value)| probability * value).sum())
}

fn scalar(output: &RemoteOutput) -> Option<f64> {
    match output {
        RemoteOutput::Row(row) => match &**row {
            [only] if only.is_finite() => Some(*only),
            _ => None,
        },
        RemoteOutput::Named(_) | RemoteOutput::Label(_) => None,
    }
}
