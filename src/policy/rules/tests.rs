use proptest::prelude::*;

use super::*;
use crate::features::{TABLE, TokenCount};
use crate::scores::{Degraded, HeadScores, Scores, Source};

/// What `expression` is for a prompt with 2 images and 10 tokens.
fn evaluate(expression: &str) -> Result<RuleOutcome, String> {
    let mut features = Features::default().with_tokens(TokenCount { tokens: 10, estimated: false });
    features.attachments.images = 2;
    let mut slots = Slots::default();
    let when = Expression::compile(expression, &Type::Bool, &Vocabulary::default(), &mut slots);
    let when = when.map_err(|mistakes| format!("{mistakes:?}"))?;
    let rule = Rule { when, action: None, set: BTreeMap::new(), ends: true };
    let rules = Rules { list: vec![rule], slots, macros: Arc::default(), scores: Vec::new() };
    let name = Name::new("x").expect("a name");
    let facts = RequestFacts { model: "auto-1", path: "/v1/chat/completions", header: &|_| None, client: "", now: 0 };
    let tried = rules.run(&name, &facts, &features, &Signals::default()).expect("needs no signal");
    Ok(tried.traces[0].outcome.clone())
}

#[test]
fn what_the_checker_accepts_evaluates_and_is_true() {
    for expression in [
        "prompt.images == 2 && features.images > 1",
        "request.temperature > 0.5 && request.temperature == 1 && request.temperature < 2",
        "prompt.tokens > 9.5 && prompt.tokens + 2 == 12 && prompt.tokens * 3 % 7 == 2 && -prompt.tokens < 0",
        "double(prompt.tokens) / 4.0 == 2.5 && prompt.tokens / 4 == 2 && int(2.5) == 2",
        "request.model.startsWith('auto') && request.model.endsWith('-1') && request.model.contains('to')",
        "request.model in ['auto-1', 'auto-2'] && !(prompt.images in [5, 6])",
        "size(request.model) == 6 && request.path.size() > 3 && size([1, 2]) == 2",
        "prompt.images > 0 ? !request.stream : false",
        "['auto', 'gpt'].exists(p, request.model.startsWith(p)) && [1, 2].all(x, x <= prompt.images)",
        "[1, 2, 3].filter(x, x > prompt.images) == [3] && [1, 2].map(x, x * 2)[1] == 4",
        "request.model + '!' == 'auto-1!' && string(prompt.images) == '2'",
        "request.response_format == 'text' && request.reasoning_effort == ''",
        "prompt.tokens > 10u || prompt.tokens == 10u || true",
    ] {
        assert_eq!(evaluate(expression), Ok(RuleOutcome::Matched), "{expression}");
    }
}

#[test]
fn a_rule_that_fails_at_run_time_is_traced_and_does_not_match() {
    for expression in [
        "10 / prompt.tools > 1",
        "[1][prompt.tokens] == 1",
        "int(request.model) > 1",
        "9223372036854775807 + prompt.images > 0",
    ] {
        let outcome = evaluate(expression).expect("it compiles");

        assert!(matches!(outcome, RuleOutcome::Failed(_)), "{expression}: {outcome:?}");
    }
}

/// Ways to write an expression of a kind: `$i` stands for one of whole numbers, `d` of doubles, `b` of booleans, `t` of
/// texts, `l` of lists.
const fn templates(kind: char, depth: u8) -> &'static [&'static str] {
    match (kind, depth) {
        ('i', 0) => &["0", "7", "-3", "prompt.images", "features.tokens", "now.hour"],
        ('d', 0) => &["2.5", "0.0", "prompt.digits_ratio", "request.temperature"],
        ('b', 0) => &["true", "request.stream", "prompt.tokens_estimated"],
        ('t', 0) => &["'a'", "''", "request.model", "request.response_format", "client.name"],
        (_, 0) => &["[]", "[1, 2]", "[prompt.images, 2]", "[1, 'a']", "[[1], []][0]"],
        ('i', _) => WHOLE,
        ('d', _) => &["($d + $d)", "($d / 2.5)", "double($i)", "($b ? $d : $d)", "-$d", "($i * $d)"],
        ('b', _) => BOOLEAN,
        ('t', _) => &["($t + $t)", "string($i)", "string($d)", "($b ? $t : $t)", "string($b)"],
        _ => LIST,
    }
}

const WHOLE: &[&str] = &[
    "($i + $i)",
    "($i - $i)",
    "($i * $i)",
    "($i / $i)",
    "($i % $i)",
    "size($t)",
    "$l.size()",
    "int($d)",
    "int($t)",
    "$l[$i]",
    "($b ? $i : $i)",
    "-$i",
    "$l.map(x, x)[0]",
];

