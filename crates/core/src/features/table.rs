//! The one table of features: names, kinds, definitions.

mod page;

use serde::ser::{Serialize, SerializeMap, Serializer};

pub use self::page::table_markdown;
use super::Features;
use super::feature::{FeatureDefinition, FeatureKind, FeatureScope, FeatureValue};
use crate::prompt::Prompt;

/// Every feature; the order is the index.
pub const FEATURE_TABLE: &[FeatureDefinition] = &[
    of_tokens(
        "tokens",
        FeatureKind::Int,
        |f| int(f.tokens().tokens),
        "Tokens (tiktoken `o200k_base`) of what a provider counts: the text of all turns, tools, the JSON schema of \
         the answer, tool calls, thoughts, documents, each as it stands in the request; images, audio and PDF by \
         OpenAI's rules; tokens sent as ids. Without the chat template's own. An estimate when `tokens_estimated`.",
    ),
    of_tokens(
        "tokens_estimated",
        FeatureKind::Bool,
        |f| FeatureValue::Bool(f.tokens().estimated),
        "Whether `tokens` was extrapolated from 32 samples spread over the conversation because an exact count would \
         take too long: more than 16 KiB of words, or 4 KiB of anything else (digits, punctuation, runs of white \
         space, words beyond 16 bytes), or a mix of both.",
    ),
    prompt("turns", FeatureKind::Int, |f| int(f.turns), "Messages of any role."),
    prompt(
        "user_turns",
        FeatureKind::Int,
        |f| int(f.user_turns),
        "Messages of the role `user`, without those that bring tool results and nothing of a person's beside them.",
    ),
    prompt(
        "system_chars",
        FeatureKind::Int,
        |f| int(f.system_chars),
        "Unicode characters in the text of `system` and `developer` messages.",
    ),
    of_ask(
        "text_chars",
        FeatureKind::Int,
        |f| int(f.text().chars),
        "Unicode characters in the newest ask: a person's words in the newest turn that has any, its text parts \
         joined with a line feed, without the envelopes of harnesses (docs/envelopes.md). Always of the whole ask.",
    ),
    of_ask(
        "text_words",
        FeatureKind::Int,
        |f| int(f.text().words),
        "Words: longest runs of characters that are not white space.",
    ),
    of_ask("text_lines", FeatureKind::Int, |f| int(f.text().lines), "Lines: line feeds plus one; 0 for an empty ask."),
    of_ask(
        "code_blocks",
        FeatureKind::Int,
        |f| int(f.text().code_blocks),
        "Fenced code blocks: opened by a line that starts, after blanks, with three backticks or tildes, and closed \
         by the next line that starts with the same three; one that never closes counts.",
    ),
    of_ask(
        "code_lines",
        FeatureKind::Int,
        |f| int(f.text().code_lines),
        "Lines inside fenced code blocks, the fences not counted.",
    ),
    of_ask(
        "xml_tags",
        FeatureKind::Int,
        |f| int(f.text().xml_tags),
        "Opening XML or HTML tags outside fenced code: `<`, an ASCII letter, then letters, digits, `-`, `_`, `.` or \
         `:`, then `>`, `/>`, or white space and attributes up to a `>` on the same line.",
    ),
    of_ask(
        "json_blocks",
        FeatureKind::Int,
        |f| int(f.text().json_blocks),
        "Outermost JSON-like blocks, also in fenced code: `{` followed by `\"`, or `[` followed by `{`, white space \
         between them allowed, up to the bracket that balances it; brackets in double quotes do not count. One that \
         never closes is not counted and hides those inside it.",
    ),
    of_ask(
        "math",
        FeatureKind::Int,
        |f| int(f.text().math),
        "Mathematical marks outside fenced code: LaTeX commands (a backslash and an ASCII letter), pairs of `$`, and \
         each of `= ^ ± × ÷ √ ∑ ∏ ∫ ∂ ∞ ≈ ≠ ≤ ≥`.",
    ),
    of_ask(
        "digits_ratio",
        FeatureKind::Float,
        |f| FeatureValue::Float(f.text().digits_ratio),
        "ASCII digits per character, 0 to 1.",
    ),
    of_ask(
        "upper_ratio",
        FeatureKind::Float,
        |f| FeatureValue::Float(f.text().upper_ratio),
        "Upper-case letters per letter, 0 to 1; 0 without letters.",
    ),
    of_ask(
        "non_ascii_ratio",
        FeatureKind::Float,
        |f| FeatureValue::Float(f.text().non_ascii_ratio),
        "Characters beyond ASCII per character, 0 to 1.",
    ),
    of_ask(
        "question_words",
        FeatureKind::Int,
        |f| int(f.text().question_words),
        "Words that, in any case and without ASCII punctuation around them, are one of who, whom, whose, what, \
         which, when, where, why, how.",
    ),
    of_ask("question_marks", FeatureKind::Int, |f| int(f.text().question_marks), "Question marks: `?`, `？` and `؟`."),
    of_ask(
        "steps",
        FeatureKind::Int,
        |f| int(f.text().steps),
        "Marks of a task in several steps, outside fenced code: list items (a line that starts, after blanks, with \
         one to three ASCII digits, `.` or `)`, and white space), the phrase step by step (also hyphenated), and, \
         once first or firstly has been said, each then, next, afterwards, finally or lastly.",
    ),
    prompt(
        "images",
        FeatureKind::Int,
        |f| int(f.attachments.images),
        "Image parts over all turns: `image_url`, `input_image`, `image`, screenshots, `image_embeds` and videos, also in tool results and documents; images that a model drew, and a message's `images`.",
    ),
    prompt(
        "audio",
        FeatureKind::Int,
        |f| int(f.attachments.audio),
        "Audio parts over all turns: `input_audio`, `audio`.",
    ),
    prompt(
        "files",
        FeatureKind::Int,
        |f| int(f.attachments.files),
        "File parts over all turns: `file`, `input_file`, `document`.",
    ),
    prompt(
        "tools",
        FeatureKind::Int,
        |f| int(f.tools),
        "Tools on offer: entries of `tools` and of the legacy `functions`.",
    ),
    prompt(
        "tool_calls",
        FeatureKind::Int,
        |f| int(f.tool_calls),
        "Tool calls in progress: those that assistant turns made in the tool loop, as messages, items or blocks. The \
         loop begins after the newest ask without tool results beside it; what harnesses or the person write beside \
         results does not end it.",
    ),
    prompt(
        "tool_errors",
        FeatureKind::Int,
        |f| int(f.tool_errors),
        "Tool results of the tool loop that say `is_error`, or whose text starts, after white space and in any case, \
         with `error`, `exception`, `traceback`, `fatal`, `failed` or `failure`, or is a JSON object whose first key \
         is `error`, or says in its first six lines that a command ended with another code than 0, as Codex writes \
         it.",
    ),
    prompt(
        "tool_results",
        FeatureKind::Int,
        |f| int(f.tool_results),
        "Tool results that the model has not seen yet: those after the newest assistant turn, as messages, items or \
         blocks, also where the user wrote beside them.",
    ),
    request(
        "temperature",
        FeatureKind::Float,
        |f| FeatureValue::Float(f.request.temperature),
        "Sampling temperature; 1 if absent, as in the API.",
    ),
    request(
        "top_p",
        FeatureKind::Float,
        |f| FeatureValue::Float(f.request.top_p),
        "Nucleus sampling mass; 1 if absent, as in the API.",
    ),
    request(
        "max_output_tokens",
        FeatureKind::Int,
        |f| int(f.request.max_output_tokens),
        "The most tokens that the answer may have: `max_completion_tokens`, else `max_tokens`, or \
         `max_output_tokens` of responses; 0 if absent.",
    ),
    request("stream", FeatureKind::Bool, |f| FeatureValue::Bool(f.request.stream), "Whether the answer is streamed."),
    request(
        "reasoning_effort",
        FeatureKind::Text,
        |f| FeatureValue::Text(&f.request.reasoning_effort),
        "The effort as given: `reasoning_effort`, `reasoning.effort` of responses, Anthropic's \
         `output_config.effort` or else the type of its `thinking`; empty if absent.",
    ),
    request(
        "response_format",
        FeatureKind::Text,
        |f| FeatureValue::Text(f.request.response_format.as_str()),
        "`text`, `json_object` or `json_schema`: the type of `response_format`, of `text.format` in responses, or of \
         Anthropic's output format; `text` if absent or unknown.",
    ),
    prompt(
        "repeated_calls",
        FeatureKind::Int,
        |f| int(f.repeated_calls),
        "Tool calls of the tool loop that had been made before in it, with the same arguments to the byte.",
    ),
    prompt(
        "stalled",
        FeatureKind::Bool,
        |f| FeatureValue::Bool(f.is_stalled),
        "Whether the tool loop makes no headway: its newest three steps made the same calls, or the same error (its \
         first 512 bytes, digits apart) came three times among the newest twelve results.",
    ),
    prompt(
        "plan_mode",
        FeatureKind::Bool,
        |f| FeatureValue::Bool(f.is_planning),
        "Whether the harness has told the model to plan and change nothing: the newest mode marker of Claude Code, \
         Codex, OpenCode or Cline.",
    ),
    prompt(
        "ask_source",
        FeatureKind::Text,
        |f| FeatureValue::Text(f.ask_source.as_str()),
        "What the request is judged by: `ask` (the newest ask stands by itself), `earlier_ask` (it is read with the \
         last ask that does), `answer` (it is read with the answer before it), or `nothing` (nobody asked anything).",
    ),
    prompt(
        "envelope_bytes",
        FeatureKind::Int,
        |f| int(f.envelope_bytes),
        "Bytes of harnesses' envelopes around the newest ask, which is judged without them; where nobody asked \
         anything, in the newest user turn.",
    ),
    request(
        "purpose",
        FeatureKind::Text,
        |f| FeatureValue::Text(f.purpose.as_str()),
        "What the request is for: `answer`, or what an agent keeps house by: `title`, `summary` (of a conversation), \
         `topic`, `probe` (of the account or connection), `suggestion` (of what to ask next).",
    ),
    prompt(
        "file_bytes",
        FeatureKind::Int,
        |f| int(f.attached().bytes),
        "Bytes of all that is attached (images, audio, files), decoded: about as many as the body holds. What is \
         attached by a URL or an id has none.",
    ),
    prompt(
        "largest_file_bytes",
        FeatureKind::Int,
        |f| int(f.attached().largest),
        "Bytes of the largest image, audio or file, as in `file_bytes`.",
    ),
    prompt(
        "file_types",
        FeatureKind::Text,
        |f| FeatureValue::Text(&f.attached().types),
        "The different media types of what is attached, as the client or its data URL says, in lower case; where \
         none is said, the extension of the name, such as `pdf`. In alphabetical order with commas between them, at \
         most 16; empty if nothing is attached or no type is said.",
    ),
    of_language(
        "language",
        FeatureKind::Text,
        |f| FeatureValue::Text(f.language().code()),
        "The language of the newest ask, by its first 512 bytes: a code of ISO 639-1 such as `en`, `de`, `zh` (58 \
         languages), empty where it is not sure, as it is for most texts of one or two words and for code.",
    ),
];

