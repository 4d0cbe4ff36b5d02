//! What the parts of a body hold beside the texts of turns, gathered while they are read.

mod source_content;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use self::source_content::SourceImages;
use super::api_key::ApiKey;
use super::media::{AttachedMedia, ImageDetail};
use super::pieces::{PieceKind, PromptPiece};
use super::reading::BodyReading;
use super::tolerant::{FromJson, TolerantText};

/// The parts of a request that a provider counts beside the text of turns.
#[derive(Debug, Default)]
pub(super) struct CountedMaterial<'b> {
    pub(super) pieces: Vec<PromptPiece<'b>>,
    pub(super) media: AttachedMedia,
}

impl<'b> CountedMaterial<'b> {
    pub(super) fn add(&mut self, other: Self) {
        if self.pieces.is_empty() {
            self.pieces = other.pieces;
        } else {
            self.pieces.extend(other.pieces);
        }
        self.media.add(other.media);
    }

    /// Adds a value as it stands in the body, unless it says nothing.
    pub(super) fn push(&mut self, kind: PieceKind, raw: Option<&'b RawValue>) {
        let says_something = |raw: &&RawValue| !matches!(raw.get(), "null" | "\"\"" | "[]" | "{}");
        self.pieces.extend(raw.filter(says_something).map(|raw| PromptPiece::new(kind, raw)));
    }

    pub(super) fn push_text(&mut self, kind: PieceKind, text: Option<Cow<'b, str>>) {
        self.pieces.extend(text.filter(|text| !text.is_empty()).map(|text| PromptPiece::of_text(kind, text)));
    }

    pub(super) fn push_all(&mut self, kind: PieceKind, raws: Vec<&'b RawValue>) {
        raws.into_iter().for_each(|raw| self.push(kind, Some(raw)));
    }

    /// Adds what only the vendor can read.
    pub(super) fn push_sealed(&mut self, raw: Option<&'b RawValue>) {
        self.media.add(AttachedMedia::of_sealed(raw.map_or(0, |raw| raw.get().len())));
    }
}

/// The source of a part's image, sound or document, in whatever dialect: a URL, an id, base64, or its text.
#[derive(Default)]
pub(super) struct AttachmentSource<'b> {
    /// Anthropic's: `text`, `content`, `base64`, `url`, `file`.
    kind: TolerantText<'b>,
    media_type: TolerantText<'b>,
    /// Base64, a URL, or text.
    data: Option<&'b RawValue>,
    /// A text that stands in place of an object.
    bare: Option<Cow<'b, str>>,
    content: Option<&'b RawValue>,
    /// The images within the content.
    images: SourceImages,
    detail: TolerantText<'b>,
}

/// The place of a source: a part's own, or that of a part within a source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SourceDepth {
    Part,
    Inner,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum AttachmentSourceKey {
    Type,
    MediaType,
    #[serde(alias = "url", alias = "file_data")]
    Data,
    Content,
    Detail,
    #[serde(other)]
    Other,
}

impl ApiKey for AttachmentSourceKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for AttachmentSource<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { bare: Some(text), ..Self::default() }
    }

    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        Self::read(object, SourceDepth::Part, reading)
    }
}

impl<'b> AttachmentSource<'b> {
    fn read<A: MapAccess<'b>>(mut object: A, depth: SourceDepth, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut source = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                AttachmentSourceKey::Type => source.kind = reading.value(&mut object)?,
                AttachmentSourceKey::MediaType => source.media_type = reading.value(&mut object)?,
                AttachmentSourceKey::Data => source.data = reading.optional(&mut object)?,
                AttachmentSourceKey::Content => {
                    source.content = reading.optional(&mut object)?;
                    if let Some(content) = source.content.filter(|_| depth == SourceDepth::Part) {
                        source.images = SourceImages::of(content, reading)?;
                    }
                }
                AttachmentSourceKey::Detail => source.detail = reading.value(&mut object)?,
                AttachmentSourceKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(source)
    }

    /// Returns what stands there in place of base64 too: a URL. Escapes in it make it unreadable, which makes it
    /// unknown.
    fn data(&self) -> Option<&str> {
        let data = self.data.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'));
        data.or(self.bare.as_deref())
    }

    /// An image; `detail` is what the part itself says of it.
    pub(super) fn image(&self, detail: &TolerantText<'_>) -> AttachedMedia {
        let detail = self.detail.0.as_deref().or(detail.0.as_deref());
        AttachedMedia::of_image(self.data(), ImageDetail::of(detail))
    }

    pub(super) fn audio(&self) -> AttachedMedia {
        AttachedMedia::of_audio(self.data())
    }

    /// Returns how many images lie within a source that is content.
    pub(super) fn images_within(&self) -> u32 {
        if self.kind.0.as_deref() == Some("content") { self.images.count } else { 0 }
    }

    /// A document: text where it is text, pages where it is not.
    pub(super) fn document(self) -> CountedMaterial<'b> {
        let mut material = CountedMaterial::default();
        match self.kind.0.as_deref() {
            Some("text") => material.push(PieceKind::Document, self.data),
            Some("content") => {
                material.push(PieceKind::Document, self.content);
                material.media = self.images.media;
            }
            _ => material.media = AttachedMedia::of_file(self.data()),
        }
        material
    }
}
