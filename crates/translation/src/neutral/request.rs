//! Requests.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::part::{CacheMark, CacheTtl, Part};
use crate::family::DialectFamily;
use crate::loss::Loss;

/// A request for an answer.
#[derive(Debug, Clone)]
pub struct NeutralRequest<'b> {
    /// The model that the client names.
    pub model: Cow<'b, str>,
    /// Every turn in its order. System turns stand where the client put them; an API with a place of its own for them
    /// reads it as turns at the beginning.
    pub turns: Vec<Turn<'b>>,
    /// The tools on offer.
    pub tools: Vec<Tool<'b>>,
    /// The rule which tool must be called.
    pub tool_choice: Option<ToolChoice<'b>>,
    /// True where several tools may be called at once, false where not; `None` where the client does not say.
    pub parallel_calls: Option<bool>,
    /// The most tokens of the answer.
    pub max_tokens: Option<u64>,
    /// Sampling.
    pub sampling: Sampling<'b>,
    /// The amount of thinking, and the form in which it is shown.
    pub reasoning: Option<Reasoning>,
    /// The form of the answer; `None` for text.
    pub output: Option<OutputFormat<'b>>,
    /// The wanted length of the answer.
    pub verbosity: Option<Verbosity>,
    /// True where the answer comes as a stream.
    pub stream: bool,
    /// True where the client asks for the usage at the end of a stream, in the API where it must.
    pub include_usage: bool,
    /// The rules of the prompt cache.
    pub cache: CacheRules<'b>,
    /// The tier of service, as its API calls it.
    pub service_tier: Option<Cow<'b, str>>,
    /// The name of the user behind the request.
    pub user: Option<Cow<'b, str>>,
    /// Labels of the request: an object of texts.
    pub metadata: Option<&'b RawValue>,
    /// True where the vendor is to keep the answer.
    pub store: Option<bool>,
    /// The API that the request was written in; `None` where none is known.
    pub family: Option<DialectFamily>,
    /// Fields that only that API knows: its own writer writes them as they are, in every other translation they are lost.
    pub native: Vec<NativeField<'b>>,
}

impl NeutralRequest<'_> {
    /// Tells whether the client leaves the amount of thinking to the model in so many words, and names no effort: Anthropic's
    /// alone can say that.
    #[must_use]
    pub fn wants_adaptive_thinking(&self) -> bool {
        let is_adaptive =
            self.reasoning.is_some_and(|reasoning| reasoning.mode == (ReasoningMode::Adaptive { effort: None }));
        is_adaptive && self.family == Some(DialectFamily::Messages)
    }
}

impl<'b> NeutralRequest<'b> {
    /// Makes a request for `model` that says nothing.
    #[must_use]
    pub fn new(model: Cow<'b, str>) -> Self {
        Self {
            model,
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_calls: None,
            max_tokens: None,
            sampling: Sampling::default(),
            reasoning: None,
            output: None,
            verbosity: None,
            stream: false,
            include_usage: false,
            cache: CacheRules::default(),
            service_tier: None,
            user: None,
            metadata: None,
            store: None,
            family: None,
            native: Vec::new(),
        }
    }
}

/// A field at the top of a request that only its own API knows.
#[derive(Debug, Clone)]
pub struct NativeField<'b> {
    /// The field's name.
    pub name: Cow<'b, str>,
    /// The field's value.
    pub raw: &'b RawValue,
    /// The loss that it is in a translation into another API; `None` where it says no more than what is usual there.
    pub loss: Option<Loss>,
}

/// The speaker of a turn. Results of tools are parts of a user's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnRole {
    /// The operator, whom models obey first.
    System,
    /// The developer: OpenAI's newer name for the operator.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl TurnRole {
    /// Tells whether the turn instructs the model.
    #[must_use]
    pub const fn is_instruction(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// A turn of the conversation.
#[derive(Debug, Clone)]
pub struct Turn<'b> {
    /// The speaker.
    pub role: TurnRole,
    /// The speaker's name, where the API has one.
    pub name: Option<Cow<'b, str>>,
    /// The parts of the turn, in their order.
    pub parts: Vec<Part<'b>>,
}

/// A tool on offer.
#[derive(Debug, Clone)]
pub struct Tool<'b> {
    /// The name.
    pub name: Cow<'b, str>,
    /// The tool's purpose.
    pub description: Option<Cow<'b, str>>,
    /// The kind of tool.
    pub kind: ToolKind<'b>,
    /// The mark that the vendor's prompt cache is to keep everything up to here.
    pub cache: Option<CacheMark>,
}

