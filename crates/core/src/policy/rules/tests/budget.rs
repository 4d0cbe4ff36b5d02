//! The bounds of expressions and macros: no file ends, hangs or starves the process that reads it.

use std::thread;

use super::*;
use crate::policy::PolicySet;

/// The stack of the threads that read files here: half of what a thread has by default.
const STACK_BYTES: usize = 1 << 20;

/// The problems of a file with these macros and rules, or the linter's warnings; on a thread with a small stack.
fn problems(macros: &str, rules: &[String]) -> Vec<String> {
    let text = FILE.split_once("macros:").and_then(|(before, rest)| {
        let (_, after) = rest.split_once("rule_headers")?;
        Some(format!("{before}macros:\n{macros}rule_headers{after}"))
    });
    let rules: Vec<String> = rules.iter().map(|rule| format!("      - {{when: \"{rule}\", use: small}}")).collect();
    let text = text.expect("it has macros and headers").replace("RULES", &rules.join("\n"));
    on_small_stack(move || {
        let (config, problems) = Config::inspect(&text, "p.yaml");
        let Some(config) = config else { return problems.iter().map(|one| one.message.clone()).collect() };
        let found = match PolicySet::compile(&config) {
            Ok(set) => set.lint(),
            Err(found) => found,
        };
        let shown = problems.iter().chain(&found).map(|one| format!("{}: {}", one.path, one.message));
        shown.filter(|one| !one.contains("used by no rule")).collect()
    })
}

fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(work).expect("a thread");
    thread.join().expect("it does not panic")
}

fn one(rule: &str) -> Vec<String> {
    problems("  idle: 'true'\n", &[rule.to_owned()])
}

