//! Policies without a classifier: rules, strategies and constraints over made-up signals.

mod affinity;
mod bandit;
mod budgets;
mod dialect;
mod drive;
mod escalate;
mod explained;
mod housekeeping;
mod lean;
mod quotas;
mod strategies;
mod threshold;
mod unfamiliar;

use std::borrow::Cow;
use std::sync::Arc;

use super::*;
use crate::features::{TextStructure, TokenCount};
use crate::scores::{ClassifierFailure, HeadScores, OfferedHead, Scores};

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, context: 1000, tokenizer: openai, supports: [], price: {input: 1, output: 2}}
  standard: {provider: p, context: 2000, tokenizer: openai, supports: [tools, images]}
  frontier: {provider: p, context: 4000, tokenizer: openai}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    match: {model: [auto, 'gpt-*'], path: ['/v1/*'], header: {X-Team: 'r*'}}
    rules:
      - {when: 'prompt.tools / prompt.turns > 1', use: frontier}
      - {when: 'prompt.code_blocks > 2', use: small}
    strategy:
      kind: tiers
      classifier: default
      tiers: {simple: small, medium: standard, complex: frontier}
      min_confidence: 0.5
      otherwise: standard
  - {name: rest, mode: off, strategy: {kind: tiers, classifier: default, tiers: {simple: small}, otherwise: small}}
";

fn set(text: &str) -> PolicySet {
    let config = Config::parse(text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    PolicySet::compile(&config).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A request of the team that `FILE` is for.
struct Team;

impl PolicyWorld for Team {
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        (name == "x-team").then_some("research".into())
    }
}

fn facts(model: &str) -> RequestFacts<'_> {
    let detail = DecisionDetail::Explanation;
    RequestFacts { detail, ..RequestFacts::bare(model, "/v1/chat/completions") }
}

fn features(change: impl FnOnce(&mut Features)) -> Features {
    let mut features = Features::default();
    change(&mut features);
    features
}

fn with_code(features: Features) -> Features {
    features.with_text(TextStructure { code_blocks: 3, ..TextStructure::default() })
}

fn scores(probabilities: [f32; 3]) -> KnownSignals {
    asked(Ok(Scores::of(vec![HeadScores::new("tier", &["simple", "medium", "complex"], &probabilities)])))
}

fn asked(scores: Result<Scores, ClassifierFailure>) -> KnownSignals {
    let mut signals = KnownSignals::default();
    signals.add_scores(Name::new("default").expect("a name"), scores);
    signals
}

fn step(features: &Features, signals: &KnownSignals) -> PolicyStep {
    set(FILE).policies[0].step(&facts("auto"), features, signals)
}

fn decide(features: &Features, signals: &KnownSignals) -> Decision {
    match step(features, signals) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

fn outcome(features: &Features, signals: &KnownSignals) -> (String, &'static str) {
    let decision = decide(features, signals);
    (decision.model.to_string(), decision.reason.as_str())
}

fn chosen(model: &str, reason: &'static str) -> (String, &'static str) {
    (model.to_owned(), reason)
}

#[test]
fn policies_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<PolicySet>();
}

#[test]
fn the_first_policy_whose_match_fits_in_every_part_decides() {
    let set = set(FILE);
    let name = |facts: &RequestFacts<'_>| set.find(facts).map(|policy| policy.name().to_string());
    let of_team = |model| RequestFacts { live: &Team, ..facts(model) };

    assert_eq!(name(&of_team("gpt-4")).as_deref(), Some("auto"));
    assert_eq!(name(&of_team("claude")).as_deref(), Some("rest"));
    assert_eq!(name(&facts("auto")).as_deref(), Some("rest"));
    assert_eq!(set.policies[1].mode(), PolicyMode::Off);
}

#[test]
fn without_scores_the_classifier_is_asked_for() {
    let step = set(FILE).policies[0].step(&facts("auto"), &Features::default(), &KnownSignals::default());

    assert!(matches!(step, PolicyStep::Need(Signal::Scores { classifier }) if classifier.as_str() == "default"));
}

#[test]
fn what_one_policys_rules_came_to_is_not_taken_for_another_policys() {
    let set = set(FILE);
    let features = features(|f| (f.turns, f.tools) = (1, 2));
    let signals = KnownSignals::default();
    let facts = facts("auto");

    let first = set.policies[0].step(&facts, &features, &signals);
    let second = set.policies[1].step(&facts, &features, &signals);

    assert!(matches!(first, PolicyStep::Decide(decision) if decision.by == DecisionMaker::Rule(0)));
    assert!(matches!(second, PolicyStep::Need(_)));
}

#[test]
fn the_best_label_chooses_from_the_minimum_confidence_on() {
    let none = Features::default();

    assert_eq!(outcome(&none, &scores([0.9, 0.1, 0.0])), chosen("small", "tier"));
    assert_eq!(outcome(&none, &scores([0.2, 0.3, 0.5])), chosen("frontier", "tier"));
    assert_eq!(outcome(&none, &scores([0.2, 0.301, 0.499])), chosen("standard", "low_confidence"));
    assert_eq!(outcome(&none, &scores([0.1, f32::NAN, 0.9])), chosen("standard", "low_confidence"));
}

