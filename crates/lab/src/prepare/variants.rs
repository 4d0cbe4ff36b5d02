//! Harder variants of prompts: one LLM writes them, and is asked again whether each is harder than its prompt and can be
//! answered.
//!
//! Resumable: what was written and judged stands in a file beside the output, and is not asked again. Capped, as labels
//! are. A variant says the prompt that it was made of and has its group and split, so that nothing learns from a variant
//! of what is held out; a reference or label of the prompt is not its own.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use futures::{StreamExt, stream};
use pointsman_core::config::TokenPrice;
use pointsman_core::judgement::{objects, spoken};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{PreparedRow, VariantCounts};
use crate::dataset::words;
use crate::judge::{
    ATTEMPTS, JudgeBudget, JudgeClient, JudgeClientError, PricedJudge, QuestionOutcome, VerdictForm, VerdictQuestion,
};

/// Prompts in a row without any answer after which the LLM is taken to be down.
const SILENT: u32 = 3;

/// The longest prompt that variants are made of, in bytes: a longer one is mostly pasted text.
const LONGEST: usize = 8_000;

const WRITE: &str = "You make prompts for language models harder. You are given a prompt. Write one new prompt on the \
    same subject, in the same language, that needs more knowledge, more steps of reasoning or more constraints to be \
    answered well. It must stand by itself, and it must be possible to answer it without anything that is not in it. \
    Do not answer it.";

const JUDGE: &str = "You compare two prompts for language models. Say whether the second is harder to answer well than \
    the first, and whether the second can be answered by itself: it is clear, consistent, and nothing that it speaks of \
    is missing. Give a reason of one sentence first.";

/// The LLM that writes variants and judges them.
#[derive(Debug)]
pub struct VariantJudge {
    /// The LLM.
    pub client: JudgeClient,
    /// Variants of each prompt.
    pub count: u32,
    /// US dollars that may be spent; `None` for no cap.
    pub max_cost: Option<f64>,
    /// The LLM's price, in US dollars per million tokens.
    pub price: Option<TokenPrice>,
    /// Prompts at a time.
    pub concurrency: usize,
}

/// Errors that end the writing of variants.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum VariantsError {
    /// The file of the variants cannot be used.
    #[error("cannot use `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The LLM refuses or is silent for good.
    #[error(transparent)]
    Judge(#[from] JudgeClientError),
    /// A cap without prices.
    #[error("a cap on the cost needs the prices of the LLM that writes variants")]
    NoPrice,
}

/// A variant as the file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WrittenVariant {
    variant_of: String,
    /// The number of the variant, from 1.
    number: u32,
    prompt: String,
    is_harder: bool,
    is_answerable: bool,
    /// True where it has the words of its prompt.
    #[serde(default)]
    is_same: bool,
    reason: String,
    by: String,
}

/// The judgement of a variant.
#[derive(Deserialize)]
struct VariantVerdict {
    reason: String,
    harder: bool,
    answerable: bool,
}

/// A run under way. One task drives it, so that nothing is borrowed while it waits.
struct VariantRun<'r> {
    judge: &'r VariantJudge,
    path: &'r Path,
    budget: JudgeBudget,
    file: RefCell<File>,
    counts: RefCell<VariantCounts>,
    silent: RefCell<u32>,
}

/// Writes the variants of `rows` that are still to be had; returns all that are kept as rows.
pub(super) async fn write(
    judge: &VariantJudge,
    path: &Path,
    rows: &[PreparedRow],
    mut progress: impl FnMut(&VariantCounts),
) -> Result<(Vec<PreparedRow>, VariantCounts), VariantsError> {
    if judge.max_cost.is_some() && judge.price.is_none() {
        return Err(VariantsError::NoPrice);
    }
    let refuse = |source| VariantsError::File { path: path.to_owned(), source };
    let mut known = read(path).map_err(refuse)?;
    let file = OpenOptions::new().append(true).create(true).open(path).map_err(refuse)?;
    let run = VariantRun {
        judge,
        path,
        budget: JudgeBudget::new(judge.max_cost),
        file: RefCell::new(file),
        counts: RefCell::default(),
        silent: RefCell::new(0),
    };
    run.counts.borrow_mut().known = known.len() as u64;
    let stands: HashSet<(String, u32)> = known.iter().map(|it| (it.variant_of.clone(), it.number)).collect();
    let can_vary = |row: &&PreparedRow| row.keys.contains_key("prompt") && row.text.len() <= LONGEST;
    run.counts.borrow_mut().without = rows.iter().filter(|row| !can_vary(row)).count() as u64;
    let wanted = rows.iter().filter(can_vary);
    let wanted = wanted.flat_map(|row| (1..=judge.count).map(move |number| (row, number)));
    let wanted: Vec<_> = wanted.filter(|(row, number)| !stands.contains(&(row.id.clone(), *number))).collect();
    let written = stream::iter(wanted).map(async |(row, number)| run.one(row, number).await);
    let mut written = Box::pin(written.buffer_unordered(judge.concurrency.max(1)));
    while let Some(variant) = written.next().await {
        known.extend(variant?);
        progress(&run.counts.borrow());
    }
    drop(written);
    let mut counts = run.counts.into_inner();
    let kept = kept(rows, known, &mut counts);
    Ok((kept, counts))
}

