//! Measures of a prompt: what rules, heads and logs may ask of it.
//!
//! Owns the names: [`FEATURE_TABLE`] is the one list of features, and its order is their index everywhere
//! (`docs/features.md` is rendered from it). Sits between `prompt` and both classifier and policy. Refuses to read
//! bodies, to guess meaning, and to cost more for a hostile prompt than for a friendly one: token counting and the
//! structure scan have fixed bounds. They and the language wait until somebody asks: a rule about images pays for none
//! of them.

mod feature;
mod language;
mod logged;
mod table;
mod text;
mod tokens;

use std::sync::OnceLock;

use bytes::Bytes;

pub use self::feature::{FeatureDefinition, FeatureKind, FeatureScope, FeatureValue};
pub use self::language::{Language, MAX_LANGUAGE_BYTES};
pub use self::table::{FEATURE_TABLE, index_of, table_markdown};
pub use self::text::{MAX_SCANNED_BYTES, TextStructure, Words};
use self::tokens::{MediaTokens, TextMakeup};
pub use self::tokens::{TokenCount, TokenCounter, TokenTally, TokenizerFamily};
use crate::prompt::{
    AskSource, AttachedFiles, Attachments, Dialect, Envelopes, Prompt, PromptParameters, Purpose, ResponseFormat,
};

/// The features of one prompt; [`FEATURE_TABLE`] defines each. The default is an empty conversation that leaves all to
/// the API.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    tokens: OnceLock<TokenTally>,
    /// What the counted texts are made of: asked for where a model's tokenizer is another than the one that counts.
    makeup: OnceLock<TextMakeup>,
    text: OnceLock<TextStructure>,
    attached: OnceLock<Box<AttachedFiles>>,
    language: OnceLock<Language>,
    /// The body that the features above are measured on when they are first asked for.
    source: Option<MeasuredBody>,
    /// Bytes of that body; 0 where the features were measured without one.
    body_bytes: u64,
    /// The most tokens that any tokenizer makes of the texts, known without counting.
    bytes_of_text: u64,
    /// Tokens for what is attached.
    media: MediaTokens,
    /// Turns of any role.
    pub turns: u32,
    /// Turns of the user.
    pub user_turns: u32,
    /// Characters in system and developer turns.
    pub system_chars: u64,
    /// Counts of attachments over all turns.
    pub attachments: Attachments,
    /// Tools on offer.
    pub tools: u32,
    /// Tool calls in progress.
    pub tool_calls: u32,
    /// Failed tool calls in progress.
    pub tool_errors: u32,
    /// Tool results that the model has not seen yet.
    pub tool_results: u32,
    /// Tool calls in progress that had been made before with the same arguments.
    pub repeated_calls: u32,
    /// True where the tool loop makes no headway.
    pub is_stalled: bool,
    /// True where the harness has told the model to plan and change nothing.
    pub is_planning: bool,
    /// The source of the text that a model is chosen by.
    pub ask_source: AskSource,
    /// Bytes of envelopes around the newest ask.
    pub envelope_bytes: u64,
    /// The purpose of the request.
    pub purpose: Purpose,
    /// The request's parameters.
    pub request: RequestParameters,
}

/// A body that was read once and can be read again.
#[derive(Debug, Clone, PartialEq)]
struct MeasuredBody {
    dialect: Dialect,
    body: Bytes,
    envelopes: Envelopes,
}

/// The request's parameters with the API's defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestParameters {
    /// Sampling temperature; 1 if absent.
    pub temperature: f64,
    /// Nucleus sampling mass; 1 if absent.
    pub top_p: f64,
    /// The most tokens the answer may have; 0 if absent.
    pub max_output_tokens: u64,
    /// Asks for a streamed answer.
    pub stream: bool,
    /// The effort of thinking; empty if absent.
    pub reasoning_effort: String,
    /// The shape that the answer must have.
    pub response_format: ResponseFormat,
}

impl Features {
    /// Measures all of `prompt` now. Takes tens of microseconds for 2 KB and about 2 ms at the very worst.
    #[must_use]
    pub fn of(prompt: &Prompt<'_>, counter: &TokenCounter) -> Self {
        let features = Self::counted(prompt, counter);
        features.read_text(prompt);
        features.read_language(prompt);
        features
    }

    /// Counts the tokens of `prompt` now; the newest user turn's structure is never read.
    #[must_use]
    pub fn counted(prompt: &Prompt<'_>, counter: &TokenCounter) -> Self {
        let (tokens, makeup) = (OnceLock::from(counter.of(prompt)), OnceLock::from(counter.makeup_of(prompt)));
        Self { tokens, makeup, ..Self::counts(prompt, None) }
    }

