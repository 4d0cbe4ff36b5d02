//! The rung below the encoder: heads over features and n-grams, scored on the caller's own thread.
//!
//! Such a head answers in microseconds and needs neither queue nor ONNX Runtime. It answers for itself, and as a
//! lexical form for the head that it stands for: when it is sure enough (the cascade), or when the encoder cannot.

use std::sync::Arc;

use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_core::scores::{Familiarity, HeadScores, ScoreSource, Scores};

use super::error::InferenceError;
use super::heads::{HeadInputs, Heads};
use super::ngrams::{self, Ngrams};
use super::scorer::ScorerInput;
use crate::manifest::{InputBlock, Manifest, StopConfidence};

/// About how many characters one token is, for what was cut of a text that no tokenizer has seen.
const CHARS_PER_TOKEN: usize = 4;

/// The heads of a bundle that need no encoder.
#[derive(Debug)]
pub(crate) struct LexicalHeads {
    heads: Arc<Heads>,
    forms: Vec<LexicalForm>,
    /// Every head that is no form of another: what a caller may want when it names none.
    all: Vec<Name>,
    reads_ngrams: bool,
    cascade: bool,
}

/// The heads that a caller reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HeadsRead<'a> {
    /// All of the bundle.
    All,
    /// Those of these names.
    Named(&'a [Name]),
}

impl HeadsRead<'_> {
    /// Returns whether the head called `name` is one of them.
    pub(crate) fn has(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|own| **own == *name),
        }
    }
}

/// A head that stands for another.
#[derive(Debug)]
struct LexicalForm {
    stands_for: Arc<str>,
    form: Arc<str>,
    /// The probability of its label from which on it is enough.
    confidence: Option<StopConfidence>,
}

impl LexicalHeads {
    /// Returns the lexical heads of a bundle, if it has any.
    pub(crate) fn new(manifest: &Manifest, heads: &Arc<Heads>, cascade: config::LexicalCascade) -> Option<Self> {
        if !heads.has_lexical() {
            return None;
        }
        let forms = manifest.heads.iter().filter_map(|head| {
            let stands_for = head.stands_for.as_ref()?.as_str().into();
            #[expect(clippy::cast_possible_truncation, reason = "probabilities are f32")]
            let asked = cascade.confidence.map(|ratio| StopConfidence::Any(ratio.get() as f32));
            let confidence = asked.or_else(|| head.confidence.clone());
            Some(LexicalForm { stands_for, form: head.name.as_str().into(), confidence })
        });
        let all = manifest.heads.iter().filter(|head| head.stands_for.is_none());
        Some(Self {
            heads: Arc::clone(heads),
            forms: forms.collect(),
            all: all.map(|head| head.name.clone()).collect(),
            reads_ngrams: heads.read_lexically(InputBlock::Ngrams),
            cascade: cascade.enabled,
        })
    }

    /// Returns the scores of the lexical heads that `read` names, or all: under the names that they stand for, then under
    /// their own.
    ///
    /// # Errors
    /// When a score is not a number.
    pub(crate) fn score(&self, input: &ScorerInput, read: HeadsRead<'_>) -> Result<Vec<HeadScores>, InferenceError> {
        let none = Ngrams::default();
        let ngrams = if self.reads_ngrams { input.ngrams() } else { &none };
        let blocks = HeadInputs { embedding: &[], features: &input.features, ngrams };
        let own = self.heads.score_lexical_of(blocks, |head| self.is_among(head, read))?;
        let stand_in = |form: &LexicalForm| {
            let scores = own.iter().find(|scores| scores.head == form.form)?;
            Some(HeadScores { head: Arc::clone(&form.stands_for), ..scores.clone() })
        };
        let mut scores: Vec<_> = self.forms.iter().filter_map(stand_in).collect();
        scores.extend(own);
        Ok(scores)
    }

    /// Returns whether a caller reads `head`: by its own name, or in place of the head that it stands for.
    pub(crate) fn is_among(&self, head: &str, read: HeadsRead<'_>) -> bool {
        let stands_for = || self.forms.iter().find(|form| *form.form == *head).map(|form| &*form.stands_for);
        read.has(head) || stands_for().is_some_and(|stood_for| read.has(stood_for))
    }

    /// Returns whether the cascade may stop here for a caller that wants the heads `asked`; for none, every head.
    pub(crate) fn may_be_enough(&self, asked: &[Name]) -> bool {
        self.cascade && self.wanted(asked).iter().all(|head| self.is_lexical(head) || self.confidence(head).is_some())
    }

    /// Returns whether `scores` are sure enough for a caller that wants the heads `asked`.
    pub(crate) fn are_enough(&self, scores: &[HeadScores], asked: &[Name]) -> bool {
        self.wanted(asked).iter().all(|head| {
            let scores = scores.iter().find(|scores| &*scores.head == head.as_str());
            let is_sure = || scores.zip(self.confidence(head)).is_some_and(|(scores, least)| least.suffices(scores));
            self.is_lexical(head) || is_sure()
        })
    }

    /// Returns whether it has something to say on the heads `asked`, or on any head when none is named.
    pub(crate) fn answers(&self, asked: &[Name]) -> bool {
        let knows = |head: &Name| self.is_lexical(head) || self.forms.iter().any(|form| *form.stands_for == **head);
        if asked.is_empty() { self.all.iter().any(knows) } else { asked.iter().all(knows) }
    }

    /// Puts scores together that no encoder had a part in.
    pub(crate) fn scores(input: &ScorerInput, heads: Vec<HeadScores>, source: ScoreSource) -> Scores {
        let cut = input.excerpt.chars().saturating_sub(2 * ngrams::MAX_CHARS).div_ceil(CHARS_PER_TOKEN);
        let truncated_tokens = u32::try_from(cut).unwrap_or(u32::MAX);
        Scores {
            source,
            heads,
            tokens: 0,
            truncated_tokens,
            embedding: None,
            familiarity: Familiarity::UNKNOWN,
            is_cached: false,
        }
    }

    /// Returns the head that stands for `head`.
    pub(crate) fn form_of(&self, head: &str) -> Option<&str> {
        self.forms.iter().find(|form| &*form.stands_for == head).map(|form| &*form.form)
    }

    fn wanted<'a>(&'a self, asked: &'a [Name]) -> &'a [Name] {
        if asked.is_empty() { &self.all } else { asked }
    }

    fn is_lexical(&self, head: &Name) -> bool {
        self.heads.is_lexical(head)
    }

    fn confidence(&self, head: &Name) -> Option<&StopConfidence> {
        self.forms.iter().find(|form| *form.stands_for == **head)?.confidence.as_ref()
    }
}
