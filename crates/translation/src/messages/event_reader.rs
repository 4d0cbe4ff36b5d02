//! Streams, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content_reader::{own_id, seal};
use super::usage::UsageCounts;
use super::{error, stop, tool_names};
use crate::events::ServerEvent;
use crate::json::writer::ObjectWriter;
use crate::json::{Fields, Text};
use crate::neutral::{CallKind, PartDelta, PartKind, StreamEvent};
use crate::translation::EventReader;

/// A taker of the events.
type MessagesSink<'f> = dyn FnMut(StreamEvent<'_>) + 'f;

/// A reader of one stream.
#[derive(Debug, Default)]
pub(super) struct MessagesReader {
    usage: UsageCounts,
    open: Vec<OpenBlock>,
    parts: usize,
}

/// A block that has begun.
#[derive(Debug)]
struct OpenBlock {
    /// The vendor's number.
    index: u64,
    /// The part's number; that of a call of a server's tool is given when it is whole.
    part: usize,
    input: CallInput,
}

/// The arguments of a call, as far as they have come.
#[derive(Debug)]
enum CallInput {
    /// The block is no call.
    None,
    /// Nothing but what came with the block's beginning.
    AtBeginning(Option<String>),
    /// Some.
    InPieces,
    /// A call of a tool that the vendor's server runs: a part that is given whole.
    OfServer {
        /// The block's beginning.
        block: String,
        /// The input, as far as it has come.
        input: String,
    },
}

/// A piece of a block.
#[derive(Deserialize)]
struct BlockDelta<'b> {
    index: u64,
    #[serde(borrow)]
    delta: Delta<'b>,
}

#[derive(Deserialize)]
struct Delta<'b> {
    #[serde(borrow, default)]
    text: Option<Text<'b>>,
    #[serde(borrow, default)]
    partial_json: Option<Text<'b>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'b>>,
    #[serde(borrow, default)]
    signature: Option<Text<'b>>,
    #[serde(borrow, default)]
    citation: Option<&'b RawValue>,
}

impl EventReader for MessagesReader {
    fn read(&mut self, event: ServerEvent<'_>, found: &mut dyn FnMut(StreamEvent<'_>)) {
        if !event.name.is_empty() {
            return self.named(event.name, event.data, found);
        }
        let fields = Fields::of_document(event.data.as_bytes()).unwrap_or_default();
        self.named(&fields.text("type").unwrap_or_default(), event.data, found);
    }
}

