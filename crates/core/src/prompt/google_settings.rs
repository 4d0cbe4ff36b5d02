//! The parameters that rules set, where Google's requests have them: in `generationConfig`, under names of their own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::scan;

/// The object that holds the parameters, in both spellings of the API.
const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];

/// The names of parameters in other APIs, and those of the members, in both spellings.
const MEMBERS: [(&str, [&str; 2]); 10] = [
    ("temperature", ["temperature", "temperature"]),
    ("top_p", ["topP", "top_p"]),
    ("top_k", ["topK", "top_k"]),
    ("max_tokens", ["maxOutputTokens", "max_output_tokens"]),
    ("max_completion_tokens", ["maxOutputTokens", "max_output_tokens"]),
    ("max_output_tokens", ["maxOutputTokens", "max_output_tokens"]),
    ("stop", ["stopSequences", "stop_sequences"]),
    ("seed", ["seed", "seed"]),
    ("presence_penalty", ["presencePenalty", "presence_penalty"]),
    ("frequency_penalty", ["frequencyPenalty", "frequency_penalty"]),
];

/// Returns parameters that a rule sets at the top level of a body, at their places in one of Google's: each member in the
/// spelling that `body` has for it, else in the API's first. What has no other place there stays.
#[must_use]
pub fn google_settings(body: &[u8], parameters: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let open = scan::object_at(body, 0);
    let is_config = |name: &str| CONFIG.contains(&name);
    let mut members = open.into_iter().flat_map(|open| scan::members(body, open));
    let config = members.find(|member| member.name(body).is_some_and(|name| is_config(&name)));
    let within = config.as_ref().and_then(|config| scan::object_at(body, config.value.start));
    let has = |name: &str| {
        let mut members = within.into_iter().flat_map(|open| scan::members(body, open));
        members.any(|member| member.name(body).as_deref() == Some(name))
    };
    let key = config.as_ref().and_then(|config| config.name(body)).unwrap_or(CONFIG[0].into());
    let place = |name: &String| {
        let known = MEMBERS.iter().find(|(known, _)| known == name);
        known.map_or_else(
            || name.clone(),
            |(_, [camel, snake])| format!("{key}.{}", if has(snake) { snake } else { camel }),
        )
    };
    let list = |name: &str, value: &Value| match value {
        Value::String(_) if name == "stop" => Value::Array(vec![value.clone()]),
        value => value.clone(),
    };
    parameters.iter().map(|(name, value)| (place(name), list(name, value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn placed(body: &str, set: &Value) -> Value {
        let set = set.as_object().expect("an object").clone().into_iter().collect();
        json!(google_settings(body.as_bytes(), &set))
    }

    #[test]
    fn parameters_of_other_apis_go_where_google_s_has_them_in_the_body_s_own_spelling() {
        let set = json!({"temperature": 1, "max_tokens": 5, "stop": "x", "labels.team": "a"});

        assert_eq!(
            placed(r#"{"contents":[]}"#, &set),
            json!({"generationConfig.temperature": 1, "generationConfig.maxOutputTokens": 5,
                   "generationConfig.stopSequences": ["x"], "labels.team": "a"})
        );
        assert_eq!(
            placed(r#"{"generation_config":{"max_output_tokens":9}}"#, &set),
            json!({"generation_config.temperature": 1, "generation_config.max_output_tokens": 5,
                   "generation_config.stopSequences": ["x"], "labels.team": "a"})
        );
    }
}
