//! The sample that a threshold is found on: for each request its score, and what stands on either side of the threshold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::{Name, Price, Strategy};
use crate::evaluate::DatasetError;
use crate::evaluate::engine::{Engine, EngineError};
use crate::evaluate::log::{DecisionLogs, LogLine, LoggedDecision};
use crate::scores::{HeadScores, Scores};
use crate::usage::Usage;

/// Where the sample comes from.
#[derive(Debug, Clone)]
pub enum SampleSource {
    /// JSON lines with a `prompt`, scored here. `strong_correct` and `weak_correct`, or `scores` by model, are outcomes.
    Prompts {
        /// The file.
        path: PathBuf,
        /// How long answers are taken to be.
        output_tokens: u64,
    },
    /// Decision logs.
    Logs(DecisionLogs),
}

/// Requests that a strategy decides by one number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The requests.
    pub items: Vec<Item>,
    /// Requests that rules decide, or that got no scores.
    pub left_out: u64,
}

/// A request: the number that the threshold is compared with, and what either side of it means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// The head's score, or the best label's probability.
    pub score: f64,
    /// Whether the strong model serves below the threshold.
    pub below_is_strong: bool,
    /// Whether it serves from the threshold on.
    pub above_is_strong: bool,
    /// What the request costs below and above, in US dollars.
    pub costs: Option<(f64, f64)>,
    /// How well it is answered below and above.
    pub qualities: Option<(f64, f64)>,
}

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] DatasetError),
    /// A prompt cannot be scored.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Logged requests whose scores are not to be had.
    #[error(
        "{count} logged requests have scores of another bundle and no whole text (log with `text: true`, or give `--prompts`)"
    )]
    Unscored {
        /// How many.
        count: u64,
    },
}

#[derive(Deserialize)]
struct Line {
    prompt: String,
    strong_correct: Option<f64>,
    weak_correct: Option<f64>,
    #[serde(default)]
    scores: BTreeMap<String, f64>,
}

/// The models on either side of the threshold for one request.
struct Sides {
    score: f64,
    below: Name,
    above: Name,
}

impl Sample {
    /// Reads the sample of the policy at `policy`; `strong` is the model whose share is meant.
    ///
    /// # Errors
    /// When it cannot be read or scored.
    pub async fn read(
        source: &SampleSource,
        engine: &mut Engine,
        policy: usize,
        strong: &str,
    ) -> Result<Self, SampleError> {
        match source {
            SampleSource::Prompts { path, output_tokens } => {
                let mut sample = Self::default();
                let unreadable = |source| DatasetError::Read { path: path.clone(), source };
                let reader = BufReader::new(File::open(path).map_err(unreadable)?);
                for (line, text) in (1..).zip(reader.lines()) {
                    let text = text.map_err(unreadable)?;
                    let row: Line = serde_json::from_str(&text).map_err(|error| misshapen(path, line, &error))?;
                    sample.add_prompt(engine, policy, strong, (&row, *output_tokens)).await?;
                }
                Ok(sample)
            }
            SampleSource::Logs(logs) => Self::of_logs(logs, engine, policy, strong).await,
        }
    }

    async fn add_prompt(
        &mut self,
        engine: &mut Engine,
        policy: usize,
        strong: &str,
        (row, output_tokens): (&Line, u64),
    ) -> Result<(), SampleError> {
        let scored = if row.prompt.trim().is_empty() { None } else { engine.score(policy, &row.prompt).await? };
        let strategy = &engine.config.policies[policy].strategy;
        let sides = scored.and_then(|(scores, features)| Some((sides(strategy, &scores)?, features)));
        let Some((sides, features)) = sides else {
            self.left_out += 1;
            return Ok(());
        };
        let usage = Usage { input: features.tokens().tokens, output: output_tokens, ..Usage::default() };
        let quality = |model: &Name| {
            let named = row.scores.get(model.as_str()).copied();
            named.or(if model.as_str() == strong { row.strong_correct } else { row.weak_correct })
        };
        let qualities = quality(&sides.below).zip(quality(&sides.above));
        self.items.push(Item { qualities, ..item(engine, &sides, strong, Some(usage)) });
        Ok(())
    }

    async fn of_logs(
        logs: &DecisionLogs,
        engine: &mut Engine,
        policy: usize,
        strong: &str,
    ) -> Result<Self, SampleError> {
        let (mut sample, mut unscored) = (Self::default(), 0);
        let section = engine.config.policies[policy].clone();
        let Some((classifier, _)) = section.strategy.reads() else { return Ok(sample) };
        for line in logs.lines() {
            let LogLine::Decision(logged) = line? else { continue };
            if logged.policy != section.name.as_str() {
                continue;
            }
            if logged.strategy.is_none() {
                sample.left_out += 1;
                continue;
            }
            match engine.logged_scores(classifier, &logged).await? {
                None => unscored += 1,
                Some(scores) => match scores.ok().and_then(|scores| sides(&section.strategy, &scores)) {
                    Some(sides) => sample.items.push(item(engine, &sides, strong, usage(&logged))),
                    None => sample.left_out += 1,
                },
            }
        }
        if unscored > 0 && sample.items.is_empty() {
            return Err(SampleError::Unscored { count: unscored });
        }
        sample.left_out += unscored;
        Ok(sample)
    }
}

/// Returns what the strategy compares, and the models on either side; `None` when the bundle gives no such score.
fn sides(strategy: &Strategy, scores: &Scores) -> Option<Sides> {
    match strategy {
        Strategy::Tiers(tiers) => {
            let (label, score) = scores.head(&tiers.head)?.top()?;
            let (above, below) = (tiers.tiers.get(label)?.clone(), tiers.otherwise.clone()?);
            Some(Sides { score: f64::from(score), below, above })
        }
        Strategy::Threshold(threshold) => {
            let score = scores.head(&threshold.head).and_then(HeadScores::level).filter(|score| score.is_finite())?;
            let mut rungs = threshold.rungs();
            let above = rungs.pop()?.model;
            let below = rungs.iter().rev().find(|rung| score >= rung.at_least.get())?.model.clone();
            Some(Sides { score, below, above })
        }
        _ => None, // they have no one number that a threshold is compared with
    }
}

fn item(engine: &Engine, sides: &Sides, strong: &str, usage: Option<Usage>) -> Item {
    let price = |model: &Name| -> Option<Price> { engine.config.models.get(model)?.price };
    let cost = |model: &Name| Some(usage?.cost(&price(model)?));
    Item {
        score: sides.score,
        below_is_strong: sides.below.as_str() == strong,
        above_is_strong: sides.above.as_str() == strong,
        costs: cost(&sides.below).zip(cost(&sides.above)),
        qualities: None,
    }
}

fn usage(logged: &LoggedDecision) -> Option<Usage> {
    Some(Usage { input: logged.input_tokens?, output: logged.output_tokens?, ..Usage::default() })
}

fn misshapen(path: &std::path::Path, line: u64, error: &serde_json::Error) -> DatasetError {
    let message = error.to_string().split(" at line ").next().unwrap_or_default().to_owned();
    DatasetError::Shape { path: path.to_owned(), line, column: error.column(), message }
}
