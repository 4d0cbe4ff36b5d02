//! Parts of messages and of tool results, written.

use crate::conversion::media;
use crate::json::writer::{ListWriter, ObjectWriter, push_value};
use crate::loss::{Field, LossReport};
use crate::neutral::{Document, Image, ImageDetail, MediaSource, Part, PartBody};

/// Writes the parts of a client's message or of a result as a list.
pub(super) fn write_content(parts: &[Part<'_>], out: &mut Vec<u8>, losses: &mut LossReport) {
    let mut list = ListWriter::open(out);
    for part in parts {
        match &part.body {
            PartBody::Text { text, .. } | PartBody::Refusal(text) => write_text(text, &mut list),
            PartBody::Image(image) => write_image(image, &mut list, losses),
            PartBody::Document(document) => write_document(document, &mut list, losses),
            PartBody::Audio(_) => losses.dropped(Field::Audio),
            PartBody::Video(_) => losses.dropped(Field::Video),
            PartBody::Native { kind, .. } => losses.dropped_at(Field::Items, kind.to_string()),
            PartBody::ToolCall(_) | PartBody::ToolResult(_) | PartBody::Thinking(_) => {
                losses.dropped(Field::ToolContent);
            }
        }
    }
    list.close();
}

fn write_text(text: &str, list: &mut ListWriter<'_>) {
    let mut part = ObjectWriter::of_type("input_text", list.next());
    part.text("text", text);
    part.close();
}

fn write_image(image: &Image<'_>, list: &mut ListWriter<'_>, losses: &mut LossReport) {
    let detail = match image.detail {
        None | Some(ImageDetail::Auto) => "auto",
        Some(ImageDetail::Low) => "low",
        Some(ImageDetail::High) => "high",
        Some(ImageDetail::Original) => "original",
    };
    match &image.source {
        MediaSource::Base64 { media_type, data } => {
            let Some(media_type) = media::image_type(media_type, data) else { return losses.dropped(Field::Images) };
            let mut part = ObjectWriter::of_type("input_image", list.next());
            write_data_url(media_type, data, part.key("image_url"));
            part.text("detail", detail);
            part.close();
        }
        MediaSource::Url { url, .. } => {
            let mut part = ObjectWriter::of_type("input_image", list.next());
            part.text("image_url", url);
            part.text("detail", detail);
            part.close();
        }
        MediaSource::FileId(_) => losses.refused(Field::FileIds, "an image with another vendor"),
        MediaSource::Text(text) => write_text(text, list),
    }
}

fn write_document(document: &Document<'_>, list: &mut ListWriter<'_>, losses: &mut LossReport) {
    let is_text = matches!(document.source, MediaSource::Text(_));
    if document.context.is_some() || (is_text && document.title.is_some()) {
        losses.dropped(Field::DocumentDetails);
    }
    if document.cites == Some(true) {
        losses.dropped(Field::Citations);
    }
    match &document.source {
        MediaSource::Base64 { media_type, data } => {
            let mut part = ObjectWriter::of_type("input_file", list.next());
            match &document.title {
                Some(title) => part.text("filename", title),
                // The API wants a name whose ending says what it is.
                None => part.text("filename", media::name_of_type(media_type)),
            }
            write_data_url(media_type, data, part.key("file_data"));
            part.close();
        }
        MediaSource::Url { url, media_type } => {
            if media_type.is_none() && media::type_of_address(url).is_none() {
                losses.changed(Field::Documents, "a file: the address does not say what it is");
            }
            let mut part = ObjectWriter::of_type("input_file", list.next());
            part.text("file_url", url);
            part.optional_text("filename", document.title.as_deref());
            part.close();
        }
        MediaSource::FileId(_) => losses.refused(Field::FileIds, "a document with another vendor"),
        MediaSource::Text(text) => {
            losses.changed(Field::Documents, "a text");
            write_text(text, list);
        }
    }
}

/// Writes data as an address that holds it. Base64 needs no escapes, which is checked: the data is long.
fn write_data_url(media_type: &str, data: &str, out: &mut Vec<u8>) {
    let is_plain = |text: &str| text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if is_plain(media_type) && is_plain(data) {
        for piece in ["\"data:", media_type, ";base64,", data, "\""] {
            out.extend_from_slice(piece.as_bytes());
        }
    } else {
        push_value(out, &media::data_url(media_type, data));
    }
}
