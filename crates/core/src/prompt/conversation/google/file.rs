//! Files of Google's contents: beside a turn's text, and beside the response of a function.

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::prompt::api_key::ApiKey;
use crate::prompt::attached::{AttachmentKind, Attachments};
use crate::prompt::conversation::part::PlainContent;
use crate::prompt::material::CountedMaterial;
use crate::prompt::media::{AttachedMedia, ImageDetail};
use crate::prompt::parameters::json;
use crate::prompt::pieces::PieceKind;
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::{FromJson, TolerantText};

impl PlainContent<'_> {
    pub(super) fn attach(&mut self, file: &GoogleFile<'_>) {
        let (attachments, media) = file.attached();
        self.attachments.add(attachments);
        self.material.add(CountedMaterial { media, ..CountedMaterial::default() });
    }
}

/// A file: its base64 or its address, and its media type.
#[derive(Default)]
pub(super) struct GoogleFile<'b> {
    media_type: TolerantText<'b>,
    data: Option<&'b RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum GoogleFileKey {
    #[serde(alias = "mimeType", alias = "mimetype")]
    MimeType,
    #[serde(alias = "fileUri", alias = "file_uri", alias = "fileuri")]
    Data,
    #[serde(other)]
    Other,
}

impl ApiKey for GoogleFileKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for GoogleFile<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut file = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                GoogleFileKey::MimeType => file.media_type = reading.value(&mut object)?,
                GoogleFileKey::Data => file.data = reading.optional(&mut object)?,
                GoogleFileKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(file)
    }
}

impl GoogleFile<'_> {
    fn attached(&self) -> (Attachments, AttachedMedia) {
        let data = json(self.data).and_then(|data| data.strip_prefix('"')?.strip_suffix('"'));
        let none = Attachments::default();
        match AttachmentKind::of_media_type(self.media_type.0.as_deref().unwrap_or_default()) {
            AttachmentKind::Image => {
                (Attachments { images: 1, ..none }, AttachedMedia::of_image(data, ImageDetail::Auto))
            }
            AttachmentKind::Audio => (Attachments { audio: 1, ..none }, AttachedMedia::of_audio(data)),
            AttachmentKind::File => (Attachments { files: 1, ..none }, AttachedMedia::of_file(data)),
        }
    }
}

/// The files of a function's response.
#[derive(Default)]
pub(super) struct ResultFiles<'b>(pub(super) PlainContent<'b>);

impl<'b> FromJson<'b> for ResultFiles<'b> {
    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut files = Self::default();
        while let Some(ResultFile(plain)) = reading.part(&mut array)? {
            files.0.attachments.add(plain.attachments);
            files.0.material.add(plain.material);
        }
        Ok(files)
    }
}

#[derive(Default)]
struct ResultFile<'b>(PlainContent<'b>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ResultFileKey {
    #[serde(alias = "inlineData", alias = "inlinedata", alias = "fileData", alias = "file_data", alias = "filedata")]
    InlineData,
    #[serde(other)]
    Other,
}

impl ApiKey for ResultFileKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for ResultFile<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut file = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                ResultFileKey::InlineData => file.0.attach(&reading.value(&mut object)?),
                ResultFileKey::Other => {
                    file.0.material.push(PieceKind::Other, Some(reading.unknown(&mut object)?));
                }
            }
        }
        Ok(file)
    }
}
