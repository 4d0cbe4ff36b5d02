//! What a question with many texts takes of a client's allowance: each part as soon as it is known, so that neither a
//! failure nor a client that leaves makes it free.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Client;

/// The meter of one question. A text counts as a request; the first is the one that the client was admitted for. What is
/// too much is owed.
#[derive(Debug, Default)]
pub(crate) struct QuestionMeter {
    client: Option<Arc<Client>>,
    /// True once a text has been counted.
    is_begun: AtomicBool,
}

impl QuestionMeter {
    /// Makes the meter of a client's question; without a client it takes nothing.
    pub(crate) fn of(client: Option<&Arc<Client>>) -> Self {
        Self { client: client.cloned(), is_begun: AtomicBool::new(false) }
    }

    /// Returns whether anybody asks for the tokens.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.counts_tokens())
    }

    /// Takes texts that are about to be judged.
    pub(crate) fn take_texts(&self, texts: usize) {
        let Some(client) = &self.client else { return };
        let admitted = u64::from(texts > 0 && !self.is_begun.swap(true, Ordering::Relaxed));
        client.owe_requests(u64::try_from(texts).unwrap_or(u64::MAX) - admitted);
    }

    /// Takes tokens.
    pub(crate) fn take_tokens(&self, tokens: u64) {
        if let Some(client) = &self.client {
            client.settle(0, tokens);
        }
    }
}
