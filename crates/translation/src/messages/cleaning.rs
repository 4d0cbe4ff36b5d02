//! Requests that go to Anthropic's models after another vendor's have spoken in the conversation: what those sealed is
//! taken out, and every other byte stays.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::content_reader::seal;
use crate::family::DialectFamily;
use crate::json::writer::push_value;
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
    let turns_cleaned = clean_turns(turns, losses);
    let mut edits = vec![(place_in(body, turns), turns_cleaned.text)];
    if let Some(thinking) = fields.get("thinking").filter(|raw| turns_cleaned.is_loop_without_thought && is_manual(raw))
    {
        losses.changed(Field::Thinking, "disabled");
        edits.push((place_in(body, thinking), br#"{"type":"disabled"}"#.to_vec()));
    }
    let model_place = place_in(body, model);
    let mut name = Vec::new();
    push_value(&mut name, target.model);
    edits.push((model_place.clone(), name));
    edits.sort_by_key(|(place, _)| place.start);
    let mut out = Vec::with_capacity(body.len());
    let mut model_span = 0..0;
    let mut at = 0;
    for (place, text) in &edits {
        out.extend_from_slice(&body[at..place.start]);
        if *place == model_place {
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

/// Turns without the thoughts of others.
struct CleanedTurns {
    text: Vec<u8>,
    /// True where the last turn of the assistant calls tools and begins with no thought any more.
    is_loop_without_thought: bool,
}

fn clean_turns(turns: &RawValue, losses: &mut LossReport) -> CleanedTurns {
    let as_is = || CleanedTurns { text: turns.get().as_bytes().to_vec(), is_loop_without_thought: false };
    let Some(list) = json::list(turns) else { return as_is() };
    let mut kept = Vec::with_capacity(list.len());
    let mut is_changed = false;
    let mut is_loop_without_thought = false;
    for turn in list {
        let cleaned = clean_turn(turn);
        if is_assistants(turn) {
            is_loop_without_thought = matches!(&cleaned, CleanTurn::Changed(text) if calls_without_thought(text));
        }
        match cleaned {
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
    if !is_changed {
        return as_is();
    }
    CleanedTurns { text: format!("[{}]", kept.join(",")).into_bytes(), is_loop_without_thought }
}

/// Tells whether a request thinks by a budget: Anthropic's models then refuse calls that no thought of theirs precedes.
fn is_manual(thinking: &RawValue) -> bool {
    kind_of(thinking).as_deref() == Some("enabled")
}

fn kind_of(value: &RawValue) -> Option<Cow<'_, str>> {
    Fields::of(value)?.text("type")
}

fn is_assistants(turn: &RawValue) -> bool {
    Fields::of(turn).and_then(|fields| fields.text("role")).as_deref() == Some("assistant")
}

/// Tells whether a turn calls tools and does not begin with a thought.
fn calls_without_thought(turn: &str) -> bool {
    let Ok(turn) = serde_json::from_str::<&RawValue>(turn) else { return false };
    let blocks = Fields::of(turn).and_then(|fields| json::list(fields.get("content")?)).unwrap_or_default();
    let kinds: Vec<_> = blocks.into_iter().filter_map(kind_of).collect();
    kinds.iter().any(|kind| kind == "tool_use")
        && !matches!(kinds.first().map(|kind| &**kind), Some("thinking" | "redacted_thinking"))
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
