//! What is kept of a request until its answer.

use crate::conversion::tool_name;
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
    /// Whether the client knows calls by their first form only: one `function_call` in a message of chat completions.
    pub wants_function_call: bool,
    /// The names of tools that some upstreams know by a hash.
    pub long_names: Vec<String>,
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
            wants_function_call: false,
            long_names: long_names(request),
        }
    }

    /// Returns the kind of a call to the tool called `name`.
    #[must_use]
    pub fn kind_of(&self, name: &str) -> CallKind {
        if self.custom_tools.iter().any(|custom| custom == name) { CallKind::Custom } else { CallKind::Function }
    }
}

fn long_names(request: &NeutralRequest<'_>) -> Vec<String> {
    let names = request.tools.iter().map(|tool| &*tool.name).filter(|name| tool_name::is_long(name));
    names.map(str::to_owned).collect()
}
