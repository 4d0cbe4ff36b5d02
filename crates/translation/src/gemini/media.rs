//! Images, documents, sounds and films: Google's `inlineData` and `fileData`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::conversion::media;
use crate::json::{self, Fields};
use crate::neutral::{Audio, Document, Image, ImageDetail, MediaSource, PartBody};

/// The place of Google's file store, whose files no other vendor sees.
const FILE_STORE: &str = "https://generativelanguage.googleapis.com/";

/// Reads `inlineData`; `None` where it holds no data.
pub(super) fn read_inline(raw: &RawValue) -> Option<PartBody<'_>> {
    let fields = Fields::of(raw)?;
    let data = media::standard(fields.text("data")?);
    let media_type = mime_type(&fields).unwrap_or(Cow::Borrowed(media::UNKNOWN_TYPE));
    let kind = media_type.clone();
    Some(body_of(MediaSource::Base64 { media_type, data }, Some(&kind), title(&fields)))
}

/// Reads `fileData`; `None` where it names no file.
pub(super) fn read_file(raw: &RawValue) -> Option<PartBody<'_>> {
    let fields = Fields::of(raw)?;
    let url = fields.either(["fileUri", "file_uri"]).and_then(json::text)?;
    let media_type = mime_type(&fields);
    let kind = media_type.clone().or_else(|| media::type_of_address(&url).map(Cow::Borrowed));
    let kind = kind.or_else(|| is_film(&url).then_some(Cow::Borrowed("video/*")));
    let is_stored = url.starts_with(FILE_STORE) || !url.starts_with("http");
    let source = if is_stored { MediaSource::FileId(url) } else { MediaSource::Url { url, media_type } };
    Some(body_of(source, kind.as_deref(), title(&fields)))
}

/// Tells whether an address is a film's, which has no type of its own.
fn is_film(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default().to_ascii_lowercase();
    host == "youtu.be"
        || ["youtube.com", "youtube-nocookie.com"]
            .iter()
            .any(|known| host.strip_suffix(known).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

fn mime_type<'b>(fields: &Fields<'b>) -> Option<Cow<'b, str>> {
    fields.either(["mimeType", "mime_type"]).and_then(json::text)
}

fn title<'b>(fields: &Fields<'b>) -> Option<Cow<'b, str>> {
    fields.either(["displayName", "display_name"]).and_then(json::text)
}

fn body_of<'b>(source: MediaSource<'b>, media_type: Option<&str>, title: Option<Cow<'b, str>>) -> PartBody<'b> {
    match media_type.and_then(|media_type| media_type.split('/').next()) {
        Some("image") => PartBody::Image(Image { source, detail: None }),
        Some("audio") => PartBody::Audio(Audio { source, transcript: None }),
        Some("video") => PartBody::Video(source),
        _ => PartBody::Document(Document { source, title, context: None, cites: None }),
    }
}

/// Reads the wanted resolution: an object with a level, or the level itself.
pub(super) fn read_resolution(raw: &RawValue) -> Option<ImageDetail> {
    let level = json::text(raw).or_else(|| Fields::of(raw)?.text("level"))?;
    match &*level {
        "MEDIA_RESOLUTION_LOW" => Some(ImageDetail::Low),
        "MEDIA_RESOLUTION_HIGH" => Some(ImageDetail::High),
        "MEDIA_RESOLUTION_ULTRA_HIGH" => Some(ImageDetail::Original),
        "MEDIA_RESOLUTION_UNSPECIFIED" => Some(ImageDetail::Auto),
        _ => None,
    }
}

/// Returns the level of a wanted resolution; `None` for the vendor's choice.
pub(super) const fn resolution(detail: ImageDetail) -> Option<&'static str> {
    match detail {
        ImageDetail::Auto => None,
        ImageDetail::Low => Some("MEDIA_RESOLUTION_LOW"),
        ImageDetail::High => Some("MEDIA_RESOLUTION_HIGH"),
        ImageDetail::Original => Some("MEDIA_RESOLUTION_ULTRA_HIGH"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_are_known_by_their_address() {
        for film in ["https://www.youtube.com/watch?v=x", "https://youtu.be/x", "http://M.YouTube.com:443/shorts/x"] {
            assert!(is_film(film), "{film}");
        }
        for other in ["https://example.com/youtube.com", "https://notyoutube.com/watch", "gs://b/youtu.be", "youtube"] {
            assert!(!is_film(other), "{other}");
        }
    }
}
