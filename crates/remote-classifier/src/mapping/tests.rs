//! From outputs to heads: by name, by place, as numbers, and what is told of those that do not fit.

use serde_json::{Value, json};

use super::*;

fn mapping(heads: &Value) -> HeadMapping {
    let section = json!({"protocol": "oip_http", "url": "http://h", "model": "m", "heads": heads});
    HeadMapping::new(&serde_json::from_value(section).expect("a section"))
}

fn answer(outputs: &[(&str, RemoteOutput)]) -> RemoteAnswer {
    let outputs = outputs.iter().map(|(name, output)| ((*name).to_owned(), output.clone())).collect();
    RemoteAnswer { outputs, ..RemoteAnswer::default() }
}

fn row(values: &[f64]) -> RemoteOutput {
    RemoteOutput::Row(values.to_vec())
}

fn named(pairs: &[(&str, f64)]) -> RemoteOutput {
    RemoteOutput::Named(pairs.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect())
}

/// Returns the labels and the probabilities, to three digits, of the only head.
fn head(mapping: &HeadMapping, output: RemoteOutput) -> Result<Vec<(String, f32)>, String> {
    let scores = mapping.scores(&answer(&[("tier", output)])).map_err(|flaw| flaw.to_string())?;
    let head = scores.heads.first().expect("a head");
    let rounded = head.probabilities.iter().map(|probability| (probability * 1000.0).round() / 1000.0);
    Ok(head.labels.iter().map(ToString::to_string).zip(rounded).collect())
}

fn labelled(pairs: &[(&str, f32)]) -> Result<Vec<(String, f32)>, String> {
    Ok(pairs.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect())
}

#[test]
fn a_row_is_taken_by_place_and_logits_become_probabilities() {
    let plain = mapping(&json!({"tier": {"labels": ["low", "mid", "high"]}}));
    let softmax = mapping(&json!({"tier": {"labels": ["low", "mid", "high"], "activation": "softmax"}}));
    let sigmoid = mapping(&json!({"tier": {"labels": ["no", "yes"], "activation": "sigmoid"}}));
    let wins = mapping(&json!({"tier": {"labels": ["no", "yes"]}}));

    assert_eq!(head(&plain, row(&[0.2, 0.3, 0.5])), labelled(&[("low", 0.2), ("mid", 0.3), ("high", 0.5)]));
    assert_eq!(head(&softmax, row(&[1000.0, 0.0, 1000.0])), labelled(&[("low", 0.5), ("mid", 0.0), ("high", 0.5)]));
    assert_eq!(head(&sigmoid, row(&[0.0])), labelled(&[("no", 0.5), ("yes", 0.5)]));
    assert_eq!(head(&wins, row(&[0.75])), labelled(&[("no", 0.25), ("yes", 0.75)]));
}

#[test]
fn named_labels_are_taken_by_name_in_the_order_of_the_configuration() {
    let mapping =
        mapping(&json!({"tier": {"labels": ["low", "high"], "rename": {"LABEL_0": "low", "LABEL_1": "high"}}}));

    let found = head(&mapping, named(&[("LABEL_1", 0.9), ("LABEL_0", 0.1)]));

    assert_eq!(found, labelled(&[("low", 0.1), ("high", 0.9)]));
    assert_eq!(head(&mapping, RemoteOutput::Label("LABEL_0".to_owned())), labelled(&[("low", 1.0), ("high", 0.0)]));
    assert_eq!(
        head(&mapping, named(&[("LABEL_1", 0.9), ("LABEL_2", 0.1)])),
        Err("heads.tier.labels: the server names `LABEL_2`, which is not among them (allowed: low, high)".to_owned())
    );
}

#[test]
fn what_a_head_asks_for_and_a_server_does_not_give_is_named_with_what_it_gives() {
    let tier = mapping(&json!({"tier": {"output": "logits", "labels": ["low", "mid", "high"]}}));
    let by_name = mapping(&json!({"tier": {"labels": ["low", "mid", "high"]}}));

    let missing = tier.scores(&answer(&[("scores", row(&[0.5])), ("label", row(&[1.0]))])).expect_err("another name");

    assert_eq!(missing.keys, ["heads", "tier", "output"]);
    assert_eq!(missing.message, "the server has no output `logits` (allowed: scores, label)");
    assert_eq!(
        head(&by_name, row(&[0.5, 0.5])),
        Err("heads.tier.labels: has 3 labels for the server's 2 values (allowed: one each)".to_owned())
    );
    assert_eq!(
        head(&by_name, named(&[("low", 0.5), ("high", 0.5)])),
        Err("heads.tier.labels: `mid` is not among what the server names (allowed: low, high)".to_owned())
    );
}

