//! The strategies that are neither tiers nor a threshold, and what they are within each other.

mod constraints;
pub(super) mod nested;

use std::borrow::Cow;

use super::*;
use crate::config::StateRule;

pub(super) const MODELS: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, context: 1000, tokenizer: openai, price: {input: 1, output: 2}}
  standard: {provider: p, tokenizer: openai, price: {input: 2, output: 8}}
  frontier: {provider: p, tokenizer: openai, price: {input: 10, output: 40}}
classifiers: {default: {bundle: b}, second: {bundle: b}}
policies:
  - name: auto
    strategy: ";

/// What is known of the world in these tests.
#[derive(Default)]
pub(super) struct World {
    pub(super) conversation: u64,
    pub(super) draw: f64,
    pub(super) down: Option<&'static str>,
    pub(super) forbidden: Option<&'static str>,
    /// The models whose provider keeps what the request names, and the one that made it.
    pub(super) kept: Option<(&'static [&'static str], Option<&'static str>)>,
    pub(super) slow: Option<&'static str>,
    pub(super) header: Option<(&'static str, &'static str)>,
    /// True where every quota is used up.
    pub(super) used_up: bool,
    pub(super) tight_budget: Option<&'static str>,
}

impl PolicyWorld for World {
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.header.filter(|(own, _)| *own == name).map(|(_, value)| value.into())
    }

    fn health(&self, model: &Name) -> ProviderHealth {
        if self.down == Some(model.as_str()) { ProviderHealth::Down } else { ProviderHealth::Up }
    }

    fn allows(&self, model: &Name) -> bool {
        self.forbidden != Some(model.as_str())
    }

    fn keeps_state(&self, model: &Name, rule: StateRule) -> bool {
        rule == StateRule::Strip || self.kept.is_none_or(|(models, _)| models.contains(&model.as_str()))
    }

    fn state_model(&self, _rule: StateRule) -> Option<Name> {
        self.kept?.1.map(|model| Name::new(model).expect("a name"))
    }

    fn is_used_up(&self, _policy: &Name, _quota: usize) -> bool {
        self.used_up
    }

    fn tight_budget(&self) -> Option<Name> {
        self.tight_budget.map(|budget| Name::new(budget).expect("a name"))
    }

    fn first_byte(&self, model: &Name) -> Option<f64> {
        Some(if self.slow == Some(model.as_str()) { 10.0 } else { 1.0 })
    }

    fn conversation(&self) -> u64 {
        self.conversation
    }

    fn draw(&self) -> f64 {
        self.draw
    }
}

pub(super) fn policy(strategy: &str) -> PolicySet {
    set(&format!("{MODELS}{strategy}\n"))
}

fn step_in(set: &PolicySet, world: &World, signals: &KnownSignals) -> PolicyStep {
    set.policies[0].step(&RequestFacts { live: world, ..facts("auto") }, &Features::default(), signals)
}

pub(super) fn decide_in(set: &PolicySet, world: &World, signals: &KnownSignals) -> Decision {
    match step_in(set, world, signals) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

pub(super) fn decided(strategy: &str, signals: &KnownSignals) -> Decision {
    decide_in(&policy(strategy), &World::default(), signals)
}

fn needed(strategy: &str, signals: &KnownSignals) -> Signal {
    match step_in(&policy(strategy), &World::default(), signals) {
        PolicyStep::Need(signal) => signal,
        other => panic!("{other:?}"),
    }
}

fn model_and_reason(decision: &Decision) -> (&str, &'static str) {
    (decision.model.as_str(), decision.reason.as_str())
}

pub(super) fn head(head: &str, labels: &[&str], probabilities: &[f32]) -> HeadScores {
    HeadScores::new(head, labels, probabilities)
}

pub(super) fn heads(heads: Vec<HeadScores>) -> KnownSignals {
    asked(Ok(Scores::of(heads)))
}

pub(super) fn levels(probabilities: [f32; 4]) -> KnownSignals {
    heads(vec![head("complexity", &["0", "1", "2", "3"], &probabilities)])
}

#[test]
fn levels_that_share_a_model_are_one_tier_with_their_probabilities_together() {
    let strategy = "{kind: tiers, classifier: default, head: complexity, min_confidence: 0.5, otherwise: frontier,
      tiers: {'0': small, '1': small, '2': standard, '3': frontier}}";

    let together = decided(strategy, &levels([0.3, 0.3, 0.4, 0.0]));
    let unsure = decided(strategy, &levels([0.2, 0.2, 0.3, 0.3]));

    assert_eq!((model_and_reason(&together), together.score), (("small", "tier"), Some(0.6)));
    assert_eq!(model_and_reason(&unsure), ("frontier", "low_confidence"));
    let flip = unsure.flip.expect("a lower confidence would do");
    assert_eq!((flip.of, flip.threshold, flip.model.as_deref()), ("min_confidence", 0.5, Some("small")));
}

