//! Rows that `fit` reads, from graded answers, comparisons and votes: each with the weight of its source.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::GradeError;
use super::votes::PreferenceVote;
use crate::answers::{AnswerGrade, AnswerRow, GraderWeights, OutcomeRow, OutcomeTable};
use crate::statistics::RunningMean;

/// The source of votes, among the graders.
const VOTES: &str = "votes";

/// The grader whose grades compare two models: they become rows of their own.
const PAIRWISE: &str = "pairwise";

/// The output of rows to learn from.
#[derive(Debug, Clone)]
pub struct TrainingRowOutput {
    /// The file of the rows.
    pub path: PathBuf,
    /// The two sides of `fit --task strong_weak`; `None` for rows of `--task success`.
    pub sides: Option<ModelSides>,
    /// Files of preference votes.
    pub votes: Vec<PathBuf>,
}

/// Models by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSides {
    /// The strong models.
    pub strong: Vec<String>,
    /// The weak models.
    pub weak: Vec<String>,
}

/// Counts of rows to learn from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrainingRowCounts {
    /// Rows by source: graders joined by `+`, or `votes`.
    pub written: BTreeMap<String, u64>,
    /// Prompts of which one side has no grade.
    pub one_sided: u64,
    /// Votes between models that do not stand on two sides.
    pub other_votes: u64,
    /// Rows whose source has no weight.
    pub weightless: u64,
}

/// The rows of a run, as its answers pass.
pub(super) struct TrainingRowTable<'o> {
    output: &'o TrainingRowOutput,
    weights: &'o GraderWeights,
    table: OutcomeTable,
    sources: HashMap<String, PromptSources>,
    /// Comparisons of a strong and a weak model.
    compared: Vec<Map<String, Value>>,
    counts: TrainingRowCounts,
}

/// What the grades of a prompt's answers are from, and their texts where two models alone are compared.
#[derive(Default)]
struct PromptSources {
    /// The grades of each model's answers: those that were asked of it, and those that a policy had from it.
    models: BTreeMap<String, [GradeSources; 2]>,
    strong_answer: Option<String>,
    weak_answer: Option<String>,
}

/// The graders of some answers, and the mean of their weights.
#[derive(Default)]
struct GradeSources {
    graders: BTreeSet<String>,
    weight: RunningMean,
}

/// A side of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ModelSide {
    Strong,
    Weak,
}

impl ModelSides {
    fn of(&self, model: &str) -> Option<ModelSide> {
        let among = |models: &[String]| models.iter().any(|known| known == model);
        if among(&self.strong) { Some(ModelSide::Strong) } else { among(&self.weak).then_some(ModelSide::Weak) }
    }

    fn is_one_pair(&self) -> bool {
        self.strong.len() == 1 && self.weak.len() == 1
    }

    /// Returns the qualities of the strong and of the weak side, from those of two models; `None` unless they stand on
    /// two sides.
    fn qualities(&self, models: [&str; 2], [one, other]: [f64; 2]) -> Option<[f64; 2]> {
        match models.map(|model| self.of(model)) {
            [Some(ModelSide::Strong), Some(ModelSide::Weak)] => Some([one, other]),
            [Some(ModelSide::Weak), Some(ModelSide::Strong)] => Some([other, one]),
            _ => None,
        }
    }
}

impl PromptSources {
    /// Returns the graders and their mean weight, of the answers whose qualities count: those of models that stand on a
    /// side, and what a policy had from a model only where that was not asked itself.
    fn of(&self, sides: Option<&ModelSides>) -> (String, f64) {
        let counts = |model: &String| sides.is_none_or(|sides| sides.of(model).is_some());
        let (mut graders, mut weight) = (BTreeSet::new(), RunningMean::default());
        for [asked, routed] in self.models.iter().filter(|(model, _)| counts(model)).map(|(_, own)| own) {
            let own = if asked.weight.count() > 0 { asked } else { routed };
            graders.extend(own.graders.iter().map(String::as_str));
            weight = weight.plus(own.weight);
        }
        (graders.into_iter().collect::<Vec<_>>().join("+"), weight.mean().unwrap_or(1.0))
    }
}

impl TrainingRowOutput {
    /// Writes the rows of votes alone.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write_votes(&self, weights: &GraderWeights) -> Result<TrainingRowCounts, GradeError> {
        TrainingRowTable::new(self, weights).write()
    }
}

impl<'o> TrainingRowTable<'o> {
    pub(super) fn new(output: &'o TrainingRowOutput, weights: &'o GraderWeights) -> Self {
        let mut qualities = weights.clone();
        if output.sides.is_some() {
            qualities.0.insert(PAIRWISE.to_owned(), 0.0);
        }
        let (sources, compared, counts) = (HashMap::new(), Vec::new(), TrainingRowCounts::default());
        Self { output, weights, table: OutcomeTable::weighted(qualities), sources, compared, counts }
    }

