//! The numbers of a report, by their paths.
//!
//! Keys are joined by dots. Of a list the entries count that have a name of their own; lists of numbers, such as intervals
//! and curves, are no figures.

use serde_json::Value;

/// Keys by which an entry of a list is named.
const NAMES: [&str; 4] = ["name", "model", "label", "head"];

/// Calls `visit` with every number of `report` that has a name.
pub(super) fn each(report: &Value, visit: &mut impl FnMut(&str, f64)) {
    within("", report, visit);
}

fn within(path: &str, value: &Value, visit: &mut impl FnMut(&str, f64)) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Number(number) => number.as_f64().into_iter().for_each(|number| visit(path, number)),
        Value::Object(object) => object.iter().for_each(|(key, value)| within(&below(key), value, visit)),
        Value::Array(entries) => {
            for entry in entries {
                let name = NAMES.iter().find_map(|key| entry.get(key)?.as_str());
                name.into_iter().for_each(|name| within(&below(name), entry, visit));
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_go_by_their_paths_and_entries_of_lists_by_their_names() {
        let report = json!({
            "n": 3, "accuracy": 0.5, "accuracy_ci95": [0.4, 0.6], "seen": true, "file": "a",
            "models": [{"name": "small", "quality": 0.25}, {"quality": 1}],
            "left_out": {"ungraded": {"large": 2}},
        });
        let mut found = Vec::new();

        each(&report, &mut |name, value| found.push((name.to_owned(), value)));

        let expected =
            [("n", 3.0), ("accuracy", 0.5), ("models.small.quality", 0.25), ("left_out.ungraded.large", 2.0)];
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected = expected.map(|(name, value)| (name.to_owned(), value));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, expected);
    }
}
