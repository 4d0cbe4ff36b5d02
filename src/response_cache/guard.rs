//! The words in which two asks that an encoder finds near may not differ.
//!
//! Encoders put "the capital of France" beside "the capital of Spain", and a sum beside another sum. So a near ask has the
//! answer only if what tells asks apart is the same in both: by default every word but courtesies and articles, in order.

use pointsman_core::config::SemanticGuard;

/// Words without which an ask says the same.
const LIGHT: [&str; 8] = ["a", "an", "the", "please", "kindly", "is", "are", "am"];

/// Words that an ask may begin with, as a way to ask.
const OPENINGS: [&str; 24] = [
    "hi", "hello", "hey", "can", "could", "would", "will", "you", "i", "we", "want", "need", "like", "love", "to",
    "know", "tell", "give", "show", "me", "us", "what", "whats", "quickly",
];

/// Words that an ask may end with, as a way to ask.
const CLOSINGS: [&str; 5] = ["please", "thanks", "thank", "you", "thx"];

/// Words that turn a sentence round.
const NEGATIONS: [&str; 20] = [
    "not", "no", "never", "none", "without", "except", "neither", "nor", "cannot", "dont", "doesnt", "isnt", "arent",
    "wont", "cant", "shouldnt", "nicht", "kein", "keine", "ohne",
];

/// Punctuation that ends or joins sentences and says nothing else.
const PUNCTUATION: [char; 8] = ['.', ',', '!', '?', ';', ':', '…', '。'];

/// Marks around a quotation.
const QUOTES: [char; 8] = ['"', '“', '”', '„', '«', '»', '`', '「'];

/// The words of an ask that a guard compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskWords {
    /// The words with a meaning of their own, in their order.
    content: Box<[Box<str>]>,
    /// Figures, quotations and negations, in their order.
    figures: Box<[Box<str>]>,
}

impl AskWords {
    /// Reads the words of an ask.
    pub(super) fn of(text: &str) -> Self {
        let tokens = tokens(text);
        let quoted = quotations(text).map(Box::from);
        let figures = tokens.iter().filter(|token| tells_apart(token)).cloned().chain(quoted).collect();
        Self { content: content(&tokens).into(), figures }
    }

    /// Returns whether two asks do not differ in what the guard looks at.
    pub(super) fn agree(&self, other: &Self, guard: SemanticGuard) -> bool {
        match guard {
            SemanticGuard::Content => self.content == other.content && self.figures == other.figures,
            SemanticGuard::Figures => self.figures == other.figures,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let of = |words: &[Box<str>]| words.iter().map(|word| size_of::<Box<str>>() + word.len()).sum::<usize>();
        of(&self.content) + of(&self.figures)
    }
}

/// Returns the words and signs of a text in lower case, without punctuation between sentences.
fn tokens(text: &str) -> Vec<Box<str>> {
    let mut tokens = Vec::new();
    for chunk in text.split_whitespace() {
        let chunk = chunk.trim_end_matches(PUNCTUATION).replace(['\'', '’'], "").to_lowercase();
        let mut word = String::new();
        for c in chunk.chars() {
            if is_of_word(c) || (matches!(c, '.' | ',' | ':') && word.ends_with(|c: char| c.is_numeric())) {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word).into());
            }
            if !QUOTES.contains(&c) {
                tokens.push(c.to_string().into());
            }
        }
        if !word.is_empty() {
            tokens.push(word.into());
        }
    }
    tokens
}

/// Returns whether a word is a figure, a sign or a negation.
fn tells_apart(token: &str) -> bool {
    token.chars().any(char::is_numeric) || NEGATIONS.contains(&token) || !token.chars().all(is_of_word)
}

fn is_opening(token: &str) -> bool {
    OPENINGS.contains(&token) || LIGHT.contains(&token) || token == ","
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the words of an ask that mean something, without the way in which it is asked.
fn content(tokens: &[Box<str>]) -> Vec<Box<str>> {
    let begins = tokens.iter().position(|token| !is_opening(token)).unwrap_or(0);
    let ends = tokens.iter().rposition(|token| !CLOSINGS.contains(&&**token)).map_or(tokens.len(), |last| last + 1);
    let kept = if begins < ends { &tokens[begins..ends] } else { tokens };
    kept.iter().filter(|token| !LIGHT.contains(&&***token)).cloned().collect()
}

/// Returns the texts between marks of quotation.
fn quotations(text: &str) -> impl Iterator<Item = &str> {
    text.split(QUOTES).skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(one: &str, other: &str, guard: SemanticGuard) -> bool {
        AskWords::of(one).agree(&AskWords::of(other), guard)
    }

    #[test]
    fn an_ask_in_another_dress_is_the_same() {
        for (one, other) in [
            ("What is the capital of France?", "Please tell me the capital of France!"),
            ("what's the capital of France", "What is the capital of France, please?"),
            ("Hi, can you give me the boiling point of water?", "the boiling point of water"),
            ("Summarize: \"a b c\"", "Please summarize: “a b c”. Thanks!"),
        ] {
            assert!(agree(one, other, SemanticGuard::Content), "{one} | {other}");
            assert!(agree(one, other, SemanticGuard::Figures), "{one} | {other}");
        }
    }

    #[test]
    fn another_word_or_another_order_is_another_ask() {
        for (one, other) in [
            ("What is the capital of France?", "What is the capital of Spain?"),
            ("Convert euros to dollars", "Convert dollars to euros"),
            ("Is water safe to drink?", "Is water safe to drink cold?"),
            ("Who is president of France?", "Who was president of France?"),
            ("Explain C", "Explain C++"),
        ] {
            assert!(!agree(one, other, SemanticGuard::Content), "{one} | {other}");
        }
        assert!(agree("What is the capital of France?", "What is the capital of Spain?", SemanticGuard::Figures));
    }

    #[test]
    fn figures_quotations_and_negations_tell_asks_apart_for_every_guard() {
        for (one, other) in [
            ("What is 12 + 30?", "What is 12 + 31?"),
            ("What is 5 - 3?", "What is 5 + 3?"),
            ("Round 3.5 to the nearest whole number", "Round 3.7 to the nearest whole number"),
            ("Translate \"good morning\"", "Translate \"good evening\""),
            ("May I take this with alcohol?", "May I not take this with alcohol?"),
            ("Tomatoes don't need sun", "Tomatoes need sun"),
            ("Is -5 even?", "Is 5 even?"),
        ] {
            for guard in [SemanticGuard::Content, SemanticGuard::Figures] {
                assert!(!agree(one, other, guard), "{one} | {other}");
            }
        }
    }

    #[test]
    fn an_ask_of_courtesies_alone_is_itself() {
        assert!(agree("hello", "Hello!", SemanticGuard::Content));
        assert!(!agree("hello you", "thank you", SemanticGuard::Content));
    }
}
