//! The recording of an answer while it passes to its client: the same bytes, within a bound.

use bytes::Bytes;
use http::{HeaderMap, header};

/// An answer that is being recorded.
pub(super) struct AnswerRecording {
    content_type: Option<Box<str>>,
    /// Copied, because a chunk may hold on to a far larger buffer.
    body: Vec<u8>,
    max_bytes: usize,
    is_unfit: bool,
}

/// An answer that was recorded whole.
pub(super) struct RecordedAnswer {
    pub(super) content_type: Box<str>,
    pub(super) body: Bytes,
}

impl AnswerRecording {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { content_type: None, body: Vec::new(), max_bytes, is_unfit: false }
    }

    /// Notes the header that the client gets.
    pub(super) fn note_header(&mut self, fields: &HeaderMap) {
        let content_type = fields.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        self.content_type = content_type.map(Box::from);
        self.is_unfit |= fields.contains_key(header::CONTENT_ENCODING);
    }

    /// Adds a chunk as the client gets it.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.is_unfit |= self.body.len() + chunk.len() > self.max_bytes;
        if self.is_unfit {
            self.body = Vec::new();
        } else {
            self.body.extend_from_slice(chunk);
        }
    }

    /// Returns the answer; `None` for one that is too large, compressed, or of no type.
    pub(super) fn end(self) -> Option<RecordedAnswer> {
        let content_type = self.content_type.filter(|_| !self.is_unfit && !self.body.is_empty())?;
        Some(RecordedAnswer { content_type, body: self.body.into_boxed_slice().into() })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn recorded(fields: &[(HeaderName, &'static str)], chunks: &[&str]) -> Option<RecordedAnswer> {
        let mut recording = AnswerRecording::new(8);
        let field = |(name, value): &(HeaderName, &'static str)| (name.clone(), HeaderValue::from_static(value));
        recording.note_header(&fields.iter().map(field).collect());
        chunks.iter().for_each(|chunk| recording.push(chunk.as_bytes()));
        recording.end()
    }

    const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

    #[test]
    fn the_bytes_of_a_client_s_answer_are_kept_in_their_order() {
        let answer = recorded(&[JSON], &["abc", "", "defgh"]).expect("an answer of eight bytes");

        assert_eq!((&*answer.content_type, &*answer.body), ("application/json", &b"abcdefgh"[..]));
    }

    #[test]
    fn what_is_too_large_compressed_or_empty_is_not_kept() {
        assert!(recorded(&[JSON], &["abc", "defghi"]).is_none());
        assert!(recorded(&[JSON], &["abcdefghi", ""]).is_none());
        assert!(recorded(&[JSON, (header::CONTENT_ENCODING, "gzip")], &["abc"]).is_none());
        assert!(recorded(&[JSON], &[]).is_none());
        assert!(recorded(&[], &["abc"]).is_none());
    }
}
