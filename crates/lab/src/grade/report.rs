//! The report of a run: what was graded by whom, how good each model's answers are, and how far judges agree.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::shadow_pairs::{ShadowPairFigures, ShadowPairs};
use super::training_rows::TrainingRowCounts;
use crate::answers::{AnswerGrade, AnswerRow, GraderWeights};
use crate::dataset::DataIdentity;
use crate::statistics::{ConfidenceInterval, ItemRatings, RESAMPLES, RandomDraws, RaterAgreement};

/// The report of a grading run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GradeReport {
    /// The file that was graded.
    pub data: DataIdentity,
    /// The counts of the run.
    #[serde(flatten)]
    pub counts: GradeCounts,
    /// The grades by grader.
    pub graders: BTreeMap<String, GraderCounts>,
    /// The figures of each model and policy that was asked.
    pub asked: BTreeMap<String, TargetFigures>,
    /// Served answers beside the shadow answers to the same requests, where both have grades.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowPairFigures>,
    /// The agreement of judges and people, where two of them graded the same answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<JudgeAgreement>,
    /// The rows to learn from, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<TrainingRowCounts>,
}

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GradeCounts {
    /// Answers that were read.
    pub answers: u64,
    /// Answers with a grade.
    pub graded: u64,
    /// Answers without a grade.
    pub ungraded: u64,
    /// Requests among them that failed.
    pub failed: u64,
    /// Answers whose tests were not run, because no command may.
    pub commands_not_allowed: u64,
    /// Answers that could not be compared: the baseline has none to the same prompt.
    pub without_baseline: u64,
    /// Answers of which only the beginning was written; no grader reads them.
    pub truncated: u64,
    /// Answers whose reference stands in the file of references.
    pub references: u64,
    /// References in that file that fit no answer.
    pub references_left: u64,
    /// Marks of people that fit no answer.
    pub marks_left: u64,
    /// The questions to judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judges: Option<JudgeCounts>,
}

/// Counts of questions to judges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct JudgeCounts {
    /// Verdicts that judges gave in this run.
    pub asked: u64,
    /// Verdicts that were known: of a run before, or of an equal question.
    pub known: u64,
    /// Questions without a verdict that could be used; another run asks again.
    pub failed: u64,
    /// Questions that a judge refused.
    pub refused: u64,
    /// US dollars that this run cost, where prices are known.
    pub cost_usd: f64,
    /// True when the budget ended the questions.
    pub stopped_by_budget: bool,
}

/// The grades of one grader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GraderCounts {
    /// Grades.
    pub grades: u64,
    /// Grades that say that the answer is right.
    pub correct: u64,
    /// Grades of answers that could not be read; their score is 0.
    pub unclear: u64,
}

/// The figures of a model or policy that was asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TargetFigures {
    /// Answers and failures.
    pub answers: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Answers with a grade.
    pub graded: u64,
    /// Answers that could not be read.
    pub unclear: u64,
    /// The mean quality, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// The interval of the quality, over prompts that are drawn with replacement.
    #[serde(rename = "quality_ci95", skip_serializing_if = "Option::is_none")]
    pub interval: Option<ConfidenceInterval>,
    /// The comparisons with the baseline, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairwise: Option<PairwiseFigures>,
}

/// Counts of comparisons with a baseline's answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PairwiseFigures {
    /// Comparisons that were won in both orders.
    pub wins: u64,
    /// Comparisons that were neither won nor lost.
    pub ties: u64,
    /// Comparisons that were lost in both orders.
    pub losses: u64,
    /// Ties among them in which the orders disagree: the judge went by the place.
    pub orders_disagree: u64,
}

/// Agreement of judges, and of people where they gave marks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeAgreement {
    /// Agreement on the level, such as 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<RaterAgreement>,
    /// Agreement on whether the answer suffices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct: Option<RaterAgreement>,
    /// Agreement on the winner of pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairwise: Option<RaterAgreement>,
}

/// What the rows of a run add up to.
#[derive(Debug, Default)]
pub(super) struct GradeTally {
    pub(super) counts: GradeCounts,
    weights: GraderWeights,
    graders: BTreeMap<String, GraderCounts>,
    asked: BTreeMap<String, TargetTally>,
    shadows: ShadowPairs,
    levels: Vec<ItemRatings>,
    correct: Vec<ItemRatings>,
    pairs: Vec<ItemRatings>,
}

#[derive(Debug, Default)]
struct TargetTally {
    figures: TargetFigures,
    /// The sum of qualities of each prompt's answers, and their number.
    prompts: BTreeMap<String, QualitySum>,
}

