//! Text to token ids, within a budget, without ever reading more of a long text than can matter.
//!
//! Two cuts. [`TokenBudget::excerpt`] cuts characters, before a text is queued, so that a 5 MiB prompt neither waits in
//! memory nor is tokenised as a whole; where the bundle says so, what the ends repeat is cut as well.
//! [`Tokenizer::tokens`] then cuts tokens out of the middle. Training cuts the same way.

mod controls;
mod vocabulary;

use std::borrow::Cow;

use self::controls::ControlTokens;
pub(crate) use self::vocabulary::{PaddingSide, TokenPadding};
use super::ends;
use super::error::InferenceError;
use super::repeats::RepeatFilter;
use crate::manifest::{ManifestError, TokenizerSpec, TokenizerSpecError};

/// The characters of each end of a long text that are tokenised, a token of the shortest window.
const CHARS_PER_TOKEN: usize = 16;

/// About how much text is one token, to tell short prompts from long ones before they are tokenised.
const BYTES_PER_TOKEN: usize = 4;

/// The number of tokens that fit, and of those that come from a long text's start.
#[derive(Debug, Clone, Copy)]
pub struct TokenBudget {
    max_tokens: usize,
    least_tokens: usize,
    head_tokens: usize,
    repeat_words: Option<usize>,
}

/// The rest of a text after the first cut: all of it, or its two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextExcerpt {
    head: String,
    tail: String,
    /// Characters of the whole text when some were cut.
    cut_from: Option<usize>,
}

/// The two ends of a text, or all of it as the first.
struct TextEnds<'t> {
    head: &'t str,
    tail: &'t str,
    cut_from: Option<usize>,
}

/// The ids that an encoder reads, specials included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIds {
    /// At least the specials.
    pub ids: Vec<i64>,
    /// Tokens that were cut out of the middle; estimated when characters were cut as well.
    pub truncated: u32,
}

/// A bundle's tokenizer and its budget.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    controls: ControlTokens,
    budget: TokenBudget,
    /// Before and after every text, such as `[CLS]` and `[SEP]`; empty where the model wants none.
    specials: [Vec<i64>; 2],
    padding: Option<TokenPadding>,
    file: String,
    largest_id: u64,
}

/// An error of a tokenizer file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum TokenizerError {
    /// The tokenizer cannot be built.
    #[error("{file} is not a tokenizer")]
    Load { file: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// The token that the manifest names for padding is not in the vocabulary.
    #[error("{file} has no token `{token}`, which tokenizer.pad_token names")]
    NoToken { file: String, token: String },
    /// The manifest's budget is too small for what this tokenizer adds to every text.
    #[error(transparent)]
    Budget(#[from] ManifestError),
}

impl TokenBudget {
    /// Takes the budget of a checked manifest.
    pub(crate) fn new(spec: &TokenizerSpec) -> Self {
        let TokenizerSpec { max_tokens, head_tokens, repeat_words, .. } = *spec;
        Self { max_tokens, least_tokens: spec.least_tokens.unwrap_or(max_tokens), head_tokens, repeat_words }
    }

    /// Takes a budget of `max_tokens`.
    #[cfg(test)]
    pub(crate) const fn of_tokens(max_tokens: usize) -> Self {
        Self { max_tokens, least_tokens: max_tokens, head_tokens: max_tokens / 2, repeat_words: None }
    }

    /// Cuts the middle out of a text longer than 32 characters a token of the shortest window, and then what is said
    /// again. At four characters a token the ends still fill a window eight times as long.
    #[must_use]
    pub fn excerpt(self, text: &str) -> TextExcerpt {
        let TextEnds { head, tail, cut_from } = self.ends(text);
        let Some(window) = self.repeat_words else {
            return TextExcerpt { head: head.to_owned(), tail: tail.to_owned(), cut_from };
        };
        let mut repeats = RepeatFilter::new(window);
        let (head, tail) = (repeats.once(head).into_owned(), repeats.once(tail).into_owned());
        TextExcerpt { head, tail, cut_from }
    }

    fn ends(self, text: &str) -> TextEnds<'_> {
        let end = CHARS_PER_TOKEN * self.least_tokens;
        if ends::after_first(text, 2 * end) == text.len() {
            return TextEnds { head: text, tail: "", cut_from: None };
        }
        let (head, tail) = (&text[..ends::after_first(text, end)], &text[ends::before_last(text, end)..]);
        TextEnds { head, tail, cut_from: Some(text.chars().count()) }
    }

    /// Cuts the middle out of a long text; the excerpt of what is left holds the same words.
    pub(crate) fn clip(self, text: &str) -> Cow<'_, str> {
        let end = CHARS_PER_TOKEN * self.least_tokens + 1;
        if ends::after_first(text, 2 * end) == text.len() {
            return Cow::Borrowed(text);
        }
        Cow::Owned([&text[..ends::after_first(text, end)], &text[ends::before_last(text, end)..]].concat())
    }

    /// Returns about how many tokens of the budget an excerpt takes: four bytes of text are one.
    pub(crate) fn estimate(self, excerpt: &TextExcerpt) -> usize {
        ((excerpt.head.len() + excerpt.tail.len()) / BYTES_PER_TOKEN + 2).min(self.max_tokens)
    }

    /// Returns the budget itself: the longest window.
    pub(crate) const fn max_tokens(self) -> usize {
        self.max_tokens
    }

    /// Returns the window that a text gets however near its deadline is.
    pub(crate) const fn least_tokens(self) -> usize {
        self.least_tokens
    }

    /// Returns the tokens that a window takes from a long text's start: the same share of every window.
    const fn head_of(self, window: usize) -> usize {
        self.head_tokens * window / self.max_tokens
    }
}

