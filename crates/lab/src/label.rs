//! Labels by an LLM judge, offline: each prompt goes to an OpenAI-compatible model with structured output, and what it
//! says becomes a row that `fit` reads.
//!
//! Resumable: rows that stand in the output are not asked again, and each new one is on the disk before the next is
//! counted. Capped: a request starts only if its worst case still fits the budget. Answers that are not what the schema
//! says are asked again, then left for the next run. Questions that are word for word the same are asked once. A prompt
//! that the judge refuses is recorded and passed over; a judge that refuses or answers nobody ends the run.

mod ask;
mod ledger;
mod output;
mod refusals;
mod run;

use std::path::{Path, PathBuf};

use futures::{StreamExt, stream};
use pointsman_core::usage::Usage;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::run::RunState;
use crate::dataset::asked::AskedPrompt;
use crate::dataset::lines::RowLines;
use crate::dataset::{DatasetError, HELD_OUT};
use crate::decision_log::{DecisionLogs, LogLine};
use crate::judge::{JudgeClient, JudgeClientError, Rubric, RubricError, RubricVerdict};

/// Keys of a row that its labelled row keeps: what may learn from it, and what must stay on its side.
const KEPT: [&str; 2] = ["split", "group"];

/// A labelling run: prompts, judge, rubric and limits.
#[derive(Debug)]
pub struct LabelRun {
    /// The source of the prompts.
    pub source: PromptSource,
    /// The file of the labels.
    pub out: PathBuf,
    /// The rubric of the judge.
    pub rubric: Rubric,
    /// The judge.
    pub client: JudgeClient,
    /// US dollars that may be spent, by these prices; `None` for no cap.
    pub max_cost: Option<f64>,
    /// The judge's price, in US dollars per million tokens.
    pub price: Option<pointsman_core::config::TokenPrice>,
    /// Requests at a time.
    pub concurrency: usize,
    /// The share of prompts that is labelled, 0 to 1, drawn by `seed`.
    pub share: f64,
    /// Decides the draw: the same prompts are drawn in every run.
    pub seed: u64,
    /// The most prompts to ask for in this run.
    pub limit: Option<u64>,
    /// True to ask again for prompts that the judge refused in runs before.
    pub retry_refused: bool,
    /// True to label rows of the split that is held out too: to measure with, never to learn from.
    pub with_held_out: bool,
}

/// The source of prompts.
#[derive(Debug)]
pub enum PromptSource {
    /// JSON lines with a `prompt`, `text` or `messages`, and what the rubric reads besides.
    Prompts(PathBuf),
    /// Decision logs with text.
    Logs(DecisionLogs),
}

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LabelCounts {
    /// Rows that were written.
    pub written: u64,
    /// Rows among them that share the answer to an equal question.
    pub shared: u64,
    /// Prompts that stood in the output already.
    pub known: u64,
    /// Prompts without an answer that could be used; another run asks again.
    pub failed: u64,
    /// Prompts that the judge refuses.
    pub refused: u64,
    /// Prompts that it refused in runs before.
    pub refused_before: u64,
    /// Prompts without text, or drawn by the other share.
    pub skipped: u64,
    /// Prompts of the split that is held out.
    pub held_out: u64,
    /// US dollars that this run cost, where prices are known.
    pub cost: f64,
    /// True when the budget ended the run.
    pub stopped_by_budget: bool,
}

