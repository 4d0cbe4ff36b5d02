//! Bytes in bodies: data URLs, alphabets of base64, media types.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::neutral::MediaSource;

/// Standard base64 whose padding may be missing: what servers and SDKs write.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The media type of bytes that nothing is known of.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Reads where an image or a file is from the address that the client gave: in the address itself, or at it.
#[must_use]
pub fn source_of_url(url: Cow<'_, str>) -> MediaSource<'_> {
    match parts_of_data_url(url) {
        Ok((media_type, data)) => MediaSource::Base64 { media_type, data },
        Err(url) => MediaSource::Url { url, media_type: None },
    }
}

/// Reads the media type and the data of a data URL, as standard base64; the address is given back where it is none.
///
/// # Errors
/// When the address is no data URL.
pub fn parts_of_data_url(url: Cow<'_, str>) -> Result<(Cow<'_, str>, Cow<'_, str>), Cow<'_, str>> {
    let Some(comma) = data_url_comma(&url) else { return Err(url) };
    let head = &url["data:".len()..comma];
    let is_base64 = head.rsplit(';').next().is_some_and(|last| last.eq_ignore_ascii_case("base64"));
    let named = head.split(';').next().unwrap_or_default();
    let (named, data) = match &url {
        Cow::Borrowed(url) => (Cow::Borrowed(&url["data:".len()..][..named.len()]), Cow::Borrowed(&url[comma + 1..])),
        Cow::Owned(url) => (Cow::Owned(named.to_owned()), Cow::Owned(url[comma + 1..].to_owned())),
    };
    let data = if is_base64 { standard(data) } else { Cow::Owned(STANDARD.encode(percent_decoded(&data))) };
    let media_type = if named.is_empty() { type_of_data(&data, "text/plain") } else { lower(named) };
    Ok((media_type, data))
}

fn data_url_comma(url: &str) -> Option<usize> {
    let scheme = url.as_bytes().get(.."data:".len())?;
    scheme.eq_ignore_ascii_case(b"data:").then(|| memchr::memchr(b',', url.as_bytes())).flatten()
}

fn lower(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { text }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// Returns the data URL of base64.
#[must_use]
pub fn data_url(media_type: &str, data: &str) -> String {
    let mut url = String::with_capacity("data:;base64,".len() + media_type.len() + data.len());
    url.push_str("data:");
    url.push_str(media_type);
    url.push_str(";base64,");
    url.push_str(data);
    url
}

/// Returns base64 in the standard alphabet, with padding and without line ends, whichever it came in.
#[must_use]
pub fn standard(data: Cow<'_, str>) -> Cow<'_, str> {
    let is_other = |byte: u8| matches!(byte, b'-' | b'_') || byte.is_ascii_whitespace();
    if data.len().is_multiple_of(4) && !data.bytes().any(is_other) {
        return data;
    }
    let mut text: String = data
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace() && *letter != '=')
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    Cow::Owned(text)
}

/// Returns the bytes of base64 in any alphabet; `None` where it is none.
#[must_use]
pub fn bytes(data: &str) -> Option<Vec<u8>> {
    LENIENT.decode(&*standard(Cow::Borrowed(data))).ok()
}

/// Returns the text that base64 of a text's media type holds: `None` for other types, and for bytes that are no text.
#[must_use]
pub fn text_of(media_type: &str, data: &str) -> Option<String> {
    let is_text = media_type.starts_with("text/")
        || matches!(media_type, "application/json" | "application/xml" | "application/yaml" | "application/x-yaml");
    is_text.then(|| bytes(data)).flatten().and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Returns the media type that base64 of a file begins with, else `otherwise`.
#[must_use]
pub fn type_of_data<'b>(data: &str, otherwise: &'static str) -> Cow<'b, str> {
    const BEGINNINGS: [(&str, &str); 6] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("JVBERi", "application/pdf"),
        ("SUQz", "audio/mpeg"),
    ];
    let found = BEGINNINGS.iter().find(|(beginning, _)| data.starts_with(beginning));
    Cow::Borrowed(found.map_or(otherwise, |(_, media_type)| media_type))
}

/// Returns the media type of a file by its name; `None` for an ending that no API takes.
#[must_use]
pub fn type_of_name(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "xml" => "application/xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => return None,
    })
}

