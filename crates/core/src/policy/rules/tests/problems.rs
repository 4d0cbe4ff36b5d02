//! What is said of expressions, macros and constants that are wrong.

use super::*;

/// Every problem of a file with these rules, and what is underlined.
fn problems(text: &str) -> Vec<(String, String)> {
    let (config, problems) = Config::inspect(text, "p.yaml");
    let config = config.expect("it can be read");
    let (language, mut found) = RuleLanguage::read(&config);
    let path = KeyPath::root().key("policies").index(0).key("rules");
    found.extend(PolicyRules::compile(&config, &language, &path, &config.policies[0].rules).err().unwrap_or_default());
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
        ("prompt.matches_any(['ok', '(a'])", "`(a` is no pattern: unclosed group", "'"),
        (
            "prompt.contains_any(request.model)",
            "`contains_any` takes a list of texts in quotes, or of `constants`: it is compiled when the file is loaded",
            "request.model",
        ),
        (
            "prompt.contains_any([request.model])",
            "`contains_any` takes a list of texts in quotes, or of `constants`: it is compiled when the file is loaded",
            "[",
        ),
        (
            "prompt.contains_any(constants.teem)",
            "unknown variable `constants.teem`, did you mean `constants.team`?",
            "constants.teem",
        ),
        ("prompt.contains_any(['a'], 'new')", "is no scope (allowed: 'all', 'user', 'ask')", "'"),
        ("prompt.contains_any()", "`contains_any` takes a list of texts, and a scope", "contains_any"),
        (
            "request.model.matches_any(['a'])",
            "`matches_any` looks through the prompt alone, as in prompt.matches_any(['...'])",
            "matches_any",
        ),
        ("prompt.contains_any(['a']) > 1", "`>` does not take bool and int", ">"),
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
