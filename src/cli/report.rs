//! A decision as a person reads it: the same object that `--json` prints, laid out.

mod asked;
mod flip;

use std::fmt::Write as _;

use serde_json::Value;

use super::table::{ColumnAlign, TextTable, shorten};

/// The greatest width of a line of features, in characters.
const WIDTH: usize = 110;

/// The longest part of a condition that a row shows, in characters.
const WHEN_CHARS: usize = 60;

/// Returns the decision `explanation` as lines of text.
pub(super) fn render(explanation: &Value) -> String {
    let mut text = String::new();
    head(&mut text, explanation);
    candidates(&mut text, explanation);
    stages(&mut text, &explanation["stages"]);
    rules(&mut text, &explanation["rules"]);
    asked::render(&mut text, explanation);
    pairs(&mut text, "features", &explanation["features"]);
    pairs(&mut text, "timings (us)", &explanation["timings_us"]);
    text
}

/// Writes the decision, and what the choice hangs on.
fn head(text: &mut String, explanation: &Value) {
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key:<10}{value}");
    };
    let by = ["rule", "strategy"].into_iter().find(|key| !explanation[*key].is_null());
    let by = by.map_or(String::new(), |by| format!(", by {by} {}", plain(&explanation[by])));
    line("model", plain(&explanation["model"]));
    line("policy", plain(&explanation["policy"]) + &by);
    line("reason", plain(&explanation["reason"]));
    if let Some(message) = explanation["denied"]["message"].as_str() {
        line("denied", format!("{}: {message}", plain(&explanation["denied"]["status"])));
    }
    if explanation["applied"] == false && explanation["provider"].is_null() {
        line("applied", "no, the policy only watches".to_owned());
    }
    for key in ["provider", "key", "client"].into_iter().filter(|key| !explanation[*key].is_null()) {
        line(key, plain(&explanation[key]));
    }
    match (explanation["label"].as_str(), explanation["score"].as_f64()) {
        (Some(label), Some(score)) => line("label", format!("{label} ({score:.4})")),
        (Some(label), None) => line("label", label.to_owned()),
        (None, Some(score)) => line("score", format!("{score:.4}")),
        (None, None) => {}
    }
    if let Some(said) = flip::in_words(&explanation["flip"]) {
        line("flip", said);
    }
    if let Some(cost) = explanation["cost_usd"].as_f64() {
        line("asking", dollars(cost));
    }
    if let Some(said) = pin(&explanation["pin"]) {
        line("pin", said);
    }
    for (key, value) in explanation["set"].as_object().into_iter().flatten() {
        line("set", format!("{key} = {value}"));
    }
    for change in explanation["parameters"].as_array().into_iter().flatten() {
        line("parameter", parameter(change));
    }
    let fallback: Vec<String> = explanation["fallback"].as_array().into_iter().flatten().map(plain).collect();
    if !fallback.is_empty() {
        line("fallback", fallback.join(", "));
    }
}

/// Says what becomes of a parameter, and why.
fn parameter(change: &Value) -> String {
    let to = match (change["action"].as_str(), &change["to"]) {
        (Some("dropped"), _) => "left out".to_owned(),
        (Some("renamed"), to) => format!("named {}", plain(to)),
        (Some("lowered"), to) => format!("lowered to {}", plain(to)),
        (_, to) => format!("= {}", plain(to)),
    };
    let why = match change["reason"].as_str() {
        Some("family") => format!("{}: {}", plain(&change["family"]), plain(&change["source"])),
        Some("effort") => "the catalog's effort".to_owned(),
        Some("limit") => "all that the model can give".to_owned(),
        _ => "refused before".to_owned(),
    };
    format!("{} {to} ({why})", plain(&change["parameter"]))
}

/// Says what the policy did with the model that the request was pinned to.
fn pin(pin: &Value) -> Option<String> {
    let outcome = pin["outcome"].as_str()?;
    let mut said = outcome.replace('_', " ");
    if let Some(model) = pin["model"].as_str() {
        let _ = write!(said, ": {model} for {} s", pin["age_seconds"]);
    }
    if let (Some(stay), Some(go)) = (pin["stay_usd"].as_f64(), pin["move_usd"].as_f64()) {
        let _ = write!(said, ", staying {}, moving {}", dollars(stay), dollars(go));
    }
    if pin["in_tool_loop"] == true {
        said.push_str(", in a tool loop");
    }
    Some(said)
}

fn candidates(text: &mut String, explanation: &Value) {
    let Some(candidates) = explanation["candidates"].as_array().filter(|all| !all.is_empty()) else { return };
    let mut table = TextTable::new(
        ["", "candidate", "fits", "cost", "$/M in", "$/M out", "expected"],
        [
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Left,
        ],
    );
    for candidate in candidates {
        let (price, expected) = (&candidate["price"], &candidate["expected"]);
        let mark = if candidate["model"] == explanation["model"] { "→" } else { "" };
        let fits = candidate["lacks"].as_str().map_or_else(|| "yes".to_owned(), |lacks| format!("no: {lacks}"));
        let cost = expected["cost_usd"].as_f64().map_or_else(|| "-".to_owned(), dollars);
        table.push([
            mark.to_owned(),
            plain(&candidate["model"]),
            fits,
            cost,
            plain(&price["input"]),
            plain(&price["output"]),
            outlook(expected),
        ]);
    }
    let _ = write!(text, "\n{}", table.render());
    translations(text, candidates);
    let lengths = candidates.iter().filter_map(|candidate| candidate["expected"]["output_tokens"].as_u64());
    if let Some((least, most)) = lengths.clone().min().zip(lengths.max()) {
        let length = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let prompt = plain(&explanation["features"]["tokens"]);
        let _ = writeln!(text, "  costs are for {prompt} tokens of prompt and {length} of answer");
    }
}

