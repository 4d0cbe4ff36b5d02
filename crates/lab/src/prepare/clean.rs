//! Cleaning of texts: control characters, line ends, and runs of blanks.

use serde_json::{Map, Value};

/// Blank lines in a row that stay.
const BLANK_LINES: usize = 1;

/// Characters that show nothing and mean nothing by themselves: byte order marks and soft hyphens. Joiners stay, as
/// scripts and emoji need them.
const INVISIBLE: [char; 2] = ['\u{feff}', '\u{ad}'];

/// Cleans the texts of a row; returns whether any changed.
pub(super) fn clean(row: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    for key in ["prompt", "text"] {
        if let Some(Value::String(text)) = row.get_mut(key) {
            changed |= clean_text(text);
        }
    }
    let turns = match row.get_mut("messages") {
        Some(Value::Object(body)) => body.get_mut("messages"),
        other => other,
    };
    for turn in turns.and_then(Value::as_array_mut).into_iter().flatten() {
        match turn.get_mut("content") {
            Some(Value::String(text)) => changed |= clean_text(text),
            Some(Value::Array(parts)) => {
                for part in parts {
                    if let Some(Value::String(text)) = part.get_mut("text") {
                        changed |= clean_text(text);
                    }
                }
            }
            _ => {}
        }
    }
    changed
}

fn clean_text(text: &mut String) -> bool {
    let cleaned = cleaned(text);
    let changed = cleaned != *text;
    *text = cleaned;
    changed
}

/// Returns the text with plain line ends, without control characters, and with single blank lines; its own blanks within
/// lines stay, as code needs them.
fn cleaned(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let is_kept = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || INVISIBLE.contains(&c));
    let text: String = text.chars().filter(|c| is_kept(*c)).collect();
    let (mut lines, mut blanks) = (Vec::new(), 0);
    for line in text.lines().map(str::trim_end) {
        blanks = if line.is_empty() { blanks + 1 } else { 0 };
        if blanks <= BLANK_LINES {
            lines.push(line);
        }
    }
    lines.join("\n").trim_matches('\n').trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_characters_and_runs_of_blank_lines_go_and_code_stays() {
        for (text, expected) in [
            ("a\r\nb\rc", "a\nb\nc"),
            ("\u{feff}a\u{0}b\u{7}\u{9c}", "ab"),
            ("\n\na  \n\n\n\nb\n\n", "a\n\nb"),
            ("def f():\n\treturn  1", "def f():\n\treturn  1"),
            ("  indented", "  indented"),
            ("\u{1f468}\u{200d}\u{1f469}", "\u{1f468}\u{200d}\u{1f469}"),
            (" \n\t\n ", ""),
        ] {
            assert_eq!(cleaned(text), expected, "{text:?}");
        }
    }

    #[test]
    fn every_turn_and_part_is_cleaned_and_a_clean_row_says_so() {
        let mut row = json!({"messages": [{"role": "user", "content": "a\u{0}"},
            {"role": "user", "content": [{"type": "text", "text": "b\u{0}"}]}]});
        let row = row.as_object_mut().expect("an object");

        assert!(clean(row));
        assert_eq!(
            row["messages"],
            json!([{"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}]}])
        );
        assert!(!clean(row));
    }
}
