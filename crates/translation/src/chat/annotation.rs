//! Citations, written as annotations of chat completions: addresses alone, which is all that the API has.

use serde_json::value::RawValue;

use crate::conversion::cited_page::cited_pages;
use crate::json::writer::ObjectWriter;

/// Writes the citations of a text, of whichever API, to the end of a list's elements. The text begins at the letter `begin`
/// of its message.
pub(super) fn write(citations: &RawValue, text: &str, begin: usize, list: &mut Vec<u8>) {
    for page in cited_pages(citations, text) {
        let place = page.place.unwrap_or_else(|| 0..text.chars().count());
        if !list.is_empty() {
            list.push(b',');
        }
        let mut annotation = ObjectWriter::open(list);
        annotation.value("type", "url_citation");
        let mut citation = annotation.object("url_citation");
        citation.value("start_index", &(begin + place.start)).value("end_index", &(begin + place.end));
        citation.and_text("title", page.title.as_deref().unwrap_or_default()).and_text("url", &page.url).close();
        annotation.close();
    }
}
