//! Reasoning items, and what is carried in their opaque field for other vendors.
//!
//! A seal of another vendor's is coded by [`VendorSeal::to_field`]. Its id, which only OpenAI's own seals need, says what the
//! seal is of: a hidden thought, or a call, whose id it names.

use std::borrow::Cow;

use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::Fields;
use crate::neutral::Thinking;

/// The id of a carried seal of a thought that its vendor has hidden.
const REDACTED: &str = "redacted";

/// The beginning of the id of a carried seal of a call.
const CALL: &str = "call:";

/// Reads a reasoning item.
pub(super) fn read<'b>(fields: &Fields<'b>) -> Thinking<'b> {
    let summary = texts(fields, "summary");
    let is_summary = !summary.is_empty();
    let text = if is_summary { summary } else { texts(fields, "content") };
    let field = fields.text("encrypted_content").filter(|field| !field.is_empty());
    let mut sealed = field.map(|field| VendorSeal::of_field(DialectFamily::Responses, field));
    let mut is_redacted = false;
    if let Some(own) = sealed.as_mut().filter(|sealed| sealed.maker == DialectFamily::Responses) {
        own.id = own.id.take().or_else(|| fields.text("id"));
    }
    if let Some(hidden) = sealed.as_mut().filter(|sealed| sealed.id.as_deref() == Some(REDACTED)) {
        hidden.id = None;
        is_redacted = true;
    }
    // A thought without a seal is carried with an empty one, so that it is known for another vendor's.
    sealed = sealed.filter(|sealed| !sealed.text.is_empty());
    Thinking { text, is_summary, is_redacted, sealed }
}

fn texts<'b>(fields: &Fields<'b>, name: &str) -> Cow<'b, str> {
    let mut texts = fields.list(name).into_iter().filter_map(Fields::of).filter_map(|part| part.text("text"));
    let Some(first) = texts.next() else { return Cow::Borrowed("") };
    texts.fold(first, |mut whole, text| {
        whole.to_mut().push_str("\n\n");
        whole.to_mut().push_str(&text);
        whole
    })
}

/// Returns the text of `encrypted_content` for a thought that its vendor has hidden.
pub(super) fn hidden_field(sealed: &VendorSeal<'_>) -> String {
    match sealed.maker {
        DialectFamily::Responses => field(Some(sealed)),
        _ => carried(sealed, REDACTED.to_owned()),
    }
}

/// Returns the text of `encrypted_content` for a thought.
pub(super) fn field(sealed: Option<&VendorSeal<'_>>) -> String {
    let Some(sealed) = sealed else {
        return VendorSeal::new(DialectFamily::Chat, "").to_field(DialectFamily::Responses).into_owned();
    };
    sealed.to_field(DialectFamily::Responses).into_owned()
}

/// Returns the text of `encrypted_content` for the seal on the call `id`.
pub(super) fn field_of_call(sealed: &VendorSeal<'_>, id: &str) -> String {
    carried(sealed, call_mark(id).unwrap_or_default())
}

fn carried(sealed: &VendorSeal<'_>, id: String) -> String {
    let marked = VendorSeal { maker: sealed.maker, text: Cow::Borrowed(&*sealed.text), id: Some(id.into()) };
    marked.to_field(DialectFamily::Responses).into_owned()
}

/// Returns the id of a carried seal on the call `id`.
pub(super) fn call_mark(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| format!("{CALL}{id}"))
}

/// A reasoning item: a thought, or nothing but the seal on a call.
pub(super) enum CallOrThought<'b> {
    /// The seal on a call.
    Call {
        /// The id of the carried seal, which names the call.
        mark: Cow<'b, str>,
        /// The seal itself.
        sealed: VendorSeal<'b>,
    },
    /// A thought.
    Thought(Thinking<'b>),
}

/// Tells a thought from the seal on a call.
pub(super) fn of_call(mut thought: Thinking<'_>) -> CallOrThought<'_> {
    let is_call = |sealed: &mut VendorSeal<'_>| {
        sealed.maker != DialectFamily::Responses && sealed.id.as_ref().is_some_and(|id| id.starts_with(CALL))
    };
    match thought.sealed.take_if(|sealed| thought.text.is_empty() && is_call(sealed)) {
        Some(mut sealed) => CallOrThought::Call { mark: sealed.id.take().unwrap_or_default(), sealed },
        None => CallOrThought::Thought(thought),
    }
}
