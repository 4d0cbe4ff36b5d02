use std::io::Write as _;

use super::*;

/// Two models: `a` is right at easy rows, `b` at hard ones and at half of the easy ones.
fn rows() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    for number in 0..400 {
        let (task, a, b) = if number % 2 == 0 { ("easy", 1, (number / 2) % 2) } else { ("hard", 0, 1) };
        writeln!(file, r#"{{"prompt": "p{number}", "task": "{task}", "scores": {{"a": {a}, "b": {b}}}}}"#)
            .expect("a line");
    }
    file
}

fn simulation(data: &tempfile::NamedTempFile) -> BanditSimulation {
    BanditSimulation {
        data: data.path().to_owned(),
        label: Some("task".to_owned()),
        bundle: None,
        keys: String::new(),
        requests: 3000,
        streams: 3,
        seed: 7,
        drift: None,
    }
}

#[tokio::test]
async fn a_bandit_with_labels_beats_the_best_single_model_and_comes_near_the_best_of_each_label() {
    let data = rows();

    let report = simulation(&data).run().await.expect("rows");

    assert_eq!(report.best_single_model, "b");
    assert!(report.bandit.mean > report.best_single.mean + 0.15, "{report:?}");
    assert!(report.bandit.mean > report.best_by_label.mean - 0.04, "{report:?}");
    assert!(report.oracle.mean >= report.best_by_label.mean && report.random.mean < report.bandit.mean);
    let regret = report.regret;
    assert!((regret.best_single.mean - (report.best_single.mean - report.bandit.mean)).abs() < 1e-9, "{regret:?}");
    assert!(regret.oracle.mean > 0.0 && regret.oracle.low <= regret.oracle.mean, "{regret:?}");
    assert_eq!((report.utility, regret.utility), (None, None));
}

#[tokio::test]
async fn without_labels_it_comes_near_the_best_single_model() {
    let data = rows();

    let report = BanditSimulation { label: None, ..simulation(&data) }.run().await.expect("rows");

    assert!((report.bandit.mean - report.best_single.mean).abs() < 0.05, "{report:?}");
}

#[tokio::test]
async fn a_model_that_gets_worse_is_noticed_and_left() {
    let data = rows();
    let drift = Some(ModelDrift { model: "a".to_owned(), factor: 0.2 });

    let report = BanditSimulation { drift, ..simulation(&data) }.run().await.expect("rows");

    assert_eq!((report.noticed, report.false_alarms), (3, 0), "{report:?}");
    assert!(report.noticed_after.is_some_and(|rewards| rewards <= 300.0), "{report:?}");
    assert!(report.bandit_by_tenth[9] > 0.7, "{report:?}");
}

#[tokio::test]
async fn one_seed_gives_one_report() {
    let data = rows();

    assert_eq!(simulation(&data).run().await.expect("rows"), simulation(&data).run().await.expect("rows"));
}

#[tokio::test]
async fn rows_without_scores_and_unknown_models_and_keys_are_errors_that_say_where() {
    let mut bad = tempfile::NamedTempFile::new().expect("a file");
    writeln!(bad, "{{\"prompt\": \"p\", \"scores\": {{\"a\": 1}}}}\n{{\"prompt\": \"p\"}}").expect("lines");
    let error = BanditSimulation { label: None, ..simulation(&bad) }.run().await.expect_err("no scores");
    assert!(error.to_string().contains("line 2"), "{error}");

    let data = rows();
    let drift = Some(ModelDrift { model: "c".to_owned(), factor: 0.0 });
    let error = BanditSimulation { drift, ..simulation(&data) }.run().await.expect_err("no such model");
    assert!(error.to_string().contains("allowed: a, b"), "{error}");

    let keys = "memoria: 3".to_owned();
    assert!(BanditSimulation { keys, ..simulation(&data) }.run().await.is_err());
}