/// Says which candidates get the request in another API than the client's, and what is lost on the way.
fn translations(text: &mut String, candidates: &[Value]) {
    for candidate in candidates.iter().filter(|candidate| candidate["translation"].is_object()) {
        let translation = &candidate["translation"];
        let (model, from) = (plain(&candidate["model"]), plain(&translation["from"]));
        let to = translation["to"].as_str().unwrap_or("none");
        let losses = translation["problem"].as_str().or_else(|| translation["summary"].as_str()).unwrap_or_default();
        let losses = if losses.is_empty() { "nothing is lost" } else { losses };
        let _ = writeln!(text, "  {model} gets it translated {from}->{to}: {losses}");
    }
}

/// Says what is expected of a model besides its cost.
fn outlook(expected: &Value) -> String {
    let success = expected["success"].as_f64().map(|success| {
        let what = expected["success_is"].as_str().unwrap_or_default();
        format!("{success:.4} {}", what.split(" (head ").next().unwrap_or_default())
    });
    let utility = expected["utility"].as_f64().map(|utility| format!("utility {utility:.4}"));
    let wait = expected["first_byte_seconds"].as_f64().map(|wait| format!("begins in {:.0} ms", wait * 1e3));
    [success, utility, wait].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn stages(text: &mut String, stages: &Value) {
    let Some(stages) = stages.as_array().filter(|stages| !stages.is_empty()) else { return };
    let mut table = TextTable::new(
        ["stage", "model", "reason", "label", "score", "cost", "flip"],
        [
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Left,
        ],
    );
    for stage in stages {
        let score = stage["score"].as_f64().map_or_else(|| "-".to_owned(), |score| format!("{score:.4}"));
        let cost = stage["cost_usd"].as_f64().map_or_else(|| "-".to_owned(), dollars);
        let flip = flip::in_words(&stage["flip"]).unwrap_or_default();
        let cell = |key: &str| plain(&stage[key]);
        table.push([cell("strategy"), cell("model"), cell("reason"), cell("label"), score, cost, flip]);
    }
    let _ = write!(text, "\n{}", table.render());
}

fn rules(text: &mut String, rules: &Value) {
    let Some(rules) = rules.as_array().filter(|rules| !rules.is_empty()) else { return };
    let mut table = TextTable::new(["rule", "value", "when", "does", "outcome"], {
        [ColumnAlign::Right, ColumnAlign::Left, ColumnAlign::Left, ColumnAlign::Left, ColumnAlign::Left]
    });
    for rule in rules {
        let error = rule["error"].as_str().map_or(String::new(), |error| format!(": {error}"));
        let outcome = plain(&rule["outcome"]).replace('_', " ") + &error;
        let when = shorten(&plain(&rule["when"]), WHEN_CHARS);
        table.push([plain(&rule["index"]), plain(&rule["value"]), when, does(rule), outcome]);
    }
    let _ = write!(text, "\n{}", table.render());
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

/// Writes an object's entries that say something, as many on a line as fit.
fn pairs(text: &mut String, title: &str, object: &Value) {
    let entries = object.as_object().into_iter().flatten();
    let said = entries.filter(|(_, value)| !matches!(plain(value).as_str(), "" | "0" | "0.0" | "false" | "-"));
    let mut said = said.map(|(key, value)| format!("{key}={}", plain(value))).peekable();
    if said.peek().is_some() {
        let _ = writeln!(text, "\n{title}");
        wrap(text, "  ", said);
    }
}

/// Writes `parts` behind `title`, as many on a line as fit; nothing without any.
fn wrap(text: &mut String, title: &str, parts: impl Iterator<Item = String>) {
    let indent = title.chars().count();
    let mut width = 0;
    for part in parts {
        let own = part.chars().count() + 2;
        if width == 0 {
            text.push_str(title);
        } else if width + own > WIDTH {
            let _ = write!(text, "\n{:indent$}", "");
        } else {
            text.push_str("  ");
            width += own;
            text.push_str(&part);
            continue;
        }
        text.push_str(&part);
        width = indent + own;
    }
    if width > 0 {
        text.push('\n');
    }
}

/// Returns an amount of US dollars with as many digits as say something.
fn dollars(amount: f64) -> String {
    if amount == 0.0 || amount >= 1e-6 { format!("${amount:.6}") } else { format!("${amount:.1e}") }
}

/// Returns a value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(number) if number.fract() != 0.0 => {
                let digits = format!("{number:.4}");
                digits.trim_end_matches('0').to_owned()
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
