//! What an explanation says beside the decision: what would have changed it, what is expected of each model, what it
//! cost.

use super::strategies::nested::{CASCADE, HIERARCHY, domain};
use super::strategies::{
    JUDGE, SIMILARITY, UTILITY, World, decide_in, head, heads, judged, judgement, levels, policy, similar, successes,
};
use super::*;

const LEVELS: &str = "{kind: tiers, classifier: default, head: complexity, min_confidence: 0.5, otherwise: frontier,
  tiers: {'0': small, '1': small, '2': standard, '3': frontier}}";
const PAIR: &str = "{kind: threshold, classifier: default, strong: frontier, weak: small, threshold: 0.5}";

fn explained(strategy: &str, signals: &KnownSignals) -> Decision {
    decide_in(&policy(strategy), &World::default(), signals)
}

fn wins(strong: f32) -> KnownSignals {
    heads(vec![head("strong_wins", &["weak", "strong"], &[1.0 - strong, strong])])
}

/// What a choice hangs on, as tests spell it.
type Shown<'d> = (&'static str, Option<&'d str>, [i64; 2], Option<&'d str>);

/// Returns what a choice hangs on: of what, whose, from where to where in hundredths, and the model there.
fn flip(decision: &Decision) -> Option<Shown<'_>> {
    let DecisionFlip { of, label, value, threshold, model } = decision.flip.as_deref()?;
    #[expect(clippy::cast_possible_truncation, reason = "hundredths")]
    let hundredths = [value, threshold].map(|number| (number * 100.0).round() as i64);
    Some((of, label.as_deref(), hundredths, model.as_deref()))
}

#[test]
fn a_sure_tier_hangs_on_the_label_that_is_next_or_on_its_own_confidence() {
    let own = explained(LEVELS, &levels([0.55, 0.0, 0.2, 0.25]));

    assert_eq!(flip(&own), Some(("min_confidence", Some("0"), [55, 50], Some("frontier"))));
    let lax = LEVELS.replace("0.5", "0.1");
    // What `2` gains the others lose: they meet at half of both.
    let met = explained(&lax, &levels([0.6, 0.1, 0.3, 0.0]));
    assert_eq!(flip(&met), Some(("probability", Some("2"), [30, 50], Some("standard"))));
}

#[test]
fn what_leads_to_the_same_model_again_changes_nothing() {
    // Below its confidence `otherwise` is the same model.
    let same = explained(&LEVELS.replace("otherwise: frontier", "otherwise: small"), &levels([0.51, 0.0, 0.2, 0.29]));

    assert_eq!(flip(&same), Some(("min_confidence", Some("3"), [29, 50], Some("frontier"))));
}

#[test]
fn a_tier_that_was_rounded_up_would_have_been_itself_with_more_confidence() {
    let rounded = LEVELS.replace("min_confidence: 0.5", "min_confidence: 0.5, round: up");

    let decision = explained(&rounded, &levels([0.4, 0.05, 0.3, 0.25]));

    assert_eq!((decision.model.as_str(), decision.reason), ("standard", Reason::RoundedUp));
    assert_eq!(flip(&decision), Some(("min_confidence", Some("0"), [45, 50], Some("small"))));
}

#[test]
fn a_route_hangs_on_its_own_threshold_and_on_how_near_the_others_are() {
    let own = explained(SIMILARITY, &similar(&[0.45, 0.2]));
    let other = explained(SIMILARITY, &similar(&[0.5, 0.68]));
    let next = explained(SIMILARITY, &similar(&[0.72, 0.76]));

    assert_eq!(flip(&own), Some(("similarity", Some("small"), [45, 40], Some("standard"))));
    assert_eq!(flip(&other), Some(("similarity", Some("code"), [68, 70], Some("frontier"))));
    assert_eq!(flip(&next), Some(("similarity", Some("small"), [72, 76], Some("small"))));
}

#[test]
fn where_no_lambda_would_do_utility_says_how_likely_another_model_would_have_to_succeed() {
    let same_price = "{kind: utility, classifier: default, models: [small, standard], lambda: 0, otherwise: small,
      success: {small: {chance: 0.9}, standard: {chance: 0.7}}}";

    let decision = explained(same_price, &levels([1.0, 0.0, 0.0, 0.0]));
    let certain = explained(&same_price.replace("lambda: 0", "lambda: 1000"), &levels([1.0, 0.0, 0.0, 0.0]));

    assert_eq!(flip(&decision), Some(("success", Some("standard"), [70, 90], Some("standard"))));
    assert_eq!(flip(&certain), None, "nothing is more than certain");
}

