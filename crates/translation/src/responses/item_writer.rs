//! Items of an answer's output, written.

use serde_json::value::RawValue;

use super::thoughts;
use crate::conversion::custom_tool;
use crate::conversion::sealed::VendorSeal;
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::json::{Fields, halves};
use crate::neutral::CallKind;
use crate::translation::{NativeCall, RequestMemo};

/// The form of a call in the client's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OutputCallForm {
    /// A call of a function.
    Function,
    /// A call of a tool of free text.
    Custom {
        /// True where the upstream knows the tool as a function, so that the text is in its arguments.
        is_wrapped: bool,
    },
    /// A call that only this API has.
    Native(NativeCall),
}

impl OutputCallForm {
    /// Returns the form of a call to the tool called `name`.
    pub(super) fn of(name: &str, kind: CallKind, memo: &RequestMemo) -> (Self, Option<NativeCall>) {
        let native = memo.native_tools.iter().find(|tool| tool.function == name).map(|tool| tool.call.clone());
        let namespaced = native.clone().filter(|call| matches!(call, NativeCall::Namespaced { .. }));
        let form = match (kind, memo.kind_of(name), native) {
            (CallKind::Custom, _, _) => Self::Custom { is_wrapped: false },
            (CallKind::Function, CallKind::Custom, _) => Self::Custom { is_wrapped: true },
            (CallKind::Function, _, Some(NativeCall::Namespaced { .. }) | None) => Self::Function,
            (CallKind::Function, _, Some(call)) => Self::Native(call),
        };
        (form, namespaced)
    }
}

/// A call as an item of the output.
#[derive(Debug, Clone)]
pub(super) struct CallItem {
    /// The item's id.
    pub(super) id: String,
    /// The call's id.
    pub(super) call_id: String,
    /// The tool's name, as the upstream has it.
    pub(super) name: String,
    /// The namespace and the name in it, where the client's tool has one.
    pub(super) namespaced: Option<NativeCall>,
    /// The form of the call.
    pub(super) form: OutputCallForm,
}

impl CallItem {
    /// Writes the item with its input as far as it is known.
    pub(super) fn write(&self, input: &str, status: &str, out: &mut Vec<u8>) {
        match &self.form {
            OutputCallForm::Function => self.write_named(["function_call", "arguments"], input, Some(status), out),
            OutputCallForm::Custom { .. } => self.write_named(["custom_tool_call", "input"], input, None, out),
            OutputCallForm::Native(call) => self.write_native(call, input, out),
        }
    }

    /// Returns the whole input as the client's API writes it.
    pub(super) fn input<'a>(&self, arguments: &'a str) -> std::borrow::Cow<'a, str> {
        match self.form {
            OutputCallForm::Custom { is_wrapped: true } => custom_tool::unwrap(arguments),
            OutputCallForm::Function if arguments.trim().is_empty() => "{}".into(),
            _ => arguments.into(),
        }
    }

    /// Returns the tool's name as the client has it.
    pub(super) fn client_name(&self) -> &str {
        match &self.namespaced {
            Some(NativeCall::Namespaced { name, .. }) => name,
            _ => &self.name,
        }
    }

    fn write_named(&self, [kind, field]: [&str; 2], input: &str, status: Option<&str>, out: &mut Vec<u8>) {
        let mut item = ObjectWriter::of_type(kind, out);
        item.text("id", &self.id);
        item.text("call_id", &self.call_id);
        item.text("name", self.client_name());
        if let Some(NativeCall::Namespaced { namespace, .. }) = &self.namespaced {
            item.text("namespace", namespace);
        }
        item.text(field, input);
        item.optional_text("status", status);
        item.close();
    }

    /// Writes a call whose form is this API's own, out of the arguments of the function that stands for it. Arguments
    /// that are no object are no such call: the client is given the function's.
    fn write_native(&self, call: &NativeCall, arguments: &str, out: &mut Vec<u8>) {
        let arguments = &*halves::mended_text(arguments);
        let Ok(fields) = Fields::of_document(arguments.as_bytes()) else {
            self.write_named(["function_call", "arguments"], arguments, Some("completed"), out);
            return;
        };
        let kind = match call {
            NativeCall::LocalShell => "local_shell_call",
            NativeCall::Shell => "shell_call",
            NativeCall::ApplyPatch => "apply_patch_call",
            NativeCall::ToolSearch | NativeCall::Namespaced { .. } => "tool_search_call",
        };
        let mut item = ObjectWriter::of_type(kind, out);
        item.text("id", &self.id);
        item.text("call_id", &self.call_id);
        item.text("status", "completed");
        match call {
            NativeCall::LocalShell => {
                let mut action = ObjectWriter::of_type("exec", item.key("action"));
                for (name, raw) in fields.iter().filter(|(name, _)| *name != "type") {
                    action.raw(name, raw.get());
                }
                if fields.get("env").is_none() {
                    action.raw("env", "{}");
                }
                action.close();
            }
            NativeCall::Shell => item.raw("action", arguments),
            NativeCall::ApplyPatch => item.raw("operation", arguments),
            NativeCall::ToolSearch | NativeCall::Namespaced { .. } => {
                item.raw("execution", r#""client""#);
                item.raw("arguments", arguments);
            }
        }
        item.close();
    }

    /// Returns the beginning of the ids of items of this form.
    pub(super) const fn id_prefix(form: &OutputCallForm) -> &'static str {
        match form {
            OutputCallForm::Function => "fc",
            OutputCallForm::Custom { .. } => "ctc",
            OutputCallForm::Native(NativeCall::LocalShell) => "lsh",
            OutputCallForm::Native(NativeCall::Shell) => "sh",
            OutputCallForm::Native(NativeCall::ApplyPatch) => "apc",
            OutputCallForm::Native(NativeCall::ToolSearch | NativeCall::Namespaced { .. }) => "tsc",
        }
    }
}

