//! The models that a form names: `multipart/form-data`, by which files come (transcriptions, edits of images).
//!
//! Reads the field `model`, and fields that are JSON themselves (`session`). Parts are split at the boundary wherever it
//! stands, and lines may end in either way, so that what some server reads as the field is read here. Content of files
//! is not looked at beyond its first byte. Parts whose name servers read in different ways are told of, not guessed at.

use memchr::memmem;

use super::named_models::named_models;

/// The longest file that is read as JSON; a field that is none is read whatever its length.
const MAX_JSON: usize = 64 << 10;

/// Encodings that leave the bytes of a part as they are.
const PLAIN: [&str; 3] = ["7bit", "8bit", "binary"];

/// The models that a form names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormModels {
    /// Their names, in the form's order.
    pub names: Vec<String>,
    /// True where servers differ in what the form's fields are called, or what they say.
    pub is_ambiguous: bool,
}

/// Returns the models that a form of this `Content-Type` names.
#[must_use]
pub fn models_of_form(content_type: &str, body: &[u8]) -> FormModels {
    let boundary = parameter(content_type, "boundary").unwrap_or_default();
    let delimiter = format!("--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut starts = finder.find_iter(body).map(|at| at + delimiter.len()).peekable();
    let is_ambiguous = boundary.is_empty() || count(content_type, "boundary") > 1;
    let mut models = FormModels { names: Vec::new(), is_ambiguous };
    while let Some(start) = starts.next() {
        let end = starts.peek().map_or(body.len(), |next| next - delimiter.len());
        let Some((head, value)) = body.get(start..end).and_then(halves) else { continue };
        let head = String::from_utf8_lossy(head);
        models.is_ambiguous |= is_ambiguous_head(&head);
        let is_file = || head.lines().any(|line| parameter(line, "filename").is_some());
        if head.lines().any(is_model_field) {
            models.names.push(String::from_utf8_lossy(value).trim().to_owned());
        } else if (value.len() <= MAX_JSON || !is_file()) && value.trim_ascii_start().first() == Some(&b'{') {
            models.names.extend(named_models(value.trim_ascii()).unwrap_or_default());
        }
    }
    models
}

/// Tells whether a body begins as a form does, whatever its `Content-Type` says.
#[must_use]
pub fn is_like_form(body: &[u8]) -> bool {
    let start = &body[..body.len().min(1024)];
    start.trim_ascii_start().starts_with(b"--")
        && start.to_ascii_lowercase().windows(11).any(|word| word == b"disposition")
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
    // Some servers make a list of `model[]`.
    let field = named.as_deref().map(|named| named.split('[').next().unwrap_or_default().trim());
    name.trim().eq_ignore_ascii_case("content-disposition")
        && field.is_some_and(|field| field.eq_ignore_ascii_case("model"))
}

/// Tells whether servers differ in how they read a part with this head: its name comes twice, in an encoding, in other
/// quotes than a form's, over several lines, or its content in an encoding.
fn is_ambiguous_head(head: &str) -> bool {
    let mut dispositions = 0;
    let is_folded = |line: &str| line.starts_with([' ', '\t']) && !line.trim().is_empty();
    let is_odd = head.lines().any(|line| {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let is = |wanted: &str| field.trim().eq_ignore_ascii_case(wanted);
        dispositions += u8::from(is("content-disposition") && dispositions < 2);
        is_folded(line)
            || (is("content-disposition") && is_ambiguous_name(value))
            || (is("content-transfer-encoding") && !PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(value.trim())))
    });
    is_odd || dispositions > 1
}

fn is_ambiguous_name(disposition: &str) -> bool {
    let mut names = disposition.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let is_extended = names.any(|(name, _)| {
        let name = name.trim().to_ascii_lowercase();
        name.starts_with("name*")
    });
    is_extended
        || count(disposition, "name") > 1
        || raw_parameter(disposition, "name").is_some_and(|name| !is_plain(name))
}

/// Tells whether all servers read the value of a parameter alike: a word, or text in double quotes.
fn is_plain(value: &str) -> bool {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    match quoted {
        Some(text) => !text.contains(['"', '\\', '%', '\'']) && !text.starts_with("=?"),
        None => value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte)),
    }
}

