//! Every text of a body that a model may read, wherever it stands.
//!
//! For guards, which must miss nothing: not by the dialect's grammar, which knows what counts as the conversation, but
//! by what the JSON holds. All strings are read, decoded, tools' schemas and the arguments of their calls included, and
//! of the latter the keys too. A text that is JSON itself, or holds `\u`, is read a second time without escapes, so
//! that `\u0061` hides no letter there either. Left out is what only the API reads: the keys of its objects, one-word
//! values of keys such as `role` and `id`, and base64. One pass, without a tree; only strings with escapes are copied,
//! one at a time.

use std::borrow::Cow;
use std::ops::ControlFlow;

use memchr::{memchr, memchr2, memmem};

/// The number of times that escapes are taken out of a text: JSON stands within strings within JSON.
const MAX_LAYERS: u8 = 3;
/// Objects and arrays deeper than this are read as free JSON.
const MAX_DEPTH: usize = 256;
/// Strings at least so long may be base64.
const MIN_BASE64: usize = 64;
/// The longest head of a data URL, before its base64.
const MAX_DATA_URL_HEAD: usize = 256;
/// The longest value that is one word of the API's.
const MAX_WORD: usize = 128;

/// Keys of the API whose one-word values no model reads.
const WORDS: [&[u8]; 35] = [
    b"role",
    b"type",
    b"id",
    b"model",
    b"status",
    b"detail",
    b"call_id",
    b"tool_call_id",
    b"tool_use_id",
    b"item_id",
    b"file_id",
    b"response_id",
    b"previous_response_id",
    b"conversation",
    b"session_id",
    b"user",
    b"user_id",
    b"safety_identifier",
    b"prompt_cache_key",
    b"media_type",
    b"mime_type",
    b"mimeType",
    b"format",
    b"effort",
    b"reasoning_effort",
    b"service_tier",
    b"verbosity",
    b"ttl",
    b"tool_choice",
    b"truncation",
    b"include",
    b"modalities",
    b"summary",
    b"search_context_size",
    b"encoding_format",
];
/// Keys whose long values are base64, if they look like it.
const DATA: [&[u8]; 8] = [
    b"data",
    b"file_data",
    b"image_data",
    b"b64_json",
    b"encrypted_content",
    b"signature",
    b"thoughtSignature",
    b"thought_signature",
];
/// Keys of the API whose values are any JSON: what a tool is called with.
const FREE: [&[u8]; 4] = [b"input", b"arguments", b"args", b"response"];
/// Keys of the API whose values are JSON schemas.
const SCHEMAS: [&[u8]; 9] = [
    b"parameters",
    b"input_schema",
    b"schema",
    b"parametersJsonSchema",
    b"parameters_json_schema",
    b"responseSchema",
    b"response_schema",
    b"responseJsonSchema",
    b"response_json_schema",
];
/// Keys of a JSON schema whose values are mappings of names.
const NAMES: [&[u8]; 5] = [b"properties", b"patternProperties", b"$defs", b"definitions", b"dependentSchemas"];
/// Keys of a JSON schema whose values are any JSON.
const SAMPLES: [&[u8]; 5] = [b"default", b"const", b"enum", b"examples", b"example"];
/// Keys of a JSON schema whose one-word values are the schema's own.
const SCHEMA_WORDS: [&[u8]; 5] = [b"type", b"format", b"$ref", b"$schema", b"$id"];

/// The meaning of the keys and strings of an object or array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonRegion {
    /// Something of the API's.
    Api,
    /// Any JSON: keys are texts too.
    Free,
    /// A JSON schema.
    Schema,
    /// Names and their schemas.
    Names,
}

/// The meaning that a key gives to its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum KeyMeaning {
    #[default]
    Other,
    /// A word of the API's or the schema's.
    Word,
    Data,
    Free,
    Schema,
    Names,
}

/// An object or array that is open.
#[derive(Debug, Clone, Copy)]
struct OpenContainer {
    region: JsonRegion,
    is_object: bool,
    /// True where the next string of an object is a key.
    expects_key: bool,
    /// The key that the next value belongs to; an array's elements belong to the array's.
    key: KeyMeaning,
}

