//! Rules' actions, headers and the file's own tests.

use super::*;

/// The good file with another rule.
fn with_rule(rule: &str) -> String {
    GOOD.replacen("{when: 'prompt.images > 0', use: standard}", rule, 1)
}

/// The good file with more keys at its end.
fn with(keys: &str) -> String {
    format!("{GOOD}{keys}\n")
}

#[test]
fn a_rule_chooses_denies_sets_or_ends() {
    let rule = |text: &str| {
        let config = Config::parse(&with_rule(text), "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        config.policies[0].rules[0].clone()
    };

    let denies = rule("{when: 'true', deny: {message: no}}");

    assert_eq!(denies.deny, Some(DenyAction { status: 403, message: "no".into() }));
    assert!(!denies.goes_on());
    assert!(!rule("{when: 'true', use: small, set: {a: 1}}").goes_on());
    assert!(rule("{when: 'true', use: small, continue: true}").goes_on());
    assert!(rule("{when: 'true', set: {a: 1}}").goes_on());
    assert!(!rule("{when: 'true', set: {a: 1}, continue: false}").goes_on());
    assert!(!rule("{when: 'true', continue: false}").goes_on());
}

#[test]
fn a_rule_does_something_and_no_two_things_at_once() {
    for (rule, expected) in [
        ("{when: 'true'}", ": the rule does nothing (required: one of use, deny, set, continue: false)"),
        (
            "{when: 'true', continue: true}",
            ": the rule does nothing (required: one of use, deny, set, continue: false)",
        ),
        (
            "{when: 'true', use: small, deny: {message: no}}",
            ".deny: a rule cannot both `use` and `deny` (allowed: one of them)",
        ),
        (
            "{when: 'true', deny: {message: no}, continue: true}",
            ".deny: a rule that denies ends the rules (allowed: `deny` without `continue: true`)",
        ),
        (
            "{when: 'true', deny: {status: 399, message: no}}",
            ".deny.status: 399 is out of bounds (allowed: 400 to 499)",
        ),
        (
            "{when: 'true', deny: {status: 500, message: no}}",
            ".deny.status: 500 is out of bounds (allowed: 400 to 499)",
        ),
        ("{when: 'true', deny: {}}", ".deny.message: is required"),
        (
            "{when: 'true', deny: {message: ''}}",
            ".deny.message: must be 1 to 1000 characters without control characters",
        ),
        (
            "{when: 'true', set: {stream: true}}",
            ".set.stream: `stream` cannot be adapted (allowed: any key but model, stream)",
        ),
        ("{when: 'true', set: {a.b.c: 1}}", ".set.a.b.c: `a.b.c` is not a key (allowed: `key` or `object.key`)"),
        (
            "{when: 'true', use: smal}",
            ".use: there is no model `smal`, did you mean `small`? (allowed: small, standard)",
        ),
    ] {
        assert_eq!(problems(&with_rule(rule)), [format!("policies[0].rules[0]{expected}")], "{rule}");
    }
}

#[test]
fn rules_may_not_read_headers_that_hold_secrets() {
    assert!(Config::parse(&with("rule_headers: [x-team, X-Plan]"), "p.yaml").is_ok());
    assert_eq!(
        problems(&with("rule_headers: [x-team, Authorization, 'a b']")),
        [
            "rule_headers[1]: `Authorization` holds a secret (allowed: any header but authorization, proxy-authorization, cookie, x-api-key, api-key)",
            "rule_headers[2]: `a b` is not a header's name",
        ]
    );
}

#[test]
fn a_test_has_a_request_and_expects_something_that_can_come() {
    for good in [
        "{prompt: hi, expect: {model: small}}",
        "{body: {messages: []}, model: gpt-4, expect: {policy: auto, rule: 0}}",
        "{body: {model: x}, headers: {x-team: a}, now: '2026-11-23T09:30:00Z', expect: {denied: 403}}",
    ] {
        let parsed = Config::parse(&with(&format!("tests: [{good}]")), "p.yaml");
        assert!(parsed.is_ok(), "{good}: {parsed:?}");
    }
    for (bad, expected) in [
        ("{expect: {model: small}}", ": needs either a `prompt` or a `body`"),
        ("{prompt: a, body: {}, expect: {model: small}}", ": needs either a `prompt` or a `body`"),
        ("{prompt: a}", ".expect: is required"),
        ("{prompt: a, expect: {}}", ".expect: expects nothing (required: one of model, policy, rule, reason, denied)"),
        ("{body: [], expect: {rule: 1}}", ".body: must be a mapping: the request's JSON object"),
        ("{body: {model: a}, model: b, expect: {rule: 1}}", ".model: the `body` says the model already"),
        (
            "{prompt: a, expect: {denied: 403, model: small}}",
            ".expect: a request that is denied gets no model (allowed: denied with policy and rule)",
        ),
        (
            "{prompt: a, client: ada, expect: {rule: 0}}",
            ".client: there is no client `ada` (allowed: none is declared under `clients`)",
        ),
        ("{prompt: a, expect: {policy: aut}}", ".expect.policy: there is no policy `aut` (allowed: auto)"),
        ("{prompt: a, expect: {denied: 200}}", ".expect.denied: 200 is out of bounds (allowed: 400 to 499)"),
        (
            "{prompt: a, now: today, expect: {rule: 0}}",
            ".now: `today` is not a moment (allowed: date and time in UTC, such as 2026-11-23T09:30:00Z)",
        ),
    ] {
        assert_eq!(problems(&with(&format!("tests: [{bad}]"))), [format!("tests[0]{expected}")], "{bad}");
    }
}

#[test]
fn a_test_that_does_not_say_its_model_needs_a_policy_with_an_exact_one() {
    let text =
        with("tests: [{prompt: a, expect: {rule: 0}}]").replacen("model: [auto, 'gpt-*']", "model: ['gpt-*']", 1);

    assert_eq!(
        problems(&text),
        ["tests[0]: no policy matches a model by its exact name (required: the test's `model`)"]
    );
}

#[test]
fn a_test_s_moment_is_noon_of_a_monday_unless_it_says_so() {
    let config = Config::parse(&with("tests: [{prompt: a, expect: {rule: 0}}]"), "p.yaml").expect("a good file");

    assert_eq!(config.tests[0].now, UtcMoment::default());
    assert_eq!(serde_json::to_value(UtcMoment::default()).expect("JSON"), "2024-01-01T12:00:00Z");
}