#[test]
fn a_tier_that_is_not_sure_is_rounded_up_by_one_and_the_highest_stays() {
    let strategy =
        "{kind: tiers, classifier: default, head: complexity, min_confidence: 0.6, round: up, otherwise: small,
      tiers: {'0': small, '1': small, '2': standard, '3': frontier}}";
    let outcome = |levels_of| model_and_reason(&decided(strategy, &levels(levels_of))).0.to_owned();

    assert_eq!(outcome([0.4, 0.1, 0.3, 0.2]), "standard");
    assert_eq!(outcome([0.0, 0.2, 0.5, 0.3]), "frontier");
    assert_eq!(outcome([0.1, 0.1, 0.3, 0.5]), "frontier");
    assert_eq!(outcome([0.7, 0.1, 0.2, 0.0]), "small");
}

pub(super) fn successes(small: f32, standard: f32, frontier: f32) -> KnownSignals {
    let one =
        |model: &str, success: f32| head(&format!("success/{model}"), &["wrong", "right"], &[1.0 - success, success]);
    heads(vec![one("small", small), one("standard", standard), one("frontier", frontier)])
}

pub(super) const UTILITY: &str = "{kind: utility, classifier: default, models: [small, standard, frontier], lambda: 10,
  output_tokens: 1000, otherwise: frontier}";

#[test]
fn utility_takes_the_most_success_for_what_it_costs() {
    // 1,000 tokens cost 0.002, 0.008 and 0.04 US dollars: worth 0.02, 0.08 and 0.4.
    let easy = decided(UTILITY, &successes(0.9, 0.92, 0.95));
    let hard = decided(UTILITY, &successes(0.2, 0.5, 0.9));
    let middle = decided(UTILITY, &successes(0.3, 0.7, 0.8));

    assert_eq!([&easy, &middle, &hard].map(|decision| decision.model.as_str()), ["small", "standard", "frontier"]);
    assert_eq!((hard.by, hard.reason, hard.score), (DecisionMaker::Strategy("utility"), Reason::Utility, Some(0.9)));
    let expected =
        hard.candidates.iter().find(|one| one.model.as_str() == "frontier").and_then(|one| one.expected.clone());
    let expected = expected.expect("the strategy compares it");
    assert!((expected.cost_usd.expect("a price") - 0.04).abs() < 1e-9, "{expected:?}");
    assert!((expected.utility.expect("a utility") - 0.5).abs() < 1e-6, "{expected:?}");
    assert_eq!(expected.success_is.as_deref(), Some("probability of `right` (head `success/frontier`)"));
}

#[test]
fn utility_says_at_which_lambda_it_would_have_chosen_otherwise() {
    let decision = decided(UTILITY, &successes(0.2, 0.5, 0.9));

    // Frontier and standard meet where 0.9 - 0.04 x = 0.5 - 0.008 x.
    let flip = decision.flip.expect("another lambda, another model");
    assert_eq!((flip.of, flip.model.as_deref(), flip.value), ("lambda", Some("standard"), 10.0));
    assert!((flip.threshold - 12.5).abs() < 1e-4, "{flip:?}");
}

