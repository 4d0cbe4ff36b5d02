//! The models that a form names: `multipart/form-data`, by which files come (transcriptions, edits of images).
//!
//! Reads the field `model`, and fields that are JSON themselves (`session`). Parts are split at the boundary wherever it
//! stands, and lines may end in either way, so that what some server reads as the field is read here. Content of files
//! is not looked at beyond its first byte.

use memchr::memmem;

use super::named_models::named_models;

/// The longest file that is read as JSON; a field that is none is read whatever its length.
const MAX_JSON: usize = 64 << 10;

/// Returns the models that a form of this `Content-Type` names.
#[must_use]
pub fn models_of_form(content_type: &str, body: &[u8]) -> Vec<String> {
    let delimiter = format!("--{}", parameter(content_type, "boundary").unwrap_or_default());
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut starts = finder.find_iter(body).map(|at| at + delimiter.len()).peekable();
    let mut models = Vec::new();
    while let Some(start) = starts.next() {
        let end = starts.peek().map_or(body.len(), |next| next - delimiter.len());
        let Some((head, value)) = body.get(start..end).and_then(halves) else { continue };
        let head = String::from_utf8_lossy(head);
        let is_file = || head.lines().any(|line| parameter(line, "filename").is_some());
        if head.lines().any(is_model_field) {
            models.push(String::from_utf8_lossy(value).trim().to_owned());
        } else if (value.len() <= MAX_JSON || !is_file()) && value.trim_ascii_start().first() == Some(&b'{') {
            models.extend(named_models(value.trim_ascii()).unwrap_or_default());
        }
    }
    models
}

/// Splits a part at the first empty line.
fn halves(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let (strict, lenient) = (memmem::find(part, b"\r\n\r\n"), memmem::find(part, b"\n\n"));
    match (strict, lenient) {
        (Some(at), other) if other.is_none_or(|other| at < other) => Some((&part[..at], &part[at + 4..])),
        (_, Some(at)) => Some((&part[..at], &part[at + 2..])),
        _ => None,
    }
}

fn is_model_field(line: &str) -> bool {
    let Some((name, disposition)) = line.split_once(':') else { return false };
    let named = parameter(disposition, "name").or_else(|| parameter(disposition, "name*"));
    let named = named.map(|named| named.rsplit('\'').next().unwrap_or_default().replace('\\', ""));
    name.trim().eq_ignore_ascii_case("content-disposition")
        && named.is_some_and(|named| named.trim().eq_ignore_ascii_case("model"))
}

/// Returns a parameter of a header's value, without its quotes.
fn parameter<'v>(value: &'v str, wanted: &str) -> Option<&'v str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_a_form_is_found_and_a_file_s_content_is_none() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\0model=x\r\n--b\r\n\
                    content-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"session\"\r\n\r\n{\"model\":\"voice\"}\r\n--b--\r\n";

        assert_eq!(models_of_form("multipart/form-data; boundary=\"b\"", body.as_bytes()), ["whisper-1", "voice"]);
        let lines = body.replace("\r\n", "\n");
        assert_eq!(models_of_form("multipart/form-data; Boundary=b", lines.as_bytes()), ["whisper-1", "voice"]);
        let long = body.replace("{\"model\"", &format!("{{\"x\":\"{}\",\"y\":1e999,\"model\"", "x".repeat(MAX_JSON)));
        assert_eq!(models_of_form("multipart/form-data; boundary=b", long.as_bytes()), ["whisper-1", "voice"]);
        assert!(models_of_form("multipart/form-data; boundary=c", body.as_bytes()).is_empty());
        assert!(models_of_form("multipart/form-data; boundary=b", b"--b").is_empty());
    }
}
