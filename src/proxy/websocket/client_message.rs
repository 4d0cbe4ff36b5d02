//! A client's message: a request for a response, or something that is answered at once.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::members::{Members, ObjectWriter};

/// The longest name of a lane, in bytes.
const MAX_LANE: usize = 256;

/// The members of a request that are the WebSocket's own and no part of a posted body.
const OF_THE_SOCKET: [&str; 4] = ["type", "stream_id", "generate", "stream"];

/// A message of a client's, as far as it is understood.
#[derive(Debug)]
pub(super) enum ClientMessage {
    /// `response.create`.
    Create(CreateRequest),
    /// `response.steer`: more input for a response that is being written.
    Steer(SteerRequest),
    /// No message that clients send.
    Unreadable(MessageFault),
}

/// A request for a response.
#[derive(Debug)]
pub(super) struct CreateRequest {
    /// The lane that its events name.
    pub(super) lane: Option<String>,
    /// The response that it goes on from.
    pub(super) previous: Option<String>,
    /// The items of its input, as JSON with commas between them.
    pub(super) items: String,
    /// False where its response is kept by nobody but the session.
    pub(super) is_stored: bool,
    /// False where it only prepares the next one.
    pub(super) generates: bool,
    /// The model that it names.
    pub(super) model: Option<String>,
    text: String,
}

/// More input for a response that is being written.
#[derive(Debug)]
pub(super) struct SteerRequest {
    /// The response.
    pub(super) previous: String,
    /// The input, as JSON.
    pub(super) input: String,
}

/// The fault of a message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageFault {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    pub(super) param: Option<&'static str>,
}

const NO_OBJECT: MessageFault =
    MessageFault { code: "invalid_json", message: "The message is not a JSON object.", param: None };
const NO_TYPE: MessageFault = MessageFault {
    code: "unknown_event",
    message: "The message's `type` is unknown (allowed: `response.create`, `response.steer`).",
    param: Some("type"),
};
const BAD_LANE: MessageFault = MessageFault {
    code: "invalid_stream_id",
    message: "`stream_id` must be a string of 1 to 256 bytes.",
    param: Some("stream_id"),
};
const BAD_INPUT: MessageFault = MessageFault {
    code: "invalid_input",
    message: "`input` must be a string or an array of items.",
    param: Some("input"),
};
const NO_TARGET: MessageFault = MessageFault {
    code: "invalid_input",
    message: "`previous_response_id` must name the response to steer.",
    param: Some("previous_response_id"),
};

impl ClientMessage {
    /// Reads a text message.
    pub(super) fn read(text: &str) -> Self {
        Self::understand(text).unwrap_or_else(Self::Unreadable)
    }

    fn understand(text: &str) -> Result<Self, MessageFault> {
        let members = Members::read(text).map_err(|_| NO_OBJECT)?;
        match members.text("type").as_deref() {
            Some("response.create") => CreateRequest::of(text, &members).map(Self::Create),
            Some("response.steer") => {
                let previous = members.text("previous_response_id").ok_or(NO_TARGET)?;
                let input = members.get("input").ok_or(BAD_INPUT)?.get().to_owned();
                Ok(Self::Steer(SteerRequest { previous, input }))
            }
            _ => Err(NO_TYPE),
        }
    }
}

impl CreateRequest {
    fn of(text: &str, members: &Members<'_>) -> Result<Self, MessageFault> {
        let lane = match members.get("stream_id").map(RawValue::get) {
            None | Some("null") => None,
            Some(_) => {
                let lane = members.text("stream_id").filter(|lane| (1..=MAX_LANE).contains(&lane.len()));
                Some(lane.ok_or(BAD_LANE)?)
            }
        };
        let items = match members.get("input").map(RawValue::get) {
            None | Some("null") => String::new(),
            Some(input) => items_of(input).ok_or(BAD_INPUT)?,
        };
        Ok(Self {
            lane,
            previous: members.text("previous_response_id"),
            items,
            is_stored: !members.is("store", false),
            generates: !members.is("generate", false),
            model: members.text("model"),
            text: text.to_owned(),
        })
    }