    /// Takes a graded answer.
    pub(super) fn add(&mut self, row: &AnswerRow) {
        self.table.add(row);
        let sources = self.sources.entry(row.id.clone()).or_default();
        let own = &mut sources.models.entry(row.answered_by().to_owned()).or_default()[usize::from(row.is_routed())];
        for grade in row.grades.iter().filter(|grade| self.output.sides.is_none() || grade.grader != PAIRWISE) {
            own.graders.insert(grade.grader.clone());
            own.weight.add(self.weights.of(&grade.grader));
        }
        let Some(sides) = &self.output.sides else { return };
        if sides.is_one_pair() && !row.is_routed() {
            match sides.of(row.answered_by()) {
                Some(ModelSide::Strong) => sources.strong_answer = row.text().map(str::to_owned),
                Some(ModelSide::Weak) => sources.weak_answer = row.text().map(str::to_owned),
                None => {}
            }
        }
        let compared = row.grades.iter().filter(|grade| grade.grader == PAIRWISE);
        let rows = compared.filter_map(|grade| comparison(sides, row, grade)).collect::<Vec<_>>();
        self.compared.extend(rows);
    }

    /// Writes the rows.
    pub(super) fn write(self) -> Result<TrainingRowCounts, GradeError> {
        let Self { output, weights, table, mut sources, compared, mut counts } = self;
        let refuse = GradeError::output(&output.path);
        let mut file = BufWriter::new(File::create(&output.path).map_err(&refuse)?);
        let mut write = |row: Map<String, Value>, source: &str, weight: f64| {
            if weight <= 0.0 {
                counts.weightless += 1;
                return Ok(());
            }
            let mut row = row;
            row.insert("source".to_owned(), json!(source));
            row.insert("weight".to_owned(), json!(weight));
            *counts.written.entry(source.to_owned()).or_default() += 1;
            writeln!(file, "{}", Value::Object(row)).map_err(&refuse)
        };
        let mut one_sided = 0;
        for outcome in table.rows() {
            let sources = sources.remove(&outcome.id).unwrap_or_default();
            let (source, weight) = sources.of(output.sides.as_ref());
            match judged(&outcome, output.sides.as_ref(), sources) {
                Some(row) => write(row, &source, weight)?,
                None => one_sided += 1,
            }
        }
        for row in compared {
            write(row, PAIRWISE, weights.of(PAIRWISE))?;
        }
        let mut voted = Vec::new();
        for path in &output.votes {
            PreferenceVote::read(path, |vote| voted.push(vote))?;
        }
        let sides = output.sides.clone().unwrap_or_default();
        let mut other_votes = 0;
        for vote in voted {
            let models = [&*vote.model_a, &*vote.model_b];
            let Some(qualities) = sides.qualities(models, vote.winner.qualities()) else {
                other_votes += 1;
                continue;
            };
            let mut row = vote.asked;
            row.extend(vote.id.map(|id| ("id".to_owned(), json!(id))));
            write(paired(row, qualities), VOTES, weights.of(VOTES))?;
        }
        file.flush().map_err(&refuse)?;
        (counts.one_sided, counts.other_votes) = (one_sided, other_votes);
        Ok(counts)
    }
}

/// Returns the row of a prompt's graded answers; `None` where one of two sides has none.
fn judged(outcome: &OutcomeRow, sides: Option<&ModelSides>, sources: PromptSources) -> Option<Map<String, Value>> {
    let mean = |models: &[String]| {
        let mut mean = RunningMean::default();
        models.iter().filter_map(|model| outcome.scores.get(model)).for_each(|score| mean.add(*score));
        mean.mean()
    };
    let pair = match sides {
        Some(ModelSides { strong, weak }) => Some([mean(strong)?, mean(weak)?]),
        None => None,
    };
    let Ok(Value::Object(mut row)) = serde_json::to_value(outcome) else { return None };
    let Some(pair) = pair else { return Some(row) };
    for key in ["scores", "cost_usd", "tokens"] {
        row.remove(key);
    }
    row.extend(sources.strong_answer.map(|text| ("strong_answer".to_owned(), json!(text))));
    row.extend(sources.weak_answer.map(|text| ("weak_answer".to_owned(), json!(text))));
    Some(paired(row, pair))
}

/// Returns the row of one comparison, unless its models do not stand on two sides.
fn comparison(sides: &ModelSides, row: &AnswerRow, grade: &AnswerGrade) -> Option<Map<String, Value>> {
    let against = grade.other.get("against")?.as_str()?;
    let qualities = sides.qualities([row.answered_by(), against], [grade.score, 1.0 - grade.score])?;
    let mut asked = Map::new();
    asked.insert("id".to_owned(), json!(row.id));
    let keys = [("prompt", row.prompt.clone().map(Value::from)), ("messages", row.messages.clone())];
    asked.extend(keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    let keys = [("group", &row.group), ("split", &row.split)];
    asked.extend(keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?)))));
    Some(paired(asked, qualities))
}

