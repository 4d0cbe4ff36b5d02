//! Parts of a turn, written as the content of a message of chat completions.

use std::borrow::Cow;

use crate::conversion::media;
use crate::json::writer::{ObjectWriter, push_value};
use crate::loss::{Field, LossReport};
use crate::neutral::{Audio, CacheMark, CacheTtl, Document, Image, ImageDetail, MediaSource, Part, PartBody};

/// The rules for a message's content.
#[derive(Clone, Copy)]
pub(super) struct ContentWriting {
    /// True where the request was written in this API.
    pub(super) is_own: bool,
    /// True where the message holds nothing but texts.
    pub(super) texts_only: bool,
}

/// Tells whether a part is written as text.
pub(super) fn is_text(part: &Part<'_>) -> bool {
    match &part.body {
        PartBody::Text { .. } => true,
        PartBody::Document(document) => document_text(document).is_some(),
        _ => false,
    }
}

/// Writes the content of a message: a string where it is one text. `None` where there were parts, and none is left.
pub(super) fn content(parts: &[&Part<'_>], writing: ContentWriting, losses: &mut LossReport) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match parts {
        [] => push_value(&mut out, ""),
        [part] if plain_text(part, writing).is_some() => {
            note_marks(part, writing, losses);
            push_value(&mut out, plain_text(part, writing)?);
        }
        parts => {
            out.push(b'[');
            for part in parts {
                let begin = out.len();
                if begin > 1 {
                    out.push(b',');
                }
                note_marks(part, writing, losses);
                if !write_part(part, writing, &mut out, losses) {
                    out.truncate(begin);
                }
            }
            if out.len() == 1 {
                return None;
            }
            out.push(b']');
        }
    }
    Some(out)
}

fn plain_text<'p>(part: &'p Part<'_>, writing: ContentWriting) -> Option<&'p str> {
    match &part.body {
        PartBody::Text { text, .. } if part.cache.is_none() || !writing.is_own => Some(text),
        _ => None,
    }
}

fn note_marks(part: &Part<'_>, writing: ContentWriting, losses: &mut LossReport) {
    if part.cache.is_some() && !writing.is_own {
        losses.changed(Field::CacheMarks, "implicit caching");
    }
    if matches!(&part.body, PartBody::Text { citations: Some(_), .. }) {
        losses.dropped(Field::Citations);
    }
}

/// Writes a part; `false` where the API has no such.
fn write_part(part: &Part<'_>, writing: ContentWriting, out: &mut Vec<u8>, losses: &mut LossReport) -> bool {
    if let Some(lost) = lost_in_texts(part).filter(|_| writing.texts_only && !writing.is_own) {
        losses.dropped(lost);
        return false;
    }
    let mut object = Vec::new();
    let mut writer = ObjectWriter::open(&mut object);
    let written = match &part.body {
        PartBody::Text { text, .. } => {
            writer.value("type", "text").text("text", text);
            Ok(())
        }
        PartBody::Refusal(refusal) => {
            writer.value("type", "refusal").text("refusal", refusal);
            Ok(())
        }
        PartBody::Image(image) => write_image(image, writing, &mut writer),
        PartBody::Audio(audio) => write_audio(audio, writing, &mut writer),
        PartBody::Document(document) => write_document(document, writing, &mut writer, losses),
        PartBody::Video(source) => write_video(source, writing, &mut writer),
        PartBody::Native { raw, .. } if writing.is_own => {
            out.extend_from_slice(raw.get().as_bytes());
            return true;
        }
        PartBody::Native { kind, .. } => Err(native_field(kind)),
        PartBody::ToolCall(_) | PartBody::ToolResult(_) => Err(Field::Tools),
        PartBody::Thinking(_) => Err(Field::Thinking),
    };
    if let Some(mark) = part.cache.filter(|_| writing.is_own) {
        write_mark(mark, &mut writer);
    }
    writer.close();
    match written {
        Ok(()) => out.append(&mut object),
        Err(Field::FileIds) => losses.refused(Field::FileIds, "files that another vendor keeps"),
        Err(lost) => losses.dropped(lost),
    }
    written.is_ok()
}

/// Returns what a part is that cannot stand where only texts can.
fn lost_in_texts(part: &Part<'_>) -> Option<Field> {
    match &part.body {
        PartBody::Image(_) => Some(Field::Images),
        PartBody::Audio(_) => Some(Field::Audio),
        PartBody::Video(_) => Some(Field::Video),
        PartBody::Document(document) if document_text(document).is_none() => Some(Field::Documents),
        _ => None,
    }
}

fn native_field(kind: &str) -> Field {
    match kind {
        "search_result" => Field::Documents,
        kind if kind.contains("tool") || kind.ends_with("_call") || kind.ends_with("_output") => Field::ServerTools,
        _ => Field::Items,
    }
}

