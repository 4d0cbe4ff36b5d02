//! The condition of one of version 3's rules, as an expression of a rule.

use std::collections::BTreeSet;

use crate::draft::Draft;
use crate::expression::text_literal;
use crate::reader::SourceValue;

/// Headers whose values no rule may read.
const SECRET_HEADERS: [&str; 5] = ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key"];
/// Parameters of a request, by the other router's name, that say how much a model is to think.
const EFFORTS: [&str; 4] = ["thinking.type", "reasoning_effort", "reasoning.effort", "output_config.effort"];
/// Texts of a request: one of them, or something that holds some.
const TEXTS: [&str; 5] = ["messages", "system", "input", "instructions", ""];

/// The left side of a comparison, as an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ReadValue {
    Text(String),
    Number(&'static str),
    Flag(&'static str),
    /// How much the model is to think, of which the names differ between APIs.
    Effort,
    /// All texts of the request.
    Texts,
}

/// Reads the condition at `rule`; the error says what no rule can read.
pub(super) fn read(rule: &SourceValue<'_>, draft: &mut Draft) -> Result<String, String> {
    let own = rule.get("condition").filter(SourceValue::is_map).unwrap_or_else(|| rule.clone());
    let texts = ["left", "path", "field", "parameter"].map(|key| own.text_at(key));
    let left = texts.into_iter().flatten().next();
    let operator = own.first(&["operator", "op"]).and_then(|operator| operator.text());
    let right = own.first(&["right", "value"]).and_then(|value| value.text());
    if let (Some(left), Some(operator), Some(right)) = (left, operator, right) {
        return comparison(&Comparison { left, operator, right }, &own, &mut draft.rule_headers);
    }
    // How version 2 and the first of version 3 had it.
    let pattern = rule.text_at("pattern").filter(|_| rule.text_at("type") == Some("model-prefix"));
    let pattern = pattern.ok_or("the rule has no condition")?;
    Ok(format!("request.model.startsWith({})", text_literal(pattern)))
}

/// A comparison of something in a request with a text.
struct Comparison<'c> {
    left: &'c str,
    operator: &'c str,
    right: &'c str,
}

fn comparison(
    said: &Comparison<'_>,
    place: &SourceValue<'_>,
    headers: &mut BTreeSet<String>,
) -> Result<String, String> {
    let value = value_of(said.left)?;
    let refused = || format!("no rule compares `{}` in this way (docs/policies.md)", said.left);
    let right = unquoted(said.right);
    match value {
        ReadValue::Text(text) => {
            let expression = text_comparison(&text, said.operator, right).ok_or_else(refused)?;
            if let Some(name) = text.strip_prefix("headers['").and_then(|rest| rest.strip_suffix("']")) {
                headers.insert(name.to_owned());
            }
            Ok(expression)
        }
        ReadValue::Number(name) => {
            let is_comparison = ["==", "!=", ">", ">=", "<", "<="].contains(&said.operator);
            let number: i64 = right.parse().ok().filter(|_| is_comparison).ok_or_else(refused)?;
            Ok(format!("{name} {} {number}", said.operator))
        }
        ReadValue::Flag(name) => match (said.operator, right) {
            ("==", "true") | ("!=", "false") => Ok(name.to_owned()),
            ("==", "false") | ("!=", "true") => Ok(format!("!{name}")),
            _ => Err(refused()),
        },
        ReadValue::Effort => {
            let thinks = "!(request.reasoning_effort in ['', 'disabled', 'none'])";
            let expression = match (said.operator, right) {
                ("==", "enabled" | "adaptive") | ("!=", "disabled" | "none") => thinks.to_owned(),
                ("!=", "enabled" | "adaptive") | ("==", "disabled" | "none") => thinks[1..].to_owned(),
                (operator, right) => {
                    text_comparison("request.reasoning_effort", operator, right).ok_or_else(refused)?
                }
            };
            place.change("the effort is read in whatever API the client speaks");
            Ok(expression)
        }
        ReadValue::Texts => {
            if !matches!(said.operator, "contains" | "contains-deep") || right.is_empty() {
                return Err(refused());
            }
            place.change("all texts of a request are looked through, those of tools and results too");
            Ok(format!("prompt.matches_any([{}])", text_literal(&literal_pattern(right))))
        }
    }
}

fn value_of(left: &str) -> Result<ReadValue, String> {
    let unreadable = || format!("no rule can read `{left}` (docs/policies.md)");
    let path = left.trim().strip_prefix("request.").ok_or_else(unreadable)?;
    if let Some(name) = path.strip_prefix("headers.").or_else(|| path.strip_prefix("header.")) {
        let name = name.trim().to_ascii_lowercase();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(unreadable());
        }
        if SECRET_HEADERS.contains(&name.as_str()) {
            return Err("no rule reads a key: `client.name` says whose it is (docs/policies.md)".to_owned());
        }
        return Ok(ReadValue::Text(format!("headers['{name}']")));
    }
    if path.starts_with("auth.") {
        return Err("rules may read `client.name` (docs/policies.md)".to_owned());
    }
    let body = path.strip_prefix("body").map_or(path, |rest| rest.trim_start_matches('.'));
    match body {
        "model" => Ok(ReadValue::Text("request.model".to_owned())),
        "tokenCount" | "token_count" if body == path => Ok(ReadValue::Number("prompt.tokens")),
        "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
            Ok(ReadValue::Number("request.max_output_tokens"))
        }
        "stream" => Ok(ReadValue::Flag("request.stream")),
        effort if EFFORTS.contains(&effort) => Ok(ReadValue::Effort),
        texts if TEXTS.contains(&texts) => Ok(ReadValue::Texts),
        _ => Err(unreadable()),
    }
}

fn text_comparison(text: &str, operator: &str, right: &str) -> Option<String> {
    let literal = text_literal(right);
    Some(match operator {
        "==" | "!=" => format!("{text} {operator} {literal}"),
        "starts-with" => format!("{text}.startsWith({literal})"),
        "contains" | "contains-deep" => format!("{text}.contains({literal})"),
        "not-contains" => format!("!{text}.contains({literal})"),
        _ => return None,
    })
}

/// Returns a value without the quotes around it, which the other router takes away.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// Returns a pattern that finds the text as it is written.
fn literal_pattern(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_by_the_name_that_it_has_here() {
        assert_eq!(value_of("request.body.model"), Ok(ReadValue::Text("request.model".to_owned())));
        assert_eq!(value_of("request.header.X-Team"), Ok(ReadValue::Text("headers['x-team']".to_owned())));
        assert_eq!(value_of("request.tokenCount"), Ok(ReadValue::Number("prompt.tokens")));
        assert_eq!(value_of("request.body.thinking.type"), Ok(ReadValue::Effort));
        assert_eq!(value_of("request.body"), Ok(ReadValue::Texts));
        for left in ["response.body.x", "request.headers.x-api-key", "request.headers.a'b", "request.auth.sub", "model"]
        {
            assert!(value_of(left).is_err(), "{left}");
        }
    }

    #[test]
    fn a_text_with_quotes_and_signs_stays_a_text() {
        assert_eq!(
            text_comparison("request.model", "contains", "a'] || true || ['"),
            Some(r"request.model.contains('a\'] || true || [\'')".to_owned())
        );
        assert_eq!(literal_pattern("a.b(c)"), r"a\.b\(c\)");
        assert_eq!(unquoted(" \"x\" "), "x");
    }
}
