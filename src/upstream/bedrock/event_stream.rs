//! The frames of Bedrock's streams (`application/vnd.amazon.eventstream`), put into the server-sent events of Anthropic's
//! API: the payload of a chunk is such an event in base64, an exception becomes an `error` event.
//!
//! Lengths and checksums of every frame are verified. Nothing waits but the rest of a frame.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use aws_smithy_types::str_bytes::StrBytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde::Deserialize;
use serde_json::json;

/// The largest frame; AWS writes none of more than 16 MiB.
const MOST: usize = 17 << 20;

/// The reader of a stream's frames.
#[derive(Default)]
pub(crate) struct EventFrames {
    decoder: MessageFrameDecoder,
    pending: BytesMut,
    /// True while a part of a frame was taken.
    is_amid: bool,
}

/// The reason why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// A length or a checksum is wrong.
    #[error("a frame is broken: {0}")]
    Broken(String),
    /// A frame is larger than any may be.
    #[error("a frame is larger than any may be")]
    TooLarge,
    /// The payload of a frame is not what it should be.
    #[error("a frame's payload is no event")]
    NoEvent,
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Cut,
}

/// The payload of a chunk.
#[derive(Deserialize)]
struct ChunkPayload {
    bytes: String,
}

/// The part of an event that names it.
#[derive(Deserialize)]
struct NamedEvent {
    #[serde(rename = "type")]
    name: String,
}

/// The payload of an exception.
#[derive(Default, Deserialize)]
struct ExceptionPayload {
    #[serde(default, alias = "Message")]
    message: String,
}

impl EventFrames {
    /// Takes more of the stream; returns the events that it completes, as they are sent to clients.
    ///
    /// # Errors
    /// When the stream is not what AWS writes.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, FrameError> {
        if self.pending.len() + chunk.len() > MOST {
            return Err(FrameError::TooLarge);
        }
        self.pending.extend_from_slice(chunk);
        self.is_amid |= !chunk.is_empty();
        let mut events = Vec::new();
        loop {
            let decoded = self.decoder.decode_frame(&mut self.pending);
            match decoded.map_err(|error| FrameError::Broken(error.to_string()))? {
                DecodedFrame::Incomplete => return Ok(events),
                DecodedFrame::Complete(message) => {
                    write_event(&message, &mut events)?;
                    self.is_amid = !self.pending.is_empty();
                }
            }
        }
    }

    /// Notes the end of the stream.
    ///
    /// # Errors
    /// When it comes within a frame.
    pub(crate) const fn finish(&self) -> Result<(), FrameError> {
        if self.is_amid { Err(FrameError::Cut) } else { Ok(()) }
    }
}

