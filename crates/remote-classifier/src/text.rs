//! Texts that are sent: whole where they are short enough, else their beginning and end.

use std::sync::Arc;

/// A text as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct SentText {
    pub(crate) text: Arc<str>,
    /// Tells whether something was cut out of its middle.
    pub(crate) is_cut: bool,
}

impl SentText {
    /// Cuts what is beyond `max_chars` characters out of the middle of a text.
    pub(crate) fn of(text: &str, max_chars: usize) -> Self {
        // A text has no more characters than bytes.
        if text.len() <= max_chars {
            return Self { text: text.into(), is_cut: false };
        }
        let chars = text.chars().count();
        if chars <= max_chars {
            return Self { text: text.into(), is_cut: false };
        }
        let (head, tail) = (max_chars.div_ceil(2), max_chars / 2);
        let end = text.char_indices().nth(head).map_or(text.len(), |(index, _)| index);
        let begin = text.char_indices().nth(chars - tail).map_or(text.len(), |(index, _)| index);
        Self { text: [&text[..end], &text[begin..]].concat().into(), is_cut: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_loses_its_middle() {
        let cut = |text: &str| {
            let sent = SentText::of(text, 5);
            (sent.text.to_string(), sent.is_cut)
        };

        assert_eq!(cut("abcde"), ("abcde".to_owned(), false));
        assert_eq!(cut("abcdef"), ("abcef".to_owned(), true));
        assert_eq!(cut("äöüßé"), ("äöüßé".to_owned(), false));
        assert_eq!(cut("äöüßéx"), ("äöüéx".to_owned(), true));
    }
}
