//! The ends of a text by characters, found by counting blocks of bytes.

/// Returns the offset behind the first `count` characters of a text; its length where it has no more.
pub(super) fn after_first(text: &str, count: usize) -> usize {
    let (mut at, mut missing) = (0, count);
    while missing > 0 && at < text.len() {
        // As many bytes as characters are missing hold no more of these.
        let next = text.ceil_char_boundary(at.saturating_add(missing));
        missing -= text[at..next].chars().count();
        at = next;
    }
    at
}

/// Returns the offset of the last `count` characters of a text; 0 where it has no more.
pub(super) fn before_last(text: &str, count: usize) -> usize {
    let (mut at, mut missing) = (text.len(), count);
    while missing > 0 && at > 0 {
        let next = text.floor_char_boundary(at.saturating_sub(missing));
        missing -= text[next..at].chars().count();
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ends_are_counted_in_characters(text in "\\PC{0,40}", count in 0_usize..50) {
            let first: usize = text.chars().take(count).map(char::len_utf8).sum();
            let last: usize = text.chars().rev().take(count).map(char::len_utf8).sum();

            prop_assert_eq!((after_first(&text, count), before_last(&text, count)), (first, text.len() - last));
        }
    }
}
