//! What is attached and is no text: the facts that vendors charge it by.
//!
//! Read from the first bytes of what a body carries, within a fixed effort; what a body only names (a URL, an id) is
//! unknown. The rules themselves are not here: they differ by vendor (`features`).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;

/// Images that are looked into, one by one; the others count as unknown.
const MOST_IMAGES: usize = 32;
/// The bytes of an image that are searched for its size: a JPEG may have a page of metadata before it.
const IMAGE_BYTES: usize = 24 * 1024;
/// The bytes that tell the formats which say their size at once.
const FIRST_BYTES: usize = 48;
/// The bytes at each end of a PDF that are searched for its number of pages.
const PDF_BYTES: usize = 6 * 1024;
/// The bytes of a page, for a PDF that does not say how many it has.
const PAGE_BYTES: u64 = 32 * 1024;
/// The most pages that a vendor takes in one request.
const MOST_PAGES: u64 = 600;
/// The bytes of a second of audio at least, unless its header says more: speech in MP3 at 16 kbit/s.
const AUDIO_BYTES: u64 = 2000;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Attachments of a prompt over all turns, as far as the body shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachedMedia {
    /// The first images.
    pub images: Vec<AttachedImage>,
    /// Further images.
    pub more_images: u32,
    /// Seconds of audio, at most; a clip begins one.
    pub audio_seconds: u64,
    /// Pages of documents that are no text, at most where they say how many there are.
    pub pages: u64,
    /// Bytes that only the vendor can read: signed or sealed thoughts, sealed results.
    pub sealed_bytes: u64,
}

/// An image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttachedImage {
    /// Width and height in pixels, unless the body does not show them.
    pub size: Option<(u32, u32)>,
    /// The detail in which the image is to be looked at.
    pub detail: ImageDetail,
}

/// The detail in which an image is to be looked at, in OpenAI's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImageDetail {
    /// The detail that the model likes.
    #[default]
    Auto,
    /// The least detail: `low`.
    Low,
    /// Pixel by pixel: `original`.
    Original,
}

impl AttachedMedia {
    pub(super) fn add(&mut self, other: Self) {
        self.more_images = self.more_images.saturating_add(other.more_images);
        other.images.into_iter().for_each(|image| self.add_image(image));
        self.audio_seconds = self.audio_seconds.saturating_add(other.audio_seconds);
        self.pages = self.pages.saturating_add(other.pages);
        self.sealed_bytes = self.sealed_bytes.saturating_add(other.sealed_bytes);
    }

    fn add_image(&mut self, image: AttachedImage) {
        if self.images.len() < MOST_IMAGES {
            self.images.push(image);
        } else {
            self.more_images = self.more_images.saturating_add(1);
        }
    }

    /// An image whose source is a URL, perhaps one that holds it, or its base64.
    pub(super) fn of_image(source: Option<&str>, detail: ImageDetail) -> Self {
        let size = source.map(payload).and_then(image_size);
        Self { images: vec![AttachedImage { size, detail }], ..Self::default() }
    }

    /// Audio as base64.
    pub(super) fn of_audio(data: Option<&str>) -> Self {
        let data = data.map(payload).unwrap_or_default();
        let seconds = decoded_length(data) / bytes_per_second(data).unwrap_or(AUDIO_BYTES);
        Self { audio_seconds: seconds + 1, ..Self::default() }
    }

    /// A file as base64; what is only named is one page.
    pub(super) fn of_file(data: Option<&str>) -> Self {
        let pages = data.map(payload).map_or(1, pages);
        Self { pages: pages.clamp(1, MOST_PAGES), ..Self::default() }
    }

    /// Something that only the vendor can read.
    pub(super) fn of_sealed(bytes: usize) -> Self {
        Self { sealed_bytes: bytes as u64, ..Self::default() }
    }
}

impl ImageDetail {
    pub(super) fn of(name: Option<&str>) -> Self {
        match name {
            Some("low") => Self::Low,
            Some("original") => Self::Original,
            _ => Self::Auto,
        }
    }
}

/// Returns the base64 in a `data:` URL, or all of what is none.
fn payload(source: &str) -> &str {
    let data = source.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    data.map_or(source, |(_, data)| data)
}

fn image_size(base64: &str) -> Option<(u32, u32)> {
    let size_in = |bytes| {
        let size = imagesize::blob_size(&start(base64, bytes)?).ok()?;
        Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?))
    };
    size_in(FIRST_BYTES).or_else(|| size_in(IMAGE_BYTES)).filter(|(width, height)| *width > 0 && *height > 0)
}

/// Reads the byte rate of a RIFF header.
fn bytes_per_second(base64: &str) -> Option<u64> {
    let header = start(base64, FIRST_BYTES)?;
    let rate = header.get(28..32).filter(|_| header.starts_with(b"RIFF") && header[8..].starts_with(b"WAVE"))?;
    Some(u64::from(u32::from_le_bytes(rate.try_into().ok()?))).filter(|rate| *rate >= AUDIO_BYTES)
}

/// Takes the number of pages from a PDF that says it in the clear, and goes by its length otherwise.
fn pages(base64: &str) -> u64 {
    let counted = |bytes: Option<Vec<u8>>| {
        let bytes = bytes.unwrap_or_default();
        let linear = memmem::find(&bytes, b"/Linearized").and_then(|_| numbers_after(&bytes, b"/N ").max());
        linear.max(numbers_after(&bytes, b"/Count ").max())
    };
    let said = counted(start(base64, PDF_BYTES)).max(counted(end(base64, PDF_BYTES)));
    said.filter(|pages| *pages > 0).unwrap_or_else(|| decoded_length(base64).div_ceil(PAGE_BYTES))
}

