//! Bifrost's virtual keys, as clients.

use crate::credentials::{KeyReference, client_keys};
use crate::draft::{Draft, name_of};
use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

const BUDGETS: &str = "a budget is for a client, a team, a key or a session: `budgets` (docs/budgets.md)";
const TEAMS: &str = "no team was taken over: `teams`, and `team` of a client, say who belongs together (docs/keys.md)";
const REASONS: [(&str, &str); 4] = [
    ("auth_config", "the admin listener has tokens of its own: `admin.auth`"),
    ("model_configs", "limits are those of a client, not of a model"),
    ("providers", "limits are those of a client, not of a provider"),
    ("pricing_overrides", "prices stand under `price` of a model"),
];
const KEY_REASONS: [(&str, &str); 4] = [
    ("team_id", TEAMS),
    ("customer_id", TEAMS),
    ("mcp_configs", "tools are the client's: no server of tools is asked"),
    ("description", "a comment has room for it"),
];

/// Adds a client for every virtual key whose value stands in the file.
pub(super) fn add_clients(root: &SourceValue<'_>, draft: &mut Draft) {
    let Some(governance) = root.get("governance") else { return };
    let limits = governance.get("rate_limits").map_or_else(Vec::new, |limits| limits.items());
    // Version 2 of the file's form, which one without a version is of too, lets an empty list allow nothing.
    let empty_allows = root.count_at("version") == Some(1);
    let budgets = governance.get("budgets").map_or_else(Vec::new, |budgets| budgets.items());
    for key in governance.get("virtual_keys").map_or_else(Vec::new, |keys| keys.items()) {
        add_client(&key, &GovernanceLists { limits: &limits, budgets: &budgets, empty_allows }, draft);
    }
    for key in ["teams", "customers"] {
        if let Some(value) = governance.get(key) {
            value.leave_out(TEAMS);
        }
    }
    governance.leave_out_all(&REASONS);
}

/// What virtual keys name by an id.
struct GovernanceLists<'g, 's> {
    limits: &'g [SourceValue<'s>],
    budgets: &'g [SourceValue<'s>],
    /// Whether an empty list of models or providers allows all of them.
    empty_allows: bool,
}

fn add_client(key: &SourceValue<'_>, lists: &GovernanceLists<'_, '_>, draft: &mut Draft) {
    let Some(name) = key.text_at("name").or_else(|| key.text_at("id")) else { return };
    key.take_all(&["id"]);
    key.leave_out_all(&KEY_REASONS);
    let value = key.get("value");
    if key.flag_at("is_active") == Some(false) {
        return key.leave_out("the key is not active");
    }
    let secret = value.as_ref().and_then(SourceValue::text);
    let is_here = |secret: &&str| KeyReference::of(secret) == KeyReference::Inline && !secret.starts_with("vault.");
    let Some(secret) = secret.filter(is_here) else {
        return key.leave_out(
            "its value is not in the file: `pointsman hash-key` gives the hash for `clients.NAME.keys`, and the client's limits go beside it",
        );
    };
    if key.get("expires_at").is_some() {
        return key.leave_out(
            "a key of `clients` has no end: `pointsman keys create --expires` makes one that has (docs/keys.md)",
        );
    }
    let mut client: YamlEntries = vec![("keys".to_owned(), client_keys(secret))];
    let allowed = allowed_models(key, lists.empty_allows);
    if allowed.is_empty() && !lists.empty_allows {
        return key.leave_out("it allows no model: an empty list does not, unless the file says `version: 1`");
    }
    if !allowed.is_empty() {
        client.push(("models".to_owned(), YamlValue::map([("allow", YamlValue::texts(allowed))])));
    }
    let limit = rate_limit(key, lists.limits);
    if !limit.is_empty() {
        client.push(("rate_limit".to_owned(), YamlValue::Map(limit)));
    }
    let name = name_of(name);
    if draft.clients.iter().any(|(own, _)| *own == name) {
        return key.leave_out("a key of this name is there already");
    }
    if let Some(value) = value {
        value.conceal(format!("a key stands here; `clients.{name}` holds its SHA-256, so that it still works"));
    }
    super::budgets::add(key, &name, lists.budgets, draft);
    draft.clients.push((name, YamlValue::Map(client)));
}

/// The models that a key may use, as patterns; none for all.
fn allowed_models(key: &SourceValue<'_>, empty_allows: bool) -> Vec<String> {
    let mut allowed = Vec::new();
    let configs = key.get("provider_configs").map_or_else(Vec::new, |configs| configs.items());
    for config in &configs {
        let Some(provider) = config.text_at("provider") else { continue };
        let models = config.get("allowed_models").map_or_else(Vec::new, |models| models.texts());
        if models.contains(&"*") || (models.is_empty() && empty_allows) {
            allowed.push(format!("{provider}/*"));
        } else {
            allowed.extend(models.into_iter().map(|model| format!("{provider}/{model}")));
        }
        if let Some(keys) = config.get("key_ids")
            && keys.texts() != ["*"]
        {
            keys.leave_out("all keys of a provider are for all clients: make a provider for each group of keys");
        }
        if let Some(weight) = config.get("weight") {
            let _ = weight.number();
            if configs.len() > 1 {
                weight.leave_out(
                    "a client asks for `provider/model`: a policy with a `split` shares a name among providers",
                );
            }
        }
        config.leave_out_all(&[
            ("budget", BUDGETS),
            ("budget_id", BUDGETS),
            ("rate_limit", "limits are those of a client, not of a provider"),
        ]);
    }
    allowed
}

/// Requests and tokens in a minute, of the limit that the key names or holds.
fn rate_limit(key: &SourceValue<'_>, limits: &[SourceValue<'_>]) -> YamlEntries {
    let named = key.get("rate_limit_id").and_then(|id| id.text());
    let found = limits.iter().find(|limit| named.is_some() && limit.text_at("id") == named).cloned();
    let Some(limit) = key.get("rate_limit").or(found) else { return YamlEntries::new() };
    let mut entries = YamlEntries::new();
    for (kind, own) in [("request", "requests_per_minute"), ("token", "tokens_per_minute")] {
        let Some(most) = limit.get(&format!("{kind}_max_limit")) else { continue };
        let per = limit.text_at(&format!("{kind}_reset_duration")).and_then(minutes);
        match (most.number(), per) {
            (Some(number), Some(minutes)) => {
                let rate = (number / minutes).floor().max(1.0);
                if (minutes - 1.0).abs() > 1e-9 {
                    most.change("it is spread over minutes: a client gets its share of every minute");
                }
                entries.push((own.to_owned(), YamlValue::number(rate)));
            }
            _ => most.leave_out("a limit needs a length of time, such as `1m`"),
        }
    }
    entries
}

/// Reads a length of time of Bifrost's: `30s`, `5m`, `1h`, `1d`, `1w`, `1M`, `1Y`.
fn minutes(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let number: f64 = number.parse().ok()?;
    let unit = match unit {
        "s" => 1.0 / 60.0,
        "m" => 1.0,
        "h" => 60.0,
        "d" => 24.0 * 60.0,
        "w" => 7.0 * 24.0 * 60.0,
        "M" => 30.0 * 24.0 * 60.0,
        "Y" => 365.0 * 24.0 * 60.0,
        _ => return None,
    };
    (number > 0.0).then_some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_in_minutes() {
        assert_eq!(minutes("30s"), Some(0.5));
        assert_eq!(minutes("2h"), Some(120.0));
        assert_eq!(minutes("1M"), Some(43_200.0));
        for text in ["", "m", "0m", "5", "1x"] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }
}