    /// Takes from `prompt` what its parser has counted; text is measured when it is first asked for, from `body`, which
    /// `prompt` was read from.
    #[must_use]
    pub fn deferred(prompt: &Prompt<'_>, body: &Bytes) -> Self {
        let envelopes = prompt.envelopes().clone();
        Self::counts(prompt, Some(MeasuredBody { dialect: prompt.dialect, body: body.clone(), envelopes }))
    }

    fn counts(prompt: &Prompt<'_>, source: Option<MeasuredBody>) -> Self {
        Self {
            tokens: OnceLock::new(),
            makeup: OnceLock::new(),
            text: OnceLock::new(),
            attached: OnceLock::new(),
            language: OnceLock::new(),
            body_bytes: source.as_ref().map_or(0, |source| source.body.len() as u64),
            source,
            bytes_of_text: prompt.text_bytes().saturating_add(prompt.token_ids),
            media: MediaTokens::of(&prompt.media),
            turns: prompt.turns,
            user_turns: prompt.user_turns,
            system_chars: prompt.system_chars,
            attachments: prompt.attachments,
            tools: prompt.tools,
            tool_calls: prompt.tool_calls,
            tool_errors: prompt.tool_errors,
            tool_results: prompt.tool_results,
            repeated_calls: prompt.repeated_calls,
            is_stalled: prompt.is_stalled,
            is_planning: prompt.is_planning,
            ask_source: prompt.ask().source(),
            envelope_bytes: prompt.ask().left_out().iter().map(|left_out| left_out.bytes as u64).sum(),
            purpose: prompt.purpose,
            request: RequestParameters::of(&prompt.parameters),
        }
    }

    /// Reads the newest ask's structure now, from the `prompt` at hand: cheaper than to read the body again.
    pub fn read_text(&self, prompt: &Prompt<'_>) {
        self.text.get_or_init(|| TextStructure::of(prompt.newest_ask()));
    }

    /// Counts the tokens now, from the `prompt` at hand.
    pub fn count(&self, prompt: &Prompt<'_>) {
        self.tokens.get_or_init(|| TokenCounter::new().of(prompt));
    }

    /// Counts the tokens for a model with `tokenizer` now, from the `prompt` at hand.
    pub fn count_for(&self, prompt: &Prompt<'_>, tokenizer: TokenizerFamily) {
        self.count(prompt);
        if tokenizer != TokenizerFamily::Openai {
            self.makeup.get_or_init(|| TokenCounter::new().makeup_of(prompt));
        }
    }

    /// Tells the newest ask's language now, from the `prompt` at hand.
    pub fn read_language(&self, prompt: &Prompt<'_>) {
        self.language.get_or_init(|| Language::of(prompt.newest_ask()));
    }

    /// Measures now, from the `prompt` at hand, what was deferred, and lets go of the body: for those who keep features
    /// of a large one.
    pub fn measure(&mut self, prompt: &Prompt<'_>) {
        self.count_for(prompt, TokenizerFamily::Unknown);
        self.read_text(prompt);
        self.read_language(prompt);
        let _measured = self.attached(); // by its body alone
        self.source = None;
    }

    /// Measures now what was deferred, and lets go of the body if it has more than `limit` bytes: for those who keep
    /// features for long.
    pub fn settle(&mut self, limit: usize) {
        if self.source.as_ref().is_some_and(|source| source.body.len() > limit) {
            let _measured = (self.tokens(), self.makeup(), self.text(), self.attached(), self.language());
            self.source = None;
        }
    }

    /// Replaces the token count, what is attached included.
    #[must_use]
    pub fn with_tokens(self, tokens: TokenCount) -> Self {
        let (tokens, makeup) = (OnceLock::from(TokenTally::from(tokens)), OnceLock::from(TextMakeup::default()));
        Self { tokens, makeup, media: MediaTokens::default(), ..self }
    }

    /// Replaces the newest ask's structure.
    #[must_use]
    pub fn with_text(self, text: TextStructure) -> Self {
        Self { text: OnceLock::from(text), ..self }
    }

    /// Replaces what is known of attached files.
    #[must_use]
    pub fn with_attached(self, attached: AttachedFiles) -> Self {
        Self { attached: OnceLock::from(Box::new(attached)), ..self }
    }

