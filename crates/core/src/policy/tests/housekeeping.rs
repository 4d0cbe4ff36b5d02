//! What agents send for themselves, and replies that lead higher than what they answer.

use super::*;
use crate::prompt::Purpose;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, tokenizer: openai, context: 1000, PRICE_SMALL}
  standard: {provider: p, tokenizer: openai, context: 2000, PRICE_STANDARD}
  frontier: {provider: p, tokenizer: openai, price: {input: 9, output: 9}}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    rules: [{when: 'request.purpose == \"topic\"', use: frontier}]
    strategy: {kind: tiers, classifier: default, otherwise: standard, min_confidence: 0.5,
      tiers: {simple: small, medium: standard, complex: frontier}}
    affinity: {move: free}
    HOUSEKEEPING
";

fn policy(prices: [&str; 2], housekeeping: &str) -> PolicySet {
    let [small, standard] = prices;
    set(&FILE.replace("PRICE_SMALL", small).replace("PRICE_STANDARD", standard).replace("HOUSEKEEPING", housekeeping))
}

fn decided(policy: &PolicySet, purpose: Purpose, tokens: u64) -> Result<(String, &'static str, PinUpdate), Signal> {
    let features = features(|features| features.purpose = purpose);
    let features = features.with_tokens(TokenCount { tokens, estimated: false });
    match policy.policies[0].step(&facts("auto"), &features, &KnownSignals::default()) {
        PolicyStep::Decide(decision) => Ok((decision.model.to_string(), decision.reason.as_str(), decision.keep)),
        PolicyStep::Need(signal) => Err(signal),
        PolicyStep::Deny(denial) => panic!("{denial:?}"),
    }
}

const RISING: [&str; 2] = ["price: {input: 1, output: 2}", "price: {input: 2, output: 4}"];

#[test]
fn the_cheapest_model_keeps_house_and_nobody_is_asked() {
    let rising = policy(RISING, "");
    let falling = policy(["price: {input: 5, output: 5}", "price: {input: 2, output: 4}"], "");
    let unpriced = policy(["supports: [tools]", "price: {input: 0.1, output: 0.1}"], "");

    for purpose in Purpose::ALL.into_iter().filter(|purpose| !matches!(purpose, Purpose::Answer | Purpose::Topic)) {
        assert_eq!(
            decided(&rising, purpose, 10),
            Ok(("small".into(), "housekeeping", PinUpdate::Nothing)),
            "{purpose:?}"
        );
    }
    assert_eq!(decided(&falling, Purpose::Title, 10), Ok(("standard".into(), "housekeeping", PinUpdate::Nothing)));
    assert_eq!(decided(&unpriced, Purpose::Title, 10), Ok(("small".into(), "housekeeping", PinUpdate::Nothing)));
}

#[test]
fn the_cheapest_model_that_fits_keeps_house() {
    let policy = policy(RISING, "");

    assert_eq!(decided(&policy, Purpose::Summary, 1500), Ok(("standard".into(), "context", PinUpdate::Nothing)));
    assert_eq!(decided(&policy, Purpose::Summary, 2500), Ok(("frontier".into(), "context", PinUpdate::Nothing)));
}

#[test]
fn a_rule_comes_before_and_touches_no_pin_either() {
    assert_eq!(decided(&policy(RISING, ""), Purpose::Topic, 10), Ok(("frontier".into(), "rule", PinUpdate::Nothing)));
}

#[test]
fn an_answer_is_the_strategy_s_and_so_is_housekeeping_where_the_policy_says_so() {
    assert_eq!(decided(&policy(RISING, ""), Purpose::Answer, 10), Err(Signal::Pin));
    assert_eq!(decided(&policy(RISING, "housekeeping: strategy"), Purpose::Title, 10), Err(Signal::Pin));
}

#[test]
fn a_reply_leads_only_where_its_own_scores_are_sure_of_a_higher_model() {
    let policies = policy(RISING, "");
    let name = Name::new("default").expect("a name");
    let scored =
        |scores: [f32; 3]| Scores::of(vec![HeadScores::new("tier", &["simple", "medium", "complex"], &scores)]);
    let leads = |reply: [f32; 3], answered: [f32; 3]| {
        let (reply, answered) = (scored(reply), scored(answered));
        policies.policies[0].leads_higher(&name, [&reply, &answered], &facts("auto"), &Features::default())
    };

    assert!(leads([0.0, 0.0, 1.0], [1.0, 0.0, 0.0]));
    assert!(!leads([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]));
    assert!(!leads([0.0, 1.0, 0.0], [0.0, 1.0, 0.0]));
    assert!(!leads([0.3, 0.3, 0.4], [1.0, 0.0, 0.0]), "it abstains, and its stand-in is nobody's judgement");
    assert!(!leads([0.0, 1.0, 0.0], [0.3, 0.4, 0.3]), "the stand-in stands as high already");
}
