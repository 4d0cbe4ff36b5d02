//! The prompts of a file with the answers to each: of models that were asked themselves, and of policies.
//!
//! A file holds answers (`asked`), or outcomes of several models in one row (`scores`), which have no texts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ComparisonError, ComparisonRequest};
use crate::answers::{AnswerGrade, AnswerRow, AnswerRows};
use crate::dataset::asked::AskedPrompt;
use crate::dataset::lines::RowLines;
use crate::dataset::{DataIdentity, Dataset, GroundTruth};

/// The grader's name of outcomes that are no graded answers.
const OUTCOME: &str = "outcome";

/// A prompt and the answers to it.
#[derive(Debug, Clone)]
pub struct ComparedPrompt {
    /// The prompt's id.
    pub id: String,
    /// The newest user turn.
    pub text: String,
    /// The turns before it.
    pub history: Vec<Value>,
    /// The group of near-duplicates and variants; the id where the row has none.
    pub group: String,
    /// The answers of each model that was asked itself.
    pub answers: BTreeMap<String, Vec<AnswerRow>>,
    /// The answers of each policy.
    pub routed: BTreeMap<String, Vec<AnswerRow>>,
    /// The prompt as a request; `None` where no user turn ends it.
    pub(super) asked: Option<AskedPrompt>,
}

/// Every prompt of a file.
#[derive(Debug)]
pub(super) struct PromptTable {
    pub(super) data: DataIdentity,
    pub(super) prompts: Vec<ComparedPrompt>,
    pub(super) answers: u64,
    pub(super) contaminated: u64,
}

/// Prompts in the order in which they first occur.
#[derive(Default)]
struct PromptCollector {
    places: HashMap<String, usize>,
    prompts: Vec<ComparedPrompt>,
    answers: u64,
    contaminated: u64,
    /// The splits that rows say, `none` for those that say none.
    splits: BTreeSet<String>,
    has_grades: bool,
}

impl PromptTable {
    /// Reads the answers that `request` asks for.
    pub(super) fn read(request: &ComparisonRequest) -> Result<Self, ComparisonError> {
        let path = &request.answers;
        let mut collector = PromptCollector::default();
        let sha256 = if holds_answers(path)? {
            let mut rows = AnswerRows::open(path)?;
            for row in &mut rows {
                collector.add(row?, request);
            }
            rows.sha256()
        } else {
            let mut rows = Dataset::open(path)?.priced_by(request.prices.clone());
            for row in &mut rows {
                let row = row?;
                if row.contaminated {
                    collector.contaminated += 1;
                    continue;
                }
                let GroundTruth::Models(outcomes) = row.truth else {
                    return Err(ComparisonError::NoAnswers(path.clone()));
                };
                let id = format!("line {}", row.line);
                let place = collector.place(&id, || ComparedPrompt::of(id.clone(), None, Ok(row.asked)));
                for (model, outcome) in outcomes {
                    let grade =
                        AnswerGrade { grader: OUTCOME.to_owned(), score: outcome.score, ..AnswerGrade::default() };
                    let row = AnswerRow {
                        id: id.clone(),
                        asked: model,
                        cost_usd: outcome.cost,
                        grades: vec![grade],
                        ..AnswerRow::default()
                    };
                    collector.keep(place, row, request);
                }
            }
            rows.sha256()
        };
        let PromptCollector { prompts, answers, contaminated, splits, has_grades, .. } = collector;
        if prompts.is_empty() {
            return Err(match &request.split {
                Some(split) if !splits.is_empty() => {
                    let known = splits.into_iter().collect::<Vec<_>>().join(", ");
                    ComparisonError::NoSplit { path: path.clone(), split: split.clone(), known }
                }
                _ => ComparisonError::NoAnswers(path.clone()),
            });
        }
        if !has_grades {
            return Err(ComparisonError::NotGraded(path.clone()));
        }
        Ok(Self { data: DataIdentity::new(path, sha256), prompts, answers, contaminated })
    }

    /// Returns the names under which answers stand, by `part` of a prompt.
    pub(super) fn names(&self, part: fn(&ComparedPrompt) -> &BTreeMap<String, Vec<AnswerRow>>) -> BTreeSet<String> {
        self.prompts.iter().flat_map(|prompt| part(prompt).keys().cloned()).collect()
    }
}

impl PromptCollector {
    fn add(&mut self, mut row: AnswerRow, request: &ComparisonRequest) {
        self.splits.insert(row.split.clone().unwrap_or_else(|| "none".to_owned()));
        if request.split.is_some() && row.split != request.split {
            return;
        }
        let place = self.place(&row.id.clone(), || {
            let asked = asked(&mut row);
            ComparedPrompt::of(row.id.clone(), row.group.clone(), asked)
        });
        // The prompt stands once, not in each of its answers.
        (row.prompt, row.messages) = (None, None);
        self.keep(place, row, request);
    }

    /// Returns the place of a prompt, which `first` makes where it is new.
    fn place(&mut self, id: &str, first: impl FnOnce() -> ComparedPrompt) -> usize {
        *self.places.entry(id.to_owned()).or_insert_with(|| {
            self.prompts.push(first());
            self.prompts.len() - 1
        })
    }

    fn keep(&mut self, place: usize, row: AnswerRow, request: &ComparisonRequest) {
        let wanted = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
        self.has_grades |= !row.grades.is_empty();
        let prompt = &mut self.prompts[place];
        let (answers, name, names) = match &row.policy {
            Some(policy) => (&mut prompt.routed, policy.clone(), &request.policies),
            None => (&mut prompt.answers, row.asked.clone(), &request.models),
        };
        if wanted(names, &name) {
            answers.entry(name).or_default().push(row);
            self.answers += 1;
        }
    }
}

impl ComparedPrompt {
    fn of(id: String, group: Option<String>, asked: Result<AskedPrompt, String>) -> Self {
        let group = group.unwrap_or_else(|| id.clone());
        let (answers, routed) = (BTreeMap::new(), BTreeMap::new());
        match asked {
            Ok(asked) => {
                let (text, history) = (asked.text.clone(), asked.history.clone());
                Self { id, text, history, group, answers, routed, asked: Some(asked) }
            }
            Err(text) => Self { id, text, history: Vec::new(), group, answers, routed, asked: None },
        }
    }

    /// Returns the length of the newest user turn, in characters.
    pub(super) fn chars(&self) -> usize {
        self.text.chars().count()
    }
}

/// Returns the request of a row, else its text: a conversation may end with the result of a tool.
fn asked(row: &mut AnswerRow) -> Result<AskedPrompt, String> {
    let mut keys: Map<String, Value> = row.other.clone();
    let shown = row.prompt.clone().unwrap_or_else(|| row.messages.as_ref().map(Value::to_string).unwrap_or_default());
    keys.extend(row.prompt.take().map(|prompt| ("prompt".to_owned(), json!(prompt))));
    keys.extend(row.messages.take().map(|messages| ("messages".to_owned(), messages)));
    AskedPrompt::take(&mut keys).map_err(|_| shown)
}

/// Returns whether the first row of a file is an answer, and not the outcomes of several models.
fn holds_answers(path: &Path) -> Result<bool, ComparisonError> {
    let mut lines = RowLines::open(path)?;
    if !lines.advance()? {
        return Err(ComparisonError::NoAnswers(path.to_owned()));
    }
    let first: Map<String, Value> = lines.parse()?;
    Ok(first.contains_key("asked") || !first.contains_key("scores"))
}
