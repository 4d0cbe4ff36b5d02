//! Losses: the parts of a request that a translation could not carry over as they were.

use std::fmt;

/// The fate of something that the other API does not know as such. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossKind {
    /// The field was carried over in another form that means nearly the same.
    Changed,
    /// The field was left out.
    Dropped,
    /// The field cannot be left out: the request is not translated.
    Refused,
}

impl LossKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Changed, Self::Dropped, Self::Refused];

    /// Returns the stable name used in headers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }
}

/// One thing that was not carried over as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The kind of thing.
    pub field: Field,
    /// The field's fate.
    pub kind: LossKind,
    /// The place in the client's body, such as `messages[3].content[0]`, or the name of a field that is not known.
    pub place: Option<String>,
    /// The reason, or the form that it has now: `thinking: disabled`, `at most 4`.
    pub detail: Option<String>,
}

/// Everything that one translation could not carry over as it was, in the order of its finding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LossReport {
    losses: Vec<Loss>,
}

impl LossReport {
    /// The most losses that are kept with their places: a body of a thousand images says nothing new by the last.
    const MOST: usize = 64;

    /// Notes that `field` was carried over in another form, which `detail` says.
    pub fn changed(&mut self, field: Field, detail: impl Into<String>) {
        self.note(Loss { field, kind: LossKind::Changed, place: None, detail: Some(detail.into()) });
    }

    /// Notes that `field` was left out.
    pub fn dropped(&mut self, field: Field) {
        self.note(Loss { field, kind: LossKind::Dropped, place: None, detail: None });
    }

    /// Notes that `field` was left out, and why, or what it was.
    pub fn dropped_as(&mut self, field: Field, detail: impl Into<String>) {
        self.note(Loss { field, kind: LossKind::Dropped, place: None, detail: Some(detail.into()) });
    }

    /// Notes that `field` was left out, at `place` of the client's body.
    pub fn dropped_at(&mut self, field: Field, place: impl Into<String>) {
        self.note(Loss { field, kind: LossKind::Dropped, place: Some(place.into()), detail: None });
    }

    /// Notes that `field` stands in the way of a translation, and why.
    pub fn refused(&mut self, field: Field, detail: impl Into<String>) {
        self.note(Loss { field, kind: LossKind::Refused, place: None, detail: Some(detail.into()) });
    }

    /// Notes a loss; the same one a second time is not noted again.
    pub fn note(&mut self, loss: Loss) {
        if self.losses.len() < Self::MOST && !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }

    /// Returns the losses, in the order of their finding.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Returns the first loss that stands in the way.
    #[must_use]
    pub fn refusal(&self) -> Option<&Loss> {
        self.losses.iter().find(|loss| loss.kind == LossKind::Refused)
    }

    /// Returns the first loss of something that an answer may depend on: what was refused, and what was dropped and
    /// [matters](Field::matters).
    #[must_use]
    pub fn grave(&self) -> Option<&Loss> {
        let is_grave = |loss: &&Loss| match loss.kind {
            LossKind::Refused => true,
            LossKind::Dropped => loss.field.matters(),
            LossKind::Changed => false,
        };
        self.losses.iter().find(is_grave)
    }

    /// Returns the kinds of things that were dropped or refused, each once.
    pub fn left_out(&self) -> impl Iterator<Item = Field> {
        let mut fields: Vec<_> =
            self.losses.iter().filter(|loss| loss.kind != LossKind::Changed).map(|loss| loss.field).collect();
        fields.sort_unstable();
        fields.dedup();
        fields.into_iter()
    }

    /// Tells whether nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty()
    }
}

