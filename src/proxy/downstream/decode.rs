//! Decodes a request body as it comes, and never beyond its limit.
//!
//! A few bytes can stand for gigabytes, so what is decoded is counted as it is written, in the decoders' own steps of
//! at most 32 KiB, and the windows that a stream may ask memory for are bounded.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderValue, header};

use super::admission::BodyReservation;
use super::body_buffer::BodyBuffer;
use crate::proxy::answer::rejection::Rejection;

/// The window that RFC 9659 allows zstd over HTTP: 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The buffer that brotli's decoder works with, in bytes.
const BROTLI_BUFFER: usize = 16 << 10;

/// The first byte of a brotli stream that asks for a window of up to 1 GiB; RFC 7932 has no such streams, but the
/// decoder does.
const BROTLI_LARGE_WINDOW: u8 = 0b001_0001;

/// The encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum BodyEncoding {
    /// Not at all.
    Identity,
    /// `gzip`, also under its old name `x-gzip`.
    Gzip,
    /// `deflate`, which in HTTP is the zlib format.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

/// Takes a body's encoded bytes and keeps the decoded ones.
pub(in crate::proxy) struct BodyDecoder {
    encoding: BodyEncoding,
    started: bool,
    ended: bool,
    stream: DecoderStream,
}

enum DecoderStream {
    Identity(DecodedBody),
    Gzip(Box<MultiGzDecoder<DecodedBody>>),
    Deflate(Box<ZlibDecoder<DecodedBody>>),
    Brotli(Box<brotli::DecompressorWriter<DecodedBody>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, DecodedBody>>),
}

/// Decoded bytes, up to a limit.
struct DecodedBody {
    bytes: BodyBuffer,
    limit: usize,
    /// The reason why no more is kept.
    refused: Option<Rejection>,
}

