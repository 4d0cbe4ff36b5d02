//! Parts of messages and of tool results, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::place::{ItemPlace, note_unknown};
use crate::conversion::media;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{Audio, CacheMark, CacheTtl, Document, Image, ImageDetail, MediaSource, Part, PartBody};
use crate::refusal::TranslationRefusal;

/// Reads a content: a text, or a list of parts.
pub(super) fn content<'b>(
    raw: &'b RawValue,
    place: ItemPlace,
    losses: &mut LossReport,
) -> Result<Vec<Part<'b>>, TranslationRefusal> {
    if let Some(text) = json::text(raw) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
    }
    let Some(elements) = json::list(raw) else {
        return Err(TranslationRefusal::malformed(place.name(), "the content is neither a text nor a list"));
    };
    let mut parts = Vec::with_capacity(elements.len());
    for (index, raw) in elements.into_iter().enumerate() {
        let place = place.part(index);
        let Some(fields) = Fields::of(raw) else {
            return Err(TranslationRefusal::malformed(place.name(), "a part must be an object"));
        };
        if let Some(body) = body(&fields, place, losses) {
            parts.push(Part { body, cache: cache_mark(&fields), sealed: None });
        }
    }
    Ok(parts)
}

fn body<'b>(fields: &Fields<'b>, place: ItemPlace, losses: &mut LossReport) -> Option<PartBody<'b>> {
    let kind = fields.text("type").unwrap_or_default();
    match &*kind {
        "input_text" | "output_text" | "text" => {
            let known = ["type", "text", "annotations", "logprobs", "prompt_cache_breakpoint"];
            note_unknown(fields, &known, place, losses);
            Some(text(fields))
        }
        "refusal" => Some(PartBody::Refusal(fields.text("refusal").unwrap_or_default())),
        "input_image" => {
            let known = ["type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"];
            note_unknown(fields, &known, place, losses);
            image(fields, place, losses)
        }
        "input_file" => {
            let known = ["type", "file_data", "file_id", "file_url", "filename", "detail", "prompt_cache_breakpoint"];
            note_unknown(fields, &known, place, losses);
            document(fields, place, losses)
        }
        "input_audio" => audio(fields),
        _ => {
            losses.dropped_at(Field::Items, format!("{}: {kind}", place.name()));
            None
        }
    }
}

/// Reads a text with its citations.
pub(super) fn text<'b>(fields: &Fields<'b>) -> PartBody<'b> {
    let citations = fields.get("annotations").filter(|raw| json::list(raw).is_some_and(|list| !list.is_empty()));
    PartBody::Text { text: fields.text("text").unwrap_or_default(), citations }
}

fn image<'b>(fields: &Fields<'b>, place: ItemPlace, losses: &mut LossReport) -> Option<PartBody<'b>> {
    let source = match (fields.text("image_url"), fields.text("file_id")) {
        (Some(url), _) => media::source_of_url(url),
        (None, Some(id)) => file(id, place, losses),
        (None, None) => {
            losses.dropped_at(Field::Images, place.name());
            return None;
        }
    };
    let detail = match fields.text("detail").as_deref() {
        Some("low") => Some(ImageDetail::Low),
        Some("high") => Some(ImageDetail::High),
        Some("original") => Some(ImageDetail::Original),
        Some("auto") => Some(ImageDetail::Auto),
        _ => None,
    };
    Some(PartBody::Image(Image { source, detail }))
}

fn document<'b>(fields: &Fields<'b>, place: ItemPlace, losses: &mut LossReport) -> Option<PartBody<'b>> {
    let title = fields.text("filename");
    if fields.text("detail").is_some_and(|detail| detail != "auto") {
        losses.dropped_at(Field::ImageDetail, place.name());
    }
    let source = if let Some(data) = fields.text("file_data") {
        match media::source_of_url(data) {
            // Data without the beginning of a data URL: the name alone says what it is.
            MediaSource::Url { url, .. } => {
                let media_type = title.as_deref().and_then(media::type_of_name).unwrap_or("application/pdf");
                MediaSource::Base64 { media_type: media_type.into(), data: media::standard(url) }
            }
            source => source,
        }
    } else if let Some(url) = fields.text("file_url") {
        MediaSource::Url { url, media_type: None }
    } else if let Some(id) = fields.text("file_id") {
        file(id, place, losses)
    } else {
        losses.dropped_at(Field::Documents, place.name());
        return None;
    };
    Some(PartBody::Document(Document { source, title, context: None, cites: None }))
}

fn audio<'b>(fields: &Fields<'b>) -> Option<PartBody<'b>> {
    let sound = fields.object("input_audio")?;
    let media_type = media::audio_type(sound.text("format").as_deref().unwrap_or("wav"));
    let source = MediaSource::Base64 { media_type, data: media::standard(sound.text("data")?) };
    Some(PartBody::Audio(Audio { source, transcript: None }))
}

/// A vendor's file is with that vendor alone.
fn file<'b>(id: Cow<'b, str>, place: ItemPlace, losses: &mut LossReport) -> MediaSource<'b> {
    losses.refused(Field::FileIds, place.name());
    MediaSource::FileId(id)
}

fn cache_mark(fields: &Fields<'_>) -> Option<CacheMark> {
    let mark = fields.object("prompt_cache_breakpoint")?;
    Some(CacheMark { ttl: mark.text("ttl").and_then(|ttl| ttl_of(&ttl)) })
}

/// Returns the life of an entry in the cache, as the API writes it.
pub(super) fn ttl_of(text: &str) -> Option<CacheTtl> {
    match text {
        "30m" => Some(CacheTtl::ThirtyMinutes),
        "12h" => Some(CacheTtl::TwelveHours),
        "24h" => Some(CacheTtl::OneDay),
        _ => None,
    }
}
