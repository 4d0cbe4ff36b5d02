//! One run: rows pass in their order, each gets its grades, and the whole becomes the output at once.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use futures::{StreamExt, stream};
use serde_json::{Map, Value};

use super::marks::HumanMarks;
use super::pairwise::{self, AnswerPair};
use super::panel::{PanelQuestion, PanelState, shown};
use super::reference::{self, ExactCheck};
use super::references::{GivenReference, ReferenceTable};
use super::report::{GradeCounts, GradeReport, GradeTally, JudgeCounts};
use super::training_rows::TrainingRowTable;
use super::{AnswerOrigin, ExactGrader, FailedAnswers, GradeError, GradeRun, GraderKind};
use crate::answers::{AnswerGrade, AnswerRow, AnswerRows};
use crate::dataset::DataIdentity;
use crate::dataset::asked::AskedPrompt;

/// A run under way.
struct GradeState<'g> {
    run: &'g GradeRun,
    panel: Option<PanelState<'g>>,
    /// The baseline's answers by prompt.
    baseline: HashMap<String, String>,
    references: ReferenceTable,
    marks: HumanMarks,
}

/// The place of an answer's row in its file.
#[derive(Clone, Copy)]
struct RowPlace<'p> {
    path: &'p Path,
    line: u64,
}

/// A row with its new grades, and what could not be graded about it.
struct GradedRow {
    row: AnswerRow,
    has_given_reference: bool,
    commands_not_allowed: bool,
    without_baseline: bool,
}

impl GradeRun {
    /// Grades; `progress` hears of each row.
    ///
    /// # Errors
    /// When a file cannot be used, a reference cannot be read, or a judge refuses or is silent for good. Verdicts of
    /// judges stay, and another run goes on from there.
    pub async fn run(&self, mut progress: impl FnMut(&GradeCounts)) -> Result<GradeReport, GradeError> {
        self.check()?;
        let state = GradeState::open(self)?;
        let mut tally = GradeTally::new(&self.weights);
        let mut table = self.rows.as_ref().map(|rows| TrainingRowTable::new(rows, &self.weights));
        let mut marked = HashSet::new();
        let mut answers = AnswerRows::open(&self.answers)?;
        let half = half_path(&self.out);
        let refuse = GradeError::output(&half);
        let mut out = BufWriter::new(self.output(&half).map_err(&refuse)?);
        {
            let rows = std::iter::from_fn(|| Some(answers.next()?.map(|row| (answers.line(), row))));
            let graded = stream::iter(rows).map(async |read| {
                let (line, row) = read?;
                state.graded(line, row).await
            });
            let mut graded = Box::pin(graded.buffered(self.concurrency.max(1)));
            while let Some(graded) = graded.next().await {
                let GradedRow { row, has_given_reference, commands_not_allowed, without_baseline } = graded?;
                tally.counts.references += u64::from(has_given_reference);
                tally.counts.truncated += u64::from(row.is_truncated());
                tally.counts.commands_not_allowed += u64::from(commands_not_allowed);
                tally.counts.without_baseline += u64::from(without_baseline);
                if row.grades.iter().any(|grade| grade.grader == GraderKind::Human.as_str()) {
                    marked.insert([row.id.clone(), row.asked.clone()]);
                }
                tally.add(&row);
                table.iter_mut().for_each(|table| table.add(&row));
                serde_json::to_writer(&mut out, &row).map_err(io::Error::from).map_err(&refuse)?;
                out.write_all(b"\n").map_err(&refuse)?;
                progress(&tally.counts);
            }
        }
        out.flush().map_err(&refuse)?;
        fs::rename(&half, &self.out).map_err(GradeError::output(&self.out))?;
        tally.counts.marks_left = state.marks.left(&marked);
        tally.counts.references_left = state.references.left();
        tally.counts.judges = state.panel.as_ref().map(judge_counts);
        let mut report = tally.report(DataIdentity::new(&self.answers, answers.sha256()), self.seed);
        report.rows = table.map(TrainingRowTable::write).transpose()?;
        Ok(report)
    }
}

impl GradeRun {
    /// Makes the file of the graded answers; nobody else may read what people asked in production.
    fn output(&self, path: &Path) -> io::Result<File> {
        let mode = match self.origin {
            AnswerOrigin::Rows => 0o666,
            AnswerOrigin::DecisionLog => 0o600,
        };
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)
    }
}

