//! The strategy `bandit` over made-up beliefs: many draws, whose shares say what it does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::policy::bandit::{BanditBelief, Reward, RewardTally};

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, price: {input: 1, output: 1}}
  frontier: {provider: p, price: {input: 10, output: 10}}
classifiers: {default: {bundle: b}}
policies: [{name: auto, match: {model: [auto]}, strategy: STRATEGY}]
";

const PLAIN: &str = "{kind: bandit, models: [small, frontier], explore: 0, lambda: 0}";

/// A world with a belief, whose draws are even.
#[derive(Default)]
struct BelievingWorld {
    belief: Option<Arc<BanditBelief>>,
    draws: AtomicU64,
}

impl PolicyWorld for BelievingWorld {
    fn bandit(&self, _policy: &Name) -> Option<Arc<BanditBelief>> {
        self.belief.clone()
    }

    fn draw(&self) -> f64 {
        (self.draws.fetch_add(1, Ordering::Relaxed) as f64 * 0.618_033_988_749_894_9).fract()
    }
}

/// Believes after rewards of 0 and 1: label, model, good answers, bad answers.
fn believing(rewards: &[(&str, usize, u32, u32)]) -> BelievingWorld {
    let mut tally = RewardTally::default();
    for (label, arm, good, bad) in rewards {
        (0..*good).for_each(|_| tally.add(Reward { label, arm: *arm, quality: 1.0, weight: 1.0 }));
        (0..*bad).for_each(|_| tally.add(Reward { label, arm: *arm, quality: 0.0, weight: 1.0 }));
    }
    let mut belief = BanditBelief::new(2);
    belief.learn(&tally, 1e9);
    BelievingWorld { belief: Some(Arc::new(belief)), ..BelievingWorld::default() }
}

fn policy(strategy: &str) -> PolicySet {
    set(&FILE.replace("STRATEGY", strategy))
}

