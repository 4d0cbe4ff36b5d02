//! Strategies that hold others: cascades and hierarchies.

use super::*;

pub(in crate::policy::tests) const CASCADE: &str = "{kind: cascade, otherwise: standard, stages: [
  {kind: tiers, classifier: default, head: complexity, min_confidence: 0.9, tiers: {'0': small, '1': small, '2': standard, '3': frontier}},
  {kind: judge, judge: small, choices: [{model: small, description: a}, {model: frontier, description: b}]}]}";

#[test]
fn the_first_stage_that_is_sure_decides_and_the_later_ones_are_not_asked() {
    let sure = decided(CASCADE, &levels([0.9, 0.05, 0.05, 0.0]));

    assert_eq!((model_and_reason(&sure), sure.by), (("small", "tier"), DecisionMaker::Strategy("tiers")));
    assert_eq!(sure.stages.len(), 1);
}

#[test]
fn a_stage_that_abstains_leads_to_the_next_and_what_each_cost_is_seen() {
    let unsure = levels([0.4, 0.0, 0.3, 0.3]);
    assert_eq!(needed(CASCADE, &unsure), Signal::Judgement { strategy: "policies[0].strategy.stages[1]".into() });

    let answer = judgement("frontier", None);
    let judgements = vec![("policies[0].strategy.stages[1]".into(), Ok(answer))];
    let decision = decided(CASCADE, &KnownSignals { judgements, ..unsure });

    assert_eq!((model_and_reason(&decision), decision.by), (("frontier", "judge"), DecisionMaker::Strategy("judge")));
    let stages: Vec<_> =
        decision.stages.iter().map(|stage| (stage.strategy, stage.reason.as_str(), stage.cost_usd)).collect();
    assert_eq!(stages, [("tiers", "low_confidence", None), ("judge", "judge", Some(0.002))]);
}

#[test]
fn where_every_stage_abstains_the_cascade_s_otherwise_serves() {
    let judgements = vec![("policies[0].strategy.stages[1]".into(), Err(JudgeFailure::Timeout.into()))];
    let decision = decided(CASCADE, &KnownSignals { judgements, ..asked(Err(ClassifierFailure::QueueFull)) });

    assert_eq!(model_and_reason(&decision), ("standard", "judge_timeout"));
}

pub(in crate::policy::tests) const HIERARCHY: &str = "{kind: hierarchy, classifier: default, min_confidence: 0.5, otherwise: standard,
  branches: [{labels: [law, math], strategy: {kind: threshold, classifier: second, strong: frontier, weak: small, threshold: 0.5}}],
  default: {kind: random, models: [small]}}";

pub(in crate::policy::tests) fn domain(law: f32) -> KnownSignals {
    heads(vec![head("domain", &["law", "poetry"], &[law, 1.0 - law])])
}

#[test]
fn a_hierarchy_asks_the_domain_first_and_then_that_domain_s_strategy() {
    assert_eq!(needed(HIERARCHY, &KnownSignals::default()), scores_of("default"));
    assert_eq!(needed(HIERARCHY, &domain(0.9)), scores_of("second"));

    let mut known = domain(0.9);
    let wins = head("strong_wins", &["weak", "strong"], &[0.2, 0.8]);
    let second = Scores::of(vec![wins]);
    known.add_scores(Name::new("second").expect("a name"), Ok(second));
    let decision = decided(HIERARCHY, &known);

    assert_eq!((model_and_reason(&decision), decision.score), (("frontier", "threshold"), Some(0.8)));
    assert_eq!(decision.stages[0].label.as_deref(), Some("law"));
}

fn scores_of(classifier: &str) -> Signal {
    Signal::Scores { classifier: Name::new(classifier).expect("a name") }
}

#[test]
fn other_domains_and_doubtful_ones_get_the_default() {
    assert_eq!(model_and_reason(&decided(HIERARCHY, &domain(0.1))), ("small", "random"));
    assert_eq!(model_and_reason(&decided(HIERARCHY, &domain(0.5))), ("small", "random"));
    assert_eq!(model_and_reason(&decided(HIERARCHY, &asked(Err(ClassifierFailure::Deadline)))), ("small", "random"));
}
