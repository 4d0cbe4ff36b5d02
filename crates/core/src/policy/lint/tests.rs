use std::borrow::Cow;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{self, Name};
use crate::features::Features;
use crate::policy::rules::RuleLanguage;
use crate::policy::signals::RequestEvidence;
use crate::policy::{KnownSignals, PolicyWorld, RequestFacts, RuleOutcome};
use crate::scores::{ClassifierFailure, HeadScores, Scores};

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}}
classifiers: {default: {bundle: b}}
rule_headers: [x-team]
constants: {few: 2, teams: [red, blue]}
macros:
  some: prompt.images > constants.few
  hard: scores.default.tier.complex > 0.5
  red: \"headers['x-team'] in constants.teams\"
policies:
  - name: auto
    rules:
RULES
    strategy: {kind: tiers, classifier: default, tiers: {simple: small}, otherwise: small}
";

/// What the linter says of a file.
fn lint(text: &str) -> Vec<String> {
    let config = Config::parse(text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let set = PolicySet::compile(&config).unwrap_or_else(|problems| panic!("{problems:?}"));
    let found = set.lint();
    assert!(found.iter().all(|problem| problem.place.is_some()), "{found:?}");
    found.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

/// What the linter says of rules with these conditions, which all end the rules: their positions and messages.
fn lint_rules(conditions: &[&str]) -> Vec<String> {
    let rules = conditions.iter().map(|when| format!("      - {{when: \"{when}\", use: small}}")).collect::<Vec<_>>();
    let found = lint(&FILE.replace("RULES", &rules.join("\n")));
    let of = |problem: &String| problem.strip_prefix("policies[0].rules").map(str::to_owned);
    found.iter().filter_map(of).collect()
}

#[test]
fn a_rule_that_can_never_be_true_is_found() {
    for when in [
        "prompt.images > 5 && prompt.images < 3",
        "prompt.images > 5 && prompt.images < 6",
        "prompt.images == 2.5",
        "prompt.images < 0",
        "prompt.images in [1, 2] && !(prompt.images in [1, 2])",
        "request.temperature > 1.0 && !(request.temperature > 0.5)",
        "request.model == 'a' && request.model == 'b'",
        "request.model == 'a' && !(request.model in ['a', 'b'])",
        "request.model == 'a' && 'a' != request.model",
        "request.stream && request.stream == false",
        "now.hour >= 24 || now.weekday == 0",
        "scores.default.tier.complex > 1.5",
        "macros.hard && scores.default.tier.complex < 0.5",
        "macros.some && prompt.images <= constants.few",
        "request.model.startsWith('a') && !request.model.startsWith('a')",
        "prompt.images / prompt.turns > 1 && !(prompt.images / prompt.turns > 1)",
        "prompt.images > 5 ? request.stream && !request.stream : prompt.images > 7",
        "!(prompt.images >= 0)",
        "prompt.contains_any(['a', 'b']) && !prompt.contains_any(['a', 'b'])",
        "prompt.matches_any(['a'], 'ask') && !prompt.matches_any(['a'], 'ask')",
        "false",
    ] {
        assert_eq!(lint_rules(&[when]), ["[0].when: can never be true"], "{when}");
    }
}

#[test]
fn a_rule_that_an_earlier_one_includes_is_never_reached() {
    for (first, second) in [
        ("prompt.images > 3", "prompt.images > 5"),
        ("prompt.images > 3", "5 < prompt.images && request.stream"),
        ("prompt.images > 3 || request.stream", "request.stream"),
        ("request.temperature >= 0.5", "request.temperature == 0.5"),
        ("request.model in ['a', 'b', 'c']", "request.model == 'b'"),
        ("request.model != 'a'", "request.model in ['b', 'c']"),
        ("!(request.model == 'a' && request.stream)", "!request.stream"),
        ("macros.some", "prompt.images == 3"),
        ("prompt.contains_any(['a'])", "request.stream && prompt.contains_any(['a'], 'all')"),
        ("prompt.images / prompt.turns > 1", "prompt.images / prompt.turns > 1 && request.stream"),
        ("scores.default.tier.complex >= 0.5", "macros.hard"),
    ] {
        let expected = "[1].when: is never reached: rules[0] is true whenever this one is, and ends the rules";
        assert_eq!(lint_rules(&[first, second]), [expected], "{first} then {second}");
    }
    assert_eq!(
        lint_rules(&["macros.red", "macros.red"]),
        ["[1].when: is never reached: rules[0] is the same and ends the rules"]
    );
}

#[test]
fn a_rule_that_earlier_ones_include_together_is_never_reached() {
    let message = "is never reached: whenever it is true, one of the rules before it is, and ends the rules";

    assert_eq!(
        lint_rules(&["prompt.images > 3", "prompt.images < 3", "prompt.images != 3"]),
        [format!("[2].when: {message}")]
    );
    assert_eq!(
        lint_rules(&["request.stream", "!request.stream", "prompt.images > 3"]),
        [format!("[2].when: {message}")]
    );
}

#[test]
fn a_rule_that_is_always_true_is_found_unless_it_is_the_last() {
    let expected = ["[0].when: is always true: the rule after it is never reached"];

    assert_eq!(lint_rules(&["prompt.images >= 0", "request.stream"]), expected);
    assert_eq!(lint_rules(&["request.stream || !request.stream", "prompt.images > 2"]), expected);
    assert_eq!(lint_rules(&["prompt.images > 1 || now.hour <= 23", "prompt.images > 2"]), expected);
    assert!(lint_rules(&["request.stream", "true"]).is_empty());
}

#[test]
fn a_judge_says_one_of_its_labels_or_nothing() {
    let judge = "{kind: judge, name: depth, judge: small, otherwise: small, choices: [{label: easy, model: small, description: a},
      {label: hard, model: small, description: b}]}";
    let found = |conditions: &[&str]| {
        let rules =
            conditions.iter().map(|when| format!("      - {{when: \"{when}\", use: small}}")).collect::<Vec<_>>();
        let text = FILE.replace("RULES", &rules.join("\n"));
        let (before, strategy) = text.split_once("strategy: ").expect("a strategy");
        let after = strategy.split_once('\n').map_or("", |(_, after)| after);
        let found = lint(&format!("{before}strategy: {judge}\n{after}"));
        found
            .iter()
            .filter_map(|problem| problem.strip_prefix("policies[0].rules").map(str::to_owned))
            .collect::<Vec<_>>()
    };

    assert_eq!(found(&["judge.depth.label == 'easy' && judge.depth.label == 'hard'"]), ["[0].when: can never be true"]);
    assert_eq!(
        found(&["judge.depth.label != 'easy'", "judge.depth.label == 'hard'"]),
        ["[1].when: is never reached: rules[0] is true whenever this one is, and ends the rules"]
    );
    // A judge that says nothing makes both fail.
    assert!(found(&["judge.depth.label in ['easy', 'hard']", "request.stream"]).is_empty());
    assert!(found(&["judge.depth.label == 'easy' || judge.depth.label != 'easy'", "request.stream"]).is_empty());
}