impl VariantRun<'_> {
    /// Writes a variant and has it judged; `None` where that is left for another run.
    async fn one(&self, row: &PreparedRow, number: u32) -> Result<Option<WrittenVariant>, VariantsError> {
        if self.counts.borrow().stopped_by_budget {
            return Ok(None);
        }
        // Otherwise the second variant would be word for word the first.
        let ask = format!("Prompt:\n\n{}\n\nThis is variant {number}: make it unlike the others.", row.text);
        let schema = object(&[("prompt", json!({"type": "string"}))]);
        let Some(prompt) = self.ask("harder_prompt", [WRITE, &ask], schema, read_prompt).await? else {
            return Ok(None);
        };
        let is_same = words::normal(&prompt) == words::normal(&row.text);
        let verdict = if is_same {
            VariantVerdict { reason: "it has the same words".into(), harder: false, answerable: true }
        } else {
            let ask = format!("First prompt:\n\n{}\n\nSecond prompt:\n\n{prompt}", row.text);
            let truth = || json!({"type": "boolean"});
            let schema = object(&[("reason", json!({"type": "string"})), ("harder", truth()), ("answerable", truth())]);
            let Some(verdict) = self.ask("judged_prompt", [JUDGE, &ask], schema, read_verdict).await? else {
                return Ok(None);
            };
            verdict
        };
        let variant = WrittenVariant {
            variant_of: row.id.clone(),
            number,
            prompt,
            is_harder: verdict.harder,
            is_answerable: verdict.answerable,
            is_same,
            reason: verdict.reason,
            by: self.judge.client.model().to_owned(),
        };
        let line = serde_json::to_string(&variant).map_err(io::Error::from);
        let written = line.and_then(|line| {
            let mut file = self.file.borrow_mut();
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()
        });
        written.map_err(|source| VariantsError::File { path: self.path.to_owned(), source })?;
        Ok(Some(variant))
    }

    /// Asks one question; `None` where there is no usable answer.
    async fn ask<T>(
        &self,
        name: &str,
        words: [&str; 2],
        schema: Value,
        read: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, VariantsError> {
        let messages = json!([{"role": "system", "content": words[0]}, {"role": "user", "content": words[1]}]);
        let question = VerdictQuestion::new(&self.judge.client, &messages, &VerdictForm { name, schema });
        let judge = PricedJudge { client: &self.judge.client, price: self.judge.price, budget: &self.budget };
        let (outcome, cost) = judge.ask(&question, read).await?;
        let mut counts = self.counts.borrow_mut();
        counts.cost_usd += cost;
        if !matches!(outcome, QuestionOutcome::Silent(_) | QuestionOutcome::OutOfBudget) {
            *self.silent.borrow_mut() = 0;
        }
        match outcome {
            QuestionOutcome::Verdict(read) => return Ok(Some(read.verdict)),
            QuestionOutcome::OutOfBudget => counts.stopped_by_budget = true,
            QuestionOutcome::Malformed(_) | QuestionOutcome::Refused(_) => counts.failed += 1,
            QuestionOutcome::Silent(reason) => {
                counts.failed += 1;
                *self.silent.borrow_mut() += 1;
                if *self.silent.borrow() == SILENT {
                    return Err(JudgeClientError::Silent { prompts: SILENT, attempts: ATTEMPTS, reason }.into());
                }
            }
        }
        Ok(None)
    }
}

