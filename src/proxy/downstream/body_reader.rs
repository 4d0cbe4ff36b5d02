//! Reads an encoded body without keeping others waiting: a few bytes may stand for tens of megabytes, and nobody knows
//! before they are decoded.
//!
//! A body is decoded where it comes in for as long as it is small. What turns out to be large is begun anew on the
//! threads for large bodies, from the encoded bytes that were kept until then. What is not encoded is only copied,
//! which is as quick as receiving it.

use bytes::Bytes;

use super::admission::BodyReservation;
use super::body_buffer::BodyBuffer;
use super::decode::{BodyDecoder, BodyEncoding};
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::large_work::LARGE_BODY;

/// The limits of a body that is read.
pub(super) struct BodyBounds {
    /// The most bytes that it may have, once it is decoded.
    pub(super) limit: usize,
    /// The bytes that the client has said will come, if it said so.
    pub(super) announced: usize,
}

/// A body that is being read.
pub(super) struct BodyReader {
    encoding: BodyEncoding,
    limit: usize,
    decoder: BodyDecoder,
    /// The encoded bytes so far, of an encoded body that is still small.
    prefix: Option<Vec<Bytes>>,
}

impl BodyReader {
    /// Makes the reader of a body, whose memory is taken from `memory`.
    ///
    /// # Errors
    /// When the memory for the decoder's state cannot be had.
    pub(super) fn new(encoding: BodyEncoding, bounds: &BodyBounds, memory: BodyReservation) -> Result<Self, Rejection> {
        let BodyBounds { limit, announced } = *bounds;
        let is_encoded = encoding != BodyEncoding::Identity;
        let announced = if is_encoded { 0 } else { announced };
        let small = if is_encoded { limit.min(LARGE_BODY) } else { limit };
        let decoder = BodyDecoder::into_buffer(encoding, small, BodyBuffer::new(announced, Some(memory)))?;
        Ok(Self { encoding, limit, decoder, prefix: is_encoded.then(Vec::new) })
    }

    /// Takes the next bytes, unless the body is encoded and large: then it returns those that are left to
    /// [`Self::push_large`].
    ///
    /// # Errors
    /// When the body is larger than its limit, not what its encoding says, or there is no memory for it.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Rejection> {
        let Some(prefix) = &mut self.prefix else {
            let is_plain = self.encoding == BodyEncoding::Identity;
            return if is_plain { self.decoder.push(&chunk).map(|()| None) } else { Ok(Some(chunk)) };
        };
        let pushed = self.decoder.push(&chunk);
        prefix.push(chunk);
        self.unless_large(pushed)
    }

    /// Decodes what is left when all bytes of a body have come, unless that shows that it is large.
    ///
    /// # Errors
    /// As [`Self::push`], and when the encoded stream was cut off.
    pub(super) fn end(&mut self) -> Result<Option<Bytes>, Rejection> {
        if self.prefix.is_none() {
            return Ok(None);
        }
        let ended = self.decoder.end();
        self.unless_large(ended)
    }

    /// Makes of the refusal of a body that is no longer small the word that nothing but its decoding is left.
    fn unless_large(&self, decoded: Result<(), Rejection>) -> Result<Option<Bytes>, Rejection> {
        match decoded {
            Ok(()) => Ok(None),
            Err(Rejection::BodyTooLarge { limit }) if limit < self.limit => Ok(Some(Bytes::new())),
            Err(refused) => Err(refused),
        }
    }

    /// Takes the next bytes of a large body.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn push_large(&mut self, chunk: &[u8]) -> Result<(), Rejection> {
        if let Some(prefix) = self.prefix.take() {
            let anew = |memory| BodyDecoder::into_buffer(self.encoding, self.limit, BodyBuffer::new(0, memory));
            let small = std::mem::replace(&mut self.decoder, anew(None)?);
            self.decoder = anew(small.discard())?;
            prefix.iter().try_for_each(|chunk| self.decoder.push(chunk))?;
        }
        self.decoder.push(chunk)
    }

    /// Returns how many bytes are decoded.
    pub(super) fn decoded(&mut self) -> usize {
        self.decoder.decoded()
    }

    /// Returns whether the body is in one piece already.
    pub(super) fn is_whole(&mut self) -> bool {
        self.decoder.is_whole()
    }

    /// Returns the whole body, and the memory that is reserved for it.
    ///
    /// # Errors
    /// As [`Self::push`], and when the encoded stream was cut off.
    pub(super) fn finish(self) -> Result<(Bytes, Option<BodyReservation>), Rejection> {
        self.decoder.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use pointsman_telemetry::Metrics;

    use super::super::admission::Admission;
    use super::*;

    fn gzipped(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes all")
    }

    /// Reads an encoded body, and says whether it turned out to be large.
    fn read_gzipped(body: &[u8], limit: usize) -> (Result<Bytes, Rejection>, bool) {
        read(BodyEncoding::Gzip, &gzipped(body), limit)
    }

    fn read(encoding: BodyEncoding, encoded: &[u8], limit: usize) -> (Result<Bytes, Rejection>, bool) {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        let memory = BodyReservation::new(&admission, usize::MAX);
        let bounds = BodyBounds { limit, announced: 0 };
        let mut reader = BodyReader::new(encoding, &bounds, memory).expect("a reader");
        let mut is_large = false;
        for chunk in encoded.chunks(500) {
            let pushed = reader.push(Bytes::copy_from_slice(chunk)).and_then(|left| match left {
                Some(left) => {
                    is_large = true;
                    reader.push_large(&left)
                }
                None => Ok(()),
            });
            if let Err(refused) = pushed {
                return (Err(refused), is_large);
            }
        }
        match reader.end().and_then(|left| left.map_or(Ok(()), |left| reader.push_large(&left))) {
            Ok(()) => (reader.finish().map(|(bytes, _)| bytes), is_large),
            Err(refused) => (Err(refused), is_large),
        }
    }

    #[test]
    fn a_body_is_whole_whether_it_stays_small_or_turns_out_to_be_large() {
        let body: Vec<u8> = (0..400_000_u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        for (length, is_large) in [(0, false), (1000, false), (LARGE_BODY, false), (body.len(), true)] {
            let (read, was_large) = read_gzipped(&body[..length], body.len());
            assert_eq!(read.expect("it fits"), body[..length]);
            assert_eq!(was_large, is_large, "{length}");
        }
    }

    #[test]
    fn a_body_that_shows_its_size_at_its_end_alone_is_whole_too() {
        let body: Vec<u8> = (0..LARGE_BODY as u32 + 1000).map(|i| i.wrapping_mul(i).to_le_bytes()[1]).collect();
        let zstd = zstd::encode_all(&*body, 1).expect("memory takes all");
        assert_eq!(read(BodyEncoding::Zstd, &zstd, body.len()).0.expect("it fits"), body);
    }

    #[test]
    fn a_body_beyond_its_limit_is_refused_by_that_whatever_is_small() {
        let bomb = vec![0; 8 << 20];
        for limit in [1000, LARGE_BODY, 4 << 20] {
            assert_eq!(read_gzipped(&bomb, limit).0, Err(Rejection::BodyTooLarge { limit }), "{limit}");
        }
    }
}
