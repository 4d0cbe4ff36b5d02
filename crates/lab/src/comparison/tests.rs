use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::statistics::arena_score;

/// An answer of a model, or of the policy `auto` that chose it.
fn answer(id: &str, asked: &str, (model, quality): (&str, f64)) -> Value {
    let cost = if model == "large" { 0.04 } else { 0.01 };
    let mut row = json!({
        "kind": "answer", "id": id, "prompt": format!("prompt {id}"), "asked": asked, "model": model,
        "answer": "x", "cost_usd": cost, "duration_ms": cost * 1000.0,
        "grades": [{"grader": "choice", "score": quality, "correct": quality > 0.5}],
    });
    if asked == "auto" {
        row["policy"] = json!("auto");
        row["label"] = json!(if model == "large" { "complex" } else { "simple" });
        row["score"] = json!(0.9);
        row["overhead_us"] = json!(2_000);
        row["judge_cost_usd"] = json!(0.001);
    }
    row
}

/// Four prompts: small is right on a and c, large on all but d, which nobody gets right; auto sends a and b to large.
fn answers() -> Vec<Value> {
    let truth = [("a", 1.0, 1.0), ("b", 0.0, 1.0), ("c", 1.0, 1.0), ("d", 0.0, 0.0)];
    let rows = truth.iter().flat_map(|(id, small, large)| {
        let chosen = if ["a", "b"].contains(id) { ("large", *large) } else { ("small", *small) };
        [answer(id, "small", ("small", *small)), answer(id, "large", ("large", *large)), answer(id, "auto", chosen)]
    });
    rows.collect()
}

async fn compared(rows: &[Value], request: ComparisonRequest) -> Result<Comparison, ComparisonError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("answers.jsonl");
    let text = rows.iter().fold(String::new(), |mut text, row| {
        writeln!(text, "{row}").expect("writing to a string");
        text
    });
    fs::write(&path, text).expect("written");
    Comparison::run(&ComparisonRequest { answers: path, seed: 7, ..request }, &mut [], |_, _| {}).await
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[tokio::test]
async fn a_router_stands_beside_models_chance_length_and_the_oracle() {
    let Comparison { report, .. } = compared(&answers(), ComparisonRequest::default()).await.expect("figures");

    let router = &report.routers[0];
    assert_eq!((report.n, report.answers, &*report.strong, &*report.weak), (4, 12, "large", "small"));
    assert_eq!((report.models[0].quality, report.models[1].quality), (0.75, 0.5));
    assert_eq!((report.oracle.quality, report.random.quality, router.figures.quality), (0.75, 0.625, 0.75));
    // Two answers of large and two of small, and a judge for each.
    assert!(close(router.figures.cost_usd.expect("priced"), 0.026), "{router:?}");
    assert!(close(router.figures.judge_cost_usd, 0.001) && close(report.oracle.cost_usd.expect("priced"), 0.0175));
    assert_eq!((router.figures.shares["large"], router.figures.pgr), (0.5, Some(1.0)));
    let score = arena_score(0.75, router.figures.cost_usd.expect("priced"));
    assert_eq!(router.figures.arena_score, Some(score));
    let against = router.against.iter().find(|other| other.name == "large").expect("beside large");
    assert!(close(against.quality, 0.0) && close(against.cost_share.expect("priced"), 0.65), "{against:?}");
    let names: Vec<&str> = router.against.iter().map(|other| &*other.name).collect();
    assert_eq!(names, ["small", "large", "random", "oracle", "length", "random at its shares"]);
}

#[tokio::test]
async fn times_are_those_of_each_answer_and_a_choice_s_part_is_told() {
    let Comparison { report, .. } = compared(&answers(), ComparisonRequest::default()).await.expect("figures");

    let router = &report.routers[0].figures;
    let latency = router.latency_ms.expect("times");
    assert_eq!((latency.n, latency.p50), (4, 25.0));
    assert_eq!(router.overhead_us.map(|times| times.p50), Some(2_000.0));
    assert_eq!(report.random.latency_ms.map(|times| times.n), Some(8));
}

#[tokio::test]
async fn choices_are_judged_by_what_every_model_answered() {
    let comparison = compared(&answers(), ComparisonRequest::default()).await.expect("figures");

    let verdicts: Vec<ChoiceVerdict> = comparison.routers[0].choices.iter().map(|judged| judged.verdict).collect();
    use ChoiceVerdict::{Dear, Right};
    assert_eq!(verdicts, [Dear, Right, Right, Right]);
    let counts = comparison.report.routers[0].choices;
    assert_eq!((counts.wrong, counts.dear, counts.right, counts.right_at_stake), (0, 1, 3, 1));
    let labels = &comparison.report.routers[0].labels;
    assert_eq!((labels["complex"].n, labels["simple"].quality, labels["complex"].models["small"]), (2, 0.5, 0.5));
}