#[test]
fn a_classifier_that_fails_is_replaced_by_otherwise() {
    for degraded in ClassifierFailure::ALL {
        let decision = decide(&Features::default(), &asked(Err(degraded)));

        assert_eq!((decision.model.as_str(), decision.reason), ("standard", Reason::Degraded(degraded)));
        assert_eq!(decision.score, None);
    }
}

#[test]
fn the_first_true_rule_decides_without_asking_the_classifier() {
    let features = with_code(features(|f| f.turns = 1));

    let decision = decide(&features, &KnownSignals::default());

    assert_eq!(
        (decision.model.as_str(), decision.by, decision.reason),
        ("small", DecisionMaker::Rule(1), Reason::Rule)
    );
    assert_eq!(
        decision.rules.iter().map(|trace| &trace.outcome).collect::<Vec<_>>(),
        [&RuleOutcome::NotMatched, &RuleOutcome::Matched]
    );
}

#[test]
fn a_rule_that_divides_by_zero_is_traced_and_skipped() {
    let decision = decide(&Features::default(), &scores([1.0, 0.0, 0.0]));

    assert!(matches!(&decision.rules[0].outcome, RuleOutcome::Failed(error) if error.contains("Division by zero")));
    assert_eq!(decision.model.as_str(), "small");
}

#[test]
fn a_context_window_counts_prompt_and_answer_and_holds_at_its_limit() {
    let simple = scores([1.0, 0.0, 0.0]);
    let of = |tokens, max_output_tokens| {
        let mut features = Features::default().with_tokens(TokenCount { tokens, estimated: false });
        features.request.max_output_tokens = max_output_tokens;
        features
    };
    let refused =
        |features: &Features| matches!(step(features, &simple), PolicyStep::Deny(denial) if denial.status == 400);
    let with = |tokens, max_output_tokens| outcome(&of(tokens, max_output_tokens), &simple);

    assert_eq!(with(400, 599), chosen("small", "tier"));
    assert_eq!(with(400, 600), chosen("small", "tier"));
    assert_eq!(with(400, 601), chosen("standard", "context"));
    assert_eq!(with(2001, 0), chosen("frontier", "context"));
    assert!(refused(&of(4001, 0)));
    assert!(refused(&of(u64::MAX, u64::MAX)));
}

#[test]
fn a_model_that_lacks_something_is_replaced_by_the_next_tier_up() {
    let simple = scores([1.0, 0.0, 0.0]);
    let with = |change: fn(&mut Features)| outcome(&features(change), &simple);

    assert_eq!(with(|f| f.attachments.images = 1), chosen("standard", "images"));
    assert_eq!(with(|f| f.tools = 1), chosen("standard", "tools"));
    assert_eq!(with(|f| f.attachments.audio = 1), chosen("frontier", "audio"));
    assert_eq!(with(|f| f.attachments.files = 1), chosen("frontier", "files"));
    assert_eq!(
        with(|f| f.request.response_format = crate::prompt::ResponseFormat::JsonSchema),
        chosen("frontier", "json_schema")
    );
}

#[test]
fn a_rules_model_is_constrained_too_and_moves_up_from_its_tier() {
    let features = with_code(features(|f| (f.turns, f.tools) = (1, 1)));

    let decision = decide(&features, &KnownSignals::default());

    assert_eq!((decision.model.as_str(), decision.by), ("standard", DecisionMaker::Rule(1)));
    assert_eq!(decision.reason, Reason::Moved(Constraint::LacksTools));
}

#[test]
fn the_top_tier_moves_to_otherwise_and_then_down() {
    let small_on_top = FILE.replace(
        "simple: small, medium: standard, complex: frontier",
        "simple: frontier, medium: standard, complex: small",
    );
    let set = set(&small_on_top.replace("otherwise: standard", "otherwise: small"));
    let features = features(|f| (f.turns, f.tools) = (1, 1));

    let PolicyStep::Decide(decision) = set.policies[0].step(&facts("auto"), &features, &scores([0.0, 0.0, 1.0])) else {
        panic!("the scores are there")
    };

    assert_eq!(decision.model.as_str(), "standard");
}

#[test]
fn a_decision_lists_every_candidate_and_what_it_lacks() {
    let mut features = Features::default();
    features.attachments.images = 1;

    let decision = decide(&features, &scores([1.0, 0.0, 0.0]));

    let candidates = serde_json::to_value(&decision.candidates).expect("serialisable");
    assert_eq!(candidates[0]["lacks"], "images");
    assert_eq!(candidates[0]["price"]["input"], 1.0);
    assert_eq!(candidates[1]["fits"], true);
    assert_eq!((decision.label.as_deref(), decision.score), (Some("simple"), Some(1.0)));
}

