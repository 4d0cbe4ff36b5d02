//! Rules of a search of the web that a vendor makes, which each API has in a form of its own.

use serde_json::value::RawValue;

use crate::json::{self, Fields};
use crate::loss::{Field, Loss, LossKind, LossReport};

/// The rules of a search.
#[derive(Default)]
pub(crate) struct SearchRules<'b> {
    /// The amount of what is found that the model sees.
    pub(crate) context_size: Option<&'b RawValue>,
    /// The domains that count, and no others.
    pub(crate) allowed_domains: Option<&'b RawValue>,
    /// The place of the user: city, region, country, timezone.
    pub(crate) location: Option<Fields<'b>>,
    /// The names of rules that one vendor alone has.
    others: Vec<String>,
}

impl<'b> SearchRules<'b> {
    /// Reads the definition of a tool, or the options of chat completions.
    pub(crate) fn of(definition: &'b RawValue) -> Self {
        let mut rules = Self::default();
        let fields = Fields::of(definition).unwrap_or_default();
        for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
            match name {
                "type" | "name" | "cache_control" => {}
                "external_web_access" if raw.get() == "true" => {} // every vendor searches the live web
                "search_context_size" => rules.context_size = Some(raw),
                "allowed_domains" => rules.allowed_domains = Some(raw),
                "filters" => rules.filters(raw),
                // Chat completions have the place one level below.
                "user_location" => {
                    rules.location = Fields::of(raw).map(|place| place.object("approximate").unwrap_or(place));
                }
                _ => rules.others.push(name.to_owned()),
            }
        }
        rules
    }

    fn filters(&mut self, raw: &'b RawValue) {
        let filters = Fields::of(raw).unwrap_or_default();
        for (name, raw) in filters.iter().filter(|(_, raw)| !json::is_null(raw)) {
            match name {
                "allowed_domains" => self.allowed_domains = Some(raw),
                _ => self.others.push(format!("filters.{name}")),
            }
        }
    }

    /// Notes the rules that a writer leaves out: those named, where they are there, and those of one vendor alone.
    pub(crate) fn note_lost(&self, names: &[&str], losses: &mut LossReport) {
        let is_there = |name: &&str| match *name {
            "search_context_size" => self.context_size.is_some_and(|size| size.get() != r#""medium""#),
            "allowed_domains" => self.allowed_domains.is_some(),
            "user_location" => self.location.is_some(),
            _ => false,
        };
        let named = names.iter().copied().filter(is_there);
        for name in named.chain(self.others.iter().map(String::as_str)) {
            let detail = Some(format!("web_search.{name}"));
            losses.note(Loss { field: Field::ServerTools, kind: LossKind::Dropped, place: None, detail });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_of_a_search_is_read_or_said() {
        let definition = r#"{"type":"web_search_20250305","name":"web_search","max_uses":3,"filters":{"blocked":["a"]},
            "user_location":{"type":"approximate","approximate":{"country":"FR"}},"search_context_size":"low"}"#;
        let raw = serde_json::from_str(definition).expect("it is JSON");
        let rules = SearchRules::of(raw);
        let mut losses = LossReport::default();

        rules.note_lost(&["search_context_size", "allowed_domains"], &mut losses);

        let said: Vec<_> = losses.losses().iter().filter_map(|loss| loss.detail.as_deref()).collect();
        assert_eq!(said, ["web_search.search_context_size", "web_search.max_uses", "web_search.filters.blocked"]);
        assert_eq!(rules.location.and_then(|place| place.text("country")).as_deref(), Some("FR"));
    }

    #[test]
    fn a_search_of_the_live_web_loses_nothing_and_one_that_must_not_be_live_does() {
        let lost = |access: &str| {
            let definition = format!(r#"{{"type":"web_search","external_web_access":{access}}}"#);
            let mut losses = LossReport::default();
            SearchRules::of(serde_json::from_str(&definition).expect("it is JSON")).note_lost(&[], &mut losses);
            losses.grave().and_then(|loss| loss.detail.clone())
        };

        assert_eq!(lost("true"), None);
        assert_eq!(lost("false").as_deref(), Some("web_search.external_web_access"));
    }
}
