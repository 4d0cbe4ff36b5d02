//! Requests that go to Google's models after another vendor's have spoken in the conversation: what those sealed is taken
//! out, and every other byte stays.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::generation::ModelGeneration;
use super::splices::BodySplices;
use super::thought::{NO_SIGNATURE, is_no_signature};
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::refusal::TranslationRefusal;

/// The rest of a part after the cleaning.
enum CleanPart {
    AsIs,
    Changed(Vec<u8>),
    Gone,
}

/// Takes out the thoughts and signatures of other vendors.
pub(super) fn clean(
    body: &[u8],
    generation: ModelGeneration,
    losses: &mut LossReport,
) -> Result<Vec<u8>, TranslationRefusal> {
    let malformed = |problem: serde_json::Error| TranslationRefusal::malformed("body", problem.to_string());
    let fields = Fields::of_document(body).map_err(malformed)?;
    let mut splices = BodySplices::of(body);
    if let Some(contents) = fields.get("contents") {
        clean_contents(contents, generation, &mut ContentCleaning { splices: &mut splices, losses });
    }
    Ok(splices.apply().into_owned())
}

/// The results of the cleaning.
struct ContentCleaning<'c, 'b> {
    splices: &'c mut BodySplices<'b>,
    losses: &'c mut LossReport,
}

fn clean_contents<'b>(contents: &'b RawValue, generation: ModelGeneration, cleaning: &mut ContentCleaning<'_, 'b>) {
    let Some(list) = json::list(contents) else { return };
    let mut kept = Vec::new();
    for content in &list {
        let parts = Fields::of(content).and_then(|content| content.get("parts"));
        let Some((parts, list)) = parts.and_then(|parts| Some((parts, json::list(parts)?))) else {
            kept.push(content.get().to_owned());
            continue;
        };
        match clean_parts(&list, generation) {
            None => kept.push(content.get().to_owned()),
            Some(left) => {
                cleaning.losses.dropped(Field::Thinking);
                if left == b"[]" {
                    cleaning.losses.changed(Field::EmptyTurns, "left out");
                } else {
                    let mut splices = BodySplices::of(content.get().as_bytes());
                    splices.replace(parts, left);
                    kept.push(String::from_utf8_lossy(&splices.apply()).into_owned());
                }
            }
        }
    }
    if kept.len() < list.len() || !kept.iter().zip(&list).all(|(kept, content)| kept == content.get()) {
        cleaning.splices.replace(contents, format!("[{}]", kept.join(",")).into_bytes());
    }
}

/// Returns the parts of a content without what other vendors sealed; `None` where they sealed nothing.
fn clean_parts(parts: &[&RawValue], generation: ModelGeneration) -> Option<Vec<u8>> {
    let mut out = vec![b'['];
    let mut is_changed = false;
    let mut has_call = false;
    for part in parts {
        let Some(fields) = Fields::of(part) else { continue };
        let signing = CallSigning {
            instead: (!has_call && generation.is_current()).then_some(NO_SIGNATURE),
            is_checked: generation.is_current(),
        };
        let is_call = fields.either(["functionCall", "function_call"]).is_some();
        has_call |= is_call;
        let written = match clean_part(&fields, signing) {
            CleanPart::AsIs => Cow::Borrowed(part.get().as_bytes()),
            CleanPart::Changed(written) => {
                is_changed = true;
                Cow::Owned(written)
            }
            CleanPart::Gone => {
                is_changed = true;
                continue;
            }
        };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(&written);
    }
    out.push(b']');
    is_changed.then_some(out)
}

/// The signatures of calls that a model checks.
#[derive(Clone, Copy)]
struct CallSigning {
    /// The signature of a call whose own is taken out.
    instead: Option<&'static str>,
    /// True where the model checks signatures: one that says that nobody has signed is for no other.
    is_checked: bool,
}

/// Returns a part without another vendor's seal.
fn clean_part(fields: &Fields<'_>, signing: CallSigning) -> CleanPart {
    let signature = fields.either(["thoughtSignature", "thought_signature"]).and_then(json::text);
    let Some(signature) = signature else { return CleanPart::AsIs };
    let is_needless = !signing.is_checked && is_no_signature(&signature);
    if !is_needless && VendorSeal::of_field(DialectFamily::Gemini, signature).maker == DialectFamily::Gemini {
        return CleanPart::AsIs;
    }
    let is_call = fields.either(["functionCall", "function_call"]).is_some();
    let is_empty = fields.text("text").is_some_and(|text| text.is_empty());
    if fields.value::<bool>("thought") == Some(true) || is_empty {
        return CleanPart::Gone;
    }
    let mut out = Vec::new();
    let mut members = ObjectWriter::open(&mut out);
    for (name, raw) in fields.iter() {
        if !matches!(name, "thoughtSignature" | "thought_signature") {
            members.raw(name, raw.get());
        }
    }
    if let Some(signature) = signing.instead.filter(|_| is_call) {
        members.text("thoughtSignature", signature);
    }
    members.close();
    CleanPart::Changed(out)
}
