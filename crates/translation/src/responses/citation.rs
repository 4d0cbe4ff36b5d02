//! Citations of pages, as each API writes them, in this API's form.

use serde_json::value::RawValue;

use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};

/// Writes the citations of pages to the end of a list's elements. `length` is the number of letters of the text so far:
/// a citation without a place is of all of it.
pub(super) fn write(raw: &RawValue, length: usize, out: &mut Vec<u8>) {
    match json::list(raw) {
        Some(list) => list.into_iter().for_each(|raw| write_one(raw, length, out)),
        None => write_one(raw, length, out),
    }
}

fn write_one(raw: &RawValue, length: usize, out: &mut Vec<u8>) {
    let Some(fields) = Fields::of(raw) else { return };
    // Chat completions have the citation one level below.
    let fields = fields.object("url_citation").unwrap_or(fields);
    let Some(url) = fields.text("url").or_else(|| fields.text("uri")) else { return };
    if !out.is_empty() {
        out.push(b',');
    }
    let place = |name: &str| fields.value::<u64>(name);
    let mut object = ObjectWriter::of_type("url_citation", out);
    object.number("start_index", place("start_index").unwrap_or(0));
    object.number("end_index", place("end_index").unwrap_or(length as u64));
    object.text("title", &fields.text("title").unwrap_or_default());
    object.text("url", &url);
    object.close();
}
