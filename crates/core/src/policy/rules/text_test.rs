//! Words and patterns that rules look for in a request's texts: `prompt.contains_any([...])`,
//! `prompt.matches_any([...])`.
//!
//! Compiled when the file is loaded, by engines whose time is linear in the text and whose programs have a bound; what
//! needs a larger one is refused there. So every text is read to its end. Only a text that was made to cost a pattern
//! dear is not, and then the pattern counts as found: no guard passes for want of time.

mod bounded;
mod keyword;

use std::fmt;
use std::sync::Arc;

use regex::{Error, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use self::bounded::{BoundedSearch, SearchOutcome, SearchRun};
use crate::prompt::TextScope;

/// Words or patterns of one test.
pub(super) const MAX_PATTERNS: usize = 2000;
/// The longest word or pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1000;
/// The largest program of one test's patterns, in bytes.
const MAX_PROGRAM_BYTES: usize = 512 << 10;
/// The patterns of a list whose program is too large that are looked at alone, to say which is to blame.
const MAX_TRIED: usize = 20;
/// The largest program of one test's words, which open few branches.
const MAX_WORDS_BYTES: usize = 16 << 20;
/// The most memory for what a thread remembers of a search.
const MAX_CACHE_BYTES: usize = 4 << 20;

/// The kind of pattern that a test looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum TextTestKind {
    /// Whole words, in any case.
    Words,
    /// Regular expressions.
    Patterns,
}

/// One test of a request's texts. Tests that say the same are equal.
#[derive(Clone)]
pub(in crate::policy) struct TextTest {
    /// The test's position among the tests of a configuration.
    pub(super) id: usize,
    kind: TextTestKind,
    pub(super) scope: TextScope,
    patterns: Vec<String>,
    engine: Arc<TextEngine>,
}

enum TextEngine {
    /// `anywhere` finds letters, and fast; where it finds some, `whole` tells whether they are words.
    Words { anywhere: Regex, whole: Regex },
    /// `set` is slower, and knows what words are in every script.
    Patterns { bounded: Box<BoundedSearch>, set: RegexSet },
}

/// The search of a test through the texts of one request.
pub(super) enum TextSearch<'t> {
    Words { anywhere: &'t Regex, whole: &'t Regex },
    Patterns { bounded: SearchRun<'t>, set: &'t RegexSet },
}

/// The mistake in a test: in the pattern with this position, or in all of them together.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) struct UnusablePatterns {
    pub(in crate::policy) pattern: Option<usize>,
    pub(in crate::policy) message: String,
}

impl TextTestKind {
    /// Every kind.
    pub(in crate::policy) const ALL: [Self; 2] = [Self::Words, Self::Patterns];

    /// Returns the method's name in rules.
    pub(in crate::policy) const fn as_str(self) -> &'static str {
        match self {
            Self::Words => "contains_any",
            Self::Patterns => "matches_any",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Words => "word",
            Self::Patterns => "pattern",
        }
    }
}

impl TextTest {
    /// Compiles a test.
    ///
    /// # Errors
    /// When there is nothing to look for, a pattern is none, would be true of every text, or all of them are too much.
    pub(super) fn compile(
        kind: TextTestKind,
        scope: TextScope,
        patterns: Vec<String>,
    ) -> Result<Self, UnusablePatterns> {
        let noun = kind.noun();
        if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
            let message = format!("holds {} {noun}s (allowed: 1 to {MAX_PATTERNS})", patterns.len());
            return Err(UnusablePatterns { pattern: None, message });
        }
        for (index, pattern) in patterns.iter().enumerate() {
            check(kind, pattern).map_err(|message| UnusablePatterns { pattern: Some(index), message })?;
        }
        let engine = match kind {
            TextTestKind::Words => words(&patterns),
            TextTestKind::Patterns => regular(&patterns),
        };
        Ok(Self { id: 0, kind, scope, patterns, engine: Arc::new(engine?) })
    }

    /// Gives the test its position among the tests of a configuration.
    pub(super) fn numbered(self, id: usize) -> Self {
        Self { id, ..self }
    }

    /// Begins to look through the texts of one request.
    pub(super) fn begin(&self) -> TextSearch<'_> {
        match &*self.engine {
            TextEngine::Words { anywhere, whole } => TextSearch::Words { anywhere, whole },
            TextEngine::Patterns { bounded, set } => TextSearch::Patterns { bounded: bounded.begin(), set },
        }
    }

    /// Tells whether a test of these would be the same.
    pub(super) fn is_of(&self, kind: TextTestKind, scope: TextScope, patterns: &[String]) -> bool {
        self.kind == kind && self.scope == scope && self.patterns == patterns
    }
}

