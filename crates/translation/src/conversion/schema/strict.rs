//! The form of JSON schema that OpenAI follows to the letter.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::{DEEPEST, SubschemaForm, below};
use crate::json::{self, Fields};

/// The reason why OpenAI's APIs do not take a schema for an answer.
pub const NO_OBJECT: &str = "a schema whose root is no object's";

/// The keywords that strict mode refuses.
const REFUSED: [&str; 21] = [
    "allOf",
    "contains",
    "default",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "not",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// The keywords of which each schema has one.
const SAYING_WHAT: [&str; 5] = ["type", "anyOf", "$ref", "enum", "const"];

/// Tells whether a schema keeps the rules of OpenAI's strict mode: its root is an object's, every object is closed, all of
/// its properties are required, and no keyword is one that the mode does not know. A request that is strict without that
/// is refused there.
#[must_use]
pub fn is_strict(schema: &RawValue) -> bool {
    let is_union = Fields::of(schema).is_some_and(|fields| fields.get("anyOf").is_some());
    is_of_object(schema) && !is_union && keeps_rules(schema, DEEPEST)
}

/// Tells whether the root of a schema is an object's and nothing else's: OpenAI refuses every other one, strict or not.
#[must_use]
pub fn is_of_object(schema: &RawValue) -> bool {
    Fields::of(schema).is_some_and(|fields| fields.text("type").as_deref() == Some("object"))
}

fn keeps_rules(schema: &RawValue, depth: usize) -> bool {
    let Some(fields) = Fields::of(schema).filter(|_| depth > 0) else { return false };
    // A reference stands alone; the definitions beside it are the root's.
    let is_alone = fields.get("$ref").is_none() || fields.iter().all(|(keyword, _)| keyword.starts_with('$'));
    let says_what = SAYING_WHAT.iter().any(|keyword| fields.get(keyword).is_some());
    let is_known = !fields.iter().any(|(keyword, _)| REFUSED.contains(&keyword));
    if !is_alone || !says_what || !is_known || !is_closed(&fields) {
        return false;
    }
    // Whatever else an object may hold, `is_closed` has seen.
    let mut subschemas = fields.iter().filter(|(keyword, _)| *keyword != "additionalProperties");
    subschemas.all(|(keyword, raw)| match below(keyword) {
        SubschemaForm::None => true,
        SubschemaForm::One => keeps_rules(raw, depth - 1),
        SubschemaForm::List => json::list(raw).unwrap_or_default().iter().all(|raw| keeps_rules(raw, depth - 1)),
        SubschemaForm::Named => {
            Fields::of(raw).unwrap_or_default().iter().all(|(_, schema)| keeps_rules(schema, depth - 1))
        }
    })
}

fn is_closed(fields: &Fields<'_>) -> bool {
    let kinds = fields.list("type");
    let mut kinds = kinds.iter().filter_map(|kind| json::text(kind)).chain(fields.text("type"));
    if !kinds.any(|kind| kind == "object") && fields.get("properties").is_none() {
        return true;
    }
    let required = fields.list("required");
    let required: HashSet<_> = required.iter().filter_map(|name| json::text(name)).collect();
    fields.value::<bool>("additionalProperties") == Some(false)
        && fields.object("properties").unwrap_or_default().iter().all(|(name, _)| required.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("JSON")
    }

    /// An object of one property that holds `schema`, of the strict form but for it.
    fn object_of(schema: &str) -> String {
        format!(
            r#"{{"type":"object","properties":{{"a":{schema}}},"required":["a"],"additionalProperties":false,"$defs":{{"t":{{"type":"string"}}}}}}"#
        )
    }

    #[test]
    fn a_schema_is_strict_where_every_object_is_closed_and_whole() {
        let closed =
            object_of(r#"{"type":"array","items":{"type":"object","properties":{},"additionalProperties":false}}"#);

        assert!(is_strict(raw(&closed)));
        assert!(!is_strict(raw(&closed.replace(r#""required":["a"],"#, ""))));
        assert!(!is_strict(raw(&closed.replace(r#"{},"additionalProperties":false"#, "{}"))));
        let nullable = object_of(r#"{"type":["object","null"]}"#);
        assert!(!is_strict(raw(&nullable)));
    }

    #[test]
    fn a_root_that_is_no_object_is_not_strict() {
        let roots = [
            r#"{"type":"array","items":{"type":"string"}}"#.to_owned(),
            r#"{"type":["object","null"],"properties":{},"additionalProperties":false}"#.to_owned(),
            r#"{"anyOf":[{"type":"string"}]}"#.to_owned(),
            r##"{"$ref":"#/$defs/t","$defs":{"t":{"type":"string"}}}"##.to_owned(),
            "true".to_owned(),
        ];
        for root in roots {
            assert!(!is_strict(raw(&root)) && !is_of_object(raw(&root)), "{root}");
        }
        let union = object_of(r#"{"type":"string"}"#).replacen('{', r#"{"anyOf":[{"type":"object"}],"#, 1);
        assert!(!is_strict(raw(&union)));
    }

    #[test]
    fn keywords_that_the_mode_refuses_are_not_strict_wherever_they_stand() {
        let strict = [
            r#"{"anyOf":[{"type":"string","pattern":"^a"},{"type":"null"}]}"#,
            r##"{"$ref":"#/$defs/t"}"##,
            r#"{"type":"integer","minimum":1,"description":"n"}"#,
            r#"{"enum":["x","y"]}"#,
        ];
        for schema in strict {
            assert!(is_strict(raw(&object_of(schema))), "{schema}");
        }
        let open = [
            r#"{"oneOf":[{"type":"string"}]}"#,
            r#"{"allOf":[{"type":"string"}]}"#,
            r#"{"type":"string","not":{"const":"x"}}"#,
            r#"{"type":"string","default":"x"}"#,
            r##"{"$ref":"#/$defs/t","description":"d"}"##,
            r#"{"type":"array","items":{"description":"anything"}}"#,
            r#"{"type":"array","items":true}"#,
            "{}",
        ];
        for schema in open {
            assert!(!is_strict(raw(&object_of(schema))), "{schema}");
        }
    }
}
