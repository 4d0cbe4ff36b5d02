//! Keys of clients by what they are called, for lists of what was used with them.

use std::sync::Arc;

use super::issued_key::{KeyStanding, seconds};
use super::{Client, Clients, number_of};

/// A key of a client, by what it is called.
#[derive(Debug, Clone)]
pub(crate) struct ListedKey {
    pub(crate) client: Arc<Client>,
    /// Its id in the registry, or the beginning of its hash where it stands in the configuration.
    pub(crate) id: String,
    /// The number that tells it apart from others.
    pub(crate) number: u64,
}

impl Clients {
    /// Returns every key that is good now.
    #[must_use]
    pub(crate) fn keys(&self) -> Vec<ListedKey> {
        let Some(known) = &self.known else { return Vec::new() };
        let now = seconds();
        let configured = known.by_name.values().flat_map(|client| {
            client.section.keys.iter().map(move |key| ListedKey {
                client: Arc::clone(client),
                id: format!("sha256:{}", key.sha256.beginning()),
                number: number_of("key", key.sha256.bytes()),
            })
        });
        let issued = known.registry.iter().flat_map(|registry| registry.keys());
        let issued = issued.filter(|key| key.standing(now) == KeyStanding::Active).filter_map(|key| {
            let client = Arc::clone(known.by_name.get(&key.client)?);
            Some(ListedKey { client, number: key.number(), id: key.id.to_string() })
        });
        configured.chain(issued).collect()
    }
}
