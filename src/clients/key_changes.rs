//! The changes of a registry that were made elsewhere, by the command line or by another replica: written down when this
//! process takes them over.
//!
//! What a caller of the admin plane changes here, the plane writes down itself.

use std::collections::HashMap;

use pointsman_core::config::Name;
use pointsman_telemetry::AuditLine;

use super::issued_key::IssuedKey;

/// The changes that are written down one by one of those that are found at once; of more, the number is.
const WRITTEN: usize = 100;

/// The change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyChange {
    pub(super) id: Name,
    client: Name,
    action: &'static str,
}

/// Returns the changes that lead from one state of a registry to another.
pub(super) fn between(before: &[IssuedKey], after: &[IssuedKey]) -> Vec<KeyChange> {
    let known: HashMap<&Name, &IssuedKey> = before.iter().map(|key| (&key.id, key)).collect();
    let kept: HashMap<&Name, &IssuedKey> = after.iter().map(|key| (&key.id, key)).collect();
    let removed = before.iter().filter(|key| !kept.contains_key(&key.id)).map(|key| of(key, "key_removed"));
    let changed = after.iter().flat_map(|key| {
        let old = known.get(&key.id);
        let is_made = old.is_none();
        let is_rotated = old.is_some_and(|old| old.rotated != key.rotated || old.has_other_hash(key));
        let is_revoked = key.revoked.is_some() && old.is_none_or(|old| old.revoked.is_none());
        let actions = [(is_made, "key_made"), (is_rotated, "key_rotated"), (is_revoked, "key_revoked")];
        actions.into_iter().filter(|(is_so, _)| *is_so).map(|(_, action)| of(key, action))
    });
    removed.chain(changed).collect()
}

/// Writes changes down.
pub(super) fn write_down(changes: impl IntoIterator<Item = KeyChange>) {
    let mut changes = changes.into_iter();
    for change in changes.by_ref().take(WRITTEN) {
        let KeyChange { id, client, action } = change;
        AuditLine::of_change(action, &format!("{id} of {client}"), "process", "registry").emit();
    }
    let more = changes.count();
    if more > 0 {
        tracing::warn!(more, "More client keys were changed elsewhere than are written down one by one");
    }
}

fn of(key: &IssuedKey, action: &'static str) -> KeyChange {
    KeyChange { id: key.id.clone(), client: key.client.clone(), action }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;
    use std::time::Duration;

    use super::super::NewKey;
    use super::*;

    fn made() -> IssuedKey {
        let order = NewKey { client: Name::new("web").expect("a name"), expires: None, note: None };
        IssuedKey::make(order, 7).expect("random bytes").0
    }

    fn actions(before: &[IssuedKey], after: &[IssuedKey]) -> Vec<&'static str> {
        between(before, after).into_iter().map(|change| change.action).collect()
    }

    #[test]
    fn every_change_of_a_key_is_found_and_nothing_else() {
        let (first, second) = (made(), made());
        let (mut rotated, mut revoked) = (first.clone(), first.clone());
        rotated.rotate(Duration::from_secs(60), 7).expect("random bytes");
        revoked.revoke(9);

        let before = [first.clone()];
        assert!(actions(&before, &before).is_empty());
        assert_eq!(actions(&before, &[first, second.clone()]), ["key_made"]);
        assert_eq!(actions(&before, from_ref(&rotated)), ["key_rotated"]);
        assert_eq!(actions(&before, from_ref(&revoked)), ["key_revoked"]);
        assert!(actions(from_ref(&revoked), from_ref(&revoked)).is_empty());
        assert_eq!(actions(&before, from_ref(&second)), ["key_removed", "key_made"]);
        let mut again = rotated.clone();
        again.rotate(Duration::from_secs(60), 7).expect("random bytes");
        assert_eq!(actions(from_ref(&rotated), from_ref(&again)), ["key_rotated"], "twice in a second");
    }
}