#[test]
fn what_may_be_meant_is_left_alone() {
    for conditions in [
        &["prompt.images > 3", "prompt.images > 2"][..],
        // One that fails is passed over: nothing is known of the sum.
        &["prompt.images / prompt.turns > 1 || !(prompt.images / prompt.turns > 1)", "request.stream"],
        &["macros.hard || !macros.hard", "request.stream"],
        &["prompt.contains_any(['a'])", "prompt.matches_any(['a'])", "prompt.contains_any(['a'], 'ask')"],
        &[
            "prompt.contains_any(['a'], 'ask') && !prompt.contains_any(['a'], 'user')",
            "prompt.contains_any(['b'], 'ask')",
        ],
        &["scores.default.tier.complex >= 0.0", "request.stream"],
        &["request.temperature > 0.1 && request.temperature < 0.2"],
        &["request.model.startsWith('a')", "request.model == 'a'"],
        &["request.model == 'a'", "request.model == 'b'"],
        &["request.stream ? prompt.images > 3 : prompt.images > 5", "prompt.images > 4"],
        &["prompt.images > 9007199254740993", "prompt.images > 9007199254740995"],
    ] {
        assert_eq!(lint_rules(conditions), [""; 0], "{conditions:?}");
    }
}

#[test]
fn a_rule_after_one_that_goes_on_is_reached() {
    let rules = "      - {when: prompt.images > 1, use: small, continue: true}
      - {when: prompt.images > 2, set: {temperature: 0}}
      - {when: prompt.images > 3, use: small}";

    let found = lint(&FILE.replace("RULES", rules));

    assert!(found.iter().all(|problem| !problem.starts_with("policies")), "{found:?}");
}