fn write_event(message: &Message, events: &mut Vec<u8>) -> Result<(), FrameError> {
    match text(message, ":message-type") {
        Some("event") => write_chunk(message, events),
        Some("exception") => {
            let payload: ExceptionPayload = serde_json::from_slice(message.payload()).unwrap_or_default();
            write_error(text(message, ":exception-type").unwrap_or_default(), &payload.message, events);
            Ok(())
        }
        Some("error") => {
            let words = text(message, ":error-message").unwrap_or_default();
            write_error(text(message, ":error-code").unwrap_or_default(), words, events);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Writes the event that a chunk carries; what carries none, such as the answer to the request itself, is left out.
fn write_chunk(message: &Message, events: &mut Vec<u8>) -> Result<(), FrameError> {
    if text(message, ":event-type") != Some("chunk") {
        return Ok(());
    }
    let payload: ChunkPayload = serde_json::from_slice(message.payload()).map_err(|_| FrameError::NoEvent)?;
    let event = STANDARD.decode(payload.bytes).map_err(|_| FrameError::NoEvent)?;
    let NamedEvent { name } = serde_json::from_slice(&event).map_err(|_| FrameError::NoEvent)?;
    if name.contains(['\r', '\n']) {
        return Err(FrameError::NoEvent);
    }
    events.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    // A line break can stand between the parts of JSON, where it is as good as a space, and would end the event's line.
    events.extend(event.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    events.extend_from_slice(b"\n\n");
    Ok(())
}

fn write_error(name: &str, words: &str, events: &mut Vec<u8>) {
    let error = json!({"type": "error", "error": {"type": error_type(name), "message": words}});
    events.extend_from_slice(format!("event: error\ndata: {error}\n\n").as_bytes());
}

/// Returns what Anthropic's API calls an error that Bedrock calls `name`.
fn error_type(name: &str) -> &'static str {
    match name.to_ascii_lowercase().trim_end_matches("exception") {
        "throttling" => "rate_limit_error",
        "serviceunavailable" | "modelnotready" => "overloaded_error",
        "validation" => "invalid_request_error",
        "modeltimeout" => "timeout_error",
        "accessdenied" => "permission_error",
        "resourcenotfound" => "not_found_error",
        _ => "api_error",
    }
}

fn text<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
    header.value().as_string().ok().map(StrBytes::as_str)
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue};

    use super::*;

    fn frame(headers: &[(&'static str, &'static str)], payload: &str) -> Vec<u8> {
        let message = headers.iter().fold(Message::new(payload.as_bytes().to_vec()), |message, (name, value)| {
            message.add_header(Header::new(*name, HeaderValue::String((*value).into())))
        });
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).expect("a frame");
        bytes
    }

    fn chunk(event: &str) -> Vec<u8> {
        let payload = json!({"bytes": STANDARD.encode(event), "p": "abcdef"}).to_string();
        let headers = [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
        frame(&headers, &payload)
    }

    /// Reads a stream in pieces of `size` bytes.
    fn read(stream: &[u8], size: usize) -> Result<String, FrameError> {
        let mut frames = EventFrames::default();
        let mut events = Vec::new();
        for piece in stream.chunks(size) {
            events.extend(frames.push(piece)?);
        }
        frames.finish()?;
        Ok(String::from_utf8(events).expect("text"))
    }

    #[test]
    fn chunks_become_events_wherever_the_stream_is_cut_into_pieces() {
        let stream = [
            frame(&[(":event-type", "initial-response"), (":message-type", "event")], "{}"),
            chunk(r#"{"type": "message_start", "message": {"id": "é"}}"#),
            chunk("{\"type\": \"content_block_delta\",\n \"index\": 0}"),
            chunk(r#"{"type": "message_stop"}"#),
        ]
        .concat();
        let events = "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {\"id\": \"é\"}}\n\n\
                      event: content_block_delta\ndata: {\"type\": \"content_block_delta\",  \"index\": 0}\n\n\
                      event: message_stop\ndata: {\"type\": \"message_stop\"}\n\n";

        for size in (1..64).chain([stream.len() - 1, stream.len()]) {
            assert_eq!(read(&stream, size).expect("a whole stream"), events, "{size}");
        }
    }

    #[test]
    fn an_exception_is_an_error_event_in_the_words_of_anthropic_s_api() {
        for (name, expected) in [
            ("throttlingException", "rate_limit_error"),
            ("serviceUnavailableException", "overloaded_error"),
            ("modelStreamErrorException", "api_error"),
            ("validationException", "invalid_request_error"),
        ] {
            let bytes = frame(&[(":exception-type", name), (":message-type", "exception")], r#"{"message": "no"}"#);

            let said = format!(r#"{{"error":{{"message":"no","type":"{expected}"}},"type":"error"}}"#);
            assert_eq!(read(&bytes, 7).expect("an event"), format!("event: error\ndata: {said}\n\n"));
        }
    }

    #[test]
    fn a_frame_that_is_broken_or_cut_is_noticed() {
        let good = chunk(r#"{"type": "ping"}"#);
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x40;

            assert!(read(&bad, bad.len()).is_err(), "byte {index}");
        }
        for end in 1..good.len() {
            assert!(matches!(read(&good[..end], 3), Err(FrameError::Cut)), "{end} bytes");
        }
        assert!(matches!(read(&chunk("not json"), 1000), Err(FrameError::NoEvent)));
    }
}