fn paired(mut row: Map<String, Value>, [strong, weak]: [f64; 2]) -> Map<String, Value> {
    row.insert("strong_correct".to_owned(), json!(strong));
    row.insert("weak_correct".to_owned(), json!(weak));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(model: &str, grades: &[(&str, f64)]) -> AnswerRow {
        let grade = |(grader, score): &(&str, f64)| {
            let mut grade = AnswerGrade { grader: (*grader).into(), score: *score, ..AnswerGrade::default() };
            grade.other.insert("against".into(), json!("large"));
            grade
        };
        AnswerRow {
            id: "a".into(),
            prompt: Some("p".into()),
            asked: model.into(),
            model: Some(model.into()),
            answer: Some(format!("by {model}")),
            grades: grades.iter().map(grade).collect(),
            ..AnswerRow::default()
        }
    }

    fn sides() -> Option<ModelSides> {
        Some(ModelSides { strong: vec!["large".into()], weak: vec!["small".into()] })
    }

    fn written(
        sides: Option<ModelSides>,
        rows: &[AnswerRow],
        votes: &str,
        weights: &[(&str, f64)],
    ) -> (Vec<Value>, TrainingRowCounts) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("votes.jsonl");
        std::fs::write(&path, votes).expect("written");
        let output = TrainingRowOutput { path: folder.path().join("rows.jsonl"), sides, votes: vec![path] };
        let weights = GraderWeights(weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect());
        let mut table = TrainingRowTable::new(&output, &weights);
        rows.iter().for_each(|row| table.add(row));
        let counts = table.write().expect("written");
        let text = std::fs::read_to_string(&output.path).expect("rows");
        (text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), counts)
    }

    #[test]
    fn graded_answers_of_both_sides_are_a_row_with_the_weight_of_their_graders() {
        let rows = [answer("small", &[("judge", 0.25)]), answer("large", &[("judge", 1.0)])];

        let (rows, counts) = written(sides(), &rows, "", &[("judge", 2.0)]);

        let expected = json!({
            "id": "a", "prompt": "p", "strong_correct": 1.0, "weak_correct": 0.25, "source": "judge", "weight": 2.0,
            "strong_answer": "by large", "weak_answer": "by small",
        });
        assert_eq!(rows, [expected]);
        assert_eq!(counts.written["judge"], 1);
    }

    #[test]
    fn a_policy_s_answer_gives_a_row_no_weight_where_its_model_was_asked_itself() {
        let routed = |mut row: AnswerRow| {
            (row.asked, row.policy) = ("auto".into(), Some("auto".into()));
            row
        };
        let asked = [answer("small", &[("judge", 0.25)]), answer("large", &[("judge", 1.0)])];
        let rows =
            [&asked[..], &[routed(answer("large", &[("human", 0.0)])), answer("other", &[("human", 1.0)])]].concat();

        let (rows, _) = written(sides(), &rows, "", &[("human", 0.0)]);

        assert_eq!((&rows[0]["source"], &rows[0]["weight"]), (&json!("judge"), &json!(1.0)), "{rows:?}");
    }

    #[test]
    fn without_sides_a_row_has_the_score_of_every_model() {
        let rows = [answer("small", &[("choice", 0.0)]), answer("other", &[("number", 1.0)])];

        let (rows, counts) = written(None, &rows, "", &[]);

        assert_eq!(rows[0]["scores"], json!({"small": 0.0, "other": 1.0}));
        assert_eq!(counts.written["choice+number"], 1);
    }

    #[test]
    fn votes_and_comparisons_are_rows_beside_judged_ones() {
        let votes = concat!(
            r#"{"prompt":"q","model_a":"small","model_b":"large","winner":"b"}"#,
            "\n",
            r#"{"prompt":"r","model_a":"large","model_b":"small","winner":"tie"}"#,
            "\n",
            r#"{"prompt":"s","model_a":"large","model_b":"third","winner":"a"}"#,
        );
        let rows = [answer("small", &[("pairwise", 1.0), ("judge", 0.5)]), answer("large", &[("judge", 1.0)])];

        let (rows, counts) = written(sides(), &rows, votes, &[("votes", 0.5)]);

        let seen: Vec<Value> = rows
            .iter()
            .map(|row| json!([row["source"], row["strong_correct"], row["weak_correct"], row["weight"]]))
            .collect();
        let expected = [
            json!(["judge", 1.0, 0.5, 1.0]),
            json!(["pairwise", 0.0, 1.0, 1.0]),
            json!(["votes", 1.0, 0.0, 0.5]),
            json!(["votes", 0.5, 0.5, 0.5]),
        ];
        assert_eq!(seen, expected);
        assert_eq!(counts.other_votes, 1);
    }

    #[test]
    fn a_prompt_with_one_side_and_a_source_without_weight_are_counted() {
        let vote = r#"{"prompt":"q","model_a":"small","model_b":"large","winner":"b"}"#;

        let (rows, counts) = written(sides(), &[answer("small", &[("judge", 0.5)])], vote, &[("votes", 0.0)]);

        assert_eq!((rows.len(), counts.one_sided, counts.weightless), (0, 1, 1));
    }

    #[test]
    fn ungraded_pairs_give_no_row() {
        let (rows, _) = written(sides(), &[answer("small", &[]), answer("large", &[])], "", &[]);

        assert!(rows.is_empty());
    }
}
