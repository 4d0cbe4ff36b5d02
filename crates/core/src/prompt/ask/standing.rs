//! Whether an ask stands by itself, or can only be understood by what it answers.
//!
//! A pure rule over classes of words (`words.txt`, 25 languages): consent, calls to go on, revisions, pointing words
//! and courtesies carry no request of their own; what is in no class is content. Measured in docs/agents.md. No
//! language is detected: the lists are looked up all at once, and where two languages spell a word alike the English
//! meaning counts.

mod classes;

use self::classes::{
    ASKING, CONNECTIVE, CONTENT, COURTESY, DETERMINER, FUNCTION, GO, LEAD, NEUTRAL, NUMBER, POINTING, PRAISE, REVISE,
    classes,
};

/// The longest reply that may depend on what it answers: longer ones hold enough to go by.
const MAX_CHARS: usize = 160;

/// The same in words, phrases counted as one.
const MAX_ITEMS: usize = 24;

/// The items that a reply with a pointing or leading word may have, and how many of them may be content.
const POINTING_ITEMS: usize = 9;
const POINTING_CONTENT: usize = 2;

/// The content that a revision may have ("make the essay shorter").
const REVISION_CONTENT: usize = 1;

/// The items and the content of an answer in a fragment ("Python 3.11").
const FRAGMENT_ITEMS: usize = 4;
const FRAGMENT_CONTENT: usize = 2;

/// The relation of an ask to what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskStanding {
    /// The ask can be understood alone.
    Alone,
    /// The ask asks for nothing (thanks, a farewell), and is taken alone.
    Courtesy,
    /// The ask cannot be understood without what it answers, and has words of its own: it may ask for more than that
    /// did.
    Dependent,
    /// The ask says nothing beyond what it answers ("continue", "why?", "now in French").
    Empty,
}

/// The assistant's last words before an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrecedingWords {
    /// Something that asks: a fragment may be the answer to it.
    Question,
    /// Something else, or nothing: a fragment is a command of its own ("run the tests").
    Statement,
}

/// The end of an answer that may hold the question that it closes with, in bytes.
const CLOSE: usize = 240;

impl PrecedingWords {
    /// Tells whether an answer closes with a question.
    pub(super) fn of(answer: &str) -> Self {
        let close = &answer[answer.ceil_char_boundary(answer.len().saturating_sub(CLOSE))..];
        if close.contains(['?', '？', '؟']) { Self::Question } else { Self::Statement }
    }
}

impl AskStanding {
    pub(super) fn of(text: &str, before: PrecedingWords) -> Self {
        let text = text.trim();
        if text.len() > 4 * MAX_CHARS || text.chars().count() > MAX_CHARS {
            return Self::Alone;
        }
        let items = classes(text);
        if items.is_empty() {
            // "??" asks on, a smile does not.
            let is_mark = |c: char| c.is_whitespace() || ".?!…？！。".contains(c);
            // A thumb up is an answer where one was asked for.
            let answers = !text.is_empty() && (text.chars().all(is_mark) || before == PrecedingWords::Question);
            return if answers { Self::Empty } else { Self::Courtesy };
        }
        if items.len() > MAX_ITEMS {
            return Self::Alone;
        }
        Self::of_items(&items, text.ends_with([':', '?', '？', '؟']), before)
    }

    /// Decides by the classes of a reply's words; 0 is content.
    fn of_items(items: &[u16], ends_asking: bool, before: PrecedingWords) -> Self {
        let asks = ends_asking || before == PrecedingWords::Statement || items.iter().any(|item| item & ASKING != 0);
        let plain = |item: &u16| if item & CONTENT != 0 { 0 } else { item & !ASKING };
        let items: Vec<u16> = items.iter().map(plain).collect();
        let count = |class| items.iter().filter(|item| **item == class).count();
        let any = |classes| items.iter().any(|item| item & classes != 0);
        let numbers = count(NUMBER);
        // One number points to something; two are a sum.
        let content = count(0) + if numbers > 1 { numbers } else { 0 };
        // What goes on behind a courtesy is the reply ("thanks, and now in French").
        let rest = &items[items.iter().take_while(|item| **item & COURTESY != 0).count()..];
        let goes_on = rest.len() > 1 && rest[0] & CONNECTIVE != 0;
        if content == 0 {
            let consents = before == PrecedingWords::Question
                && items.iter().all(|item| item & (PRAISE | NEUTRAL | FUNCTION) != 0);
            let is_courtesy = any(COURTESY) && !any(GO | REVISE) && !goes_on && !consents;
            return if is_courtesy { Self::Courtesy } else { Self::Empty };
        }
        // "this folder" points to what lies about, "this" alone to what was said.
        let has_noun = |at: usize| items.get(at + 1) == Some(&0);
        let is_bare = |(at, item): (usize, &u16)| item & POINTING != 0 && !(item & DETERMINER != 0 && has_noun(at));
        let points = items[0] & LEAD != 0 || goes_on || items.iter().enumerate().any(is_bare);
        let is_pointing = points && content <= POINTING_CONTENT && items.len() <= POINTING_ITEMS;
        let is_revision = any(GO | REVISE) && content <= REVISION_CONTENT;
        let is_fragment = !asks && content <= FRAGMENT_CONTENT && items.len() <= FRAGMENT_ITEMS;
        if is_pointing || is_revision || is_fragment { Self::Dependent } else { Self::Alone }
    }
}