impl TextExcerpt {
    /// Returns the text's start and end; the end is empty when the start is all of it.
    pub(crate) fn ends(&self) -> [&str; 2] {
        [&self.head, &self.tail]
    }

    /// Returns how many characters the whole text has.
    pub(crate) fn chars(&self) -> usize {
        self.cut_from.unwrap_or_else(|| self.head.chars().count())
    }

    /// Returns how many characters the whole text has when some were cut.
    pub(crate) const fn cut_from(&self) -> Option<usize> {
        self.cut_from
    }
}

impl TextExcerpt {
    /// Returns the first `limit` characters of the text and the last `limit` of the others, a space between them where
    /// something was cut out: parts that follow each other.
    pub(crate) fn parts(&self, limit: usize) -> [&str; 4] {
        let (head, more) = self.head.split_at(ends::after_first(&self.head, limit));
        let tail = &self.tail[ends::before_last(&self.tail, limit)..];
        let left = limit - tail.chars().count();
        let rest = &more[ends::before_last(more, left)..];
        let is_cut = self.cut_from.is_some() || rest.len() < more.len() || tail.len() < self.tail.len();
        [head, if is_cut { " " } else { "" }, rest, tail]
    }
}

impl Tokenizer {
    /// Builds the tokenizer of `bytes`, a `tokenizer.json`; its truncation is ignored, and its padding says what a batch is filled up with.
    pub(crate) fn parse(spec: &TokenizerSpec, bytes: &[u8]) -> Result<Self, TokenizerError> {
        let failed = |source| TokenizerError::Load { file: spec.file.clone(), source };
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(failed)?;
        // A text is text: one that spells out `[SEP]` must not end the input for the encoder.
        let controls = ControlTokens::hide(&mut inner).map_err(failed)?;
        let padding = vocabulary::padding(&inner, spec)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(failed)?;
        let (specials, file) = (vocabulary::specials(&inner), spec.file.clone());
        let used = specials.iter().flatten().copied().chain(padding.map(|padding| padding.id));
        let largest_id = vocabulary::largest_id(&inner, used);
        let tokenizer = Self { specials, padding, budget: TokenBudget::new(spec), inner, controls, file, largest_id };
        let TokenizerSpec { max_tokens, head_tokens, .. } = *spec;
        if max_tokens < tokenizer.surround() + head_tokens.max(1) {
            return Err(ManifestError::Tokenizer(TokenizerSpecError::Budget { max_tokens, head_tokens }).into());
        }
        Ok(tokenizer)
    }

    /// Returns what fills a batch up, as far as anybody says.
    pub(crate) const fn padding(&self) -> Option<TokenPadding> {
        self.padding
    }