#[test]
fn values_that_are_no_probabilities_make_no_head() {
    let plain = mapping(&json!({"tier": {"labels": ["low", "high"]}}));

    for values in [[1.5, -0.5], [f64::NAN, 0.5], [f64::INFINITY, 0.0]] {
        assert!(head(&plain, row(&values)).is_err_and(|flaw| flaw.starts_with("heads.tier.activation: ")));
    }
    assert_eq!(head(&plain, row(&[1.0004, -0.0004])), labelled(&[("low", 1.0), ("high", 0.0)]), "servers round");
}

#[test]
fn a_number_falls_between_cuts_or_within_a_range() {
    let cut = mapping(&json!({"tier": {"labels": ["low", "mid", "high"], "cuts": [0.3, 0.7]}}));
    let ranged = mapping(&json!({"tier": {"labels": ["low", "high"], "range": [1, 5]}}));

    for (number, label) in [(0.1, "low"), (0.3, "mid"), (0.69, "mid"), (0.7, "high"), (9.0, "high"), (-1.0, "low")] {
        let found = head(&cut, row(&[number])).expect("a head");
        assert_eq!(
            found.iter().find(|(_, probability)| *probability > 0.5).map(|(label, _)| label.as_str()),
            Some(label)
        );
    }
    assert_eq!(head(&ranged, row(&[2.0])), labelled(&[("low", 0.75), ("high", 0.25)]));
    assert_eq!(head(&ranged, row(&[7.0])), labelled(&[("low", 0.0), ("high", 1.0)]));
    assert!(head(&ranged, row(&[1.0, 2.0])).is_err_and(|flaw| flaw.contains("is no number")));
}

#[test]
fn without_a_mapping_heads_come_as_the_server_has_them() {
    let section = json!({"protocol": "pointsman", "url": "http://h"});
    let mapping = HeadMapping::new(&serde_json::from_value(section).expect("a section"));

    let scores = mapping.scores(&answer(&[("tier", named(&[("simple", 0.7), ("complex", 0.3)]))])).expect("scores");
    let number = mapping.scores(&answer(&[("cost", row(&[3.0]))])).expect_err("a number");

    let tier = HeadScores::new("tier", &["simple", "complex"], &[0.7, 0.3]);
    assert_eq!((scores.heads, scores.source), (vec![tier], ScoreSource::Remote));
    assert_eq!(number.keys, ["heads", "cost"]);
}

/// The mapping that docs/remote-classifiers.md shows, read out of the page.
fn documented_mapping() -> RemoteClassifierConfig {
    let page = include_str!("../../../../docs/remote-classifiers.md");
    let (_, rest) = page.split_once("<!-- nvidia -->\n```json\n").expect("the mapping stands in the page");
    let (mapping, _) = rest.split_once("\n```").expect("the mapping ends");
    serde_json::from_str(mapping).expect("a section")
}

/// What the published code makes of logits: `CustomHFDeberta.process_logits` in NVIDIA's model card.
fn published(logits: &[(&str, Vec<f64>)]) -> f64 {
    let score = |target: &str, weights: &[f64], divisor: f64| {
        let row = &logits.iter().find(|(name, _)| *name == target).expect("logits").1;
        let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
        row.iter().zip(weights).map(|(logit, weight)| logit.exp() / sum * weight).sum::<f64>() / divisor
    };
    let few_shots = score("number_of_few_shots", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1.0);
    0.35 * score("creativity_scope", &[2.0, 1.0, 0.0], 2.0)
        + 0.25 * score("reasoning", &[0.0, 1.0], 1.0)
        + 0.15 * score("constraint_ct", &[1.0, 0.0], 1.0)
        + 0.15 * score("domain_knowledge", &[3.0, 1.0, 2.0, 0.0], 3.0)
        + 0.05 * score("contextual_knowledge", &[0.0, 1.0], 1.0)
        + 0.05 * if few_shots >= 0.05 { few_shots } else { 0.0 }
}

