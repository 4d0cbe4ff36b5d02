//! The mapping from a server's outputs to our heads, by name.

mod number;

use std::sync::Arc;

use pointsman_core::config::{Name, RemoteActivation, RemoteClassifierConfig, RemoteHead};
use pointsman_core::scores::{HeadLabels, HeadScores, ScoreSource, Scores};

use crate::contract::{ContractFlaw, RemoteContract};
use crate::protocol::{RemoteAnswer, RemoteOutput, RowNames};

/// The share by which a probability may miss its bounds: servers round.
const ROUNDING: f64 = 1e-3;

/// The mapping of a section.
#[derive(Debug)]
pub(crate) struct HeadMapping {
    heads: Vec<MappedHead>,
}

/// A head with its section.
#[derive(Debug)]
struct MappedHead {
    name: Name,
    section: RemoteHead,
    labels: Arc<[Arc<str>]>,
}

/// A head of an answer: its labels with their probabilities.
struct LabelledProbabilities {
    labels: Arc<[Arc<str>]>,
    probabilities: Vec<f32>,
}

impl HeadMapping {
    pub(crate) fn new(section: &RemoteClassifierConfig) -> Self {
        let head = |(name, section): (&Name, &RemoteHead)| MappedHead {
            name: name.clone(),
            section: section.clone(),
            labels: section.labels.iter().map(|label| Arc::from(label.as_str())).collect(),
        };
        Self { heads: section.heads.iter().map(head).collect() }
    }

    /// Returns the scores of an answer.
    ///
    /// # Errors
    /// When the answer does not hold what a head is made of.
    pub(crate) fn scores(&self, answer: &RemoteAnswer) -> Result<Scores, ContractFlaw> {
        let heads = if self.heads.is_empty() {
            answer.outputs.iter().map(|(name, output)| head_as_it_comes(name, output)).collect::<Result<_, _>>()?
        } else {
            self.heads.iter().map(|head| head.scores(answer)).collect::<Result<Vec<_>, _>>()?
        };
        let (tokens, truncated_tokens) = (answer.tokens, u32::from(answer.is_truncated));
        Ok(Scores { source: ScoreSource::Remote, tokens, truncated_tokens, ..Scores::of(heads) })
    }

    /// Returns the contract that an answer shows.
    ///
    /// # Errors
    /// As [`Self::scores`].
    pub(crate) fn contract(&self, answer: &RemoteAnswer) -> Result<RemoteContract, ContractFlaw> {
        let scores = self.scores(answer)?;
        let head = |head: HeadScores| (head.head, HeadLabels { names: head.labels, levels: None });
        let heads = scores.heads.into_iter().map(head).collect();
        Ok(RemoteContract { version: answer.version.clone(), heads, input: None })
    }
}

impl MappedHead {
    fn scores(&self, answer: &RemoteAnswer) -> Result<HeadScores, ContractFlaw> {
        let LabelledProbabilities { labels, probabilities } = self.probabilities(answer)?;
        Ok(HeadScores { head: Arc::from(&*self.name), labels, probabilities, known: None, levels: None })
    }

    fn probabilities(&self, answer: &RemoteAnswer) -> Result<LabelledProbabilities, ContractFlaw> {
        let section = &self.section;
        if section.is_number() {
            let number = number::number_of(&self.name, section, answer)?;
            return Ok(self.labelled(number::probabilities(section, number)));
        }
        let named = section.output.as_deref().unwrap_or(&self.name);
        let output = output_of(answer, named).ok_or_else(|| no_output(&self.key("output"), named, answer))?;
        match output {
            RemoteOutput::Named(pairs) => self.by_name(pairs),
            RemoteOutput::Label(label) => self.by_name(&[(label.clone(), 1.0)]),
            RemoteOutput::Row(values) => {
                self.check_names(named, values, answer)?;
                self.by_place(values)
            }
        }
    }

    /// Takes probabilities by the server's names for their labels.
    fn by_name(&self, pairs: &[(String, f64)]) -> Result<LabelledProbabilities, ContractFlaw> {
        let ours = |theirs: &str| self.section.rename.get(theirs).map_or_else(|| theirs.to_owned(), Clone::clone);
        let pairs: Vec<_> = pairs.iter().map(|(label, value)| (ours(label), *value)).collect();
        let values: Vec<_> = pairs.iter().map(|(_, value)| *value).collect();
        let values = activated(self.section.activation, &values).map_err(|message| self.flaw("activation", message))?;
        if self.labels.is_empty() {
            let labels = pairs.iter().map(|(label, _)| Arc::from(label.as_str())).collect();
            return Ok(LabelledProbabilities { labels, probabilities: narrowed(&values) });
        }
        let mut probabilities = vec![None; self.labels.len()];
        for ((label, _), value) in pairs.iter().zip(&values) {
            let Some(place) = self.labels.iter().position(|own| **own == **label) else {
                let message =
                    format!("the server names `{label}`, which is not among them (allowed: {})", names(&self.labels));
                return Err(self.flaw("labels", message));
            };
            *probabilities.get_mut(place).expect("a label's place") = Some(*value);
        }
        // One that names the chosen label alone says nothing of the others.
        let is_choice = pairs.len() == 1;
        for (label, probability) in self.labels.iter().zip(&probabilities) {
            if probability.is_none() && !is_choice {
                let theirs = pairs.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(", ");
                let message = format!("`{label}` is not among what the server names (allowed: {theirs})");
                return Err(self.flaw("labels", message));
            }
        }
        let values: Vec<f64> = probabilities.into_iter().map(Option::unwrap_or_default).collect();
        Ok(self.labelled(narrowed(&values)))
    }

