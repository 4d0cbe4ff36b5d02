//! The files that are attached to a conversation: their names, types and sizes.
//!
//! A reader of its own beside that of the conversation, for the few who ask: a judge that is told what a request
//! carries, rules about sizes and types. It reads the body once more, copies no data of a file and keeps facts of a
//! bounded number of files. Sizes are those of what the body holds; a file that it only points to, by a URL or an id,
//! has none.

mod facts;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use self::facts::FileFacts;
use super::api_key::ApiKey;
use super::mend::mend;
use super::reading::{BodyReading, BodyTally, ReadingLimits};
use super::tolerant::{FromJson, TolerantSeed, TolerantText};

/// Files of which more is known than what they add to the sums.
const MOST_FILES: usize = 16;

/// Different types that are named.
const MOST_TYPES: usize = 16;

/// Bytes of a file name's extension.
const MOST_EXTENSION: usize = 8;

/// The kind of an attachment: an image, audio, or any other file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachmentKind {
    /// Parts of type `image_url`, `input_image` or `image`, screenshots, embeddings of images; videos too, which are
    /// pictures to the model that looks at them.
    Image,
    /// Parts of type `input_audio` or `audio`, a URL or embeddings of audio.
    Audio,
    /// Parts of type `file`, `input_file` or `document`, a document's URL, uploads to a container.
    File,
}

/// A file that is attached to a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedFile {
    /// The file's kind, by the type of its part.
    pub kind: AttachmentKind,
    /// The client's name for it, or the last segment of its URL.
    pub name: Option<String>,
    /// The file's media type in lower case, as the client says.
    pub media_type: Option<String>,
    /// About how many bytes of it the body holds, decoded; `None` where it only points to the file.
    pub bytes: Option<u64>,
}

/// The files that are attached over all turns, tool results included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachedFiles {
    /// The first 16, in the order of the conversation.
    pub first: Vec<AttachedFile>,
    /// All of them.
    pub count: u32,
    /// The bytes of all whose size is known.
    pub bytes: u64,
    /// The bytes of the largest.
    pub largest: u64,
    /// The different media types, or else the extensions of the names, in alphabetical order with commas between them.
    pub types: String,
}

/// Counts of what is attached to a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attachments {
    /// Parts that are an [`AttachmentKind::Image`].
    pub images: u32,
    /// Parts that are [`AttachmentKind::Audio`].
    pub audio: u32,
    /// Parts that are an [`AttachmentKind::File`].
    pub files: u32,
}

impl Attachments {
    pub(super) fn add(&mut self, other: Self) {
        self.images = self.images.saturating_add(other.images);
        self.audio = self.audio.saturating_add(other.audio);
        self.files = self.files.saturating_add(other.files);
    }
}

impl AttachmentKind {
    /// Returns what a part of this type attaches, if it attaches anything.
    #[must_use]
    pub fn of_part(part_type: &str) -> Option<Self> {
        match part_type {
            "image_url"
            | "input_image"
            | "image"
            | "image_file"
            | "image_embeds"
            | "image_pil"
            | "computer_screenshot"
            | "video_url"
            | "input_video"
            | "video" => Some(Self::Image),
            "input_audio" | "audio" | "audio_url" | "audio_embeds" => Some(Self::Audio),
            "file" | "input_file" | "document" | "document_url" | "container_upload" => Some(Self::File),
            _ => None,
        }
    }

    /// Returns what a file of this media type is to a model: videos are pictures.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Self {
        let is = |kind: &str| media_type.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind));
        if is("image/") || is("video/") {
            Self::Image
        } else if is("audio/") {
            Self::Audio
        } else {
            Self::File
        }
    }

    /// Returns its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::File => "file",
        }
    }
}

impl AttachedFile {
    /// Returns its media type, or else the extension of its name in lower case.
    #[must_use]
    pub fn type_name(&self) -> Option<Cow<'_, str>> {
        if let Some(media_type) = &self.media_type {
            return Some(media_type.as_str().into());
        }
        let (_, extension) = self.name.as_deref()?.rsplit_once('.')?;
        let is_one =
            (1..=MOST_EXTENSION).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
        is_one.then(|| extension.to_ascii_lowercase().into())
    }
}

impl AttachedFiles {
    /// Reads what is attached in a request body of any dialect; one that cannot be read has nothing attached.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let read = |body: &str| {
            let tally = BodyTally::new(ReadingLimits::NONE);
            let seed = TolerantSeed::<AttachmentRequest>::new(tally.begin());
            let AttachmentRequest(AttachmentParts(files)) =
                seed.deserialize(&mut serde_json::Deserializer::from_str(body)).ok()?;
            Some(files)
        };
        let files = str::from_utf8(body).ok().and_then(read);
        let files = files.or_else(|| read(&mend(body))).unwrap_or_default();
        let mut types: Vec<String> = Vec::new();
        let mut all = Self::default();
        for file in files {
            let bytes = file.bytes.unwrap_or_default();
            all.count = all.count.saturating_add(1);
            all.bytes = all.bytes.saturating_add(bytes);
            all.largest = all.largest.max(bytes);
            let name = file.type_name().filter(|name| types.len() < MOST_TYPES && !types.iter().any(|own| own == name));
            types.extend(name.map(Cow::into_owned));
            if all.first.len() < MOST_FILES {
                all.first.push(file);
            }
        }
        types.sort();
        Self { types: types.join(","), ..all }
    }
}

