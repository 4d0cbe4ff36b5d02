//! Tests that every stream that is written has the order that the API promises, and says all that was read.

use proptest::prelude::*;
use serde_json::Value;

use super::with_details;
use crate::events::EventLines;
use crate::messages::Messages;
use crate::neutral::{CallKind, PartDelta, PartKind, Stop, StopReason, StreamEvent};
use crate::translation::Api;

/// A kind of part, and its pieces in the order of their coming; whether it is ended before the stream is.
#[derive(Debug, Clone)]
struct Part {
    kind: usize,
    pieces: Vec<String>,
    is_ended: bool,
}

const TEXT: usize = 0;
const THINKING: usize = 1;
const REFUSAL: usize = 2;
const CUSTOM: usize = 3;
const FUNCTION: usize = 4;

fn part() -> impl Strategy<Value = Part> {
    let words = (0..4_usize, prop::collection::vec("[a-z\"\\\\{}]{0,5}", 0..4));
    let function = ("[a-z\"\\\\{}]{0,9}", 1..4_usize).prop_map(|(value, size)| {
        let arguments: Vec<char> = serde_json::json!({ "v": value }).to_string().chars().collect();
        (FUNCTION, arguments.chunks(size * 3).map(|piece| piece.iter().collect()).collect())
    });
    (prop_oneof![words, function], any::<bool>()).prop_map(|((kind, pieces), is_ended)| Part { kind, pieces, is_ended })
}

fn kind_of(part: &Part, number: usize) -> PartKind<'static> {
    match part.kind {
        TEXT => PartKind::Text,
        THINKING => PartKind::Thinking { is_summary: false, is_redacted: false },
        REFUSAL => PartKind::Refusal,
        kind => PartKind::ToolCall {
            id: format!("call_{number}").into(),
            name: "f".into(),
            kind: if kind == CUSTOM { CallKind::Custom } else { CallKind::Function },
        },
    }
}

/// Returns events in which the pieces of the parts interleave, as `order` says.
fn events(parts: &[Part], order: &[usize]) -> Vec<StreamEvent<'static>> {
    let mut events = vec![StreamEvent::Begin { id: None, model: None, created: None, usage: None }];
    let mut next = vec![0; parts.len()];
    let mut opened = 0;
    let mut step = |number: usize, events: &mut Vec<StreamEvent<'static>>| {
        while opened <= number {
            events.push(StreamEvent::Open { part: opened, choice: 0, kind: kind_of(&parts[opened], opened) });
            opened += 1;
        }
        let part = &parts[number];
        if let Some(piece) = part.pieces.get(next[number]) {
            let piece = piece.clone().into();
            let delta = if part.kind >= CUSTOM { PartDelta::Arguments(piece) } else { PartDelta::Text(piece) };
            events.push(StreamEvent::Delta { part: number, delta });
        } else if next[number] == part.pieces.len() && part.is_ended {
            events.push(StreamEvent::Close { part: number });
        }
        next[number] += 1;
    };
    for pick in order {
        step(pick % parts.len(), &mut events);
    }
    for (number, part) in parts.iter().enumerate() {
        for _ in 0..=part.pieces.len() {
            step(number, &mut events);
        }
    }
    events.push(StreamEvent::Stop { choice: 0, stop: Stop::of(StopReason::EndTurn) });
    events.push(StreamEvent::End);
    events
}

/// The blocks of a stream: their types, and what their pieces say.
fn blocks(stream: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut names = Vec::new();
    let mut is_open = false;
    let mut wrong = None;
    let mut lines = EventLines::default();
    let pushed = lines.push(stream, |event| {
        let data: Value = serde_json::from_str(event.data).expect("JSON");
        let index = data["index"].as_u64();
        let last = blocks.len() as u64;
        let is_right = match event.name {
            "content_block_start" => {
                let block = &data["content_block"];
                let id = block["id"].as_str().unwrap_or_default();
                blocks.push((format!("{}{id}", block["type"].as_str().unwrap_or_default()), String::new()));
                !std::mem::replace(&mut is_open, true) && index == Some(last)
            }
            "content_block_delta" => {
                let delta = &data["delta"];
                let piece = ["text", "thinking", "partial_json"].iter().find_map(|name| delta[*name].as_str());
                blocks.last_mut().expect("a block").1.push_str(piece.unwrap_or_default());
                is_open && index == Some(last - 1)
            }
            "content_block_stop" => std::mem::replace(&mut is_open, false) && index == Some(last - 1),
            _ => !is_open,
        };
        if !is_right {
            wrong.get_or_insert_with(|| event.data.to_owned());
        }
        names.push(event.name.to_owned());
    });
    pushed.expect("short");
    let ends = names.first().map(String::as_str) == Some("message_start")
        && names[names.len() - 2..] == ["message_delta", "message_stop"];
    match wrong {
        Some(event) => Err(event),
        None if !ends => Err(format!("{names:?}")),
        None => Ok(blocks),
    }
}

proptest! {
    #[test]
    fn one_block_is_open_at_a_time_and_every_piece_comes_in_its_order(
        parts in prop::collection::vec(part(), 1..5), order in prop::collection::vec(0..9_usize, 0..30),
    ) {
        let mut writer = with_details(|details| Messages.event_writer(details));
        let mut out = Vec::new();
        for event in events(&parts, &order) {
            writer.write(&event, &mut out);
        }
        let blocks = blocks(&out).map_err(TestCaseError::fail)?;

        for (number, part) in parts.iter().enumerate().filter(|(_, part)| part.kind >= CUSTOM) {
            let all = part.pieces.concat();
            let expected = if part.kind == CUSTOM { serde_json::json!({ "input": all }).to_string() } else { all };
            let said: Vec<_> = blocks.iter().filter(|(kind, _)| *kind == format!("tool_usecall_{number}")).collect();
            prop_assert_eq!(said.len(), 1, "a call is one block");
            prop_assert_eq!(&said[0].1, &expected);
        }
        for (kinds, name) in [([TEXT, REFUSAL], "text"), ([THINKING; 2], "thinking")] {
            let mut all: Vec<_> = parts.iter().filter(|part| kinds.contains(&part.kind)).map(|part| part.pieces.concat()).collect();
            let said: String = blocks.iter().filter(|(kind, _)| kind == name).map(|(_, said)| said.as_str()).collect();
            prop_assert_eq!(said.len(), all.iter().map(String::len).sum::<usize>());
            if all.len() == 1 {
                prop_assert_eq!(said, all.remove(0));
            }
        }
    }
}