#[test]
fn a_macro_with_a_mistake_is_reported_once_and_whoever_uses_it_is_not() {
    for (macros, rule, expected) in [
        ("  big: macros.long && prompt.turns > 1\n  long: prompt.tokenz > 100\n", "macros.big", "macros.long: unknown"),
        ("  a: macros.b\n  b: macros.a\n", "macros.a", "macros.b: `macros.a` uses itself: a -> b -> a"),
        ("  a: macros.a\n", "macros.a", "macros.a: `macros.a` uses itself: a -> a"),
        ("  a: macros.b\n  b: '1 +'\n  c: macros.a && macros.b\n", "macros.c || macros.a", "macros.b: not a valid"),
        ("  z: macros.y\n  y: macros.x\n  x: \"'a' < 1\"\n", "macros.z && macros.x", "macros.x: `<` does not take"),
    ] {
        let found = problems(macros, &[rule.to_owned()]);

        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn a_mistake_beside_a_macro_that_cannot_be_used_is_still_found() {
    let found = problems("  a: prompt.tokenz > 1\n", &["macros.a && prompt.imagez > 0".to_owned()]);

    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("policies[0].rules[0].when: unknown variable `prompt.imagez`"), "{found:?}");
}

#[test]
fn chains_and_circles_of_a_thousand_macros_are_refused_without_recursion() {
    let chain = |next: fn(usize) -> usize| -> String {
        (0..1000).map(|own| format!("  m{own:04}: macros.m{:04}\n", next(own))).collect()
    };
    let (up, down) = (chain(|own| own.saturating_sub(1)), chain(|own| (own + 1).min(999)));
    let round = chain(|own| (own + 1) % 1000);
    let sound = chain(|own| own.saturating_sub(1)).replace("m0000: macros.m0000", "m0000: 'true'");

    for circle in [up, down] {
        let found = problems(&circle, &["macros.m0500".to_owned()]);
        assert!(found.len() == 1 && found[0].contains("uses itself"), "{found:?}");
    }
    let found = problems(&round, &["macros.m0500".to_owned()]);
    assert!(found.len() == 1 && found[0].contains("m0007 -> ... -> m0000"), "{found:?}");
    let found = problems(&sound, &["macros.m0999".to_owned()]);
    assert_eq!(found, ["macros.m0016: macros use macros too deeply (allowed: 16 levels)"]);
}

#[test]
fn macros_that_fan_out_cost_what_they_are_long() {
    let level = |own: usize| format!("  m{own:02}: {}\n", vec![format!("macros.m{:02}", own - 1); 10].join(" || "));
    let macros: String = std::iter::once("  m00: prompt.tokens > 5\n".to_owned()).chain((1..16).map(level)).collect();
    let lists = |own: usize| format!("  m{own:02}: {}\n", vec![format!("macros.m{:02}", own - 1); 10].join(" + "));
    let lists: String = std::iter::once("  m00: '[1]'\n".to_owned()).chain((1..16).map(lists)).collect();

    let sound = problems(&macros, &["macros.m15".to_owned()]);
    let large = problems(&lists, &["size(macros.m15) > 1".to_owned()]);

    assert!(sound.is_empty(), "{sound:?}");
    assert!(large.len() == 1 && large[0].contains("steps for each request (allowed: 100000)"), "{large:?}");
}

#[test]
fn a_rule_that_costs_too_much_is_refused_where_it_does() {
    let list = format!("[{}]", (0..300).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    let two = format!("prompt.tokens > 1 && {list}.exists(x, {list}.exists(y, x * y == prompt.tokens))");

    assert_eq!(one(&format!("{list}.exists(x, x == prompt.tokens)")), [] as [&str; 0]);
    let found = one(&two);
    assert!(found.len() == 1 && found[0].starts_with("policies[0].rules[0].when: takes up to "), "{found:?}");
    let header = "headers['x-team']";
    let doubled = vec![header; 60].join(" + ");
    assert!(one(&format!("{doubled} == ''"))[0].contains("steps for each request"));
    assert!(one(&format!("{list}.map(x, {header}).exists(t, t == 'a')"))[0].contains("steps for each request"));
    assert_eq!(one(&format!("{header}.contains('a') && {header}.startsWith('b')")), [] as [&str; 0]);
}

/// The problems of a file with these constants and header rules.
fn with_entries(entries: usize, rules: &[&str]) -> Vec<String> {
    let list = (0..entries).map(|n| format!("team-{n}")).collect::<Vec<_>>().join(", ");
    let rules: Vec<String> = rules.iter().map(|rule| format!("when: \"{rule}\", use: small")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let text = file(&rules).replace("constants: {", &format!("constants: {{entries: [{list}], "));
    let (config, problems) = Config::inspect(&text, "p.yaml");
    let config = config.unwrap_or_else(|| panic!("{problems}"));
    match PolicySet::compile(&config) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|one| one.message.clone()).collect(),
    }
}

#[test]
fn ordinary_rules_over_lists_of_hundreds_are_accepted() {
    for (entries, rule) in [
        (100, "constants.entries.exists(a, headers['x-team'].contains(a))"),
        (300, "constants.entries.exists(a, headers['x-team'].contains(a))"),
        (300, "constants.entries.exists(a, prompt.contains_any(['foo']) && headers['x-plan'].contains(a))"),
        (1000, "constants.entries.exists(a, headers['x-team'].startsWith(a))"),
        (1000, "constants.entries.exists(a, headers['x-team'].endsWith(a))"),
        (1000, "constants.entries.exists(a, headers['x-team'] == a)"),
        (1000, "constants.entries.all(a, headers['x-team'] != a)"),
        (1000, "constants.entries.exists(a, request.model.startsWith(a) || request.path.startsWith(a))"),
        (1000, "constants.entries.exists(a, request.model.contains(a))"),
        (2000, "headers['x-team'] in constants.entries"),
        (50, "constants.entries.exists(a, constants.entries.exists(b, headers['x-team'] == a + b))"),
    ] {
        assert_eq!(with_entries(entries, &[rule]), [] as [&str; 0], "{rule}");
    }
}

#[test]
fn hundreds_of_rules_that_read_a_header_are_accepted() {
    let rules: Vec<String> = (0..400).map(|n| format!("headers['x-team'] == 'team-{n}'")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();

    assert_eq!(with_entries(1, &rules), [] as [&str; 0]);
}

#[test]
fn what_takes_long_over_a_list_is_still_refused() {
    for (entries, rule) in [
        (
            300,
            "constants.entries.exists(a, constants.entries.exists(b, constants.entries.exists(c, a + b + c == 'x')))",
        ),
        (300, "constants.entries.exists(a, constants.entries.exists(b, a + b == 'x'))"),
        (1000, "constants.entries.exists(a, headers['x-team'].contains(a))"),
        (100, "constants.entries.exists(a, (headers['x-team'] + a).contains('x'))"),
        (100, "constants.entries.exists(a, headers['x-team'].contains(headers['x-plan']))"),
        (1000, "constants.entries.exists(a, headers['x-team'] == headers['x-plan'])"),
        (300, "constants.entries.map(a, headers['x-team'] + a).exists(t, t == 'x')"),
    ] {
        let found = with_entries(entries, &[rule]);

        assert!(found.len() == 1 && found[0].contains("steps for each request"), "{rule}: {found:?}");
    }
}

#[test]
fn the_rules_of_a_policy_are_bounded_together() {
    let list = format!("[{}]", (0..900).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    let rules: Vec<String> = (0..60).map(|n| format!("{list}.exists(x, x == prompt.tokens + {n})")).collect();

    let found = problems("  a: 'true'\n", &rules);

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("policies[0].rules: take up to "), "{found:?}");
}

#[test]
fn no_expression_is_nested_too_deeply_for_a_small_stack() {
    let deep = |open: &str, core: &str, close: &str, times: usize| {
        format!("{}{core}{}", open.repeat(times), close.repeat(times))
    };
    for expression in [
        deep("(", "true", ")", 2000),
        deep("!", "true", "", 4000),
        deep("-", "1", "", 4000),
        deep("[", "1", "]", 2000),
        deep("size([", "1", "])", 500),
        deep("true ? true : ", "true", "", 280),
        deep("1 + ", "1 > 0", "", 1000),
        deep("", "prompt", ".a", 2000),
        deep("", "[1]", "[0]", 1300),
        deep("[1].exists(x, ", "true", ")", 250),
        deep("true && ", "true", "", 500),
        deep("{1: ", "1", "}", 600),
        "(".repeat(100_000),
        "[".repeat(4000),
        "!(".repeat(2000),
    ] {
        let found = one(&expression);

        // What the parser folds, such as `!!`, is not deep.
        assert!(!found.is_empty() || expression.contains("&&") || expression.starts_with('!'), "{expression}");
    }
}

#[test]
fn the_deepest_expression_that_is_accepted_runs_on_a_small_stack() {
    let sum = |terms: usize, base: &str| format!("{base}{}", " + 1".repeat(terms));
    let deep = format!("  m0: {}\n", sum(90, "prompt.tokens"));
    let deeper = format!("{deep}  m1: {}\n", sum(90, "macros.m0"));
    let too_deep = format!("{deeper}  m2: {}\n", sum(90, "macros.m1"));

    assert_eq!(problems(&deeper, &["macros.m1 > 5".to_owned()]), [] as [&str; 0]);
    assert!(problems(&too_deep, &["macros.m2 > 5".to_owned()])[0].contains("levels deep"));
    let (when, small) = (format!("{} > 5", sum(180, "prompt.tokens")), "when: \"RULE\", use: small");
    let text = file(&[&small.replace("RULE", &when)]);
    let outcome = on_small_stack(move || {
        let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        let (language, _) = RuleLanguage::read(&config);
        let path = KeyPath::root().key("policies").index(0).key("rules");
        let rules = PolicyRules::compile(&config, &language, &path, &config.policies[0].rules)
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let signals = KnownSignals::default();
        outcomes(&run(&rules, &signals).expect("no signal"))
    });
    assert_eq!(outcome, [RuleOutcome::Matched]);
}

#[test]
fn many_alternatives_are_not_deep() {
    let when = (0..150).map(|n| format!("prompt.tokens == {n}")).collect::<Vec<_>>().join(" || ");

    assert_eq!(one(&when), [] as [&str; 0]);
}

#[test]
fn a_macro_that_waits_for_scores_is_evaluated_once_however_often_it_is_used() {
    let list = format!("[{}]", (0..300).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    let level = |own: usize| format!("  m{own:02}: {}\n", vec![format!("macros.m{:02}", own - 1); 10].join(" || "));
    let macros: String = std::iter::once(format!("  m00: \"{list}.exists(x, scores.default.tier.complex > 2.0)\"\n"))
        .chain((1..16).map(level))
        .collect();
    let text = FILE.split_once("macros:").and_then(|(before, rest)| {
        let (_, after) = rest.split_once("rule_headers")?;
        Some(format!("{before}macros:\n{macros}rule_headers{after}"))
    });
    let text = text.expect("it has macros and headers").replace("RULES", "      - {when: macros.m15, use: small}");
    let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let (language, found) = RuleLanguage::read(&config);
    assert!(found.is_empty(), "{found:?}");
    let path = KeyPath::root().key("policies").index(0).key("rules");
    let rules = PolicyRules::compile(&config, &language, &path, &config.policies[0].rules)
        .unwrap_or_else(|problems| panic!("{problems:?}"));

    assert!(run(&rules, &KnownSignals::default()).is_err(), "it asks for the scores");
    assert_eq!(outcomes(&run(&rules, &with_scores(scored(0.5))).expect("asked")), [RuleOutcome::NotMatched]);
}

#[test]
fn a_text_of_the_body_beyond_the_bound_fails_the_rules_that_read_it() {
    let rules = rules(&["when: \"request.model.contains('b')\", use: small", "when: 'true', use: large"]);
    let features = Features::default();
    let model = "a".repeat(5000);
    let facts = RequestFacts::bare(&model, "/v1/x");
    let signals = KnownSignals::default();

    let ruled = rules.run(&name("auto"), RequestEvidence { facts: &facts, features: &features, signals: &signals });

    let ruled = ruled.expect("no signal");
    let failed = "a text of the body has 5000 bytes (allowed: 4096)".to_owned();
    assert_eq!(outcomes(&ruled), [RuleOutcome::Failed(failed), RuleOutcome::Matched]);
}

#[test]
fn the_files_of_the_repository_are_within_the_bounds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    for file in ["container.yaml", "demo.yaml", "quickstart.yaml"] {
        let config = Config::load(&folder.join(file)).unwrap_or_else(|problems| panic!("{problems}"));
        let set = PolicySet::compile(&config).unwrap_or_else(|found| panic!("{file}: {found:?}"));

        assert!(set.rule_steps().all(|(_, _, whole)| whole < 10_000), "{file}");
    }
}