/// Errors that end a run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum LabelError {
    /// The prompts cannot be read.
    #[error(transparent)]
    Read(#[from] DatasetError),
    /// The rubric needs what a row does not have.
    #[error(transparent)]
    Rubric(#[from] RubricError),
    /// The output cannot be used.
    #[error("cannot use `{}`", path.display())]
    Output { path: PathBuf, source: std::io::Error },
    /// The judge refuses every request.
    #[error(transparent)]
    Judge(#[from] JudgeClientError),
    /// A cap without prices.
    #[error("a cap on the cost needs the judge's prices")]
    NoPrice,
}

/// A row to label.
#[derive(Debug)]
struct UnlabelledRow {
    /// What the judge is shown: the prompt, or a conversation turn by turn.
    prompt: String,
    /// The conversation, where the row is one; the labelled row keeps it.
    messages: Option<Value>,
    id: Option<Value>,
    /// The other values, which the rubric may read.
    rest: Map<String, Value>,
}

impl LabelRun {
    /// Labels; `progress` hears of each row.
    ///
    /// # Errors
    /// When a file cannot be used, a row lacks what the rubric reads, or the judge refuses or is silent for good. What
    /// was written stays, and another run goes on from there.
    pub async fn run(&self, mut progress: impl FnMut(&LabelCounts)) -> Result<LabelCounts, LabelError> {
        if self.max_cost.is_some() && self.price.is_none() {
            return Err(LabelError::NoPrice);
        }
        let run = RunState::open(self)?;
        let mut rows = self.rows()?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        let tasks = std::iter::from_fn(|| {
            loop {
                if run.done().stopped_by_budget {
                    return None;
                }
                match rows.next()?.and_then(|row| run.task(row)) {
                    Ok(Some(task)) if run.is_news(&task) && left == 0 => return None,
                    Ok(Some(task)) => {
                        left -= u64::from(run.is_news(&task));
                        return Some(Ok(task));
                    }
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
        });
        let settled = stream::iter(tasks).map(async |task| run.settle(task?).await);
        let mut settled = Box::pin(settled.buffer_unordered(self.concurrency.max(1)));
        while let Some(settled) = settled.next().await {
            settled?;
            progress(&run.done());
            if run.done().stopped_by_budget && run.budget.is_idle() {
                break;
            }
        }
        drop(settled);
        Ok(run.into_done())
    }

    fn rows(&self) -> Result<Box<dyn Iterator<Item = Result<UnlabelledRow, LabelError>> + '_>, LabelError> {
        match &self.source {
            PromptSource::Prompts(path) => {
                let mut lines = RowLines::open(path)?;
                Ok(Box::new(std::iter::from_fn(move || UnlabelledRow::next(&mut lines).transpose())))
            }
            PromptSource::Logs(logs) => Ok(Box::new(logs.lines().filter_map(|line| match line {
                Ok(LogLine::Decision(logged)) => {
                    let prompt = logged.whole_text().unwrap_or_default().to_owned();
                    Some(Ok(UnlabelledRow { prompt, messages: None, id: None, rest: Map::new() }))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error.into())),
            }))),
        }
    }

    /// Returns the row's own id, else one of its text under this rubric.
    fn id(&self, row: &UnlabelledRow) -> String {
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

    /// Returns the keys that an answer gives to its row.
    fn answer_keys(&self, verdict: &RubricVerdict, usage: Option<Usage>) -> Value {
        let mut keys = json!({
            "input_tokens": usage.map(|usage| usage.input),
            "output_tokens": usage.map(|usage| usage.output),
        });
        for (key, value) in verdict.keys() {
            keys[key] = value;
        }
        keys
    }
}

impl UnlabelledRow {
    /// Reads the next row of a file.
    fn next(lines: &mut RowLines) -> Result<Option<Self>, LabelError> {
        if !lines.advance()? {
            return Ok(None);
        }
        let mut rest: Map<String, Value> = lines.parse()?;
        let id = rest.remove("id");
        if ["prompt", "text", "messages"].iter().all(|key| rest.get(*key).is_none_or(Value::is_null)) {
            return Ok(Some(Self { prompt: String::new(), messages: None, id, rest })); // nothing to label: counted
        }
        let messages = rest.get("messages").filter(|messages| !messages.is_null()).cloned();
        let asked = AskedPrompt::take(&mut rest).map_err(|message| lines.incomplete(message))?;
        let messages = messages.filter(|_| asked.is_reply());
        let prompt = if messages.is_some() { asked.transcript() } else { asked.text };
        Ok(Some(Self { prompt, messages, id, rest }))
    }

    /// Returns whether nothing may learn from the row.
    fn is_held_out(&self) -> bool {
        self.rest.get("split").is_some_and(|split| split == HELD_OUT)
    }

    /// Writes into a labelled row what was asked, as a row to learn from has it.
    fn write_asked(&self, row: &mut Value) {
        for key in ["prompt", "messages"] {
            row.as_object_mut().and_then(|row| row.remove(key)); // of the row whose answer is shared
        }
        match &self.messages {
            Some(messages) => row["messages"] = messages.clone(),
            None => row["prompt"] = json!(self.prompt),
        }
        for key in KEPT {
            if let Some(value) = self.rest.get(key) {
                row[key] = value.clone();
            }
        }
    }
}

impl LabelError {
    /// Returns what makes an error of a file out of the system's.
    fn output(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Output { path: path.to_owned(), source }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
