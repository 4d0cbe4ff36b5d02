//! Parts of a turn: text, media, calls of tools and their results, thoughts.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::sealed::VendorSeal;

/// A part of a turn or of an answer.
#[derive(Debug, Clone)]
pub struct Part<'b> {
    /// The part itself.
    pub body: PartBody<'b>,
    /// The mark that the vendor's prompt cache is to keep everything up to here.
    pub cache: Option<CacheMark>,
    /// The vendor's seal on the part, which goes back to its maker alone: Gemini signs texts and calls.
    pub sealed: Option<VendorSeal<'b>>,
}

impl<'b> Part<'b> {
    /// Makes a part without marks.
    #[must_use]
    pub const fn new(body: PartBody<'b>) -> Self {
        Self { body, cache: None, sealed: None }
    }

    /// Makes a part of text.
    #[must_use]
    pub fn text(text: impl Into<Cow<'b, str>>) -> Self {
        Self::new(PartBody::Text { text: text.into(), citations: None })
    }
}

/// A part without its marks.
#[derive(Debug, Clone)]
pub enum PartBody<'b> {
    /// Text.
    Text {
        /// The text.
        text: Cow<'b, str>,
        /// The citations in it, as their API wrote them.
        citations: Option<&'b RawValue>,
    },
    /// The words by which a model has refused.
    Refusal(Cow<'b, str>),
    /// An image.
    Image(Image<'b>),
    /// A document or another file.
    Document(Document<'b>),
    /// Sound.
    Audio(Audio<'b>),
    /// A film.
    Video(MediaSource<'b>),
    /// A call of a tool.
    ToolCall(ToolCall<'b>),
    /// The result of a call.
    ToolResult(ToolResult<'b>),
    /// A thought of the model's.
    Thinking(Thinking<'b>),
    /// A part of a kind that only its own API knows: a call of a server's tool, its result, a reference.
    Native {
        /// The kind, as its API calls it.
        kind: Cow<'b, str>,
        /// The whole part.
        raw: &'b RawValue,
    },
}

/// A mark of the prompt cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheMark {
    /// The time for which the cache is to keep it, where the client says so.
    pub ttl: Option<CacheTtl>,
}

/// The life of an entry in a prompt cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheTtl {
    /// Five minutes.
    FiveMinutes,
    /// Thirty minutes.
    ThirtyMinutes,
    /// One hour.
    OneHour,
    /// Twelve hours.
    TwelveHours,
    /// A day.
    OneDay,
}

/// The place of the bytes of an image, a document or a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource<'b> {
    /// In the body, as standard base64.
    Base64 {
        /// The media type, such as `image/png`.
        media_type: Cow<'b, str>,
        /// The data, in the standard alphabet, with padding.
        data: Cow<'b, str>,
    },
    /// At an address.
    Url {
        /// The address.
        url: Cow<'b, str>,
        /// The media type, where the API says it.
        media_type: Option<Cow<'b, str>>,
    },
    /// With the vendor, by its id.
    FileId(Cow<'b, str>),
    /// In the body, as text.
    Text(Cow<'b, str>),
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'b> {
    /// The place of the bytes.
    pub source: MediaSource<'b>,
    /// The resolution to see it in.
    pub detail: Option<ImageDetail>,
}

/// The resolution to see an image in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageDetail {
    /// The vendor's choice.
    Auto,
    /// Few tokens.
    Low,
    /// Many tokens.
    High,
    /// The image's own resolution.
    Original,
}

/// A document or another file.
#[derive(Debug, Clone)]
pub struct Document<'b> {
    /// The place of the bytes.
    pub source: MediaSource<'b>,
    /// The document's name or title.
    pub title: Option<Cow<'b, str>>,
    /// The client's words about the document.
    pub context: Option<Cow<'b, str>>,
    /// True where the answer is to cite the document.
    pub cites: Option<bool>,
}

/// Sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio<'b> {
    /// The place of the bytes.
    pub source: MediaSource<'b>,
    /// The words in it, where an answer says them.
    pub transcript: Option<Cow<'b, str>>,
}

/// The kind of a tool's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A JSON object by a schema.
    Function,
    /// Free text.
    Custom,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall<'b> {
    /// The call's id as the client knows it; empty where the API gave none.
    pub id: Cow<'b, str>,
    /// The tool's name.
    pub name: Cow<'b, str>,
    /// The arguments: the JSON text of an object, or free text. May be empty, and in answers of models be no JSON.
    pub arguments: Cow<'b, str>,
    /// The kind of its input.
    pub kind: CallKind,
}

/// The result of a call.
#[derive(Debug, Clone)]
pub struct ToolResult<'b> {
    /// The id of the call.
    pub call_id: Cow<'b, str>,
    /// The tool's name, where the API says it.
    pub name: Option<Cow<'b, str>>,
    /// The results: text, images, documents.
    pub parts: Vec<Part<'b>>,
    /// True where the call failed, as far as the API says it.
    pub is_error: Option<bool>,
    /// The kind of the call's input.
    pub kind: CallKind,
}

/// A thought of the model's.
#[derive(Debug, Clone)]
pub struct Thinking<'b> {
    /// The thought, or a summary of it; empty where its vendor shows none.
    pub text: Cow<'b, str>,
    /// True where the text is a summary.
    pub is_summary: bool,
    /// True where the vendor has hidden all of it (redacted thinking).
    pub is_redacted: bool,
    /// The vendor's seal.
    pub sealed: Option<VendorSeal<'b>>,
}
