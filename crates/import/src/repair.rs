//! The last resort: what the loader refuses of a draft is taken out, so that the rest loads.
//!
//! Importers check what they know. Bounds of the configuration, odd names and expressions that are too long are the
//! loader's affair, and a foreign file may hold any of them.

use pointsman_core::config::ConfigProblem;

use crate::draft::{Draft, DraftProvider};
use crate::yaml_text::{YamlEntries, YamlValue};

/// Takes out of `draft` what `problem` is about. False when it is about nothing that can be taken out.
pub(crate) fn take_out(draft: &mut Draft, problem: &ConfigProblem) -> bool {
    let path = problem.path.as_str();
    let (section, rest) = path.split_once(['.', '[']).unwrap_or((path, ""));
    match section {
        "models" => model(draft, rest),
        "providers" => provider(draft, rest),
        "policies" => policy(draft, rest),
        "clients" => client(draft, rest),
        "listen" => draft.listen.take().is_some(),
        "default_provider" => draft.default_provider.take().is_some(),
        "rule_headers" => !std::mem::take(&mut draft.rule_headers).is_empty(),
        other => removed(&mut draft.sections, other),
    }
}

/// Takes out a client as a whole: without one of its limits it could do more than before.
fn client(draft: &mut Draft, rest: &str) -> bool {
    let is_there = removed(&mut draft.clients, rest);
    if draft.clients.is_empty() {
        // Nobody needs a key now, so that only this machine may ask.
        draft.listen = None;
    }
    is_there
}

fn model(draft: &mut Draft, rest: &str) -> bool {
    let Some(at) = longest(draft.models.iter().map(|model| model.name.as_str()), rest) else { return false };
    let key = key_behind(&draft.models[at].name, rest);
    if !removed(&mut draft.models[at].more, key) {
        draft.models.remove(at);
    }
    true
}

fn provider(draft: &mut Draft, rest: &str) -> bool {
    let Some(at) = longest(draft.providers.iter().map(|provider| provider.name.as_str()), rest) else { return false };
    let key = key_behind(&draft.providers[at].name, rest).to_owned();
    let own = &mut draft.providers[at];
    let is_key = matches!(key.as_str(), "credential" | "keys");
    if is_key && !own.keys.is_empty() {
        own.keys.clear();
        return true;
    }
    removed(&mut own.more, &key) || readdress(own)
}

/// Gives a provider an address that answers nobody, in the place of one that is none.
fn readdress(provider: &mut DraftProvider) -> bool {
    let stand_in = vec![("base_url".to_owned(), YamlValue::text("https://address.invalid/v1"))];
    let is_new = provider.address != stand_in;
    provider.address = stand_in;
    is_new
}

fn policy(draft: &mut Draft, rest: &str) -> bool {
    let Some((index, rest)) = indexed(rest).filter(|(index, _)| *index < draft.policies.len()) else { return false };
    let own = &mut draft.policies[index];
    let key = rest.trim_start_matches('.');
    let name = key.split(['.', '[']).next().unwrap_or_default();
    let rule = key.strip_prefix("rules[").and_then(indexed).map(|(rule, _)| rule);
    match (name, rule) {
        ("rules", Some(rule)) if rule < own.rules.len() => {
            own.rules.remove(rule);
        }
        ("fallback", _) if !own.fallback.is_empty() => own.fallback.clear(),
        (name, _) => {
            if !removed(&mut own.more, name) {
                draft.policies.remove(index);
            }
        }
    }
    true
}

/// Removes the entries of a key, which may stand before a dot or a bracket.
fn removed(entries: &mut YamlEntries, key: &str) -> bool {
    let before = entries.len();
    let is_meant =
        |own: &str| key.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    entries.retain(|(own, _)| !is_meant(own));
    entries.len() < before
}

/// Returns the place of the longest name that `path` begins with.
fn longest<'n>(names: impl Iterator<Item = &'n str>, path: &str) -> Option<usize> {
    let begins = |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let found = names.enumerate().filter(|(_, name)| begins(name));
    found.max_by_key(|(_, name)| name.len()).map(|(index, _)| index)
}

/// Returns the first key of `path` behind `name`.
fn key_behind<'p>(name: &str, path: &'p str) -> &'p str {
    let rest = path.get(name.len()..).unwrap_or_default().trim_start_matches('.');
    rest.split(['.', '[']).next().unwrap_or_default()
}

/// Reads `3].rules[1]...`: a position, and what comes behind it.
fn indexed(text: &str) -> Option<(usize, &str)> {
    let (index, rest) = text.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::KeyPath;

    use super::*;
    use crate::draft::{DraftModel, DraftPolicy, DraftRule, always};

    fn draft() -> Draft {
        let more = vec![("context".to_owned(), YamlValue::count(1))];
        let model = DraftModel { name: "a.b".into(), provider: "p".into(), upstream: "a".into(), more };
        let rule = DraftRule { when: "true".into(), model: "a.b".into() };
        let policy =
            DraftPolicy { name: "x".into(), rules: vec![rule], strategy: Some(always("a.b")), ..Default::default() };
        Draft { models: vec![model], policies: vec![policy], ..Draft::default() }
    }

    fn problem(path: &KeyPath) -> ConfigProblem {
        ConfigProblem::new(path, "refused")
    }

    #[test]
    fn the_key_that_is_refused_goes_and_else_what_holds_it() {
        let mut own = draft();
        let model = KeyPath::root().key("models").key("a.b");

        assert!(take_out(&mut own, &problem(&model.key("context"))));
        assert!(own.models[0].more.is_empty());
        assert!(take_out(
            &mut own,
            &problem(&KeyPath::root().key("policies").index(0).key("rules").index(0).key("when"))
        ));
        assert!(own.policies[0].rules.is_empty());
        assert!(take_out(&mut own, &problem(&KeyPath::root().key("policies").index(0).key("strategy"))));
        assert!(own.policies.is_empty());
        assert!(take_out(&mut own, &problem(&model.key("name"))));
        assert!(own.models.is_empty());
    }

    #[test]
    fn without_the_last_client_only_this_machine_may_ask() {
        let clients = vec![("a".to_owned(), YamlValue::count(1))];
        let mut own = Draft { clients, listen: Some("0.0.0.0:80".into()), ..Draft::default() };

        assert!(take_out(&mut own, &problem(&KeyPath::root().key("clients").key("a").key("rate_limit"))));

        assert_eq!((own.clients.len(), own.listen), (0, None));
    }

    #[test]
    fn what_is_not_there_cannot_be_taken_out() {
        let mut own = Draft::default();
        let root = KeyPath::root();

        for path in [root.key("models").key("a"), root.key("policies").index(0), root.key("version"), root.clone()] {
            assert!(!take_out(&mut own, &problem(&path)), "{path}");
        }
    }
}
