//! The plan by which a cheap model's answer is checked: when a decision has one, and what of a stream it holds.

use super::strategies::{World, decide_in, decided, policy};
use super::*;

const STRATEGY: &str = "{kind: escalate, cheap: small, strong: frontier, check: {refusal: true, schema: true}}";

#[test]
fn the_cheap_model_is_chosen_with_a_plan_to_check_its_answer() {
    let decision = decided(STRATEGY, &KnownSignals::default());

    assert_eq!((decision.model.as_str(), decision.reason), ("small", Reason::Escalate));
    let plan = decision.escalation.expect("a plan");
    assert_eq!((plan.cheap().as_str(), plan.strong().as_str()), ("small", "frontier"));
    assert_eq!(plan.checks().collect::<Vec<_>>(), [AnswerCheck::Refusal, AnswerCheck::Schema]);
    assert_eq!([HasFormat::No, HasFormat::Yes].map(|it| plan.holds(it)), [HeldPart::Beginning, HeldPart::Whole]);
}

#[test]
fn a_strategy_that_holds_others_hands_the_plan_on() {
    let decision = decided(&format!("{{kind: cascade, stages: [{STRATEGY}]}}"), &KnownSignals::default());

    assert!(decision.escalation.is_some() && decision.stages.len() == 1, "{decision:?}");
}

#[test]
fn there_is_no_plan_where_the_strong_model_cannot_serve_or_must_not() {
    let forbidden = World { forbidden: Some("frontier"), ..World::default() };
    let down = World { down: Some("small"), ..World::default() };
    let quota = format!(
        "{STRATEGY}\n    quotas: [{{name: q, per: session, models: [frontier], share: 0.1, otherwise: small}}]"
    );
    let used_up = World { used_up: true, ..World::default() };

    for (strategy, world) in [(STRATEGY, &forbidden), (STRATEGY, &down), (&*quota, &used_up)] {
        let decision = decide_in(&policy(strategy), world, &KnownSignals::default());
        assert_eq!(decision.escalation, None, "{decision:?}");
    }
    let left = decide_in(&policy(&quota), &World::default(), &KnownSignals::default());
    assert!(left.escalation.is_some());
}

#[test]
fn what_cannot_be_meant_is_a_problem() {
    let problem = |strategy: &str| {
        let text = format!("{}{strategy}\n", strategies::MODELS);
        Config::parse(&text, "p.yaml").expect_err("a problem").to_string()
    };

    for (strategy, said) in [
        ("{kind: escalate, cheap: small, strong: frontier, check: {}}", "checks nothing"),
        ("{kind: escalate, cheap: small, strong: small, check: {refusal: true}}", "is the cheap model too"),
        (
            "{kind: escalate, cheap: small, strong: frontier, otherwise: standard, check: {refusal: true}}",
            "(allowed: small, frontier)",
        ),
        ("{kind: escalate, cheap: small, strong: frontier, check: {min_logprob: 1}}", "check.min_logprob"),
        ("{kind: escalate, cheap: small, strong: frontier, check: {self_consistency: {n: 1}}}", "self_consistency.n"),
        ("{kind: escalate, cheap: small, strong: frontier, check: {judge: {judge: nobody}}}", "check.judge.judge"),
        (
            "{kind: escalate, cheap: small, strong: frontier, check: {refusal: true}, hold: {max_bytes: 1}}",
            "hold.max_bytes",
        ),
    ] {
        assert!(problem(strategy).contains(said), "{said}: {}", problem(strategy));
    }
}