#[test]
fn utility_counts_latency_and_expects_no_longer_answer_than_was_asked_for() {
    let strategy = UTILITY.replace("lambda: 10", "lambda: 10, mu: 0.05");
    let slow = World { slow: Some("frontier"), ..World::default() };
    let set = policy(&strategy);
    let signals = successes(0.2, 0.5, 0.9);

    assert_eq!(decide_in(&set, &World::default(), &signals).model.as_str(), "frontier");
    assert_eq!(decide_in(&set, &slow, &signals).model.as_str(), "standard");

    let short = features(|features| features.request.max_output_tokens = 10);
    let step = policy(UTILITY).policies[0].step(&facts("auto"), &short, &successes(0.5, 0.6, 0.7));
    assert!(matches!(step, PolicyStep::Decide(decision) if decision.model.as_str() == "frontier"));
}

#[test]
fn utility_takes_chances_from_any_head_or_as_they_are_given() {
    let strategy = "{kind: utility, classifier: default, models: [small, frontier], lambda: 10, output_tokens: 1000,
      success: {small: {head: strong_wins, label: weak}, frontier: {chance: 0.95}}, otherwise: frontier}";
    let wins = |strong: f32| heads(vec![head("strong_wins", &["weak", "strong"], &[1.0 - strong, strong])]);

    // 1,000 tokens cost 0.002 and 0.04 US dollars: the small one wins while its chance is above 0.95 - 0.38.
    assert_eq!(decided(strategy, &wins(0.4)).model.as_str(), "small");
    assert_eq!(decided(strategy, &wins(0.45)).model.as_str(), "frontier");
}

#[test]
fn utility_without_scores_abstains() {
    assert_eq!(
        model_and_reason(&decided(UTILITY, &asked(Err(ClassifierFailure::Deadline)))),
        ("frontier", "classifier_deadline")
    );
    assert_eq!(model_and_reason(&decided(UTILITY, &levels([1.0; 4]))), ("frontier", "unmapped_label"));
}

pub(super) const SIMILARITY: &str =
    "{kind: similarity, classifier: default, threshold: 0.4, otherwise: standard, routes: [
  {model: small, description: small talk}, {name: code, model: frontier, examples: [fix my code], threshold: 0.7}]}";

pub(super) fn similar(similarities: &[f32]) -> KnownSignals {
    let known = Ok(RouteSimilarities(similarities.to_vec()));
    KnownSignals { similarities: vec![("policies[0].strategy".into(), known)], ..KnownSignals::default() }
}

#[test]
fn similarity_asks_for_its_routes_and_takes_the_nearest_that_is_near_enough() {
    let asks = needed(SIMILARITY, &KnownSignals::default());
    assert_eq!(asks, Signal::Similarities { strategy: "policies[0].strategy".into() });

    assert_eq!(model_and_reason(&decided(SIMILARITY, &similar(&[0.5, 0.8]))), ("frontier", "similarity"));
    assert_eq!(model_and_reason(&decided(SIMILARITY, &similar(&[0.5, 0.6]))), ("small", "similarity"));
    assert_eq!(model_and_reason(&decided(SIMILARITY, &similar(&[0.3, 0.6]))), ("standard", "not_similar"));
    assert_eq!(model_and_reason(&decided(SIMILARITY, &similar(&[0.5, 0.8, 0.9]))), ("standard", "not_similar"));
    assert_eq!(model_and_reason(&decided(SIMILARITY, &similar(&[0.5, 0.8, 0.6]))), ("frontier", "similarity"));
    assert_eq!(model_and_reason(&decided(SIMILARITY, &similar(&[f32::NAN, f32::NAN]))), ("standard", "not_similar"));
}