impl Features {
    /// Returns the feature at `index` of [`FEATURE_TABLE`].
    ///
    /// # Panics
    ///
    /// When `index` is not one of the table's.
    #[must_use]
    pub fn value(&self, index: usize) -> FeatureValue<'_> {
        FEATURE_TABLE[index].read(self)
    }

    /// Returns the feature at `index` of [`FEATURE_TABLE`], measured on the `prompt` where that is at hand: cheaper than to
    /// read the body again.
    ///
    /// # Panics
    ///
    /// When `index` is not one of the table's.
    #[must_use]
    pub fn value_in(&self, index: usize, prompt: Option<&Prompt<'_>>) -> FeatureValue<'_> {
        let definition = &FEATURE_TABLE[index];
        if let (Some(measure), Some(prompt)) = (definition.measure, prompt) {
            measure(self, prompt);
        }
        definition.read(self)
    }

    /// Returns the feature called `name`, or `None` when the table has none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<FeatureValue<'_>> {
        index_of(name).map(|index| self.value(index))
    }

    /// Returns the feature at `index` as a number, a `bool` as 0 or 1; `None` for text.
    ///
    /// # Panics
    ///
    /// When `index` is not one of the table's.
    #[must_use]
    pub fn number(&self, index: usize) -> Option<f64> {
        self.value(index).number()
    }
}

