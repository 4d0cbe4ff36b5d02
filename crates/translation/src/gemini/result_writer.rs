//! Results of calls in Google's words.

use std::borrow::Cow;

use super::function_name;
use super::part_writer::ContentPartWriter;
use super::turn_writer::sent_id;
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::json::{Fields, halves};
use crate::loss::Field;
use crate::neutral::{MediaSource, Part, PartBody, ToolResult};

/// Writes a result: its text as `output` or `error`, and its images where the model's generation sees them.
pub(super) fn write(result: &ToolResult<'_>, writer: &mut ContentPartWriter<'_, '_>, elements: &mut ListWriter<'_>) {
    let names = writer.names;
    let name = match (&result.name, names.get(&*result.call_id)) {
        (Some(name), _) => &**name,
        (None, Some(name)) => name,
        (None, None) => {
            writer.losses.changed(Field::ToolIds, "a result whose call is not there");
            &*result.call_id
        }
    };
    let (media, beside): (Vec<_>, Vec<_>) =
        media_of(result, writer).into_iter().partition(|part| writer.generation.is_current() && is_inline(part));
    let text = text_of(result);
    let mut members = ObjectWriter::open(elements.next());
    members.within("functionResponse", |members| {
        if let Some(id) = sent_id(&result.call_id) {
            members.text("id", id);
        }
        members.text("name", &function_name::written(name));
        response(&text, result, members);
        if !media.is_empty() {
            let mut parts = ListWriter::open(members.key("parts"));
            media.iter().for_each(|part| writer.media(&part.body, &mut parts));
            parts.close();
        }
    });
    members.close();
    if !beside.is_empty() {
        writer.losses.changed(Field::ToolContent, "parts beside the result");
        beside.iter().for_each(|part| writer.media(&part.body, elements));
    }
}

/// Returns the images and documents of a result; notes what is neither.
fn media_of<'p>(result: &'p ToolResult<'_>, writer: &mut ContentPartWriter<'_, '_>) -> Vec<&'p Part<'p>> {
    let mut media = Vec::new();
    for part in &result.parts {
        match &part.body {
            PartBody::Text { .. } => {}
            PartBody::Document(document) if matches!(document.source, MediaSource::Text(_)) => {
                writer.losses.changed(Field::Documents, "text");
            }
            PartBody::Image(_) | PartBody::Document(_) | PartBody::Audio(_) | PartBody::Video(_) => media.push(part),
            PartBody::Native { kind, .. } => writer.losses.dropped_at(Field::ToolContent, &**kind),
            _ => writer.losses.dropped(Field::ToolContent),
        }
    }
    media
}

fn is_inline(part: &Part<'_>) -> bool {
    let (PartBody::Image(crate::neutral::Image { source, .. })
    | PartBody::Document(crate::neutral::Document { source, .. })) = &part.body
    else {
        return false;
    };
    matches!(source, MediaSource::Base64 { .. })
}

/// Returns the texts of a result, one line break between two.
fn text_of<'p>(result: &'p ToolResult<'_>) -> Cow<'p, str> {
    let texts: Vec<&str> = result.parts.iter().filter_map(said).collect();
    match &*texts {
        [] => Cow::Borrowed(""),
        [text] => Cow::Borrowed(text),
        texts => Cow::Owned(texts.join("\n")),
    }
}

fn said<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.body {
        PartBody::Text { text, .. } => Some(text),
        PartBody::Document(document) => match &document.source {
            MediaSource::Text(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Writes `response`. An object without Google's two words is the output as it is.
fn response(text: &str, result: &ToolResult<'_>, members: &mut ObjectWriter<'_>) {
    let is_error = result.is_error == Some(true);
    let text = &*halves::mended_text(text);
    let is_object = !is_error && text.starts_with('{');
    let fields = is_object.then(|| Fields::of_document(text.as_bytes()).ok()).flatten();
    let is_whole = |fields: &Fields<'_>| fields.get("output").is_none() && fields.get("error").is_none();
    match fields.filter(is_whole) {
        Some(_) => members.raw("response", text),
        None => members.within("response", |members| {
            members.text(if is_error { "error" } else { "output" }, text);
        }),
    }
}
