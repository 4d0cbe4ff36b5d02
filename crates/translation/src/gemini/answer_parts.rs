//! Parts of an answer in Google's words, whole or in a stream.

use std::borrow::Cow;

use super::part_writer::arguments;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::writer::ObjectWriter;
use crate::neutral::{CallKind, Stop, StopReason, ToolCall};

/// Writes a text.
pub(super) fn text(text: &str, signature: Option<&str>, out: &mut Vec<u8>) {
    let mut members = ObjectWriter::open(out);
    members.text("text", text);
    if let Some(signature) = signature {
        members.text("thoughtSignature", signature);
    }
    members.close();
}

/// Writes a thought.
pub(super) fn thought(text: &str, signature: Option<&str>, out: &mut Vec<u8>) {
    let mut members = ObjectWriter::open(out);
    members.text("text", text);
    members.raw("thought", "true");
    if let Some(signature) = signature {
        members.text("thoughtSignature", signature);
    }
    members.close();
}

/// Writes a call; returns whether it is one: Google has no word for arguments that are no object.
pub(super) fn call(call: &ToolCall<'_>, signature: Option<&str>, out: &mut Vec<u8>) -> bool {
    let object = match call.kind {
        CallKind::Custom => None,
        CallKind::Function => match arguments(&call.arguments) {
            Some(object) => Some(object),
            None => return false,
        },
    };
    let mut members = ObjectWriter::open(out);
    members.within("functionCall", |members| {
        if !call.id.is_empty() {
            members.text("id", &call.id);
        }
        members.text("name", &call.name);
        match object {
            Some(object) => members.raw("args", &*object),
            None => members.within("args", |members| members.text("input", &call.arguments)),
        }
    });
    if let Some(signature) = signature {
        members.text("thoughtSignature", signature);
    }
    members.close();
    true
}

/// Returns the words of a stop for a call that is none.
pub(super) fn malformed_call(name: &str) -> Stop<'static> {
    Stop {
        reason: StopReason::MalformedCall,
        detail: Some(Cow::Owned(format!("the arguments of {name} are no JSON object"))),
    }
}

/// Returns a seal as Google's clients keep it.
pub(super) fn signature<'s>(sealed: &'s VendorSeal<'_>) -> Cow<'s, str> {
    sealed.to_field(DialectFamily::Gemini)
}