const BOOLEAN: &[&str] = &[
    "($i < $d)",
    "($d >= $i)",
    "($i == $d)",
    "($t == $t)",
    "($t < $t)",
    "($l == $l)",
    "($b && $b)",
    "($b || !$b)",
    "$t.contains($t)",
    "$t.startsWith($t)",
    "($i in $l)",
    "($d in $l)",
    "$l.exists(x, x > $i)",
    "$l.all(x, x == $d)",
    "(3u > $i)",
    "($b == $b)",
    "($b < $b)",
    "($l < $l)",
    "($t in $l)",
];

const LIST: &[&str] =
    &["[$i, $i]", "($l + $l)", "$l.filter(x, x > $i)", "$l.map(x, x + $i)", "[$t, $i]", "[$i, $d]", "($b ? $l : [])"];

/// Builds an expression that is mostly of the kind wanted, from a supply of choices.
fn expression(choices: &mut impl Iterator<Item = u8>, kind: char, depth: u8) -> String {
    let choice = choices.next().unwrap_or_default();
    // Now and then something of another type, which the checker must notice.
    let kind = if choice > 248 { ['i', 'd', 'b', 't', 'l'][usize::from(choice % 5)] } else { kind };
    let templates = templates(kind, depth);
    let template = templates[usize::from(choice) % templates.len()];
    let mut text = String::new();
    let mut parts = template.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (inner, rest) = part.split_at(1);
        let kind = inner.chars().next().unwrap_or('i');
        text.push_str(&expression(choices, kind, depth - 1));
        text.push_str(rest);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_the_checker_accepts_never_fails_for_its_types(
        choices in prop::collection::vec(any::<u8>(), 40), depth in 1..4_u8,
    ) {
        let expression = expression(&mut choices.into_iter(), 'b', depth);
        if let Ok(RuleOutcome::Failed(error)) = evaluate(&expression) {
            let by_value = ["zero", "Overflow", "overflow", "out of bounds", "Error executing function"];
            prop_assert!(by_value.iter().any(|cause| error.contains(cause)), "{expression}: {error}");
        }
    }

    #[test]
    fn no_text_makes_compiling_panic(expression in "[a-z0-9 .()\\[\\]{}'\"?:&|<>=!+*/%,-]{0,40}|\\PC{0,20}") {
        let _ = evaluate(&expression);
    }
}

#[test]
fn every_feature_resolves_in_its_scope_and_in_features() {
    for spec in TABLE {
        let expression = format!("{}.{} == features.{}", spec.scope.as_str(), spec.name, spec.name);

        assert_eq!(evaluate(&expression), Ok(RuleOutcome::Matched), "{expression}");
    }
}

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
fn rules(rules: &[&str]) -> Rules {
    let config = Config::parse(&file(rules), "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let (language, problems) = Language::read(&config);
    assert!(problems.is_empty(), "{problems:?}");
    let path = KeyPath::root().key("policies").index(0).key("rules");
    Rules::compile(&config, &language, &path, &config.policies[0].rules)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn name(name: &str) -> Name {
    Name::new(name).expect("a name")
}

/// What became of rules for a request of the client `ada` with ten tokens and `x-team: red`, on a Monday at 12:34.
fn run(rules: &Rules, signals: &Signals) -> Result<Arc<Tried>, Signal> {
    let features = Features::default().with_tokens(TokenCount { tokens: 10, estimated: false });
    let header = |name: &str| (name == "x-team").then_some("red");
    let facts = RequestFacts { model: "auto", path: "/v1/x", header: &header, client: "ada", now: 1_704_112_440 };
    rules.run(&name("auto"), &facts, &features, signals)
}

fn outcomes(tried: &Tried) -> Vec<RuleOutcome> {
    tried.traces.iter().map(|trace| trace.outcome.clone()).collect()
}

fn scored(complex: f32) -> Result<Scores, Degraded> {
    let labels = ["simple", "complex"].map(Arc::from).into();
    let head = HeadScores { head: "tier".into(), labels, probabilities: vec![1.0 - complex, complex] };
    Ok(Scores { source: Source::Encoder, heads: vec![head], tokens: 3, truncated_tokens: 0 })
}

/// Signals in which the classifier `default` has answered.
fn with_scores(scores: Result<Scores, Degraded>) -> Signals {
    Signals { scores: Some(scores), ..Signals::default() }
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
        let tried = run(&rules(&[&format!("when: \"{when}\", use: small")]), &Signals::default()).expect("no signal");

        assert_eq!(outcomes(&tried), [RuleOutcome::Matched], "{when}");
    }
}

#[test]
fn a_rule_asks_for_scores_when_it_is_reached_and_cannot_be_told_without() {
    let needs = |list: &[&str]| run(&rules(list), &Signals::default()).err();
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
        let mut signals = Signals::default();
        assert!(run(&rules, &signals).is_err());
        signals.scores = Some(scores);
        let tried = run(&rules, &signals).expect("it was asked");
        (rules.chosen(&tried).expect("one is true").0, outcomes(&tried))
    };
    let failed = || RuleOutcome::Failed("macros.unsafe: Division by zero of Int(1)".into());

    assert_eq!(chosen(scored(0.75)), (1, vec![failed(), RuleOutcome::Matched]));
    assert_eq!(chosen(scored(0.25)), (2, vec![failed(), RuleOutcome::NotMatched, RuleOutcome::Matched]));
    let without = RuleOutcome::Failed("macros.hard: there are no scores of `default`: deadline".into());
    assert_eq!(chosen(Err(Degraded::Deadline)), (2, vec![failed(), without, RuleOutcome::Matched]));
}

