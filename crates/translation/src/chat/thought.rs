//! Thoughts in chat completions: `reasoning_content` or `reasoning` for their text, `reasoning_details` for their seals.
//!
//! OpenAI's own API has neither; the servers that show thoughts do. What has only a text is sealed with the name of its
//! field, so that it comes back to a server of this API from every client, and goes to no other.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::Fields;
use crate::json::writer::{ObjectWriter, push_list};
use crate::neutral::{Part, PartBody, Thinking};

/// The fields that servers have for the text of thoughts.
pub(super) const TEXT_FIELDS: [&str; 2] = ["reasoning_content", "reasoning"];

/// Reads the thoughts of a message.
pub(super) fn read<'b>(message: &Fields<'b>) -> Vec<Part<'b>> {
    let details = message.list("reasoning_details");
    let mut thoughts: Vec<Thinking<'b>> = details.into_iter().filter_map(detail).collect();
    if thoughts.iter().all(|thought| thought.text.is_empty())
        && let Some(thought) = TEXT_FIELDS.iter().find_map(|name| plain(message, name))
    {
        thoughts.insert(0, thought);
    }
    thoughts.into_iter().map(|thought| Part::new(PartBody::Thinking(thought))).collect()
}

fn plain<'b>(message: &Fields<'b>, name: &'static str) -> Option<Thinking<'b>> {
    let text = message.text(name).filter(|text| !text.is_empty())?;
    Some(Thinking { text, is_summary: false, is_redacted: false, sealed: Some(own_seal(name)) })
}

/// Returns the seal of a thought that has only a text, in the field called `name`.
pub(super) fn own_seal<'b>(name: &'static str) -> VendorSeal<'b> {
    VendorSeal::new(DialectFamily::Chat, name)
}

fn detail(raw: &RawValue) -> Option<Thinking<'_>> {
    let fields = Fields::of(raw)?;
    let is_encrypted = fields.text("type").as_deref() == Some("reasoning.encrypted");
    let is_summary = fields.text("type").as_deref() == Some("reasoning.summary");
    let text = fields.text("text").or_else(|| fields.text("summary")).unwrap_or_default();
    let seal = fields.either(["signature", "data"]).and_then(crate::json::text);
    let seal = seal.map(|seal| VendorSeal::of_field(DialectFamily::Chat, seal));
    Some(match seal.filter(|seal| seal.maker != DialectFamily::Chat) {
        Some(seal) => Thinking {
            text,
            is_summary: seal.maker == DialectFamily::Responses,
            is_redacted: is_encrypted && seal.maker == DialectFamily::Messages,
            sealed: Some(seal),
        },
        None => Thinking {
            text,
            is_summary,
            is_redacted: false,
            sealed: Some(VendorSeal::new(DialectFamily::Chat, raw.get())),
        },
    })
}

/// Writes the thoughts of a message.
pub(super) fn write(message: &mut ObjectWriter<'_>, thoughts: &[&Thinking<'_>]) {
    for name in TEXT_FIELDS {
        let mut texts =
            thoughts.iter().filter(|thought| text_field(thought) == Some(name)).map(|thought| &*thought.text);
        if let Some(first) = texts.next() {
            let text = texts.fold(Cow::Borrowed(first), |all, next| all + next);
            message.value(name, &*text);
        }
    }
    let mut details = thoughts.iter().filter(|thought| has_detail(thought)).peekable();
    if details.peek().is_some() {
        let key = message.key("reasoning_details");
        push_list(key, details.enumerate(), |out, (index, thought)| write_detail(out, thought, index));
    }
}

/// Returns the field for the text of a thought; `None` for a thought without a text.
fn text_field(thought: &Thinking<'_>) -> Option<&'static str> {
    let own = thought.sealed.as_ref().and_then(|seal| seal.for_maker(DialectFamily::Chat));
    let named = own.and_then(|own| TEXT_FIELDS.into_iter().find(|name| *name == own));
    (!thought.text.is_empty()).then_some(named.unwrap_or(TEXT_FIELDS[0]))
}

/// Tells whether a thought has a seal that must come back.
pub(super) fn has_detail(thought: &Thinking<'_>) -> bool {
    thought.sealed.as_ref().is_some_and(|seal| !is_own_text(seal))
}

fn is_own_text(seal: &VendorSeal<'_>) -> bool {
    seal.for_maker(DialectFamily::Chat).is_some_and(|own| !own.starts_with(['{', '[']))
}

/// Writes the detail of a thought that [has one](has_detail).
pub(super) fn write_detail(out: &mut Vec<u8>, thought: &Thinking<'_>, index: usize) {
    let Some(seal) = &thought.sealed else { return };
    if let Some(own) = seal.for_maker(DialectFamily::Chat) {
        // The details of a stream are one list.
        let own = own.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(own);
        out.extend_from_slice(own.as_bytes());
        return;
    }
    let mut detail = ObjectWriter::open(out);
    let is_encrypted = thought.is_redacted || thought.text.is_empty() && seal.maker != DialectFamily::Messages;
    if is_encrypted {
        detail.value("type", "reasoning.encrypted").text("data", &seal.to_field(DialectFamily::Chat));
    } else {
        detail.value("type", "reasoning.text").text("text", &thought.text);
        detail.text("signature", &seal.to_field(DialectFamily::Chat));
    }
    detail.value("index", &index).close();
}

/// Reads the seal of a message or of a call: Google's servers of this API sign both.
pub(super) fn signature<'b>(fields: &Fields<'b>) -> Option<VendorSeal<'b>> {
    signature_of_extra(fields.get("extra_content")?)
}

/// Reads the seal in what a server adds to a message or to a call.
pub(super) fn signature_of_extra(extra: &RawValue) -> Option<VendorSeal<'_>> {
    let google = Fields::of(extra)?.object("google")?;
    Some(VendorSeal::of_field(DialectFamily::Chat, google.text("thought_signature")?))
}

/// Writes the seal of a message or of a call.
pub(super) fn write_signature(object: &mut ObjectWriter<'_>, seal: &VendorSeal<'_>) {
    let mut extra = object.object("extra_content");
    extra.object("google").and_text("thought_signature", &seal.to_field(DialectFamily::Chat)).close();
    extra.close();
}