impl MessagesReader {
    fn named(&mut self, name: &str, data: &str, found: &mut MessagesSink<'_>) {
        match name {
            "content_block_delta" => self.delta(data, found),
            "ping" => found(StreamEvent::KeepAlive),
            "error" => found(StreamEvent::Failed(error::of_event(data))),
            "message_stop" => {
                self.close_all(found);
                found(StreamEvent::End);
            }
            "message_start" | "content_block_start" | "content_block_stop" | "message_delta" => {
                let Ok(fields) = Fields::of_document(data.as_bytes()) else { return };
                match name {
                    "message_start" => self.begin(&fields, found),
                    "content_block_start" => self.open(&fields, found),
                    "content_block_stop" => {
                        if let Some(index) = fields.value("index") {
                            self.close(index, found);
                        }
                    }
                    _ => self.end(&fields, found),
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, fields: &Fields<'_>, found: &mut MessagesSink<'_>) {
        let message = fields.object("message").unwrap_or_default();
        let usage = message.object("usage");
        if let Some(usage) = &usage {
            self.usage.read(usage);
        }
        let counts = usage.is_some().then(|| self.usage.neutral());
        found(StreamEvent::Begin {
            id: message.text("id"),
            model: message.text("model"),
            created: None,
            usage: counts,
        });
        if let Some(tier) = usage.and_then(|usage| usage.text("service_tier")) {
            found(StreamEvent::ServiceTier(tier));
        }
    }

    fn open(&mut self, fields: &Fields<'_>, found: &mut MessagesSink<'_>) {
        let (Some(index), Some(raw)) = (fields.value::<u64>("index"), fields.get("content_block")) else { return };
        let Some(block) = Fields::of(raw) else { return };
        let name = block.text("type").unwrap_or_default();
        if matches!(&*name, "server_tool_use" | "mcp_tool_use") {
            let input = CallInput::OfServer { block: raw.get().to_owned(), input: String::new() };
            return self.open.push(OpenBlock { index, part: usize::MAX, input });
        }
        let part = self.parts;
        self.parts += 1;
        let mut input = CallInput::None;
        let kind = match &*name {
            "text" => PartKind::Text,
            "thinking" => PartKind::Thinking { is_summary: true, is_redacted: false },
            "redacted_thinking" => PartKind::Thinking { is_summary: false, is_redacted: true },
            "tool_use" => {
                let whole = block.get("input").filter(|input| !is_empty_object(input));
                input = CallInput::AtBeginning(whole.map(|input| input.get().to_owned()));
                let id = own_id(block.text("id"));
                let name = tool_names::original(block.text("name").unwrap_or_default());
                PartKind::ToolCall { id, name, kind: CallKind::Function }
            }
            _ => PartKind::Native { kind: Cow::Borrowed(&*name), raw },
        };
        found(StreamEvent::Open { part, choice: 0, kind });
        self.open.push(OpenBlock { index, part, input });
        for name in ["text", "thinking"] {
            if let Some(text) = block.text(name).filter(|text| !text.is_empty()) {
                found(StreamEvent::Delta { part, delta: PartDelta::Text(text) });
            }
        }
        if let Some(sealed) = block.text("data").or_else(|| block.text("signature")).and_then(seal) {
            found(StreamEvent::Delta { part, delta: PartDelta::Sealed(sealed) });
        }
    }

    fn delta(&mut self, data: &str, found: &mut MessagesSink<'_>) {
        let Ok(BlockDelta { index, delta }) = serde_json::from_str::<BlockDelta<'_>>(data) else { return };
        let Some(block) = self.open.iter_mut().rev().find(|block| block.index == index) else { return };
        if let CallInput::OfServer { input, .. } = &mut block.input {
            return input.push_str(delta.partial_json.as_ref().map(|text| &*text.0).unwrap_or_default());
        }
        let part = block.part;
        let mut give = |delta| found(StreamEvent::Delta { part, delta });
        if let Some(text) = delta.text.or(delta.thinking).map(|text| text.0).filter(|text| !text.is_empty()) {
            give(PartDelta::Text(text));
        }
        if let Some(json) = delta.partial_json.map(|text| text.0).filter(|text| !text.is_empty())
            && !matches!(block.input, CallInput::None)
        {
            block.input = CallInput::InPieces;
            give(PartDelta::Arguments(json));
        }
        if let Some(sealed) = delta.signature.map(|text| text.0).and_then(seal) {
            give(PartDelta::Sealed(sealed));
        }
        if let Some(citation) = delta.citation {
            give(PartDelta::Citation(citation));
        }
    }

    fn close(&mut self, index: u64, found: &mut MessagesSink<'_>) {
        let Some(at) = self.open.iter().position(|block| block.index == index) else { return };
        let block = self.open.remove(at);
        self.close_block(block, found);
    }

    fn close_all(&mut self, found: &mut MessagesSink<'_>) {
        for block in std::mem::take(&mut self.open) {
            self.close_block(block, found);
        }
    }

    /// Ends a part. A call of which no arguments have come has those of its beginning, or none: an empty object.
    fn close_block(&mut self, block: OpenBlock, found: &mut MessagesSink<'_>) {
        let part = match block.input {
            CallInput::OfServer { block, input } => {
                let whole = with_input(&block, &input);
                let Ok(raw) = serde_json::from_str::<&RawValue>(&whole) else { return };
                let kind = Fields::of(raw).and_then(|fields| fields.text("type")).unwrap_or_default();
                let part = self.parts;
                self.parts += 1;
                found(StreamEvent::Open { part, choice: 0, kind: PartKind::Native { kind, raw } });
                part
            }
            CallInput::AtBeginning(input) => {
                let input = input.map_or(Cow::Borrowed("{}"), Cow::Owned);
                found(StreamEvent::Delta { part: block.part, delta: PartDelta::Arguments(input) });
                block.part
            }
            CallInput::None | CallInput::InPieces => block.part,
        };
        found(StreamEvent::Close { part });
    }

    fn end(&mut self, fields: &Fields<'_>, found: &mut MessagesSink<'_>) {
        if let Some(usage) = fields.object("usage") {
            self.usage.read(&usage);
        }
        if let Some(stop) = fields.object("delta").and_then(|delta| stop::read(&delta)) {
            self.close_all(found);
            found(StreamEvent::Stop { choice: 0, stop });
        }
        found(StreamEvent::Usage(self.usage.neutral()));
    }
}

/// Returns a block with the input that came after its beginning, where that is JSON.
fn with_input<'b>(block: &'b str, input: &str) -> Cow<'b, str> {
    let fields = serde_json::from_str::<&RawValue>(block).ok().and_then(Fields::of);
    let (Some(fields), Ok(input)) = (fields, serde_json::from_str::<&RawValue>(input)) else {
        return Cow::Borrowed(block);
    };
    let mut out = Vec::with_capacity(block.len() + input.get().len());
    let mut object = ObjectWriter::open(&mut out);
    for (name, raw) in fields.iter().filter(|(name, _)| *name != "input") {
        object.raw(name, raw.get());
    }
    object.raw("input", input.get());
    object.close();
    String::from_utf8(out).map_or(Cow::Borrowed(block), Cow::Owned)
}

fn is_empty_object(raw: &RawValue) -> bool {
    Fields::of(raw).is_some_and(|fields| fields.is_empty())
}
