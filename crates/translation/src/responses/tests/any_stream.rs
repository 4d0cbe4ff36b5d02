use proptest::prelude::*;

use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::events::ServerEvent;
use crate::family::DialectFamily;
use crate::neutral::{CallKind, PartDelta, PartKind, Stop, StopReason};

/// Events in any order, of parts that may not be open.
fn event() -> impl Strategy<Value = StreamEvent<'static>> {
    let kind = prop_oneof![
        Just(PartKind::Text),
        Just(PartKind::Refusal),
        any::<bool>().prop_map(|is_summary| PartKind::Thinking { is_summary, is_redacted: !is_summary }),
        ("[a-c]{0,2}", prop_oneof![Just("f"), Just("n__f"), Just("patch"), Just("local_shell")]).prop_map(
            |(id, name)| { PartKind::ToolCall { id: id.into(), name: name.into(), kind: CallKind::Function } }
        ),
    ];
    let delta = prop_oneof![
        ".{0,4}".prop_map(|text| PartDelta::Text(text.into())),
        prop_oneof![Just("{\"input\":\""), Just("a\\"), Just("n\"}"), Just("{}"), Just("")]
            .prop_map(|text| PartDelta::Arguments(text.into())),
        Just(PartDelta::Sealed(VendorSeal::new(DialectFamily::Gemini, "R0VN"))),
    ];
    prop_oneof![
        (0usize..4, kind).prop_map(|(part, kind)| StreamEvent::Open { part, choice: 0, kind }),
        (0usize..4, delta).prop_map(|(part, delta)| StreamEvent::Delta { part, delta }),
        (0usize..4).prop_map(|part| StreamEvent::Close { part }),
        Just(StreamEvent::Stop { choice: 0, stop: Stop::of(StopReason::EndTurn) }),
        Just(StreamEvent::KeepAlive),
    ]
}

proptest! {
    #[test]
    fn a_stream_of_any_events_is_one_that_clients_can_read(events in prop::collection::vec(event(), 0..24)) {
        let memo = memo(
            r#"{"model":"m","input":"x","tools":[{"type":"custom","name":"patch"},{"type":"local_shell"},
                {"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]}"#,
        );
        let mut whole = events;
        whole.push(StreamEvent::End);
        let written = stream(&whole, &memo);

        let output = written.last().expect("an end")["response"]["output"].as_array().expect("items").clone();
        let added = written.iter().filter(|event| event["type"] == "response.output_item.added");
        prop_assert_eq!(added.map(|event| event["output_index"].as_u64()).collect::<Vec<_>>(),
            (0..output.len() as u64).map(Some).collect::<Vec<_>>());
        for event in written.iter().filter(|event| event["type"] == "response.output_item.done") {
            let index = usize::try_from(event["output_index"].as_u64().expect("a number")).expect("small");
            prop_assert_eq!(&event["item"], &output[index]);
        }
        // What was written can be read, and says as much.
        let mut reader = Responses.event_reader();
        let mut found = 0;
        for event in &written {
            reader.read(ServerEvent { name: "", data: &event.to_string() }, &mut |event| {
                found += usize::from(matches!(event, StreamEvent::End));
            });
        }
        prop_assert_eq!(found, 1);
    }

    #[test]
    fn a_reader_closes_every_part_that_it_opens(picks in prop::collection::vec((0usize..9, 0u64..3), 0..20)) {
        let mut reader = Responses.event_reader();
        let mut open = Vec::new();
        let mut faults = 0;
        let mut watch = |event: StreamEvent<'_>| match event {
            StreamEvent::Open { part, .. } => open.push(part),
            StreamEvent::Delta { part, .. } if !open.contains(&part) => faults += 1,
            StreamEvent::Close { part } => match open.iter().position(|open| *open == part) {
                Some(at) => { open.remove(at); }
                None => faults += 1,
            },
            _ => {}
        };
        for (pick, index) in picks {
            let events = [
                r#"{"type":"response.output_item.added","output_index":N,"item":{"type":"function_call","call_id":"c","name":"f"}}"#,
                r#"{"type":"response.function_call_arguments.delta","output_index":N,"delta":"{}"}"#,
                r#"{"type":"response.output_text.delta","output_index":N,"content_index":0,"delta":"x"}"#,
                r#"{"type":"response.content_part.added","output_index":N,"part":{"type":"output_text"}}"#,
                r#"{"type":"response.content_part.done","output_index":N,"part":{"type":"output_text","text":"y"}}"#,
                r#"{"type":"response.reasoning_summary_text.delta","output_index":N,"summary_index":0,"delta":"z"}"#,
                r#"{"type":"response.output_item.done","output_index":N,"item":{"type":"reasoning","id":"r","summary":[],"encrypted_content":"E"}}"#,
                r#"{"type":"response.output_item.done","output_index":N,"item":{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}}"#,
                r#"{"type":"response.output_item.done","output_index":N,"item":{"type":"message","content":[{"type":"output_text","text":"w"}]}}"#,
            ];
            let data = events[pick].replace('N', &index.to_string());
            reader.read(ServerEvent { name: "", data: &data }, &mut watch);
        }
        let end = r#"{"type":"response.completed","response":{"status":"completed","output":[]}}"#;
        reader.read(ServerEvent { name: "", data: end }, &mut watch);
        prop_assert_eq!((open.len(), faults), (0, 0));
    }
}