/// Returns the rows of the variants that are harder and can be answered, in the order of their prompts.
fn kept(rows: &[PreparedRow], mut variants: Vec<WrittenVariant>, counts: &mut VariantCounts) -> Vec<PreparedRow> {
    let place: HashMap<&str, usize> = rows.iter().enumerate().map(|(index, row)| (&*row.id, index)).collect();
    let mut kept: Vec<(usize, u32, PreparedRow)> = Vec::new();
    let mut said = HashSet::new();
    variants.sort_by(|a, b| (&a.variant_of, a.number).cmp(&(&b.variant_of, b.number)));
    for variant in variants {
        let Some(index) = place.get(&*variant.variant_of).copied() else { continue }; // of a prompt that is gone
        let is_usable = variant.is_harder && variant.is_answerable && !variant.is_same;
        let is_new = !is_usable || said.insert((index, words::normal(&variant.prompt)));
        let fate = match &variant {
            WrittenVariant { is_same: true, .. } => &mut counts.same,
            WrittenVariant { is_harder: false, .. } => &mut counts.not_harder,
            WrittenVariant { is_answerable: false, .. } => &mut counts.not_answerable,
            _ if !is_new => &mut counts.same,
            _ => &mut counts.kept,
        };
        *fate += 1;
        if is_usable && is_new {
            kept.push((index, variant.number, row_of(&rows[index], &variant)));
        }
    }
    kept.sort_by_key(|(index, number, _)| (*index, *number));
    kept.into_iter().map(|(_, _, row)| row).collect()
}

/// Returns a variant as a row: of its prompt it has the group, the split and the language.
fn row_of(of: &PreparedRow, variant: &WrittenVariant) -> PreparedRow {
    let shared = ["group", "split", "language"].into_iter();
    let mut keys: Map<String, Value> =
        shared.filter_map(|key| Some((key.to_owned(), of.keys.get(key)?.clone()))).collect();
    keys.insert("group".to_owned(), json!(of.group()));
    keys.insert("prompt".to_owned(), json!(variant.prompt));
    keys.insert("variant_of".to_owned(), json!(of.id));
    let (id, text) = (format!("{}~{}", of.id, variant.number), variant.prompt.clone());
    PreparedRow { id, words: text.clone(), text, keys }
}

/// Reads the variants of runs before; a line that a killed run left half is cut off.
fn read(path: &Path) -> io::Result<Vec<WrittenVariant>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let (mut reader, mut line, mut whole, mut known) = (BufReader::new(&file), Vec::new(), 0, Vec::new());
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if bytes == 0 || line.last() != Some(&b'\n') {
            break;
        }
        whole += bytes as u64;
        known.extend(serde_json::from_slice::<WrittenVariant>(&line));
    }
    file.set_len(whole)?;
    Ok(known)
}

fn object(properties: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        properties.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}

fn read_prompt(content: &str) -> Result<String, String> {
    let said = object_with("prompt", content)?;
    let prompt = said["prompt"].as_str().map(str::trim).filter(|prompt| !prompt.is_empty());
    prompt.map(str::to_owned).ok_or_else(|| "no `prompt`".to_owned())
}

fn read_verdict(content: &str) -> Result<VariantVerdict, String> {
    serde_json::from_value(object_with("harder", content)?).map_err(|error| error.to_string())
}

/// Returns the object of an answer that has a key: models put fences, prose and thoughts around their JSON.
fn object_with(key: &str, content: &str) -> Result<Value, String> {
    let found = objects(&spoken(content)).into_iter().find(|object| object.contains_key(key));
    found.map(Value::Object).ok_or_else(|| format!("the answer is no JSON with a `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_variants_with_the_same_words_the_first_is_kept() {
        let row = PreparedRow { id: "a".into(), words: "p".into(), text: "p".into(), keys: Map::new() };
        let variant = |number, prompt: &str| WrittenVariant {
            variant_of: "a".into(),
            number,
            prompt: prompt.into(),
            is_harder: true,
            is_answerable: true,
            is_same: false,
            reason: String::new(),
            by: "m".into(),
        };
        let mut counts = VariantCounts::default();

        let rows =
            kept(&[row], vec![variant(2, "prove IT!"), variant(1, "Prove it."), variant(3, "Draw it.")], &mut counts);

        assert_eq!(rows.iter().map(|row| &*row.text).collect::<Vec<_>>(), ["Prove it.", "Draw it."]);
        assert_eq!((counts.kept, counts.same), (2, 1));
    }
}