/// The top level: `messages`, the items of `input`, or Google's `contents`.
#[derive(Default)]
struct AttachmentRequest(AttachmentParts);

/// Files in an array of turns, of parts, or of what a tool returned.
#[derive(Default)]
struct AttachmentParts(Vec<AttachedFile>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum AttachmentRequestKey {
    #[serde(alias = "contents")]
    Messages,
    Input,
    #[serde(other)]
    Other,
}

impl ApiKey for AttachmentRequestKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for AttachmentRequest {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut parts = AttachmentParts::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                AttachmentRequestKey::Messages | AttachmentRequestKey::Input => {
                    parts = reading.value(&mut object)?;
                }
                AttachmentRequestKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(Self(parts))
    }
}

impl<'b> FromJson<'b> for AttachmentParts {
    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut parts = Self::default();
        while let Some(AttachmentPart { mut within, own }) = reading.element(&mut array)? {
            parts.0.append(&mut within.0);
            parts.0.extend(own);
        }
        Ok(parts)
    }

    /// One part alone, such as a screenshot.
    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let AttachmentPart { mut within, own } = AttachmentPart::from_object(object, reading)?;
        within.0.extend(own);
        Ok(within)
    }
}

/// A turn or a part of one: what it attaches itself, and what stands within it.
#[derive(Default)]
struct AttachmentPart {
    own: Option<AttachedFile>,
    within: AttachmentParts,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum AttachmentPartKey {
    Type,
    Role,
    #[serde(alias = "parts")]
    Content,
    #[serde(alias = "functionResponse", alias = "function_response")]
    Output,
    /// Google's, whose media type says the kind; `file_data` there is an object.
    #[serde(alias = "inlineData", alias = "fileData")]
    InlineData,
    /// The place of the file, by the part's type: an object, or a URL.
    Source,
    #[serde(alias = "image_embeds", alias = "image_file", alias = "video_url")]
    ImageUrl,
    #[serde(alias = "audio", alias = "audio_url", alias = "audio_embeds")]
    InputAudio,
    #[serde(alias = "document_url")]
    File,
    #[serde(alias = "title")]
    Filename,
    FileData,
    FileUrl,
    #[serde(other)]
    Other,
}

impl ApiKey for AttachmentPartKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl AttachmentPartKey {
    /// Returns the kind of attachment whose source stands behind the key.
    const fn implied(&self) -> Option<AttachmentKind> {
        match self {
            Self::ImageUrl => Some(AttachmentKind::Image),
            Self::InputAudio => Some(AttachmentKind::Audio),
            Self::File | Self::FileData => Some(AttachmentKind::File),
            _ => None,
        }
    }
}

impl<'b> FromJson<'b> for AttachmentPart {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let (mut kind, mut within, mut facts) = (TolerantText(None), AttachmentParts::default(), FileFacts::default());
        let (mut implied, mut is_turn) = (None, false);
        while let Some(key) = reading.key::<AttachmentPartKey, A>(&mut object)? {
            implied = key.implied().or(implied);
            is_turn |= matches!(key, AttachmentPartKey::Role);
            match key {
                AttachmentPartKey::Type => kind = reading.value(&mut object)?,
                AttachmentPartKey::Content | AttachmentPartKey::Output => {
                    let AttachmentParts(mut more) = reading.value(&mut object)?;
                    within.0.append(&mut more);
                }
                AttachmentPartKey::Source
                | AttachmentPartKey::ImageUrl
                | AttachmentPartKey::InputAudio
                | AttachmentPartKey::File => {
                    facts.add(reading.value(&mut object)?);
                }
                AttachmentPartKey::InlineData => {
                    facts.add(reading.value(&mut object)?);
                    implied = Some(facts.kind());
                }
                AttachmentPartKey::Filename => facts.name = reading.value(&mut object)?,
                AttachmentPartKey::FileData => {
                    let raw = reading.raw(&mut object)?;
                    match FileFacts::of_object(raw, reading) {
                        Some(of_google) => {
                            facts.add(of_google);
                            implied = Some(facts.kind());
                        }
                        None => facts.add_data(raw),
                    }
                }
                AttachmentPartKey::FileUrl => facts.url = reading.value(&mut object)?,
                AttachmentPartKey::Role | AttachmentPartKey::Other => reading.skip(&mut object)?,
            }
        }
        let kind = kind.0.as_deref().map_or(implied.filter(|_| !is_turn), AttachmentKind::of_part);
        Ok(Self { own: kind.map(|kind| facts.into_file(kind)), within })
    }
}

#[cfg(test)]
mod tests;
