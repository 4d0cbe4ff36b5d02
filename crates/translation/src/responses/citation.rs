//! Citations of pages, as each API writes them, in this API's form.

use serde_json::value::RawValue;

use crate::conversion::cited_page::{CitedPage, cited_pages};
use crate::json::writer::ObjectWriter;

/// Gives every citation of a page to `found`, as an annotation of the text that it is in.
pub(super) fn write_each(citations: &RawValue, text: &str, found: &mut dyn FnMut(&[u8])) {
    for page in cited_pages(citations, text) {
        let mut out = Vec::with_capacity(128);
        write_one(&page, text, &mut out);
        found(&out);
    }
}

fn write_one(page: &CitedPage<'_>, text: &str, out: &mut Vec<u8>) {
    // A citation without a place is of all of the text.
    let place = page.place.clone().unwrap_or_else(|| 0..text.chars().count());
    let mut object = ObjectWriter::of_type("url_citation", out);
    object.number("start_index", place.start);
    object.number("end_index", place.end);
    object.text("title", page.title.as_deref().unwrap_or_default());
    object.text("url", &page.url);
    object.close();
}
