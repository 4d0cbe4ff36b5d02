//! The definitions of a schema, to which its references point.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::DEEPEST;
use crate::json::{self, Fields};

/// The definitions at the root of a schema, by name.
pub(super) struct Definitions<'s> {
    named: BTreeMap<String, &'s RawValue>,
}

impl<'s> Definitions<'s> {
    /// Reads the definitions; `None` where one leads back to itself.
    pub(super) fn of(root: &Fields<'s>) -> Option<Self> {
        let mut named = BTreeMap::new();
        for keyword in ["definitions", "$defs"] {
            let fields = root.object(keyword).unwrap_or_default();
            named.extend(fields.iter().map(|(name, raw)| (name.to_owned(), raw)));
        }
        let definitions = Self { named };
        definitions.has_end().then_some(definitions)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'s RawValue)> {
        self.named.iter().map(|(name, raw)| (name.as_str(), *raw))
    }

    /// Returns a reference as it is written; `None` where it leads to no definition.
    pub(super) fn written(&self, reference: &str) -> Option<String> {
        let name = name(reference).filter(|name| self.named.contains_key(&**name))?;
        Some(format!("#/$defs/{}", name.replace('~', "~0").replace('/', "~1")))
    }

    /// Tells whether no definition leads back to itself: each can be taken once all that it refers to are.
    fn has_end(&self) -> bool {
        let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
        let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (user, raw) in self.iter() {
            let references = references(raw);
            let known = references.iter().filter_map(|name| self.named.get_key_value(name));
            let used: Vec<_> = known.map(|(name, _)| name.as_str()).collect();
            waiting.insert(user, used.len());
            used.into_iter().for_each(|name| users.entry(name).or_default().push(user));
        }
        let mut ready: Vec<_> = waiting.iter().filter(|(_, left)| **left == 0).map(|(name, _)| *name).collect();
        let mut taken = 0;
        while let Some(name) = ready.pop() {
            taken += 1;
            for user in users.remove(name).unwrap_or_default() {
                let left = waiting.entry(user).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    ready.push(user);
                }
            }
        }
        taken == self.named.len()
    }
}

/// Returns the name of the definition that a reference leads to.
fn name(reference: &str) -> Option<Cow<'_, str>> {
    let name = reference.strip_prefix("#/$defs/").or_else(|| reference.strip_prefix("#/definitions/"))?;
    let is_plain = !name.contains(['~', '/', '%']);
    if is_plain { Some(Cow::Borrowed(name)) } else { (!name.contains(['/', '%'])).then(|| unescaped(name)) }
}

fn unescaped(name: &str) -> Cow<'_, str> {
    Cow::Owned(name.replace("~1", "/").replace("~0", "~"))
}

/// Returns the names of the definitions that a schema refers to, at any depth that is looked into.
fn references(schema: &RawValue) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(schema, DEEPEST, &mut found);
    found
}

fn collect(raw: &RawValue, depth: usize, found: &mut BTreeSet<String>) {
    if depth == 0 {
        return;
    }
    if let Some(fields) = Fields::of(raw) {
        found.extend(fields.text("$ref").as_deref().and_then(name).map(Cow::into_owned));
        fields.iter().for_each(|(_, raw)| collect(raw, depth - 1, found));
    } else {
        json::list(raw).unwrap_or_default().iter().for_each(|raw| collect(raw, depth - 1, found));
    }
}
