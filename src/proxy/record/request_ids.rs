//! Ids for requests that bring none.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes ids for requests: unique in this process, and very likely so among all.
pub(in crate::proxy) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Returns the next id: 16 random hexadecimal digits of the process, and a count.
    pub(in crate::proxy) fn next(&self) -> String {
        format!("{:016x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { process: RandomState::new().build_hasher().finish(), next: AtomicU64::new(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ() {
        let ids = RequestIds::default();

        assert_ne!(ids.next(), ids.next());
        assert_ne!(RequestIds::default().next(), RequestIds::default().next());
    }
}
