//! The constraint `dialect`: models whose providers do not speak the client's API.

use std::sync::Mutex;

use pointsman_translation::DialectFamily;

use super::*;
use crate::policy::constraints::DialectFit;
use crate::prompt::{Dialect, Prompt};

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers:
  ours: {base_url: http://h, dialects: [chat]}
  theirs: {base_url: http://h, dialects: [messages]}
  others: {base_url: http://h, dialects: [gemini]}
models: {small: {provider: SMALL}, standard: {provider: STANDARD}, frontier: {provider: FRONTIER}}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    translation: {on_loss: RULE}
    fallback: [small, standard, frontier]
    strategy: {kind: tiers, classifier: default, tiers: {simple: small, medium: standard, complex: frontier}, otherwise: small}
";

/// A request, and what other APIs can say of it.
struct World<'p> {
    prompt: Prompt<'p>,
    messages: DialectFit,
    gemini: DialectFit,
    down: Option<&'static str>,
    asked: Mutex<Vec<DialectFamily>>,
}

impl PolicyWorld for World<'_> {
    fn prompt(&self) -> Option<&Prompt<'_>> {
        Some(&self.prompt)
    }

    fn dialect_fit(&self, upstream: DialectFamily, _model: &Name) -> DialectFit {
        self.asked.lock().expect("one thread").push(upstream);
        if upstream == DialectFamily::Messages { self.messages } else { self.gemini }
    }

    fn health(&self, model: &Name) -> ProviderHealth {
        if self.down == Some(model.as_str()) { ProviderHealth::Down } else { ProviderHealth::Up }
    }
}

fn world(messages: DialectFit, gemini: DialectFit) -> World<'static> {
    let body = br#"{"model": "auto", "messages": []}"#;
    let prompt = Prompt::parse(Dialect::ChatCompletions, body).expect("a request");
    World { prompt, messages, gemini, down: None, asked: Mutex::default() }
}

/// Decides for a policy whose tiers are at these providers, with the first chosen by the classifier.
fn decided(world: &World<'_>, providers: [&str; 3], rule: &str, detail: DecisionDetail) -> Decision {
    let [small, standard, frontier] = providers;
    let file = FILE.replace("SMALL", small).replace("STANDARD", standard).replace("FRONTIER", frontier);
    let set = set(&file.replace("RULE", rule));
    let facts = RequestFacts { live: world, detail, ..RequestFacts::bare("auto", "/v1/chat/completions") };
    match set.policies[0].step(&facts, &Features::default(), &scores([1.0, 0.0, 0.0])) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

/// Decides with and without an explanation, which must not differ, and says the model and the reason.
fn model(world: &World<'_>, providers: [&str; 3], rule: &str) -> (String, &'static str) {
    let [explained, plain] = [DecisionDetail::Explanation, DecisionDetail::Decision].map(|detail| {
        let decision = decided(world, providers, rule, detail);
        (decision.model.to_string(), decision.reason.as_str())
    });
    assert_eq!(explained, plain);
    plain
}

const MIXED: [&str; 3] = ["theirs", "others", "ours"];

#[test]
fn a_model_whose_api_loses_what_matters_is_not_chosen_while_another_loses_nothing() {
    use DialectFit::{Grave, Lossy, Refused, Whole};

    assert_eq!(model(&world(Whole, Whole), MIXED, "warn"), chosen("small", "tier"));
    assert_eq!(model(&world(Lossy, Whole), MIXED, "warn"), chosen("small", "tier"));
    assert_eq!(model(&world(Grave, Whole), MIXED, "warn"), chosen("standard", "dialect"));
    assert_eq!(model(&world(Refused, Lossy), MIXED, "warn"), chosen("standard", "dialect"));
    assert_eq!(model(&world(Grave, Grave), MIXED, "warn"), chosen("frontier", "dialect"));
}

#[test]
fn where_nothing_else_is_left_a_loss_is_better_than_no_answer_and_a_refusal_is_not() {
    use DialectFit::{Grave, Refused, Whole};
    let foreign = ["theirs", "others", "theirs"];

    assert_eq!(model(&world(Grave, Grave), foreign, "warn"), chosen("small", "tier"));
    assert_eq!(model(&world(Refused, Grave), foreign, "warn"), chosen("standard", "dialect"));
    // The proxy refuses it, and says what cannot be said.
    assert_eq!(model(&world(Refused, Refused), foreign, "warn"), chosen("small", "tier"));
    assert_eq!(model(&world(Refused, Whole), foreign, "warn"), chosen("standard", "dialect"));
}

#[test]
fn a_policy_that_refuses_losses_looks_for_a_model_that_loses_nothing_at_all() {
    use DialectFit::{Grave, Lossy, Whole};

    assert_eq!(model(&world(Lossy, Whole), MIXED, "refuse"), chosen("standard", "dialect"));
    assert_eq!(model(&world(Lossy, Grave), MIXED, "refuse"), chosen("frontier", "dialect"));
    assert_eq!(model(&world(Lossy, Lossy), ["theirs", "others", "theirs"], "refuse"), chosen("small", "tier"));
}

#[test]
fn nothing_is_asked_where_the_answer_cannot_change_the_choice() {
    let asked = |providers| {
        let world = world(DialectFit::Grave, DialectFit::Grave);
        decided(&world, providers, "warn", DecisionDetail::Decision);
        let asked = world.asked.lock().expect("one thread");
        asked.len()
    };

    assert_eq!(asked(["ours", "ours", "ours"]), 0);
    assert_eq!(asked(["ours", "theirs", "others"]), 0, "the chosen one speaks the client's API");
    assert_eq!(asked(["theirs", "theirs", "theirs"]), 0, "all get the same words");
    assert!(asked(MIXED) > 0);
}

#[test]
fn an_explanation_shows_every_model_that_loses_something_that_matters() {
    let world = world(DialectFit::Whole, DialectFit::Grave);

    let decision = decided(&world, ["ours", "theirs", "others"], "warn", DecisionDetail::Explanation);

    let candidates = serde_json::to_value(&decision.candidates).expect("serialisable");
    assert_eq!((&candidates[1]["lacks"], &candidates[2]["lacks"]), (&serde_json::Value::Null, &"dialect".into()));
    // Last, because nothing else is left then.
    assert_eq!(decision.fallback.iter().map(Name::as_str).collect::<Vec<_>>(), ["standard", "frontier"]);
}

#[test]
fn a_model_that_is_down_gives_way_to_one_that_loses_nothing_first() {
    let down = World { down: Some("small"), ..world(DialectFit::Grave, DialectFit::Whole) };
    let ours_down = ["ours", "theirs", "others"];

    assert_eq!(model(&down, ours_down, "warn"), chosen("frontier", "unhealthy"));
    assert_eq!(model(&World { gemini: DialectFit::Grave, ..down }, ours_down, "warn"), chosen("small", "tier"));
}