    /// Returns the file that it was read from.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Returns the largest id that it gives.
    pub(crate) const fn largest_id(&self) -> u64 {
        self.largest_id
    }

    /// Returns the fewest tokens that leave room for one of a text.
    pub(crate) const fn shortest_budget(&self) -> usize {
        self.surround() + 1
    }

    /// Returns an input that holds the largest id.
    pub(crate) fn largest(&self) -> TokenIds {
        let id = i64::try_from(self.largest_id).unwrap_or(i64::MAX);
        TokenIds { ids: self.fit(&[id], self.budget.max_tokens), truncated: 0 }
    }

    /// Returns the budget.
    #[must_use]
    pub const fn budget(&self) -> TokenBudget {
        self.budget
    }

    /// Returns the ids of an excerpt, within the budget.
    ///
    /// # Errors
    /// When the tokenizer fails, which well-formed ones do not.
    pub fn tokens(&self, excerpt: &TextExcerpt) -> Result<TokenIds, InferenceError> {
        self.tokens_within(excerpt, self.budget.max_tokens)
    }

    /// Returns the ids of an excerpt, within a window that may be shorter than the budget.
    pub(crate) fn tokens_within(&self, excerpt: &TextExcerpt, window: usize) -> Result<TokenIds, InferenceError> {
        let mut ids = self.encode(&excerpt.head)?;
        if !excerpt.tail.is_empty() {
            ids.extend(self.encode(&excerpt.tail)?);
        }
        let total = excerpt.cut_from.map_or(ids.len(), |chars| {
            // As many tokens a character in the middle as at both ends.
            let read: usize = excerpt.ends().iter().map(|text| text.chars().count()).sum();
            (ids.len() * chars).div_ceil(read.max(1))
        });
        let kept = self.fit(&ids, window.clamp(self.shortest_budget(), self.budget.max_tokens));
        let truncated = u32::try_from(total.saturating_sub(kept.len() - self.surround())).unwrap_or(u32::MAX);
        Ok(TokenIds { ids: kept, truncated })
    }

    /// Returns an input of `tokens` tokens, to warm up with.
    pub(crate) fn dummy(&self, tokens: usize) -> TokenIds {
        let room = tokens.min(self.budget.max_tokens).saturating_sub(self.surround());
        // A special is an id that every vocabulary has, and 0 nearly always.
        let id = self.specials.concat().first().copied().unwrap_or_default();
        TokenIds { ids: self.fit(&vec![id; room], self.budget.max_tokens), truncated: 0 }
    }

    #[cfg(test)]
    pub(crate) const fn widen(&mut self, least_tokens: usize, max_tokens: usize) {
        (self.budget.least_tokens, self.budget.max_tokens) = (least_tokens, max_tokens);
    }

    fn encode(&self, text: &str) -> Result<Vec<i64>, InferenceError> {
        let encoding = self.inner.encode_fast(text, false).map_err(InferenceError::Tokenize)?;
        let found = self.controls.found(encoding.get_ids());
        if found.is_empty() {
            return Ok(encoding.get_ids().iter().copied().map(i64::from).collect());
        }
        let mut ids = Vec::new();
        for part in controls::cut(text, &found) {
            let encoding = self.inner.encode_fast(part, false).map_err(InferenceError::Tokenize)?;
            ids.extend(encoding.get_ids().iter().filter(|id| !self.controls.contain(**id)).copied().map(i64::from));
        }
        Ok(ids)
    }

    fn fit(&self, ids: &[i64], window: usize) -> Vec<i64> {
        let room = window - self.surround();
        let (head, tail) = if ids.len() <= room {
            (ids, &[][..])
        } else {
            let head = self.budget.head_of(window).min(room);
            (&ids[..head], &ids[ids.len() - (room - head)..])
        };
        let [before, after] = &self.specials;
        let ids = [before, head, tail, after].concat();
        // No graph takes a text of no tokens.
        if ids.is_empty() { vec![self.padding.map_or(0, |padding| padding.id)] } else { ids }
    }

    /// Returns how many specials surround a text.
    const fn surround(&self) -> usize {
        self.specials[0].len() + self.specials[1].len()
    }
}

#[cfg(test)]
mod tests;