impl BodyEncoding {
    /// Returns the encoding that the header names; a body that was encoded more than once is refused.
    ///
    /// # Errors
    /// [`Rejection::UnsupportedEncoding`] for any other.
    pub(in crate::proxy) fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        let values: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
        let given = values.join(&b", "[..]).trim_ascii().to_ascii_lowercase();
        match &given[..] {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"deflate" => Ok(Self::Deflate),
            b"br" => Ok(Self::Brotli),
            b"zstd" => Ok(Self::Zstd),
            _ => Err(Rejection::UnsupportedEncoding { encoding: String::from_utf8_lossy(&given).into_owned() }),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

impl BodyDecoder {
    /// Makes a decoder of what is no request's: it keeps at most `limit` bytes.
    ///
    /// # Errors
    /// When the memory for the decoder's state cannot be had.
    pub(in crate::proxy) fn new(encoding: BodyEncoding, limit: usize) -> Result<Self, Rejection> {
        Self::into_buffer(encoding, limit, BodyBuffer::new(0, None))
    }

    /// Makes a decoder that keeps at most `limit` bytes in `bytes`.
    ///
    /// # Errors
    /// When the memory for the decoder's state cannot be had.
    pub(super) fn into_buffer(encoding: BodyEncoding, limit: usize, bytes: BodyBuffer) -> Result<Self, Rejection> {
        let kept = DecodedBody { bytes, limit, refused: None };
        let stream = match encoding {
            BodyEncoding::Identity => DecoderStream::Identity(kept),
            BodyEncoding::Gzip => DecoderStream::Gzip(Box::new(MultiGzDecoder::new(kept))),
            BodyEncoding::Deflate => DecoderStream::Deflate(Box::new(ZlibDecoder::new(kept))),
            BodyEncoding::Brotli => {
                DecoderStream::Brotli(Box::new(brotli::DecompressorWriter::new(kept, BROTLI_BUFFER)))
            }
            BodyEncoding::Zstd => DecoderStream::Zstd(Box::new(zstd_decoder(kept).map_err(|_| Rejection::Internal)?)),
        };
        Ok(Self { encoding, started: false, ended: false, stream })
    }

    /// Decodes the next `chunk`.
    ///
    /// # Errors
    /// When the body is larger than the limit once decoded, or not what its encoding says.
    pub(in crate::proxy) fn push(&mut self, chunk: &[u8]) -> Result<(), Rejection> {
        if let (BodyEncoding::Brotli, false, Some(first)) = (self.encoding, self.started, chunk.first())
            && first & 0x7f == BROTLI_LARGE_WINDOW
        {
            return Err(self.refusal());
        }
        self.started |= !chunk.is_empty();
        let written = match &mut self.stream {
            DecoderStream::Identity(kept) => kept.write_all(chunk),
            DecoderStream::Gzip(decoder) => decoder.write_all(chunk),
            DecoderStream::Deflate(decoder) => decoder.write_all(chunk),
            DecoderStream::Brotli(decoder) => decoder.write_all(chunk),
            DecoderStream::Zstd(decoder) => decoder.write_all(chunk),
        };
        written.map_err(|_| self.refusal())
    }

    /// Returns the whole body, and the memory that is reserved for it.
    ///
    /// # Errors
    /// As [`BodyDecoder::push`], and when the encoded stream was cut off.
    pub(in crate::proxy) fn finish(mut self) -> Result<(Bytes, Option<BodyReservation>), Rejection> {
        self.end()?;
        self.take_buffer().finish()
    }

    /// Decodes what is left when all bytes have come.
    ///
    /// # Errors
    /// As [`BodyDecoder::push`], and when the encoded stream was cut off.
    pub(super) fn end(&mut self) -> Result<(), Rejection> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let finished = match &mut self.stream {
            DecoderStream::Identity(_) => Ok(()),
            DecoderStream::Gzip(decoder) => decoder.try_finish(),
            DecoderStream::Deflate(decoder) => decoder.try_finish(),
            DecoderStream::Brotli(decoder) => decoder.close(),
            DecoderStream::Zstd(decoder) => decoder.do_finish(),
        };
        finished.map_err(|_| self.refusal())
    }

    /// Gives up what was decoded, and returns the memory that was reserved for it.
    pub(super) fn discard(mut self) -> Option<BodyReservation> {
        self.take_buffer().discard()
    }

    fn take_buffer(&mut self) -> BodyBuffer {
        std::mem::replace(&mut self.kept_mut().bytes, BodyBuffer::new(0, None))
    }

    /// Takes out what was decoded since the last call; the limit counts anew.
    pub(in crate::proxy) fn take(&mut self) -> Bytes {
        self.kept_mut().bytes.take().unwrap_or_default()
    }

    /// Returns how many bytes are decoded.
    pub(super) fn decoded(&mut self) -> usize {
        self.kept_mut().bytes.len()
    }

    /// Returns whether what is decoded is in one piece of memory.
    pub(super) fn is_whole(&mut self) -> bool {
        self.kept_mut().bytes.is_whole()
    }

    fn refusal(&mut self) -> Rejection {
        let refused = self.kept_mut().refused.take();
        refused.unwrap_or_else(|| Rejection::InvalidEncoding { encoding: self.encoding.name() })
    }

    fn kept_mut(&mut self) -> &mut DecodedBody {
        match &mut self.stream {
            DecoderStream::Identity(kept) => kept,
            DecoderStream::Gzip(decoder) => decoder.get_mut(),
            DecoderStream::Deflate(decoder) => decoder.get_mut(),
            DecoderStream::Brotli(decoder) => decoder.get_mut(),
            DecoderStream::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

fn zstd_decoder(kept: DecodedBody) -> io::Result<zstd::stream::write::Decoder<'static, DecodedBody>> {
    let mut decoder = zstd::stream::raw::Decoder::new()?;
    decoder.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
    Ok(zstd::stream::write::Decoder::with_decoder(kept, decoder))
}

impl Write for DecodedBody {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + chunk.len() > self.limit {
            self.refused = Some(Rejection::BodyTooLarge { limit: self.limit });
            return Err(io::Error::other("over the limit"));
        }
        match self.bytes.extend(chunk) {
            Ok(()) => Ok(chunk.len()),
            Err(refused) => {
                self.refused = Some(refused);
                Err(io::Error::other("no memory"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPRESSED: [BodyEncoding; 4] =
        [BodyEncoding::Gzip, BodyEncoding::Deflate, BodyEncoding::Brotli, BodyEncoding::Zstd];

    fn encode(encoding: BodyEncoding, body: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match encoding {
            BodyEncoding::Identity => body.to_vec(),
            BodyEncoding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes all")
            }
            BodyEncoding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes all")
            }
            BodyEncoding::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
                encoder.write_all(body).expect("memory takes all");
                encoder.into_inner()
            }
            BodyEncoding::Zstd => zstd::encode_all(body, 3).expect("memory takes all"),
        }
    }

    fn decode(encoding: BodyEncoding, encoded: &[u8], limit: usize) -> Result<Bytes, Rejection> {
        let mut decoder = BodyDecoder::new(encoding, limit)?;
        for chunk in encoded.chunks(7) {
            decoder.push(chunk)?;
        }
        decoder.finish().map(|(bytes, _)| bytes)
    }

    fn of(values: &[&'static str]) -> Result<BodyEncoding, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        BodyEncoding::of(&headers)
    }

    #[test]
    fn every_encoding_is_decoded_up_to_its_limit() {
        let body: Vec<u8> = (0..100_000_u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();

        for encoding in COMPRESSED.into_iter().chain([BodyEncoding::Identity]) {
            let encoded = encode(encoding, &body);

            assert_eq!(decode(encoding, &encoded, body.len()).expect("it fits"), body, "{encoding:?}");
            let over = Rejection::BodyTooLarge { limit: body.len() - 1 };
            assert_eq!(decode(encoding, &encoded, body.len() - 1), Err(over), "{encoding:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = vec![0; 64 << 20];

        for encoding in COMPRESSED {
            let encoded = encode(encoding, &bomb);
            assert!(encoded.len() < 100_000, "{encoding:?}");

            let over = Rejection::BodyTooLarge { limit: 1000 };
            assert_eq!(decode(encoding, &encoded, 1000), Err(over), "{encoding:?}");
        }
    }

    #[test]
    fn what_was_cut_off_or_damaged_is_refused() {
        for encoding in COMPRESSED {
            let encoded = encode(encoding, &b"some text that is long enough ".repeat(10));
            let refused = Err(Rejection::InvalidEncoding { encoding: encoding.name() });

            // flate2 does not tell a cut zlib stream from a whole one; the JSON in it does.
            if encoding != BodyEncoding::Deflate {
                assert_eq!(decode(encoding, &encoded[..encoded.len() / 2], 1000), refused, "{encoding:?}");
            }
            assert_eq!(decode(encoding, b"{\"model\": \"auto\"}", 1000), refused, "{encoding:?}");
        }
    }

    #[test]
    fn a_window_beyond_what_http_allows_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(27).expect("a window of 128 MiB");
        encoder.write_all(b"x").expect("memory takes all");
        let encoded = encoder.finish().expect("memory takes all");

        assert!(decode(BodyEncoding::Zstd, &encoded, 1000).is_err());
        assert!(decode(BodyEncoding::Brotli, &[BROTLI_LARGE_WINDOW, 30, 0, 0], 1000).is_err());
    }

    #[test]
    fn one_known_encoding_is_read_and_several_are_not() {
        assert_eq!(of(&[]), Ok(BodyEncoding::Identity));
        assert_eq!(of(&["identity"]), Ok(BodyEncoding::Identity));
        assert_eq!(of(&["GZip"]), Ok(BodyEncoding::Gzip));
        assert_eq!(of(&["x-gzip"]), Ok(BodyEncoding::Gzip));
        assert_eq!(of(&[" br "]), Ok(BodyEncoding::Brotli));
        assert_eq!(of(&["zstd"]), Ok(BodyEncoding::Zstd));
        for stacked in [&["gzip, br"][..], &["gzip", "gzip"], &["compress"]] {
            assert!(matches!(of(stacked), Err(Rejection::UnsupportedEncoding { .. })), "{stacked:?}");
        }
    }
}