/// The report as a header has it: `dropped=top_k,store; changed=thinking`; empty where nothing was lost.
impl fmt::Display for LossReport {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for kind in LossKind::ALL.into_iter().rev() {
            let mut fields: Vec<_> =
                self.losses.iter().filter(|loss| loss.kind == kind).map(|loss| loss.field).collect();
            fields.sort_unstable();
            fields.dedup();
            for (index, field) in fields.iter().enumerate() {
                match (index, is_first) {
                    (0, true) => write!(form, "{}={}", kind.as_str(), field.as_str())?,
                    (0, false) => write!(form, "; {}={}", kind.as_str(), field.as_str())?,
                    _ => write!(form, ",{}", field.as_str())?,
                }
                is_first = false;
            }
        }
        Ok(())
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// A kind of thing in a request or an answer. Bounded: safe as a metric's label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $($(#[$doc])* $name,)+
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Returns the stable name used in headers, metrics and the documentation.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

fields! {
    /// A tool that a name and a JSON schema define.
    Tools = "tools",
    /// `strict` of a tool: its arguments follow the schema exactly.
    StrictTools = "tools.strict",
    /// Keywords of a tool's JSON schema.
    ToolSchema = "tools.schema",
    /// Examples, callers and loading rules of a tool.
    ToolDetails = "tools.details",
    /// A tool whose input is free text, with or without a grammar.
    CustomTools = "tools.custom",
    /// A tool that the vendor itself runs or defines.
    ServerTools = "tools.server",
    /// Servers of tools that the vendor asks by itself.
    McpServers = "mcp_servers",
    /// The rule which tool must be called.
    ToolChoice = "tool_choice",
    /// A list of tools that may be called, out of those on offer.
    AllowedTools = "tool_choice.allowed",
    /// The rule on calling several tools at once.
    ParallelCalls = "parallel_tool_calls",
    /// The most calls of tools in an answer.
    MaxToolCalls = "max_tool_calls",
    /// Ids of tool calls.
    ToolIds = "tool_ids",
    /// `is_error` of a tool result.
    ToolErrors = "tool_results.is_error",
    /// The content of a tool result beside text.
    ToolContent = "tool_results.content",
    /// Text of a conversation.
    Text = "text",
    /// Images.
    Images = "images",
    /// The wanted resolution of an image.
    ImageDetail = "images.detail",
    /// Documents and other files.
    Documents = "documents",
    /// The title and the context of a document.
    DocumentDetails = "documents.details",
    /// Sound.
    Audio = "audio",
    /// Films.
    Video = "video",
    /// Files by the id that a vendor gave them.
    FileIds = "file_ids",
    /// Citations in texts, and the wish for them.
    Citations = "citations",
    /// A refusal that an assistant's turn holds.
    Refusals = "refusals",
    /// System turns in the middle of a conversation.
    SystemTurns = "system_turns",
    /// Names of who speaks a turn.
    Names = "names",
    /// A turn without content.
    EmptyTurns = "empty_turns",
    /// The beginning of the answer, which the client has written.
    Prefill = "prefill",
    /// Thoughts of earlier turns.
    Thinking = "thinking",
    /// Seals of a vendor's: signatures, encrypted reasoning, redacted thoughts.
    Sealed = "thinking.sealed",
    /// The amount of thinking.
    Reasoning = "reasoning",
    /// The form in which thoughts are shown, if they are.
    ReasoningSummary = "reasoning.summary",
    /// The most tokens of the answer.
    MaxTokens = "max_tokens",
    /// The sampling temperature.
    Temperature = "temperature",
    /// Nucleus sampling.
    TopP = "top_p",
    /// Sampling from the likeliest tokens.
    TopK = "top_k",
    /// The seed of sampling.
    Seed = "seed",
    /// The penalty for what has come before.
    PresencePenalty = "presence_penalty",
    /// The penalty by how often it has come before.
    FrequencyPenalty = "frequency_penalty",
    /// Weights of single tokens.
    LogitBias = "logit_bias",
    /// Probabilities of tokens.
    Logprobs = "logprobs",
    /// The number of answers.
    Choices = "n",
    /// Texts that end the answer.
    Stop = "stop",
    /// The form of the answer: JSON, or JSON by a schema.
    OutputFormat = "response_format",
    /// The wanted length of the answer.
    Verbosity = "verbosity",
    /// The kinds of output: text, sound, images.
    Modalities = "modalities",
    /// A text that the answer will mostly repeat.
    Prediction = "prediction",
    /// Marks of what a vendor keeps in its prompt cache.
    CacheMarks = "cache_marks",
    /// The key and the rules of the prompt cache.
    CacheRules = "cache_rules",
    /// The tier of service.
    ServiceTier = "service_tier",
    /// Labels of the request.
    Metadata = "metadata",
    /// The name of the user behind the request.
    User = "user",
    /// The vendor's keeping of the answer.
    Store = "store",
    /// A response or a conversation that the vendor keeps, which this request goes on with.
    StoredState = "stored_state",
    /// An item of the responses API that no other API knows.
    Items = "items",
    /// Extra parts of an answer that are asked for by name.
    Include = "include",
    /// The treatment of a conversation that is too long.
    Truncation = "truncation",
    /// An answer that is made in the background.
    Background = "background",
    /// Containers and skills.
    Container = "container",
    /// The part of the world in which the prompt must be processed.
    InferenceGeo = "inference_geo",
    /// Rules on what is unsafe.
    Safety = "safety",
    /// Options of a stream.
    StreamOptions = "stream_options",
    /// Why an answer has ended.
    StopReason = "stop_reason",
    /// Counts of tokens.
    TokenCounts = "token_counts",
    /// A field that no table of ours knows.
    Other = "other",
}

impl Field {
    /// Tells whether an answer may be worthless without it: what the model sees, what it may do, and the form of its
    /// answer.
    #[must_use]
    pub const fn matters(self) -> bool {
        matches!(
            self,
            Self::Tools
                | Self::CustomTools
                | Self::ServerTools
                | Self::McpServers
                | Self::Text
                | Self::Images
                | Self::Documents
                | Self::Audio
                | Self::Video
                | Self::FileIds
                | Self::ToolContent
                | Self::OutputFormat
                | Self::StoredState
                | Self::Items
                | Self::Choices
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_each_field_once_the_gravest_kind_first() {
        let mut report = LossReport::default();
        report.changed(Field::Reasoning, "effort high");
        report.dropped(Field::TopK);
        report.dropped_at(Field::Audio, "messages[0]");
        report.dropped_at(Field::Audio, "messages[1]");

        assert_eq!(report.to_string(), "dropped=audio,top_k; changed=reasoning");
        assert_eq!(report.grave().map(|loss| loss.field), Some(Field::Audio));
        assert_eq!(report.refusal(), None);
    }

    #[test]
    fn every_field_has_a_name_of_its_own() {
        let mut names: Vec<_> = Field::ALL.iter().map(|field| field.as_str()).collect();
        names.sort_unstable();
        names.dedup();

        assert_eq!(names.len(), Field::ALL.len());
    }
}
