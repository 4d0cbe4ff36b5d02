//! The claims of a part about its file: what the file is called, of what type it is, and how large.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess};
use serde_json::value::RawValue;

use super::{AttachedFile, AttachmentKind};
use crate::prompt::api_key::ApiKey;
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::{FromJson, TolerantSeed, TolerantText};

/// Characters of a file's name that are kept.
pub(super) const MOST_NAME: usize = 80;

/// Bytes of a media type.
const MOST_TYPE: usize = 80;

/// The longest beginning of a data URL: a media type with parameters.
const MOST_HEAD: usize = 256;

/// A part's claims about its file, before it is looked at closely.
#[derive(Default)]
pub(super) struct FileFacts<'b> {
    pub(super) name: TolerantText<'b>,
    media_type: TolerantText<'b>,
    pub(super) url: TolerantText<'b>,
    data: Option<EncodedFile<'b>>,
}

/// The text that holds a file, as it stands in the body, escapes included.
#[derive(Clone, Copy)]
struct EncodedFile<'b>(&'b str);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum FileFactKey {
    #[serde(alias = "file_url", alias = "fileUri", alias = "file_uri")]
    Url,
    #[serde(alias = "file_data")]
    Data,
    #[serde(alias = "format", alias = "mime_type", alias = "mimeType")]
    MediaType,
    #[serde(alias = "displayName", alias = "display_name")]
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
    /// Reads an object that was taken as it stands; `None` for any other value.
    pub(super) fn of_object(raw: &'b RawValue, reading: BodyReading<'_>) -> Option<Self> {
        let object = Some(raw.get()).filter(|json| json.starts_with('{'))?;
        TolerantSeed::new(reading).deserialize(&mut serde_json::Deserializer::from_str(object)).ok()
    }

    pub(super) fn add_data(&mut self, raw: &'b RawValue) {
        let text = raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        self.data = text.map(EncodedFile).or(self.data);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.name.0 = other.name.0.or(self.name.0.take());
        self.media_type.0 = other.media_type.0.or(self.media_type.0.take());
        self.url.0 = other.url.0.or(self.url.0.take());
        self.data = other.data.or(self.data);
    }

    /// Returns the kind that the media type tells.
    pub(super) fn kind(&self) -> AttachmentKind {
        AttachmentKind::of_media_type(self.media_type.0.as_deref().unwrap_or_default())
    }

    pub(super) fn into_file(self, kind: AttachmentKind) -> AttachedFile {
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
