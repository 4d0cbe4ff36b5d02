//! The files that are attached to a conversation: their names, types and sizes.
//!
//! A reader of its own beside that of the conversation, for the few who ask: a judge that is told what a request
//! carries, rules about sizes and types. It reads the body once more, copies no data of a file and keeps facts of a
//! bounded number of files. Sizes are those of what the body holds; a file that it only points to, by a URL or an id,
//! has none.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::api_key::ApiKey;
use super::mend::mend;
use super::reading::{BodyReading, BodyTally, ReadingLimits};
use super::tolerant::{FromJson, TolerantSeed, TolerantText};

/// Files of which more is known than what they add to the sums.
const MOST_FILES: usize = 16;

/// Different types that are named.
const MOST_TYPES: usize = 16;

/// Characters of a file's name that are kept.
const MOST_NAME: usize = 80;

/// Bytes of a media type, and of a file name's extension.
const MOST_TYPE: usize = 80;
const MOST_EXTENSION: usize = 8;

/// The longest beginning of a data URL: a media type with parameters.
const MOST_HEAD: usize = 256;

/// The kind of an attachment: an image, audio, or any other file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachmentKind {
    /// Parts of type `image_url`, `input_image` or `image`.
    Image,
    /// Parts of type `input_audio` or `audio`.
    Audio,
    /// Parts of type `file`, `input_file` or `document`.
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
            "image_url" | "input_image" | "image" => Some(Self::Image),
            "input_audio" | "audio" => Some(Self::Audio),
            "file" | "input_file" | "document" => Some(Self::File),
            _ => None,
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

/// The top level: `messages`, or the items of `input`.
#[derive(Default)]
struct AttachmentRequest(AttachmentParts);

/// Files in an array of turns, of parts, or of what a tool returned.
#[derive(Default)]
struct AttachmentParts(Vec<AttachedFile>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum AttachmentRequestKey {
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
    Content,
    Output,
    /// The place of the file, by the part's type: an object, or a URL.
    Source,
    ImageUrl,
    #[serde(alias = "audio")]
    InputAudio,
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
                AttachmentPartKey::Filename => facts.name = reading.value(&mut object)?,
                AttachmentPartKey::FileData => facts.add_data(reading.raw(&mut object)?),
                AttachmentPartKey::FileUrl => facts.url = reading.value(&mut object)?,
                AttachmentPartKey::Role | AttachmentPartKey::Other => reading.skip(&mut object)?,
            }
        }
        let kind = kind.0.as_deref().map_or(implied.filter(|_| !is_turn), AttachmentKind::of_part);
        Ok(Self { own: kind.map(|kind| facts.into_file(kind)), within })
    }
}

/// A part's claims about its file, before it is looked at closely.
#[derive(Default)]
struct FileFacts<'b> {
    name: TolerantText<'b>,
    media_type: TolerantText<'b>,
    url: TolerantText<'b>,
    data: Option<EncodedFile<'b>>,
}

/// The text that holds a file, as it stands in the body, escapes included.
#[derive(Clone, Copy)]
struct EncodedFile<'b>(&'b str);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum FileFactKey {
    #[serde(alias = "file_url")]
    Url,
    #[serde(alias = "file_data")]
    Data,
    #[serde(alias = "format", alias = "mime_type")]
    MediaType,
    Filename,
    #[serde(other)]
    Other,
}

impl ApiKey for FileFactKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for FileFacts<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { url: TolerantText(Some(text)), ..Self::default() }
    }

    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut facts = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                FileFactKey::Url => facts.url = reading.value(&mut object)?,
                FileFactKey::Data => facts.add_data(reading.raw(&mut object)?),
                FileFactKey::MediaType => facts.media_type = reading.value(&mut object)?,
                FileFactKey::Filename => facts.name = reading.value(&mut object)?,
                FileFactKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(facts)
    }
}

impl<'b> FileFacts<'b> {
    fn add_data(&mut self, raw: &'b RawValue) {
        let text = raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        self.data = text.map(EncodedFile).or(self.data);
    }

    fn add(&mut self, other: Self) {
        self.name.0 = other.name.0.or(self.name.0.take());
        self.media_type.0 = other.media_type.0.or(self.media_type.0.take());
        self.url.0 = other.url.0.or(self.url.0.take());
        self.data = other.data.or(self.data);
    }

    fn into_file(self, kind: AttachmentKind) -> AttachedFile {
        let url = self.url.0.as_deref().unwrap_or_default();
        let is_data_url = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        let data = self.data.or(is_data_url.then_some(EncodedFile(url)));
        let segment = || last_segment(url).filter(|_| !is_data_url);
        let name = self.name.0.as_deref().or_else(segment).map(printable).filter(|name| !name.is_empty());
        let said = self.media_type.0.as_deref().map(|said| match kind {
            // Of audio the format alone is said.
            AttachmentKind::Audio if !said.contains('/') => format!("audio/{said}"),
            _ => said.to_owned(),
        });
        let media_type = said.or_else(|| data?.media_type()).and_then(|said| media_type(&said));
        let is_text = media_type.as_deref().is_some_and(|media_type| media_type.starts_with("text/"));
        AttachedFile { kind, name, bytes: data.map(|data| data.bytes(is_text)), media_type }
    }
}

impl EncodedFile<'_> {
    /// Splits a data URL before its data; what is none is all data.
    fn split(&self) -> (&str, &str) {
        let head = self.0.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        let comma = self.0.bytes().take(MOST_HEAD).position(|byte| byte == b',').filter(|_| head);
        comma.map_or(("", self.0), |comma| (&self.0[5..comma], &self.0[comma + 1..]))
    }

    fn media_type(&self) -> Option<String> {
        let (head, _) = self.split();
        let media_type = head.split(';').next().unwrap_or_default().replace('\\', "");
        (!media_type.is_empty()).then_some(media_type)
    }

    /// Returns about how many bytes it stands for. Escapes are counted as they stand, which makes base64 that some
    /// clients write with `\/` a sixty-fourth longer.
    fn bytes(&self, is_text: bool) -> u64 {
        let (head, data) = self.split();
        let length = data.len() as u64;
        let is_base64 = head.ends_with("base64") || (head.is_empty() && !is_text);
        if !is_base64 {
            return length;
        }
        let padding = data.bytes().rev().take(2).take_while(|byte| *byte == b'=').count() as u64;
        (length / 4 * 3 + length % 4 * 3 / 4).saturating_sub(padding)
    }
}

/// Returns the last segment of a URL's path, without its query, where keys stand.
fn last_segment(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    let (_, path) = path.split_once("://")?;
    let (_, name) = path.rsplit_once('/')?;
    Some(name)
}

/// Returns a client's name of a file on one line and not too long, with its end, which says the type.
fn printable(name: &str) -> String {
    let chars: Vec<char> = name.trim().chars().filter(|c| !c.is_control()).collect();
    match chars.len() {
        length if length <= MOST_NAME => chars.into_iter().collect(),
        length => {
            let (head, tail) = (MOST_NAME - MOST_NAME / 3, MOST_NAME / 3 - 1);
            chars[..head].iter().chain(&['…']).chain(&chars[length - tail..]).collect()
        }
    }
}

/// Returns a media type without its parameters and in lower case, if it could be one.
fn media_type(said: &str) -> Option<String> {
    let said = said.split(';').next()?.trim().to_ascii_lowercase();
    let is_token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    let (kind, subtype) = said.split_once('/')?;
    (said.len() <= MOST_TYPE && is_token(kind) && is_token(subtype)).then_some(said)
}

#[cfg(test)]
mod tests;