#[test]
fn a_score_that_is_not_there_or_no_number_fails_its_rule() {
    let rules = rules(&[
        "when: scores.default.tier.complex > 0.5, use: large",
        "when: scores.default.domain.law > 0.5, use: large",
    ]);

    let tried = run(&rules, &with_scores(scored(f32::NAN))).expect("no signal");

    let failed = |name: &str| RuleOutcome::Failed(format!("`default` gave no score for `{name}`"));
    assert_eq!(outcomes(&tried), [failed("tier.complex"), failed("domain.law")]);
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

    let tried = run(&rules, &Signals::default()).expect("no signal");

    assert_eq!(rules.chosen(&tried), Some((2, &name("small"))));
    assert_eq!(rules.denied(&tried), None);
    assert_eq!(outcomes(&tried).len(), 3);
    assert_eq!(
        serde_json::to_value(rules.set(&tried)).expect("JSON"),
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

    let tried = run(&rules, &Signals::default()).expect("no signal");

    assert_eq!(rules.chosen(&tried), Some((0, &name("large"))));
    assert_eq!(outcomes(&tried).len(), 2);
}

#[test]
fn a_denial_says_its_status_and_message() {
    let rules = rules(&["when: prompt.tokens > 9, deny: {message: too long for you}", "when: 'true', use: small"]);

    let tried = run(&rules, &Signals::default()).expect("no signal");

    let deny = Deny { status: 403, message: "too long for you".into() };
    assert_eq!(rules.denied(&tried), Some((0, &deny)));
    assert_eq!(rules.chosen(&tried), None);
}

#[test]
fn an_object_that_is_set_whole_replaces_its_members_and_takes_later_ones_in() {
    let set = |list: &[&str]| {
        let rules = rules(list);
        let tried = run(&rules, &Signals::default()).expect("no signal");
        serde_json::to_string(&rules.set(&tried)).expect("JSON")
    };

    assert_eq!(set(&["when: 'true', set: {a.b: 1}", "when: 'true', set: {a: {c: 2}}"]), r#"{"a":{"c":2}}"#);
    assert_eq!(set(&["when: 'true', set: {a: {c: 2}}", "when: 'true', set: {a.b: 1}"]), r#"{"a":{"b":1,"c":2}}"#);
    assert_eq!(set(&["when: 'true', set: {a: 2}", "when: 'true', set: {a.b: 1}"]), r#"{"a.b":1}"#);
}

/// Every problem of a file with these rules, and what is underlined.
fn problems(text: &str) -> Vec<(String, String)> {
    let (config, problems) = Config::inspect(text, "p.yaml");
    let config = config.expect("it can be read");
    let (language, mut found) = Language::read(&config);
    let path = KeyPath::root().key("policies").index(0).key("rules");
    found.extend(Rules::compile(&config, &language, &path, &config.policies[0].rules).err().unwrap_or_default());
    let shown = problems.iter().chain(&found).map(|problem| {
        let place = problem.place.as_ref().expect("a place");
        let pointed = place.snippet.chars().skip(place.column - 1).take(place.width).collect();
        (format!("{}: {}", problem.path, problem.message), pointed)
    });
    shown.collect()
}

#[test]
fn a_name_that_is_not_there_is_pointed_at_with_what_may_be_meant() {
    for (when, message, pointed) in [
        (
            "headers['x-tem'] == 'red'",
            "the header `x-tem` is not among `rule_headers`, did you mean `x-team`? (allowed: x-team, x-plan)",
            "headers['x-tem']",
        ),
        ("headers[request.model] == ''", "a header needs its name in quotes, such as headers['x-team']", "headers"),
        (
            "scores.defalt.tier.complex > 0.5",
            "there is no classifier `defalt`, did you mean `default`? (allowed: default, other-one)",
            "scores.defalt.tier.complex",
        ),
        (
            "scores.default.tier > 0.5",
            "a score is `scores.<classifier>.<head>.<label>`, such as scores.default.tier.complex",
            "scores.default.tier",
        ),
        ("scores['default'].tier['complex'] > 'a'", "`>` does not take double and text", ">"),
        (
            "prompt.tokens > constants.limt",
            "unknown variable `constants.limt`, did you mean `constants.limit`?",
            "constants.limt",
        ),
        ("macros.lng", "unknown variable `macros.lng`, did you mean `macros.long`?", "macros.lng"),
        ("now.hours > 3", "unknown variable `now.hours`, did you mean `now.hour`?", "now.hours"),
        ("constants.team > 3", "`>` does not take text and int", ">"),
        ("macros.share", "must be true or false, but is double", "macros.share"),
        ("[1].exists(prompt, prompt.images > 0)", "`prompt` is int and has no field `images`", "prompt.images"),
    ] {
        let expected = (format!("policies[0].rules[0].when: {message}"), pointed.to_owned());
        assert_eq!(problems(&file(&[&format!("when: \"{when}\", use: small")])), [expected], "{when}");
    }
}

#[test]
fn macros_may_not_go_in_circles_or_too_deep_and_are_checked_even_if_unused() {
    let with = |macros: &str| {
        let text = file(&["when: 'true', use: small"]);
        let (before, rest) = text.split_once("macros:").expect("it has macros");
        let (_, after) = rest.split_once("rule_headers").expect("it has headers");
        problems(&format!("{before}macros:\n{macros}rule_headers{after}"))
    };

    assert_eq!(
        with("  a: macros.b\n  b: macros.c && macros.a\n  c: 'true'\n"),
        [("macros.b: `macros.a` uses itself: a -> b -> a".to_owned(), "macros.a".to_owned())]
    );
    assert_eq!(with("  a: '!macros.a'\n")[0].0, "macros.a: `macros.a` uses itself: a -> a");
    assert_eq!(with("  a: prompt.imges > 0\n  b: macros.a\n").len(), 1);
    assert!(with("  a-b: 'true'\n")[0].0.starts_with("macros.a-b: `a-b` cannot be used in expressions"));
    let chain = |length: usize| {
        let links = (1..length).map(|link| format!("  m{link:02}: macros.m{:02}\n", link - 1));
        std::iter::once("  m00: 'true'\n".to_owned()).chain(links).collect::<String>()
    };
    assert_eq!(with(&chain(16)), []);
    assert_eq!(with(&chain(17))[0].0, "macros.m16: macros use macros too deeply (allowed: 16 levels)");
}

#[test]
fn a_constant_is_a_number_a_text_a_boolean_or_a_list_of_one_of_them() {
    for (constants, message) in [
        ("{a: null}", "constants.a: is no value for an expression"),
        ("{a: {b: 1}}", "constants.a: is no value for an expression"),
        ("{a: [1, x]}", "constants.a: a list's elements must have one type, got int and text"),
        ("{a: [[1]]}", "constants.a: holds what is no value for an expression"),
        ("{a: 18446744073709551615}", "constants.a: is no value for an expression"),
        ("{in: 1}", "constants.in: `in` cannot be used in expressions"),
    ] {
        let text = file(&["when: 'true', use: small"]);
        let line = text.lines().find(|line| line.starts_with("constants")).expect("it has constants");
        let macros =
            text.split_once("macros:").and_then(|(_, rest)| rest.split_once("rule_headers")).expect("macros").0;
        let text = text.replace(line, &format!("constants: {constants}")).replace(&format!("macros:{macros}"), "");

        let found = problems(&text);

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0.starts_with(message), "{found:?}");
    }
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
    let labels = |head: &str| (head == "tier").then_some(&labels[..]);

    let problems = rules.check_labels(&config, &KeyPath::root().key("rules"), &name("default"), &labels);

    let shown: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        shown,
        [
            "head `tier`: there is no label `complx`, did you mean `complex`? (allowed: simple, complex)",
            "classifier `default` has no head `domain`",
        ]
    );
    assert_eq!(rules.heads(&name("default")).map(Name::as_str).collect::<Vec<_>>(), ["tier", "tier", "domain"]);
}
