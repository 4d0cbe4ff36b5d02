//! Labels by an LLM judge, offline: each prompt goes to an OpenAI-compatible model with structured output, and what it says
//! becomes a row that `fit` reads.
//!
//! Resumable: rows that stand in the output are not asked again, and each new one is on the disk before the next is
//! counted. Capped: a request starts only if its worst case still fits the budget. Answers that are not what the schema
//! says are asked again, then left for the next run.

mod budget;
mod client;
mod output;
mod rubric;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::budget::Budget;
pub use self::client::{Client, ClientError, Endpoint};
use self::client::{Reply, backoff};
use self::output::Output;
pub use self::rubric::{Rubric, RubricError, Verdict};
use crate::evaluate::DatasetError;
use crate::evaluate::log::{DecisionLogs, LogLine};
use crate::features::TokenCounter;
use crate::usage::Usage;

/// Tokens that an answer may have; a verdict takes a tenth of them.
const MAX_OUTPUT: u64 = 1024;

/// How often one prompt is asked at most.
const ATTEMPTS: u32 = 6;

/// How often an answer may be malformed before the prompt is left for another run.
const MALFORMED: u32 = 3;

/// What to label, and how.
#[derive(Debug)]
pub struct Labelling {
    /// Where the prompts are.
    pub source: Source,
    /// Where the labels go.
    pub out: PathBuf,
    /// What the judge is asked.
    pub rubric: Rubric,
    /// The judge.
    pub client: Client,
    /// US dollars that may be spent, by these prices; `None` for no cap.
    pub max_cost: Option<f64>,
    /// What the judge costs, in US dollars per million tokens.
    pub price: Option<crate::config::Price>,
    /// Requests at a time.
    pub concurrency: usize,
    /// The share of prompts that is labelled, 0 to 1, drawn by `seed`.
    pub share: f64,
    /// Decides the draw: the same prompts are drawn in every run.
    pub seed: u64,
    /// The most prompts to ask for in this run.
    pub limit: Option<u64>,
}