impl TextSearch<'_> {
    /// Tells whether one of the words or patterns is in `text`.
    pub(super) fn is_in(&mut self, text: &str) -> bool {
        match self {
            Self::Words { anywhere, whole } => anywhere.is_match(text) && whole.is_match(text),
            Self::Patterns { bounded, set } => match bounded.find(text) {
                SearchOutcome::Yes | SearchOutcome::GaveUp => true,
                SearchOutcome::No => false,
                SearchOutcome::Unknown => set.is_match(text),
            },
        }
    }
}

impl PartialEq for TextTest {
    fn eq(&self, other: &Self) -> bool {
        self.is_of(other.kind, other.scope, &other.patterns)
    }
}

impl Eq for TextTest {}

impl fmt::Debug for TextTest {
    /// Writes the test's number, which says which it is; thousands of words would not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.id)
    }
}

/// Says what is wrong with one word or pattern by its letters alone.
fn check(kind: TextTestKind, pattern: &str) -> Result<(), String> {
    let noun = kind.noun();
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("the {noun} has {} bytes (allowed: {MAX_PATTERN_BYTES})", pattern.len()));
    }
    if pattern.trim().is_empty() {
        return Err(format!("an empty {noun} is in every text"));
    }
    Ok(())
}

/// Compiles words.
fn words(words: &[String]) -> Result<TextEngine, UnusablePatterns> {
    let compile = |pattern: &str| {
        let compiled = RegexBuilder::new(pattern).size_limit(MAX_WORDS_BYTES).dfa_size_limit(MAX_CACHE_BYTES).build();
        compiled.map_err(|error| UnusablePatterns { pattern: None, message: complaint("the list", &error) })
    };
    Ok(TextEngine::Words { anywhere: compile(&keyword::anywhere(words))?, whole: compile(&keyword::whole(words))? })
}

/// Compiles regular expressions, or says which of them cannot be meant.
///
/// All of them first, whose program has a bound: one after the other they could be a thousand times as large.
fn regular(patterns: &[String]) -> Result<TextEngine, UnusablePatterns> {
    for (index, pattern) in patterns.iter().enumerate() {
        // Reads the pattern without building its program.
        let unusable =
            |error| UnusablePatterns { pattern: Some(index), message: complaint(&format!("`{pattern}`"), &error) };
        regex_automata::util::syntax::parse(pattern).map_err(|error| unusable(Error::Syntax(error.to_string())))?;
    }
    let set = RegexSetBuilder::new(patterns).size_limit(MAX_PROGRAM_BYTES).dfa_size_limit(MAX_CACHE_BYTES).build();
    for (index, pattern) in patterns.iter().enumerate().take(if set.is_ok() { patterns.len() } else { MAX_TRIED }) {
        let unusable = |message| UnusablePatterns { pattern: Some(index), message };
        let alone = RegexBuilder::new(pattern).size_limit(MAX_PROGRAM_BYTES).build();
        let alone = alone.map_err(|error| unusable(complaint(&format!("`{pattern}`"), &error)))?;
        if alone.is_match("") {
            return Err(unusable(format!("`{pattern}` is true of every text, as it needs no character")));
        }
    }
    let unusable = |error| UnusablePatterns { pattern: None, message: complaint("the list", &error) };
    let set = set.map_err(unusable)?;
    let bounded = BoundedSearch::new(patterns, MAX_PROGRAM_BYTES);
    let bounded = bounded.ok_or_else(|| unusable(Error::CompiledTooBig(MAX_PROGRAM_BYTES)))?;
    Ok(TextEngine::Patterns { bounded: Box::new(bounded), set })
}

fn complaint(what: &str, error: &Error) -> String {
    match error {
        Error::CompiledTooBig(limit) => {
            format!(
                "{what} takes a program of more than {} KiB (allowed: less, such as `.*` for `.{{0,9000}}`)",
                limit >> 10
            )
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("{what} is no pattern: {}", last.strip_prefix("error: ").unwrap_or(last))
        }
    }
}