    /// Finds that the values of a row are those of our labels, where the server names them.
    ///
    /// # Errors
    /// When the server has other labels, or has them in another order.
    fn check_names(&self, output: &str, values: &[f64], answer: &RemoteAnswer) -> Result<(), ContractFlaw> {
        let ours = |theirs: &str| self.section.rename.get(theirs).map_or_else(|| theirs.to_owned(), Clone::clone);
        let own = || names(&self.labels);
        // Of a single value for two labels the first is what is left.
        let skipped = self.labels.len().saturating_sub(values.len().max(1));
        match answer.names.iter().find(|(name, _)| name == output || name.is_empty()).map(|(_, names)| names) {
            None => Ok(()),
            Some(RowNames::All(theirs)) => {
                let theirs: Vec<String> = theirs.iter().map(|label| ours(label)).collect();
                let is_same =
                    |labels: &[Arc<str>]| labels.iter().map(|label| &**label).eq(theirs.iter().map(|it| &**it));
                if is_same(&self.labels) || is_same(&self.labels[skipped..]) {
                    return Ok(());
                }
                let theirs = theirs.join(", ");
                let message =
                    format!("{} are not those of the server's values (allowed: {theirs}, in that order)", own());
                Err(self.flaw("labels", message))
            }
            Some(RowNames::Highest(theirs)) => {
                let theirs = ours(theirs);
                let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let place = self.labels[skipped..].iter().position(|label| **label == *theirs);
                match place.and_then(|place| values.get(place)) {
                    // A server whose names are others than ours may mean the same.
                    None => Ok(()),
                    Some(value) if *value >= highest => Ok(()),
                    Some(_) => {
                        let message = format!(
                            "the server calls its highest value `{theirs}`, which is another one of {} (allowed: the order of the model's `id2label`)",
                            own()
                        );
                        Err(self.flaw("labels", message))
                    }
                }
            }
        }
    }

    /// Takes probabilities by their place.
    fn by_place(&self, values: &[f64]) -> Result<LabelledProbabilities, ContractFlaw> {
        let mut values =
            activated(self.section.activation, values).map_err(|message| self.flaw("activation", message))?;
        if let ([only], 2) = (&*values, self.labels.len())
            && self.section.activation != RemoteActivation::Softmax
        {
            values = vec![1.0 - only, *only];
        }
        if values.len() != self.labels.len() {
            let message = format!(
                "has {} labels for the server's {} values (allowed: one each)",
                self.labels.len(),
                values.len()
            );
            return Err(self.flaw("labels", message));
        }
        Ok(self.labelled(narrowed(&values)))
    }

    fn labelled(&self, probabilities: Vec<f32>) -> LabelledProbabilities {
        LabelledProbabilities { labels: Arc::clone(&self.labels), probabilities }
    }

    fn key<'k>(&'k self, key: &'k str) -> [&'k str; 3] {
        ["heads", &self.name, key]
    }

    fn flaw(&self, key: &str, message: String) -> ContractFlaw {
        ContractFlaw::of(&self.key(key), message)
    }
}

/// Returns the output called `name`, or the only one of a protocol with one.
fn output_of<'a>(answer: &'a RemoteAnswer, name: &str) -> Option<&'a RemoteOutput> {
    let own = answer.outputs.iter().find(|(output, _)| output == name || output.is_empty());
    own.map(|(_, output)| output)
}

fn no_output(keys: &[&str], wanted: &str, answer: &RemoteAnswer) -> ContractFlaw {
    let there = answer.outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { "none".to_owned() } else { there };
    ContractFlaw::of(keys, format!("the server has no output `{wanted}` (allowed: {there})"))
}

/// Returns the head of an output that no section maps.
fn head_as_it_comes(name: &str, output: &RemoteOutput) -> Result<HeadScores, ContractFlaw> {
    let flaw = |message: &str| ContractFlaw::of(&["heads", name], message);
    let RemoteOutput::Named(pairs) = output else {
        return Err(flaw("the server gives a number (allowed: a mapping with `labels`, and `cuts` or `range`)"));
    };
    let values: Vec<_> = pairs.iter().map(|(_, value)| *value).collect();
    let values = activated(RemoteActivation::None, &values).map_err(|message| flaw(&message))?;
    let labels = pairs.iter().map(|(label, _)| Arc::from(label.as_str())).collect();
    Ok(HeadScores { head: name.into(), labels, probabilities: narrowed(&values), known: None, levels: None })
}

/// Makes probabilities of values.
///
/// # Errors
/// When they are none.
fn activated(activation: RemoteActivation, values: &[f64]) -> Result<Vec<f64>, String> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return Err("the server's values are not numbers (allowed: finite ones)".to_owned());
    }
    match activation {
        RemoteActivation::None if values.iter().any(|value| !(-ROUNDING..=1.0 + ROUNDING).contains(value)) => {
            Err("the server's values are no probabilities (allowed: softmax or sigmoid for logits)".to_owned())
        }
        RemoteActivation::None => Ok(values.iter().map(|value| value.clamp(0.0, 1.0)).collect()),
        RemoteActivation::Sigmoid => Ok(values.iter().map(|value| 1.0 / (1.0 + (-value).exp())).collect()),
        RemoteActivation::Softmax => {
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let parts: Vec<f64> = values.iter().map(|value| (value - most).exp()).collect();
            let sum: f64 = parts.iter().sum();
            Ok(parts.iter().map(|part| part / sum).collect())
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "probabilities are kept with 24 bits everywhere")]
fn narrowed(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

fn names(labels: &[Arc<str>]) -> String {
    labels.iter().map(|label| &**label).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
