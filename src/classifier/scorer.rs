//! One prompt's way from text to scores: tokens, embedding, heads.

use std::slice;
use std::sync::Arc;

use super::bundle::Bundle;
use super::encoder::{Encoder, InferenceError};
use super::heads::{Blocks, Heads};
use super::manifest::Block;
use super::ngrams::Ngrams;
use super::tokenize::{Excerpt, Tokenizer, Tokens};
use crate::scores::{Scores, Source};

/// The most prompts that are encoded in one run.
pub(crate) const MAX_BATCH: usize = 8;

/// What is judged: the text that was kept, and the scaled dense features.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) excerpt: Excerpt,
    pub(crate) features: Vec<f32>,
}

/// Everything that one worker needs to judge prompts.
pub(crate) struct Scorer<E> {
    tokenizer: Arc<Tokenizer>,
    encoder: E,
    heads: Arc<Heads>,
    max_batch: usize,
}

impl<E: Encoder> Scorer<E> {
    /// Puts an encoder between a bundle's tokenizer and heads.
    pub(crate) fn new(bundle: &Bundle, encoder: E) -> Self {
        Self {
            tokenizer: Arc::clone(&bundle.tokenizer),
            encoder,
            heads: Arc::clone(&bundle.heads),
            max_batch: MAX_BATCH,
        }
    }

    /// Returns the scores of each input, in the same order.
    pub(crate) fn score(&mut self, inputs: &[&Input]) -> Result<Vec<Scores>, InferenceError> {
        let tokens = inputs.iter().map(|input| self.tokenizer.tokens(&input.excerpt)).collect::<Result<Vec<_>, _>>()?;
        let embeddings = self.encoder.embed(&tokens)?;
        let rows = inputs.iter().zip(&tokens).zip(&embeddings);
        rows.map(|((input, tokens), embedding)| self.heads_of(input, tokens, embedding)).collect()
    }

    /// Runs the shortest, the longest and the widest input, so that no request pays for the first allocation.
    pub(crate) fn warm_up(&mut self) -> Result<(), InferenceError> {
        let longest = self.tokenizer.longest();
        let shortest = self.tokenizer.tokens(&self.tokenizer.budget().excerpt(""))?;
        self.encoder.embed(&[shortest])?;
        self.encoder.embed(slice::from_ref(&longest))?;
        self.encoder.embed(&vec![longest; MAX_BATCH])?;
        Ok(())
    }

    /// Returns how many prompts may be encoded in one run.
    pub(crate) const fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Takes one prompt a run from now on, for encoders whose embeddings depend on what else is in the batch.
    pub(crate) const fn encode_apart(&mut self) {
        self.max_batch = 1;
    }

    fn heads_of(&self, input: &Input, tokens: &Tokens, embedding: &[f32]) -> Result<Scores, InferenceError> {
        let ngrams = if self.heads.read(Block::Ngrams) { Ngrams::of(&input.excerpt) } else { Ngrams::default() };
        let blocks = Blocks { embedding, features: &input.features, ngrams: &ngrams };
        Ok(Scores {
            source: Source::Encoder,
            heads: self.heads.score(blocks)?,
            tokens: u32::try_from(tokens.ids.len()).unwrap_or(u32::MAX),
            truncated_tokens: tokens.truncated,
        })
    }
}