    /// Replaces the language of the newest ask.
    #[must_use]
    pub fn with_language(self, language: Language) -> Self {
        Self { language: OnceLock::from(language), ..self }
    }

    /// Returns the tokens by OpenAI's `o200k_base` and its rules for what is attached; counts them if nobody asked
    /// before.
    #[must_use]
    pub fn tokens(&self) -> TokenCount {
        self.tally().count().plus(self.media.get(TokenizerFamily::Openai))
    }

    /// Returns the most tokens that a model of the family counts, its chat template included.
    #[must_use]
    pub fn tokens_of(&self, tokenizer: TokenizerFamily) -> u64 {
        self.tally().at_most(tokenizer, || self.makeup()).saturating_add(self.beside_text(tokenizer))
    }

    /// Returns a number that [`Features::tokens_of`] does not exceed, without counting: a token has one byte at least.
    #[must_use]
    pub fn tokens_at_most(&self, tokenizer: TokenizerFamily) -> u64 {
        let known = self.makeup.get().copied().or((tokenizer == TokenizerFamily::Openai).then(TextMakeup::default));
        let counted = self.tokens.get().zip(known).map(|(tally, makeup)| tally.at_most(tokenizer, || makeup));
        let text = counted.unwrap_or(self.bytes_of_text);
        text.saturating_add(self.beside_text(tokenizer))
    }

    /// Returns whether the prompt's text alone has more than so many tokens. Counts them only where its bytes are more.
    #[must_use]
    pub fn has_more_text_than(&self, tokens: u64) -> bool {
        self.bytes_of_text > tokens && self.tally().count().tokens > tokens
    }

    fn beside_text(&self, tokenizer: TokenizerFamily) -> u64 {
        self.media.get(tokenizer).saturating_add(tokens::template(self.turns, self.tools))
    }

    fn tally(&self) -> &TokenTally {
        self.tokens.get_or_init(|| self.read_again(|prompt| TokenCounter::new().of(prompt)))
    }

    fn makeup(&self) -> TextMakeup {
        *self.makeup.get_or_init(|| self.read_again(|prompt| TokenCounter::new().makeup_of(prompt)))
    }

    /// Returns the length of the body that they are measured on; 0 where there is none.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Returns the newest ask's structure; reads it if nobody asked before.
    #[must_use]
    pub fn text(&self) -> &TextStructure {
        self.text.get_or_init(|| self.read_again(|prompt| TextStructure::of(prompt.newest_ask())))
    }

    /// Returns names, types and sizes of what is attached; reads the body for them if nobody asked before. Features
    /// that were measured without a body know of none.
    #[must_use]
    pub fn attached(&self) -> &AttachedFiles {
        static NONE: AttachedFiles =
            AttachedFiles { first: Vec::new(), count: 0, bytes: 0, largest: 0, types: String::new() };
        let read = |source: &MeasuredBody| Box::new(AttachedFiles::of(&source.body));
        match (self.attached.get(), &self.source) {
            (Some(known), _) => known,
            (None, Some(source)) if self.attachments != Attachments::default() => {
                self.attached.get_or_init(|| read(source))
            }
            (None, _) => &NONE,
        }
    }

    /// Returns the newest ask's language; tells it if nobody asked before.
    #[must_use]
    pub fn language(&self) -> Language {
        *self.language.get_or_init(|| self.read_again(|prompt| Language::of(prompt.newest_ask())))
    }

    /// Reads the body again; what cannot be read has nothing to measure.
    fn read_again<T: Default>(&self, measure: impl FnOnce(&Prompt<'_>) -> T) -> T {
        let read = |source: &MeasuredBody| {
            Prompt::parse_with(source.dialect, &source.body, &source.envelopes).ok().map(|prompt| measure(&prompt))
        };
        self.source.as_ref().and_then(read).unwrap_or_default()
    }
}

impl RequestParameters {
    fn of(parameters: &PromptParameters<'_>) -> Self {
        Self {
            temperature: parameters.temperature.unwrap_or(1.0),
            top_p: parameters.top_p.unwrap_or(1.0),
            max_output_tokens: parameters.max_output_tokens.unwrap_or(0),
            stream: parameters.stream,
            reasoning_effort: parameters.reasoning_effort.as_deref().unwrap_or_default().to_owned(),
            response_format: parameters.response_format,
        }
    }
}

impl Default for RequestParameters {
    fn default() -> Self {
        Self::of(&PromptParameters::default())
    }
}

#[cfg(test)]
mod tests;
