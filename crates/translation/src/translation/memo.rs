//! What is kept of a request until its answer.

use crate::neutral::{CallKind, NeutralRequest, ToolKind};

/// What an answer's translation must know of its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestMemo {
    /// Whether the client asked for the usage at the end of a stream.
    pub includes_usage: bool,
    /// The names of tools whose input is free text: upstreams without such call them as functions.
    pub custom_tools: Vec<String>,
    /// The fields of the request that the client's API repeats in its answers: the members of a JSON object, without
    /// its braces.
    pub repeated: String,
    /// Whether a client of Google's takes a stream as a list, not as events: its path does not say `alt=sse`, which the
    /// caller knows.
    pub gemini_array: bool,
}

impl RequestMemo {
    /// Keeps what every API needs of a request.
    #[must_use]
    pub fn of(request: &NeutralRequest<'_>) -> Self {
        let custom = request.tools.iter().filter(|tool| matches!(tool.kind, ToolKind::Custom { .. }));
        Self {
            includes_usage: request.include_usage,
            custom_tools: custom.map(|tool| tool.name.clone().into_owned()).collect(),
            repeated: String::new(),
            gemini_array: false,
        }
    }

    /// Returns the kind of a call to the tool called `name`.
    #[must_use]
    pub fn kind_of(&self, name: &str) -> CallKind {
        if self.custom_tools.iter().any(|custom| custom == name) { CallKind::Custom } else { CallKind::Function }
    }
}