#[test]
fn similarity_shows_its_route_and_what_would_have_been_near_enough() {
    let far = decided(SIMILARITY, &similar(&[0.3, 0.6]));

    assert_eq!((far.label.as_deref(), far.score), (Some("code"), Some(0.6)));
    let flip = far.flip.expect("a lower threshold would do");
    assert_eq!((flip.of, flip.threshold, flip.model.as_deref()), ("similarity", 0.7, Some("frontier")));
}

pub(super) const JUDGE: &str = "{kind: judge, judge: small, otherwise: standard, choices: [
  {label: easy, model: small, description: easy ones}, {label: hard, model: frontier, description: hard ones}]}";

pub(super) fn judged(said: Result<&str, JudgeFailure>) -> KnownSignals {
    let said = said.map(|label| Judgement { cost_usd: Some(0.001), ..judgement(label, None) });
    let said = said.map_err(UnansweredQuestion::from);
    KnownSignals { judgements: vec![("policies[0].strategy".into(), said)], ..KnownSignals::default() }
}

pub(super) fn judgement(label: &str, confidence: Option<f32>) -> Judgement {
    let rationale = confidence.map(|_| "it is a proof".into());
    Judgement { label: label.into(), confidence, rationale, cost_usd: Some(0.002), is_cached: false }
}

#[test]
fn a_judge_s_label_chooses_and_a_judge_that_fails_abstains() {
    assert!(matches!(needed(JUDGE, &KnownSignals::default()), Signal::Judgement { .. }));

    assert_eq!(model_and_reason(&decided(JUDGE, &judged(Ok("hard")))), ("frontier", "judge"));
    assert_eq!(model_and_reason(&decided(JUDGE, &judged(Ok("odd")))), ("standard", "unmapped_label"));
    for failure in JudgeFailure::ALL {
        let decision = decided(JUDGE, &judged(Err(failure)));

        assert_eq!((decision.model.as_str(), decision.reason), ("standard", Reason::JudgeFailed(failure)));
    }
    let unreadable = UnansweredQuestion { failure: JudgeFailure::BadAnswer, cost_usd: Some(0.001) };
    let judgements = vec![("policies[0].strategy".into(), Err(unreadable))];
    let decision = decided(JUDGE, &KnownSignals { judgements, ..KnownSignals::default() });
    assert_eq!(decision.cost_usd, Some(0.001), "an answer that cannot be read is paid for all the same");
}

#[test]
fn a_split_keeps_its_shares_and_a_conversation_its_side() {
    let set = policy("{kind: split, models: {small: 9, frontier: 1}}");
    let chosen = |conversation| {
        let world = World { conversation, ..World::default() };
        decide_in(&set, &world, &KnownSignals::default()).model.to_string()
    };

    let frontier = (0..10_000).filter(|conversation| chosen(*conversation) == "frontier").count();
    assert!((900..1100).contains(&frontier), "{frontier}");
    assert!((0..100).all(|conversation| chosen(conversation) == chosen(conversation)));
}

#[test]
fn a_split_by_header_or_with_another_seed_falls_otherwise() {
    let sides = |strategy: &str, header: &'static str| {
        let set = policy(strategy);
        let world = |conversation| World { conversation, header: Some(("x-user", header)), ..World::default() };
        (0..64).map(|one| decide_in(&set, &world(one), &KnownSignals::default()).model.to_string()).collect::<Vec<_>>()
    };
    let by_header = "{kind: split, models: {small: 1, frontier: 1}, by: {header: X-User}}";

    let alike = sides(by_header, "anna");
    assert!(alike.iter().all(|side| *side == alike[0]), "{alike:?}");
    let halves = "{kind: split, models: {small: 1, frontier: 1}}";
    assert_ne!(sides(halves, "x"), sides(&halves.replace("}}", "}, seed: b}"), "x"));
}

