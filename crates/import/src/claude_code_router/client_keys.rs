//! The keys of version 3's clients, as clients.

use crate::credentials::{KeyReference, client_keys};
use crate::draft::{Draft, name_of};
use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

/// The key that the other router's first versions came with.
const EXAMPLE_KEY: &str = "sk-123";
/// What is limited, by our name for it, and the other router's for a minute, an hour and a day.
const LIMITS: [(&str, [(&str, f64); 3]); 2] = [
    ("requests_per_minute", [("rpm", 1.0), ("rph", 60.0), ("rpd", 1440.0)]),
    ("tokens_per_minute", [("tpm", 1.0), ("tph", 60.0), ("tpd", 1440.0)]),
];

/// Adds a client for every key that stands in the file. Returns whether clients need a key now.
pub(super) fn add_clients(root: &SourceValue<'_>, draft: &mut Draft) -> bool {
    let Some(list) = root.first(&["APIKEYS", "apiKeys"]) else { return false };
    let keys = list.items();
    let mut seen: Vec<&str> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let value = if key.is_map() { key.first(&["key", "value", "APIKEY"]) } else { Some(key.clone()) };
        let Some((value, text)) = value.and_then(|value| Some((value.clone(), value.text()?))) else { continue };
        if seen.contains(&text) {
            key.leave_out("this key is in the list already, with what is said of it there");
            continue;
        }
        seen.push(text);
        add_client(index, &ClientKey { entry: key, value: &value, text }, draft);
    }
    // The one key of before is the first of them, unless somebody changed it since.
    if let Some((key, text)) = root.get("APIKEY").and_then(|key| Some((key.clone(), key.text()?)))
        && !text.is_empty()
        && !seen.contains(&text)
    {
        key.conceal("a key stands here; those of the list are taken, as version 3 does");
    }
    !draft.clients.is_empty()
}

/// A client's key: its entry in the list, and the key itself.
struct ClientKey<'k, 's> {
    entry: &'k SourceValue<'s>,
    value: &'k SourceValue<'s>,
    text: &'s str,
}

fn add_client(index: usize, key: &ClientKey<'_, '_>, draft: &mut Draft) {
    let ClientKey { entry, value, text } = key;
    entry.take_all(&["id", "name", "createdAt"]);
    if *text == EXAMPLE_KEY {
        return entry.leave_out("this is the key of everybody's first configuration, which opens nothing here");
    }
    if KeyReference::of(text) != KeyReference::Inline {
        return entry
            .leave_out("the key is not in the file: `pointsman hash-key` gives its hash for `clients.NAME.keys`");
    }
    if entry.get("expiresAt").is_some() {
        return entry.leave_out(
            "a key of `clients` has no end: `pointsman keys create --expires` makes one that has (docs/keys.md)",
        );
    }
    let mut client: YamlEntries = vec![("keys".to_owned(), client_keys(text))];
    let limits = entry.get("limits").map(|limits| rate_limit(&limits)).unwrap_or_default();
    if !limits.is_empty() {
        client.push(("rate_limit".to_owned(), YamlValue::Map(limits)));
    }
    let said = entry.text_at("name").or_else(|| entry.text_at("id"));
    let wanted = said.map_or_else(|| format!("key-{}", index + 1), name_of);
    let is_used = |name: &str| draft.clients.iter().any(|(own, _)| own == name);
    let name = if is_used(&wanted) { format!("{wanted}-{}", index + 1) } else { wanted };
    if is_used(&name) {
        return entry.leave_out("a key of this name is there already");
    }
    value.conceal(format!("a key stands here; `clients.{name}` holds its SHA-256, so that it still works"));
    draft.clients.push((name, YamlValue::Map(client)));
}

/// Requests and tokens in a minute.
fn rate_limit(limits: &SourceValue<'_>) -> YamlEntries {
    let mut entries = YamlEntries::new();
    for (own, places) in LIMITS {
        for (key, minutes) in places {
            let Some(most) = limits.get(key) else { continue };
            let Some(number) = most.number().filter(|number| *number > 0.0) else { continue };
            if entries.iter().any(|(key, _)| key == own) {
                most.leave_out("a client has one limit of a kind, that of a minute");
                continue;
            }
            if minutes > 1.0 {
                most.change("it is spread over minutes: a client gets its share of every minute");
            }
            entries.push((own.to_owned(), YamlValue::number((number / minutes).floor().max(1.0))));
        }
    }
    entries
}