/// A visitor of texts, who may have seen enough.
type TextVisitor<'s> = &'s mut dyn FnMut(&str) -> ControlFlow<()>;

/// Calls `see` with every text of `body` that a model may read, until it breaks; `body` is JSON, or is read as far as
/// it is.
pub(super) fn every_text(body: &[u8], see: TextVisitor<'_>) -> ControlFlow<()> {
    TextReader { body, at: 0, open: Vec::new(), deeper: 0 }.read(see)
}

struct TextReader<'b> {
    body: &'b [u8],
    at: usize,
    open: Vec<OpenContainer>,
    /// Objects and arrays that are open beyond [`MAX_DEPTH`].
    deeper: usize,
}

impl<'b> TextReader<'b> {
    fn read(mut self, see: TextVisitor<'_>) -> ControlFlow<()> {
        while let Some(byte) = self.body.get(self.at) {
            self.at += 1;
            match byte {
                b'{' | b'[' => self.enter(*byte),
                b'}' | b']' => self.leave(),
                b',' | b':' => self.separate(*byte),
                b'"' => self.string(see)?,
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn enter(&mut self, bracket: u8) {
        let is_object = bracket == b'{';
        if self.open.len() >= MAX_DEPTH {
            self.deeper += 1;
            return;
        }
        let region = self.open.last().map_or(JsonRegion::Api, |parent| match (parent.region, parent.key) {
            (JsonRegion::Free, _) | (_, KeyMeaning::Free) => JsonRegion::Free,
            (_, KeyMeaning::Schema) | (JsonRegion::Names, _) => JsonRegion::Schema,
            (_, KeyMeaning::Names) => JsonRegion::Names,
            (region, _) => region,
        });
        let region = if self.open.len() + 1 >= MAX_DEPTH { JsonRegion::Free } else { region };
        let inherits = !is_object && region != JsonRegion::Free;
        let key = self.open.last().filter(|_| inherits).map_or(KeyMeaning::Other, |parent| parent.key);
        self.open.push(OpenContainer { region, is_object, expects_key: is_object, key });
    }

    fn leave(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else {
            self.open.pop();
        }
    }

    /// A key follows a comma within an object, and a value a colon.
    fn separate(&mut self, separator: u8) {
        if let Some(container) = self.open.last_mut().filter(|open| open.is_object && self.deeper == 0) {
            container.expects_key = separator == b',';
        }
    }

    /// Reads the string that begins here, its opening quote already passed.
    fn string(&mut self, see: TextVisitor<'_>) -> ControlFlow<()> {
        let string = self.raw_string();
        let depth = self.open.len();
        let Some(container) = self.open.last_mut() else { return string.show(see) };
        if container.expects_key && self.deeper == 0 {
            container.key = container.region.meaning_of(string.decoded().as_bytes(), depth);
            return match container.region {
                JsonRegion::Free | JsonRegion::Names => string.show(see),
                JsonRegion::Api | JsonRegion::Schema => ControlFlow::Continue(()),
            };
        }
        match container.key {
            KeyMeaning::Word if is_word(string.raw) => ControlFlow::Continue(()),
            KeyMeaning::Data if is_base64(string.raw) => ControlFlow::Continue(()),
            _ => JsonString { raw: data_url_head(string.raw).unwrap_or(string.raw), ..string }.show(see),
        }
    }

    fn raw_string(&mut self) -> JsonString<'b> {
        let (start, mut has_escapes) = (self.at, false);
        while let Some(offset) = memchr2(b'"', b'\\', &self.body[self.at..]) {
            let found = self.at + offset;
            if self.body[found] == b'"' {
                self.at = found + 1;
                return JsonString { raw: &self.body[start..found], has_escapes };
            }
            has_escapes = true;
            self.at = (found + 2).min(self.body.len());
        }
        self.at = self.body.len();
        JsonString { raw: &self.body[start..], has_escapes }
    }
}

/// A string as the body spells it, without its quotes.
#[derive(Debug, Clone, Copy)]
struct JsonString<'b> {
    raw: &'b [u8],
    has_escapes: bool,
}

impl JsonString<'_> {
    fn decoded(&self) -> Cow<'_, str> {
        if self.has_escapes { Cow::Owned(unescaped(self.raw)) } else { String::from_utf8_lossy(self.raw) }
    }

    /// Shows the text, and what it says without its escapes.
    fn show(&self, see: TextVisitor<'_>) -> ControlFlow<()> {
        let mut text = self.decoded();
        see(&text)?;
        for _ in 0..MAX_LAYERS {
            if !(self.has_escapes && is_escaped(&text)) {
                break;
            }
            text = Cow::Owned(unescaped(text.as_bytes()));
            see(&text)?;
        }
        ControlFlow::Continue(())
    }
}

