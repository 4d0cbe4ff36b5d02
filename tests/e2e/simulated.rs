//! A policy that learns from feedback, simulated on rows with outcomes beside what a fit knows beforehand.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::cli::{fit, pointsman, scores, text};

#[test]
fn simulate_sets_utility_by_the_heads_of_a_fit_beside_a_bandit_that_knows_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("fitted");
    let fitted = fit(&scores(), "success", &out, &["--inputs", "lexical", "--folds", "0"]);
    assert!(fitted.status.success(), "{fitted:?}");
    let [seen, other] = ["rows.jsonl", "other.jsonl"].map(|name| folder.path().join(name));
    fs::write(&other, format!("\n{}", scores())).expect("a writable folder");
    let simulate = |rows: &Path, keys: &str| {
        let [bundle, rows] = [&out, rows].map(|path| path.to_str().expect("a name").to_owned());
        pointsman(&[
            "simulate",
            "--bundle",
            &bundle,
            "--data",
            &rows,
            "--keys",
            keys,
            "--requests",
            "500",
            "--streams",
            "3",
            "--json",
        ])
    };

    let report = |simulated: &Output| -> Value {
        serde_json::from_slice(&simulated.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&simulated.stderr)))
    };
    let cold = report(&simulate(&other, "lambda: 0"));
    let warm = report(&simulate(&other, "lambda: 0, explore: 0, warm: {heads: success, weight: 100}"));
    let refused = simulate(&seen, "lambda: 0");

    let number = |value: &Value| value.as_f64().expect("a number");
    assert_eq!((number(&cold["utility"]["mean"]), number(&cold["oracle"]["mean"])), (1.0, 1.0), "{cold}");
    let lost = number(&cold["utility"]["mean"]) - number(&cold["bandit"]["mean"]);
    assert!(lost > 0.3 && (number(&cold["regret"]["utility"]["mean"]) - lost).abs() < 1e-9, "{cold}");
    assert!(number(&warm["bandit"]["mean"]) > 0.9, "a bandit that starts from the heads knows each prompt: {warm}");
    assert_eq!(refused.status.code(), Some(65));
    assert!(text(&refused.stderr).contains("learnt from these rows"), "{refused:?}");
}
