//! Who was asked on the way to a decision: classifiers with their heads, texts to compare with, judges.

use std::fmt::Write as _;

use serde_json::Value;

use super::{dollars, plain, wrap};
use crate::cli::table::{ColumnAlign, TextTable};

/// Characters of a bar that shows a probability of one.
const BAR: usize = 24;

/// Labels of a head that are shown; of one that has more, the most probable.
const MOST_LABELS: usize = 5;

/// Writes every classifier and judge that was asked.
pub(super) fn render(text: &mut String, explanation: &Value) {
    for classifier in list(&explanation["classifiers"]) {
        let _ = writeln!(text, "\nclassifier {}: {}", plain(&classifier["classifier"]), source(classifier));
        let (read, others): (Vec<_>, Vec<_>) = list(&classifier["heads"]).partition(|head| head["read"] == true);
        read.into_iter().for_each(|shown| head(text, shown));
        rest(text, &others);
    }
    for compared in list(&explanation["similarities"]) {
        similarities(text, compared);
    }
    for judge in list(&explanation["judges"]) {
        let name = judge["judge"].as_str().unwrap_or("the judge");
        let said = match (judge["label"].as_str(), judge["failure"].as_str()) {
            (Some(label), _) => format!("`{label}`"),
            (None, failure) => format!("nothing ({})", failure.unwrap_or("unknown")),
        };
        let cost = judge["cost_usd"].as_f64().map_or(String::new(), |cost| format!(", {}", dollars(cost)));
        let sure = judge["confidence"].as_f64().map_or(String::new(), |sure| format!(", sure by {sure:.2}"));
        let cached = if judge["cached"] == true { ", remembered" } else { "" };
        let _ = writeln!(text, "\njudge {name} said {said}{sure}{cost}{cached}");
        if let Some(rationale) = judge["rationale"].as_str() {
            let _ = writeln!(text, "  because: {rationale}");
        }
    }
}

/// Says who answered for a classifier, or why nobody did.
fn source(classifier: &Value) -> String {
    let degraded = classifier["degraded"].as_str();
    let Some(source) = classifier["source"].as_str() else {
        return format!("no scores ({})", degraded.unwrap_or("unknown"));
    };
    let parts = [
        Some(source.replace('_', " ")),
        degraded.map(|reason| format!("because of {reason}")),
        (classifier["cached"] == true).then(|| "remembered".to_owned()),
        classifier["tokens"].as_u64().filter(|tokens| *tokens > 0).map(|tokens| format!("{tokens} tokens read")),
        classifier["known_ngrams"].as_f64().map(|share| format!("{:.0} % of n-grams known", 100.0 * share)),
        classifier["unfamiliar"].as_str().map(|what| format!("unfamiliar: {what}")),
        classifier["truncated_tokens"].as_u64().map(|cut| format!("{cut} cut of the newest turn")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn head(text: &mut String, head: &Value) {
    let calibration = &head["calibration"];
    let form = calibration["head"].as_str().filter(|form| Some(*form) != head["head"].as_str());
    let parts = [
        form.map(|form| format!("by {form}")),
        calibration["temperature"].as_f64().map(|value| format!("temperature {value:.2}")),
        (calibration["isotonic"] == true).then(|| "isotonic".to_owned()),
        head["known"].as_f64().map(|known| format!("knows such prompts {known:.2}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let note = if parts.is_empty() { String::new() } else { format!("  ({})", parts.join(", ")) };
    let _ = writeln!(text, "  {}{note}", plain(&head["head"]));
    let read = |shown: &Value| (plain(&shown["label"]), shown["probability"].as_f64().unwrap_or_default());
    let mut labels: Vec<(String, f64)> = list(&head["labels"]).map(read).collect();
    let others = labels.len().saturating_sub(MOST_LABELS);
    if others > 0 {
        labels.sort_by(|a, b| b.1.total_cmp(&a.1));
        labels.truncate(MOST_LABELS);
    }
    let widest = labels.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    for (label, probability) in labels {
        let filled = (0..BAR).filter(|step| (*step as f64 + 0.5) / BAR as f64 <= probability).count();
        let bar = format!("{}{}", "█".repeat(filled), "·".repeat(BAR - filled));
        let _ = writeln!(text, "    {label:widest$}  {bar}  {probability:.4}");
    }
    if others > 0 {
        let _ = writeln!(text, "    and {others} more");
    }
}

/// Writes of the heads that the policy does not read the best label, as many on a line as fit.
fn rest(text: &mut String, heads: &[&Value]) {
    let best = |head: &&Value| {
        let label = head["label"].as_str()?;
        let probability = list(&head["labels"]).find(|shown| shown["label"] == label)?["probability"].as_f64()?;
        Some(format!("{} {label} {probability:.2}", plain(&head["head"])))
    };
    wrap(text, "  others: ", heads.iter().filter_map(best));
}

fn similarities(text: &mut String, compared: &Value) {
    let degraded = compared["degraded"].as_str().map_or(String::new(), |reason| format!(": nothing ({reason})"));
    let _ = writeln!(text, "\ncompared by {}{degraded}", plain(&compared["classifier"]));
    if !degraded.is_empty() {
        return;
    }
    let mut table = TextTable::new(
        ["route", "model", "similarity", "threshold"],
        [ColumnAlign::Left, ColumnAlign::Left, ColumnAlign::Right, ColumnAlign::Right],
    );
    for route in list(&compared["routes"]) {
        let cell = |key: &str| plain(&route[key]);
        table.push([cell("route"), cell("model"), cell("similarity"), cell("threshold")]);
    }
    text.push_str(&table.render());
    if let Some(background) = compared["background"].as_f64() {
        let _ = writeln!(text, "  {background:.4} to what is about no route");
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
