//! JSON as people write it, with comments, tabs and commas too many, as YAML with the same lines.
//!
//! JSON is YAML's flow style, but for comments (`//`, `/* */`), tabs between values and pairs of surrogates. These are
//! replaced so that every line stays where it is.

/// Returns `text` as YAML; every value is on the line where it was.
pub(super) fn as_yaml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => copy_string(rest, first, &mut out),
            '/' if rest.starts_with("//") => blank(&rest[..rest.find('\n').unwrap_or(rest.len())], &mut out),
            '/' if rest.starts_with("/*") => {
                let end = rest[2..].find("*/").map_or(rest.len(), |end| end + 4);
                blank(&rest[..end], &mut out)
            }
            '\t' | '\r' => {
                out.push(' ');
                1
            }
            // YAML wants a blank behind a colon where the key is not quoted.
            ':' => {
                out.push_str(": ");
                1
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

/// Copies the string that `rest` begins with; returns its length.
fn copy_string(rest: &str, quote: char, out: &mut String) -> usize {
    out.push('"');
    let mut at = 1;
    while let Some(next) = rest[at..].chars().next() {
        at += match next {
            _ if next == quote => {
                out.push('"');
                return at + 1;
            }
            '"' => {
                out.push_str("\\\"");
                1
            }
            '\\' => copy_escape(&rest[at..], out),
            '\t' => {
                out.push_str("\\t");
                1
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
    }
    at
}

/// Copies the escape that `rest` begins with; returns its length.
fn copy_escape(rest: &str, out: &mut String) -> usize {
    let unit = |at: usize| rest.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    if rest.starts_with("\\'") {
        out.push('\'');
        return 2;
    }
    if let (true, Some(high @ 0xd800..0xdc00)) = (rest.starts_with("\\u"), unit(2)) {
        let low = if rest.get(6..8) == Some("\\u") { unit(8) } else { None };
        if let Some(low @ 0xdc00..0xe000) = low {
            let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            out.push_str(&format!("\\U{code:08X}"));
            return 12;
        }
        out.push_str("\\uFFFD");
        return 6;
    }
    let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
    out.push_str(&rest[..length]);
    length
}

/// Writes blanks and the line feeds of `comment`; returns its length.
fn blank(comment: &str, out: &mut String) -> usize {
    out.extend(comment.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    comment.len()
}