impl Serialize for Features {
    /// Writes a flat object in the table's order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(FEATURE_TABLE.len()))?;
        for spec in FEATURE_TABLE {
            map.serialize_entry(spec.name, &spec.read(self))?;
        }
        map.end()
    }
}

/// Returns the index of the feature called `name` in the [`FEATURE_TABLE`].
#[must_use]
pub fn index_of(name: &str) -> Option<usize> {
    FEATURE_TABLE.iter().position(|spec| spec.name == name)
}

const fn prompt(
    name: &'static str,
    kind: FeatureKind,
    read: fn(&Features) -> FeatureValue<'_>,
    doc: &'static str,
) -> FeatureDefinition {
    FeatureDefinition { name, scope: FeatureScope::Prompt, kind, measure: None, doc, read }
}

/// A feature of the tokens of a prompt.
const fn of_tokens(
    name: &'static str,
    kind: FeatureKind,
    read: fn(&Features) -> FeatureValue<'_>,
    doc: &'static str,
) -> FeatureDefinition {
    FeatureDefinition { measure: Some(Features::count), ..prompt(name, kind, read, doc) }
}

/// A feature of the newest ask's structure.
const fn of_ask(
    name: &'static str,
    kind: FeatureKind,
    read: fn(&Features) -> FeatureValue<'_>,
    doc: &'static str,
) -> FeatureDefinition {
    FeatureDefinition { measure: Some(Features::read_text), ..prompt(name, kind, read, doc) }
}

/// A feature of the newest ask's language.
const fn of_language(
    name: &'static str,
    kind: FeatureKind,
    read: fn(&Features) -> FeatureValue<'_>,
    doc: &'static str,
) -> FeatureDefinition {
    FeatureDefinition { measure: Some(Features::read_language), ..prompt(name, kind, read, doc) }
}

const fn request(
    name: &'static str,
    kind: FeatureKind,
    read: fn(&Features) -> FeatureValue<'_>,
    doc: &'static str,
) -> FeatureDefinition {
    FeatureDefinition { name, scope: FeatureScope::Request, kind, measure: None, doc, read }
}

fn int(count: impl Into<u64>) -> FeatureValue<'static> {
    FeatureValue::Int(i64::try_from(count.into()).unwrap_or(i64::MAX))
}
