//! The comparison of two asks that an encoder finds near, before one gets the other's answer.
//!
//! Encoders put "the capital of France" beside "the capital of Spain", a sum beside another sum, and "What is IT?" on top
//! of "What is it?". So a near ask has the answer only if what tells asks apart is the same in both: by default the whole
//! text as it is written. A wrong answer is worse than a miss: only that is left out which says nothing in any ask that
//! begins as this one does.

use pointsman_core::config::SemanticGuard;

/// Words that begin a question about a subject.
const QUESTIONS: [&str; 9] = ["what", "who", "whose", "whom", "where", "when", "why", "how", "which"];

/// Words that begin a question for yes or no.
const AUXILIARIES: [&str; 14] =
    ["is", "are", "was", "were", "do", "does", "did", "can", "could", "should", "would", "has", "have", "had"];

/// Words that begin an order about a subject. Nobody says them to be translated or written into a letter, as "tell me" and
/// "give me" are said, so that a courtesy before them is meant for the model.
const ORDERS: [&str; 9] =
    ["explain", "describe", "define", "list", "compare", "calculate", "compute", "summarize", "summarise"];

/// Words that begin other orders, and greetings. As the first word they are the same with a capital letter and without; a
/// name is none of them ("Apple", "Polish", "May").
const OTHER_OPENERS: [&str; 17] = [
    "hi",
    "hello",
    "hey",
    "write",
    "translate",
    "give",
    "tell",
    "show",
    "make",
    "create",
    "find",
    "solve",
    "convert",
    "generate",
    "rewrite",
    "name",
    "suggest",
];

/// Greetings that are an ask of their own, with whatever mark.
const GREETINGS: [&str; 6] = ["hi", "hello", "hey", "hi there", "hello there", "hey there"];

/// Courtesies before a question or an order.
const OPENINGS: [&str; 8] = [
    "please, ",
    "please ",
    "kindly ",
    "can you please ",
    "could you please ",
    "would you please ",
    "will you please ",
    "can you kindly ",
];

/// Courtesies that are a sentence of their own, after the ask.
const CLOSINGS: [&str; 5] = ["please", "many thanks", "thanks", "thank you", "thx"];

/// First words that stand for two.
const CONTRACTIONS: [(&str, &str); 6] = [
    ("what's", "what is"),
    ("what’s", "what is"),
    ("who's", "who is"),
    ("who’s", "who is"),
    ("where's", "where is"),
    ("where’s", "where is"),
];

/// Words that turn a sentence round.
const NEGATIONS: [&str; 36] = [
    "not", "no", "never", "none", "without", "except", "neither", "nor", "cannot", "nobody", "nothing", "nowhere",
    "dont", "doesnt", "didnt", "isnt", "arent", "aint", "wasnt", "werent", "wont", "wouldnt", "cant", "couldnt",
    "shouldnt", "hasnt", "havent", "hadnt", "mustnt", "nicht", "nichts", "nie", "kein", "keine", "keinen", "ohne",
];

/// Punctuation that ends or joins sentences and says nothing else.
const PUNCTUATION: [char; 8] = ['.', ',', '!', '?', ';', ':', '…', '。'];

/// Marks around a quotation.
const QUOTES: [char; 8] = ['"', '“', '”', '„', '«', '»', '`', '「'];

/// The texts of an ask that a guard compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskWords {
    /// The ask as it is written, without the courtesies around it.
    content: Box<str>,
    /// Figures, quotations and negations, in their order.
    figures: Box<[Box<str>]>,
}

/// The kind of sentence that an ask is, by its first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sentence {
    Question,
    YesOrNo,
    Order,
    Other,
}

impl AskWords {
    /// Reads the texts of an ask.
    pub(super) fn of(text: &str) -> Self {
        let quoted = quotations(text).map(Box::from);
        let figures = tokens(text).into_iter().filter_map(figure).chain(quoted).collect();
        Self { content: content(text).into(), figures }
    }

    /// Returns whether two asks do not differ in what the guard looks at.
    pub(super) fn agree(&self, other: &Self, guard: SemanticGuard) -> bool {
        match guard {
            SemanticGuard::Content => self.content == other.content,
            SemanticGuard::Figures => self.figures == other.figures,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let figures = self.figures.iter().map(|word| size_of::<Box<str>>() + word.len()).sum::<usize>();
        self.content.len() + figures
    }
}

impl Sentence {
    /// Returns the kind of sentence that begins with this word; `None` for a word that may be a name.
    fn of(word: &str) -> Option<Self> {
        let kinds: [(&[&str], Self); 4] = [
            (&QUESTIONS, Self::Question),
            (&AUXILIARIES, Self::YesOrNo),
            (&ORDERS, Self::Order),
            (&OTHER_OPENERS, Self::Other),
        ];
        kinds.into_iter().find(|(words, _)| words.contains(&word)).map(|(_, kind)| kind)
    }

    /// Returns the mark that ends such a sentence and says nothing there; of any other a different mark may be meant.
    const fn end(self) -> Option<char> {
        match self {
            Self::Question | Self::YesOrNo => Some('?'),
            Self::Order => Some('.'),
            Self::Other => None,
        }
    }