#[tokio::test]
async fn prompts_that_not_everybody_answered_or_nobody_graded_are_left_out_and_counted() {
    let mut rows = answers();
    rows.retain(|row| !(row["id"] == "a" && row["asked"] == "small"));
    rows.iter_mut().filter(|row| row["id"] == "b" && row["asked"] == "auto").for_each(|row| row["grades"] = json!([]));

    let Comparison { report, .. } = compared(&rows, ComparisonRequest::default()).await.expect("figures");

    assert_eq!(report.n, 2);
    assert_eq!(
        json!(report.left_out),
        json!({"contaminated": 0, "unanswered": {"small": 1}, "ungraded": {"auto": 1}, "undecided": {}})
    );
}

#[tokio::test]
async fn a_failed_answer_counts_as_worth_nothing() {
    let mut rows = answers();
    let failed =
        rows.iter_mut().find(|row| row["asked"] == "large").expect("an answer").as_object_mut().expect("a row");
    failed.remove("answer");
    failed.insert("error".to_owned(), json!({"code": "timeout", "message": "late"}));

    let Comparison { report, .. } = compared(&rows, ComparisonRequest::default()).await.expect("figures");

    let large = report.models.iter().find(|model| model.name == "large").expect("large");
    assert_eq!((report.n, large.quality), (4, 0.5));
}

#[tokio::test]
async fn outcomes_of_several_models_are_answers_without_texts() {
    let row = |small: f64, large: f64| json!({"prompt": "p", "scores": {"small": small, "large": large}, "cost_usd": {"small": 0.01, "large": 0.04}});

    let mut known = row(0.0, 0.0);
    known["contaminated"] = json!(true);
    let rows = [row(1.0, 1.0), known, row(0.0, 1.0)];
    let Comparison { report, prompts, .. } = compared(&rows, ComparisonRequest::default()).await.expect("figures");

    assert_eq!((report.n, prompts.len(), report.routers.len(), report.left_out.contaminated), (2, 2, 0, 1));
    assert_eq!((report.models[0].quality, report.oracle.cost_usd), (1.0, Some(0.025)));
}

#[tokio::test]
async fn models_that_are_named_are_compared_alone_and_one_is_too_few() {
    let request = ComparisonRequest { models: vec!["small".to_owned()], ..ComparisonRequest::default() };

    let error = compared(&answers(), request).await.expect_err("one model").to_string();

    assert!(error.contains("answers of small are all there are"), "{error}");
}

#[tokio::test]
async fn a_file_without_a_complete_prompt_says_what_is_missing() {
    let mut rows = answers();
    rows.retain(|row| row["asked"] != "small" || row["id"] == "z");
    rows.push(answer("e", "small", ("small", 1.0)));

    let error = compared(&rows, ComparisonRequest::default()).await.expect_err("nothing").to_string();

    assert!(error.contains("no answer of small: 4") && error.contains("--models"), "{error}");
}

#[tokio::test]
async fn a_part_of_the_data_can_be_compared_alone() {
    let mut rows = answers();
    rows.iter_mut().filter(|row| row["id"] != "a").for_each(|row| row["split"] = json!("held_out"));
    let request = ComparisonRequest { split: Some("held_out".to_owned()), ..ComparisonRequest::default() };

    let Comparison { report, .. } = compared(&rows, request).await.expect("figures");

    assert_eq!(report.n, 3);
}

#[tokio::test]
async fn a_split_that_no_row_says_is_refused_with_those_that_are_there() {
    let mut rows = answers();
    rows.iter_mut().filter(|row| row["id"] != "a").for_each(|row| row["split"] = json!("held_out"));
    let request = ComparisonRequest { split: Some("heldout".to_owned()), ..ComparisonRequest::default() };

    let error = compared(&rows, request).await.expect_err("no such split").to_string();

    assert!(error.contains("is of the split `heldout` (there are: held_out, none)"), "{error}");
}

#[tokio::test]
async fn answers_that_nobody_graded_are_refused_although_some_failed() {
    let mut rows = answers();
    rows.iter_mut().for_each(|row| row["grades"] = json!([]));
    rows.iter_mut().filter(|row| row["id"] == "a").for_each(|row| {
        row["error"] = json!({"code": "upstream_unavailable", "message": "gone"});
    });

    let error = compared(&rows, ComparisonRequest::default()).await.expect_err("no grades").to_string();

    assert!(error.contains("holds no graded answer (`pointsman grade` grades answers)"), "{error}");
}
