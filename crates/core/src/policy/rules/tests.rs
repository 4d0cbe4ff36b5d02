mod budget;
mod expressions;
mod judges;
mod problems;
mod texts;

use std::borrow::Cow;

use super::vocabulary::Vocabulary;
use super::*;
use crate::features::{Features, TokenCount};
use crate::policy::{KnownSignals, PolicyWorld, RequestFacts};
use crate::scores::{ClassifierFailure, HeadScores, OfferedHead, Scores};

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}, large: {provider: p}}
classifiers: {default: {bundle: b}, other-one: {bundle: b}}
constants: {limit: 9, ratio: 0.5, teams: [red, blue], team: red, on: true}
macros:
  long: prompt.tokens > constants.limit
  long_and_red: macros.long && macros.red
  red: \"headers['x-team'] in constants.teams\"
  share: double(prompt.tokens) / 20.0
  unsafe: 1 / prompt.tools > 0
  hard: scores.default.tier.complex > constants.ratio
rule_headers: [X-Team, x-plan]
policies:
  - name: auto
    rules:
RULES
    strategy: {kind: tiers, classifier: default, tiers: {simple: small}, otherwise: small}
";

/// The file with these rules, one a line.
fn file(rules: &[&str]) -> String {
    FILE.replace("RULES", &rules.iter().map(|rule| format!("      - {{{rule}}}")).collect::<Vec<_>>().join("\n"))
}

/// The rules of the file's policy.
fn rules(rules: &[&str]) -> PolicyRules {
    let config = Config::parse(&file(rules), "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let (language, problems) = RuleLanguage::read(&config);
    assert!(problems.is_empty(), "{problems:?}");
    let path = KeyPath::root().key("policies").index(0).key("rules");
    PolicyRules::compile(&config, &language, &path, &config.policies[0].rules)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn name(name: &str) -> Name {
    Name::new(name).expect("a name")
}

/// What became of rules for a request of the client `ada` with ten tokens and `x-team: red`, on a Monday at 12:34.
fn run<'r>(rules: &'r PolicyRules, signals: &KnownSignals) -> Result<RuleVerdict<'r>, Signal> {
    let features = Features::default().with_tokens(TokenCount { tokens: 10, estimated: false });
    let facts =
        RequestFacts { client: Some("ada"), now: 1_704_112_440, live: &Red, ..RequestFacts::bare("auto", "/v1/x") };
    rules.run(&name("auto"), RequestEvidence { facts: &facts, features: &features, signals })
}

/// A request with `x-team: red`.
struct Red;

impl PolicyWorld for Red {
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        (name == "x-team").then_some("red".into())
    }
}

fn outcomes(ruled: &RuleVerdict<'_>) -> Vec<RuleOutcome> {
    ruled.traces.iter().map(|trace| trace.outcome.clone()).collect()
}

fn scored(complex: f32) -> Result<Scores, ClassifierFailure> {
    let head = HeadScores::new("tier", &["simple", "complex"], &[1.0 - complex, complex]);
    Ok(Scores::of(vec![head]))
}

/// Signals in which the classifier `default` has answered.
fn with_scores(scores: Result<Scores, ClassifierFailure>) -> KnownSignals {
    let mut signals = KnownSignals::default();
    signals.add_scores(name("default"), scores);
    signals
}

#[test]
fn every_variable_has_its_value() {
    for when in [
        "headers['x-team'] == 'red' && headers['X-Team'] == 'red' && headers['x-plan'] == ''",
        "client.name == 'ada' && now.hour == 12 && now.minute == 34 && now.weekday == 1 && now.timestamp == 1704112440",
        "prompt.tokens > constants.limit && headers['x-team'] in constants.teams && constants.on",
        "constants.teams[1] == 'blue' && constants.ratio < 1.0 && size(constants.team) == 3",
        "macros.long && macros.red && macros.long_and_red && macros.share == 0.5",
    ] {
        let rules = rules(&[&format!("when: \"{when}\", use: small")]);
        let ruled = run(&rules, &KnownSignals::default()).expect("no signal");

        assert_eq!(outcomes(&ruled), [RuleOutcome::Matched], "{when}");
    }
}

