//! Expressions of rules: how a foreign text stands in one.

/// Returns a text as an expression has it.
pub(crate) fn text_literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for c in text.chars() {
        match c {
            '\\' | '\'' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_within_its_quotes() {
        assert_eq!(text_literal("it's \\x"), "'it\\'s \\\\x'");
        assert_eq!(text_literal("a\r\n\tb"), "'a\\r\\n\\tb'");
    }
}
