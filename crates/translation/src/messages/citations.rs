//! Citations of answers: this API's own as they are, those of other APIs as places in results of a web search.

use serde_json::value::RawValue;

use super::answer_writer::signature;
use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};

/// The most letters of a text that a citation repeats.
const LONGEST_QUOTE: usize = 150;

/// Gives every citation, written in this API's form, to `found`. `text` is the text that they are in, as far as it is
/// known.
pub(super) fn write_each(raw: &RawValue, text: &str, found: &mut dyn FnMut(&[u8])) {
    match json::list(raw) {
        Some(list) => list.into_iter().for_each(|raw| write_every_source(raw, text, found)),
        None => write_every_source(raw, text, found),
    }
}

fn write_every_source(raw: &RawValue, text: &str, found: &mut dyn FnMut(&[u8])) {
    let Some(fields) = Fields::of(raw) else { return };
    if fields.get("cited_text").is_some() {
        // A citation stands in one line of an event.
        return found(raw.get().replace(['\n', '\r'], " ").as_bytes());
    }
    // Google's answers have the sources of a whole answer.
    for chunk in fields.list("groundingChunks").into_iter().filter_map(Fields::of) {
        if let Some(page) = chunk.object("web") {
            write_one(&page, "", found);
        }
    }
    // Chat completions have the citation one level below.
    let nested = fields.object("url_citation");
    let fields = nested.as_ref().unwrap_or(&fields);
    write_one(fields, quote(fields, text), found);
}

fn write_one(fields: &Fields<'_>, quote: &str, found: &mut dyn FnMut(&[u8])) {
    let Some(url) = fields.text("url").or_else(|| fields.text("uri")) else { return };
    let mut out = Vec::with_capacity(128);
    let mut object = ObjectWriter::of_type("web_search_result_location", &mut out);
    object.value("cited_text", quote);
    object.text("url", &url);
    object.value("title", &fields.text("title"));
    // Anthropic's models want back what they encrypted: the mark says that another vendor's model has cited.
    object.text("encrypted_index", &signature(None));
    object.close();
    found(&out);
}

/// Returns the words that a citation is of: its places are letters of the text.
fn quote<'t>(fields: &Fields<'_>, text: &'t str) -> &'t str {
    let place = |name| fields.value::<usize>(name).map(|letters| byte_at(text, letters));
    let (Some(start), Some(end)) = (place("start_index"), place("end_index")) else { return "" };
    let words = text.get(start..end).unwrap_or_default();
    &words[..byte_at(words, LONGEST_QUOTE)]
}

fn byte_at(text: &str, letters: usize) -> usize {
    text.char_indices().nth(letters).map_or(text.len(), |(at, _)| at)
}