#[test]
fn macros_and_constants_that_no_rule_uses_are_found() {
    let found = lint(&FILE.replace("RULES", "      - {when: macros.some, use: small}"));

    assert_eq!(
        found,
        ["macros.hard: is used by no rule", "macros.red: is used by no rule", "constants.teams: is used by no rule",]
    );
}

#[test]
fn a_policy_behind_a_wider_one_and_one_that_leaves_requests_to_nobody_are_found() {
    let policy = |head: &str| {
        format!(
            "  - {{{head}, strategy: {{kind: tiers, classifier: default, tiers: {{simple: small}}, otherwise: small}}}}\n"
        )
    };
    let head = FILE.split_once("constants").expect("it has constants").0;
    let text = [
        "name: wide, match: {model: ['gpt-*', auto], path: ['/v1/*']}",
        "name: inside, match: {model: ['gpt-4*'], path: [/v1/chat/completions]}",
        "name: beside, match: {model: ['gpt-4*'], path: ['/v2/*']}",
        "name: red, match: {model: ['gpt-4*'], header: {x-team: 'r*'}}",
        "name: deep-red, match: {model: [gpt-4.1], header: {X-Team: red}}, mode: off",
        "name: all",
        "name: last, match: {model: [claude]}, mode: shadow",
        "name: by-header, overrides: {policy: true}",
    ];

    let found = lint(&format!("{head}policies:\n{}", text.map(policy).concat()));

    assert_eq!(
        found,
        [
            "policies[1].name: is never reached: every request that it matches is matched by `wide` before",
            "policies[4].name: is never reached: every request that it matches is matched by `red` before",
            "policies[4].mode: leaves its requests alone, and without a `default_provider` they get a 404",
            "policies[6].name: is never reached: every request that it matches is matched by `all` before",
            "policies[6].mode: leaves its requests alone, and without a `default_provider` they get a 404",
        ]
    );
}

static CONFIG: LazyLock<(Config, RuleLanguage)> = LazyLock::new(|| {
    let config =
        Config::parse(&FILE.replace("RULES\n", "").replace("    rules:\n", ""), "p.yaml").expect("a good file");
    let (language, problems) = RuleLanguage::read(&config);
    assert!(problems.is_empty());
    (config, language)
});

/// Rules with these conditions; each ends the rules or not.
fn compile(conditions: &[(String, bool)]) -> PolicyRules {
    let rule = |(when, ends): &(String, bool)| config::RuleConfig {
        when: when.clone(),
        model: None,
        deny: None,
        set: [("n".to_owned(), json!(1))].into(),
        goes_on: Some(!ends),
    };
    let rules: Vec<config::RuleConfig> = conditions.iter().map(rule).collect();
    let (config, language) = &*CONFIG;
    PolicyRules::compile(config, language, &KeyPath::root(), &rules).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A comparison of a variable with a constant, or something that is not looked into.
fn atom() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["<", "<=", "==", "!=", ">=", ">"]);
    let whole = prop::sample::select(vec!["prompt.images", "prompt.turns", "now.hour"]);
    let bound = prop::sample::select(vec!["-1", "0", "1", "2", "3", "1.5", "2.0", "2u"]);
    let number = prop::sample::select(vec!["request.temperature", "scores.default.tier.complex"]);
    let part = prop::sample::select(vec!["0.0", "0.25", "0.5", "1", "1.5"]);
    let text = prop::sample::select(vec!["request.model", "headers['x-team']"]);
    let word = prop::sample::select(vec!["'red'", "'blue'", "''"]);
    let other = prop::sample::select(vec![
        "request.stream",
        "true",
        "false",
        "macros.some",
        "macros.hard",
        "macros.red",
        "request.stream == false",
        "prompt.images / prompt.turns > 1",
        "request.model.startsWith('r')",
        "request.model in ['red', 'blue']",
        "prompt.images in [1, 2]",
        "[1, 2].exists(x, x == prompt.images)",
    ]);
    prop_oneof![
        (whole, operator.clone(), bound, any::<bool>()).prop_map(|(variable, operator, bound, swap)| {
            if swap { format!("{bound} {operator} {variable}") } else { format!("{variable} {operator} {bound}") }
        }),
        (number, operator, part).prop_map(|(variable, operator, bound)| format!("{variable} {operator} {bound}")),
        (text, prop::sample::select(vec!["==", "!="]), word)
            .prop_map(|(text, operator, word)| format!("{text} {operator} {word}")),
        other.prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} && {right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} || {right})")),
            inner.clone().prop_map(|inner| format!("!({inner})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(c, yes, no)| format!("({c} ? {yes} : {no})")),
        ]
    })
}

