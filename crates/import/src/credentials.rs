//! Keys of providers and clients: names of variables and hashes, never the keys themselves.

use sha2::{Digest, Sha256};

use crate::draft::{Draft, DraftKey};
use crate::reader::SourceValue;
use crate::yaml_text::YamlValue;

/// Texts that stand where a key is wanted and none is needed.
const NO_KEY: [&str; 13] = [
    "",
    "none",
    "null",
    "empty",
    "anything",
    "dummy",
    "not-needed",
    "no-key",
    "no-key-required",
    "sk-no-key-required",
    "fake-key",
    "ollama",
    "lm-studio",
];
/// The name of the client that the key of the whole gateway becomes.
const CLIENT: &str = "imported";

/// The key of a provider as a foreign file gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyReference {
    /// The value of a variable.
    Variable(String),
    /// The key itself.
    Inline,
    /// No key.
    Nothing,
}

impl KeyReference {
    /// Reads `os.environ/NAME`, `env.NAME`, `$NAME`, `${NAME}` and `${NAME:-default}`; another text is a key.
    pub(crate) fn of(text: &str) -> Self {
        let text = text.trim();
        let dollar = text.strip_prefix('$').map(|name| {
            let inner = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
            inner.split(":-").next().unwrap_or(inner)
        });
        let named = ["os.environ/", "os.environ.", "env.", "env:"].iter().find_map(|prefix| text.strip_prefix(prefix));
        match named.or(dollar).filter(|name| is_variable(name)) {
            Some(name) => Self::Variable(name.to_owned()),
            None if NO_KEY.contains(&text.to_ascii_lowercase().as_str()) => Self::Nothing,
            None => Self::Inline,
        }
    }
}

/// Returns the variable of the key that `place` has as `api_key`, and notes a key that stands in the file.
///
/// `usual` is the variable that holds it where the file says nothing.
pub(crate) fn provider_key(place: &SourceValue<'_>, provider: &str, usual: Option<&str>) -> Option<DraftKey> {
    let Some(value) = place.get("api_key").filter(|value| value.text().is_some()) else {
        return usual.map(|name| named_key(place, name));
    };
    said_key(&value, provider, usual)
}

/// Returns the variable of the key that `value` is or names, and notes a key that stands in the file.
pub(crate) fn said_key(value: &SourceValue<'_>, provider: &str, usual: Option<&str>) -> Option<DraftKey> {
    let text = value.text()?;
    match KeyReference::of(text) {
        KeyReference::Variable(name) => Some(named_key(value, &name)),
        KeyReference::Nothing => None,
        KeyReference::Inline => {
            let usual = usual.map_or_else(|| variable_of(provider), str::to_owned);
            let variable = value.variables().give(&usual, text);
            value.conceal(format!(
                "a key stands here; it was not copied: set the variable {variable}, and have the vendor replace the key"
            ));
            Some(DraftKey { variable, weight: 1.0 })
        }
    }
}

/// Returns the key that a variable holds of which the file, or the other router, says the name.
pub(crate) fn named_key(place: &SourceValue<'_>, variable: &str) -> DraftKey {
    place.variables().note(variable);
    DraftKey { variable: variable.to_owned(), weight: 1.0 }
}

/// Makes a client of the one key that a whole gateway wants of its clients: by its hash, or with a finding.
///
/// Returns whether clients need a key now.
pub(crate) fn gateway_key(draft: &mut Draft, value: &SourceValue<'_>) -> bool {
    let Some(text) = value.text() else { return false };
    match KeyReference::of(text) {
        KeyReference::Nothing => false,
        KeyReference::Variable(name) => {
            value.leave_out(format!(
                "clients need no key until `clients` says so: `printf %s \"${name}\" | pointsman hash-key` gives the hash for `clients.NAME.keys`"
            ));
            false
        }
        KeyReference::Inline => {
            draft.clients.push((CLIENT.to_owned(), YamlValue::map([("keys", client_keys(text))])));
            value.conceal(format!(
                "a key stands here; `clients.{CLIENT}` holds its SHA-256, so that it still works: make a longer one for every client (`pointsman hash-key`)"
            ));
            true
        }
    }
}

/// Returns the list of a client's keys with the hash of this one.
pub(crate) fn client_keys(key: &str) -> YamlValue {
    let digest = Sha256::digest(key.trim().as_bytes());
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    YamlValue::List(vec![YamlValue::map([("sha256", YamlValue::Text(hash))])])
}

/// Returns the variable for the key of a provider that no custom names one for.
pub(crate) fn variable_of(provider: &str) -> String {
    let upper: String =
        provider.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let start = if upper.starts_with(|c: char| c.is_ascii_digit()) { "PROVIDER_" } else { "" };
    format!("{start}{}_API_KEY", upper.trim_matches('_'))
}

fn is_variable(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_in_every_spelling_and_anything_else_is_a_key() {
        for text in ["os.environ/KEY", "env.KEY", "$KEY", "${KEY}", " ${KEY:-none} "] {
            assert_eq!(KeyReference::of(text), KeyReference::Variable("KEY".into()), "{text}");
        }
        for text in ["", "none", "EMPTY", "ollama"] {
            assert_eq!(KeyReference::of(text), KeyReference::Nothing, "{text}");
        }
        for text in ["hunter2", "$", "${A B}", "os.environ/", "your-api-key"] {
            assert_eq!(KeyReference::of(text), KeyReference::Inline, "{text}");
        }
    }

    #[test]
    fn the_variable_of_a_provider_has_its_name() {
        assert_eq!(variable_of("my-vllm.local"), "MY_VLLM_LOCAL_API_KEY");
        assert_eq!(variable_of("10.0.0.7:8000"), "PROVIDER_10_0_0_7_8000_API_KEY");
    }

    #[test]
    fn a_clients_key_is_known_by_its_hash() {
        let keys = client_keys(" abc\n").to_string();

        assert!(keys.contains("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{keys}");
    }
}