impl<'g> GradeState<'g> {
    fn open(run: &'g GradeRun) -> Result<Self, GradeError> {
        Ok(Self {
            panel: run.panel.as_ref().map(|panel| PanelState::open(panel, &run.out)).transpose()?,
            baseline: match &run.baseline {
                Some(model) if run.panel.is_some() && run.uses(GraderKind::Pairwise) => baseline(&run.answers, model)?,
                _ => HashMap::new(),
            },
            references: run.references.as_deref().map(ReferenceTable::read).transpose()?.unwrap_or_default(),
            marks: run.marks.as_deref().map(HumanMarks::read).transpose()?.unwrap_or_default(),
            run,
        })
    }

    /// Gives a row its grades. One that it has from the same grader, and judge, is replaced.
    async fn graded(&self, line: u64, mut row: AnswerRow) -> Result<GradedRow, GradeError> {
        let given = if row.reference.is_none() { self.references.of(&row) } else { None };
        let place = match given {
            Some(GivenReference { line, reference, .. }) => {
                row.reference = Some(reference.clone());
                RowPlace { path: self.references.path(), line: *line }
            }
            None => RowPlace { path: &self.run.answers, line },
        };
        let (mut grades, mut commands_not_allowed, mut without_baseline) = (Vec::new(), false, false);
        match row.text().filter(|text| !text.is_empty()) {
            // Half of an answer may be right where the whole is wrong.
            _ if row.is_truncated() => {}
            None => grades.extend(self.of_failed(&row)),
            Some(answer) => {
                for grader in ExactGrader::ALL.into_iter().filter(|grader| self.run.uses(grader.kind())) {
                    let Some(check) = self.check(grader, place, &row)? else { continue };
                    let grade = check.grade(answer, self.run.commands.as_ref()).await?;
                    commands_not_allowed |= grade.is_none();
                    grades.extend(grade);
                }
                let is_graded = !grades.is_empty() || commands_not_allowed;
                grades.extend(self.judged(&row, answer, is_graded).await?);
                match self.compared(&row, answer).await? {
                    Some(compared) => grades.extend(compared),
                    None => without_baseline = true,
                }
            }
        }
        if self.run.uses(GraderKind::Human) {
            grades.extend(self.marks_of(&row));
        }
        row.grades.retain(|old| !grades.iter().any(|new| replaces(new, old)));
        row.grades.extend(grades);
        Ok(GradedRow { row, has_given_reference: given.is_some(), commands_not_allowed, without_baseline })
    }

    /// Returns the grade of a request without an answer's text.
    fn of_failed(&self, row: &AnswerRow) -> Option<AnswerGrade> {
        let is_answer = row.error.is_none() && !row.tool_calls.is_empty();
        if is_answer || self.run.failed == FailedAnswers::Leave && row.error.is_some() {
            return None;
        }
        let grader = ExactGrader::ALL.into_iter().find(|grader| {
            row.reference.as_ref().is_some_and(|reference| reference.contains_key(grader.kind().as_str()))
        });
        let reason = row.error.as_ref().map_or("the answer is empty", |_| "the request failed");
        Some(AnswerGrade {
            grader: grader.map_or(GraderKind::Judge, ExactGrader::kind).as_str().to_owned(),
            correct: Some(false),
            reason: Some(reason.to_owned()),
            ..AnswerGrade::default()
        })
    }

    fn check(
        &self,
        grader: ExactGrader,
        RowPlace { path, line }: RowPlace<'_>,
        row: &AnswerRow,
    ) -> Result<Option<ExactCheck>, GradeError> {
        let Some(reference) = &row.reference else { return Ok(None) };
        let check = ExactCheck::read(grader, reference, self.run.tolerance);
        check.map_err(|message| GradeError::Reference { path: path.to_owned(), line, message })
    }

