//! Prices of models, and what changes their requests.

use super::*;

/// The good file with rules for its model `standard`.
fn adapting(rules: &str) -> String {
    GOOD.replacen("supports: [tools, images, json_schema]", &format!("adapt: {rules}"), 1)
}

#[test]
fn values_to_set_are_what_they_look_like() {
    let rules = r#"{set: {a: 1, b: -1.5, c: true, d: "1", e: null, f: [1e3, x, {g: inf}], stream_options.include_usage: true}}"#;

    let config = Config::parse(&adapting(rules), "p.yaml").expect("a good file");

    assert_eq!(
        serde_json::to_value(&config.models["standard"].adapt.set).expect("JSON"),
        serde_json::json!({
            "a": 1, "b": -1.5, "c": true, "d": "1", "e": null, "f": [1000.0, "x", {"g": "inf"}],
            "stream_options.include_usage": true,
        })
    );
}

#[test]
fn a_key_is_adapted_in_one_way_only() {
    for (rules, expected) in [
        ("{drop: [n, n]}", "drop[1]: `n` is in `drop` already (allowed: one place for each key)"),
        ("{drop: [model]}", "drop[0]: `model` cannot be adapted (allowed: any key but model, stream)"),
        ("{set: {stream: true}}", "set.stream: `stream` cannot be adapted (allowed: any key but model, stream)"),
        ("{drop: ['']}", "drop[0]: a key must not be empty (allowed: a top-level key of the request)"),
        ("{rename: {a: b, c: b}}", "rename.c: `b` is in `rename` already (allowed: one place for each key)"),
        ("{drop: [a], rename: {a: b}}", "rename.a: `a` is in `drop` already (allowed: one place for each key)"),
        ("{drop: [a], set: {a.b: 1}}", "set.a.b: `a` is in `drop` already (allowed: one place for each key)"),
        ("{set: {a.b.c: 1}}", "set.a.b.c: `a.b.c` is not a key (allowed: `key` or `object.key`)"),
        ("{set: {a: 1, a.b: 1}}", "set.a.b: `a` is set as a whole and in parts (allowed: one of them)"),
    ] {
        assert_eq!(problems(&adapting(rules)), [format!("models.standard.adapt.{expected}")], "{rules}");
    }
    assert!(Config::parse(&adapting("{set: {a.b: 1, a.c: 2}, drop: [b]}"), "p.yaml").is_ok());
    assert_eq!(problems(&adapting("{dropp: [a]}")).len(), 1);
}

#[test]
fn prices_are_finite_and_not_negative() {
    for price in ["-0.1", ".inf", "NaN", "inf", "free", "'1'"] {
        let found = problems_with("input: 0.05", &format!("input: {price}"));
        assert_eq!(found.len(), 1, "{price}");
        assert!(found[0].starts_with("models.small.price.input: must be "), "{found:?}");
    }
    let found = problems_with("input: 0.05", "cached_input: -1, input: 0.05");
    assert_eq!(found, ["models.small.price.cached_input: must be 0 or more US dollars per million tokens, got -1"]);
}
