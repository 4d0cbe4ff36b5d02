//! Writing YAML: values in flow style, in the order in which they were put together.

use std::fmt::{self, Write as _};

/// A value of the configuration that is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum YamlValue {
    Text(String),
    /// A number or truth value, as it is written.
    Plain(String),
    List(Vec<YamlValue>),
    Map(Vec<(String, YamlValue)>),
}

/// The keys and values of a mapping, in the order in which they are written.
pub(crate) type YamlEntries = Vec<(String, YamlValue)>;

/// Words that YAML takes for something else than a text.
const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

impl YamlValue {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a number; one that is none is written as nothing.
    pub(crate) fn number(number: f64) -> Self {
        let rounded = (number * 1e9).round() / 1e9;
        Self::Plain(if number.is_finite() { format!("{rounded}") } else { "null".to_owned() })
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::Plain(count.to_string())
    }

    /// Makes a length of time.
    pub(crate) fn milliseconds(milliseconds: f64) -> Self {
        let whole = milliseconds.round();
        let is_seconds = whole % 1000.0 == 0.0;
        Self::Plain(if is_seconds { format!("{}s", whole / 1000.0) } else { format!("{whole}ms") })
    }

    pub(crate) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub(crate) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// Returns `text` as YAML reads it back, quoted where it has to be.
pub(crate) fn scalar(text: &str) -> String {
    let is_plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    let is_word = text.bytes().all(is_plain_byte) && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_reserved = RESERVED.contains(&text.to_ascii_lowercase().as_str());
    let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
        let plain = |byte: u8| is_plain_byte(byte) || byte == b':';
        matches!(scheme, "http" | "https") && rest.bytes().all(plain) && !rest.ends_with(':')
    });
    if (is_word && !is_reserved) || is_url {
        text.to_owned()
    } else {
        serde_json::to_string(text).expect("a text is JSON")
    }
}

impl fmt::Display for YamlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&scalar(text)),
            Self::Plain(text) => f.write_str(text),
            Self::List(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Self::Map(entries) => {
                f.write_char('{')?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{}: {value}", if index == 0 { "" } else { ", " }, scalar(key))?;
                }
                f.write_char('}')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_where_yaml_would_take_it_for_something_else() {
        for (text, written) in [
            ("gpt-4.1", "gpt-4.1"),
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
            ("true", "\"true\""),
            ("No", "\"No\""),
            ("0", "\"0\""),
            ("a: b", "\"a: b\""),
            ("qwen:latest", "\"qwen:latest\""),
            ("*", "\"*\""),
            ("a\n\"b\"", "\"a\\n\\\"b\\\"\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    #[test]
    fn values_are_written_in_flow_style() {
        let value = YamlValue::map([
            ("a", YamlValue::texts(["x", "y z"])),
            ("0", YamlValue::map([("price", YamlValue::number(0.1 + 0.2)), ("c", YamlValue::count(3))])),
            ("f", YamlValue::Plain("true".to_owned())),
        ]);

        assert_eq!(value.to_string(), "{a: [x, \"y z\"], \"0\": {price: 0.3, c: 3}, f: true}");
    }
}
