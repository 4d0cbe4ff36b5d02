//! Quotas that are used up: which model serves in place of a strong one, and for whose choices.

use super::strategies::World;
use super::*;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, tokenizer: openai, supports: []}
  standard: {provider: p, tokenizer: openai, supports: [tools]}
  frontier: {provider: p, tokenizer: openai, supports: [tools, images]}
  ultra: {provider: p, tokenizer: openai}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    overrides: {models: ['*']}
    rules: [{when: 'prompt.files > 0', use: frontier}]
    strategy: {kind: tiers, classifier: default, otherwise: standard,
      tiers: {simple: small, medium: standard, complex: frontier, ultimate: ultra}}
    fallback: [frontier, small]
    quotas:
      - {name: strong, per: session, models: [frontier, ultra], share: 0.1, otherwise: standard}
";

const COMPLEX: [f32; 4] = [0.0, 0.0, 1.0, 0.0];

fn tier(probabilities: [f32; 4]) -> KnownSignals {
    let labels = ["simple", "medium", "complex", "ultimate"];
    let mut signals = asked(Ok(Scores::of(vec![HeadScores::new("tier", &labels, &probabilities)])));
    signals.pin = PinLookup::Nothing;
    signals
}

fn used_up() -> World {
    World { used_up: true, ..World::default() }
}

fn step_by(file: &str, world: &World, features: &Features, signals: &KnownSignals) -> PolicyStep {
    set(file).policies[0].step(&RequestFacts { live: world, ..facts("auto") }, features, signals)
}

