//! Affinity: how long conversations stay with one model, and by what they are told apart.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, KeyPath};
use crate::config::{AffinityConfig, AffinityKey};

const HOLD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(168);
const CACHE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
const ENTRIES: RangeInclusive<usize> = 1..=10_000_000;

impl ConfigChecker<'_> {
    pub(super) fn affinity(&mut self, path: &KeyPath, affinity: &AffinityConfig) {
        self.span(&path.key("hold"), affinity.hold, &HOLD);
        self.span(&path.key("cache"), affinity.cache, &CACHE);
        self.within(&path.key("max_entries"), &affinity.max_entries, &ENTRIES);
        match &affinity.key {
            AffinityKey::Header(name) if name.parse::<http::HeaderName>().is_err() => {
                self.wrong(&path.key("key").key("header"), format!("`{name}` is not a header's name"));
            }
            AffinityKey::Client if self.config.clients.is_none() => {
                self.wrong(&path.key("key"), "`client` needs `clients`, whose keys tell them apart");
            }
            _ => {}
        }
    }
}
