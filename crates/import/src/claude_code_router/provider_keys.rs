//! The keys of a provider: one, or the several that version 3 calls credentials.

use crate::credentials::said_key;
use crate::draft::{DraftKey, add_key};
use crate::reader::SourceValue;

/// Returns the variables of a provider's keys: several, which version 3 calls credentials, or the one.
pub(super) fn read(provider: &SourceValue<'_>, name: &str, usual: Option<&str>) -> Vec<DraftKey> {
    let spellings = ["api_key", "apiKey", "apikey", "key", "token"];
    let listed = provider.first(&["credentials", "keys", "apiKeys"]).map_or_else(Vec::new, |list| list.items());
    let mut keys: Vec<DraftKey> = Vec::new();
    for entry in listed.iter().filter(|entry| entry.is_map()) {
        entry.take_all(&["id", "name", "label"]);
        if entry.flag_at("enabled") == Some(false) {
            entry.leave_out("the key is not enabled");
            continue;
        }
        if let Some(priority) = entry.get("priority").filter(|_| listed.len() > 1) {
            priority.leave_out("keys share requests by their weights, and none comes before another");
        }
        entry.take_all(&["priority"]);
        entry.leave_out_all(&[
            ("account", "no vendor is asked for what an account has left"),
            ("limits", "a key rests after the vendor's 429; `max_concurrent` limits a provider"),
        ]);
        let weight = entry.number_at("weight").filter(|weight| *weight > 0.0).unwrap_or(1.0);
        if let Some(key) = entry.first(&spellings).and_then(|key| said_key(&key, name, usual)) {
            add_key(&mut keys, DraftKey { weight, ..key });
        }
    }
    let single = provider.first(&spellings[..3]);
    if keys.is_empty() {
        return single.and_then(|key| said_key(&key, name, usual)).into_iter().collect();
    }
    if let Some(single) = single.filter(|key| key.text().is_some_and(|text| !text.is_empty())) {
        single.conceal("a key stands here; those of the list are taken, as version 3 does");
    }
    keys
}