/// Where prompts come from.
#[derive(Debug)]
pub enum Source {
    /// JSON lines with a `prompt`, and what the rubric reads besides.
    Prompts(PathBuf),
    /// Decision logs with text.
    Logs(DecisionLogs),
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labelled {
    /// Rows that were written.
    pub written: u64,
    /// Prompts that stood in the output already.
    pub known: u64,
    /// Prompts without an answer that could be used; another run asks again.
    pub failed: u64,
    /// Prompts without text, or drawn by the other share.
    pub skipped: u64,
    /// US dollars that this run cost, where prices are known.
    pub cost: f64,
    /// Whether the budget ended the run.
    pub stopped_by_budget: bool,
}

/// Why labelling ended.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The prompts cannot be read.
    #[error(transparent)]
    Read(#[from] DatasetError),
    /// The rubric needs what a row does not have.
    #[error(transparent)]
    Rubric(#[from] RubricError),
    /// The output cannot be used.
    #[error("cannot use `{}`", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The judge refuses every request.
    #[error(transparent)]
    Judge(#[from] ClientError),
    /// A cap without prices.
    #[error("a cap on the cost needs the judge's prices")]
    NoPrice,
}

/// A row to label.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    id: Option<Value>,
    /// What else the rubric may read.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What became of one row.
enum Asked {
    Row(Box<Value>, f64),
    Failed(String, f64),
    OutOfBudget,
}

impl Labelling {
    /// Labels; `progress` hears of each row.
    ///
    /// # Errors
    /// When a file cannot be used, a row lacks what the rubric reads, or the judge refuses for good. What was written stays.
    pub async fn run(&self, mut progress: impl FnMut(&Labelled)) -> Result<Labelled, LabelError> {
        if self.max_cost.is_some() && self.price.is_none() {
            return Err(LabelError::NoPrice);
        }
        let unusable = |source| LabelError::Output { path: self.out.clone(), source };
        let mut output = Output::open(&self.out).map_err(unusable)?;
        let budget = Budget::new(self.max_cost);
        let mut done = Labelled::default();
        let mut rows = self.rows()?;
        let known = output.ids().clone();
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut passed = (0, 0);
        let fresh = std::iter::from_fn(|| {
            loop {
                let row = match rows.next()? {
                    Ok(row) => row,
                    Err(error) => return Some(Err(error)),
                };
                let id = self.id(&row);
                if row.prompt.trim().is_empty() || !self.is_drawn(&id) {
                    passed.0 += 1;
                } else if known.contains(&id) {
                    passed.1 += 1;
                } else {
                    left = left.checked_sub(1)?;
                    return Some(Ok((row, id)));
                }
            }
        });
        let budget = &budget;
        let asked = stream::iter(fresh).map(|row| async move {
            let (row, id) = row?;
            self.ask(&row, &id, budget).await
        });
        let mut asked = Box::pin(asked.buffer_unordered(self.concurrency.max(1)));
        while let Some(asked) = asked.next().await {
            match asked? {
                Asked::Row(row, cost) => {
                    output.append(&row).map_err(unusable)?;
                    (done.written, done.cost) = (done.written + 1, done.cost + cost);
                }
                Asked::Failed(reason, cost) => {
                    tracing::warn!(reason, "A prompt got no label");
                    (done.failed, done.cost) = (done.failed + 1, done.cost + cost);
                }
                Asked::OutOfBudget => done.stopped_by_budget = true,
            }
            progress(&done);
            if done.stopped_by_budget && budget.is_idle() {
                break;
            }
        }
        drop(asked);
        (done.skipped, done.known) = passed;
        Ok(done)
    }

    fn rows(&self) -> Result<Box<dyn Iterator<Item = Result<Row, LabelError>> + '_>, LabelError> {
        match &self.source {
            Source::Prompts(path) => {
                let unreadable = |source| DatasetError::Read { path: path.clone(), source };
                let reader = BufReader::new(File::open(path).map_err(unreadable)?);
                Ok(Box::new((1..).zip(reader.lines()).map(move |(line, text)| {
                    let text = text.map_err(unreadable)?;
                    serde_json::from_str(&text).map_err(|error| misshapen(path, line, &error).into())
                })))
            }
            Source::Logs(logs) => Ok(Box::new(logs.lines().filter_map(|line| match line {
                Ok(LogLine::Decision(logged)) => {
                    let prompt = logged.whole_text().unwrap_or_default().to_owned();
                    Some(Ok(Row { prompt, id: None, rest: Map::new() }))
                }
                Ok(LogLine::Feedback(_)) => None,
                Err(error) => Some(Err(error.into())),
            }))),
        }
    }

    /// Returns the row's own id, else one of its text under this rubric.
    fn id(&self, row: &Row) -> String {
        match &row.id {
            Some(Value::String(id)) => id.clone(),
            Some(id) if !id.is_null() => id.to_string(),
            _ => {
                let text = format!("{}\0{}\0{}", self.rubric.name(), row.prompt, json!(row.rest));
                hex(&Sha256::digest(text.as_bytes())[..12])
            }
        }
    }

    /// Draws by the id, so that every run draws the same.
    fn is_drawn(&self, id: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(format!("{}\0{id}", self.seed).as_bytes()).into();
        let place = u64::from_le_bytes(*digest.first_chunk().expect("32 bytes hold 8"));
        place as f64 / u64::MAX as f64 <= self.share
    }

    async fn ask(&self, row: &Row, id: &str, budget: &Budget) -> Result<Asked, LabelError> {
        let mut values = row.rest.clone();
        values.insert("prompt".into(), json!(row.prompt));
        let messages = self.rubric.messages(&values)?;
        let body = self.client.body(&messages, &self.rubric, MAX_OUTPUT);
        let counted = TokenCounter::new().count([body.as_str()]).tokens;
        let cost = |usage: Usage| self.price.map_or(0.0, |price| usage.cost(&price));
        let worst = cost(Usage { input: counted, output: MAX_OUTPUT, ..Usage::default() });
        let (mut spent, mut malformed) = (0.0, 0);
        for attempt in 1..=ATTEMPTS {
            let Some(reserved) = budget.reserve(worst) else {
                return Ok(if attempt == 1 {
                    Asked::OutOfBudget
                } else {
                    Asked::Failed("out of budget".into(), spent)
                });
            };
            let reply = self.client.ask(&body).await?;
            let wait = match reply {
                Reply::Answer { content, usage } => {
                    // An upstream that does not say what it used is taken at its worst.
                    let paid = usage.map_or(worst, cost);
                    reserved.settle(paid);
                    spent += paid;
                    match self.rubric.verdict(&content) {
                        Ok(verdict) => return Ok(Asked::Row(Box::new(self.row(row, id, &verdict, usage)), spent)),
                        Err(reason) if malformed + 1 == MALFORMED => return Ok(Asked::Failed(reason, spent)),
                        Err(_) => malformed += 1,
                    }
                    Duration::ZERO
                }
                Reply::Later { after, reason } => {
                    reserved.settle(0.0);
                    if attempt == ATTEMPTS {
                        return Ok(Asked::Failed(reason, spent));
                    }
                    after.unwrap_or_else(|| backoff(attempt))
                }
            };
            tokio::time::sleep(wait).await;
        }
        Ok(Asked::Failed("asked too often".into(), spent))
    }

    fn row(&self, row: &Row, id: &str, verdict: &Verdict, usage: Option<Usage>) -> Value {
        let mut labelled = json!({
            "id": id,
            "prompt": row.prompt,
            "rubric": self.rubric.name(),
            "judge": self.client.model(),
            "input_tokens": usage.map(|usage| usage.input),
            "output_tokens": usage.map(|usage| usage.output),
        });
        for (key, value) in verdict.keys() {
            labelled[key] = value;
        }
        labelled
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn misshapen(path: &std::path::Path, line: u64, error: &serde_json::Error) -> DatasetError {
    let message = error.to_string().split(" at line ").next().unwrap_or_default().to_owned();
    DatasetError::Shape { path: path.to_owned(), line, column: error.column(), message }
}
