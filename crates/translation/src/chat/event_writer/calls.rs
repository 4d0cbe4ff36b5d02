//! Calls of tools in streams of chat completions, written.

use std::borrow::Cow;

use super::ChunkWriter;
use crate::chat::answer_writer::call_kind;
use crate::chat::thought;
use crate::conversion::custom_tool::InputUnwrapping;
use crate::conversion::sealed::VendorSeal;
use crate::json::writer::{ObjectWriter, push_list};
use crate::neutral::CallKind;

/// A call that is being written.
pub(super) struct CallWriting {
    pub(super) index: usize,
    pub(super) form: StreamedCallForm,
    pub(super) has_arguments: bool,
}

/// The form in which the client knows a call.
pub(super) enum StreamedCallForm {
    Function,
    /// The one call of the API's first form.
    First,
    /// Free text, as the upstream writes it.
    Custom,
    /// Free text out of a function's arguments.
    Unwrapped(InputUnwrapping),
}

/// A call that begins.
pub(super) struct CallHead<'c> {
    pub(super) id: &'c str,
    pub(super) name: &'c str,
    pub(super) kind: CallKind,
}

/// The place of a call in a stream.
#[derive(Clone, Copy)]
pub(super) struct CallPlace {
    /// The place of its answer in the list of them.
    pub(super) choice: usize,
    /// The call's number in the answer.
    pub(super) index: usize,
}

impl ChunkWriter {
    /// Begins a call.
    pub(super) fn open_call(&mut self, choice: usize, call: &CallHead<'_>, out: &mut Vec<u8>) -> CallWriting {
        let state = &mut self.choices[choice];
        state.holds.calls = true;
        let index = state.calls;
        state.calls += 1;
        let form = match (call_kind(&self.memo, call.kind, call.name), call.kind) {
            (CallKind::Function, _) if self.memo.wants_function_call => StreamedCallForm::First,
            (CallKind::Function, _) => StreamedCallForm::Function,
            (CallKind::Custom, CallKind::Custom) => StreamedCallForm::Custom,
            (CallKind::Custom, CallKind::Function) => StreamedCallForm::Unwrapped(InputUnwrapping::default()),
        };
        let id = if call.id.is_empty() {
            self.made_ids += 1;
            Cow::Owned(format!("call_{}_{}", self.unique, self.made_ids - 1))
        } else {
            Cow::Borrowed(call.id)
        };
        let place = CallPlace { choice, index };
        match form {
            StreamedCallForm::First if index > 0 => {}
            StreamedCallForm::First => self.chunk(choice, out, |delta| {
                delta.object("function_call").value("name", call.name).value("arguments", "").close();
            }),
            StreamedCallForm::Function => self.call_chunk(place, out, |object| {
                object.and_text("id", &id).value("type", "function");
                object.object("function").value("name", call.name).value("arguments", "").close();
            }),
            StreamedCallForm::Custom | StreamedCallForm::Unwrapped(_) => {
                self.call_chunk(place, out, |object| {
                    object.and_text("id", &id).value("type", "custom");
                    object.object("custom").value("name", call.name).value("input", "").close();
                });
            }
        }
        CallWriting { index, form, has_arguments: false }
    }

    /// Writes a chunk of the call at a place.
    pub(super) fn call_chunk(&self, place: CallPlace, out: &mut Vec<u8>, call: impl FnOnce(&mut ObjectWriter<'_>)) {
        let CallPlace { choice, index } = place;
        self.chunk(choice, out, |delta| {
            push_list(delta.key("tool_calls"), [call], |out, call| {
                let mut object = ObjectWriter::open(out);
                object.value("index", &index);
                call(&mut object);
                object.close();
            });
        });
    }

    /// Writes a piece of a call's arguments.
    pub(super) fn arguments(&self, choice: usize, call: &mut CallWriting, piece: &str, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        call.has_arguments = true;
        let place = CallPlace { choice, index: call.index };
        match &mut call.form {
            StreamedCallForm::First if call.index > 0 => {}
            StreamedCallForm::First => self.chunk(choice, out, |delta| {
                delta.object("function_call").value("arguments", piece).close();
            }),
            StreamedCallForm::Function => self.call_chunk(place, out, |object| {
                object.object("function").value("arguments", piece).close();
            }),
            StreamedCallForm::Custom => self.input(place, piece, out),
            StreamedCallForm::Unwrapped(unwrapping) => {
                let mut input = String::new();
                unwrapping.push(piece, &mut input);
                self.input(place, &input, out);
            }
        }
    }

    /// Writes a piece of the free text of the call at a place.
    fn input(&self, place: CallPlace, input: &str, out: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        self.call_chunk(place, out, |object| object.object("custom").value("input", input).close());
    }

    /// Writes the seal of a call. OpenAI's SDKs want a piece of the input in every piece of a call: it is empty here.
    pub(super) fn call_seal(&self, choice: usize, call: &CallWriting, seal: &VendorSeal<'_>, out: &mut Vec<u8>) {
        let input = match call.form {
            // The first form has no place for it.
            StreamedCallForm::First => return,
            StreamedCallForm::Function => ("function", "arguments"),
            StreamedCallForm::Custom | StreamedCallForm::Unwrapped(_) => ("custom", "input"),
        };
        self.call_chunk(CallPlace { choice, index: call.index }, out, |object| {
            object.object(input.0).value(input.1, "").close();
            thought::write_signature(object, seal);
        });
    }

    /// Writes what is left of a call that is whole: a client cannot read arguments that are no JSON.
    pub(super) fn close_call(&self, choice: usize, mut call: CallWriting, out: &mut Vec<u8>) {
        match call.form {
            StreamedCallForm::Unwrapped(mut unwrapping) => {
                let mut input = String::new();
                unwrapping.finish(&mut input);
                self.input(CallPlace { choice, index: call.index }, &input, out);
            }
            StreamedCallForm::Function | StreamedCallForm::First if !call.has_arguments => {
                self.arguments(choice, &mut call, "{}", out);
            }
            _ => {}
        }
    }
}
