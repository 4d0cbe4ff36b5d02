//! Prompts that lie beyond a classifier's training.

use super::strategies::nested::CASCADE;
use super::strategies::{COARSE, ORDERED, UTILITY, decided, levels, successes};
use super::*;
use crate::scores::{Familiarity, UnfamiliarPart};

const HIERARCHY: &str = "{kind: hierarchy, classifier: default, head: complexity,
  branches: [{labels: ['0'], strategy: {kind: random, models: [small]}}], default: {kind: random, models: [standard]}}";

fn unfamiliar(unfamiliar: Option<UnfamiliarPart>) -> KnownSignals {
    let mut signals = levels([0.9, 0.1, 0.0, 0.0]);
    let scores = signals.scores[0].scores.as_mut().expect("scores");
    scores.heads.extend(successes(0.9, 0.9, 0.9).scores.remove(0).scores.expect("scores").heads);
    scores.familiarity = Familiarity { known_ngrams: Some(0.1), unfamiliar };
    signals
}

fn all_the_same(strategy: &str) -> String {
    strategy.replacen("classifier: default,", "classifier: default, unfamiliar: judge,", 1)
}

#[test]
fn what_is_unfamiliar_makes_every_strategy_that_asks_a_classifier_abstain() {
    for strategy in [ORDERED.replace("kind: tiers", "kind: tiers, otherwise: frontier"), COARSE.into(), UTILITY.into()]
    {
        for beyond in UnfamiliarPart::ALL {
            let decision = decided(&strategy, &unfamiliar(Some(beyond)));

            assert_eq!((decision.reason.as_str(), &decision.label), ("unfamiliar", &None), "{strategy}");
            assert_ne!(decision.model.as_str(), "small", "{strategy}");
        }
        assert_eq!(decided(&strategy, &unfamiliar(None)).model.as_str(), "small", "{strategy}");
    }
}

#[test]
fn a_policy_may_go_by_the_scores_of_what_is_unfamiliar() {
    for strategy in [ORDERED.replace("kind: tiers", "kind: tiers, otherwise: frontier"), COARSE.into(), UTILITY.into()]
    {
        let decision = decided(&all_the_same(&strategy), &unfamiliar(Some(UnfamiliarPart::Language)));

        assert_eq!(decision.model.as_str(), "small", "{strategy}");
    }
    let branch = decided(&all_the_same(HIERARCHY), &unfamiliar(Some(UnfamiliarPart::Script)));
    assert_eq!(branch.model.as_str(), "small");
}

#[test]
fn a_hierarchy_leaves_what_is_unfamiliar_to_its_default() {
    let decision = decided(HIERARCHY, &unfamiliar(Some(UnfamiliarPart::Ngrams)));

    assert_eq!((decision.model.as_str(), decision.stages[0].reason.as_str()), ("standard", "unfamiliar"));
}

#[test]
fn a_cascade_goes_on_where_a_stage_never_learnt_the_like_of_a_prompt() {
    let sure = decided(CASCADE, &unfamiliar(None));
    let answer =
        Judgement { label: "frontier".into(), confidence: None, rationale: None, cost_usd: None, is_cached: false };
    let judgements = vec![("policies[0].strategy.stages[1]".into(), Ok(answer))];
    let signals = KnownSignals { judgements, ..unfamiliar(Some(UnfamiliarPart::Script)) };

    let judged = decided(CASCADE, &signals);

    assert_eq!((sure.model.as_str(), judged.model.as_str()), ("small", "frontier"));
    assert_eq!(judged.stages[0].reason.as_str(), "unfamiliar");
}
