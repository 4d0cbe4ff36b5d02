//! The parts within a document's source, of which the images count: `{"type": "content", "content": [...]}`.
//!
//! They are read beside the text of the source, which counts as it stands. What lies deeper is not looked at: no depth
//! of nesting may cost time.

use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::AttachmentSource;
use crate::prompt::api_key::ApiKey;
use crate::prompt::attached::AttachmentKind;
use crate::prompt::media::AttachedMedia;
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::{FromJson, TolerantSeed, TolerantText};

/// The images among the parts of a source.
#[derive(Default)]
pub(in crate::prompt) struct SourceImages {
    pub(in crate::prompt) count: u32,
    pub(in crate::prompt) media: AttachedMedia,
}

impl SourceImages {
    /// Reads the images of a source's content, within the bounds of the body that it is a part of.
    pub(super) fn of<E: serde::de::Error>(content: &RawValue, reading: BodyReading<'_>) -> Result<Self, E> {
        let mut json = serde_json::Deserializer::from_str(content.get());
        TolerantSeed::<Self>::new(reading).deserialize(&mut json).map_err(E::custom)
    }
}

impl<'b> FromJson<'b> for SourceImages {
    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut images = Self::default();
        while let Some(SourcePart { kind, source }) = reading.part(&mut array)? {
            if kind.0.as_deref().and_then(AttachmentKind::of_part) == Some(AttachmentKind::Image) {
                images.count = images.count.saturating_add(1);
                images.media.add(source.0.image(&TolerantText(None)));
            }
        }
        Ok(images)
    }
}

#[derive(Default)]
struct SourcePart<'b> {
    kind: TolerantText<'b>,
    source: InnerSource<'b>,
}

/// A source whose own content is not looked at.
#[derive(Default)]
struct InnerSource<'b>(AttachmentSource<'b>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum SourcePartKey {
    Type,
    #[serde(alias = "image_url")]
    Source,
    /// The text counts as it stands.
    Text,
    #[serde(other)]
    Other,
}

impl ApiKey for SourcePartKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for SourcePart<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut part = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                SourcePartKey::Type => part.kind = reading.value(&mut object)?,
                SourcePartKey::Source => part.source = reading.value(&mut object)?,
                SourcePartKey::Text | SourcePartKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(part)
    }
}

impl<'b> FromJson<'b> for InnerSource<'b> {
    fn from_text(text: std::borrow::Cow<'b, str>) -> Self {
        Self(AttachmentSource::from_text(text))
    }

    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        AttachmentSource::read(object, super::SourceDepth::Inner, reading).map(Self)
    }
}
