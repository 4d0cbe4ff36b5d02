//! Parts of a model's turn, put together: SDKs keep a stream's chunks as they came, with a thought apart from what seals it.

use std::borrow::Cow;

use super::thought;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::{Part, PartBody, Thinking};

/// The distance over which a seal is looked for that comes with a call as well: to its thought, over the text between.
const NEAR: usize = 4;

/// A part of text.
pub(super) struct TextPiece<'b> {
    /// The text.
    pub(super) text: Cow<'b, str>,
    /// True for a thought.
    pub(super) is_thought: bool,
    /// The vendor's seal.
    pub(super) sealed: Option<VendorSeal<'b>>,
}

/// Pushes a part of text, by what it is.
pub(super) fn push_text<'b>(piece: TextPiece<'b>, parts: &mut Vec<Part<'b>>) {
    let TextPiece { text, is_thought, sealed } = piece;
    match (text.is_empty(), &sealed) {
        // Answers in a stream end with an empty text, which clients send back.
        (true, None) => {}
        // Google closes some answers with an empty text that only carries a signature.
        (true, Some(_)) => push_thought(thought::restored(text, sealed), parts),
        _ if is_thought => push_thought(thought::restored(text, sealed), parts),
        _ => push_signed(Part::text(text), sealed, parts),
    }
}

/// Pushes a part with its seal. One of another vendor's seals a thought, which stands before it: before the text that
/// leads to a call too, as vendors think first, and Anthropic's takes a turn only so.
pub(super) fn push_signed<'b>(mut part: Part<'b>, sealed: Option<VendorSeal<'b>>, parts: &mut Vec<Part<'b>>) {
    match sealed {
        Some(sealed) if sealed.maker != DialectFamily::Gemini => {
            let thinking = thought::restored(Cow::Borrowed(""), Some(sealed));
            match texts_before(&part, parts).filter(|_| !is_sealed_near(parts, &thinking)) {
                Some(start) => parts.insert(start, Part::new(PartBody::Thinking(thinking))),
                None => push_thought(thinking, parts),
            }
        }
        sealed => part.sealed = sealed,
    }
    parts.push(part);
}

/// Returns where the texts begin that lead to a call; `None` where there are none, or a thought stands before them.
fn texts_before(call: &Part<'_>, parts: &[Part<'_>]) -> Option<usize> {
    let is_text = |part: &&Part<'_>| matches!(part.body, PartBody::Text { .. });
    let start = parts.len() - parts.iter().rev().take_while(is_text).count();
    let is_after_thought = start > 0 && matches!(parts[start - 1].body, PartBody::Thinking(_));
    let is_call = matches!(call.body, PartBody::ToolCall(_));
    (is_call && start < parts.len() && !is_after_thought).then_some(start)
}

/// Pushes a thought. One without text seals the thought before it, where nothing does; a seal that is there already is
/// not there twice.
fn push_thought<'b>(thinking: Thinking<'b>, parts: &mut Vec<Part<'b>>) {
    if !thinking.text.is_empty() {
        parts.push(Part::new(PartBody::Thinking(thinking)));
        return;
    }
    if is_sealed_near(parts, &thinking) {
        return;
    }
    match parts.last_mut().map(|part| &mut part.body) {
        Some(PartBody::Thinking(last)) if last.sealed.is_none() && !thinking.is_redacted => {
            last.sealed = thinking.sealed;
        }
        _ => parts.push(Part::new(PartBody::Thinking(thinking))),
    }
}

/// Tells whether one of the last parts is a thought with the same seal.
fn is_sealed_near(parts: &[Part<'_>], thinking: &Thinking<'_>) -> bool {
    let is_same = |part: &Part<'_>| matches!(&part.body, PartBody::Thinking(other) if other.sealed == thinking.sealed);
    parts.iter().rev().take(NEAR).any(is_same)
}

/// Appends the parts of the next content of one turn: a text and a thought that go on are one with what came before.
pub(super) fn append<'b>(next: Vec<Part<'b>>, parts: &mut Vec<Part<'b>>) {
    for (index, part) in next.into_iter().enumerate() {
        if index == 0 && goes_on(parts.last_mut(), &part) {
            continue;
        }
        match part.body {
            PartBody::Thinking(thinking) => push_thought(thinking, parts),
            _ => parts.push(part),
        }
    }
}

/// Adds a text or a thought to the last one, where that is not sealed; returns whether it did.
fn goes_on<'b>(last: Option<&mut Part<'b>>, part: &Part<'b>) -> bool {
    let Some(last) = last.filter(|last| last.sealed.is_none()) else { return false };
    match (&mut last.body, &part.body) {
        (PartBody::Text { text: last_text, citations: None }, PartBody::Text { text, citations: None }) => {
            last_text.to_mut().push_str(text);
            last.sealed.clone_from(&part.sealed);
            true
        }
        (PartBody::Thinking(last), PartBody::Thinking(thinking))
            if last.sealed.is_none() && !last.is_redacted && !thinking.is_redacted =>
        {
            last.text.to_mut().push_str(&thinking.text);
            last.sealed.clone_from(&thinking.sealed);
            true
        }
        _ => false,
    }
}