    /// Returns the grades of the judges: where they were asked for, else where no other grader fits.
    async fn judged(&self, row: &AnswerRow, answer: &str, is_graded: bool) -> Result<Vec<AnswerGrade>, GradeError> {
        let Some(panel) = &self.panel else { return Ok(Vec::new()) };
        let is_asked = self.run.graders.contains(&GraderKind::Judge);
        let is_left = self.run.graders.is_empty() && !is_graded && self.run.baseline.is_none();
        if !is_asked && !is_left {
            return Ok(Vec::new());
        }
        let shown = shown(&asked(row), &reference::shown(row.reference.as_ref()), &[("answer", answer)]);
        let mut grades = Vec::new();
        for judge in &panel.panel.judges {
            let Some(verdict) = panel.verdict(judge, PanelQuestion::Quality, &shown).await? else { continue };
            let Some(graded) = verdict.level.and_then(|level| panel.panel.rubric.grade(level)) else { continue };
            let mut grade = AnswerGrade {
                grader: GraderKind::Judge.as_str().to_owned(),
                score: graded.quality,
                correct: Some(graded.suffices),
                reason: verdict.reason,
                judge: Some(judge.client.model().to_owned()),
                cost_usd: Some(verdict.cost_usd),
                ..AnswerGrade::default()
            };
            grade.other.insert("level".to_owned(), Value::from(graded.level));
            grades.push(grade);
        }
        Ok(grades)
    }

    /// Returns the comparisons with the baseline's answer; `None` where it has none.
    async fn compared(&self, row: &AnswerRow, answer: &str) -> Result<Option<Vec<AnswerGrade>>, GradeError> {
        let (Some(panel), Some(model)) = (&self.panel, &self.run.baseline) else { return Ok(Some(Vec::new())) };
        if !self.run.uses(GraderKind::Pairwise) {
            return Ok(Some(Vec::new()));
        }
        if row.answered_by() == model
            && (!row.is_routed() || self.baseline.get(&row.id).is_none_or(|own| own == answer))
        {
            return Ok(Some(vec![pairwise::of_baseline(model)]));
        }
        let Some(baseline) = self.baseline.get(&row.id) else { return Ok(None) };
        let (prompt, reference) = (asked(row), reference::shown(row.reference.as_ref()));
        let pair = AnswerPair { prompt: &prompt, reference, answer, baseline, against: model };
        pairwise::compare(panel, &pair).await.map(Some)
    }

    fn marks_of(&self, row: &AnswerRow) -> Vec<AnswerGrade> {
        self.marks.of(&row.id, &row.asked).to_vec()
    }
}

/// Returns whether a new grade takes the place of one that the row has.
fn replaces(new: &AnswerGrade, old: &AnswerGrade) -> bool {
    let against = |grade: &AnswerGrade| grade.other.get("against").cloned();
    new.grader == old.grader && new.judge == old.judge && against(new) == against(old)
}

/// Returns the baseline's answers by prompt.
fn baseline(path: &Path, model: &str) -> Result<HashMap<String, String>, GradeError> {
    let mut answers = HashMap::new();
    for row in AnswerRows::open(path)? {
        let row = row?;
        if row.asked == model || (row.is_routed() && row.answered_by() == model && !answers.contains_key(&row.id)) {
            answers.extend(row.text().map(|text| (row.id.clone(), text.to_owned())));
        }
    }
    if answers.is_empty() {
        return Err(GradeError::Settings(format!("no answer is by the baseline `{model}`")));
    }
    Ok(answers)
}

/// Returns what was asked, as a judge is shown it.
fn asked(row: &AnswerRow) -> String {
    let mut keys: Map<String, Value> = row.other.clone();
    keys.extend(row.prompt.clone().map(|prompt| ("prompt".to_owned(), Value::from(prompt))));
    keys.extend(row.messages.clone().map(|messages| ("messages".to_owned(), messages)));
    match AskedPrompt::take(&mut keys) {
        Ok(asked) if asked.history.is_empty() => asked.text,
        Ok(asked) => asked.transcript(),
        Err(_) => row.messages.as_ref().map(Value::to_string).or_else(|| row.prompt.clone()).unwrap_or_default(),
    }
}

fn judge_counts(panel: &PanelState<'_>) -> JudgeCounts {
    let counts = &panel.counts;
    JudgeCounts {
        asked: counts.asked.get(),
        known: counts.known.get(),
        failed: counts.failed.get(),
        refused: counts.refused.get(),
        cost_usd: counts.cost.get(),
        stopped_by_budget: counts.stopped_by_budget.get(),
    }
}

/// Returns the path of an output that is not whole yet.
fn half_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".half");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
