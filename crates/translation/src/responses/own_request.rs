//! Requests that stay in this API: everything is left as it is, but what other vendors sealed.
//!
//! A thought that another vendor's model wrote comes back as a reasoning item. OpenAI knows no such item, and what is
//! sealed in it is not for OpenAI.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::Fields;
use crate::json::writer::push_value;
use crate::loss::{Field, LossReport};
use crate::refusal::TranslationRefusal;
use crate::translation::{CleanedRequest, TranslationTarget};

/// A piece of a body with the text that it is replaced by.
struct Edit {
    range: Range<usize>,
    text: Vec<u8>,
}

/// Takes other vendors' thoughts out of a request.
pub(super) fn clean(
    body: &[u8],
    target: &TranslationTarget<'_>,
    losses: &mut LossReport,
) -> Result<CleanedRequest, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    let mut edits = Vec::with_capacity(2);
    if let Some(raw) = fields.get("model") {
        let mut text = Vec::new();
        push_value(&mut text, target.model);
        edits.push(Edit { range: place(raw, body), text });
    }
    let items = fields.list("input");
    let own: Vec<&str> = items.iter().filter(|item| !is_foreign(item)).map(|item| item.get()).collect();
    if let Some(raw) = fields.get("input").filter(|_| own.len() < items.len()) {
        losses.dropped(Field::Thinking);
        edits.push(Edit { range: place(raw, body), text: format!("[{}]", own.join(",")).into_bytes() });
    }
    edits.sort_unstable_by_key(|edit| edit.range.start);
    let body = edited(body, &edits);
    let model_span =
        Fields::of_document(&body).ok().and_then(|fields| fields.get("model").map(|raw| place(raw, &body)));
    Ok(CleanedRequest { body, model_span: model_span.unwrap_or(0..0), stream: fields.value("stream").unwrap_or(false) })
}

fn edited(body: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut at = 0;
    for edit in edits {
        out.extend_from_slice(&body[at..edit.range.start]);
        out.extend_from_slice(&edit.text);
        at = edit.range.end;
    }
    out.extend_from_slice(&body[at..]);
    out
}

/// Returns the place of a value in the body that it was read from.
fn place(raw: &RawValue, body: &[u8]) -> Range<usize> {
    let start = raw.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + raw.get().len()
}

/// Tells whether an item is another vendor's thought.
fn is_foreign(item: &RawValue) -> bool {
    // Nearly no item is: the mark that a carried seal begins with is looked for first.
    if memchr::memmem::find(item.get().as_bytes(), b"cG0xL").is_none() {
        return false;
    }
    let Some(fields) = Fields::of(item) else { return false };
    let field = fields.text("encrypted_content");
    field.is_some_and(|field| {
        VendorSeal::of_field(DialectFamily::Responses, field).for_maker(DialectFamily::Responses).is_none()
    })
}
