//! What the parts of a body hold beside the texts of turns, gathered while they are read.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::media::{ImageDetail, Media};
use super::pieces::{Piece, PieceKind};
use super::tolerant::{Shape, Text, Tolerant};

/// The parts of a request that a provider counts beside the text of turns.
#[derive(Debug, Default)]
pub(super) struct Material<'b> {
    pub(super) pieces: Vec<Piece<'b>>,
    pub(super) media: Media,
}

impl<'b> Material<'b> {
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
        self.pieces.extend(raw.filter(says_something).map(|raw| Piece::new(kind, raw)));
    }

    pub(super) fn push_text(&mut self, kind: PieceKind, text: Option<Cow<'b, str>>) {
        self.pieces.extend(text.filter(|text| !text.is_empty()).map(|text| Piece::of_text(kind, text)));
    }

    pub(super) fn push_all(&mut self, kind: PieceKind, raws: Vec<&'b RawValue>) {
        raws.into_iter().for_each(|raw| self.push(kind, Some(raw)));
    }

    /// Adds what only the vendor can read.
    pub(super) fn push_sealed(&mut self, raw: Option<&'b RawValue>) {
        self.media.add(Media::of_sealed(raw.map_or(0, |raw| raw.get().len())));
    }
}

/// The source of a part's image, sound or document, in whatever dialect: a URL, an id, base64, or its text.
#[derive(Default)]
pub(super) struct Source<'b> {
    /// Anthropic's: `text`, `content`, `base64`, `url`, `file`.
    kind: Text<'b>,
    media_type: Text<'b>,
    /// Base64, a URL, or text.
    data: Option<&'b RawValue>,
    /// A text that stands in place of an object.
    bare: Option<Cow<'b, str>>,
    content: Option<&'b RawValue>,
    detail: Text<'b>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum SourceKey {
    Type,
    MediaType,
    #[serde(alias = "url", alias = "file_data")]
    Data,
    Content,
    Detail,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for Source<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { bare: Some(text), ..Self::default() }
    }

    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let mut source = Self::default();
        while let Some(key) = object.next_key()? {
            match key {
                SourceKey::Type => Tolerant(source.kind) = object.next_value()?,
                SourceKey::MediaType => Tolerant(source.media_type) = object.next_value()?,
                SourceKey::Data => source.data = object.next_value()?,
                SourceKey::Content => source.content = object.next_value()?,
                SourceKey::Detail => Tolerant(source.detail) = object.next_value()?,
                SourceKey::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(source)
    }
}

impl<'b> Source<'b> {
    /// Returns what stands there in place of base64 too: a URL. Escapes in it make it unreadable, which makes it
    /// unknown.
    fn data(&self) -> Option<&str> {
        let data = self.data.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'));
        data.or(self.bare.as_deref())
    }

    /// An image; `detail` is what the part itself says of it.
    pub(super) fn image(&self, detail: &Text<'_>) -> Media {
        let detail = self.detail.0.as_deref().or(detail.0.as_deref());
        Media::of_image(self.data(), ImageDetail::of(detail))
    }

    pub(super) fn audio(&self) -> Media {
        Media::of_audio(self.data())
    }

    /// A document: text where it is text, pages where it is not.
    pub(super) fn document(self) -> Material<'b> {
        let mut material = Material::default();
        match self.kind.0.as_deref() {
            Some("text") => material.push(PieceKind::Document, self.data),
            Some("content") => material.push(PieceKind::Document, self.content),
            _ => material.media = Media::of_file(self.data()),
        }
        material
    }
}
