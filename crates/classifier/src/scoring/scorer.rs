//! One prompt's way from text to scores: tokens, embedding, heads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pointsman_core::features::Features;
use pointsman_core::scores::{Familiarity, ScoreSource, Scores};

use super::encoder::{Encoder, RunTerminator};
use super::error::InferenceError;
use super::heads::{HeadInputs, Heads};
use super::inputs::FeatureInputs;
use super::ngrams::Ngrams;
use super::tokenize::{TextExcerpt, TokenBudget, TokenIds, Tokenizer};
use crate::manifest::InputBlock;

/// The number of length classes: up to 16 tokens, 32, 64, ..., 8192.
pub(crate) const LENGTHS: usize = 10;

/// The tokens of the shortest length, as a power of two.
const SHORTEST: u32 = 4;

/// The most prompts that are encoded together before larger batches are tried out: more would cost start-up and memory.
const WARM_BATCH: usize = 2;

/// The longest prompts that batches are tried out with: where these gain nothing by company, longer ones gain less.
const TRIED_TOKENS: usize = 64;

/// The trials of each batch size; the fastest run counts, as whatever else the machine does only slows one down.
const TRIALS: usize = 2;

/// The gain in throughput by twice as many prompts a run that is worth their waiting for each other.
const GAIN: f64 = 1.05;

/// The input of one scoring: the text that was kept, and the scaled dense features.
#[derive(Debug)]
pub(crate) struct ScorerInput {
    pub(crate) excerpt: TextExcerpt,
    pub(crate) features: Vec<f32>,
    /// The length class (below [`LENGTHS`]) that the text probably has; batches are of one class.
    pub(crate) length: usize,
    /// The n-grams, counted when they are first read.
    ngrams: OnceLock<Ngrams>,
}

impl ScorerInput {
    /// Keeps of a text and its features what a bundle reads.
    pub(crate) fn new(text: &str, features: &Features, budget: TokenBudget, inputs: &FeatureInputs) -> Self {
        let excerpt = budget.excerpt(text);
        let length = length(budget.estimate(&excerpt));
        Self { excerpt, features: inputs.scale(features), length, ngrams: OnceLock::new() }
    }

    /// Returns the text's n-grams, in the order of the text.
    pub(crate) fn ngrams(&self) -> &Ngrams {
        self.ngrams.get_or_init(|| Ngrams::unsorted(&self.excerpt))
    }
}

/// Returns the index of the first length that `tokens` tokens fit.
pub(crate) fn length(tokens: usize) -> usize {
    let power = tokens.next_power_of_two().trailing_zeros().max(SHORTEST);
    usize::try_from(power - SHORTEST).unwrap_or(LENGTHS).min(LENGTHS - 1)
}

/// Returns the most tokens of a length class.
pub(crate) const fn tokens_of(length: usize) -> usize {
    1 << (length + SHORTEST as usize)
}

/// A tokenizer, an encoder and heads: everything that one worker needs to score prompts.
pub(crate) struct Scorer<E> {
    tokenizer: Arc<Tokenizer>,
    encoder: E,
    heads: Arc<Heads>,
    max_batch: usize,
    /// The number of prompts that are encoded together, `[length class]`.
    batches: [usize; LENGTHS],
    /// The time of one prompt, `[length class]`, of those that were tried out.
    trials: [Option<Duration>; LENGTHS],
    returns_embeddings: bool,
}

impl<E: Encoder> Scorer<E> {
    /// Puts an encoder between a bundle's tokenizer and heads; it takes at most `max_batch` prompts a run.
    pub(crate) fn new(tokenizer: &Arc<Tokenizer>, heads: &Arc<Heads>, encoder: E, max_batch: usize) -> Self {
        let (tokenizer, heads) = (Arc::clone(tokenizer), Arc::clone(heads));
        let batches = [max_batch; LENGTHS];
        Self { tokenizer, encoder, heads, max_batch, batches, trials: [None; LENGTHS], returns_embeddings: false }
    }

