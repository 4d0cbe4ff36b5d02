//! Semantic Router's signals, as far as rules can say them.

use std::collections::BTreeMap;

use crate::expression::text_literal;
use crate::reader::SourceValue;

/// The labels of the head `domain`, which are the subjects of MMLU-Pro.
const DOMAINS: [&str; 14] = [
    "biology",
    "business",
    "chemistry",
    "computer-science",
    "economics",
    "engineering",
    "health",
    "history",
    "law",
    "math",
    "other",
    "philosophy",
    "physics",
    "psychology",
];
/// The probability from which on a prompt counts as one of a domain, where the file does not say.
const DOMAIN_THRESHOLD: f64 = 0.6;

/// The expressions of rules by the kind and name of the signal.
#[derive(Debug, Default)]
pub(super) struct Signals {
    expressions: BTreeMap<(String, String), String>,
    /// The labels of the head `domain` by the name of the signal.
    domains: BTreeMap<String, Vec<String>>,
    pub(super) threshold: f64,
}

impl Signals {
    pub(super) fn read(root: &SourceValue<'_>) -> Self {
        let threshold =
            root.get("classifier").and_then(|classifier| classifier.get("category_model")?.number_at("threshold"));
        let threshold = threshold.filter(|threshold| (0.0..=1.0).contains(threshold)).unwrap_or(DOMAIN_THRESHOLD);
        let mut own = Self { threshold, ..Self::default() };
        let signals = root.get("routing").and_then(|routing| routing.get("signals"));
        let list = |key: &str, older: &str| {
            let place = signals.as_ref().and_then(|signals| signals.get(key)).or_else(|| root.get(older));
            place.map_or_else(Vec::new, |list| list.items())
        };
        for value in list("keywords", "keyword_rules") {
            own.note("keyword", &value, keywords(&value));
        }
        for value in list("domains", "categories") {
            own.add_domain(&value);
        }
        for value in list("language", "language_rules") {
            own.note("language", &value, language(&value));
        }
        for value in list("context", "context_rules") {
            own.note("context", &value, context(&value));
        }
        for value in list("conversation", "conversation_rules") {
            own.note("conversation", &value, conversation(&value));
        }
        for value in list("input_modality", "input_modality_rules") {
            own.note("input_modality", &value, modality(&value));
        }
        own
    }

