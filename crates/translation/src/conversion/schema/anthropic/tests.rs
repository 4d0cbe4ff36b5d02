//! Schemas in Anthropic's form.

use serde_json::{Value, json};

use super::*;

fn of(schema: &Value) -> Option<(Value, String)> {
    let raw = serde_json::value::to_raw_value(schema).expect("JSON");
    let written = AnthropicSchema::of(&raw)?;
    let json = serde_json::from_str(&written.json).unwrap_or_else(|error| panic!("{error}: {}", written.json));
    Some((json, written.changes.unwrap_or_default()))
}

/// An object of one property, which is not required.
fn object_of(schema: &Value) -> Value {
    json!({"type": "object", "properties": {"a": schema}, "additionalProperties": false})
}

#[test]
fn a_schema_that_the_api_takes_says_the_same() {
    let schema = json!({"type": "object", "required": ["a"], "additionalProperties": false, "title": "T",
        "properties": {
            "a": {"type": "string", "format": "date", "description": "D"},
            "b": {"type": "array", "items": {"$ref": "#/$defs/x"}, "minItems": 1},
            "c": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        "$defs": {"x": {"enum": ["p", 1, null]}}});

    assert_eq!(of(&schema), Some((schema, String::new())));
}

#[test]
fn every_object_is_closed_wherever_it_stands_and_that_is_said() {
    let inner = json!({"type": "object", "properties": {"b": {"type": "null"}}});
    let places = [
        json!({"type": "object", "properties": {"a": inner}, "required": ["a"]}),
        json!({"type": "array", "items": inner}),
        json!({"anyOf": [inner]}),
        json!({"$ref": "#/$defs/x", "$defs": {"x": inner}}),
    ];
    for place in places {
        let (written, changes) = of(&place).unwrap_or_else(|| panic!("no form: {place}"));
        let text = written.to_string();
        let opened = text.matches("\"type\":\"object\"").count();
        assert_eq!(text.matches("\"additionalProperties\":false").count(), opened, "{text}");
        assert_eq!(changes, "closed objects", "{text}");
    }
}

#[test]
fn keywords_that_the_api_does_not_take_are_said_in_the_description() {
    let schema = object_of(&json!({"type": "integer", "minimum": 1, "maximum": 10, "description": "A number"}));
    let (written, changes) = of(&schema).expect("a form");
    let number = json!({"type": "integer", "description": "A number\n\n{maximum: 10, minimum: 1}"});
    assert_eq!(written["properties"]["a"], number);
    assert_eq!(changes, "in the description: maximum, minimum");

    for (schema, described) in [
        (json!({"type": "string", "format": "phone"}), "{format: phone}"),
        (json!({"type": "string", "minLength": 2}), "{minLength: 2}"),
        (json!({"type": "array", "items": {"type": "string"}, "minItems": 2}), "{minItems: 2}"),
        (json!({"type": "string", "default": null}), "{default: null}"),
        (json!({"type": "object", "properties": {"b": {"type": "null"}}, "minProperties": 1}), "{minProperties: 1}"),
    ] {
        let (written, changes) = of(&object_of(&schema)).expect("a form");
        assert_eq!(written["properties"]["a"]["description"], described);
        assert!(changes.contains("in the description"), "{changes}");
    }
}

#[test]
fn a_list_of_types_is_a_union_of_them() {
    let schema = object_of(&json!({"type": ["string", "null"], "format": "date", "description": "D"}));
    let union = json!({"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "description": "D"});
    assert_eq!(of(&schema), Some((object_of(&union), String::new())));

    let literal = object_of(&json!({"type": ["string", "null"], "enum": ["x", null]}));
    assert_eq!(of(&literal), Some((object_of(&json!({"enum": ["x", null]})), String::new())));
}

#[test]
fn one_of_several_is_any_of_them_and_a_reference_keeps_its_description() {
    let one = object_of(&json!({"oneOf": [{"type": "string"}, {"type": "null"}]}));
    let any = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
    assert_eq!(of(&one), Some((object_of(&any), "oneOf: anyOf".to_owned())));

    let referring = |schema| json!({"type": "object", "properties": {"a": schema}, "additionalProperties": false});
    let mut described = referring(json!({"$ref": "#/definitions/x", "description": "D"}));
    described["definitions"] = json!({"x": {"type": "string"}});
    let mut written = referring(json!({"anyOf": [{"$ref": "#/$defs/x"}], "description": "D"}));
    written["$defs"] = json!({"x": {"type": "string"}});
    assert_eq!(of(&described), Some((written, String::new())));
}

#[test]
fn a_schema_that_is_recursive_or_leaves_something_open_has_no_form() {
    let node = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}});
    let open = [
        json!({"$ref": "#/$defs/node", "$defs": {"node": node}}),
        object_of(&json!({"$ref": "#"})),
        object_of(&json!({"$ref": "https://e.org/schema"})),
        object_of(&json!({"type": "object"})),
        json!({"type": "object", "properties": {}}),
        object_of(&json!({"type": "object", "additionalProperties": {"type": "string"}})),
        object_of(&json!({"type": "object", "properties": {}, "additionalProperties": true})),
        object_of(&json!({"type": "object", "patternProperties": {"^x": {"type": "string"}}})),
        object_of(&json!({"type": "array", "items": {}})),
        object_of(&json!({"description": "anything"})),
        object_of(&json!({"allOf": [node, node]})),
        object_of(&json!({"type": "object", "properties": {"b": {"type": "null"}}, "anyOf": [node]})),
        object_of(&json!(true)),
        json!([]),
    ];
    for schema in open {
        assert_eq!(of(&schema), None, "{schema}");
    }
}

#[test]
fn a_tool_may_take_nothing_and_an_answer_may_not_be_nothing_but_braces() {
    let nothing = serde_json::value::to_raw_value(&json!({"type": "object", "properties": {}})).expect("JSON");

    let written = AnthropicSchema::of_input(&nothing).expect("a form");
    assert_eq!(written.json, r#"{"type":"object","properties":{},"additionalProperties":false}"#);
    assert!(AnthropicSchema::of(&nothing).is_none());
    let open = serde_json::value::to_raw_value(&json!({"type": "object"})).expect("JSON");
    assert!(AnthropicSchema::of_input(&open).is_none());
}

#[test]
fn a_long_chain_of_definitions_has_its_end_and_a_circle_of_them_has_none() {
    let reference = |number: usize| json!({"$ref": format!("#/$defs/d{number}")});
    let mut definitions: serde_json::Map<String, Value> =
        (0..20_000).map(|number| (format!("d{number}"), reference(number + 1))).collect();
    definitions.insert("d20000".to_owned(), json!({"type": "null"}));
    let mut schema = json!({"$ref": "#/$defs/d0", "$defs": definitions});
    assert!(of(&schema).is_some());

    schema["$defs"]["d20000"] = reference(0);
    assert_eq!(of(&schema), None);
}
