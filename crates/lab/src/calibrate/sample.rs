//! The sample that a threshold is found on: for each request its score, and what stands on either side of the threshold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use pointsman_core::config::{Name, Price};
use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_core::usage::Usage;
use pointsman_telemetry::decision_log::record::LoggedFeatures;
use serde::Deserialize;
use serde_json::{Value, json};

use super::CalibrateError;
use super::knob::{Knob, Ruling, Turned};
use crate::dataset::DatasetError;
use crate::decision_log::rated::{Quality, Rated};
use crate::decision_log::{DecisionLogs, LogLine, LoggedDecision};
use crate::engine::{Engine, EngineError, Lack, Replayed, Trial, Usual};

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
    /// Decision logs. Feedback in them is the outcome of the model that answered; what the other would have been worth is its
    /// mean over rated answers to prompts of the same label.
    Logs(DecisionLogs),
}

/// Requests that a strategy decides by one number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The requests.
    pub items: Vec<Item>,
    /// Requests that rules or other strategies decide, or that got no scores.
    pub left_out: u64,
    /// Requests with a quality of which one side is a mean of other prompts.
    pub filled_in: u64,
    /// Why no quality is known, where none is.
    pub no_quality: Option<String>,
}

/// A request: the number that the threshold is compared with, and what either side of it means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// The head's score, or the best tier's probability: what the strategy itself compares.
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

/// What clients said of logged requests, and what they did not.
struct Outcomes {
    rated: Rated,
    filled_in: u64,
    /// Models on either side that nobody rated.
    silent: BTreeSet<String>,
}

/// What a threshold means for one request.
enum Found {
    /// It decides: the number that it is compared with, and the models below and above.
    Sides { score: f64, below: Name, above: Name },
    /// The request does not get there, or has no such number.
    Elsewhere,
    /// Its scores are not to be had.
    Unscored,
}

impl Sample {
    /// Reads the sample for the `knob` of the policy at `policy`.
    ///
    /// # Errors
    /// When it cannot be read or scored.
    pub async fn read(
        source: &SampleSource,
        engine: &mut Engine,
        policy: usize,
        knob: &Knob,
    ) -> Result<Self, CalibrateError> {
        let sample = match source {
            SampleSource::Prompts { path, output_tokens } => {
                let turned = knob.turn(&engine.config, policy, Ruling::Kept)?;
                Self::of_prompts((path, *output_tokens), engine, policy, (knob, &turned)).await
            }
            SampleSource::Logs(logs) => {
                let turned = knob.turn(&engine.config, policy, Ruling::Dropped)?;
                engine.assume(Usual::of(logs).map_err(SampleError::from)?);
                Self::of_logs(logs, engine, policy, (knob, &turned)).await
            }
        };
        Ok(sample?)
    }

    async fn of_prompts(
        (path, output_tokens): (&Path, u64),
        engine: &mut Engine,
        policy: usize,
        (knob, turned): (&Knob, &Turned),
    ) -> Result<Self, SampleError> {
        let mut sample = Self::default();
        let name = engine.config.policies[policy].name.clone();
        let unreadable = |source| DatasetError::Read { path: path.to_owned(), source };
        let reader = BufReader::new(File::open(path).map_err(unreadable)?);
        for (line, text) in (1..).zip(reader.lines()) {
            let text = text.map_err(unreadable)?;
            let row: Line = serde_json::from_str(&text).map_err(|error| DatasetError::of_line(path, line, &error))?;
            let logged = as_logged(&name, &row.prompt);
            let found = sides(engine, knob, turned, &mut Trial::of_prompt(&logged)).await?;
            let Found::Sides { score, below, above } = found else {
                sample.left_out += 1;
                continue;
            };
            let input = logged.features().tokens().tokens;
            let usage = Usage { input, output: output_tokens, ..Usage::default() };
            let quality = |model: &Name| {
                let named = row.scores.get(model.as_str()).copied();
                named.or(if *model.as_str() == *knob.strong { row.strong_correct } else { row.weak_correct })
            };
            let qualities = quality(&below).zip(quality(&above));
            let item = item(engine, &knob.strong, (score, &below, &above), Some(usage));
            sample.items.push(Item { qualities, ..item });
        }
        if sample.items.iter().all(|item| item.qualities.is_none()) {
            let told = "no row has outcomes of both models (`strong_correct` and `weak_correct`, or `scores` by model)";
            sample.no_quality = Some(told.to_owned());
        }
        Ok(sample)
    }

