//! The key under which the requests of a conversation share a pin.

use std::fmt::Write as _;

use pointsman_core::config::{AffinityKey, Name, PolicyMode};
use pointsman_core::policy::{Policy, RequestFacts};
use sha2::{Digest, Sha256};

/// The key of requests that belong together: 128 bits of a SHA-256 over policy, client and key, the same in every
/// replica. Clients never share one, whatever they call their sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PinKey(pub(super) [u8; 16]);

impl PinKey {
    /// Returns the key of a request; `None` when the policy holds nothing, or the request has nothing in common with
    /// others.
    pub(super) fn of(policy: &Policy, facts: &RequestFacts<'_>) -> Option<Self> {
        let affinity = policy.affinity()?;
        let own = match &affinity.key {
            AffinityKey::Conversation => facts.live.conversation().to_le_bytes().to_vec(),
            AffinityKey::Client => facts.client?.as_bytes().to_vec(),
            AffinityKey::Header(name) => {
                let value = facts.live.header(&name.to_ascii_lowercase()).filter(|value| !value.is_empty());
                value?.as_bytes().to_vec()
            }
        };
        // What a policy that only watches would have done is no history once it routes.
        let mode = if policy.mode() == PolicyMode::Shadow { "shadow" } else { "route" };
        let mut hash = Sha256::new();
        for part in [policy.name().as_bytes(), mode.as_bytes(), facts.client.unwrap_or_default().as_bytes(), &own] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Some(Self(key))
    }

    pub(super) fn in_store(self, policy: &Name) -> String {
        let mut text = format!("pin:{policy}:");
        self.0.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a String takes all that is written"));
        text
    }
}
