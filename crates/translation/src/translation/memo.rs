//! The part of a request that is kept until its answer.

use crate::conversion::tool_name;
use crate::neutral::{CallKind, NeutralRequest, ToolKind};

/// The part of a request that its answer's translation must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestMemo {
    /// True where the client asked for the usage at the end of a stream.
    pub includes_usage: bool,
    /// The names of tools whose input is free text: upstreams without such call them as functions.
    pub custom_tools: Vec<String>,
    /// The tools that the client's API calls in a form of its own.
    pub native_tools: Vec<NativeTool>,
    /// The fields of the request that the client's API repeats in its answers: the members of a JSON object, without
    /// its braces.
    pub repeated: String,
    /// True where the client knows calls by their first form only: one `function_call` in a message of chat completions.
    pub wants_function_call: bool,
    /// The names of tools that some upstreams know by a hash.
    pub long_names: Vec<String>,
    /// True where a client of Google's takes a stream as a list, not as events: its path does not say `alt=sse`, which the
    /// caller knows.
    pub gemini_array: bool,
}

/// A tool that the client's API calls in a form of its own, and that upstreams know as a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeTool {
    /// The function's name.
    pub function: String,
    /// The form of its calls in the client's API.
    pub call: NativeCall,
}

/// The form of a call that only the responses API has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NativeCall {
    /// A call of a tool in a namespace.
    Namespaced {
        /// The namespace.
        namespace: String,
        /// The tool's name in it.
        name: String,
    },
    /// A command for the client's machine.
    LocalShell,
    /// Commands for a shell of the client's.
    Shell,
    /// An operation on a file of the client's.
    ApplyPatch,
    /// A search for tools that the client makes.
    ToolSearch,
}

impl RequestMemo {
    /// Keeps what every API needs of a request.
    #[must_use]
    pub fn of(request: &NeutralRequest<'_>) -> Self {
        let custom = request.tools.iter().filter(|tool| matches!(tool.kind, ToolKind::Custom { .. }));
        Self {
            includes_usage: request.include_usage,
            custom_tools: custom.map(|tool| tool.name.clone().into_owned()).collect(),
            native_tools: Vec::new(),
            repeated: String::new(),
            wants_function_call: false,
            long_names: long_names(request),
            gemini_array: false,
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