#[test]
fn a_rule_asks_for_scores_when_it_is_reached_and_cannot_be_told_without() {
    let needs = |list: &[&str]| run(&rules(list), &KnownSignals::default()).err();
    let asked = |classifier: &str| Some(Signal::Scores { classifier: name(classifier) });

    assert_eq!(needs(&["when: scores.default.tier.complex > 0.5, use: large"]), asked("default"));
    assert_eq!(needs(&["when: \"scores['other-one'].tier['a b'] > 0.5\", use: large"]), asked("other-one"));
    assert_eq!(needs(&["when: macros.hard, use: large"]), asked("default"));
    assert_eq!(needs(&["when: 'true', use: small", "when: macros.hard, use: large"]), None);
    assert_eq!(needs(&["when: prompt.tokens > 10 && macros.hard, use: large"]), None);
    assert_eq!(needs(&["when: macros.hard || prompt.tokens == 10, use: large"]), None);
}

#[test]
fn a_rule_goes_on_with_the_scores_that_it_asked_for_and_no_rule_is_tried_twice() {
    let rules =
        rules(&["when: macros.unsafe, use: large", "when: macros.hard, use: large", "when: 'true', use: small"]);
    let chosen = |scores| {
        let mut signals = KnownSignals::default();
        assert!(run(&rules, &signals).is_err());
        signals.add_scores(name("default"), scores);
        let ruled = run(&rules, &signals).expect("it was asked");
        (ruled.chosen.expect("one is true").0, outcomes(&ruled))
    };
    let failed = || RuleOutcome::Failed("macros.unsafe: Division by zero of Int(1)".into());

    assert_eq!(chosen(scored(0.75)), (1, vec![failed(), RuleOutcome::Matched]));
    assert_eq!(chosen(scored(0.25)), (2, vec![failed(), RuleOutcome::NotMatched, RuleOutcome::Matched]));
    let without = RuleOutcome::Failed("macros.hard: there are no scores of `default`: deadline".into());
    assert_eq!(chosen(Err(ClassifierFailure::Deadline)), (2, vec![failed(), without, RuleOutcome::Matched]));
}

#[test]
fn a_score_that_is_not_there_or_no_number_fails_its_rule() {
    let rules = rules(&[
        "when: scores.default.tier.complex > 0.5, use: large",
        "when: scores.default.domain.law > 0.5, use: large",
    ]);

    let ruled = run(&rules, &with_scores(scored(f32::NAN))).expect("no signal");

    let failed = |name: &str| RuleOutcome::Failed(format!("`default` gave no score for `{name}`"));
    assert_eq!(outcomes(&ruled), [failed("tier.complex"), failed("domain.law")]);
}

#[test]
fn rules_end_with_a_choice_and_go_on_after_set_or_when_told_to() {
    let list = [
        "when: prompt.tokens > 1, set: {temperature: 0, stream_options.a: 1}",
        "when: prompt.tokens > 2, use: large, continue: true",
        "when: prompt.tokens > 3, use: small, set: {temperature: 1, stream_options.b: 2}",
        "when: prompt.tokens > 4, deny: {message: never reached}",
    ];
    let rules = rules(&list);

    let ruled = run(&rules, &KnownSignals::default()).expect("no signal");

    assert_eq!(ruled.chosen, Some((2, &name("small"))));
    assert_eq!(ruled.denied, None);
    assert_eq!(outcomes(&ruled).len(), 3);
    assert_eq!(
        serde_json::to_value(ruled.set).expect("JSON"),
        serde_json::json!({"temperature": 1, "stream_options.a": 1, "stream_options.b": 2})
    );
}

#[test]
fn a_choice_so_far_stands_when_no_later_rule_overrides_it() {
    let rules = rules(&[
        "when: 'true', use: large, continue: true",
        "when: 'true', continue: false",
        "when: 'true', use: small",
    ]);

    let ruled = run(&rules, &KnownSignals::default()).expect("no signal");

    assert_eq!(ruled.chosen, Some((0, &name("large"))));
    assert_eq!(outcomes(&ruled).len(), 2);
}

#[test]
fn a_denial_says_its_status_and_message() {
    let rules = rules(&["when: prompt.tokens > 9, deny: {message: too long for you}", "when: 'true', use: small"]);

    let ruled = run(&rules, &KnownSignals::default()).expect("no signal");

    let deny = DenyAction { status: 403, message: "too long for you".into() };
    assert_eq!(ruled.denied, Some((0, &deny)));
    assert_eq!(ruled.chosen, None);
}