#[derive(Debug, Default, Clone, Copy)]
struct QualitySum {
    sum: f64,
    n: f64,
}

impl GradeTally {
    pub(super) fn new(weights: &GraderWeights) -> Self {
        Self { weights: weights.clone(), ..Self::default() }
    }

    /// Takes a row with its grades.
    pub(super) fn add(&mut self, row: &AnswerRow) {
        let quality = row.quality(&self.weights);
        self.counts.answers += 1;
        *(if quality.is_some() { &mut self.counts.graded } else { &mut self.counts.ungraded }) += 1;
        let tally = self.asked.entry(row.asked.clone()).or_default();
        tally.figures.answers += 1;
        if row.error.is_some() {
            self.counts.failed += 1;
            tally.figures.failed += 1;
        }
        tally.figures.unclear += u64::from(row.grades.iter().any(|grade| grade.unclear));
        if let Some(quality) = quality {
            self.shadows.add(row, quality);
            tally.figures.graded += 1;
            let prompt = tally.prompts.entry(row.id.clone()).or_default();
            (prompt.sum, prompt.n) = (prompt.sum + quality, prompt.n + 1.0);
        }
        for grade in &row.grades {
            let counts = self.graders.entry(grade.grader.clone()).or_default();
            counts.grades += 1;
            counts.correct += u64::from(grade.correct == Some(true));
            counts.unclear += u64::from(grade.unclear);
            tally.figures.compare(grade);
        }
        self.rate(&row.grades);
    }

    /// Takes what raters said of one answer.
    fn rate(&mut self, grades: &[AnswerGrade]) {
        let mut ratings = [ItemRatings::new(), ItemRatings::new(), ItemRatings::new()];
        for grade in grades.iter().filter(|grade| matches!(&*grade.grader, "judge" | "human" | "pairwise")) {
            let rater = grade.judge.clone().unwrap_or_else(|| grade.grader.clone());
            if grade.grader == "pairwise" {
                let outcome = grade.judge.as_ref().map(|_| (grade.score * 2.0) as i64);
                ratings[2].extend(outcome.map(|outcome| (rater, outcome)));
                continue;
            }
            let level = grade.other.get("level").and_then(Value::as_i64);
            ratings[0].extend(level.map(|level| (rater.clone(), level)));
            ratings[1].extend(grade.correct.map(|correct| (rater, i64::from(correct))));
        }
        for (all, ratings) in [&mut self.levels, &mut self.correct, &mut self.pairs].into_iter().zip(ratings) {
            all.extend((ratings.len() > 1).then_some(ratings));
        }
    }

    /// Returns the report.
    pub(super) fn report(self, data: DataIdentity, seed: u64) -> GradeReport {
        let agreement = |items: &[ItemRatings]| RaterAgreement::of(items, seed);
        let agreement = JudgeAgreement {
            levels: agreement(&self.levels),
            correct: agreement(&self.correct),
            pairwise: agreement(&self.pairs),
        };
        let JudgeAgreement { levels, correct, pairwise } = &agreement;
        let is_some = levels.is_some() || correct.is_some() || pairwise.is_some();
        GradeReport {
            data,
            counts: self.counts,
            graders: self.graders,
            shadow: self.shadows.figures(),
            asked: self.asked.into_iter().map(|(name, tally)| (name, tally.figures(seed))).collect(),
            agreement: is_some.then_some(agreement),
            rows: None,
        }
    }
}

impl TargetFigures {
    /// Counts a comparison; one with itself is none.
    fn compare(&mut self, grade: &AnswerGrade) {
        let Some(orders) = grade.other.get("orders").and_then(Value::as_array) else { return };
        let figures = self.pairwise.get_or_insert_default();
        let count = match grade.other.get("outcome").and_then(Value::as_str) {
            Some("win") => &mut figures.wins,
            Some("loss") => &mut figures.losses,
            _ => &mut figures.ties,
        };
        *count += 1;
        figures.orders_disagree += u64::from(orders.first() != orders.last());
    }
}

