//! The record of a name: its key, which tells clients apart, and its spelling in the store.

use std::fmt::Write as _;
use std::sync::Arc;

use pointsman_core::config::Name;
use pointsman_core::prompt::state::StateName;
use sha2::{Digest, Sha256};

use super::StateKeeper;

/// The version of [`StateRecord`]'s spelling.
const SPELLING: &str = "1";

/// Stands for none; no name holds it.
const NONE: &str = "*";

/// The key of a name: 128 bits of a SHA-256 over client and name, the same in every replica. Clients never share one, so
/// that none learns of another's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StateRecordKey([u8; 16]);

/// The record of a name. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateRecord {
    pub(super) used: u64,
    /// `None` where two keepers use the name for different things: then it says nothing.
    pub(super) keeper: Option<Arc<StateKeeper>>,
}

impl StateRecordKey {
    pub(super) fn of(client: Option<&Name>, name: &StateName) -> Self {
        let client = client.map(|name| name.as_str().as_bytes()).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update((client.len() as u64).to_le_bytes());
        hash.update(client);
        hash.update(name.digest);
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }

    pub(super) fn in_store(self) -> String {
        let mut text = String::from("state:");
        self.0.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a String takes all that is written"));
        text
    }
}

impl StateRecord {
    pub(super) fn text(&self) -> String {
        let Some(keeper) = &self.keeper else { return format!("{SPELLING} {} {NONE} {NONE} {NONE} {NONE}", self.used) };
        let StateKeeper { provider, peer, model, conversation } = &**keeper;
        let peer = peer.as_deref().unwrap_or(NONE);
        let model = model.as_deref().unwrap_or(NONE);
        let conversation = conversation.map_or_else(|| NONE.to_owned(), |key| format!("{key:x}"));
        format!("{SPELLING} {} {provider} {peer} {model} {conversation}", self.used)
    }

    /// Reads a record; one that another version wrote is as good as none.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let fields: Vec<&str> = str::from_utf8(text).ok()?.split(' ').collect();
        let [SPELLING, used, provider, peer, model, conversation] = fields.as_slice() else { return None };
        let used = used.parse().ok()?;
        if *provider == NONE {
            return Some(Self { used, keeper: None });
        }
        let some = |field: &str| (field != NONE).then(|| field.to_owned());
        let keeper = StateKeeper {
            provider: Name::new(provider).ok()?,
            peer: some(peer).map(Into::into),
            model: some(model).map(|model| Name::new(&model)).transpose().ok()?,
            conversation: some(conversation).map(|key| u64::from_str_radix(&key, 16)).transpose().ok()?,
        };
        Some(Self { used, keeper: Some(Arc::new(keeper)) })
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::prompt::state::StateKind;

    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let name = |text| Name::new(text).expect("a name");
        let whole = StateKeeper {
            provider: name("b"),
            peer: Some("10.0.0.1:80".into()),
            model: Some(name("big")),
            conversation: Some(u64::MAX),
        };
        let bare = StateKeeper { provider: name("b"), peer: None, model: None, conversation: None };
        for keeper in [Some(whole), Some(bare), None] {
            let record = StateRecord { used: 20, keeper: keeper.map(Arc::new) };

            assert_eq!(StateRecord::read(record.text().as_bytes()), Some(record));
        }
    }

    #[test]
    fn what_another_version_wrote_is_no_record() {
        for text in ["", "1", "2 20 b * * *", "1 x b * * *", "1 20 b * * xyz", "1 20 b * *"] {
            assert_eq!(StateRecord::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn clients_have_keys_of_their_own() {
        let name = StateName::new(StateKind::File, b"file-1");
        let [a, b] = ["a", "b"].map(|client| Name::new(client).expect("a name"));
        let keys = [None, Some(&a), Some(&b)].map(|client| StateRecordKey::of(client, &name).in_store());

        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    }
}