    async fn of_logs(
        logs: &DecisionLogs,
        engine: &mut Engine,
        policy: usize,
        (knob, turned): (&Knob, &Turned),
    ) -> Result<Self, SampleError> {
        let (mut sample, mut unscored) = (Self::default(), 0);
        let mut outcomes = Outcomes::new(Rated::read(logs)?);
        let name = engine.config.policies[policy].name.clone();
        for line in logs.lines() {
            let LogLine::Decision(logged) = line? else { continue };
            if logged.policy != name.as_str() {
                continue;
            }
            if logged.strategy.is_none() {
                sample.left_out += 1;
                continue;
            }
            match sides(engine, knob, turned, &mut Trial::of(&logged)).await? {
                Found::Sides { score, below, above } => {
                    let item = item(engine, &knob.strong, (score, &below, &above), usage(&logged));
                    sample.items.push(Item { qualities: outcomes.sides(&logged, &below, &above), ..item });
                }
                Found::Elsewhere => sample.left_out += 1,
                Found::Unscored => unscored += 1,
            }
        }
        if unscored > 0 && sample.items.is_empty() {
            return Err(SampleError::Unscored { count: unscored });
        }
        sample.left_out += unscored;
        (sample.filled_in, sample.no_quality) = (outcomes.filled_in, outcomes.reason(&sample.items));
        Ok(sample)
    }
}

impl Outcomes {
    const fn new(rated: Rated) -> Self {
        Self { rated, filled_in: 0, silent: BTreeSet::new() }
    }

    /// Returns how well a request is answered below and above; `None` when nobody rated its prompt, or one of the models.
    fn sides(&mut self, logged: &LoggedDecision, below: &Name, above: &Name) -> Option<(f64, f64)> {
        let said = self.rated.of(logged)?;
        let sides = [below, above].map(|model| (model, self.rated.quality(logged, said, model.as_str())));
        let silent = sides.iter().filter(|(_, quality)| quality.is_none()).map(|(model, _)| model.to_string());
        self.silent.extend(silent);
        let (below, above) = (sides[0].1?, sides[1].1?);
        self.filled_in += u64::from([below, above].iter().any(|side| matches!(side, Quality::FilledIn(_))));
        Some((below.value(), above.value()))
    }

    /// Says why none of the `items` has a quality, where none has.
    fn reason(&self, items: &[Item]) -> Option<String> {
        if items.iter().any(|item| item.qualities.is_some()) {
            return None;
        }
        let silent = self.silent.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
        Some(match (self.rated.is_empty(), silent.is_empty()) {
            (true, _) => "the logs hold no feedback on any answer (`POST /v1/feedback`)".to_owned(),
            (false, false) => format!("no answer of {silent} was rated (rated: {})", self.rated.names()),
            (false, true) => "nobody rated a request that the strategy decides".to_owned(),
        })
    }
}

/// Decides a request with the threshold at either end, if it gets as far as its strategy.
async fn sides(engine: &mut Engine, knob: &Knob, turned: &Turned, trial: &mut Trial<'_>) -> Result<Found, EngineError> {
    match engine.decide(&turned.asking, trial).await? {
        Replayed::Unknown(Lack::Judge(at)) if *at == *knob.strategy.to_string() => {}
        Replayed::Unknown(Lack::Scores) => return Ok(Found::Unscored),
        _ => return Ok(Found::Elsewhere),
    }
    let (low, high) = (engine.decide(&turned.low, trial).await?, engine.decide(&turned.high, trial).await?);
    Ok(match (low, high) {
        (Replayed::Unknown(Lack::Scores), _) | (_, Replayed::Unknown(Lack::Scores)) => Found::Unscored,
        (Replayed::Chosen(low, _), Replayed::Chosen(high, _)) if knob.is_known(&engine.config, &trial.signals) => {
            match low.score.map(f64::from).filter(|score| score.is_finite()) {
                Some(score) => Found::Sides { score, below: high.model, above: low.model },
                None => Found::Elsewhere,
            }
        }
        _ => Found::Elsewhere,
    })
}

/// Returns a prompt as a line that says all there is to know of it.
fn as_logged(policy: &Name, text: &str) -> LoggedDecision {
    let body = json!({"model": "sample", "messages": [{"role": "user", "content": text}]}).to_string();
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body of our own parses");
    let Value::Object(features) = json!(Features::of(&prompt, &TokenCounter::new())) else { unreachable!("a map") };
    LoggedDecision {
        policy: policy.to_string().into(),
        features: LoggedFeatures::Read(features),
        conversation: Some(format!("{:016x}", pointsman_core::prompt::conversation_key::beginning(&prompt)).into()),
        text_bytes: text.len(),
        text: Some(text.to_owned().into()),
        ..LoggedDecision::default()
    }
}

fn item(engine: &Engine, strong: &str, (score, below, above): (f64, &Name, &Name), usage: Option<Usage>) -> Item {
    let price = |model: &Name| -> Option<Price> { engine.config.models.get(model)?.price };
    let cost = |model: &Name| Some(usage?.cost(&price(model)?));
    Item {
        score,
        below_is_strong: below.as_str() == strong,
        above_is_strong: above.as_str() == strong,
        costs: cost(below).zip(cost(above)),
        qualities: None,
    }
}

fn usage(logged: &LoggedDecision) -> Option<Usage> {
    Some(Usage { input: logged.input_tokens?, output: logged.output_tokens?, ..Usage::default() })
}
