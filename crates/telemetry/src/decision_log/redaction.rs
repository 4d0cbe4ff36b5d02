//! Personal data and secrets in texts of the log, replaced by their kinds: `[EMAIL]`, `[KEY]`.
//!
//! One regular expression, which takes time linear in the text, finds what looks like one; what has a checksum must have
//! a good one. `docs/decision-log.md` says which forms are known, and what is not caught: names, addresses of streets, and
//! whatever has no form of its own. Runs on the log's own thread.

mod checks;
mod cut;
mod forms;

use std::borrow::Cow;

use pointsman_core::config::{RedactedKind, RedactedKinds};
use regex_automata::meta::Regex;
use regex_automata::{Input, Match};

pub(super) use self::cut::before_cut;
use self::forms::{FORMS, SecretForm};

/// The longest thing that is looked into word by word where it only looked like a secret. A longer run without a blank
/// is passed over whole: each of its words would be read to its end, time and again.
const LONGEST_RUN: usize = 256;

/// Replaces the kinds that the operator named.
#[derive(Debug)]
pub(super) struct Redactor {
    pattern: Regex,
    /// The forms in the order of the expression's patterns.
    forms: Vec<&'static SecretForm>,
}

/// A text whose personal data is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactedText<'t> {
    /// The text.
    pub text: Cow<'t, str>,
    /// The number of replacements.
    pub replaced: u64,
}

impl<'t> RedactedText<'t> {
    pub(super) const fn unchanged(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), replaced: 0 }
    }
}

impl Redactor {
    /// Makes one for these kinds; `None` where nothing is to be replaced.
    pub(super) fn new(kinds: &RedactedKinds) -> Option<Self> {
        let forms: Vec<_> = FORMS.iter().filter(|form| kinds.has(form.kind)).collect();
        if forms.is_empty() {
            return None;
        }
        let patterns: Vec<_> = forms.iter().map(|form| form.pattern).collect();
        let pattern = Regex::new_many(&patterns).expect("forms are regular expressions");
        Some(Self { pattern, forms })
    }

    pub(super) fn redact<'t>(&self, text: &'t str) -> RedactedText<'t> {
        let (mut out, mut copied, mut at, mut replaced) = (String::new(), 0, 0, 0);
        while let Some(found) = self.pattern.find(Input::new(text).range(at..)) {
            let Some((kind, length)) = self.known(text, &found) else {
                at = if found.len() > LONGEST_RUN { found.end() } else { after_word(text, found.start()) };
                continue;
            };
            out.push_str(&text[copied..found.start()]);
            out.push_str(placeholder(kind));
            replaced += 1;
            copied = found.start() + length;
            at = copied;
        }
        if replaced == 0 {
            return RedactedText::unchanged(text);
        }
        out.push_str(&text[copied..]);
        RedactedText { text: out.into(), replaced }
    }

    /// Returns the kind of what was found, and how long it is; `None` where its checksum or its numbers are wrong.
    fn known(&self, text: &str, found: &Match) -> Option<(RedactedKind, usize)> {
        let form = self.forms.get(found.pattern().as_usize())?;
        let length = (form.check)(&text[found.range()])?;
        (length > 0).then_some((form.kind, length))
    }
}

/// Returns the place from which to look on after something that only looked like a secret: behind its first word.
fn after_word(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(1, char::len_utf8);
    start + word.max(first)
}

const fn placeholder(kind: RedactedKind) -> &'static str {
    match kind {
        RedactedKind::Email => "[EMAIL]",
        RedactedKind::Phone => "[PHONE]",
        RedactedKind::Iban => "[IBAN]",
        RedactedKind::Card => "[CARD]",
        RedactedKind::Ssn => "[SSN]",
        RedactedKind::Ip => "[IP]",
        RedactedKind::Key => "[KEY]",
    }
}

#[cfg(test)]
mod tests;
