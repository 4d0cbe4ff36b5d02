//! Citations of answers: this API's own as they are, those of other APIs as places in results of a web search.

use serde_json::value::RawValue;

use super::answer_writer::signature;
use crate::conversion::cited_page::{CitedPage, cited_pages};
use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};

/// The most letters of a text that a citation repeats.
const LONGEST_QUOTE: usize = 150;

/// Gives every citation, written in this API's form, to `found`. `text` is the text that they are in, as far as it is
/// known.
pub(super) fn write_each(raw: &RawValue, text: &str, found: &mut dyn FnMut(&[u8])) {
    for citation in json::list(raw).unwrap_or_else(|| vec![raw]) {
        if Fields::of(citation).is_some_and(|fields| fields.get("cited_text").is_some()) {
            // A citation stands in one line of an event.
            found(citation.get().replace(['\n', '\r'], " ").as_bytes());
        } else {
            cited_pages(citation, text).iter().for_each(|page| write_one(page, text, found));
        }
    }
}

/// Tells whether any of the citations can be said.
pub(super) fn are_sayable(raw: &RawValue) -> bool {
    let mut is_any = false;
    write_each(raw, "", &mut |_| is_any = true);
    is_any
}

fn write_one(page: &CitedPage<'_>, text: &str, found: &mut dyn FnMut(&[u8])) {
    let mut out = Vec::with_capacity(128);
    let mut object = ObjectWriter::of_type("web_search_result_location", &mut out);
    object.value("cited_text", quote(page, text));
    object.text("url", &page.url);
    object.value("title", &page.title);
    // Anthropic's models want back what they encrypted: the mark says that another vendor's model has cited.
    object.text("encrypted_index", &signature(None));
    object.close();
    found(&out);
}

/// Returns the words that a citation is of: its places are letters of the text.
fn quote<'t>(page: &'t CitedPage<'_>, text: &'t str) -> &'t str {
    let place = page.place.as_ref().map(|place| byte_at(text, place.start)..byte_at(text, place.end));
    let words = page.words.as_deref().or_else(|| text.get(place?)).unwrap_or_default();
    &words[..byte_at(words, LONGEST_QUOTE)]
}

fn byte_at(text: &str, letters: usize) -> usize {
    text.char_indices().nth(letters).map_or(text.len(), |(at, _)| at)
}