#[test]
fn nvidia_s_classifier_is_mapped_as_its_model_card_computes() {
    let mapping = HeadMapping::new(&documented_mapping());
    let task = vec![0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    for (creativity, shots) in [([2.0, 0.5, -1.0], 4.0), ([-1.0, 0.5, 2.5], -9.0), ([0.0, 0.0, 0.0], 0.0)] {
        let logits = [
            ("task_type", task.clone()),
            ("creativity_scope", creativity.to_vec()),
            ("reasoning", vec![0.3, 1.2]),
            ("contextual_knowledge", vec![-0.4, 0.9]),
            ("number_of_few_shots", vec![-shots, shots, 0.1, 0.0, -1.0, -2.0]),
            ("domain_knowledge", vec![0.2, 0.4, -0.6, 1.0]),
            ("no_label_reason", vec![0.7]),
            ("constraint_ct", vec![1.1, -0.2]),
        ];
        let outputs: Vec<_> = logits.iter().map(|(name, logits)| (*name, row(logits))).collect();

        let scores = mapping.scores(&answer(&outputs)).expect("the mapping fits");

        let complexity = scores.head("complexity").and_then(HeadScores::level).expect("a number");
        let expected = published(&logits).clamp(0.0, 1.0);
        assert!((complexity - expected).abs() < 1e-5, "{complexity} for {expected}");
        let task = scores.head("task").and_then(HeadScores::top).map(|(label, _)| label.to_string());
        assert_eq!(task.as_deref(), Some("Code Generation"));
        for head in ["creativity_scope", "reasoning", "contextual_knowledge", "domain_knowledge", "constraint_ct"] {
            assert!(scores.head(head).is_some(), "{head}");
        }
    }
}

/// Scores a row whose values the server names.
fn with_names(mapping: &HeadMapping, values: &[f64], names: RowNames) -> Result<Vec<f32>, String> {
    let named = vec![("tier".to_owned(), names)];
    let answer = RemoteAnswer { names: named, ..answer(&[("tier", row(values))]) };
    mapping.scores(&answer).map(|scores| scores.heads[0].probabilities.clone()).map_err(|flaw| flaw.to_string())
}

fn all(names: &[&str]) -> RowNames {
    RowNames::All(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_row_whose_values_the_server_names_has_to_be_that_of_our_labels() {
    let plain = mapping(&json!({"tier": {"labels": ["low", "mid", "high"]}}));
    let renamed = mapping(&json!({"tier": {"labels": ["low", "high"], "rename": {"A": "low", "B": "high"}}}));
    let wins = mapping(&json!({"tier": {"labels": ["no", "yes"]}}));

    assert_eq!(with_names(&plain, &[0.2, 0.3, 0.5], all(&["low", "mid", "high"])), Ok(vec![0.2, 0.3, 0.5]));
    assert_eq!(with_names(&renamed, &[0.2, 0.8], all(&["A", "B"])), Ok(vec![0.2, 0.8]));
    assert_eq!(with_names(&wins, &[0.75], all(&["no", "yes"])), Ok(vec![0.25, 0.75]));
    assert_eq!(with_names(&wins, &[0.75], all(&["yes"])), Ok(vec![0.25, 0.75]));
    let wrong = "heads.tier.labels: low, mid, high are not those of the server's values (allowed: high, mid, low, in that order)";
    assert_eq!(with_names(&plain, &[0.2, 0.3, 0.5], all(&["high", "mid", "low"])), Err(wrong.to_owned()));
    for names in [&["low", "mid"][..], &["a", "b", "c"], &["low", "mid", "high", "higher"]] {
        assert!(with_names(&plain, &[0.2, 0.3, 0.5], all(names)).is_err(), "{names:?}");
    }
    assert!(with_names(&renamed, &[0.2, 0.8], all(&["B", "A"])).is_err());
    assert!(with_names(&wins, &[0.75], all(&["no"])).is_err());
}

#[test]
fn a_server_that_names_its_highest_value_has_to_name_our_label_at_that_place() {
    let plain = mapping(&json!({"tier": {"labels": ["low", "mid", "high"], "rename": {"LABEL_2": "high"}}}));
    let highest = |name: &str| RowNames::Highest(name.to_owned());

    assert!(with_names(&plain, &[0.2, 0.3, 0.5], highest("high")).is_ok());
    assert!(with_names(&plain, &[0.2, 0.3, 0.5], highest("LABEL_2")).is_ok());
    assert!(with_names(&plain, &[0.5, 0.0, 0.5], highest("low")).is_ok(), "one of two that are as high");
    assert!(with_names(&plain, &[0.2, 0.3, 0.5], highest("LABEL_1")).is_ok(), "by a name of its own");
    let said = with_names(&plain, &[0.2, 0.3, 0.5], highest("low"));
    assert!(said.as_ref().is_err_and(|said| said.contains("the server calls its highest value `low`")), "{said:?}");
}
