//! `pointsman fit` with weights of labels and rows, and with each loss for levels.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::training::{Folder, json, pointsman, text};

const LEVELS: [&str; 3] = ["low", "mid", "high"];

/// Writes prompts whose level shows in their words; one in ten is high, and one in four is of the next level by chance.
fn levels(folder: &Folder) -> PathBuf {
    let row = |i: usize| {
        let level = if i.is_multiple_of(10) { 2 } else { usize::from(i.is_multiple_of(3)) };
        let told = if i % 4 == 1 { (level + 1).min(2) } else { level };
        let words = ["hello there", "explain this carefully", "prove the theorem rigorously"][told];
        json!({"prompt": format!("{words} {}", "word ".repeat(1 + i % 7 + 4 * told)), "label": LEVELS[level]})
    };
    folder.write("levels.jsonl", &(0..600).map(|i| format!("{}\n", row(i))).collect::<String>())
}

/// Writes prompts of which those that ask for a proof are high one time in three, and mid else, as many others are.
fn doubtful(folder: &Folder) -> PathBuf {
    let row = |i: usize| {
        let asked = ["hello there", "explain this carefully", "prove the theorem"][i % 3];
        let label = if i % 9 == 2 { "high" } else { LEVELS[(i % 3).min(1)] };
        json!({"prompt": format!("{asked} {}", "word ".repeat(1 + i / 9 % 7)), "label": label})
    };
    folder.write("doubtful.jsonl", &(0..600).map(|i| format!("{}\n", row(i))).collect::<String>())
}

/// Fits over the default bundle's words and features, which needs no encoder; returns the folder and the report.
fn fit(folder: &Folder, rows: &Path, more: &[&str]) -> (PathBuf, Value) {
    let out = folder.write("x", "").with_file_name(format!("out{}", more.join("")));
    let output = run(&out, rows, more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    (out, json(&output))
}

fn run(out: &Path, rows: &Path, more: &[&str]) -> std::process::Output {
    let fixed: [&dyn AsRef<Path>; 13] = [
        &"fit",
        &"--base",
        &"models/pointsman-mini",
        &"--inputs",
        &"lexical",
        &"--fresh",
        &"--folds",
        &"3",
        &"--data",
        &rows,
        &"--out",
        &out,
        &"--task=tier",
    ];
    let more: Vec<&dyn AsRef<Path>> = more.iter().map(|more| more as &dyn AsRef<Path>).collect();
    pointsman(&[&fixed, &more[..]].concat())
}

#[test]
fn fit_learns_levels_by_each_loss_and_writes_a_bundle_that_verifies() {
    let folder = Folder::new();
    let rows = levels(&folder);

    for (loss, kind) in [("cross-entropy", "multinomial"), ("ordinal", "ordinal"), ("regression", "ordinal")] {
        let (out, report) = fit(&folder, &rows, &["--levels", "low,mid,high", "--loss", loss]);

        let figures = &report["cross_validation"]["full"];
        assert_eq!(report["loss"], loss.replace('-', "_"));
        assert!(figures["accuracy"].as_f64() > Some(0.65) && figures["level_error"].as_f64() < Some(0.4), "{figures}");
        let verified = pointsman(&[&"bundle", &"verify", &out]);
        assert!(verified.status.success(), "{}", text(&verified.stderr));
        let manifest: Value =
            serde_json::from_slice(&std::fs::read(out.join("bundle.yaml")).expect("a manifest")).expect("JSON is YAML");
        let words = manifest["heads"].as_array().into_iter().flatten().find(|head| head["name"] == "tier/words");
        assert!(words.is_none_or(|words| words["kind"] == kind), "{words:?}");
    }
}

#[test]
fn balanced_class_weights_find_more_of_a_rare_label() {
    let folder = Folder::new();
    let rows = doubtful(&folder);
    let recall = |classes: &str| {
        let (out, report) = fit(&folder, &rows, &["--levels", "low,mid,high", "--class-weights", classes]);
        assert_eq!(report["class_weights"], classes);
        let judged = json(&pointsman(&[&"eval", &"--bundle", &out, &"--head", &"tier", &"--data", &rows, &"--json"]));
        judged["classes"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|class| class["label"] == "high")
            .and_then(|class| class["recall"].as_f64())
            .unwrap_or_else(|| panic!("no recall in {judged}"))
    };

    let (none, balanced) = (recall("none"), recall("balanced"));

    assert!(none < 0.1 && balanced > 0.9, "{none}, {balanced}");
}

#[test]
fn rows_count_by_their_weight() {
    let folder = Folder::new();
    // The same prompts once with each label: what the heavier rows say is learnt.
    let row = |i: usize, label: &str, weight: f64| json!({"prompt": format!("say {} things", i % 9), "label": label, "weight": weight, "votes": 1.0 / weight});
    let both = |i: usize| format!("{}\n{}\n", row(i, "low", 0.1), row(i, "high", 1.0));
    let rows = folder.write("rows.jsonl", &(0..200).map(both).collect::<String>());

    let label = |more: &[&str]| {
        let (out, report) = fit(&folder, &rows, more);
        assert_eq!(report["weighted_rows"], 400);
        let ask = folder.write("ask.jsonl", &format!("{}\n", json!({"prompt": "say 4 things", "label": "high"})));
        let judged = json(&pointsman(&[&"eval", &"--bundle", &out, &"--head", &"tier", &"--data", &ask, &"--json"]));
        judged["accuracy"].as_f64() == Some(1.0)
    };

    assert!(label(&["--class-weights=none"]));
    assert!(!label(&["--class-weights=none", "--sample-weights=votes"]));
}

#[test]
fn weights_and_losses_that_cannot_be_meant_are_refused_with_what_can() {
    let folder = Folder::new();
    let rows = levels(&folder);
    let odd = folder.write("odd.jsonl", "{\"prompt\": \"a\", \"label\": \"low\", \"weight\": -1}\n");
    let said = |rows: &Path, more: &[&str]| {
        let output = run(&folder.write("y", "").with_file_name("nowhere"), rows, more);
        (output.status.code(), text(&output.stderr))
    };

    let no_order = said(&rows, &["--loss", "ordinal"]);
    let no_field = said(&rows, &["--sample-weights", "wheight"]);
    let negative = said(&odd, &[]);

    assert!(no_order.0 == Some(65) && no_order.1.contains("`--levels` names them"), "{no_order:?}");
    assert!(no_field.0 == Some(65) && no_field.1.contains("no row has the weight `wheight`"), "{no_field:?}");
    assert!(
        negative.0 == Some(65) && negative.1.contains("line 1") && negative.1.contains("at least 0"),
        "{negative:?}"
    );
}
