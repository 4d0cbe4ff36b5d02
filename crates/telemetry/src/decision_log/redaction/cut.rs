//! The end of a text that was cut: what may be the first half of a secret there.

/// Groups that one number is written in, at most: account numbers have four characters in each.
const MOST_GROUPS: usize = 9;

/// Returns a text that was cut without what may be half of a secret: its last word, and groups with digits before it.
pub(in crate::decision_log) fn before_cut(text: &str) -> &str {
    let mut kept = text.trim_end_matches(is_of_word);
    for _ in 0..MOST_GROUPS {
        let group_end = kept.trim_end_matches(|c: char| c.is_whitespace() && c != '\n');
        let group_start = group_end.trim_end_matches(is_of_word);
        if !group_end[group_start.len()..].bytes().any(|byte| byte.is_ascii_digit()) {
            break;
        }
        kept = group_start;
    }
    kept
}

/// Returns whether a character can be a part of a secret that has begun: none has a quotation mark or a blank in it.
fn is_of_word(c: char) -> bool {
    !c.is_whitespace() && c != '"' && !is_written_without_blanks(c)
}

/// Returns whether a character is of a script that puts no blanks between words: all that was said would be one word.
const fn is_written_without_blanks(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}'         // Thai, Lao
        | '\u{1000}'..='\u{109F}'       // Burmese
        | '\u{1780}'..='\u{17FF}'       // Khmer
        | '\u{2E80}'..='\u{A4CF}'       // Chinese and Japanese, with their punctuation
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF00}'..='\u{FFEF}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_loses_its_last_word_and_the_groups_of_a_number_before_it() {
        for (text, kept) in [
            ("write to ana@mail.exa", "write to "),
            ("it is 4111 1111 1111 11", "it is "),
            ("to DE89 3704 0044 0532 01", "to "),
            ("call +49 (0)30 9018", "call "),
            ("paid with 4111 1111 ", "paid with "),
            ("paid with 4111\u{A0}1111\u{202F}", "paid with "),
            ("in 2024, and then they", "in 2024, and then "),
            ("{\"card\":\"4111 1111 11", "{\"card\":\""),
            ("", ""),
        ] {
            assert_eq!(before_cut(text), kept, "{text}");
        }
    }

    #[test]
    fn a_script_without_blanks_is_no_single_word() {
        assert_eq!(before_cut("東京の天気は晴れです。明日も"), "東京の天気は晴れです。明日も");
        assert_eq!(before_cut("連絡先はana@mail.exa"), "連絡先は");
        assert_eq!(before_cut("วันนี้อากาศดี"), "วันนี้อากาศดี");
    }
}
