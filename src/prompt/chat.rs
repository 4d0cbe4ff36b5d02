//! OpenAI chat completions: `messages`, and the parameters beside them.
//!
//! One pass over the body without a JSON tree. What that pass cannot represent although it is grammatical JSON (half of
//! a surrogate pair, a number beyond `f64` where text is due, bytes that are no UTF-8) is met by a second, slower one.

mod message;
mod parameters;

use std::fmt;
use std::mem;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use self::message::Conversation;
use self::parameters::RawParameters;
use super::model_field::ModelSlot;
use super::tolerant::{Count, Tolerant};
use super::{Dialect, ModelField, ParseError, Prompt, model_field};

pub(super) fn parse(body: &[u8]) -> Result<Prompt<'_>, ParseError> {
    if let Ok(mut request) = read(body) {
        let model = mem::take(&mut request.model).into_field(body)?;
        return Ok(request.into_prompt(model));
    }
    let model = model_field(body)?;
    let mended = mend(body);
    Ok(read(mended.as_bytes()).unwrap_or_default().into_prompt(model).into_owned())
}

fn read(body: &[u8]) -> Result<Request<'_>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let request = json.deserialize_map(RequestVisitor)?;
    json.end()?;
    Ok(request)
}

/// Replaces what is grammatical JSON but cannot be text: bytes that are no UTF-8, and halves of surrogate pairs.
fn mend(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut mended = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let (escape, length) = match (surrogate(rest), rest.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => (&rest[..12], 12),
            (Some(_), _) => ("\\ufffd", 6),
            (None, _) => {
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                (&rest[..length], length)
            }
        };
        mended.push_str(escape);
        rest = &rest[length..];
    }
    mended + rest
}

enum Half {
    High,
    Low,
}

/// Returns which half of a surrogate pair `text` starts with the escape of, if any.
fn surrogate(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xD800..=0xDBFF => Some(Half::High),
        0xDC00..=0xDFFF => Some(Half::Low),
        _ => None,
    }
}

/// The top level of a request, as read.
#[derive(Default)]
struct Request<'b> {
    model: ModelSlot<'b>,
    conversation: Conversation<'b>,
    tools: u32,
    functions: u32,
    parameters: RawParameters<'b>,
}

impl<'b> Request<'b> {
    fn into_prompt(self, model: ModelField<'b>) -> Prompt<'b> {
        let Self { conversation, tools, functions, parameters, .. } = self;
        Prompt {
            dialect: Dialect::ChatCompletions,
            model: model.name,
            model_span: model.span,
            turns: conversation.turns,
            user_turns: conversation.user_turns,
            system_chars: conversation.system_chars,
            attachments: conversation.attachments,
            tools: tools.saturating_add(functions),
            tool_calls: conversation.tool_calls,
            tool_errors: conversation.tool_errors,
            parameters: parameters.read(),
            texts: conversation.texts,
            newest_user: conversation.newest_user,
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Model,
    Messages,
    Tools,
    Functions,
    Temperature,
    TopP,
    MaxTokens,
    MaxCompletionTokens,
    Stream,
    ReasoningEffort,
    ResponseFormat,
    #[serde(other)]
    Other,
}

struct RequestVisitor;

impl<'b> Visitor<'b> for RequestVisitor {
    type Value = Request<'b>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut request = Request::default();
        let parameters = &mut request.parameters;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Model => request.model.put(map.next_value()?),
                Key::Messages => Tolerant(request.conversation) = map.next_value()?,
                Key::Tools => Tolerant(Count(request.tools)) = map.next_value()?,
                Key::Functions => Tolerant(Count(request.functions)) = map.next_value()?,
                Key::Temperature => parameters.temperature = map.next_value()?,
                Key::TopP => parameters.top_p = map.next_value()?,
                Key::MaxTokens => parameters.max_tokens = map.next_value()?,
                Key::MaxCompletionTokens => parameters.max_completion_tokens = map.next_value()?,
                Key::Stream => parameters.stream = map.next_value()?,
                Key::ReasoningEffort => parameters.reasoning_effort = map.next_value()?,
                Key::ResponseFormat => parameters.response_format = map.next_value()?,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(request)
    }
}