fn decided(set: &PolicySet, world: &BelievingWorld, signals: &KnownSignals) -> Decision {
    let facts = RequestFacts { live: world, ..facts("auto") };
    match set.policies[0].step(&facts, &features(|_| {}), signals) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

/// Decides a thousand times, and counts models and reasons.
fn counts(strategy: &str, world: &BelievingWorld, signals: &KnownSignals) -> BTreeMap<(String, &'static str), usize> {
    let (set, mut counts) = (policy(strategy), BTreeMap::new());
    for _ in 0..1000 {
        let decision = decided(&set, world, signals);
        *counts.entry((decision.model.to_string(), decision.reason.as_str())).or_default() += 1;
    }
    counts
}

fn share(counts: &BTreeMap<(String, &'static str), usize>, model: &str) -> usize {
    counts.iter().filter(|((own, _), _)| own == model).map(|(_, count)| count).sum()
}

#[test]
fn models_of_which_nothing_is_known_are_tried_alike() {
    let counts = counts(PLAIN, &BelievingWorld::default(), &KnownSignals::default());

    assert!((400..600).contains(&share(&counts, "small")), "{counts:?}");
}

#[test]
fn the_model_that_is_known_to_be_better_is_taken_and_the_other_hardly() {
    let counts = counts(PLAIN, &believing(&[("", 0, 40, 60), ("", 1, 90, 10)]), &KnownSignals::default());

    assert!(share(&counts, "small") <= 2, "{counts:?}");
}

#[test]
fn a_dollar_weighs_what_lambda_says() {
    // 400 tokens cost 0.0004 and 0.004 US dollars: with 100, the frontier must be 0.36 better, and is 0.1 better.
    let dear = PLAIN.replace("lambda: 0", "lambda: 100");
    let world = believing(&[("", 0, 800, 200), ("", 1, 900, 100)]);

    assert!(share(&counts(&dear, &world, &KnownSignals::default()), "small") >= 998);
    assert!(share(&counts(PLAIN, &world, &KnownSignals::default()), "small") <= 2);
}

#[test]
fn a_share_of_the_requests_is_drawn_evenly_whatever_is_known() {
    let explore = PLAIN.replace("explore: 0", "explore: 0.1");

    let counts = counts(&explore, &believing(&[("", 0, 0, 500), ("", 1, 500, 0)]), &KnownSignals::default());

    let explored = counts.get(&("small".to_owned(), "exploration")).copied().unwrap_or_default();
    assert!((25..80).contains(&explored), "{counts:?}");
    assert_eq!(counts.get(&("small".to_owned(), "bandit")), None);
}

#[test]
fn what_is_learnt_at_a_label_holds_for_prompts_with_that_label() {
    let by_label = PLAIN.replace("kind: bandit", "kind: bandit, classifier: default, otherwise: small");
    let world =
        believing(&[("simple", 0, 90, 10), ("simple", 1, 10, 90), ("complex", 0, 10, 90), ("complex", 1, 90, 10)]);

    assert!(share(&counts(&by_label, &world, &scores([0.9, 0.05, 0.05])), "small") >= 998);
    assert!(share(&counts(&by_label, &world, &scores([0.05, 0.05, 0.9])), "small") <= 2);
}

#[test]
fn it_begins_with_warm_rates_and_unlearns_them() {
    let warm = PLAIN.replace("explore: 0", "explore: 0, warm: {rates: {'*': {small: 0.1, frontier: 0.9}}, weight: 40}");

    assert!(share(&counts(&warm, &BelievingWorld::default(), &KnownSignals::default()), "small") <= 2);
    let world = believing(&[("", 0, 290, 10), ("", 1, 30, 270)]);
    assert!(share(&counts(&warm, &world, &KnownSignals::default()), "small") >= 998);
}

#[test]
fn the_heads_of_a_fit_are_a_warm_start_for_each_prompt() {
    let warm = PLAIN.replace(
        "explore: 0",
        "explore: 0, classifier: default, otherwise: small, warm: {heads: success, weight: 100}",
    );
    let prompt = |small: f32, frontier: f32| {
        let one = |model: &str, chance: f32| {
            HeadScores::new(&format!("success/{model}"), &["wrong", "right"], &[1.0 - chance, chance])
        };
        let tier = HeadScores::new("tier", &["simple", "medium", "complex"], &[0.9, 0.05, 0.05]);
        asked(Ok(Scores::of(vec![tier, one("small", small), one("frontier", frontier)])))
    };

    assert!(share(&counts(&warm, &BelievingWorld::default(), &prompt(0.9, 0.2)), "small") >= 998);
    assert!(share(&counts(&warm, &BelievingWorld::default(), &prompt(0.2, 0.9)), "small") <= 2);
}

#[test]
fn it_abstains_without_scores_and_explains_what_it_believes() {
    let by_label = PLAIN.replace("kind: bandit", "kind: bandit, classifier: default, otherwise: frontier");
    let set = policy(&by_label);
    let world = believing(&[("simple", 0, 8, 0)]);

    let degraded = decided(&set, &world, &asked(Err(ClassifierFailure::Deadline)));
    assert_eq!((degraded.model.as_str(), degraded.reason.as_str()), ("frontier", "classifier_deadline"));

    let explained = decided(&set, &world, &scores([0.9, 0.05, 0.05]));
    let small = explained.candidates.iter().find(|one| one.model.as_str() == "small").expect("a candidate");
    let expected = small.expected.as_ref().expect("the strategy compares it");
    assert!((expected.success.expect("a chance") - 0.9).abs() < 1e-9, "{expected:?}");
    assert!(expected.success_is.as_deref().is_some_and(|words| words.contains("by 8 answers")), "{expected:?}");
}

#[test]
fn a_bandit_with_one_model_two_bandits_and_a_warm_start_without_a_classifier_are_refused() {
    for (strategy, problem) in [
        ("{kind: bandit, models: [small]}", "at least two models"),
        ("{kind: bandit, models: [small, small]}", "stands there already"),
        ("{kind: bandit, models: [small, frontier], warm: {heads: success}}", "has no classifier"),
        ("{kind: bandit, models: [small, frontier], warm: {rates: {simple: {small: 0.5}}}}", "is a label"),
        ("{kind: bandit, models: [small, frontier], warm: {rates: {'*': {large: 0.5}}}}", "is none of the strategy's"),
        ("{kind: bandit, models: [small, frontier], memory: 1}", "memory"),
        (
            "{kind: cascade, stages: [{kind: bandit, classifier: default, models: [small, frontier]}, {kind: bandit, models: [small, frontier]}]}",
            "2 `bandit` strategies",
        ),
    ] {
        let problems = Config::parse(&FILE.replace("STRATEGY", strategy), "p.yaml").expect_err(strategy).to_string();

        assert!(problems.contains(problem), "{strategy}: {problems}");
    }
}
