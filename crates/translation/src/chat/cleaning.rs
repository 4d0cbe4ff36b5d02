//! Requests that stay in this API after another vendor's models have spoken in the conversation: what those sealed is
//! taken out, and every other byte stays.

use std::ops::Range;

use serde_json::value::RawValue;

use super::thought;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::writer::{ObjectWriter, push_list, push_value};
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::refusal::TranslationRefusal;
use crate::translation::{CleanedRequest, TranslationTarget};

/// A new text for a place in a text.
struct Splice {
    place: Range<usize>,
    text: Vec<u8>,
}

/// Takes out what other vendors sealed, and names the target's model.
pub(super) fn clean(
    body: &[u8],
    target: &TranslationTarget<'_>,
    losses: &mut LossReport,
) -> Result<CleanedRequest, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    let Some(model) = fields.get("model") else {
        return Err(TranslationRefusal::malformed("model", "must be a string"));
    };
    let mut name = Vec::new();
    push_value(&mut name, target.model);
    let model = place_in(body, model);
    let mut splices = vec![Splice { place: model.clone(), text: name }];
    for message in fields.list("messages") {
        if let Some(text) = clean_message(message, losses) {
            splices.push(Splice { place: place_in(body, message), text });
        }
    }
    splices.sort_by_key(|splice| splice.place.start);
    let mut out = Vec::with_capacity(body.len());
    let mut model_span = 0..0;
    let mut at = 0;
    for Splice { place, text } in splices {
        out.extend_from_slice(&body[at..place.start]);
        if place == model {
            model_span = out.len()..out.len() + text.len();
        }
        out.extend_from_slice(&text);
        at = place.end;
    }
    out.extend_from_slice(&body[at..]);
    Ok(CleanedRequest { body: out, model_span, stream: fields.value("stream").unwrap_or_default() })
}

/// Returns the place of a value in the body that it was read from.
fn place_in(body: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

/// Returns a message without what other vendors sealed; `None` where it holds nothing of theirs.
fn clean_message(message: &RawValue, losses: &mut LossReport) -> Option<Vec<u8>> {
    let fields = Fields::of(message)?;
    let details = fields.list("reasoning_details");
    let kept: Vec<_> = details.iter().copied().filter(|detail| !is_foreign_detail(detail)).collect();
    let has_foreign_thought = kept.len() < details.len();
    let has_foreign_seal = is_foreign_extra(&fields) || fields.list("tool_calls").into_iter().any(is_foreign_call);
    if has_foreign_thought {
        losses.dropped(Field::Thinking);
    }
    if has_foreign_seal {
        losses.dropped(Field::Sealed);
    }
    if !has_foreign_thought && !has_foreign_seal {
        return None;
    }
    let mut out = Vec::with_capacity(message.get().len());
    let mut object = ObjectWriter::open(&mut out);
    for (name, raw) in fields.iter() {
        match name {
            "reasoning_details" if kept.is_empty() => {}
            "reasoning_details" => {
                push_list(object.key(name), &kept, |out, raw| out.extend_from_slice(raw.get().as_bytes()));
            }
            // The text of the same thoughts.
            name if has_foreign_thought && thought::TEXT_FIELDS.contains(&name) => {}
            "extra_content" if is_foreign_extra(&fields) => {}
            "tool_calls" if has_foreign_seal => {
                push_list(object.key(name), fields.list(name), clean_call);
            }
            _ => {
                object.raw(name, raw.get());
            }
        }
    }
    object.close();
    Some(out)
}

fn is_foreign(seal: &VendorSeal<'_>) -> bool {
    seal.maker != DialectFamily::Chat
}

fn is_foreign_detail(raw: &RawValue) -> bool {
    let seal = Fields::of(raw).and_then(|fields| fields.either(["signature", "data"])).and_then(json::text);
    seal.is_some_and(|seal| is_foreign(&VendorSeal::of_field(DialectFamily::Chat, seal)))
}

fn is_foreign_extra(fields: &Fields<'_>) -> bool {
    thought::signature(fields).is_some_and(|seal| is_foreign(&seal))
}

fn is_foreign_call(raw: &RawValue) -> bool {
    Fields::of(raw).is_some_and(|fields| is_foreign_extra(&fields))
}

/// Writes a call without the seal of another vendor's.
fn clean_call(out: &mut Vec<u8>, raw: &RawValue) {
    let Some(fields) = Fields::of(raw).filter(is_foreign_extra) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    let mut object = ObjectWriter::open(out);
    for (name, raw) in fields.iter().filter(|(name, _)| *name != "extra_content") {
        object.raw(name, raw.get());
    }
    object.close();
}
