//! The form of an envelope, and what is known of where it comes from.

/// One envelope's entry in the [`ENVELOPE_TABLE`](super::ENVELOPE_TABLE).
#[derive(Debug)]
pub struct EnvelopeDefinition {
    /// The form by which it is told.
    pub mark: EnvelopeForm,
    /// The harness that writes it.
    pub harness: &'static str,
    /// The version of the harness that it was seen in.
    pub seen: &'static str,
    /// The place where the sighting can be looked up.
    pub source: &'static str,
}

/// The form of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeForm {
    /// A block between a tag and its closing counterpart; the name.
    Tag(&'static str),
    /// A tag around the person's own words: only the tags are left out.
    AskTag(&'static str),
    /// A block of the harness's where a tag around the person's words stands in the same part, else a person's own; the
    /// name.
    BesideAskTag(&'static str),
    /// A part of a turn that is a text and nothing more.
    Whole {
        /// The name for explanations.
        name: &'static str,
        /// The text.
        text: &'static str,
    },
    /// The beginning of a part, up to a tag around the person's words that stands first on a line.
    ToAskTag {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// A whole part of a turn that begins with a text.
    Part {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// A whole turn whose first part begins with a text, but for tags around the person's words.
    Turn {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// The first line of a part.
    Line {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// The beginning of a part, through the line after which the person's words stand.
    Before {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
        /// The beginning of that line.
        ask: &'static str,
    },
}

impl EnvelopeForm {
    /// Returns the form and what it holds, in Markdown.
    pub(in crate::prompt) fn words(self) -> (String, &'static str) {
        match self {
            Self::Tag(name) => (format!("`<{name}>` … `</{name}>`"), "the harness's"),
            Self::AskTag(name) => (format!("`<{name}>` … `</{name}>`"), "the ask: only the tags go"),
            Self::BesideAskTag(name) => {
                (format!("`<{name}>` … `</{name}>` beside a tag around the ask"), "the harness's")
            }
            Self::Whole { text, .. } => (format!("a part that is `{text}`"), "the harness's"),
            Self::ToAskTag { begins, .. } => (format!("from `{begins}` to a tag around the ask"), "the harness's"),
            Self::Part { begins, .. } => (format!("a part that begins with `{begins}`"), "the harness's"),
            Self::Turn { begins, .. } => (format!("a turn that begins with `{begins}`"), "a tool's"),
            Self::Line { begins, .. } => (format!("a first line that begins with `{begins}`"), "the harness's"),
            Self::Before { begins, ask, .. } => {
                (format!("from `{begins}` through the line `{ask}`"), "the harness's; the ask follows")
            }
        }
    }
}