/// The kind of a tool.
#[derive(Debug, Clone)]
pub enum ToolKind<'b> {
    /// A function with a JSON schema of its arguments.
    Function {
        /// The schema, as the client wrote it; absent where the client wrote none.
        schema: Option<&'b RawValue>,
        /// True where arguments follow the schema exactly, as far as the client says so.
        strict: Option<bool>,
    },
    /// A tool whose input is free text.
    Custom {
        /// The grammar of the input: `{syntax, definition}`, flat.
        grammar: Option<(Cow<'b, str>, Cow<'b, str>)>,
    },
    /// A tool that the vendor runs or defines.
    Server(ServerTool<'b>),
}

/// A tool that the vendor itself runs or defines.
#[derive(Debug, Clone)]
pub struct ServerTool<'b> {
    /// The type, as its API calls it: `web_search_20250305`, `code_interpreter`.
    pub kind: Cow<'b, str>,
    /// The whole definition.
    pub raw: &'b RawValue,
}

/// The rule which tool must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice<'b> {
    /// The model's choice.
    Auto,
    /// None.
    None,
    /// At least one.
    Any,
    /// The tool of this name.
    Tool(Cow<'b, str>),
    /// Some of those on offer: these, and whether at least one must be called.
    Allowed {
        /// The names of the tools.
        names: Vec<Cow<'b, str>>,
        /// True where one must be called.
        is_required: bool,
    },
}

/// Sampling of tokens.
#[derive(Debug, Clone, Default)]
pub struct Sampling<'b> {
    /// The temperature, in the client's API's scale: OpenAI's and Gemini's reach to 2, Anthropic's to 1.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling from the likeliest tokens.
    pub top_k: Option<f64>,
    /// The seed.
    pub seed: Option<i64>,
    /// The penalty for what has come before.
    pub presence_penalty: Option<f64>,
    /// The penalty by how often it has come before.
    pub frequency_penalty: Option<f64>,
    /// Weights of single tokens, which are of one vendor's vocabulary.
    pub logit_bias: Option<&'b RawValue>,
    /// True where the probabilities of the tokens are wanted.
    pub logprobs: Option<bool>,
    /// The number of alternatives of each token that are wanted.
    pub top_logprobs: Option<u64>,
    /// The number of answers.
    pub choices: Option<u64>,
    /// Texts that end the answer.
    pub stop: StopTexts<'b>,
}

/// Texts that end an answer.
pub type StopTexts<'b> = Vec<Cow<'b, str>>;

/// The amount of thinking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reasoning {
    /// The amount.
    pub mode: ReasoningMode,
    /// The form in which thoughts are shown, where the client says so.
    pub form: Option<ThoughtForm>,
}

/// The amount of thinking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReasoningMode {
    /// None at all.
    Off,
    /// As much as the model wants.
    Adaptive {
        /// The effort that it is guided by.
        effort: Option<Effort>,
    },
    /// By an effort.
    Effort(Effort),
    /// By a number of tokens.
    Budget {
        /// The tokens.
        tokens: u64,
        /// The effort beside it.
        effort: Option<Effort>,
    },
}

/// The effort that a model puts into its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// Hardly any.
    Minimal,
    /// Little.
    Low,
    /// The vendors' usual one.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as there is.
    Max,
}

/// The form in which thoughts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThoughtForm {
    /// Nothing but their seals.
    Omitted,
    /// A summary of the vendor's length.
    Summary,
    /// A short summary.
    Concise,
    /// A long summary.
    Detailed,
}

/// The form of an answer.
#[derive(Debug, Clone)]
pub enum OutputFormat<'b> {
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    Schema {
        /// The schema's name, where the API has one.
        name: Option<Cow<'b, str>>,
        /// The purpose of the schema.
        description: Option<Cow<'b, str>>,
        /// The schema, as the client wrote it.
        schema: &'b RawValue,
        /// True where the answer follows the schema exactly, as far as the client says so.
        strict: Option<bool>,
    },
}

/// The length of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Short.
    Low,
    /// The usual one.
    Medium,
    /// Long.
    High,
}

/// The rules of the prompt cache.
#[derive(Debug, Clone, Default)]
pub struct CacheRules<'b> {
    /// The key of requests that begin alike.
    pub key: Option<Cow<'b, str>>,
    /// The lifetime of entries.
    pub ttl: Option<CacheTtl>,
    /// The one mark of the whole request by which the client marks its last cacheable block.
    pub marks_all: Option<CacheMark>,
}