/// A thought as an item of the output.
pub(super) struct ThoughtItem<'t> {
    /// The item's id.
    pub(super) id: &'t str,
    /// The thought.
    pub(super) text: &'t str,
    /// True where the text is a summary.
    pub(super) is_summary: bool,
    /// The opaque field.
    pub(super) field: Option<&'t str>,
}

impl ThoughtItem<'_> {
    /// Writes the item.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut item = ObjectWriter::of_type("reasoning", out);
        item.text("id", self.id);
        let mut summary = ListWriter::open(item.key("summary"));
        if self.is_summary && !self.text.is_empty() {
            let mut part = ObjectWriter::of_type("summary_text", summary.next());
            part.text("text", self.text);
            part.close();
        }
        summary.close();
        if !self.is_summary && !self.text.is_empty() {
            let mut content = ListWriter::open(item.key("content"));
            let mut part = ObjectWriter::of_type("reasoning_text", content.next());
            part.text("text", self.text);
            part.close();
            content.close();
        }
        item.optional_text("encrypted_content", self.field);
        item.close();
    }
}

/// Writes the item that carries the seal on a call.
pub(super) fn write_call_seal(id: &str, sealed: &VendorSeal<'_>, call_id: &str, out: &mut Vec<u8>) {
    let field = thoughts::field_of_call(sealed, call_id);
    ThoughtItem { id, text: "", is_summary: true, field: Some(&field) }.write(out);
}

/// A message of the model's as an item of the output.
pub(super) struct MessageItem<'m> {
    /// The item's id.
    pub(super) id: &'m str,
    /// The status.
    pub(super) status: &'m str,
    /// The parts: the elements of a JSON list.
    pub(super) content: &'m [u8],
}

impl MessageItem<'_> {
    /// Writes the item.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut item = ObjectWriter::of_type("message", out);
        item.text("id", self.id);
        item.text("status", self.status);
        item.raw("role", r#""assistant""#);
        let content = item.key("content");
        content.push(b'[');
        content.extend_from_slice(self.content);
        content.push(b']');
        item.close();
    }
}

/// The kind of a model's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// An answer.
    Text,
    /// A refusal.
    Refusal,
}

/// A part of a message of the model's.
pub(super) struct MessagePart<'m> {
    /// The words.
    pub(super) text: &'m str,
    /// The kind of words.
    pub(super) wording: Wording,
    /// The citations: the elements of a JSON list.
    pub(super) annotations: &'m [u8],
    /// The probabilities of the tokens: the elements of a JSON list.
    pub(super) logprobs: &'m [u8],
}

impl MessagePart<'_> {
    /// Writes the part.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.wording == Wording::Refusal {
            let mut part = ObjectWriter::of_type("refusal", out);
            part.text("refusal", self.text);
            part.close();
            return;
        }
        let mut part = ObjectWriter::of_type("output_text", out);
        part.text("text", self.text);
        for (name, elements) in [("annotations", self.annotations), ("logprobs", self.logprobs)] {
            let list = part.key(name);
            list.push(b'[');
            list.extend_from_slice(elements);
            list.push(b']');
        }
        part.close();
    }
}

/// Tells whether a part is a search of the web that an upstream's server made.
pub(super) fn is_search(raw: &RawValue) -> bool {
    Fields::of(raw).is_some_and(|fields| {
        fields.text("type").as_deref() == Some("server_tool_use")
            && fields.text("name").as_deref() == Some("web_search")
    })
}

/// Writes a search of the web that an upstream's server made, where a part is one. `false` where it is none.
pub(super) fn write_search(id: &str, raw: &RawValue, out: &mut Vec<u8>) -> bool {
    let is_search = is_search(raw);
    if let Some(fields) = Fields::of(raw).filter(|_| is_search) {
        let query = fields.object("input").and_then(|input| input.text("query")).unwrap_or_default();
        let mut item = ObjectWriter::of_type("web_search_call", out);
        item.text("id", id);
        item.text("status", "completed");
        let mut action = ObjectWriter::of_type("search", item.key("action"));
        action.text("query", &query);
        action.close();
        item.close();
    }
    is_search
}
