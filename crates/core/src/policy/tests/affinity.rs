//! Affinity: pins against what the strategy would choose.

use super::*;
use crate::features::TokenCount;

const TIERS: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, tokenizer: openai, price: {input: 1, output: 2, cached_input: 0.1}}
  standard: {provider: p, tokenizer: openai, supports: [tools, images], price: {input: 2, output: 4, cached_input: 0.2}}
  frontier: {provider: p, tokenizer: openai, price: {input: 10, output: 20, cached_input: 1}}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    overrides: {models: [small]}
    rules: [{when: 'prompt.images > 3', use: frontier}]
    strategy: {kind: tiers, classifier: default, otherwise: standard, min_confidence: 0.5,
      tiers: {simple: small, medium: standard, complex: frontier}}
    affinity: {move: MOVE}
";

/// How the three levels are told.
const SIMPLE: [f32; 3] = [1.0, 0.0, 0.0];
const MEDIUM: [f32; 3] = [0.0, 1.0, 0.0];
const COMPLEX: [f32; 3] = [0.0, 0.0, 1.0];

fn policies(moves: &str) -> PolicySet {
    set(&TIERS.replace("MOVE", moves))
}

fn pin(home: Option<&str>, last: &str) -> ModelPin {
    let name = |text| Name::new(text).expect("a name");
    ModelPin { home: home.map(name), last: name(last), age: 100, idle: 10, bytes: 0 }
}

fn held_to(signals: KnownSignals, pin: ModelPin) -> KnownSignals {
    let mut signals = signals;
    signals.pin = PinLookup::To(pin);
    signals
}

