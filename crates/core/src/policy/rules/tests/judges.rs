//! Rules that read what a judge says.

use super::*;
use crate::policy::{JudgeFailure, Judgement, PolicySet, UnansweredQuestion};

const JUDGE: &str = "{kind: judge, name: depth, judge: small, min_confidence: 0.5, otherwise: small, choices: [
      {label: easy, model: small, description: small talk}, {label: hard-one, model: large, description: proofs}]}";
const PATH: &str = "policies[0].strategy";

fn judged(list: &[&str]) -> Result<PolicyRules, Vec<String>> {
    let tiers = "{kind: tiers, classifier: default, tiers: {simple: small}, otherwise: small}";
    let config = Config::parse(&file(list).replace(tiers, JUDGE), "p.yaml").unwrap_or_else(|found| panic!("{found}"));
    let (language, _) = RuleLanguage::read(&config);
    let path = KeyPath::root().key("policies").index(0).key("rules");
    let compiled = PolicyRules::compile(&config, &language, &path, &config.policies[0].rules);
    compiled.map_err(|problems| problems.into_iter().map(|problem| problem.message).collect())
}

fn rules(list: &[&str]) -> PolicyRules {
    judged(list).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn says(judgement: Result<&str, JudgeFailure>) -> KnownSignals {
    let confidence = Some(0.75);
    let judgement = judgement.map(|label| Judgement {
        label: label.into(),
        confidence,
        rationale: None,
        cost_usd: None,
        is_cached: false,
    });
    let judgement = judgement.map_err(UnansweredQuestion::from);
    KnownSignals { judgements: vec![(PATH.into(), judgement)], ..KnownSignals::default() }
}

#[test]
fn a_judge_is_asked_when_a_rule_is_reached_that_cannot_be_told_without() {
    let needs = |when: &str| run(&rules(&[&format!("when: \"{when}\", use: large")]), &KnownSignals::default()).err();
    let asked = Some(Signal::Judgement { strategy: PATH.into() });

    assert_eq!(needs("judge.depth.label == 'easy'"), asked);
    assert_eq!(needs("judge['depth'].label != 'easy' && prompt.tokens == 10"), asked);
    assert_eq!(needs("prompt.tokens > 10 && judge.depth.label == 'easy'"), None);
    assert_eq!(needs("judge.depth.label == 'easy' || prompt.tokens == 10"), None);
}

#[test]
fn a_rule_goes_by_the_label_and_fails_when_the_judge_says_nothing() {
    let rules = rules(&["when: \"judge.depth.label in ['hard-one'] && size(judge.depth.label) == 8\", use: large"]);
    let outcome = |signals: &KnownSignals| outcomes(&run(&rules, signals).expect("no signal")).remove(0);

    assert_eq!(outcome(&says(Ok("hard-one"))), RuleOutcome::Matched);
    assert_eq!(outcome(&says(Ok("easy"))), RuleOutcome::NotMatched);
    let failed = RuleOutcome::Failed("the judge `depth` gave no answer: timeout".into());
    assert_eq!(outcome(&says(Err(JudgeFailure::Timeout))), failed);
}

#[test]
fn a_label_that_the_judge_never_answers_is_pointed_at_with_what_may_be_meant() {
    let problem = |when: &str| judged(&[&format!("when: \"{when}\", use: large")]).err().unwrap_or_default();
    let unknown = ["judge `depth`: there is no label `easyy`, did you mean `easy`? (allowed: easy, hard-one)"];

    assert_eq!(problem("judge.depth.label == 'easyy'"), unknown);
    assert_eq!(problem("'easyy' != judge.depth.label"), unknown);
    assert_eq!(problem("judge.depth.label in ['easy', 'easyy']"), unknown);
    assert_eq!(
        problem("judge.deth.label == 'easy'"),
        ["there is no named judge `deth`, did you mean `depth`? (allowed: depth)"]
    );
    assert_eq!(
        problem("judge.depth == 'easy'"),
        ["what a judge says is `judge.<name>.label`, or `judge.<name>.confidence`"]
    );
    assert_eq!(problem("judge.depth.label > 3"), ["`>` does not take text and int"]);
}

#[test]
fn a_rule_goes_by_how_sure_the_judge_is_if_it_is_asked_to_say_so() {
    let sure = rules(&["when: judge.depth.confidence > 0.7 && judge.depth.confidence < 0.8, use: large"]);
    let outcome = |signals: &KnownSignals| outcomes(&run(&sure, signals).expect("no signal")).remove(0);
    let mut silent = says(Ok("easy"));
    silent.judgements[0].1.as_mut().expect("an answer").confidence = None;

    assert_eq!(outcome(&says(Ok("easy"))), RuleOutcome::Matched);
    assert_eq!(outcome(&silent), RuleOutcome::Failed("the judge `depth` did not say how sure it is".into()));
    let unasked = file(&["when: judge.depth.confidence > 0.7, use: large"]);
    let tiers = "{kind: tiers, classifier: default, tiers: {simple: small}, otherwise: small}";
    let unasked = Config::parse(&unasked.replace(tiers, &JUDGE.replace("min_confidence: 0.5, ", "")), "p.yaml");
    let problems = PolicySet::compile(&unasked.expect("a good file")).expect_err("it is not asked");
    let wanted = "judge `depth` is not asked how sure it is (required: its `min_confidence`)";
    assert_eq!(problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), [wanted]);
}
