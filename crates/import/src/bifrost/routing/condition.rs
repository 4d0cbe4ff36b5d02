//! Conditions of Bifrost's rules, as far as a policy's `match` can say them.

/// The models and headers that a condition wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RuleCondition {
    /// Patterns of names that clients ask for.
    pub(super) models: Vec<String>,
    /// Names of headers and patterns of their values.
    pub(super) headers: Vec<(String, String)>,
}

const REFUSED: &str = "a policy's `match` has models and headers alone: what else the condition reads has no counterpart there (docs/policies.md)";

impl RuleCondition {
    /// Reads a CEL expression: comparisons of `model` and `headers`, joined by `&&`.
    pub(super) fn read(expression: &str) -> Result<Self, String> {
        let mut own = Self::default();
        let expression = expression.trim();
        if expression.is_empty() || expression == "true" {
            own.models.push("*".to_owned());
            return Ok(own);
        }
        for part in conjuncts(expression).ok_or(REFUSED)? {
            own.add(part.trim()).ok_or(REFUSED)?;
        }
        Ok(own)
    }

    fn add(&mut self, part: &str) -> Option<()> {
        let part = part.strip_prefix('(').and_then(|part| part.strip_suffix(')')).unwrap_or(part).trim();
        if let Some(rest) = part.strip_prefix("model") {
            let models = patterns(rest)?;
            // Clients ask for `provider/model` here, and Bifrost's `model` is the part behind.
            let of = |model: String| if model.contains('/') { vec![model] } else { vec![format!("*/{model}"), model] };
            if !self.models.is_empty() {
                return None;
            }
            self.models = models.into_iter().flat_map(of).collect();
            return Some(());
        }
        if let Some(rest) = part.strip_prefix("headers[") {
            let (name, rest) = rest.split_once(']')?;
            let [value]: [String; 1] = patterns(rest)?.try_into().ok()?;
            self.headers.push((unquoted(name)?.to_ascii_lowercase(), value));
            return Some(());
        }
        let is_chat = part.strip_prefix("request_type")?;
        (patterns(is_chat)? == ["chat_completion"]).then_some(())
    }
}

/// Returns the patterns of ` == 'x'`, `.startsWith('x')` and the like, ` in ['x', 'y']`.
fn patterns(rest: &str) -> Option<Vec<String>> {
    let rest = rest.trim();
    if let Some(value) = rest.strip_prefix("==") {
        return Some(vec![literal(value)?]);
    }
    if let Some(list) = rest.strip_prefix("in ").or_else(|| rest.strip_prefix("in[").map(|_| &rest[2..])) {
        let inner = list.trim().strip_prefix('[')?.strip_suffix(']')?;
        return inner.split(',').map(literal).collect();
    }
    let method = |name: &str| {
        let inner = rest.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')')?;
        literal(inner)
    };
    if let Some(start) = method(".startsWith") {
        return Some(vec![format!("{start}*")]);
    }
    if let Some(end) = method(".endsWith") {
        return Some(vec![format!("*{end}")]);
    }
    method(".contains").map(|part| vec![format!("*{part}*")])
}

/// Returns a text in quotes that means no pattern.
fn literal(text: &str) -> Option<String> {
    let text = unquoted(text)?;
    let is_plain = !text.is_empty() && !text.contains(['*', '?', '\\', '{', '}', '!', '\'', '"']);
    is_plain.then(|| text.to_owned())
}

fn unquoted(text: &str) -> Option<&str> {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"'))
}

/// Returns the parts of `a && b && c`; `None` where it is no plain conjunction.
fn conjuncts(expression: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    let bytes = expression.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'|') => return None,
            (None, b'&') if bytes.get(at + 1) == Some(&b'&') => {
                parts.push(&expression[start..at]);
                start = at + 2;
            }
            (None, _) => {}
        }
    }
    parts.push(&expression[start..]);
    quote.is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expression: &str) -> Option<(String, String)> {
        let condition = RuleCondition::read(expression).ok()?;
        let headers: Vec<String> = condition.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some((condition.models.join(" "), headers.join(" ")))
    }

    #[test]
    fn comparisons_of_models_and_headers_are_patterns() {
        for (expression, models, headers) in [
            ("model == 'gpt-4o'", "*/gpt-4o gpt-4o", ""),
            ("model.startsWith(\"gpt-4\") && headers[\"X-Tier\"] == \"premium\"", "*/gpt-4* gpt-4*", "x-tier=premium"),
            ("model in ['a', 'b/c']", "*/a a b/c", ""),
            ("(model.contains('mini')) && request_type == 'chat_completion'", "*/*mini* *mini*", ""),
            ("headers['x-team'].startsWith('a && b')", "", "x-team=a && b*"),
            ("true", "*", ""),
            ("", "*", ""),
        ] {
            assert_eq!(read(expression), Some((models.to_owned(), headers.to_owned())), "{expression}");
        }
    }

    #[test]
    fn what_no_match_can_say_is_refused() {
        for expression in [
            "budget_used >= 80.0",
            "model == 'a' || model == 'b'",
            "!(model == 'a')",
            "model != 'a'",
            "model == 'a' && tokens_used > 5",
            "virtual_key_name == 'x'",
            "model == 'a*'",
            "headers['x']",
            "'",
            "model",
        ] {
            assert_eq!(read(expression), None, "{expression}");
        }
    }
}
