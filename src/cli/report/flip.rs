//! What would have changed a choice, in words.

use serde_json::Value;

use super::plain;

/// Says which number, at which value, leads to which model; `None` without a flip.
pub(super) fn in_words(flip: &Value) -> Option<String> {
    let (value, threshold) = (plain(&flip["value"]), plain(&flip["threshold"]));
    let of = |whose: &str| flip["label"].as_str().map_or(String::new(), |label| format!(" {whose} `{label}`"));
    let model = flip["model"].as_str().unwrap_or("a later stage's choice");
    if flip["of"] == "rule" {
        return Some(format!("{model}, were rule {} not true", plain(&flip["label"])));
    }
    let at = match flip["of"].as_str()? {
        "threshold" => format!("a score of {threshold}"),
        "min_confidence" => format!("a confidence of {threshold}{}", of("in")),
        "probability" => format!("a probability of {threshold}{}", of("of")),
        "level" => format!("a level of {threshold}{}", of("for")),
        "similarity" => format!("a similarity of {threshold}{}", of("to")),
        "success" => format!("a success of {threshold}{}", of("of")),
        "max_truncated_tokens" => format!("{threshold} tokens that are cut"),
        other => format!("a {other} of {threshold}{}", of("of")),
    };
    Some(format!("{model} at {at}, now {value}"))
}