/// Writes a mark of the prompt cache in the words of the vendor whose lives of entries it has.
fn write_mark(mark: CacheMark, part: &mut ObjectWriter<'_>) {
    let (name, kind, ttl) = match mark.ttl {
        None => ("prompt_cache_breakpoint", ("mode", "explicit"), None),
        Some(CacheTtl::FiveMinutes) => ("cache_control", ("type", "ephemeral"), Some("5m")),
        Some(CacheTtl::OneHour) => ("cache_control", ("type", "ephemeral"), Some("1h")),
        Some(CacheTtl::ThirtyMinutes) => ("prompt_cache_breakpoint", ("mode", "explicit"), Some("30m")),
        Some(CacheTtl::TwelveHours | CacheTtl::OneDay) => {
            ("prompt_cache_breakpoint", ("mode", "explicit"), Some("12h"))
        }
    };
    part.object(name).value(kind.0, kind.1).optional("ttl", ttl).close();
}

fn write_image(image: &Image<'_>, writing: ContentWriting, part: &mut ObjectWriter<'_>) -> Result<(), Field> {
    let url = match &image.source {
        MediaSource::Base64 { media_type, data } if !writing.is_own => {
            Cow::Owned(media::data_url(media::image_type(media_type, data).ok_or(Field::Images)?, data))
        }
        source => address(source).ok_or(Field::FileIds)?,
    };
    part.value("type", "image_url");
    let detail = image.detail.map(|detail| match detail {
        ImageDetail::Auto => "auto",
        ImageDetail::Low => "low",
        ImageDetail::High => "high",
        ImageDetail::Original => "original",
    });
    part.object("image_url").and_text("url", &url).optional("detail", detail).close();
    Ok(())
}

/// Returns the address of something that is in the body or at an address.
fn address<'s>(source: &'s MediaSource<'_>) -> Option<Cow<'s, str>> {
    match source {
        MediaSource::Base64 { media_type, data } => Some(Cow::Owned(media::data_url(media_type, data))),
        MediaSource::Url { url, .. } => Some(Cow::Borrowed(url)),
        MediaSource::FileId(_) | MediaSource::Text(_) => None,
    }
}

fn write_audio(audio: &Audio<'_>, writing: ContentWriting, part: &mut ObjectWriter<'_>) -> Result<(), Field> {
    let MediaSource::Base64 { media_type, data } = &audio.source else { return Err(Field::Audio) };
    // Servers of this API take more formats than OpenAI's, from clients that know them.
    let own = media_type.strip_prefix("audio/").filter(|_| writing.is_own);
    let format = media::audio_format(media_type).or(own).ok_or(Field::Audio)?;
    part.value("type", "input_audio");
    part.object("input_audio").and_text("data", data).value("format", format).close();
    Ok(())
}

fn write_video(source: &MediaSource<'_>, writing: ContentWriting, part: &mut ObjectWriter<'_>) -> Result<(), Field> {
    let url = address(source).filter(|_| writing.is_own).ok_or(Field::Video)?;
    part.value("type", "video_url");
    part.object("video_url").and_text("url", &url).close();
    Ok(())
}

/// Returns the text of a document that is one: few servers of this API take files.
fn document_text<'d>(document: &'d Document<'_>) -> Option<Cow<'d, str>> {
    match &document.source {
        MediaSource::Text(text) => Some(Cow::Borrowed(text)),
        MediaSource::Base64 { media_type, data } => media::text_of(media_type, data).map(Cow::Owned),
        MediaSource::Url { .. } | MediaSource::FileId(_) => None,
    }
}

fn write_document(
    document: &Document<'_>,
    writing: ContentWriting,
    part: &mut ObjectWriter<'_>,
    losses: &mut LossReport,
) -> Result<(), Field> {
    if document.cites == Some(true) {
        losses.dropped(Field::Citations);
    }
    if let Some(text) = document_text(document).filter(|_| !writing.is_own) {
        if document.title.is_some() || document.context.is_some() {
            losses.dropped(Field::DocumentDetails);
        }
        losses.changed(Field::Documents, "a text as a text part");
        part.value("type", "text").text("text", &text);
        return Ok(());
    }
    if document.context.is_some() {
        losses.dropped(Field::DocumentDetails);
    }
    let title = document.title.as_deref();
    part.value("type", "file");
    let mut file = part.object("file");
    match &document.source {
        MediaSource::Base64 { media_type, data } => {
            let name = title.unwrap_or_else(|| media::name_of_type(media_type));
            file.value("filename", name).text("file_data", &media::data_url(media_type, data));
        }
        MediaSource::FileId(id) if writing.is_own => {
            file.and_text("file_id", id).optional("filename", title);
        }
        MediaSource::Url { url, .. } if writing.is_own => {
            file.optional("filename", title).text("file_data", url);
        }
        MediaSource::FileId(_) => return Err(Field::FileIds),
        MediaSource::Url { .. } | MediaSource::Text(_) => return Err(Field::Documents),
    }
    file.close();
    Ok(())
}