    /// Returns whether courtesies around such a sentence are meant for the model.
    const fn takes_courtesies(self) -> bool {
        matches!(self, Self::Question | Self::Order)
    }
}

/// Returns an ask as it is written, without what says nothing: courtesies around a lone question or order, its mark at
/// the end, the capital letter of its first word.
fn content(text: &str) -> String {
    let text = text.trim();
    let bare = text.trim_end_matches(['.', '!', '?', ' ']);
    if let Some(greeting) = GREETINGS.iter().find(|greeting| is_same_word(bare, greeting)) {
        return (*greeting).to_owned();
    }
    let (opening, ask) = without_opening(text);
    let (ask, kind) = lower_first_word(ask);
    let Some(kind) = kind else { return text.to_owned() };
    let bare = without_closing(&ask, kind);
    let is_lone = is_one_sentence(bare);
    if !is_lone || (opening.is_some() && !kind.takes_courtesies()) {
        // The courtesies stay, and so does everything else but the first letter.
        return lower_first_word(text).0;
    }
    // "Could you please explain it?" is an order that ends as a question does.
    let asks = opening.is_some_and(|opening| opening.contains(" you ")) && kind == Sentence::Order;
    let ends = if asks { Some('?') } else { kind.end() };
    without_end(bare, ends).to_owned()
}

/// Splits the courtesy off with which an ask begins.
fn without_opening(text: &str) -> (Option<&'static str>, &str) {
    let begins = |opening: &&&str| text.get(..opening.len()).is_some_and(|start| is_same_word(start, opening));
    match OPENINGS.iter().find(begins) {
        Some(opening) => (Some(*opening), &text[opening.len()..]),
        None => (None, text),
    }
}

/// Returns an ask without a sentence of courtesy after it: "What is it? Thanks!"
fn without_closing(ask: &str, kind: Sentence) -> &str {
    let Some(end) = kind.end().filter(|_| kind.takes_courtesies()) else { return ask };
    let said = ask.trim_end_matches(['.', '!']);
    for closing in CLOSINGS {
        let Some(at) = said.len().checked_sub(closing.len()) else { continue };
        let before = said.get(..at).and_then(|before| before.strip_suffix(' ')).filter(|before| before.ends_with(end));
        if let Some(before) = before.filter(|_| is_same_word(&said[at..], closing)) {
            return before;
        }
    }
    ask
}

/// Returns an ask without its last mark, where that is `end` and stands behind a word or figure.
fn without_end(ask: &str, end: Option<char>) -> &str {
    let bare = end.and_then(|end| ask.strip_suffix(end));
    bare.filter(|bare| bare.ends_with(|c: char| c.is_alphanumeric() || c == ')')).unwrap_or(ask)
}

/// Returns whether nothing in a text ends a sentence before the last character, nor sets a part of it apart.
fn is_one_sentence(text: &str) -> bool {
    let sets_apart = |c: char| matches!(c, ':' | ';' | '\n' | '\r' | '…' | '–' | '—');
    let ends = [". ", "? ", "! ", " - "];
    !text.contains(sets_apart) && !ends.iter().any(|end| text.contains(end))
}

/// Returns a text whose first word begins with a small letter if it is one that begins questions and orders, and the kind
/// of sentence that it begins. Other words may be names, and stay as they are.
fn lower_first_word(text: &str) -> (String, Option<Sentence>) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let mut letters = word.chars();
    let lower: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
    let whole = CONTRACTIONS.iter().find(|(short, _)| *short == lower).map_or(&*lower, |(_, whole)| *whole);
    let kind = Sentence::of(whole.split(' ').next().unwrap_or(whole));
    match kind {
        Some(_) => (format!("{whole}{rest}"), kind),
        None => (text.to_owned(), None),
    }
}

/// Returns whether two texts are the same but for the case of their first letters.
fn is_same_word(one: &str, other: &str) -> bool {
    match (one.split_at_checked(1), other.split_at_checked(1)) {
        (Some((first, rest)), Some((other, others))) => first.eq_ignore_ascii_case(other) && rest == others,
        _ => false,
    }
}

/// Returns the words and signs of a text, without punctuation between sentences.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for chunk in text.split_whitespace() {
        let chunk = without_punctuation(chunk).replace(['\'', '’'], "");
        let mut word = String::new();
        for c in chunk.chars() {
            if is_of_word(c) || (matches!(c, '.' | ',' | ':') && word.ends_with(|c: char| c.is_numeric())) {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if !QUOTES.contains(&c) {
                tokens.push(c.to_string());
            }
        }
        if !word.is_empty() {
            tokens.push(word);
        }
    }
    tokens
}

/// Returns a chunk of text without the marks behind it; the exclamation mark of a factorial is a sign.
fn without_punctuation(chunk: &str) -> &str {
    let bare = chunk.trim_end_matches(PUNCTUATION);
    let is_figure = bare.ends_with(|c: char| c.is_numeric() || c == ')');
    if is_figure && chunk[bare.len()..].starts_with('!') { &chunk[..=bare.len()] } else { bare }
}

/// Returns a word that is a figure, a sign or a negation; a figure with its unit as it is written.
fn figure(token: String) -> Option<Box<str>> {
    if token.chars().any(char::is_numeric) || !token.chars().all(is_of_word) {
        return Some(token.into());
    }
    let lower = token.to_lowercase();
    NEGATIONS.contains(&&*lower).then(|| lower.into())
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the texts between marks of quotation.
fn quotations(text: &str) -> impl Iterator<Item = &str> {
    text.split(QUOTES).skip(1).step_by(2)
}

#[cfg(test)]
mod tests;