/// Returns the media type that an address ends like; `None` where the ending says none.
#[must_use]
pub fn type_of_address(address: &str) -> Option<&'static str> {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    let ending = path.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match &*ending {
        "heic" => "image/heic",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => return type_of_name(path),
    })
}

/// Returns the media type of an image in base64 as OpenAI and Anthropic write it, by its name or by what the data begins
/// with; `None` for images that they do not take.
#[must_use]
pub fn image_type(media_type: &str, data: &str) -> Option<&'static str> {
    let known = |media_type: &str| {
        Some(match media_type {
            "image/jpeg" | "image/jpg" => "image/jpeg",
            "image/png" => "image/png",
            "image/gif" => "image/gif",
            "image/webp" => "image/webp",
            _ => return None,
        })
    };
    known(media_type).or_else(|| known(&type_of_data(data, UNKNOWN_TYPE)))
}

/// Returns a name for a file of a media type, for APIs that want one: those that know its type by the name's ending.
#[must_use]
pub fn name_of_type(media_type: &str) -> &'static str {
    match media_type {
        "application/pdf" => "document.pdf",
        "text/markdown" => "document.md",
        "text/csv" => "document.csv",
        "text/html" => "document.html",
        "application/json" => "document.json",
        "application/xml" | "text/xml" => "document.xml",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "document.docx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "document.xlsx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "document.pptx",
        kind if kind.starts_with("text/") => "document.txt",
        _ => "document",
    }
}

/// Returns OpenAI's name for the format of a sound: `wav` or `mp3`; `None` for the formats that it does not take.
#[must_use]
pub fn audio_format(media_type: &str) -> Option<&'static str> {
    match media_type.split(';').next().unwrap_or_default().trim_end() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Some("wav"),
        "audio/mp3" | "audio/mpeg" | "audio/mpeg3" => Some("mp3"),
        _ => None,
    }
}

/// Returns the media type of a sound by OpenAI's name for its format.
#[must_use]
pub fn audio_type(format: &str) -> Cow<'static, str> {
    match format {
        "wav" => Cow::Borrowed("audio/wav"),
        "mp3" => Cow::Borrowed("audio/mpeg"),
        other => Cow::Owned(format!("audio/{other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (String, String) {
        let (media_type, data) = parts_of_data_url(url.into()).expect("a data URL");
        (media_type.into_owned(), data.into_owned())
    }

    #[test]
    fn a_data_url_is_its_type_and_standard_base64() {
        let own = |media_type: &str, data: &str| (media_type.to_owned(), data.to_owned());

        assert_eq!(parts("data:image/png;base64,iVBO"), own("image/png", "iVBO"));
        assert_eq!(parts("DATA:Image/PNG;charset=x;BASE64,-_8"), own("image/png", "+/8="));
        assert_eq!(parts("data:text/plain,a%20b%"), own("text/plain", "YSBiJQ=="));
        assert_eq!(parts("data:;base64,iVBORw0KGgo="), own("image/png", "iVBORw0KGgo="));
        assert_eq!(
            source_of_url("https://a.example/data:,".into()),
            MediaSource::Url { url: "https://a.example/data:,".into(), media_type: None }
        );
    }

    #[test]
    fn base64_of_a_text_is_read_in_either_alphabet() {
        assert_eq!(text_of("text/plain", "YSBi").as_deref(), Some("a b"));
        assert_eq!(text_of("text/plain", "w7w").as_deref(), Some("ü"));
        assert_eq!(text_of("application/pdf", "YSBi"), None);
        assert_eq!(bytes("-_8=").as_deref(), Some(&[0xfb, 0xff][..]));
    }

    #[test]
    fn images_are_named_as_vendors_name_them_and_others_are_none() {
        assert_eq!(image_type("image/jpg", ""), Some("image/jpeg"));
        assert_eq!(image_type("image/*", "iVBORw0KGgo="), Some("image/png"));
        assert_eq!(image_type("image/svg+xml", "PHN2Zz4="), None);
        assert_eq!(image_type("image/heic", "AAAA"), None);
    }

    #[test]
    fn a_data_url_of_base64_comes_back() {
        assert_eq!(parts(&data_url("image/gif", "R0lGOD==")), ("image/gif".to_owned(), "R0lGOD==".to_owned()));
    }
}
