//! The JSON that an answer holds, and whether a schema takes it.

use jsonschema::Validator;
use pointsman_core::judgement::{objects, spoken};
use serde_json::Value;

use super::choice::Unclear;
use super::code::fenced;

/// Characters of a reason that are kept: a schema's error quotes the value.
const MOST_REASON: usize = 300;

/// Returns the validator of a schema. References to other documents are not followed: nothing is fetched.
pub(super) fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::validator_for(schema).map_err(|error| shortened(&error.to_string()))
}

/// Returns the JSON of an answer: the whole text, else what its only fence holds, else its only object.
pub(super) fn json_of(answer: &str) -> Result<Value, Unclear> {
    let text = spoken(answer);
    if let Ok(value) = serde_json::from_str(text.trim()) {
        return Ok(value);
    }
    let blocks = fenced(&text);
    let mut values = blocks.iter().filter_map(|block| serde_json::from_str(block.text.trim()).ok());
    if let Some(value) = values.next() {
        return if values.next().is_none() { Ok(value) } else { Err("the answer holds several fences of JSON") };
    }
    let mut found = objects(&text).into_iter();
    match (found.next(), found.next()) {
        (Some(object), None) => Ok(Value::Object(object)),
        (Some(_), Some(_)) => Err("the answer holds several JSON objects"),
        (None, _) => Err("the answer holds no JSON"),
    }
}

/// Returns why a schema does not take a value; `None` where it does.
pub(super) fn violation(validator: &Validator, value: &Value) -> Option<String> {
    let error = validator.validate(value).err()?;
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "the value".to_owned() } else { place };
    Some(shortened(&format!("{place}: {error}")))
}

fn shortened(text: &str) -> String {
    text.chars().take(MOST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_found_alone_in_a_fence_and_in_prose() {
        let person = json!({"name": "Ada"});
        for answer in [
            "{\"name\": \"Ada\"}",
            "\n  {\"name\":\"Ada\"}\n",
            "```json\n{\"name\": \"Ada\"}\n```",
            "```\n{\"name\": \"Ada\"}\n```",
            "Sure, here it is:\n\n```json\n{\"name\": \"Ada\"}\n```\n\nAnything else?",
            "Here: {\"name\": \"Ada\"}. Bye.",
            "<think>{\"name\": \"Bob\"}</think>{\"name\": \"Ada\"}",
        ] {
            assert_eq!(json_of(answer), Ok(person.clone()), "{answer}");
        }
        assert_eq!(json_of("[1, 2]"), Ok(json!([1, 2])));
        assert_eq!(json_of("```json\n[1, 2]\n```"), Ok(json!([1, 2])));
    }

    #[test]
    fn no_json_and_several_objects_are_unclear() {
        for answer in
            ["", "Ada", "{\"name\": \"Ada\"", "{\"a\":1} or {\"a\":2}", "```\n{\"a\":1}\n```\n```\n{\"a\":2}\n```"]
        {
            assert!(json_of(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn a_violation_says_where_and_why() {
        let schema = json!({"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}});
        let validator = validator(&schema).expect("a schema");

        assert_eq!(violation(&validator, &json!({"age": 3})), None);
        let wrong = violation(&validator, &json!({"age": "x"})).expect("a violation");
        assert!(wrong.starts_with("/age: ") && wrong.contains("integer"), "{wrong}");
        assert!(violation(&validator, &json!({})).is_some_and(|missing| missing.contains("age")));
    }

    #[test]
    fn what_is_no_schema_is_refused_and_nothing_is_fetched() {
        assert!(validator(&json!({"type": 3})).is_err());
        assert!(validator(&json!({"$ref": "https://schemas.example/person.json"})).is_err());
    }
}