    /// Returns the expression of a signal that is no domain.
    pub(super) fn expression(&self, kind: &str, name: &str) -> Option<&str> {
        self.expressions.get(&(kind.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Returns the labels of a domain; one that the file does not describe is one by its name.
    pub(super) fn domain(&self, name: &str) -> Option<Vec<String>> {
        self.domains.get(name).cloned().or_else(|| Some(vec![domain_label(name)?])).filter(|labels| !labels.is_empty())
    }

    fn note(&mut self, kind: &str, value: &SourceValue<'_>, expression: Option<String>) {
        let Some(name) = value.text_at("name") else { return };
        value.take_all(&["description"]);
        match expression {
            Some(expression) => {
                self.expressions.insert((kind.to_owned(), name.to_owned()), expression);
            }
            None => value.leave_out("no rule can read this signal (docs/policies.md)"),
        }
    }

    fn add_domain(&mut self, value: &SourceValue<'_>) {
        let Some(name) = value.text_at("name") else { return };
        value.take_all(&["description"]);
        let said = value.get("mmlu_categories").map_or_else(|| vec![name], |list| list.texts());
        let labels: Vec<String> = said.iter().filter_map(|category| domain_label(category)).collect();
        if labels.is_empty() {
            value.leave_out(format!("the head `domain` has no such subject (allowed: {})", DOMAINS.join(", ")));
        }
        self.domains.insert(name.to_owned(), labels);
        value.leave_out_all(&[("system_prompt", "no prompt is added to a conversation: it stays the client's")]);
    }
}

fn domain_label(name: &str) -> Option<String> {
    let label = name.trim().to_ascii_lowercase().replace([' ', '_'], "-");
    DOMAINS.contains(&label.as_str()).then_some(label)
}

/// Words of which one, all or none must be in the ask.
fn keywords(value: &SourceValue<'_>) -> Option<String> {
    let words = value.get("keywords")?.texts();
    if words.is_empty() {
        return None;
    }
    let counts_case = value.flag_at("case_sensitive") == Some(true);
    for key in ["method", "fuzzy_match"] {
        let Some(method) = value.get(key) else { continue };
        if !matches!(method.text(), Some("regex" | "exact" | "false")) {
            method.change("whole words are looked for, as they are written");
        }
    }
    value.take_all(&["bm25_threshold", "ngram_threshold", "ngram_arity", "fuzzy_threshold"]);
    let list = |words: &[&str]| {
        let quoted: Vec<String> = words
            .iter()
            .map(|word| text_literal(&if counts_case { word_pattern(word) } else { (*word).to_owned() }))
            .collect();
        let name = if counts_case { "matches_any" } else { "contains_any" };
        format!("prompt.{name}([{}], 'ask')", quoted.join(", "))
    };
    match value.text_at("operator").unwrap_or("OR").to_ascii_uppercase().as_str() {
        "OR" => Some(list(&words)),
        "NOR" | "NOT" => Some(format!("!{}", list(&words))),
        "AND" => Some(words.iter().map(|word| list(&[word])).collect::<Vec<_>>().join(" && ")),
        _ => None,
    }
}

/// A regular expression that finds `word` alone, in its own case.
fn word_pattern(word: &str) -> String {
    let escaped: String = word
        .chars()
        .flat_map(|c| {
            let is_plain = c.is_alphanumeric() || c.is_whitespace() || c == '_' || !c.is_ascii();
            (!is_plain).then_some('\\').into_iter().chain([c])
        })
        .collect();
    format!("\\b{escaped}\\b")
}

fn language(value: &SourceValue<'_>) -> Option<String> {
    let name = value.text_at("name")?;
    value.take_all(&["threshold"]);
    let is_code = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_lowercase());
    is_code.then(|| format!("prompt.language == '{name}'"))
}

/// Bounds of a prompt's length, `32K` and the like.
fn context(value: &SourceValue<'_>) -> Option<String> {
    let bound = |key: &str| value.text_at(key).map(tokens);
    let (least, most) = (bound("min_tokens"), bound("max_tokens"));
    let least = match least {
        Some(None) => return None,
        Some(Some(0)) | None => None,
        Some(Some(tokens)) => Some(format!("prompt.tokens >= {tokens}")),
    };
    let most = match most {
        Some(None) => return None,
        None => None,
        Some(Some(tokens)) => Some(format!("prompt.tokens <= {tokens}")),
    };
    let parts: Vec<String> = least.into_iter().chain(most).collect();
    Some(if parts.is_empty() { "true".to_owned() } else { parts.join(" && ") })
}

fn tokens(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, factor) = match (lower.strip_suffix('k'), lower.strip_suffix('m')) {
        (Some(number), _) => (number, 1000.0),
        (_, Some(number)) => (number, 1_000_000.0),
        _ => (lower.as_str(), 1.0),
    };
    let number: f64 = number.trim().parse().ok()?;
    let tokens = number * factor;
    (0.0..1e12).contains(&tokens).then_some(tokens.round() as u64)
}

/// Counts over a conversation.
fn conversation(value: &SourceValue<'_>) -> Option<String> {
    let feature = value.get("feature")?;
    let source = feature.get("source")?;
    let _ = feature.text_at("type");
    let counted = match (source.text_at("type")?, source.text_at("role")) {
        ("tool_definition", _) => "prompt.tools",
        ("image_content", _) => "prompt.images",
        ("active_tool_loop", _) => "prompt.tool_calls",
        ("message", Some("user")) => "prompt.user_turns",
        ("message", None) => "prompt.turns",
        _ => return None,
    };
    compared(counted, value.get("predicate").as_ref())
}

/// Compares a number by a predicate; without one it is above zero.
fn compared(number: &str, predicate: Option<&SourceValue<'_>>) -> Option<String> {
    let Some(predicate) = predicate else { return Some(format!("{number} > 0")) };
    let sign = |key: &str| match key {
        "gte" => Some(">="),
        "gt" => Some(">"),
        "lte" => Some("<="),
        "lt" => Some("<"),
        "equals" | "eq" => Some("=="),
        _ => None,
    };
    let part = |(key, value): (&str, SourceValue<'_>)| Some(format!("{number} {} {}", sign(key)?, value.count()?));
    let parts: Option<Vec<String>> = predicate.entries().into_iter().map(part).collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join(" && "))
}

fn modality(value: &SourceValue<'_>) -> Option<String> {
    match value.text_at("modality")? {
        "image" => Some("prompt.images > 0".to_owned()),
        "audio" => Some("prompt.audio > 0".to_owned()),
        "file" | "document" => Some("prompt.files > 0".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_with_their_unit() {
        assert_eq!(tokens("32K"), Some(32_000));
        assert_eq!(tokens("1.5m"), Some(1_500_000));
        assert_eq!(tokens("0"), Some(0));
        assert_eq!(tokens("many"), None);
    }

    #[test]
    fn a_text_and_a_word_keep_their_meaning_in_an_expression() {
        assert_eq!(text_literal("it's \\x"), "'it\\'s \\\\x'");
        assert_eq!(word_pattern("C++ 17"), "\\bC\\+\\+ 17\\b");
    }

    #[test]
    fn a_domain_is_known_in_every_spelling() {
        assert_eq!(domain_label("computer science").as_deref(), Some("computer-science"));
        assert_eq!(domain_label("Computer_Science").as_deref(), Some("computer-science"));
        assert_eq!(domain_label("astrology"), None);
    }
}