#[test]
fn tiers_must_be_exactly_the_heads_labels() {
    let set = set(FILE);
    let name = Name::new("default").expect("a name");
    let labels: Vec<Arc<str>> = ["simple", "medum", "complex"].map(Arc::from).into();

    let problems = set.check_labels(&name, [OfferedHead { name: "tier", labels: &labels, levels: None }]);

    let shown: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    assert_eq!(
        shown,
        [
            "policies[0].strategy.tiers: lacks the label `medum` (required: simple, medum, complex)",
            "policies[0].strategy.tiers.medium: head `tier` has no such label, did you mean `medum`? (allowed: simple, medum, complex)",
            "policies[1].strategy.tiers: lacks the label `medum` (required: simple, medum, complex)",
            "policies[1].strategy.tiers: lacks the label `complex` (required: simple, medum, complex)",
        ]
    );
    assert!(problems.iter().all(|problem| problem.place.is_some()));
    assert_eq!(set.check_labels(&name, [])[0].message, "classifier `default` has no head `tier` (allowed: none)");
    assert!(set.check_labels(&Name::new("other").expect("a name"), []).is_empty());
}

/// The first problem of a rule, and the text it points at.
fn mistake(when: &str) -> (String, String) {
    let text = FILE.replace("prompt.code_blocks > 2", &when.replace('\'', "''"));
    let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let problems = PolicySet::compile(&config).expect_err(when);
    let place = problems[0].place.clone().expect("a place");
    let pointed = place.snippet.chars().skip(place.column - 1).take(place.width).collect();
    (problems[0].message.clone(), pointed)
}

#[test]
fn a_rules_mistakes_are_found_at_load_and_pointed_at() {
    for (when, message, pointed) in [
        ("prompt.image > 0", "unknown variable `prompt.image`, did you mean `prompt.images`?", "prompt.image"),
        (
            "prompt.tokens > 1 && prompt.temperature > 1.0",
            "unknown variable `prompt.temperature`, did you mean `request.temperature`?",
            "prompt.temperature",
        ),
        (
            "foo",
            "unknown variable `foo` (allowed: prompt.*, request.*, features.*, scores.*, judge.*, headers['...'], client.name, now.*, constants.*, macros.*; see docs/policies.md)",
            "foo",
        ),
        ("prompt.images", "must be true or false, but is int", "prompt.images"),
        ("prompt.images > 'two'", "`>` does not take int and text", ">"),
        ("prompt.images == 'two'", "`==` does not take int and text", "=="),
        ("prompt.tokens + 1.5 > 2.0", "`+` does not take int and double (convert one with int() or double())", "+"),
        ("prompt.images && true", "`&&` needs bool, got int", "prompt.images"),
        ("!prompt.images", "`!` needs bool, got int", "prompt.images"),
        (
            "request.model.startWith('a')",
            "unknown function `startWith`, did you mean `startsWith`? (allowed: contains, endsWith, startsWith, size, int, uint, double, string, exists, all, filter, map, prompt.contains_any, prompt.matches_any)",
            "startWith",
        ),
        ("request.model.startsWith(1)", "`startsWith` does not take text and int", "startsWith"),
        ("request.model in ['a', 'b'] || prompt.images in ['a']", "`in` does not take int and list of text", "in"),
        ("prompt.images > 0 ? 1 : 'a'", "both sides of `? :` must have one type, got int and text", "?"),
        ("has(prompt.images)", "`has` is not needed: every variable always has a value", "("),
        (
            "request.model == 'é🚂' && prompt.imags > 0",
            "unknown variable `prompt.imags`, did you mean `prompt.images`?",
            "prompt.imags",
        ),
        ("['a'].exists(x, x > 1)", "`>` does not take text and int", ">"),
    ] {
        assert_eq!(mistake(when), (message.to_owned(), pointed.to_owned()), "{when}");
    }
}

#[test]
fn text_that_is_no_expression_is_pointed_at() {
    for when in ["prompt.images >", "prompt.images > > 1", ")", "a b", "prompt.images > 0 &&"] {
        let (message, _) = mistake(when);

        assert!(message.starts_with("not a valid expression: "), "{when}: {message}");
    }
}

#[test]
fn a_syntax_error_is_placed_after_text_that_is_not_ascii() {
    let (_, pointed) = mistake("request.model == 'é🚂' && ) true");

    assert_eq!(pointed, ")");
}

#[test]
fn every_wrong_rule_of_every_policy_is_reported_at_once() {
    let text = FILE
        .replace("prompt.code_blocks > 2", "prompt.cod_blocks > 2 || request.modl == ''x''")
        .replace("prompt.tools / prompt.turns > 1", "prompt.tools");
    let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));

    let problems = PolicySet::compile(&config).expect_err("three mistakes");

    assert_eq!(problems.len(), 3, "{problems:#?}");
}

#[test]
fn the_vocabulary_of_decisions_imports_nothing_else_of_the_room() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/decision");
    for entry in std::fs::read_dir(folder).expect("the folder of this crate") {
        let path = entry.expect("a file").path();
        let source = std::fs::read_to_string(&path).expect("a source file");
        let above = |line: &&str| line.starts_with("use crate::policy") || line.starts_with("use super::super");

        assert_eq!(source.lines().find(above), None, "{}", path.display());
    }
}
