//! Calls of tools.

use super::head;
use crate::conversion::custom_tool::InputUnwrapping;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::responses::event_writer::ResponseEvents;
use crate::responses::item_writer::{CallItem, OutputCallForm, write_call_seal};

/// A call. Its item begins with its first argument, so that a seal on it can stand before it.
pub(in crate::responses) struct OpenCall {
    item: CallItem,
    arguments: String,
    free_text: InputUnwrapping,
    /// The bytes of the input that are written.
    written: usize,
    sealed: Option<VendorSeal<'static>>,
    /// The item's place in the output, once it has begun.
    index: Option<usize>,
    head: Vec<u8>,
}

impl OpenCall {
    /// Makes a call.
    pub(in crate::responses) fn new(item: CallItem) -> Self {
        Self {
            item,
            arguments: String::new(),
            free_text: InputUnwrapping::default(),
            written: 0,
            sealed: None,
            index: None,
            head: Vec::new(),
        }
    }

    /// Keeps a seal on the call.
    pub(in crate::responses) fn seal(&mut self, sealed: &VendorSeal<'_>) {
        if sealed.maker != DialectFamily::Responses {
            let text = sealed.text.clone().into_owned();
            self.sealed = Some(VendorSeal { maker: sealed.maker, text: text.into(), id: None });
        }
    }

    fn write_seal(&mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        let Some(sealed) = self.sealed.take() else { return };
        let write = |id: &str| {
            let mut item = Vec::new();
            write_call_seal(id, &sealed, &self.item.call_id, &mut item);
            item
        };
        events.item("rs", write, out);
    }

    fn begin(&mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if self.index.is_some() {
            return;
        }
        if self.item.call_id.is_empty() {
            self.item.call_id = events.call_id();
        }
        self.write_seal(events, out);
        let prefix = CallItem::id_prefix(&self.item.form);
        let mut begun = self.item.clone();
        let write = |id: &str| {
            let mut item = Vec::new();
            id.clone_into(&mut begun.id);
            // A form of the API's own comes whole.
            let input = if matches!(begun.form, OutputCallForm::Native(_)) { &*self.arguments } else { "" };
            begun.write(input, "in_progress", &mut item);
            item
        };
        let (index, id) = events.begin_item(prefix, write, out);
        self.head = head(&id, index, None);
        self.item.id = id;
        self.index = Some(index);
    }

    /// Writes a piece of the arguments.
    pub(in crate::responses) fn push(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.arguments.push_str(piece);
        match self.item.form {
            OutputCallForm::Native(_) => {}
            OutputCallForm::Function | OutputCallForm::Custom { is_wrapped: false } => {
                self.begin(events, out);
                self.write_piece(piece, events, out);
            }
            OutputCallForm::Custom { is_wrapped: true } => {
                self.begin(events, out);
                let mut text = String::new();
                self.free_text.push(piece, &mut text);
                self.write_piece(&text, events, out);
            }
        }
    }

    fn write_piece(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.written += piece.len();
        let name = match self.item.form {
            OutputCallForm::Function => "response.function_call_arguments.delta",
            _ => "response.custom_tool_call_input.delta",
        };
        events.event(name, out, |object| {
            object.members(&self.head);
            object.text("delta", piece);
        });
    }

    /// Writes that the call is whole.
    pub(in crate::responses) fn close(mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        self.begin(events, out);
        let arguments = std::mem::take(&mut self.arguments);
        let input = self.item.input(&arguments);
        // What could not be written piece by piece: arguments of another form, and those of a call without any.
        if let Some(rest) = input.get(self.written..).filter(|_| !matches!(self.item.form, OutputCallForm::Native(_))) {
            self.write_piece(rest, events, out);
        }
        let done = match self.item.form {
            OutputCallForm::Function => Some(("response.function_call_arguments.done", "arguments")),
            OutputCallForm::Custom { .. } => Some(("response.custom_tool_call_input.done", "input")),
            OutputCallForm::Native(_) => None,
        };
        if let Some((name, field)) = done {
            events.event(name, out, |object| {
                object.members(&self.head);
                object.text(field, &input);
            });
        }
        let mut item = Vec::with_capacity(input.len() + 160);
        self.item.write(&input, "completed", &mut item);
        let index = self.index.expect("it was begun above");
        events.end_item(index, item, out);
        // A seal that came after the call's beginning names the call.
        self.write_seal(events, out);
    }
}