    /// Returns the memory that it takes, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len() + self.items.len()
    }

    /// Returns the body that says the same in a POST. With `whole`, the items of all that it goes on from and its own,
    /// nothing is left to look up.
    pub(super) fn body(&self, whole: Option<&str>) -> Bytes {
        let Ok(members) = Members::read(&self.text) else { return Bytes::new() }; // it was read before
        let mut body = ObjectWriter::new(self.text.len() + whole.map_or(0, str::len) + 32);
        for (key, value) in members.iter().filter(|(key, _)| !OF_THE_SOCKET.contains(key)) {
            match (key, whole) {
                ("previous_response_id" | "input", Some(_)) => {}
                _ => body.member(key, value.get()),
            }
        }
        if let Some(items) = whole {
            body.member("input", &format!("[{items}]"));
        }
        body.member("stream", "true");
        body.end().into()
    }
}

/// Returns the items of an input: a text is one message of the user's.
fn items_of(input: &str) -> Option<String> {
    let input = input.trim();
    if input.starts_with('"') {
        return Some(format!(r#"{{"type":"message","role":"user","content":{input}}}"#));
    }
    let items = input.strip_prefix('[')?.strip_suffix(']')?;
    Some(items.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn create(text: &str) -> CreateRequest {
        match ClientMessage::read(text) {
            ClientMessage::Create(request) => request,
            other => panic!("{text} is {other:?}"),
        }
    }

    fn fault(text: &str) -> &'static str {
        match ClientMessage::read(text) {
            ClientMessage::Unreadable(fault) => fault.code,
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn a_request_becomes_the_body_of_a_post_and_all_else_stays_as_it_was_written() {
        let request = create(
            r#"{"type":"response.create","model":"auto","temperature":1.50,"stream_id":"a","generate":true,"input":[ {"role":"user","content":"hi"} ],"stream":false}"#,
        );
        let body = r#"{"model":"auto","temperature":1.50,"input":[ {"role":"user","content":"hi"} ],"stream":true}"#;

        assert_eq!(request.body(None), body);
        assert_eq!((request.lane.as_deref(), request.model.as_deref()), (Some("a"), Some("auto")));
        assert_eq!(request.items, r#"{"role":"user","content":"hi"}"#);
        assert!(request.is_stored && request.generates);
    }

    #[test]
    fn a_request_that_goes_on_says_all_of_it_where_nobody_keeps_the_rest() {
        let request = create(
            r#"{"type":"response.create","store":false,"generate":false,"previous_response_id":"resp_1","input":"more"}"#,
        );
        let more = r#"{"type":"message","role":"user","content":"more"}"#;
        assert_eq!((request.previous.as_deref(), &*request.items), (Some("resp_1"), more));
        assert!(!request.is_stored && !request.generates);

        let body: Value = serde_json::from_slice(&request.body(Some(&format!("{{}},{more}")))).expect("JSON");

        let input = json!([{}, {"type": "message", "role": "user", "content": "more"}]);
        assert_eq!(body, json!({"store": false, "input": input, "stream": true}));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, code) in [
            ("", "invalid_json"),
            ("[1]", "invalid_json"),
            ("{}", "unknown_event"),
            (r#"{"type":7}"#, "unknown_event"),
            (r#"{"type":"session.update"}"#, "unknown_event"),
            (r#"{"type":"response.create","stream_id":""}"#, "invalid_stream_id"),
            (r#"{"type":"response.create","stream_id":4}"#, "invalid_stream_id"),
            (r#"{"type":"response.create","input":{}}"#, "invalid_input"),
            (r#"{"type":"response.steer","input":"x"}"#, "invalid_input"),
        ] {
            assert_eq!(fault(text), code, "{text}");
        }
    }
}
