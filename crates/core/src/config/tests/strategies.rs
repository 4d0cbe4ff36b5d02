//! Strategies: what stands in where one abstains, and thresholds in both of their spellings.

use super::*;

#[test]
fn every_stand_in_is_read_without_a_problem() {
    // Each required key in turn is taken away: one problem each, nothing that follows from it.
    for (old, new) in [
        ("version: 1\n", ""),
        ("listen: {address: 127.0.0.1:8080}\n", ""),
        ("{address: 127.0.0.1:8080}", "{}"),
        ("    base_url: https://api.openai.com/v1\n", ""),
        ("provider: vllm, ", ""),
        ("input: 0.05, ", ""),
        (", output: 0.08", ""),
        ("bundle: models/pointsman-mini, ", ""),
        ("name: auto\n    match", "match"),
        ("when: 'prompt.images > 0', ", ""),
        ("      kind: tiers\n", ""),
        ("      classifier: default\n", ""),
        ("      tiers: {simple: small, medium: standard}\n", ""),
        ("      otherwise: standard\n", ""),
    ] {
        let found = problems_with(old, new);
        assert_eq!(found.len(), 1, "{old}: {found:?}");
        assert!(found[0].contains(": is required"), "{found:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in any::<String>()) {
        let _ = Config::parse(&text, "p.yaml").map_err(|problems| problems.to_string());
    }

    #[test]
    fn no_change_of_a_good_file_makes_parsing_panic(
        at in 0..GOOD.len(), cut in 0..40_usize, patch in "[-\\[\\]{}:,*&!|>'\"a-z0-9 \n\t\u{e9}#]{0,8}",
    ) {
        let end = (at + cut).min(GOOD.len());
        let text = format!("{}{patch}{}", &GOOD[..at], &GOOD[end..]);
        let _ = Config::parse(&text, "p.yaml").map_err(|problems| problems.to_string());
    }
}

/// The good file with another strategy.
fn with_strategy(strategy: &str) -> String {
    let (before, _) = GOOD.split_once("    strategy:").expect("a strategy");
    format!("{before}    strategy: {strategy}\n")
}

#[test]
fn a_threshold_and_a_ladder_of_one_step_are_the_same() {
    let rungs = |strategy: &str| {
        let config = Config::parse(&with_strategy(strategy), "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        let StrategyConfig::Threshold(threshold) = &config.policies[0].strategy else { panic!("not a threshold") };
        assert_eq!(config.policies[0].strategy.stand_in().as_deref(), Some("standard"));
        threshold.rungs()
    };

    let pair = rungs("{kind: threshold, classifier: default, strong: standard, weak: small, threshold: 0.42}");
    let ladder = rungs(
        "{kind: threshold, classifier: default, ladder: [{at_least: 0.42, model: standard}, {at_least: 0, model: small}]}",
    );

    assert_eq!(pair, ladder);
}

#[test]
fn a_threshold_is_written_in_one_way_and_without_gaps() {
    let found = |rest: &str| problems(&with_strategy(&format!("{{kind: threshold, classifier: default, {rest}}}")));

    assert_eq!(
        found("strong: standard, threshold: 0.4"),
        ["policies[0].strategy.weak: is required (allowed: `strong`, `weak` and `threshold`, or a `ladder`)"]
    );
    assert_eq!(
        found("weak: small, ladder: [{at_least: 0.5, model: standard}, {at_least: 0.5, model: smal}]"),
        [
            "policies[0].strategy.weak: stands beside `ladder` (allowed: one of the two ways)",
            "policies[0].strategy.ladder: has no model for the lowest scores (allowed: one rung with `at_least: 0`)",
            "policies[0].strategy.ladder[1].at_least: is that of ladder[0] already (allowed: each threshold once)",
            "policies[0].strategy.ladder[1].model: there is no model `smal`, did you mean `small`? (allowed: small, standard)",
        ]
    );
}
