//! Calibrate on logs that do not tell everything, and on strategies that weigh more than one number.

use std::path::Path;

use serde_json::{Value, json};

use crate::replayed::{FLAT, with_strategy};
use crate::training::{Folder, json, pointsman, text};

/// Calibrates with the logs and a target.
fn calibrate(config: &Path, logs: &[&Path], target: [&str; 2]) -> Result<Value, (Option<i32>, String)> {
    let mut arguments: Vec<&dyn AsRef<Path>> = vec![&"calibrate", &"-c", &config, &"--json", &"--log"];
    arguments.extend(logs.iter().map(|log| log as &dyn AsRef<Path>));
    arguments.extend(target.iter().map(|part| part as &dyn AsRef<Path>));
    let output = pointsman(&arguments);
    if output.status.success() { Ok(json(&output)) } else { Err((output.status.code(), text(&output.stderr))) }
}

#[test]
fn a_quality_is_reached_by_what_clients_said_of_logged_answers() {
    let folder = Folder::new();
    let (config, log) = (folder.config("p.yaml", "0.5"), folder.log(|_, _| {}));
    // Small answers the first 50, 30 of them well; big, who answers the others, is always right.
    let feedback = folder.feedback(|i| !(30..50).contains(&i));

    let report = calibrate(&config, &[&log, &feedback], ["--quality", "0.9"]).expect("a threshold");

    assert_eq!((&report["with_quality"], &report["filled_in"]), (&json!(100), &json!(100)), "{report}");
    assert_eq!((&report["threshold"], &report["achieved"]["quality"]), (&json!(0.4), &json!(0.9)), "{report}");
}

#[test]
fn a_quality_that_nobody_spoke_of_is_refused_with_what_is_missing() {
    let folder = Folder::new();
    let (config, log) = (folder.config("p.yaml", "0.5"), folder.log(|_, _| {}));
    let silent = calibrate(&config, &[&log], ["--quality", "0.9"]).expect_err("no feedback");

    let log = folder.log(|_, line| line["answered_by"] = json!("small"));
    let feedback = folder.feedback(|_| true);
    let one = calibrate(&config, &[&log, &feedback], ["--quality", "0.9"]).expect_err("one model");

    assert!(silent.0 == Some(65) && silent.1.contains("the logs hold no feedback on any answer"), "{silent:?}");
    assert!(one.0 == Some(65) && one.1.contains("no answer of `big` was rated (rated: small)"), "{one:?}");
}

#[test]
fn a_logged_request_of_unknown_cost_is_counted_and_the_others_make_the_target() {
    let folder = Folder::new();
    let config = folder.config("p.yaml", "0.5");
    let log = folder.log(|i, line| {
        if i == 7 {
            line["output_tokens"] = Value::Null;
        }
    });
    let report = calibrate(&config, &[&log], ["--cost-per-1k", "1.1"]).expect("99 have a price");

    let log = folder.log(|_, line| line["output_tokens"] = Value::Null);
    let none = calibrate(&config, &[&log], ["--cost-per-1k", "1.1"]).expect_err("none has a price");

    assert_eq!((&report["n"], &report["priced"]), (&json!(100), &json!(99)), "{report}");
    assert!(report["achieved"]["cost_per_1k"].as_f64().is_some_and(|cost| (1.0..=1.1).contains(&cost)), "{report}");
    assert!(none.0 == Some(65) && none.1.contains("does not tell what requests cost"), "{none:?}");
}

#[test]
fn tiers_of_several_labels_are_calibrated_by_what_the_strategy_itself_compares() {
    for rest in ["otherwise: small, round: up", "otherwise: big"] {
        let folder = Folder::new();
        let tiers = format!(
            "{{kind: tiers, classifier: default, tiers: {{simple: small, medium: small, complex: big}},
      min_confidence: 0.5, {rest}}}"
        );
        // By the mean level, 50 go to the strong model.
        let flat = FLAT.replace("0.5", "0.625");
        let (config, flat) = (with_strategy(&folder, "a.yaml", &tiers), with_strategy(&folder, "b.yaml", &flat));
        // No label of the lower tier is ever as probable as the tier.
        let log = folder.log(|_, line| {
            let level = line["scores"]["tier"]["complex"].as_f64().expect("a level");
            let half = (1.0 - level) / 2.0;
            line["scores"] = json!({"tier": {"simple": half, "medium": half, "complex": level}});
        });

        let report = calibrate(&config, &[&log], ["--strong-share", "75%"]).expect("a threshold");

        assert_eq!(
            (&report["threshold"], &report["achieved"]["strong_share"]),
            (&json!(0.75), &json!(0.75)),
            "{report}"
        );
        // The strategy itself sends the 25 to the strong model that it is less than 75 % sure of.
        let next =
            folder.write("c.yaml", &std::fs::read_to_string(&config).expect("a file").replace("e: 0.5", "e: 0.75"));
        let replayed = json(&pointsman(&[&"replay", &"-c", &flat, &"--against", &next, &log, &"--json"]));
        assert_eq!((&replayed["n"], &replayed["moved"]), (&json!(100), &json!(25)), "{replayed}");
        assert_eq!(replayed["moves"][0]["to"], "big", "{replayed}");
    }
}