#[test]
fn what_was_cut_says_what_would_have_been_chosen_of_the_whole() {
    let strategy = LEVELS.replace("head:", "max_truncated_tokens: 9, head:");
    let mut cut = levels([0.9, 0.1, 0.0, 0.0]);
    cut.scores[0].scores.as_mut().expect("scores").truncated_tokens = 12;

    assert_eq!(flip(&explained(&strategy, &cut)), Some(("max_truncated_tokens", None, [1200, 900], Some("small"))));
}

#[test]
fn chance_a_judge_and_missing_scores_hang_on_no_number() {
    for (strategy, signals) in [
        ("{kind: split, models: {small: 1, frontier: 1}}", KnownSignals::default()),
        ("{kind: random, models: [small, frontier]}", KnownSignals::default()),
        (JUDGE, judged(Ok("hard"))),
        (LEVELS, asked(Err(ClassifierFailure::Deadline))),
        (PAIR, wins(f32::NAN)),
    ] {
        assert_eq!(flip(&explained(strategy, &signals)), None, "{strategy}");
    }
}

#[test]
fn a_judge_that_is_less_sure_than_it_must_be_abstains_and_says_what_would_do() {
    let strict = JUDGE.replace("judge: small,", "judge: small, min_confidence: 0.7,");
    let said = |strategy: &str, confidence| {
        let judgements = vec![("policies[0].strategy".into(), Ok(judgement("hard", confidence)))];
        explained(strategy, &KnownSignals { judgements, ..KnownSignals::default() })
    };

    let (sure, unsure, silent) = (said(&strict, Some(0.7)), said(&strict, Some(0.5)), said(&strict, None));

    assert_eq!((&*sure.model, sure.reason, sure.score), ("frontier", Reason::Judge, Some(0.7)));
    assert_eq!(sure.rationale.as_deref(), Some("it is a proof"));
    assert_eq!(
        (&*unsure.model, unsure.reason, unsure.label.as_deref()),
        ("standard", Reason::LowConfidence, Some("hard"))
    );
    assert_eq!(flip(&unsure), Some(("min_confidence", Some("hard"), [50, 70], Some("frontier"))));
    assert_eq!((&*silent.model, silent.reason), ("standard", Reason::LowConfidence));
    assert_eq!(said(JUDGE, None).reason, Reason::Judge);
}

#[test]
fn each_stage_says_what_it_hangs_on_and_the_decision_what_the_last_does() {
    let unsure = levels([0.4, 0.0, 0.3, 0.3]);
    let answer = judgement("frontier", None);
    let judgements = vec![("policies[0].strategy.stages[1]".into(), Ok(answer))];
    let decision = explained(CASCADE, &KnownSignals { judgements, ..unsure });

    assert_eq!((flip(&decision), decision.cost_usd), (None, Some(0.002)));
    let first = decision.stages[0].flip.as_ref().expect("the first stage was not sure");
    assert_eq!((first.of, first.threshold, first.model.as_deref()), ("min_confidence", 0.9, Some("small")));
}

#[test]
fn below_its_confidence_a_stage_leaves_the_choice_to_a_later_one_that_may_not_be_known() {
    let sure = explained(CASCADE, &levels([0.92, 0.0, 0.08, 0.0]));
    let tiers = LEVELS.replace("otherwise: frontier,", "");
    let known = format!("{{kind: cascade, otherwise: small, stages: [{tiers}, {{kind: random, models: [standard]}}]}}");

    assert_eq!(flip(&sure), Some(("min_confidence", Some("0"), [92, 90], None)));
    let known = explained(&known, &levels([0.55, 0.0, 0.0, 0.45]));
    assert_eq!(flip(&known), Some(("min_confidence", Some("0"), [55, 50], Some("standard"))));
}

#[test]
fn a_hierarchy_says_which_domain_would_have_led_elsewhere() {
    let decision = explained(HIERARCHY, &domain(0.4));

    assert_eq!(decision.model.as_str(), "small");
    let flip = decision.stages[0].flip.as_ref().expect("another domain, another strategy");
    assert_eq!((flip.of, flip.label.as_deref(), flip.model.as_ref()), ("probability", Some("law"), None));
}

