//! Citations, written as annotations of chat completions: addresses alone, which is all that the API has.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};

/// Writes the citations of a text, of whichever API, to the end of a list's elements. `place` is the text's place in the
/// message, in characters, for those that do not say theirs.
pub(super) fn write(citations: &RawValue, place: Range<usize>, list: &mut Vec<u8>) {
    let citations = json::list(citations).unwrap_or_else(|| vec![citations]);
    for fields in citations.into_iter().filter_map(Fields::of) {
        // OpenAI's older API nests what its newer one has flat.
        let fields = fields.object("url_citation").unwrap_or(fields);
        let Some(url) = fields.text("url") else { continue };
        let title = fields.text("title").unwrap_or_default();
        let start: usize = fields.value("start_index").map_or(place.start, |start: usize| start);
        let end: usize = fields.value("end_index").map_or(place.end, |end: usize| end);
        if !list.is_empty() {
            list.push(b',');
        }
        let mut annotation = ObjectWriter::open(list);
        annotation.value("type", "url_citation");
        let mut citation = annotation.object("url_citation");
        citation.value("start_index", &start).value("end_index", &end);
        citation.and_text("title", &title).and_text("url", &url).close();
        annotation.close();
    }
}