    /// Returns what ends the run that goes on.
    pub(crate) fn brake(&self) -> RunTerminator {
        self.encoder.brake()
    }

    /// Returns the embeddings beside the scores from now on, where something compares them.
    pub(crate) const fn return_embeddings(&mut self) {
        self.returns_embeddings = true;
    }

    /// Returns the scores of each input, in the same order, of as many tokens as the budget has.
    pub(crate) fn score(&mut self, inputs: &[&ScorerInput]) -> Result<Vec<Scores>, InferenceError> {
        self.score_within(inputs, self.tokenizer.budget().max_tokens())
    }

    /// Returns the scores of each input, in the same order, of at most `window` tokens.
    pub(crate) fn score_within(
        &mut self,
        inputs: &[&ScorerInput],
        window: usize,
    ) -> Result<Vec<Scores>, InferenceError> {
        let tokens = |input: &&ScorerInput| self.tokenizer.tokens_within(&input.excerpt, window);
        let tokens = inputs.iter().map(tokens).collect::<Result<Vec<_>, _>>()?;
        let embeddings = self.embed(&tokens)?;
        let rows = inputs.iter().zip(&tokens).zip(&embeddings);
        rows.map(|((input, tokens), embedding)| self.heads_of(input, tokens, embedding)).collect()
    }

    /// Embeds texts, those of like length together: a long one must not make short ones pay for its padding. Before it
    /// is tokenised a text's length is only estimated, so a batch may hold both.
    fn embed(&mut self, tokens: &[TokenIds]) -> Result<Vec<Vec<f32>>, InferenceError> {
        if tokens.len() == 1 {
            return self.encoder.embed(tokens);
        }
        let lengths: Vec<usize> = tokens.iter().map(|tokens| tokens.ids.len()).collect();
        let runs = runs_of(&lengths, self.tokenizer.budget().least_tokens());
        if runs.len() == 1 {
            return self.encoder.embed(tokens);
        }
        let mut embeddings = vec![Vec::new(); tokens.len()];
        for run in runs {
            let rows: Vec<TokenIds> = run.iter().map(|index| tokens[*index].clone()).collect();
            for (index, embedding) in run.into_iter().zip(self.encoder.embed(&rows)?) {
                embeddings[index] = embedding;
            }
        }
        Ok(embeddings)
    }

    /// Runs the longest input, and several at once: no request should be the first to find out that these fail.
    pub(crate) fn warm_up(&mut self) -> Result<(), InferenceError> {
        let (budget, least) = (self.tokenizer.budget().max_tokens(), self.tokenizer.budget().least_tokens());
        let rows = self.max_batch.min(WARM_BATCH);
        if least < budget {
            self.run_dummy(budget).map_err(|source| self.too_long(0..budget, source))?;
        }
        let widest = vec![self.tokenizer.dummy(least); rows];
        let Err(error) = self.encoder.embed(&widest) else { return Ok(()) };
        match self.run_dummy(least) {
            Ok(()) => Err(InferenceError::Batch { rows, source: Box::new(error) }),
            Err(error) => Err(self.too_long(0..least, error)),
        }
    }

    fn run_dummy(&mut self, tokens: usize) -> Result<(), InferenceError> {
        self.encoder.embed(&[self.tokenizer.dummy(tokens)]).map(drop)
    }

    /// Finds the longest input that runs, when one of `between.end` tokens failed and one of `between.start` did not.
    fn too_long(&mut self, between: Range<usize>, source: InferenceError) -> InferenceError {
        let Range { start: mut longest, end: mut fails } = between;
        while fails - longest > 1 {
            let middle = usize::midpoint(longest, fails);
            match self.run_dummy(middle) {
                Ok(()) => longest = middle,
                Err(_) => fails = middle,
            }
        }
        if longest < self.tokenizer.shortest_budget() {
            return source; // No length runs, so the length is not what it fails of.
        }
        let max_tokens = self.tokenizer.budget().max_tokens();
        InferenceError::TooLong { max_tokens, longest, source: Box::new(source) }
    }

