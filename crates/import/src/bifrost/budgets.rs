//! Bifrost's budgets of virtual keys, as budgets of clients.

use crate::draft::{Draft, name_of};
use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

/// Lengths of time that are periods of the calendar here.
const PERIODS: [(&[&str], &str); 5] = [
    (&["1m", "60s"], "minute"),
    (&["1h", "60m"], "hour"),
    (&["1d", "24h"], "day"),
    (&["1w", "7d"], "week"),
    (&["1M", "30d"], "month"),
];
const LENGTH: &str = "a budget is for a minute, hour, day, week or month: `budgets` (docs/budgets.md)";

/// Adds a budget to `draft` for each one that the virtual `key` names or holds; `client` is what the key became.
pub(super) fn add(key: &SourceValue<'_>, client: &str, listed: &[SourceValue<'_>], draft: &mut Draft) {
    let named = key.get("budget_id").and_then(|id| id.text());
    let id = key.text_at("id");
    let is_its = |budget: &&SourceValue<'_>| {
        let is_named = named.is_some() && budget.text_at("id") == named;
        is_named || (id.is_some() && budget.text_at("virtual_key_id") == id)
    };
    let held = ["budget", "budgets"].iter().filter_map(|place| key.get(place)).flat_map(|budgets| budgets.items());
    for budget in listed.iter().filter(is_its).cloned().chain(held.collect::<Vec<_>>()) {
        budget.take_all(&["id", "current_usage", "last_reset", "virtual_key_id"]);
        match entries(&budget, client) {
            Some(entries) => push(entries, client, draft),
            None => budget.leave_out(LENGTH),
        }
    }
}

fn entries(budget: &SourceValue<'_>, client: &str) -> Option<YamlEntries> {
    let dollars = budget.number_at("max_limit").filter(|dollars| *dollars > 0.0)?;
    let length = budget.get("reset_duration")?;
    let said = length.text()?;
    let (_, period) = PERIODS.iter().find(|(spellings, _)| spellings.contains(&said))?;
    length.change("it is a period of the calendar in UTC, and what was spent before counts anew");
    Some(vec![
        ("clients".to_owned(), YamlValue::texts([client])),
        ("dollars".to_owned(), YamlValue::number(dollars)),
        ("period".to_owned(), YamlValue::text(*period)),
    ])
}

fn push(mut entries: YamlEntries, client: &str, draft: &mut Draft) {
    let at = match draft.sections.iter().position(|(key, _)| key == "budgets") {
        Some(at) => at,
        None => {
            draft.sections.push(("budgets".to_owned(), YamlValue::List(Vec::new())));
            draft.sections.len() - 1
        }
    };
    let YamlValue::List(budgets) = &mut draft.sections[at].1 else { return };
    let name = name_of(&format!("{client}-{}", budgets.len() + 1));
    entries.insert(0, ("name".to_owned(), YamlValue::text(name)));
    budgets.push(YamlValue::Map(entries));
}