#[test]
fn random_takes_each_model_by_its_share_of_the_draws() {
    let set = policy("{kind: random, models: [small, frontier, frontier]}");
    let chosen =
        |draw| decide_in(&set, &World { draw, ..World::default() }, &KnownSignals::default()).model.to_string();

    assert_eq!([0.0, 0.33, 0.34, 0.999, 1.0].map(chosen), ["small", "small", "frontier", "frontier", "frontier"]);
}

pub(super) const ORDERED: &str = "{kind: tiers, classifier: default, head: complexity, min_confidence: 0.5,
  tiers: {'0': small, '1': small, '2': standard, '3': frontier}}";
pub(super) const COARSE: &str =
    "{kind: threshold, classifier: default, head: complexity, strong: frontier, weak: small, threshold: 0.5}";

#[test]
fn strategies_within_another_have_one_order_from_the_weakest_model_up() {
    let cascade = format!("{{kind: cascade, otherwise: frontier, stages: [{ORDERED}, {COARSE}]}}");
    let hierarchy = format!(
        "{{kind: hierarchy, classifier: default, head: complexity, otherwise: frontier,
          branches: [{{labels: ['0'], strategy: {ORDERED}}}],
          default: {COARSE}}}"
    );
    let small_is_down = World { down: Some("small"), ..World::default() };

    for strategy in [cascade, hierarchy] {
        let decision = decide_in(&policy(&strategy), &small_is_down, &levels([0.9, 0.1, 0.0, 0.0]));

        assert_eq!(model_and_reason(&decision), ("standard", "unhealthy"), "{strategy}");
    }
}

#[test]
fn the_heaviest_model_stands_in_for_a_split_and_the_first_of_several() {
    for (models, heaviest) in [
        ("{small: 9, zebra: 1}", "small"),
        ("{small: 1, zebra: 9}", "zebra"),
        ("{small: 5, standard: 5, zebra: 1}", "small"),
    ] {
        let catalog = MODELS.replace("classifiers:", "  zebra: {provider: p}\nclassifiers:");
        for strategy in [
            format!("{{kind: split, models: {models}}}"),
            format!("{{kind: cascade, stages: [{{kind: split, models: {models}}}]}}"),
        ] {
            let set = set(&format!("{catalog}{strategy}\n"));
            let facts = facts("auto");
            let PolicyOutcome::Decided(decision) =
                set.policies[0].stand_in(Reason::KillSwitch, &facts, &Features::default())
            else {
                panic!("a decision")
            };
            assert_eq!(decision.model.as_str(), heaviest, "{strategy}");
        }
    }
}

#[test]
fn what_was_cut_makes_every_strategy_that_asks_a_classifier_abstain() {
    let cut = |tokens: u32| {
        let mut signals = levels([0.9, 0.1, 0.0, 0.0]);
        let scores = signals.scores[0].scores.as_mut().expect("scores");
        scores.heads.extend(successes(0.9, 0.9, 0.9).scores.remove(0).scores.expect("scores").heads);
        scores.truncated_tokens = tokens;
        signals
    };
    let limited =
        |strategy: &str| strategy.replacen("classifier: default,", "classifier: default, max_truncated_tokens: 9,", 1);
    let hierarchy = "{kind: hierarchy, classifier: default, head: complexity,
      branches: [{labels: ['0'], strategy: {kind: random, models: [small]}}], default: {kind: random, models: [standard]}}";

    for strategy in [ORDERED.replace("kind: tiers", "kind: tiers, otherwise: frontier"), COARSE.into(), UTILITY.into()]
    {
        let strategy = limited(&strategy);
        assert_eq!(decided(&strategy, &cut(9)).model.as_str(), "small", "{strategy}");
        assert_eq!(model_and_reason(&decided(&strategy, &cut(10))).1, "truncated", "{strategy}");
    }
    let strategy = limited(hierarchy);
    assert_eq!(decided(&strategy, &cut(9)).model.as_str(), "small");
    let default = decided(&strategy, &cut(10));
    assert_eq!((default.model.as_str(), default.stages[0].reason.as_str()), ("standard", "truncated"));
}
