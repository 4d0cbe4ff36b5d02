use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::prompt::model_field;

/// The keys that rules and bodies of the properties share.
const KEYS: [&str; 6] = ["temperature", "max_tokens", "max_completion_tokens", "stream_options", "n", "user"];

fn edits(drop: &[&str], rename: &[(&str, &str)], set: Value) -> BodyEdits {
    let Value::Object(set) = set else { panic!("rules to set are an object") };
    BodyEdits::new(
        &drop.iter().map(|&key| key.into()).collect::<Vec<_>>(),
        &rename.iter().map(|&(old, new)| (old.into(), new.into())).collect(),
        &set.into_iter().collect(),
    )
}

fn apply(edits: &BodyEdits, body: &str) -> String {
    let body = Bytes::from(body.to_owned());
    let field = model_field(&body).expect("the body names a model");
    let name = field.name.into_owned();
    String::from_utf8(edits.apply(&body, field.span, &name).to_vec()).expect("text stays text")
}

#[test]
fn a_key_is_dropped_with_one_comma() {
    let edits = edits(&["temperature"], &[], json!({}));

    for (body, expected) in [
        (r#"{"temperature":1,"model":"m"}"#, r#"{"model":"m"}"#),
        (r#"{ "temperature" : 1 , "model":"m" }"#, r#"{ "model":"m" }"#),
        (r#"{"model":"m" , "temperature":{"a":[1,2]}, "n":1.0}"#, r#"{"model":"m", "n":1.0}"#),
        (r#"{"model":"m","temp\u0065rature":"\"" }"#, r#"{"model":"m" }"#),
        (r#"{"temperature":1,"temperature":2,"model":"m","temperature":3}"#, r#"{"model":"m"}"#),
        (
            r#"{"model":"m","x":{"temperature":1},"Temperature":1}"#,
            r#"{"model":"m","x":{"temperature":1},"Temperature":1}"#,
        ),
    ] {
        assert_eq!(apply(&edits, body), expected);
    }
}

#[test]
fn a_key_is_renamed_unless_the_new_one_is_there_already() {
    let edits = edits(&[], &[("max_tokens", "max_completion_tokens")], json!({}));

    for (body, expected) in [
        (r#"{"model":"m", "max_tokens" : 7}"#, r#"{"model":"m", "max_completion_tokens" : 7}"#),
        (r#"{"model":"m","max\u005ftokens":7}"#, r#"{"model":"m","max_completion_tokens":7}"#),
        (
            r#"{"max_tokens":7,"model":"m","max_completion_tokens":8}"#,
            r#"{"max_tokens":7,"model":"m","max_completion_tokens":8}"#,
        ),
    ] {
        assert_eq!(apply(&edits, body), expected);
    }
}

#[test]
fn a_value_is_replaced_or_added() {
    let edits = edits(&[], &[], json!({"n": 2, "stop": ["a", null]}));

    for (body, expected) in [
        (r#"{"n" : 1 ,"model":"m"}"#, r#"{"n" : 2 ,"model":"m","stop":["a",null]}"#),
        ("{\"model\":\"m\" }\n", "{\"model\":\"m\",\"n\":2,\"stop\":[\"a\",null] }\n"),
        (r#"{"n":1,"model":"m","n":{},"stop":0}"#, r#"{"n":2,"model":"m","n":2,"stop":["a",null]}"#),
    ] {
        assert_eq!(apply(&edits, body), expected);
    }
}

#[test]
fn a_dot_leads_into_an_object_that_is_made_where_there_is_none() {
    let edits = edits(&[], &[], json!({"o.a": true, "o.b": 1}));

    for (body, expected) in [
        (r#"{"model":"m"}"#, r#"{"model":"m","o":{"a":true,"b":1}}"#),
        (r#"{"model":"m","o": { } }"#, r#"{"model":"m","o": {"a":true,"b":1 } }"#),
        (r#"{"model":"m","o":{"c" : 1.0 , "a":null}}"#, r#"{"model":"m","o":{"c" : 1.0 , "a":true,"b":1}}"#),
        (r#"{"model":"m","o":null}"#, r#"{"model":"m","o":{"a":true,"b":1}}"#),
        (r#"{"o":[{"a":0}],"model":"m"}"#, r#"{"o":{"a":true,"b":1},"model":"m"}"#),
    ] {
        assert_eq!(apply(&edits, body), expected);
    }
}

#[test]
fn all_rules_and_the_model_are_one_edit() {
    let edits = edits(&["temperature"], &[("max_tokens", "max_completion_tokens")], json!({"o.a": 1}));
    let body = Bytes::from_static(br#"{"temperature":0,"model":"auto","max_tokens":5,"top_p":1.10}"#);
    let span = model_field(&body).expect("the body names a model").span;

    let edited = edits.apply(&body, span, "o4-mini");

    assert_eq!(edited, &br#"{"model":"o4-mini","max_completion_tokens":5,"top_p":1.10,"o":{"a":1}}"#[..]);
}

#[test]
fn a_body_that_needs_nothing_is_not_copied() {
    let edits = edits(&["temperature"], &[("max_tokens", "max_completion_tokens")], json!({"n": 1, "o.a": true}));
    let body = Bytes::from_static(br#"{"model":"m","n":1,"o":{"a":true}}"#);

    assert_eq!(edits.apply(&body, 9..12, "m").as_ptr(), body.as_ptr());
    assert_eq!(BodyEdits::default().apply(&body, 9..12, "m").as_ptr(), body.as_ptr());
}

#[test]
fn rules_can_be_left_out() {
    let edits = edits(&[], &[], json!({"stream_options.include_usage": true, "n": 1}));

    assert_eq!(apply(&edits.without("stream_options"), r#"{"model":"m"}"#), r#"{"model":"m","n":1}"#);
    assert!(edits.without("stream_options").without("n").is_empty());
}

#[test]
fn a_body_of_nothing_but_members_is_edited_in_linear_time() {
    let edits = edits(&["a"], &[("b", "c")], json!({"d": 1}));
    let body = format!("{{{}\"model\":\"m\"}}", "\"a\":0,\"b\":0,\"d\":0,".repeat(50_000));

    let edited = apply(&edits, &body);

    assert_eq!(edited, format!("{{{}\"model\":\"m\"}}", "\"c\":0,\"d\":1,".repeat(50_000)));
}

/// What the rules mean, said in terms of JSON values.
fn reference(mut body: Map<String, Value>, (dropped, renamed, set): &Rules) -> Value {
    body.retain(|key, _| !dropped.contains(key));
    for (old, new) in renamed {
        if !body.contains_key(new)
            && let Some(value) = body.remove(old)
        {
            body.insert(new.clone(), value);
        }
    }
    for (path, value) in set {
        let Some((key, member)) = path.split_once('.') else {
            body.insert(path.clone(), value.clone());
            continue;
        };
        let object = body.entry(key).or_insert_with(|| json!({}));
        if !object.is_object() {
            *object = json!({});
        }
        object[member] = value.clone();
    }
    body.into()
}

type Rules = (Vec<String>, BTreeMap<String, String>, BTreeMap<String, Value>);

/// Rules in which every key has one role.
fn rules() -> impl Strategy<Value = Rules> {
    let roles = prop::collection::vec(0..4_u8, KEYS.len());
    (roles, any::<i32>(), any::<bool>()).prop_map(|(roles, number, nested)| {
        let of = |role| KEYS.iter().zip(&roles).filter(move |(_, r)| **r == role).map(|(key, _)| (*key).to_owned());
        let renamed: Vec<_> = of(1).collect();
        let rename = renamed.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let set = of(2).flat_map(|key| {
            let paths = if nested { vec![format!("{key}.a"), format!("{key}.é\"")] } else { vec![key] };
            paths.into_iter().map(move |path| (path, json!([number, "x"])))
        });
        (of(0).collect(), rename, set.collect())
    })
}

/// Members as clients write them, keys twice and escaped among them.
fn member() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        4 => prop::sample::select(KEYS.to_vec()).prop_map(|key| format!("\"{key}\"")),
        1 => prop::sample::select(vec!["\"us\\u0065r\"", "\"\\u006e\"", "\"messages\"", "\"\"", "\"\\ud83d\\ude00\""]).prop_map(str::to_owned),
    ];
    let value = prop::sample::select(vec![
        "1",
        "-1.50e3",
        "null",
        "\"}\\\"{,\"",
        "[ ]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{ \"b\" : [1,{}] , \"\\u0061\":2}",
        "[{\"a\":1}]",
        "\"🚂\"",
    ]);
    let space = || "[ \n]{0,2}";
    (space(), key, space(), space(), value, space())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"))
}

proptest! {
    #[test]
    fn the_result_is_the_value_that_the_rules_describe(
        mut members in prop::collection::vec(member(), 0..7),
        at in any::<prop::sample::Index>(),
        rules in rules(),
    ) {
        members.insert(at.index(members.len() + 1), " \"model\" : \"auto\"".to_owned());
        let body = Bytes::from(format!(" {{{}}}\n", members.join(",")));
        let span = model_field(&body).expect("the body names a model").span;
        let mut expected: Map<String, Value> = serde_json::from_slice(&body).expect("an object");
        expected["model"] = "m".into();

        let edited = BodyEdits::new(&rules.0, &rules.1, &rules.2).apply(&body, span, "m");

        let value: Value = serde_json::from_slice(&edited).map_err(|error| TestCaseError::fail(format!("{error} in {edited:?}")))?;
        prop_assert_eq!(value, reference(expected, &rules), "{:?} of {:?}", edited, body);
    }

    #[test]
    fn members_that_no_rule_is_about_keep_their_bytes(
        members in prop::collection::vec(member(), 0..7),
        rules in rules(),
    ) {
        let body = Bytes::from(format!("{{\"model\":\"auto\"{}}}", members.iter().map(|member| format!(",{member}")).collect::<String>()));
        let (dropped, renamed, set) = &rules;
        let is_touched = |name: &str| {
            dropped.iter().chain(renamed.keys()).any(|key| key == name) || set.keys().any(|path| path.split('.').next() == Some(name))
        };

        let edited = BodyEdits::new(dropped, renamed, set).apply(&body, 9..15, "m");

        let untouched = |body: &[u8]| -> Vec<String> {
            let members = scan::members(body, 0).filter(|member| member.name(body).is_none_or(|name| !is_touched(&name)));
            let spelled = members.map(|member| String::from_utf8_lossy(&body[member.key.start..member.value.end]).into_owned());
            spelled.filter(|text| !text.starts_with("\"model\"")).collect()
        };
        let (before, mut after) = (untouched(&body), untouched(&edited));
        // What was renamed is under a name that no rule is about.
        after.retain(|text| before.contains(text));
        prop_assert_eq!(after, before);
    }

    #[test]
    fn bytes_of_any_kind_are_edited_without_a_panic(body in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ na1\xff".to_vec()), 0..40)) {
        let edits = edits(&["a"], &[("n", "na")], json!({"1": 1, "11.a": 2}));

        drop(edits.apply(&body.into(), 0..0, "m"));
    }
}
