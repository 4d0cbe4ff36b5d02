//! A decision as a person reads it: the same object that `--json` prints, laid out.

use std::fmt::Write as _;

use serde_json::Value;

use super::table::{Align, Table};

/// Characters of a bar that shows a probability of one.
const BAR: usize = 24;

/// Returns the decision `explanation` as lines of text.
pub(super) fn render(explanation: &Value) -> String {
    let mut text = String::new();
    let by = ["rule", "strategy"].into_iter().find(|key| !explanation[*key].is_null()).unwrap_or("strategy");
    let _ = writeln!(text, "model     {}", plain(&explanation["model"]));
    let _ = writeln!(text, "policy    {}, by {by} {}", plain(&explanation["policy"]), plain(&explanation[by]));
    let _ = writeln!(text, "reason    {}", plain(&explanation["reason"]));
    if let Some(message) = explanation["denied"]["message"].as_str() {
        let _ = writeln!(text, "denied    {}: {message}", plain(&explanation["denied"]["status"]));
    }
    if !explanation["label"].is_null() {
        let score = explanation["score"].as_f64().unwrap_or_default();
        let _ = writeln!(text, "label     {} ({score:.4})", plain(&explanation["label"]));
    }
    let _ = writeln!(text, "tokens    {} cut of the newest turn", plain(&explanation["truncated_tokens"]));
    rules(&mut text, &explanation["rules"]);
    scores(&mut text, &explanation["scores"]);
    candidates(&mut text, &explanation["candidates"]);
    pairs(&mut text, "features", &explanation["features"]);
    pairs(&mut text, "timings (us)", &explanation["timings_us"]);
    text
}

fn rules(text: &mut String, rules: &Value) {
    let Some(rules) = rules.as_array().filter(|rules| !rules.is_empty()) else { return };
    let mut table =
        Table::new(["rule", "when", "does", "outcome"], [Align::Right, Align::Left, Align::Left, Align::Left]);
    for rule in rules {
        let error = rule["error"].as_str().map_or(String::new(), |error| format!(": {error}"));
        table.push([plain(&rule["index"]), plain(&rule["when"]), does(rule), plain(&rule["outcome"]) + &error]);
    }
    let _ = write!(text, "\nrules\n{}", table.render());
}

/// Says what a rule does when it is true.
fn does(rule: &Value) -> String {
    let set = rule["set"].as_object().map(|set| set.keys().cloned().collect::<Vec<_>>().join(", "));
    let parts = [
        rule["use"].as_str().map(|model| format!("use {model}")),
        rule["deny"]["status"].as_u64().map(|status| format!("deny {status}")),
        set.filter(|keys| !keys.is_empty()).map(|keys| format!("set {keys}")),
        rule["continue"].as_bool().filter(|goes_on| *goes_on).map(|_| "continue".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "end".to_owned() } else { parts.join("; ") }
}

fn scores(text: &mut String, scores: &Value) {
    for (head, labels) in scores.as_object().into_iter().flatten() {
        let _ = writeln!(text, "\nhead {head}");
        let labels = labels.as_object();
        let widest = labels.into_iter().flatten().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        for (label, probability) in labels.into_iter().flatten() {
            let probability = probability.as_f64().unwrap_or_default();
            let filled = (0..BAR).filter(|step| (*step as f64 + 0.5) / BAR as f64 <= probability).count();
            let bar = format!("{}{}", "█".repeat(filled), "·".repeat(BAR - filled));
            let _ = writeln!(text, "  {label:widest$}  {bar}  {probability:.4}");
        }
    }
}

fn candidates(text: &mut String, candidates: &Value) {
    let Some(candidates) = candidates.as_array().filter(|candidates| !candidates.is_empty()) else { return };
    let mut table =
        Table::new(["model", "fits", "$/M in", "$/M out"], [Align::Left, Align::Left, Align::Right, Align::Right]);
    for candidate in candidates {
        let price = &candidate["price"];
        let fits = candidate["lacks"].as_str().map_or_else(|| "yes".to_owned(), |lacks| format!("no: {lacks}"));
        table.push([plain(&candidate["model"]), fits, plain(&price["input"]), plain(&price["output"])]);
    }
    let _ = write!(text, "\ncandidates\n{}", table.render());
}

/// Writes an object's entries that say something, several on a line.
fn pairs(text: &mut String, title: &str, object: &Value) {
    let entries = object.as_object().into_iter().flatten();
    let said = entries.filter(|(_, value)| !matches!(plain(value).as_str(), "" | "0" | "0.0" | "false" | "-"));
    let said: Vec<String> = said.map(|(key, value)| format!("{key}={}", plain(value))).collect();
    let _ = writeln!(text, "\n{title}");
    for line in said.chunks(5) {
        let _ = writeln!(text, "  {}", line.join("  "));
    }
}

/// Returns a value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(number) if number.fract() != 0.0 => format!("{number:.4}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
