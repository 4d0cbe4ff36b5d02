//! The neutral form: the meaning of requests, answers and the events of streams, whichever words an API has for it.
//!
//! Everything borrows from the body it was read from wherever its strings hold no escapes. JSON that Pointsman has no
//! business in, such as schemas and arguments, stays the text that it was.

mod answer;
mod error;
mod event;
mod part;
mod request;
mod usage;

pub use self::answer::{NeutralAnswer, NeutralChoice, Stop, StopReason};
pub use self::error::{ErrorKind, NeutralError};
pub use self::event::{PartDelta, PartKind, StreamEvent};
pub use self::part::{
    Audio, CacheMark, CacheTtl, CallKind, Document, Image, ImageDetail, MediaSource, Part, PartBody, Thinking,
    ToolCall, ToolResult,
};
pub use self::request::{
    CacheRules, Effort, NativeField, NeutralRequest, OutputFormat, Reasoning, ReasoningMode, Sampling, ServerTool,
    StopTexts, ThoughtForm, Tool, ToolChoice, ToolKind, Turn, TurnRole, Verbosity,
};
pub use self::usage::NeutralUsage;