fn numbers_after<'b>(bytes: &'b [u8], key: &'b [u8]) -> impl Iterator<Item = u64> + 'b {
    memmem::find_iter(bytes, key).filter_map(|at| {
        let digits = bytes[at + key.len()..].iter().take(9).take_while(|byte| byte.is_ascii_digit());
        digits.map(|digit| u64::from(digit - b'0')).reduce(|number, digit| number * 10 + digit)
    })
}

fn decoded_length(base64: &str) -> u64 {
    base64.len() as u64 / 4 * 3
}

/// Decodes up to `bytes` from the beginning.
fn start(base64: &str, bytes: usize) -> Option<Vec<u8>> {
    let length = base64.len().min(bytes / 3 * 4) / 4 * 4;
    BASE64.decode(base64.get(..length)?).ok()
}

/// Decodes about `bytes` before the end.
fn end(base64: &str, bytes: usize) -> Option<Vec<u8>> {
    let from = base64.len().saturating_sub(bytes / 3 * 4) / 4 * 4;
    BASE64.decode(base64.get(from..)?).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;

    use super::*;

    fn base64(bytes: &[u8]) -> String {
        general_purpose::STANDARD.encode(bytes)
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".iter().copied();
        header.chain(width.to_be_bytes()).chain(height.to_be_bytes()).chain([8, 2, 0, 0, 0]).chain([0; 60]).collect()
    }

    fn jpeg(metadata: usize) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        let mut left = metadata;
        while left > 0 {
            let length = left.min(60_000);
            bytes.extend([0xff, 0xe1]);
            bytes.extend(u16::try_from(length + 2).expect("a short segment").to_be_bytes());
            bytes.extend(vec![7; length]);
            left -= length;
        }
        bytes.extend(b"\xff\xc0\0\x11\x08\x03\x00\x04\x00\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xda");
        bytes
    }

    fn size(source: &str) -> Option<(u32, u32)> {
        AttachedMedia::of_image(Some(source), ImageDetail::Auto).images[0].size
    }

    #[test]
    fn an_image_in_the_body_shows_its_size() {
        let gif = base64(&[b"GIF89a".as_slice(), &[0x40, 1, 0xf0, 0], &[0; 40]].concat());
        let webp_header = b"RIFF\x60\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0";
        let webp = base64(&[webp_header.as_slice(), &[0; 40]].concat());

        assert_eq!(size(&base64(&png(1920, 1080))), Some((1920, 1080)));
        assert_eq!(size(&format!("data:image/png;base64,{}", base64(&png(8, 9)))), Some((8, 9)));
        assert_eq!(size(&base64(&jpeg(0))), Some((1024, 768)));
        assert_eq!(size(&base64(&jpeg(9_000))), Some((1024, 768)), "after metadata");
        assert_eq!(size(&gif), Some((320, 240)));
        assert_eq!(size(&webp), Some((640, 480)));
    }

    #[test]
    fn what_the_body_does_not_show_is_unknown() {
        let far = base64(&jpeg(60_000));
        for source in ["https://example.com/a.png", "", "data:image/png,abc", "é", &base64(&png(0, 9)), &far] {
            assert_eq!(size(source), None, "{source:.30}");
        }
        assert_eq!(
            AttachedMedia::of_image(None, ImageDetail::Low).images,
            [AttachedImage { size: None, detail: ImageDetail::Low }]
        );
    }

    #[test]
    fn only_the_first_images_are_kept_one_by_one() {
        let mut media = AttachedMedia::default();

        for _ in 0..100 {
            media.add(AttachedMedia::of_image(None, ImageDetail::Auto));
        }

        assert_eq!((media.images.len(), media.more_images), (MOST_IMAGES, 100 - MOST_IMAGES as u32));
    }

    #[test]
    fn pages_are_those_that_a_pdf_says_or_its_length_makes_likely() {
        let filling = "x".repeat(200_000);
        let pages = |text: &str| AttachedMedia::of_file(Some(&base64(text.as_bytes()))).pages;

        assert_eq!(pages(&format!("%PDF-1.4 1 0 obj <</Linearized 1 /L 9 /N 12 >> {filling}")), 12);
        assert_eq!(pages(&format!("%PDF-1.4 {filling} <</Type /Pages /Count 3 /Kids [<</Count 2>>]>> %%EOF")), 3);
        assert_eq!(pages(&format!("%PDF-1.7 {filling} %%EOF")), 7);
        assert_eq!(pages("%PDF-1.7 /Count 99999999 "), MOST_PAGES);
        assert_eq!(AttachedMedia::of_file(None).pages, 1);
    }

    #[test]
    fn audio_lasts_as_its_header_says_or_as_long_as_its_bytes_allow() {
        let wave = [
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".as_slice(),
            &24_000_u32.to_le_bytes(),
            &48_000_u32.to_le_bytes(),
        ];
        let wave = base64(&[&wave.concat(), &vec![0; 480_000][..]].concat());

        assert_eq!(AttachedMedia::of_audio(Some(&wave)).audio_seconds, 11);
        assert_eq!(AttachedMedia::of_audio(Some(&base64(&[1; 20_000]))).audio_seconds, 11);
        assert_eq!(AttachedMedia::of_audio(None).audio_seconds, 1);
    }
}
