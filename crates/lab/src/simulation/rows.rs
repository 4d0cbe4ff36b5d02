//! The rows that a simulation draws its requests from.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pointsman_core::config::Name;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::CLASSIFIER;
use crate::dataset::asked::AskedPrompt;

/// One prompt's outcomes.
#[derive(Debug)]
pub(super) struct SimulationRow {
    /// The line in the file, from 1.
    pub(super) line: usize,
    /// The prompt, else why the row has none that could be scored.
    pub(super) asked: Result<AskedPrompt, &'static str>,
    /// The position of its label.
    pub(super) label: usize,
    /// The quality of each model's answer, in the order of the models.
    pub(super) scores: Vec<f64>,
}

/// Rows with outcomes of the same models.
#[derive(Debug)]
pub(super) struct SimulationRows {
    pub(super) sha256: String,
    pub(super) models: Vec<String>,
    pub(super) labels: Vec<String>,
    pub(super) rows: Vec<SimulationRow>,
}

/// Errors of the rows.
#[derive(Debug, thiserror::Error)]
pub enum SimulationRowError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no row with outcomes.
    #[error("`{}` line {line}: {message} (expected an object with `scores`: a number from 0 to 1 by model)", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// No model has outcomes in every row.
    #[error("`{}` holds no two models with a score in every row", path.display())]
    Models {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
struct RowKeys {
    scores: BTreeMap<String, f64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl SimulationRows {
    /// Reads the rows; `label` is the field that tells them apart.
    pub(super) fn read(path: &Path, label: Option<&str>) -> Result<Self, SimulationRowError> {
        let text = fs::read(path).map_err(|source| SimulationRowError::Read { path: path.to_owned(), source })?;
        let shape = |line: usize, message: String| SimulationRowError::Shape { path: path.to_owned(), line, message };
        let sha256 = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut labels: Vec<String> = Vec::new();
        let mut read = Vec::new();
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let mut row: RowKeys = serde_json::from_slice(line).map_err(|error| shape(at + 1, error.to_string()))?;
            if let Some((model, score)) = row.scores.iter().find(|(_, score)| !(0.0..=1.0).contains(*score)) {
                return Err(shape(at + 1, format!("the score of `{model}` is {score}")));
            }
            let own = match label {
                None => String::new(),
                Some(field) => match row.rest.get(field) {
                    Some(Value::String(label)) => label.clone(),
                    Some(Value::Number(label)) => label.to_string(),
                    _ => return Err(shape(at + 1, format!("`{field}` is neither a string nor a number"))),
                },
            };
            let known = labels.iter().position(|known| *known == own);
            let place = known.unwrap_or_else(|| {
                labels.push(own);
                labels.len() - 1
            });
            let asked = AskedPrompt::take(&mut row.rest);
            read.push((SimulationRow { line: at + 1, asked, label: place, scores: Vec::new() }, row.scores));
        }
        let models: Vec<String> = read.first().into_iter().flat_map(|(_, scores)| scores.keys().cloned()).collect();
        let models: Vec<String> =
            models.into_iter().filter(|model| read.iter().all(|(_, scores)| scores.contains_key(model))).collect();
        if models.len() < 2 {
            return Err(SimulationRowError::Models { path: path.to_owned() });
        }
        let row = |(row, scores): (SimulationRow, BTreeMap<String, f64>)| SimulationRow {
            scores: models.iter().map(|model| scores[model]).collect(),
            ..row
        };
        let rows = read.into_iter().map(row).collect();
        Ok(Self { sha256, models, labels, rows })
    }

    /// Returns a configuration with one policy, whose strategy has these keys beside the rows' models. Answers cost nothing.
    pub(super) fn configuration(&self, strategy: &str) -> String {
        let model = |model: &String| format!("  '{model}': {{provider: p, price: {{input: 0, output: 0}}}}\n");
        let models: String = self.models.iter().map(model).collect();
        let list = self.models.iter().map(|model| format!("'{model}'")).collect::<Vec<_>>().join(", ");
        format!(
            "version: 1\nlisten: {{address: 127.0.0.1:8080}}\nproviders: {{p: {{base_url: http://simulated}}}}\nmodels:\n{models}\
             classifiers: {{{CLASSIFIER}: {{bundle: simulated}}}}\npolicies:\n  - name: simulated\n    strategy: {{{strategy}, \
             models: [{list}]}}\n"
        )
    }

    /// Returns the place of a model that a strategy over the rows' models chose.
    pub(super) fn place(&self, model: &Name) -> usize {
        let place = self.models.iter().position(|own| *own == model.as_str());
        place.expect("the strategy's models are the rows'")
    }

    /// Returns the model with the best mean over all rows.
    pub(super) fn best_single(&self) -> usize {
        best(self.models.len(), &self.rows.iter())
    }

    /// Returns the model with the best mean over the rows of each label.
    pub(super) fn best_by_label(&self) -> Vec<usize> {
        let of = |label| best(self.models.len(), &self.rows.iter().filter(move |row| row.label == label));
        (0..self.labels.len()).map(of).collect()
    }
}

fn best<'r>(models: usize, rows: &(impl Iterator<Item = &'r SimulationRow> + Clone)) -> usize {
    let sum = |model: usize| rows.clone().map(|row| row.scores[model]).sum::<f64>();
    let sums: Vec<f64> = (0..models).map(sum).collect();
    (0..models).rev().max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or_default()
}