    /// Tries out how many prompts of each length a run serves best. Where twice as many take twice as long, as they do
    /// on the CPUs measured, company would only make the first of a batch wait for the last; longer ones gain less by it
    /// and are not tried.
    pub(crate) fn tune(&mut self) -> Result<(), InferenceError> {
        if self.max_batch == 1 {
            return Ok(());
        }
        let (longest, mut best) = (self.tokenizer.budget().max_tokens(), self.max_batch);
        for index in 0..LENGTHS {
            let tokens = 1 << (index + SHORTEST as usize);
            if index == 0 || (best > 1 && tokens <= longest.min(TRIED_TOKENS)) {
                let prompt = self.tokenizer.dummy(tokens.min(longest));
                best = best_batch(self.max_batch, |size| {
                    let took = self.fastest(&vec![prompt.clone(); size])?;
                    self.trials[index].get_or_insert(took);
                    Ok(took)
                })?;
            }
            self.batches[index] = best;
        }
        Ok(())
    }

    fn fastest(&mut self, batch: &[TokenIds]) -> Result<Duration, InferenceError> {
        let mut least = Duration::MAX;
        for _ in 0..TRIALS {
            let started = Instant::now();
            self.encoder.embed(batch)?;
            least = least.min(started.elapsed());
        }
        Ok(least)
    }

    /// Returns the tokenizer's budget.
    pub(crate) fn budget(&self) -> TokenBudget {
        self.tokenizer.budget()
    }

    /// Returns the time of one prompt of one of the [`LENGTHS`], if it was tried out.
    pub(crate) const fn trial(&self, length: usize) -> Option<Duration> {
        self.trials[length]
    }

    /// Returns how many prompts are encoded in one run at most, of any length.
    pub(crate) fn largest_batch(&self) -> usize {
        self.batches.into_iter().max().unwrap_or(1)
    }

    /// Returns how many prompts of one of the [`LENGTHS`] are encoded in one run.
    pub(crate) const fn batch_of(&self, length: usize) -> usize {
        self.batches[length]
    }

    /// Takes one prompt a run from now on, for encoders whose embeddings depend on what else is in the batch.
    pub(crate) const fn encode_apart(&mut self) {
        self.max_batch = 1;
        self.batches = [1; LENGTHS];
    }

    fn heads_of(&self, input: &ScorerInput, tokens: &TokenIds, embedding: &[f32]) -> Result<Scores, InferenceError> {
        let none = Ngrams::default();
        let ngrams = if self.heads.read(InputBlock::Ngrams) { input.ngrams() } else { &none };
        let blocks = HeadInputs { embedding, features: &input.features, ngrams };
        Ok(Scores {
            source: ScoreSource::Encoder,
            heads: self.heads.score(blocks)?,
            tokens: u32::try_from(tokens.ids.len()).unwrap_or(u32::MAX),
            truncated_tokens: tokens.truncated,
            embedding: self.returns_embeddings.then(|| embedding.into()),
            familiarity: Familiarity::UNKNOWN,
            is_cached: false,
        })
    }
}

/// Returns which texts run together, by their tokens: all of at most `least`, and of the longer ones those of one length
/// class.
pub(crate) fn runs_of(tokens: &[usize], least: usize) -> Vec<Vec<usize>> {
    let class = |tokens: usize| if tokens <= least { 0 } else { 1 + length(tokens) };
    let mut runs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, tokens) in tokens.iter().enumerate() {
        runs.entry(class(*tokens)).or_default().push(index);
    }
    runs.into_values().collect()
}