/// A request of few values, so that conditions are met now and then.
#[derive(Debug, Clone)]
struct Request {
    images: u32,
    turns: u32,
    temperature: f64,
    stream: bool,
    model: &'static str,
    team: &'static str,
    now: u64,
    score: Result<f32, ClassifierFailure>,
}

impl PolicyWorld for Request {
    fn header(&self, _: &str) -> Option<Cow<'_, str>> {
        Some(self.team.into())
    }
}

prop_compose! {
    fn request()(
        images in 0..4_u32, turns in 0..4_u32, quarter in 0..7_u8, stream: bool, now in 0..200_000_u64,
        model in prop::sample::select(vec!["red", "blue", "", "r"]), team in prop::sample::select(vec!["red", "blue", ""]),
        score in prop::sample::select(vec![Ok(0.0), Ok(0.25), Ok(0.5), Ok(0.75), Ok(1.0), Ok(f32::NAN), Err(ClassifierFailure::Deadline)]),
    ) -> Request {
        Request { images, turns, temperature: f64::from(quarter) / 4.0, stream, model, team, now, score }
    }
}

/// Which of `rules`, none of which ends the rules, are true for `request`.
fn truths(rules: &PolicyRules, request: &Request) -> Vec<bool> {
    let mut features = Features::default();
    features.turns = request.turns;
    features.attachments.images = request.images;
    (features.request.temperature, features.request.stream) = (request.temperature, request.stream);
    let facts = RequestFacts { now: request.now, live: request, ..RequestFacts::bare(request.model, "") };
    let scores = request.score.map(|score| {
        let head = HeadScores::new("tier", &["simple", "complex"], &[1.0 - score, score]);
        Scores::of(vec![head])
    });
    let mut signals = KnownSignals::default();
    signals.add_scores(Name::new("default").expect("a name"), scores);
    let ruled = rules
        .run(
            &Name::new("x").expect("a name"),
            RequestEvidence { facts: &facts, features: &features, signals: &signals },
        )
        .expect("it was asked");
    ruled.traces.iter().map(|trace| trace.outcome == RuleOutcome::Matched).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_the_linter_says_of_a_rule_holds_for_every_request(
        conditions in prop::collection::vec((condition(), any::<bool>()), 1..5),
        requests in prop::collection::vec(request(), 24),
    ) {
        let budget = LintBudget::new();
        let found = rules(&compile(&conditions), LintScope { macros: &CONFIG.1.macros, budget: &budget });
        if found.is_empty() {
            return Ok(());
        }
        let open: Vec<_> = conditions.iter().map(|(when, _)| (when.clone(), false)).collect();
        let open = compile(&open);
        for request in &requests {
            let truths = truths(&open, request);
            for (index, message) in &found {
                let ended = (0..*index).any(|before| truths[before] && conditions[before].1);
                let holds = match message.as_str() {
                    "can never be true" => !truths[*index],
                    message if message.starts_with("is always true") => truths[*index],
                    _ => !truths[*index] || ended,
                };
                prop_assert!(holds, "rule {index} {message}: {conditions:?} {request:?}");
            }
        }
    }
}
