//! Takes the log probabilities of tokens out of an answer whose client did not ask for them.

use bytes::{Bytes, BytesMut};

use super::AnswerFraming;

/// Keys under which APIs say log probabilities: OpenAI's two, and Google's.
const KEYS: [&[u8]; 2] = [b"logprobs", b"logprobsResult"];

/// Passes an answer on without its log probabilities, which are emptied where they stand.
///
/// A stream leaves line by line; a whole answer leaves when it is whole.
#[derive(Debug, Default)]
pub struct LogprobFilter {
    framing: Option<AnswerFraming>,
    pending: BytesMut,
    /// True once a whole answer leaves as it comes.
    is_released: bool,
}

impl LogprobFilter {
    /// Takes a chunk of an answer, and returns what of it may pass on.
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        if self.is_released {
            return Bytes::copy_from_slice(chunk);
        }
        self.pending.extend_from_slice(chunk);
        if self.framing.is_none() && !AnswerFraming::is_blank(&self.pending) {
            self.framing = AnswerFraming::of_beginning(&self.pending);
        }
        if self.framing != Some(AnswerFraming::Events) {
            return Bytes::new();
        }
        match self.pending.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => without_logprobs(&self.pending.split_to(end + 1)),
            None => Bytes::new(),
        }
    }

    /// Gives a whole answer up, which is too large to be held: returns what is held of it, and what follows leaves as it
    /// comes. A stream goes on line by line.
    pub fn release(&mut self) -> Bytes {
        if self.framing == Some(AnswerFraming::Events) {
            return Bytes::new();
        }
        self.is_released = true;
        self.pending.split().freeze()
    }

    /// Returns the rest of an answer that has ended.
    pub fn finish(&mut self) -> Bytes {
        without_logprobs(&self.pending.split())
    }
}

/// Returns JSON, or lines of it, with empty log probabilities. What stands in strings stays.
fn without_logprobs(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut from) = (0, 0);
    while at < text.len() {
        if text[at] != b'"' {
            at += 1;
            continue;
        }
        let end = string_end(text, at);
        let colon = after_blanks(text, end);
        let is_key = text.get(colon) == Some(&b':') && KEYS.contains(&&text[at + 1..end.saturating_sub(1).max(at + 1)]);
        if is_key {
            let value = after_blanks(text, colon + 1);
            out.extend_from_slice(&text[from..value]);
            out.extend_from_slice(if text.get(value) == Some(&b'[') { b"[]" } else { b"null" });
            (at, from) = (value_end(text, value), value_end(text, value));
        } else {
            at = end;
        }
    }
    out.extend_from_slice(&text[from.min(text.len())..]);
    out.into()
}

/// Returns the place after the string that begins at `at`.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut place = at + 1;
    while let Some(byte) = text.get(place) {
        match byte {
            b'\\' => place += 2,
            b'"' => return place + 1,
            _ => place += 1,
        }
    }
    text.len()
}

/// Returns the place after the value that begins at `at`.
fn value_end(text: &[u8], at: usize) -> usize {
    let (mut place, mut depth) = (at, 0_u32);
    while let Some(byte) = text.get(place) {
        match byte {
            b'"' => {
                place = string_end(text, place);
                if depth == 0 {
                    return place;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return place,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return place + 1;
                }
            }
            b',' | b'\n' if depth == 0 => return place,
            _ => {}
        }
        place += 1;
    }
    text.len()
}

fn after_blanks(text: &[u8], at: usize) -> usize {
    let blanks = text.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace());
    at + blanks.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(answer: &str, piece: usize) -> String {
        let mut filter = LogprobFilter::default();
        let mut out: Vec<u8> = answer.as_bytes().chunks(piece).flat_map(|chunk| filter.push(chunk).to_vec()).collect();
        out.extend_from_slice(&filter.finish());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_whole_answer_that_is_given_up_leaves_as_it_came_and_a_stream_is_still_emptied() {
        for (answer, expected) in [
            (r#"{"logprobs":[1],"text":"a"}"#, r#"{"logprobs":[1],"text":"a"}"#),
            (
                "data: {\"logprobs\":[1]}\n\ndata: {\"logprobs\":[2]}\n\n",
                "data: {\"logprobs\":[]}\n\ndata: {\"logprobs\":[]}\n\n",
            ),
        ] {
            let mut filter = LogprobFilter::default();
            let (first, second) = answer.as_bytes().split_at(12);

            let parts = [filter.push(first), filter.release(), filter.push(second), filter.finish()];

            assert_eq!(String::from_utf8(parts.concat()).expect("text"), expected);
        }
    }

    #[test]
    fn log_probabilities_are_emptied_and_all_else_stays() {
        for (answer, expected) in [
            (
                r#"{"choices":[{"logprobs":{"content":[{"token":"}","logprob":-0.1}]},"message":{"content":"\"logprobs\": {1}"}}]}"#,
                r#"{"choices":[{"logprobs":null,"message":{"content":"\"logprobs\": {1}"}}]}"#,
            ),
            (
                "data: {\"delta\":\"a\",\"logprobs\":[{\"logprob\":-1}]}\n\ndata: [DONE]\n\n",
                "data: {\"delta\":\"a\",\"logprobs\":[]}\n\ndata: [DONE]\n\n",
            ),
            (
                "data: {\"candidates\":[{\"logprobsResult\":{\"chosenCandidates\":[]},\"avgLogprobs\":-0.5}]}\r\n\r\n",
                "data: {\"candidates\":[{\"logprobsResult\":null,\"avgLogprobs\":-0.5}]}\r\n\r\n",
            ),
            (r#"{"logprobs" : -1.5 , "a": 1}"#, r#"{"logprobs" : null, "a": 1}"#),
            (r#"{"text":"none"}"#, r#"{"text":"none"}"#),
            ("no JSON \"logprobs\": ", "no JSON \"logprobs\": null"),
        ] {
            for piece in [1, 7, answer.len()] {
                assert_eq!(passed(answer, piece), expected, "{piece}");
            }
        }
    }
}