/// Doubles a batch for as long as that gains throughput; `took` says how long one of that size runs.
fn best_batch(
    most: usize,
    mut took: impl FnMut(usize) -> Result<Duration, InferenceError>,
) -> Result<usize, InferenceError> {
    let (mut best, mut fastest) = (1, took(1)?.as_secs_f64());
    while best < most {
        let next = (best * 2).min(most);
        let row = took(next)?.as_secs_f64() / next as f64;
        if row * GAIN > fastest {
            break;
        }
        (best, fastest) = (next, row);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::serving::tests::{ScriptedEncoder, fixture, zeros};

    /// Returns why an encoder that runs what `fits` is refused, by a tokenizer with a budget of 16 tokens.
    fn refusal(fits: impl Fn(&[TokenIds]) -> bool + Send + 'static) -> String {
        let bundle = Bundle::open(&fixture()).expect("the fixture is sound");
        let failed = || InferenceError::Run("out of range".into());
        let encoder = ScriptedEncoder::new(move |batch| if fits(batch) { zeros(batch) } else { Err(failed()) });
        let mut scorer = Scorer::new(&bundle.tokenizer, &bundle.heads, encoder, 8);
        scorer.warm_up().expect_err("some input fails").to_string()
    }

    #[test]
    fn a_budget_beyond_the_positions_is_refused_with_the_longest_input_that_runs() {
        let refusal = refusal(|batch| batch[0].ids.len() <= 11);

        assert!(refusal.starts_with("tokenizer.max_tokens is 16, and the model runs inputs of 11 tokens"), "{refusal}");
    }

    #[test]
    fn a_batch_that_was_fixed_by_the_export_is_refused_with_its_cure() {
        let refusal = refusal(|batch| batch.len() == 1);

        assert!(refusal.starts_with("the model runs one input and fails with 2 at once"), "{refusal}");
        assert!(refusal.contains("`batch: {max_size: 1}`"), "{refusal}");
    }

    #[test]
    fn a_model_that_runs_nothing_is_not_blamed_on_the_length() {
        assert_eq!(refusal(|_| false), "ONNX Runtime failed");
    }

    /// Returns the batch that is chosen where a run takes `fixed` and `row` for each prompt.
    fn chosen(fixed: u64, row: u64) -> usize {
        best_batch(24, |size| Ok(Duration::from_micros(fixed + row * size as u64))).expect("a size")
    }

    #[test]
    fn a_batch_grows_for_as_long_as_company_is_cheap() {
        assert_eq!(chosen(0, 1000), 1);
        assert_eq!(chosen(50, 1000), 1);
        assert_eq!(chosen(1000, 1000), 16);
        assert_eq!(chosen(1000, 1), 24);
    }

    #[test]
    fn short_texts_share_a_run_and_long_ones_share_it_with_their_like() {
        let runs = runs_of(&[70, 3, 64, 500, 65, 260, 120], 64);

        assert_eq!(runs, [vec![1, 2], vec![0, 4, 6], vec![3, 5]]);
    }

    #[test]
    fn embeddings_come_back_in_the_order_of_their_texts_whatever_runs_together() {
        let mut bundle = Bundle::open(&fixture()).expect("the fixture is sound");
        Arc::get_mut(&mut bundle.tokenizer).expect("not shared yet").widen(16, 64);
        let lengths = |batch: &[TokenIds]| Ok(batch.iter().map(|tokens| vec![tokens.ids.len() as f32]).collect());
        let mut scorer = Scorer::new(&bundle.tokenizer, &bundle.heads, ScriptedEncoder::new(lengths), 8);
        let texts = [64, 4, 20, 60, 16].map(|tokens| bundle.tokenizer.dummy(tokens));

        let embeddings = scorer.embed(&texts).expect("embeddings");

        assert_eq!(embeddings.concat(), [64.0, 4.0, 20.0, 60.0, 16.0]);
    }

    #[test]
    fn a_length_holds_up_to_twice_the_tokens_of_the_one_before() {
        let lengths = [0, 2, 16, 17, 32, 33, 64, 4097, 8192].map(length);

        assert_eq!(lengths, [0, 0, 0, 1, 1, 2, 2, 9, 9]);
    }
}
