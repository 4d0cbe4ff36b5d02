//! Reads an answer that came compressed although plain text was asked for, beside its way to the client.
//!
//! Only for clients whose tokens are counted: an upstream that compresses whatever it is asked for is no way around
//! their limit. The client gets the bytes as they came.

use http::HeaderMap;
use pointsman_core::usage::UsageReader;

use crate::proxy::downstream::decode::{BodyDecoder, BodyEncoding};

/// The bytes that one chunk may decode to; what says more is not read on.
const MAX_DECODED: usize = 8 << 20;

/// A compressed answer, read as it passes.
pub(super) struct EncodedAnswer {
    /// `None` once the answer is not what its encoding says.
    decoder: Option<BodyDecoder>,
    reader: UsageReader,
}

impl EncodedAnswer {
    /// Begins to read an answer in the encoding that its header names; `None` for one that is not known.
    pub(super) fn begin(headers: &HeaderMap, reader: UsageReader) -> Option<Self> {
        let encoding = BodyEncoding::of(headers).ok()?;
        let decoder = BodyDecoder::new(encoding, MAX_DECODED).ok()?;
        Some(Self { decoder: Some(decoder), reader })
    }

    pub(super) const fn reader(&self) -> &UsageReader {
        &self.reader
    }

    /// Reads on.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let Some(decoder) = &mut self.decoder else { return };
        let is_good = decoder.push(chunk).is_ok();
        self.reader.push(&decoder.take());
        if !is_good {
            self.decoder = None;
        }
    }

    /// Reads what is left when the answer has ended.
    pub(super) fn finish(&mut self) {
        let rest = self.decoder.take().and_then(|decoder| decoder.finish().ok()).map(|(rest, _)| rest);
        self.reader.push(&rest.unwrap_or_default());
    }
}
