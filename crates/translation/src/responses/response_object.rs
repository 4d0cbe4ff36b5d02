//! The response object: of a whole answer, and in the first and last events of a stream.

use super::answer_reader::Holds;
use super::usage;
use crate::json::writer::ObjectWriter;
use crate::neutral::{NeutralUsage, StopReason};
use crate::translation::AnswerDetails;

/// The members that are the same in every object of one response.
#[derive(Debug, Clone)]
pub(super) struct ResponseHead {
    /// The id.
    pub(super) id: String,
    /// The moment it was made.
    pub(super) created: u64,
    /// The model that writes it.
    pub(super) model: String,
    /// The fields of the request that the API repeats: members of the object.
    pub(super) repeated: String,
}

impl ResponseHead {
    /// Makes the head of the answer to a request.
    pub(super) fn new(details: &AnswerDetails<'_>) -> Self {
        Self {
            id: format!("resp_{}", details.unique),
            created: details.now,
            model: String::new(),
            repeated: details.memo.repeated.clone(),
        }
    }

    /// Takes over what the upstream says.
    pub(super) fn learn(&mut self, id: Option<&str>, model: Option<&str>, created: Option<u64>) {
        if let Some(id) = id.filter(|id| id.starts_with("resp_")) {
            id.clone_into(&mut self.id);
        }
        if let Some(model) = model {
            model.clone_into(&mut self.model);
        }
        if let Some(created) = created.filter(|created| *created > 0) {
            self.created = created;
        }
    }

    /// Writes the object.
    pub(super) fn write(&self, state: &ResponseState<'_>, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::open(out);
        object.text("id", &self.id);
        object.raw("object", r#""response""#);
        object.number("created_at", self.created);
        object.text("status", state.status.name());
        write_reasons(state.status, &mut object);
        object.text("model", &self.model);
        let output = object.key("output");
        output.push(b'[');
        output.extend_from_slice(state.output);
        output.push(b']');
        object.members(self.repeated.as_bytes());
        if let Some(tier) = state.service_tier.and_then(tier) {
            object.text("service_tier", tier);
        }
        match state.usage {
            Some(used) => usage::write(used, object.key("usage")),
            None => object.raw("usage", "null"),
        }
        object.close();
    }
}

/// The state of a response at one moment.
pub(super) struct ResponseState<'s> {
    /// The status.
    pub(super) status: &'s ResponseStatus<'s>,
    /// The items that are whole: the elements of a JSON list.
    pub(super) output: &'s [u8],
    /// The usage.
    pub(super) usage: Option<&'s NeutralUsage>,
    /// The tier of service, as the upstream calls it.
    pub(super) service_tier: Option<&'s str>,
}

/// The status of a response, with what it is said for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseStatus<'s> {
    /// The response is being written.
    InProgress,
    /// The response is whole.
    Completed,
    /// The response was ended before it was whole, for a reason that the API has a name for or not.
    Incomplete(Option<&'static str>),
    /// The response failed.
    Failed {
        /// The code.
        code: &'s str,
        /// The words.
        message: &'s str,
    },
}

impl<'s> ResponseStatus<'s> {
    /// Returns the status of an answer that has ended. Only what is whole is completed.
    pub(super) fn of_stop(reason: StopReason, detail: Option<&'s str>, holds: Holds) -> Self {
        match reason {
            StopReason::EndTurn | StopReason::StopText | StopReason::ToolUse => Self::Completed,
            // The words of a refusal are this API's own form of it.
            StopReason::Refusal if holds.refusal => Self::Completed,
            StopReason::MaxTokens | StopReason::ContextWindow => Self::Incomplete(Some("max_output_tokens")),
            StopReason::Refusal | StopReason::ContentFilter | StopReason::Recitation => {
                Self::Incomplete(Some("content_filter"))
            }
            StopReason::Pause | StopReason::Other => Self::Incomplete(None),
            StopReason::MalformedCall => Self::failed(detail, "the model wrote a call of a tool that is none"),
            StopReason::Failed => Self::failed(detail, "the model's vendor could not finish the answer"),
        }
    }

    fn failed(detail: Option<&'s str>, otherwise: &'s str) -> Self {
        Self::Failed { code: "server_error", message: detail.unwrap_or(otherwise) }
    }

    /// Returns the status's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed { .. } => "failed",
        }
    }
}

fn write_reasons(status: &ResponseStatus<'_>, object: &mut ObjectWriter<'_>) {
    match status {
        ResponseStatus::Failed { code, message } => {
            let mut error = ObjectWriter::open(object.key("error"));
            error.text("code", code);
            error.text("message", message);
            error.close();
        }
        _ => object.raw("error", "null"),
    }
    match status {
        ResponseStatus::Incomplete(Some(reason)) => {
            let mut details = ObjectWriter::open(object.key("incomplete_details"));
            details.text("reason", reason);
            details.close();
        }
        ResponseStatus::Incomplete(None) => object.raw("incomplete_details", "{}"),
        _ => object.raw("incomplete_details", "null"),
    }
}

/// Returns the API's own name of a tier.
fn tier(name: &str) -> Option<&'static str> {
    const OWN: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
    match name {
        "standard" | "STANDARD" | "on_demand" => Some("default"),
        _ => OWN.into_iter().find(|own| own.eq_ignore_ascii_case(name)),
    }
}
