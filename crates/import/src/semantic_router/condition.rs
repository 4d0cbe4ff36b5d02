//! The conditions of a decision: a tree of `AND`, `OR` and `NOT` over signals, as an expression of a rule.

use super::signals::Signals;
use crate::reader::SourceValue;

/// An expression, and whether it reads scores of the classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleExpression {
    pub(super) text: String,
    pub(super) asks_classifier: bool,
}

/// The signals of the two levels of `complexity` that a tier of the classifier stands for.
const LEVELS: [(&str, &str); 3] = [("hard", "complex"), ("medium", "medium"), ("easy", "simple")];

/// Reads the condition at `value`; the error says what no rule can read.
pub(super) fn read(value: &SourceValue<'_>, signals: &Signals) -> Result<RuleExpression, String> {
    let Some(children) = value.get("conditions") else {
        // A decision without conditions is for every prompt.
        let is_leaf = value.get("type").is_some();
        value.take_all(&["operator", "on_unknown"]);
        let always = RuleExpression { text: "true".to_owned(), asks_classifier: false };
        return if is_leaf { leaf(value, signals) } else { Ok(always) };
    };
    let children = children.items();
    let operator = value.text_at("operator").unwrap_or("AND").to_ascii_uppercase();
    value.take_all(&["on_unknown"]);
    let parts: Vec<RuleExpression> = children.iter().map(|child| read(child, signals)).collect::<Result<_, _>>()?;
    let asks_classifier = parts.iter().any(|part| part.asks_classifier);
    let joined = |sign: &str| {
        let texts: Vec<String> = parts.iter().map(|part| part.text.clone()).collect();
        match texts.as_slice() {
            [only] => only.clone(),
            _ => texts.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(sign),
        }
    };
    let text = match operator.as_str() {
        _ if parts.is_empty() => "true".to_owned(),
        "AND" => joined(" && "),
        "OR" => joined(" || "),
        "NOT" | "NOR" => format!("!({})", joined(" || ")),
        other => return Err(format!("no rule has the operator {other}")),
    };
    Ok(RuleExpression { text, asks_classifier })
}

/// Returns the labels of the head `domain` where the condition is about nothing but domains, of which one must be it.
pub(super) fn domains(value: &SourceValue<'_>, signals: &Signals) -> Option<Vec<String>> {
    let Some(children) = value.get("conditions") else {
        return (value.text_at("type") == Some("domain")).then(|| signals.domain(value.text_at("name")?)).flatten();
    };
    let children = children.items();
    let is_or = value.text_at("operator").is_some_and(|operator| operator.eq_ignore_ascii_case("or"));
    if children.is_empty() || (children.len() > 1 && !is_or) {
        return None;
    }
    let is_not = value.text_at("operator").is_some_and(|operator| operator.eq_ignore_ascii_case("not"));
    let all: Option<Vec<Vec<String>>> = children.iter().map(|child| domains(child, signals)).collect();
    all.filter(|_| !is_not).map(|all| all.concat())
}

fn leaf(value: &SourceValue<'_>, signals: &Signals) -> Result<RuleExpression, String> {
    let kind = value.text_at("type").unwrap_or_default();
    let name = value.text_at("name").unwrap_or_default();
    let scored = |text: String| RuleExpression { text, asks_classifier: true };
    if kind == "domain" {
        let labels = signals.domain(name).ok_or(format!("the head `domain` has no subject `{name}`"))?;
        let parts: Vec<String> =
            labels.iter().map(|label| format!("scores.default.domain['{label}'] >= {}", signals.threshold)).collect();
        return Ok(scored(parts.join(" || ")));
    }
    if kind == "complexity" {
        let level = name.rsplit_once(':').map_or("hard", |(_, level)| level);
        let tier = LEVELS.iter().find(|(own, _)| *own == level).map(|(_, tier)| *tier);
        let tier = tier.ok_or(format!("no tier of the classifier is `{level}`"))?;
        value.change("the classifier's own tier takes the place of examples of hard and easy prompts");
        return Ok(scored(format!("scores.default.tier.{tier} > 0.5")));
    }
    let expression = signals
        .expression(kind, name)
        .ok_or(format!("no rule can read the signal `{kind}: {name}` (docs/policies.md)"))?;
    Ok(RuleExpression { text: expression.to_owned(), asks_classifier: false })
}