#[test]
fn a_rule_says_what_would_serve_without_it_where_that_is_known() {
    let with = |strategy: &str, rules: &str| set(&format!("{}{strategy}\n    rules: [{rules}]\n", strategies::MODELS));
    let random = "{kind: random, models: [small]}";
    let decided = |set: &PolicySet, signals: &KnownSignals| decide_in(set, &World::default(), signals);

    let alone = decided(&with(random, "{when: 'true', use: frontier}"), &KnownSignals::default());
    let next = decided(
        &with(random, "{when: 'true', use: frontier}, {when: 'true', use: standard}"),
        &KnownSignals::default(),
    );
    let unasked = decided(&with(PAIR, "{when: 'true', use: frontier}"), &KnownSignals::default());
    let denied = "{when: 'true', use: frontier}, {when: 'true', deny: {message: no}}";
    let denied = decided(&with(random, denied), &KnownSignals::default());

    assert_eq!(flip(&alone), Some(("rule", Some("0"), [100, 0], Some("small"))));
    assert_eq!(flip(&next), Some(("rule", Some("0"), [100, 0], Some("standard"))));
    assert_eq!([flip(&unasked), flip(&denied)], [None, None]);
}

#[test]
fn rules_that_no_request_gets_to_have_values_too() {
    let rules =
        "{when: 'true', use: frontier}, {when: 1 > 2, use: small}, {when: prompt.tools / prompt.turns > 1, use: small},
      {when: scores.default.tier.simple > 0.5, use: small}";
    let set = set(&format!("{}{PAIR}\n    rules: [{rules}]\n", strategies::MODELS));

    let values = set.policies[0].rule_values(&facts("auto"), &Features::default(), &KnownSignals::default());

    assert_eq!(values, [Some(true), Some(false), None, None]);
}

/// Returns what is expected of a model: how likely it is to succeed, what that is, and what it costs.
fn expected(decision: &Decision, model: &str) -> (Option<f64>, Option<String>, Option<f64>) {
    let candidate = decision.candidates.iter().find(|one| one.model.as_str() == model).expect("a candidate");
    let ModelExpectation { success, success_is, cost_usd, .. } = candidate.expected.clone().unwrap_or_default();
    let rounded = |number: f64| (number * 1e6).round() / 1e6;
    (success.map(rounded), success_is, cost_usd.map(rounded))
}

#[test]
fn every_candidate_has_a_cost_and_what_a_calibrated_score_says_of_it() {
    let is = |success, words: &str, cost| (Some(success), Some(words.to_owned()), Some(cost));

    let tiers = explained(LEVELS, &levels([0.5, 0.25, 0.25, 0.0]));
    assert_eq!(expected(&tiers, "small"), is(0.75, "probability of `0` or `1` (head `complexity`)", 0.0008));
    assert_eq!(expected(&tiers, "standard"), is(0.25, "probability of `2` (head `complexity`)", 0.0032));

    let pair = explained(PAIR, &wins(0.25));
    assert_eq!(expected(&pair, "small"), is(0.75, "probability of `weak` (head `strong_wins`)", 0.0008));
    assert_eq!(expected(&pair, "frontier"), is(0.25, "probability of `strong` (head `strong_wins`)", 0.016));

    let near = explained(SIMILARITY, &similar(&[0.5, 0.25]));
    assert_eq!(expected(&near, "frontier"), is(0.25, "cosine to `code`", 0.016));
    assert_eq!(expected(&near, "standard"), (None, None, Some(0.0032)));

    let split = explained("{kind: split, models: {small: 1, frontier: 1}}", &KnownSignals::default());
    assert_eq!(expected(&split, "frontier"), (None, None, Some(0.016)));
}

#[test]
fn a_request_that_no_model_fits_shows_costs_as_well() {
    let forbidden = World { forbidden: Some("small"), ..World::default() };
    let set = policy("{kind: random, models: [small]}");

    let step = set.policies[0]
        .step(&RequestFacts { live: &forbidden, ..facts("auto") }, &Features::default(), &{ KnownSignals::default() });

    let PolicyStep::Deny(denial) = step else { panic!("{step:?}") };
    assert!(denial.candidates[0].expected.as_ref().is_some_and(|expected| expected.cost_usd.is_some()), "{denial:?}");
}

#[test]
fn a_decision_that_nobody_wants_explained_says_nothing_of_all_that() {
    let plain = |strategy: &str, signals: &KnownSignals| {
        let facts = RequestFacts::bare("auto", "/v1/chat/completions");
        match policy(strategy).policies[0].step(&facts, &Features::default(), signals) {
            PolicyStep::Decide(decision) => decision,
            other => panic!("{other:?}"),
        }
    };

    for (strategy, signals) in [
        (LEVELS, levels([0.9, 0.1, 0.0, 0.0])),
        (UTILITY, successes(0.9, 0.9, 0.9)),
        (SIMILARITY, similar(&[0.5, 0.8])),
    ] {
        let (plain, explained) = (plain(strategy, &signals), explained(strategy, &signals));

        assert_eq!((&plain.model, plain.reason, plain.score), (&explained.model, explained.reason, explained.score));
        assert!(plain.flip.is_none() && plain.candidates.iter().all(|one| one.expected.is_none()), "{plain:?}");
    }
}