fn decided(moves: &str, features: &Features, signals: &KnownSignals) -> Decision {
    match policies(moves).policies[0].step(&facts("auto"), features, signals) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

/// Returns model, reason, what became of the pin, and what is remembered.
fn outcome(moves: &str, features: &Features, signals: &KnownSignals) -> (String, &'static str, PinOutcome, PinUpdate) {
    let decision = decided(moves, features, signals);
    let pin = decision.pin.expect("a policy with affinity");
    (decision.model.to_string(), decision.reason.as_str(), pin.outcome, decision.keep)
}

fn is(
    model: &str,
    reason: &'static str,
    pin: PinOutcome,
    keep: PinUpdate,
) -> (String, &'static str, PinOutcome, PinUpdate) {
    (model.to_owned(), reason, pin, keep)
}

fn long(tokens: u64) -> Features {
    Features::default().with_tokens(TokenCount { tokens, estimated: false })
}

#[test]
fn the_pin_is_asked_for_before_the_classifier_and_by_policies_with_affinity_only() {
    let step = |set: &PolicySet| set.policies[0].step(&facts("auto"), &Features::default(), &KnownSignals::default());

    assert!(matches!(step(&policies("never")), PolicyStep::Need(Signal::Pin)));
    assert!(matches!(
        step(&set(&TIERS.replace("    affinity: {move: MOVE}\n", ""))),
        PolicyStep::Need(Signal::Scores { .. })
    ));
}

#[test]
fn the_first_request_of_a_conversation_pins_what_the_strategy_chose() {
    let mut signals = scores(MEDIUM);
    signals.pin = PinLookup::Nothing;

    let first = outcome("up_only", &Features::default(), &signals);

    assert_eq!(first, is("standard", "tier", PinOutcome::New, PinUpdate::Home));
}

#[test]
fn a_conversation_that_only_moves_up_goes_up_and_never_down() {
    let at_standard = |probabilities| held_to(scores(probabilities), pin(Some("standard"), "standard"));
    let up_only = |probabilities| outcome("up_only", &Features::default(), &at_standard(probabilities));

    assert_eq!(up_only(SIMPLE), is("standard", "affinity", PinOutcome::Kept, PinUpdate::Home));
    assert_eq!(up_only(MEDIUM), is("standard", "tier", PinOutcome::Agreed, PinUpdate::Home));
    assert_eq!(up_only(COMPLEX), is("frontier", "tier", PinOutcome::Moved, PinUpdate::Home));
}

#[test]
fn what_the_strategy_would_have_chosen_is_shown_as_a_stage() {
    let signals = held_to(scores(SIMPLE), pin(Some("frontier"), "frontier"));

    let decision = decided("up_only", &Features::default(), &signals);

    let [stage] = decision.stages.as_slice() else { panic!("{:?}", decision.stages) };
    assert_eq!((stage.strategy, stage.model.as_deref()), ("tiers", Some("small")));
    assert_eq!((decision.by, decision.label.as_deref()), (DecisionMaker::Affinity, Some("simple")));
}

#[test]
fn a_conversation_that_never_moves_is_not_judged_again() {
    let held = held_to(KnownSignals::default(), pin(Some("small"), "small"));

    let decision = outcome("never", &Features::default(), &held);

    assert_eq!(decision, is("small", "affinity", PinOutcome::Kept, PinUpdate::Home));
}

#[test]
fn in_a_tool_loop_the_model_that_called_the_tools_stays_whatever_may_move() {
    for moves in ["up_only", "free", "never"] {
        let held = held_to(KnownSignals::default(), pin(Some("frontier"), "small"));
        let in_loop = features(|f| f.tool_calls = 1);

        let decision = outcome(moves, &in_loop, &held);

        assert_eq!(decision, is("small", "affinity_tool_loop", PinOutcome::KeptToolLoop, PinUpdate::Last), "{moves}");
    }
}

#[test]
fn results_whose_calls_are_not_in_the_request_are_a_tool_loop_too() {
    let held = held_to(KnownSignals::default(), pin(Some("frontier"), "small"));

    let decision = outcome("free", &features(|f| f.tool_results = 1), &held);

    assert_eq!(decision, is("small", "affinity_tool_loop", PinOutcome::KeptToolLoop, PinUpdate::Last));
}

#[test]
fn a_pinned_model_that_cannot_serve_moves_on_and_says_why() {
    let held = held_to(KnownSignals::default(), pin(Some("small"), "small"));
    let images = features(|f| (f.attachments.images, f.tool_calls) = (1, 1));
    let set =
        set(&TIERS.replace("MOVE", "never").replace("small: {provider: p,", "small: {provider: p, supports: [],"));

    let PolicyStep::Decide(decision) = set.policies[0].step(&facts("auto"), &images, &held) else {
        panic!("a decision")
    };

    assert_eq!((decision.model.as_str(), decision.reason.as_str()), ("standard", "images"));
    assert_eq!(decision.pin.map(|pin| pin.outcome), Some(PinOutcome::Constrained));
}

#[test]
fn a_free_conversation_goes_down_only_where_that_saves_more_than_the_broken_cache_costs() {
    // 10,000 tokens in the cache of `standard` cost 0.002 dollars there, and 0.01 with `small`, which has to read them.
    let held = || held_to(scores(SIMPLE), pin(Some("standard"), "standard"));
    let cold = || held_to(scores(SIMPLE), ModelPin { idle: 301, ..pin(Some("standard"), "standard") });

    let stays = decided("free", &long(10_000), &held());

    assert_eq!((stays.model.as_str(), stays.reason.as_str()), ("standard", "affinity_cache"));
    let trace = stays.pin.expect("a pin");
    let [stay, go] = [trace.stay_usd, trace.move_usd].map(|usd| (usd.expect("prices") * 1e6).round());
    assert_eq!([stay, go], [10_000.0 * 0.2 + 400.0 * 4.0, 10_000.0 + 400.0 * 2.0]);
    assert_eq!(
        outcome("free", &long(10_000), &cold()),
        is("small", "tier", PinOutcome::Moved, PinUpdate::Home),
        "the cache is gone"
    );
    assert_eq!(
        outcome("free", &long(100), &held()),
        is("small", "tier", PinOutcome::Moved, PinUpdate::Home),
        "a short one"
    );
}

#[test]
fn a_free_conversation_goes_up_whatever_it_costs() {
    let held = held_to(scores(COMPLEX), pin(Some("small"), "small"));

    let decision = outcome("free", &long(100_000), &held);

    assert_eq!(decision, is("frontier", "tier", PinOutcome::Moved, PinUpdate::Home));
}

#[test]
fn a_classifier_that_says_nothing_moves_no_conversation_and_pins_none() {
    let silent = || asked(Err(ClassifierFailure::Deadline));
    let mut fresh = silent();
    fresh.pin = PinLookup::Nothing;

    let held = outcome("free", &Features::default(), &held_to(silent(), pin(Some("small"), "small")));
    let first = outcome("up_only", &Features::default(), &fresh);

    assert_eq!(held, is("small", "affinity", PinOutcome::Kept, PinUpdate::Home));
    assert_eq!(first, is("standard", "classifier_deadline", PinOutcome::New, PinUpdate::Last));
}

#[test]
fn rules_and_the_client_s_own_choice_are_stronger_than_a_pin_and_leave_it() {
    let held = held_to(KnownSignals::default(), pin(Some("standard"), "standard"));
    let images = features(|f| f.attachments.images = 4);

    let by_rule = outcome("never", &images, &held);

    assert_eq!(by_rule, is("frontier", "rule", PinOutcome::Overruled, PinUpdate::Last));
}

#[test]
fn a_model_that_the_policy_has_no_longer_holds_nothing() {
    let held = held_to(scores(SIMPLE), pin(Some("gone"), "gone"));

    let decision = outcome("never", &features(|f| f.tool_calls = 1), &held);

    assert_eq!(decision, is("small", "tier", PinOutcome::New, PinUpdate::Home));
}

#[test]
fn a_provider_that_is_down_for_a_moment_does_not_move_the_pin() {
    struct Down;
    impl PolicyWorld for Down {
        fn health(&self, model: &Name) -> ProviderHealth {
            if model.as_str() == "small" { ProviderHealth::Down } else { ProviderHealth::Up }
        }
    }
    let held = held_to(KnownSignals::default(), pin(Some("small"), "small"));
    let facts = RequestFacts { live: &Down, ..facts("auto") };

    let step = policies("never").policies[0].step(&facts, &Features::default(), &held);

    let PolicyStep::Decide(decision) = step else { panic!("a decision") };
    assert_eq!((decision.model.as_str(), decision.reason.as_str()), ("standard", "unhealthy"));
    assert_eq!(decision.keep, PinUpdate::Last);
}

#[test]
fn utility_counts_what_is_in_the_cache_at_its_price() {
    let file = TIERS.replace("MOVE", "free").replace(
        "{kind: tiers, classifier: default, otherwise: standard, min_confidence: 0.5,
      tiers: {simple: small, medium: standard, complex: frontier}}",
        "{kind: utility, classifier: default, models: [small, standard], lambda: 10, otherwise: standard}",
    );
    let head = |model: &str, success: f32| {
        HeadScores::new(&format!("success/{model}"), &["no", "yes"], &[1.0 - success, success])
    };
    let heads = vec![head("small", 0.80), head("standard", 0.81)];
    let scores = || {
        let heads = heads.clone();
        asked(Ok(Scores::of(heads)))
    };
    let choose = |signals: &KnownSignals| {
        let step = set(&file).policies[0].step(&facts("auto"), &long(10_000), signals);
        let PolicyStep::Decide(decision) = step else { panic!("{step:?}") };
        decision.model.to_string()
    };
    let mut fresh = scores();
    fresh.pin = PinLookup::Nothing;

    assert_eq!(choose(&fresh), "small", "a tenth of a dollar more is not worth a hundredth of a chance");
    assert_eq!(choose(&held_to(scores(), pin(Some("standard"), "standard"))), "standard");
}