fn count(value: &str, wanted: &str) -> usize {
    let named = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    named.filter(|(name, _)| name.trim().trim_end_matches('*').eq_ignore_ascii_case(wanted)).count()
}

/// Returns a parameter of a header's value, without its quotes.
fn parameter<'v>(value: &'v str, wanted: &str) -> Option<&'v str> {
    raw_parameter(value, wanted).map(|value| value.trim_matches('"'))
}

/// Returns a parameter of a header's value as it stands there.
fn raw_parameter<'v>(value: &'v str, wanted: &str) -> Option<&'v str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(content_type: &str, body: &[u8]) -> Vec<String> {
        models_of_form(content_type, body).names
    }

    #[test]
    fn the_model_of_a_form_is_found_and_a_file_s_content_is_none() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\0model=x\r\n--b\r\n\
                    content-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"session\"\r\n\r\n{\"model\":\"voice\"}\r\n--b--\r\n";

        assert_eq!(names("multipart/form-data; boundary=\"b\"", body.as_bytes()), ["whisper-1", "voice"]);
        let lines = body.replace("\r\n", "\n");
        assert_eq!(names("multipart/form-data; Boundary=b", lines.as_bytes()), ["whisper-1", "voice"]);
        let long = body.replace("{\"model\"", &format!("{{\"x\":\"{}\",\"y\":1e999,\"model\"", "x".repeat(MAX_JSON)));
        assert_eq!(names("multipart/form-data; boundary=b", long.as_bytes()), ["whisper-1", "voice"]);
        assert!(names("multipart/form-data; boundary=c", body.as_bytes()).is_empty());
        assert!(names("multipart/form-data; boundary=b", b"--b").is_empty());
        assert!(!models_of_form("multipart/form-data; boundary=b", body.as_bytes()).is_ambiguous);
    }

    fn form_of(head: &str) -> FormModels {
        let body = format!("--b\r\n{head}\r\n\r\nwhisper-1\r\n--b--\r\n");
        models_of_form("multipart/form-data; boundary=b", body.as_bytes())
    }

    #[test]
    fn a_part_that_servers_read_in_different_ways_is_ambiguous() {
        for head in [
            "Content-Disposition: form-data; name=\"x\"; name=\"model\"",
            "Content-Disposition: form-data; name=\"x\"; name*=utf-8''model",
            "Content-Disposition: form-data; name*=utf-8''model",
            "Content-Disposition: form-data; name*0=\"mo\"; name*1=\"del\"",
            "Content-Disposition: form-data; name='model'",
            "Content-Disposition: form-data; name=<model>",
            "Content-Disposition: form-data; name=\"mo%64el\"",
            "Content-Disposition: form-data; name=\"mo\\del\"",
            "Content-Disposition: form-data;\r\n name=\"model\"",
            "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"model\"",
            "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64",
        ] {
            assert!(form_of(head).is_ambiguous, "{head}");
        }
        for head in [
            "Content-Disposition: form-data; name=\"model\"",
            "Content-Disposition: form-data; name=model\r\nContent-Type: text/plain; charset=utf-8",
            "Content-Disposition: form-data; name=\"model[]\"\r\nContent-Transfer-Encoding: 8bit",
        ] {
            assert_eq!(
                form_of(head),
                FormModels { names: vec!["whisper-1".to_owned()], is_ambiguous: false },
                "{head}"
            );
        }
        let file =
            "Content-Disposition: form-data; name=\"file\"; filename=\"a'b%20;c.mp3\"; filename*=utf-8''a%20b.mp3";
        assert!(!form_of(file).is_ambiguous);
        for content_type in ["multipart/form-data", "multipart/form-data; boundary=b; boundary=c"] {
            assert!(models_of_form(content_type, b"--b--").is_ambiguous, "{content_type}");
        }
    }

    #[test]
    fn a_form_is_known_without_its_type() {
        assert!(is_like_form(b"--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nx\r\n--b--"));
        assert!(!is_like_form(b"{}") && !is_like_form(b"-- a list\n") && !is_like_form(b""));
    }
}