fn decided(file: &str, world: &World, features: &Features, signals: &KnownSignals) -> Decision {
    match step_by(file, world, features, signals) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

fn outcome(decision: &Decision) -> (&str, &'static str, Option<QuotaOutcome>) {
    let quota = decision.quota.as_ref().map(|trace| trace.outcome);
    (decision.model.as_str(), decision.reason.as_str(), quota)
}

const MOVED: Option<QuotaOutcome> = Some(QuotaOutcome::Moved);

#[test]
fn while_something_is_left_nothing_changes_and_a_weak_choice_never_does() {
    let (left, plain) = (World::default(), Features::default());

    let strong = decided(FILE, &left, &plain, &tier(COMPLEX));
    let weak = decided(FILE, &used_up(), &plain, &tier([1.0, 0.0, 0.0, 0.0]));

    assert_eq!(outcome(&strong), ("frontier", "tier", None));
    assert_eq!(outcome(&weak), ("small", "tier", None));
    assert!(weak.fallback.is_empty(), "no way to a strong one: {:?}", weak.fallback);
}

#[test]
fn a_strong_choice_beyond_the_quota_is_the_quota_s_otherwise_and_no_fallback_leads_back() {
    let decision = decided(FILE, &used_up(), &Features::default(), &tier(COMPLEX));

    assert_eq!(outcome(&decision), ("standard", "quota", MOVED));
    assert_eq!(decision.quota.as_ref().map(|trace| trace.name.as_str()), Some("strong"));
    assert!(decision.fallback.iter().all(|model| model.as_str() == "small"), "{:?}", decision.fallback);
    let lacks = |name: &str| decision.candidates.iter().find(|one| *one.model == *name).map(|one| one.fits);
    assert_eq!(lacks("frontier"), Some(Err(Constraint::Quota)));
    assert_eq!(lacks("ultra"), Some(Err(Constraint::Quota)));
}

#[test]
fn the_client_s_own_choice_is_bound_and_a_rule_s_only_where_the_quota_says_so() {
    let with_file = features(|features| features.attachments.files = 1);
    let named = World { header: Some((MODEL_HEADER, "frontier")), ..used_up() };
    let exempt = FILE.replace("tools, images]", "tools, images, files]").replace("[tools]", "[tools, files]");
    let bound = exempt.replace("otherwise: standard}\n", "otherwise: standard, rules: bound}\n");

    let by_client = decided(FILE, &named, &Features::default(), &tier(COMPLEX));
    let by_rule = decided(&exempt, &used_up(), &with_file, &tier(COMPLEX));
    let by_bound_rule = decided(&bound, &used_up(), &with_file, &tier(COMPLEX));

    assert_eq!(outcome(&by_client), ("standard", "quota", MOVED));
    assert_eq!(outcome(&by_rule), ("frontier", "rule", None));
    assert_eq!(outcome(&by_bound_rule), ("standard", "quota", MOVED));
}

#[test]
fn a_conversation_that_is_pinned_to_a_strong_model_is_bound_even_amid_its_tool_calls_and_goes_back_later() {
    let held = FILE.replace("    fallback:", "    affinity: {move: up_only}\n    fallback:");
    let name = |text| Name::new(text).expect("a name");
    let mut signals = tier([1.0, 0.0, 0.0, 0.0]);
    signals.pin =
        PinLookup::To(ModelPin { home: Some(name("frontier")), last: name("frontier"), age: 9, idle: 9, bytes: 0 });
    let amid = features(|features| features.tool_results = 1);

    for features in [Features::default(), amid] {
        let decision = decided(&held, &used_up(), &features, &signals);

        assert_eq!(outcome(&decision), ("standard", "quota", MOVED));
        assert_eq!(decision.pin.as_ref().map(|pin| pin.outcome), Some(PinOutcome::Constrained));
        assert_eq!(decision.keep, PinUpdate::Last, "the conversation's own model is remembered");
    }
}

#[test]
fn constraints_hold_for_the_stand_in_and_what_no_other_model_can_serve_is_served_or_refused() {
    let with_tools = features(|features| features.tools = 1);
    let with_image = features(|features| features.attachments.images = 1);
    let otherwise_small = FILE.replace("share: 0.1, otherwise: standard", "share: 0.1, otherwise: small");
    let refusing = FILE.replace("otherwise: standard}\n", "otherwise: standard, without_alternative: refuse}\n");

    let below = decided(&otherwise_small, &used_up(), &with_tools, &tier(COMPLEX));
    let only = decided(FILE, &used_up(), &with_image, &tier(COMPLEX));
    let raised = decided(FILE, &used_up(), &with_image, &tier([1.0, 0.0, 0.0, 0.0]));
    let refused = step_by(&refusing, &used_up(), &with_image, &tier([1.0, 0.0, 0.0, 0.0]));

    assert_eq!(outcome(&below), ("standard", "quota", MOVED), "small calls no tools");
    assert_eq!(outcome(&only), ("frontier", "tier", Some(QuotaOutcome::Served)));
    assert_eq!(outcome(&raised), ("frontier", "images", Some(QuotaOutcome::Served)));
    let PolicyStep::Deny(denial) = refused else { panic!("{refused:?}") };
    assert_eq!((denial.status, denial.code), (429, "quota_exceeded"));
    assert_eq!(denial.quota.map(|trace| trace.outcome), Some(QuotaOutcome::Refused));
}

#[test]
fn a_stand_in_that_is_busy_is_better_than_a_strong_model_beyond_its_quota() {
    let down = World { down: Some("standard"), ..used_up() };
    let two = FILE.replace("simple: small, medium: standard", "simple: standard, medium: standard");
    let two = two.replace("fallback: [frontier, small]", "fallback: []");

    let decision = decided(&two, &down, &Features::default(), &tier(COMPLEX));

    assert_eq!(outcome(&decision), ("standard", "quota", MOVED));
}

#[test]
fn what_was_drawn_by_shares_is_not_drawn_again_and_a_switched_off_policy_is_not_bound() {
    let split = FILE.replace(
        "{kind: tiers, classifier: default, otherwise: standard,\n      tiers: {simple: small, medium: standard, complex: frontier, ultimate: ultra}}",
        "{kind: split, models: {small: 1, frontier: 99}}",
    );
    let set = set(&split);
    let world = World { conversation: 7, ..used_up() };
    let facts = RequestFacts { live: &world, ..facts("auto") };

    let drawn = decided(&split, &world, &Features::default(), &KnownSignals::default());
    let stood_in = set.policies[0].stand_in(Reason::KillSwitch, &facts, &Features::default());

    assert_eq!(drawn.model.as_str(), "standard");
    let PolicyOutcome::Decided(stood_in) = stood_in else { panic!("{stood_in:?}") };
    assert_eq!(stood_in.quota, None);
}

#[test]
fn strong_are_the_quotas_models_else_the_target_s_else_the_highest_of_the_strategy() {
    let strong = |file: &str| {
        let policies = set(file);
        let is_strong = |model: &&str| policies.policies[0].is_strong(&Name::new(model).expect("a name"));
        ["small", "standard", "frontier", "ultra"].into_iter().filter(|model| is_strong(model)).collect::<Vec<_>>()
    };
    let without = FILE.split("    quotas:").next().expect("a policy");

    assert_eq!(strong(FILE), ["frontier", "ultra"]);
    assert_eq!(strong(without), ["ultra"]);
}