#[test]
fn a_denial_that_fails_by_what_the_request_holds_denies_and_says_so_in_its_trace() {
    for when in [
        "1 / prompt.tools > 0",
        "macros.unsafe",
        "int(headers['x-team']) > 5",
        "!(int(headers['x-team']) <= 5)",
        "9223372036854775807 + prompt.tokens > 0",
        "[1][prompt.tokens] == 1",
        "prompt.tokens > 100 || int(headers['x-team']) > 5",
    ] {
        let rules = rules(&[&format!("when: \"{when}\", deny: {{message: no}}"), "when: 'true', use: small"]);

        let ruled = run(&rules, &KnownSignals::default()).expect("no signal");

        assert_eq!(ruled.denied.map(|(index, _)| index), Some(0), "{when}");
        assert_eq!(ruled.chosen, None, "{when}");
        assert!(matches!(outcomes(&ruled)[..], [RuleOutcome::Failed(_)]), "{when}: {:?}", outcomes(&ruled));
    }
}

#[test]
fn a_denial_that_fails_for_want_of_a_signal_does_not_deny() {
    let rules = rules(&["when: macros.hard, deny: {message: no}", "when: 'true', use: small"]);

    for missing in [Err(ClassifierFailure::Deadline), scored(f32::NAN)] {
        let signals = with_scores(missing);
        let ruled = run(&rules, &signals).expect("no signal");

        assert_eq!((ruled.denied, ruled.chosen), (None, Some((1, &name("small")))));
    }
}

#[test]
fn a_denial_on_what_is_no_number_is_as_ieee_754_has_it() {
    for (when, denies) in [
        ("!(double(headers['x-team'] == 'red' ? 'NaN' : '1') <= 5.0)", true),
        ("double('NaN') > 5.0", false),
        ("0.0 / 0.0 != 0.0 / 0.0", true),
        ("0.0 / 0.0 == 0.0 / 0.0", false),
        ("(0.0 / 0.0) in [0.0 / 0.0, 1.0]", false),
        ("!((0.0 / 0.0) in [1.0])", true),
        ("[0.0 / 0.0] == [0.0 / 0.0]", false),
        ("-0.0 == 0.0 && !(-0.0 < 0.0)", true),
        ("double('inf') > 1e308 && -double('inf') < -1e308 && double('inf') == double('inf')", true),
        ("18446744073709551615u > 9223372036854775807 && 1 < 2u && 1 == 1u && 1.0 == 1", true),
        ("1.0 / 0.0 > 5.0", true),
    ] {
        let rules = rules(&[&format!("when: \"{when}\", deny: {{message: no}}")]);

        let signals = KnownSignals::default();
        let ruled = run(&rules, &signals).expect("no signal");

        assert_eq!(ruled.denied.is_some(), denies, "{when}: {:?}", outcomes(&ruled));
    }
}

#[test]
fn an_object_that_is_set_whole_replaces_its_members_and_takes_later_ones_in() {
    let set = |list: &[&str]| {
        let rules = rules(list);
        let ruled = run(&rules, &KnownSignals::default()).expect("no signal");
        serde_json::to_string(&ruled.set).expect("JSON")
    };

    assert_eq!(set(&["when: 'true', set: {a.b: 1}", "when: 'true', set: {a: {c: 2}}"]), r#"{"a":{"c":2}}"#);
    assert_eq!(set(&["when: 'true', set: {a: {c: 2}}", "when: 'true', set: {a.b: 1}"]), r#"{"a":{"b":1,"c":2}}"#);
    assert_eq!(set(&["when: 'true', set: {a: 2}", "when: 'true', set: {a.b: 1}"]), r#"{"a.b":1}"#);
}

#[test]
fn a_score_that_the_bundle_has_not_is_pointed_at() {
    let rules = rules(&[
        "when: scores.default.tier.complx > 0.5 && scores.default.tier.simple > 0.1, use: large",
        "when: \"scores.default.domain['law'] > 0.5\", use: large",
        "when: \"scores['other-one'].x.y > 0.5\", use: large",
    ]);
    let labels: Vec<Arc<str>> = ["simple", "complex"].map(Arc::from).to_vec();
    let config = Config::parse(&file(&[]).replace("    rules:\n\n", ""), "p.yaml").expect("a good file");
    let heads = BundleHeads::from_iter([OfferedHead { name: "tier", labels: &labels, levels: None }]);

    let problems = rules.check_labels(&config, &KeyPath::root().key("rules"), &name("default"), &heads);

    let shown: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        shown,
        [
            "head `tier`: there is no label `complx`, did you mean `complex`? (allowed: simple, complex)",
            "classifier `default` has no head `domain` (allowed: tier)",
        ]
    );
    assert_eq!(rules.heads().map(|(_, head)| head.as_str()).collect::<Vec<_>>(), ["tier", "tier", "domain", "x"]);
}
