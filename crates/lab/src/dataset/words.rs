//! The words of a text, whatever their case and punctuation: what near-duplicates share.

/// Returns the words in lower case, each with a blank after it.
pub(crate) fn normal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.flat_map(|word| word.chars().flat_map(char::to_lowercase).chain([' '])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_punctuation_make_no_difference() {
        assert_eq!(normal("What is DNA?"), normal("what  is dna\n"));
        assert_ne!(normal("What is DNA?"), normal("What is RNA?"));
    }
}
