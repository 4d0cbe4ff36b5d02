//! Sources of images and documents, written.

use crate::conversion::media;
use crate::json::writer::ObjectWriter;
use crate::neutral::MediaSource;

/// Writes the source of an image.
pub(super) fn write_image_source(out: &mut Vec<u8>, source: &MediaSource<'_>) {
    match source {
        MediaSource::Base64 { media_type, data } => {
            let mut object = ObjectWriter::of_type("base64", out);
            object.optional("media_type", media::image_type(media_type, data));
            object.text("data", data);
            object.close();
        }
        MediaSource::Url { url, .. } => write_url(out, url),
        MediaSource::FileId(id) => write_file(out, id),
        MediaSource::Text(text) => write_plain(out, text),
    }
}

/// The form that a document's source has in this API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentForm {
    Pdf,
    /// Text in base64, which the API takes as text.
    EncodedText,
    /// The address of a PDF: the API fetches no other documents.
    Url,
    /// An address that does not say what is there.
    UntypedUrl,
    File,
    Text,
}

impl DocumentForm {
    /// Returns the form of a source; `None` for documents that the API does not take.
    pub(super) fn of(source: &MediaSource<'_>) -> Option<Self> {
        match source {
            MediaSource::Base64 { media_type, .. } if media_type == "application/pdf" => Some(Self::Pdf),
            MediaSource::Base64 { media_type, data } => text(media_type, data).map(|_| Self::EncodedText),
            MediaSource::Url { url, media_type } => {
                match media_type.as_deref().or_else(|| media::type_of_address(url)) {
                    Some("application/pdf") => Some(Self::Url),
                    Some(_) => None,
                    None => Some(Self::UntypedUrl),
                }
            }
            MediaSource::FileId(_) => Some(Self::File),
            MediaSource::Text(_) => Some(Self::Text),
        }
    }
}

/// Returns the text that a document in base64 is.
fn text(media_type: &str, data: &str) -> Option<String> {
    media::text_of(media_type.split(';').next().unwrap_or_default(), data)
}

/// Writes the source of a document.
pub(super) fn write_document_source(out: &mut Vec<u8>, source: &MediaSource<'_>) {
    match source {
        MediaSource::Base64 { media_type, data } if media_type == "application/pdf" => {
            let mut object = ObjectWriter::of_type("base64", out);
            object.word("media_type", "application/pdf");
            object.text("data", data);
            object.close();
        }
        MediaSource::Base64 { media_type, data } => write_plain(out, &text(media_type, data).unwrap_or_default()),
        MediaSource::Url { url, .. } => write_url(out, url),
        MediaSource::FileId(id) => write_file(out, id),
        MediaSource::Text(text) => write_plain(out, text),
    }
}

fn write_url(out: &mut Vec<u8>, url: &str) {
    let mut object = ObjectWriter::of_type("url", out);
    object.value("url", url);
    object.close();
}

fn write_file(out: &mut Vec<u8>, id: &str) {
    let mut object = ObjectWriter::of_type("file", out);
    object.value("file_id", id);
    object.close();
}

fn write_plain(out: &mut Vec<u8>, text: &str) {
    let mut object = ObjectWriter::of_type("text", out);
    object.word("media_type", "text/plain");
    object.value("data", text);
    object.close();
}
