//! Budgets that are nearly used up: which model serves in place of a dear one, and for whose choices.

use super::strategies::World;
use super::*;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, tokenizer: openai, supports: [], price: {input: 1, output: 2}}
  standard: {provider: p, tokenizer: openai, supports: [tools], price: {input: 2, output: 8}}
  frontier: {provider: p, tokenizer: openai, supports: [tools, images], price: {input: 10, output: 40}}
  free: {provider: p, tokenizer: openai, supports: [tools, images]}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    overrides: {models: ['*']}
    rules: [{when: 'prompt.turns > 50', use: frontier}]
    strategy: {kind: tiers, classifier: default, otherwise: standard,
      tiers: {simple: small, medium: standard, complex: frontier, ultimate: free}}
    fallback: [frontier, standard]
    budget: {}
";

const SIMPLE: [f32; 4] = [1.0, 0.0, 0.0, 0.0];
const COMPLEX: [f32; 4] = [0.0, 0.0, 1.0, 0.0];
const ULTIMATE: [f32; 4] = [0.0, 0.0, 0.0, 1.0];

fn tier(probabilities: [f32; 4]) -> KnownSignals {
    let labels = ["simple", "medium", "complex", "ultimate"];
    let mut signals = asked(Ok(Scores::of(vec![HeadScores::new("tier", &labels, &probabilities)])));
    signals.pin = PinLookup::Nothing;
    signals
}

fn tight() -> World {
    World { tight_budget: Some("daily"), ..World::default() }
}

fn decided(file: &str, world: &World, features: &Features, signals: &KnownSignals) -> Decision {
    match set(file).policies[0].step(&RequestFacts { live: world, ..facts("auto") }, features, signals) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

fn outcome(decision: &Decision) -> (&str, &'static str, Option<&str>) {
    (decision.model.as_str(), decision.reason.as_str(), decision.tight_budget.as_deref())
}

#[test]
fn the_cheapest_model_serves_and_what_is_cheap_already_stays() {
    let plain = Features::default();

    let loose = decided(FILE, &World::default(), &plain, &tier(COMPLEX));
    let dear = decided(FILE, &tight(), &plain, &tier(COMPLEX));
    let cheap = decided(FILE, &tight(), &plain, &tier(SIMPLE));
    let unpriced = decided(FILE, &tight(), &plain, &tier(ULTIMATE));

    assert_eq!(outcome(&loose), ("frontier", "tier", None));
    assert_eq!(outcome(&dear), ("small", "budget", Some("daily")));
    assert_eq!(outcome(&cheap), ("small", "tier", Some("daily")));
    assert_eq!(outcome(&unpriced), ("free", "tier", Some("daily")), "nobody knows what it costs");
    let names = |decision: &Decision| decision.fallback.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&dear), ["frontier", "standard"], "saving costs no availability");
    let lacks = dear.candidates.iter().find(|one| one.model.as_str() == "frontier").map(|one| one.fits);
    assert_eq!(lacks, Some(Err(Constraint::Budget)));
}

#[test]
fn the_cheapest_that_can_serve_the_request_is_meant() {
    let (with_tools, with_image) =
        (features(|features| features.tools = 1), features(|features| features.attachments.images = 1));
    let small_is_down = World { down: Some("small"), ..tight() };

    assert_eq!(decided(FILE, &tight(), &with_tools, &tier(COMPLEX)).model.as_str(), "standard");
    assert_eq!(outcome(&decided(FILE, &tight(), &with_image, &tier(COMPLEX))), ("frontier", "tier", Some("daily")));
    assert_eq!(decided(FILE, &small_is_down, &Features::default(), &tier(COMPLEX)).model.as_str(), "standard");
}

#[test]
fn a_policy_names_who_serves_or_keeps_its_choice() {
    let named = FILE.replace("budget: {}", "budget: {otherwise: [standard, small]}");
    let keeping = FILE.replace("budget: {}", "budget: {soft: keep}");
    let plain = Features::default();

    assert_eq!(outcome(&decided(&named, &tight(), &plain, &tier(COMPLEX))), ("standard", "budget", Some("daily")));
    assert_eq!(outcome(&decided(&named, &tight(), &plain, &tier(SIMPLE))), ("small", "tier", Some("daily")));
    assert_eq!(outcome(&decided(&keeping, &tight(), &plain, &tier(COMPLEX))), ("frontier", "tier", None));
}

#[test]
fn the_client_s_own_choice_is_bound_and_a_rule_s_only_where_the_policy_says_so() {
    let named = World { header: Some((MODEL_HEADER, "frontier")), ..tight() };
    let ruled = FILE.replace("prompt.turns > 50", "true");
    let bound = ruled.replace("budget: {}", "budget: {rules: bound}");
    let plain = Features::default();

    assert_eq!(outcome(&decided(FILE, &named, &plain, &tier(COMPLEX))), ("small", "budget", Some("daily")));
    assert_eq!(outcome(&decided(&ruled, &tight(), &plain, &tier(COMPLEX))), ("frontier", "rule", None));
    assert_eq!(outcome(&decided(&bound, &tight(), &plain, &tier(COMPLEX))), ("small", "budget", Some("daily")));
}

#[test]
fn a_pinned_conversation_saves_too_and_goes_back_later() {
    let held = FILE.replace("    fallback:", "    affinity: {move: up_only}\n    fallback:");
    let name = |text| Name::new(text).expect("a name");
    let mut signals = tier(SIMPLE);
    signals.pin =
        PinLookup::To(ModelPin { home: Some(name("frontier")), last: name("frontier"), age: 9, idle: 9, bytes: 0 });

    let decision = decided(&held, &tight(), &Features::default(), &signals);

    assert_eq!(outcome(&decision), ("small", "budget", Some("daily")));
    assert_eq!(decision.keep, PinUpdate::Last, "the conversation's own model is remembered");
}