impl TargetTally {
    fn figures(self, seed: u64) -> TargetFigures {
        let prompts: Vec<QualitySum> = self.prompts.into_values().collect();
        let mean = |counts: &[u32]| {
            let (mut sum, mut n) = (0.0, 0.0);
            for (prompt, count) in prompts.iter().zip(counts) {
                sum += prompt.sum * f64::from(*count);
                n += prompt.n * f64::from(*count);
            }
            (n > 0.0).then(|| sum / n)
        };
        let quality = mean(&vec![1; prompts.len()]);
        let mut draws = RandomDraws::new(seed);
        let mut resampled = || (0..RESAMPLES).filter_map(|_| mean(&draws.counts(prompts.len()))).collect();
        let interval = quality.map(|_| ConfidenceInterval::of(resampled()));
        TargetFigures { quality, interval, ..self.figures }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: u32, asked: &str, grades: Vec<AnswerGrade>) -> AnswerRow {
        AnswerRow { id: id.to_string(), asked: asked.into(), answer: Some("x".into()), grades, ..AnswerRow::default() }
    }

    fn grade(grader: &str, score: f64) -> AnswerGrade {
        AnswerGrade { grader: grader.into(), score, correct: Some(score >= 0.75), ..AnswerGrade::default() }
    }

    fn judged(judge: &str, level: i64) -> AnswerGrade {
        let mut grade = AnswerGrade { judge: Some(judge.into()), ..grade("judge", (level - 1) as f64 / 4.0) };
        grade.other.insert("level".into(), json!(level));
        grade
    }

    fn report(rows: &[AnswerRow]) -> GradeReport {
        let mut tally = GradeTally::new(&GraderWeights::default());
        rows.iter().for_each(|row| tally.add(row));
        tally.report(DataIdentity { file: "answers.jsonl".into(), sha256: String::new() }, 7)
    }

    #[test]
    fn a_model_s_quality_is_the_mean_of_its_answers_with_an_interval_over_prompts() {
        let rows: Vec<AnswerRow> =
            (0..100).map(|id| row(id, "small", vec![grade("choice", f64::from(id % 4 / 3))])).collect();

        let figures = report(&rows).asked.remove("small").expect("figures");

        let interval = figures.interval.expect("an interval");
        assert_eq!((figures.graded, figures.quality), (100, Some(0.25)));
        assert!(interval.low < 0.25 && 0.25 < interval.high && interval.high - interval.low < 0.25, "{interval:?}");
    }

    #[test]
    fn what_has_no_grade_and_what_failed_is_counted_and_has_no_quality() {
        let failed = AnswerRow { error: Some(Default::default()), answer: None, ..row(1, "large", Vec::new()) };
        let unclear = AnswerGrade { unclear: true, ..grade("number", 0.0) };

        let report = report(&[failed, row(2, "large", vec![unclear]), row(3, "auto", Vec::new())]);

        let GradeCounts { answers, graded, ungraded, failed, .. } = report.counts;
        assert_eq!((answers, graded, ungraded, failed), (3, 1, 2, 1));
        assert_eq!((report.asked["large"].unclear, report.asked["auto"].quality), (1, None));
        assert_eq!(report.graders["number"], GraderCounts { grades: 1, correct: 0, unclear: 1 });
    }

    #[test]
    fn judges_and_people_are_compared_over_the_answers_that_they_share() {
        let human = AnswerGrade { judge: Some("Ada".into()), ..grade("human", 1.0) };
        let rows = [
            row(1, "m", vec![judged("one", 5), judged("two", 4), human]),
            row(2, "m", vec![judged("one", 1), judged("two", 1)]),
            row(3, "m", vec![judged("one", 3)]),
        ];

        let agreement = report(&rows).agreement.expect("two judges");

        let levels = &agreement.levels.expect("levels").pairs[0];
        assert_eq!((levels.n, levels.share, levels.within_one), (2, 0.5, 1.0));
        let correct = agreement.correct.expect("suffices");
        assert_eq!((correct.pairs.len(), correct.pairs[0].raters.clone()), (3, ["Ada".to_owned(), "one".to_owned()]));
        assert!(agreement.pairwise.is_none());
    }

    #[test]
    fn comparisons_are_counted_with_the_orders_that_disagree() {
        let compared = |score: f64, outcome: &str, orders: [&str; 2]| {
            let mut grade = grade("pairwise", score);
            grade.other.insert("outcome".into(), json!(outcome));
            grade.other.insert("orders".into(), json!(orders));
            grade
        };
        let rows = [
            row(1, "m", vec![compared(1.0, "win", ["win", "win"])]),
            row(2, "m", vec![compared(0.5, "tie", ["win", "loss"])]),
            row(3, "m", vec![compared(0.0, "loss", ["loss", "loss"])]),
        ];

        let figures = report(&rows).asked["m"].pairwise;

        assert_eq!(figures, Some(PairwiseFigures { wins: 1, ties: 1, losses: 1, orders_disagree: 1 }));
    }
}