fn is_escaped(text: &str) -> bool {
    let is_json = text.trim_start().starts_with(['{', '[', '"']) && memchr(b'\\', text.as_bytes()).is_some();
    is_json || memmem::find(text.as_bytes(), b"\\u").is_some()
}

impl JsonRegion {
    /// Returns what a key says of its value; `depth` is 1 for the keys of the body itself.
    fn meaning_of(self, name: &[u8], depth: usize) -> KeyMeaning {
        let is_in = |keys: &[&[u8]]| keys.contains(&name);
        match self {
            Self::Api if is_in(&WORDS) => KeyMeaning::Word,
            Self::Api if is_in(&DATA) => KeyMeaning::Data,
            Self::Api if is_in(&SCHEMAS) => KeyMeaning::Schema,
            // The conversation itself may be called `input`.
            Self::Api if depth > 1 && is_in(&FREE) => KeyMeaning::Free,
            Self::Schema if is_in(&NAMES) => KeyMeaning::Names,
            Self::Schema if is_in(&SAMPLES) => KeyMeaning::Free,
            Self::Schema if is_in(&SCHEMA_WORDS) => KeyMeaning::Word,
            _ => KeyMeaning::Other,
        }
    }
}

fn is_word(raw: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:+#$".contains(byte);
    raw.len() <= MAX_WORD && raw.iter().all(allowed)
}

fn is_base64(raw: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte);
    raw.len() >= MIN_BASE64 && raw.iter().all(allowed)
}

/// Returns what a data URL says before its base64, if it is one.
fn data_url_head(raw: &[u8]) -> Option<&[u8]> {
    const BASE64: &[u8] = b";base64,";
    let head = &raw.strip_prefix(b"data:")?[..raw.len().min(MAX_DATA_URL_HEAD) - b"data:".len()];
    let end = head.windows(BASE64.len()).position(|window| window == BASE64)?;
    let data = &raw[b"data:".len() + end + BASE64.len()..];
    (data.len() < MIN_BASE64 || is_base64(data)).then(|| &raw[..b"data:".len() + end])
}

/// Decodes the inside of a JSON string; half of a surrogate pair and unknown escapes become replacement characters.
fn unescaped(raw: &[u8]) -> String {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        rest = escape(&rest[at + 1..], &mut text);
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Decodes one escape, its backslash already passed, and returns what follows it.
fn escape<'r>(rest: &'r [u8], text: &mut Vec<u8>) -> &'r [u8] {
    let Some((first, rest)) = rest.split_first() else { return rest };
    let plain = match first {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => {
            let (character, length) = code_point(rest);
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return &rest[length..];
        }
        other => *other,
    };
    text.push(plain);
    rest
}

/// Reads the digits of `\uXXXX`, and of the second half of a pair; returns the character and how many bytes it took.
fn code_point(rest: &[u8]) -> (char, usize) {
    let hex = |digits: Option<&[u8]>| {
        let digits = str::from_utf8(digits?).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        u32::from_str_radix(digits?, 16).ok()
    };
    let Some(first) = hex(rest.get(..4)) else { return (char::REPLACEMENT_CHARACTER, 0) };
    let second = || hex(rest.get(4..10).and_then(|pair| pair.strip_prefix(b"\\u")));
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = second().filter(|second| (0xdc00..0xe000).contains(second))
    {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

#[cfg(test)]
mod tests;
