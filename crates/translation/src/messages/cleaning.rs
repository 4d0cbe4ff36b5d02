//! Requests that go to Anthropic's models after another vendor's have spoken in the conversation: what those sealed is
//! taken out, and every other byte stays.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::content_reader::seal;
use super::object::write_value;
use crate::family::DialectFamily;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::refusal::TranslationRefusal;
use crate::translation::{CleanedRequest, TranslationTarget};

/// Takes out the thoughts of other vendors, and names the target's model.
pub(super) fn clean(
    body: &[u8],
    target: &TranslationTarget<'_>,
    losses: &mut LossReport,
) -> Result<CleanedRequest, TranslationRefusal> {
    let malformed = |problem: &str| TranslationRefusal::malformed("body", problem);
    let fields = Fields::of_document(body).map_err(|error| malformed(&error.to_string()))?;
    let model = fields.get("model").ok_or_else(|| malformed("no model"))?;
    let turns = fields.get("messages").ok_or_else(|| malformed("no messages"))?;
    let mut edits = [(place_in(body, model), Vec::new()), (place_in(body, turns), clean_turns(turns, losses))];
    write_value(&mut edits[0].1, target.model);
    let is_model_first = edits[0].0.start < edits[1].0.start;
    edits.sort_by_key(|(place, _)| place.start);
    let mut out = Vec::with_capacity(body.len());
    let mut model_span = 0..0;
    let mut at = 0;
    for (index, (place, text)) in edits.iter().enumerate() {
        out.extend_from_slice(&body[at..place.start]);
        if (index == 0) == is_model_first {
            model_span = out.len()..out.len() + text.len();
        }
        out.extend_from_slice(text);
        at = place.end;
    }
    out.extend_from_slice(&body[at..]);
    Ok(CleanedRequest { body: out, model_span, stream: fields.value("stream").unwrap_or(false) })
}

/// Returns the place of a value in the body that it was read from.
fn place_in(body: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

fn clean_turns(turns: &RawValue, losses: &mut LossReport) -> Vec<u8> {
    let Some(list) = json::list(turns) else { return turns.get().as_bytes().to_vec() };
    let mut kept = Vec::with_capacity(list.len());
    let mut is_changed = false;
    for turn in list {
        match clean_turn(turn) {
            CleanTurn::AsIs => kept.push(turn.get().to_owned()),
            CleanTurn::Changed(text) => {
                losses.dropped(Field::Thinking);
                is_changed = true;
                kept.push(text);
            }
            CleanTurn::Empty => {
                losses.dropped(Field::Thinking);
                losses.changed(Field::EmptyTurns, "left out");
                is_changed = true;
            }
        }
    }
    if is_changed { format!("[{}]", kept.join(",")).into_bytes() } else { turns.get().as_bytes().to_vec() }
}

/// A turn without the thoughts of others.
enum CleanTurn {
    AsIs,
    Changed(String),
    Empty,
}

fn clean_turn(turn: &RawValue) -> CleanTurn {
    let content = Fields::of(turn).and_then(|fields| fields.get("content"));
    let Some((content, blocks)) = content.and_then(|content| Some((content, json::list(content)?))) else {
        return CleanTurn::AsIs;
    };
    let count = blocks.len();
    let kept: Vec<_> = blocks.into_iter().filter(|block| !is_foreign(block)).map(without_foreign_citations).collect();
    let is_as_it_was = kept.len() == count && kept.iter().all(|block| matches!(block, Cow::Borrowed(_)));
    match kept.as_slice() {
        _ if is_as_it_was => CleanTurn::AsIs,
        [] => CleanTurn::Empty,
        _ => CleanTurn::Changed(replaced(turn, content, &format!("[{}]", kept.join(",")))),
    }
}

/// Returns the text of a value with the text of one that it holds replaced.
fn replaced(whole: &RawValue, part: &RawValue, text: &str) -> String {
    let place = place_in(whole.get().as_bytes(), part);
    format!("{}{text}{}", &whole.get()[..place.start], &whole.get()[place.end..])
}

/// Returns a block without the citations of another vendor's model: Anthropic's wants back what it encrypted.
fn without_foreign_citations(block: &RawValue) -> Cow<'_, str> {
    let citations = Fields::of(block).and_then(|fields| fields.get("citations"));
    let Some((raw, list)) = citations.and_then(|raw| Some((raw, json::list(raw)?))) else {
        return Cow::Borrowed(block.get());
    };
    let is_foreign = |citation: &&RawValue| {
        let index = Fields::of(citation).and_then(|fields| fields.text("encrypted_index"));
        index.is_some_and(|index| is_other_vendors(index))
    };
    let count = list.len();
    let kept: Vec<_> = list.into_iter().filter(|citation| !is_foreign(citation)).map(RawValue::get).collect();
    match kept.len() {
        left if left == count => Cow::Borrowed(block.get()),
        0 => Cow::Owned(replaced(block, raw, "null")),
        _ => Cow::Owned(replaced(block, raw, &format!("[{}]", kept.join(",")))),
    }
}

/// Tells whether a block is a thought of another vendor's.
fn is_foreign(block: &RawValue) -> bool {
    let Some(fields) = Fields::of(block) else { return false };
    let field = match fields.text("type").as_deref() {
        Some("thinking") => fields.text("signature"),
        Some("redacted_thinking") => fields.text("data"),
        _ => None,
    };
    field.is_some_and(is_other_vendors)
}

/// Tells whether an opaque field holds what another vendor sealed.
fn is_other_vendors(field: Cow<'_, str>) -> bool {
    !field.is_empty() && seal(field).is_none_or(|sealed| sealed.for_maker(DialectFamily::Messages).is_none())
}
