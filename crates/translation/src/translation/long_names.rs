//! Names of tools that are longer than an upstream's API takes, in its answers: there they are hashes.

use std::borrow::Cow;

use super::{EventWriter, RequestMemo};
use crate::conversion::tool_name;
use crate::neutral::{NeutralAnswer, PartBody, PartKind, StreamEvent};

/// Puts the names that the client knows into an answer.
pub(crate) fn restore(answer: &mut NeutralAnswer<'_>, memo: &RequestMemo) {
    if memo.long_names.is_empty() {
        return;
    }
    for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let PartBody::ToolCall(call) = &mut part.body
            && let Some(known) = known(&memo.long_names, &call.name)
        {
            call.name = Cow::Owned(known.to_owned());
        }
    }
}

fn known<'n>(names: &'n [String], name: &str) -> Option<&'n str> {
    names.iter().map(String::as_str).find(|known| tool_name::written(known) == name)
}

/// A writer whose client knows tools by longer names than the upstream.
pub(crate) struct LongNameWriter {
    pub(crate) names: Vec<String>,
    pub(crate) inner: Box<dyn EventWriter>,
}

impl EventWriter for LongNameWriter {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        if let StreamEvent::Open { part, choice, kind: PartKind::ToolCall { id, name, kind } } = event
            && let Some(known) = known(&self.names, name)
        {
            let kind = PartKind::ToolCall { id: id.clone(), name: Cow::Borrowed(known), kind: *kind };
            self.inner.write(&StreamEvent::Open { part: *part, choice: *choice, kind }, out);
        } else {
            self.inner.write(event, out);
        }
    }
}
