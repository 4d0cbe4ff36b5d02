//! Thoughts with their seals: one that was hidden whole is told from one that is only signed.

use std::borrow::Cow;

use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::Thinking;

/// The id by which a carried seal says that its vendor has hidden the whole thought: Anthropic's redacted thinking goes
/// back in another kind of block than a signature, and has no id of its own.
const REDACTED: &str = "redacted";

/// The documented signature of a call that Google's models have not made, in base64. Gemini 3 refuses a turn whose first
/// call has none.
pub(super) const NO_SIGNATURE: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// The same, as Gemini CLI writes it on calls of its history, and as it becomes where an SDK takes it for base64 and encodes
/// it in the other alphabet.
const BARE_NO_SIGNATURES: [&str; 2] = ["skip_thought_signature_validator", "skip/thought/signature/validator"];

/// Reads a signature; `None` for one that says that there is none.
pub(super) fn seal(signature: Cow<'_, str>) -> Option<VendorSeal<'_>> {
    let says_none = BARE_NO_SIGNATURES.contains(&&*signature) || is_no_signature(&signature);
    (!says_none && !signature.is_empty()).then(|| VendorSeal::of_field(DialectFamily::Gemini, signature))
}

/// Tells whether a signature is [`NO_SIGNATURE`].
pub(super) fn is_no_signature(signature: &str) -> bool {
    signature.trim_end_matches('=') == NO_SIGNATURE.trim_end_matches('=')
}

/// Returns the thought of a text and its seal.
pub(super) fn restored<'b>(text: Cow<'b, str>, sealed: Option<VendorSeal<'b>>) -> Thinking<'b> {
    let mut sealed = sealed;
    let is_redacted = sealed.as_ref().is_some_and(is_redacted);
    if is_redacted && let Some(sealed) = &mut sealed {
        sealed.id = None;
    }
    Thinking { text, is_summary: true, is_redacted, sealed }
}

/// Returns what a thought's seal is in Google's field; `None` where nothing seals it.
pub(super) fn field<'s>(thinking: &'s Thinking<'_>) -> Option<Cow<'s, str>> {
    let sealed = thinking.sealed.as_ref()?;
    Some(if thinking.is_redacted { redacted_field(sealed) } else { sealed.to_field(DialectFamily::Gemini) })
}

/// Returns what the seal of a thought that its vendor has hidden is in Google's field.
pub(super) fn redacted_field<'s>(sealed: &'s VendorSeal<'_>) -> Cow<'s, str> {
    if sealed.maker != DialectFamily::Messages || sealed.id.is_some() {
        return sealed.to_field(DialectFamily::Gemini);
    }
    let marked = VendorSeal { maker: sealed.maker, text: Cow::Borrowed(&*sealed.text), id: Some(REDACTED.into()) };
    Cow::Owned(marked.to_field(DialectFamily::Gemini).into_owned())
}

/// Tells whether a thought's seal goes with the call after it, for clients that keep no thoughts: chat completions have
/// the seals of servers that name no more than a field.
pub(super) fn is_kept_by_calls(sealed: &VendorSeal<'_>) -> bool {
    sealed.maker != DialectFamily::Chat
}

fn is_redacted(sealed: &VendorSeal<'_>) -> bool {
    sealed.maker == DialectFamily::Messages && sealed.id.as_deref() == Some(REDACTED)
}
