use serde_json::json;

use super::super::{AnswerOrigin, GradeRun};
use super::*;
use crate::answers::GraderWeights;

fn grading(folder: &tempfile::TempDir, rows: &[Value]) -> GradeRun {
    let answers = folder.path().join("answers.jsonl");
    fs::write(&answers, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("written");
    GradeRun {
        answers,
        origin: AnswerOrigin::Rows,
        out: folder.path().join("graded.jsonl"),
        graders: Vec::new(),
        tolerance: 0.0,
        commands: None,
        panel: None,
        baseline: None,
        references: None,
        marks: None,
        failed: FailedAnswers::Leave,
        weights: GraderWeights::default(),
        rows: None,
        concurrency: 4,
        seed: 7,
    }
}

async fn graded(run: &GradeRun) -> Vec<AnswerRow> {
    run.run(|_| {}).await.expect("graded");
    AnswerRows::open(&run.out).expect("a file").map(|row| row.expect("a row")).collect()
}

fn answer(id: &str, reference: &Value, text: &str) -> Value {
    json!({"id": id, "asked": "m", "prompt": "p", "answer": text, "reference": reference})
}

#[tokio::test]
async fn rows_keep_their_order_and_their_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows: Vec<Value> = (0..20).map(|id| answer(&id.to_string(), &json!({"number": id}), "7")).collect();
    let mut rows = rows;
    rows[3]["subject"] = json!("maths");

    let graded = graded(&grading(&folder, &rows)).await;

    let right: Vec<&str> = graded.iter().filter(|row| row.grades[0].score == 1.0).map(|row| &*row.id).collect();
    assert_eq!((right, graded.len(), &graded[3].other["subject"]), (vec!["7"], 20, &json!("maths")));
    assert!(!folder.path().join("graded.jsonl.half").exists());
}

#[tokio::test]
async fn a_grade_of_the_same_grader_is_replaced_and_others_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut row = answer("a", &json!({"choice": "B"}), "B");
    row["grades"] = json!([{"grader": "choice", "score": 0.0}, {"grader": "judge", "judge": "j", "score": 0.5}]);

    let graded = graded(&grading(&folder, &[row])).await;

    let grades: Vec<(&str, f64)> = graded[0].grades.iter().map(|grade| (&*grade.grader, grade.score)).collect();
    assert_eq!(grades, [("judge", 0.5), ("choice", 1.0)]);
}

#[tokio::test]
async fn several_checks_of_one_reference_are_several_grades() {
    let folder = tempfile::tempdir().expect("a folder");
    let reference = json!({"pattern": "apples$", "number": 3});

    let graded = graded(&grading(&folder, &[answer("a", &reference, "3 pears")])).await;

    assert_eq!(graded[0].quality(&GraderWeights::default()), Some(0.5));
}

#[tokio::test]
async fn a_failed_request_has_no_grade_or_0_and_an_empty_answer_has_0() {
    let folder = tempfile::tempdir().expect("a folder");
    let failed = json!({"id": "f", "asked": "m", "prompt": "p", "reference": {"choice": "B"}, "error": {"code": "timeout", "message": "late"}});
    let run = grading(&folder, &[failed, answer("e", &json!({"choice": "B"}), "")]);
    let scores = |rows: Vec<AnswerRow>| -> Vec<Option<f64>> {
        rows.iter().map(|row| row.quality(&GraderWeights::default())).collect()
    };

    let left = scores(graded(&run).await);
    let zero = scores(graded(&GradeRun { failed: FailedAnswers::Zero, ..run }).await);

    assert_eq!((left, zero), (vec![None, Some(0.0)], vec![Some(0.0), Some(0.0)]));
}

#[tokio::test]
async fn graders_that_were_not_asked_for_do_not_grade() {
    let folder = tempfile::tempdir().expect("a folder");
    let reference = json!({"pattern": "apples$", "number": 3});
    let run = GradeRun { graders: vec![GraderKind::Number], ..grading(&folder, &[answer("a", &reference, "3 pears")]) };

    let graded = graded(&run).await;

    assert_eq!(graded[0].grades.iter().map(|grade| &*grade.grader).collect::<Vec<_>>(), ["number"]);
}

#[tokio::test]
async fn an_answer_that_was_written_in_part_is_read_by_no_grader_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut row = answer("a", &json!({"number": 42}), "The answer is 4");
    row["answer_truncated"] = json!(true);
    let run = GradeRun { failed: FailedAnswers::Zero, ..grading(&folder, &[row]) };

    let report = run.run(|_| {}).await.expect("graded");

    assert_eq!((report.counts.truncated, report.counts.graded, report.counts.ungraded), (1, 0, 1));
}

#[tokio::test]
async fn a_reference_of_another_file_fits_answers_without_one_and_is_named_with_that_file_where_it_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let references = folder.path().join("references.jsonl");
    let write = |right: Value| {
        let lines = [json!({"id": "a", "prompt": "x", "reference": {"number": right}}), json!({"prompt": "nothing"})];
        fs::write(&references, lines.map(|line| format!("{line}\n")).concat()).expect("written");
    };
    let (mut bare, own) = (answer("a", &Value::Null, "7"), answer("a", &json!({"number": 8}), "7"));
    bare.as_object_mut().expect("an object").remove("reference");
    let run = GradeRun { references: Some(references.clone()), ..grading(&folder, &[bare, own]) };

    write(json!(7));
    let report = run.run(|_| {}).await.expect("graded");
    write(json!("many"));
    let error = run.run(|_| {}).await.expect_err("no number").to_string();

    assert_eq!((report.counts.references, report.counts.references_left), (1, 0));
    assert_eq!(report.graders["number"].correct, 1, "a row's own reference counts");
    assert!(error.contains("references.jsonl` line 1: reference: `number`"), "{error}");
}

#[test]
fn a_conversation_is_shown_turn_by_turn_and_a_prompt_as_it_is() {
    let turns = json!([
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
    ]);

    let chat = AnswerRow { messages: Some(turns), ..AnswerRow::default() };
    let prompt = AnswerRow { prompt: Some("just this".into()), ..AnswerRow::default() };

    assert_eq!((asked(&chat), asked(&prompt)), ("user: a\n\nassistant: b\n\nuser: c".into(), "just this".into()));
}
