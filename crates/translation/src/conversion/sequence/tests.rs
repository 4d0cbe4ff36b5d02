//! Tests of streams whose parts come one after another.

use super::*;

fn open(part: usize, kind: PartKind<'static>) -> StreamEvent<'static> {
    StreamEvent::Open { part, choice: 0, kind }
}

fn call(part: usize, id: &'static str) -> StreamEvent<'static> {
    open(part, PartKind::ToolCall { id: id.into(), name: "f".into(), kind: CallKind::Function })
}

fn text(part: usize, piece: &'static str) -> StreamEvent<'static> {
    StreamEvent::Delta { part, delta: PartDelta::Text(piece.into()) }
}

fn arguments(part: usize, piece: &'static str) -> StreamEvent<'static> {
    StreamEvent::Delta { part, delta: PartDelta::Arguments(piece.into()) }
}

/// Returns what the events become: one line each.
fn passed(sequence: &mut PartSequence, events: &[StreamEvent<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for event in events {
        sequence.pass(event, &mut |event| {
            lines.push(match event {
                StreamEvent::Open { part, kind: PartKind::ToolCall { id, .. }, .. } => format!("call {part} {id}"),
                StreamEvent::Open { part, .. } => format!("open {part}"),
                StreamEvent::Delta { part, delta: PartDelta::Text(piece) | PartDelta::Arguments(piece) } => {
                    format!("{part}: {piece}")
                }
                StreamEvent::Close { part } => format!("close {part}"),
                StreamEvent::End => "end".to_owned(),
                StreamEvent::Failed(_) => "failed".to_owned(),
                _ => "other".to_owned(),
            });
        });
    }
    lines
}

#[test]
fn parallel_calls_that_come_one_after_another_pass_at_once() {
    let mut sequence = PartSequence::default();

    let first = [open(0, PartKind::Text), text(0, "hm"), call(1, "a"), arguments(1, "{\"x\":\"}"), arguments(1, "\"}")];
    assert_eq!(passed(&mut sequence, &first), ["open 0", "0: hm", "close 0", "call 1 a", "1: {\"x\":\"}", "1: \"}"]);
    assert_eq!(
        passed(&mut sequence, &[call(2, "b"), arguments(2, "{}")]),
        ["close 1", "call 2 b", "2: {}"],
        "nothing waits for the end of the stream"
    );
    let rest = [StreamEvent::Close { part: 1 }, StreamEvent::Close { part: 2 }, StreamEvent::End];
    assert_eq!(passed(&mut sequence, &rest), ["close 2", "end"]);
}

#[test]
fn arguments_of_calls_that_come_at_the_same_time_are_not_mixed() {
    let mut sequence = PartSequence::default();

    let events = [
        call(0, "a"),
        call(1, "b"),
        arguments(0, "{\"x\":"),
        arguments(1, "{\"y\":"),
        arguments(0, "1}"),
        arguments(1, "2}"),
        StreamEvent::End,
    ];
    assert_eq!(
        passed(&mut sequence, &events),
        ["call 0 a", "0: {\"x\":", "0: 1}", "close 0", "call 1 b", "1: {\"y\":", "1: 2}", "close 1", "end"]
    );
}

#[test]
fn text_that_goes_on_after_a_call_is_a_part_of_its_own() {
    let mut sequence = PartSequence::default();

    let events = [
        open(0, PartKind::Text),
        text(0, "a"),
        call(1, "c"),
        arguments(1, "{"),
        text(0, "b"),
        arguments(1, "}"),
        text(0, "d"),
        StreamEvent::End,
    ];
    assert_eq!(
        passed(&mut sequence, &events),
        [
            "open 0", "0: a", "close 0", "call 1 c", "1: {", "1: }", "close 1", "open 2", "2: b", "2: d", "close 2",
            "end"
        ]
    );
}

#[test]
fn what_waits_when_the_stream_ends_comes_before_its_end() {
    let mut sequence = PartSequence::default();

    let events = [call(0, "a"), call(1, "b"), call(2, "c"), arguments(2, "{}"), arguments(1, "{"), StreamEvent::End];
    assert_eq!(
        passed(&mut sequence, &events),
        ["call 0 a", "close 0", "call 1 b", "1: {", "close 1", "call 2 c", "2: {}", "close 2", "end"]
    );
}

#[test]
fn what_waits_is_bounded() {
    let mut sequence = PartSequence::default();
    passed(&mut sequence, &[call(0, "a"), call(1, "b")]);
    let piece = "x".repeat(MOST_WAITING + 1);
    let piece = StreamEvent::Delta { part: 1, delta: PartDelta::Arguments(piece.into()) };

    assert_eq!(passed(&mut sequence, &[piece]), ["failed"]);
}
