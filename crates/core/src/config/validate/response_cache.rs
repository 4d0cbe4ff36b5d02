//! The response cache: bounds that fit together, and what a policy's `cache` names.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, KeyPath, root};
use crate::config::{PolicyConfig, PolicyMode, ResponseCacheConfig};

const MAX_BYTES: RangeInclusive<usize> = 1 << 20..=64 << 30;
const ENTRY_BYTES: RangeInclusive<usize> = 1024..=16 << 20;
const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(720);
const WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);
const SEMANTIC_ENTRIES: RangeInclusive<usize> = 1..=10_000;

/// The largest entry as a part of the memory: fewer would push each other out.
const PARTS: usize = 16;

impl ConfigChecker<'_> {
    pub(super) fn response_cache(&mut self, section: ResponseCacheConfig) {
        self.within(&root("response_cache").key("max_bytes"), &section.max_bytes, &MAX_BYTES);
    }

    pub(super) fn cache(&mut self, path: &KeyPath, policy: &PolicyConfig) {
        let Some(section) = &policy.cache else { return };
        if policy.mode != PolicyMode::Route {
            self.wrong(path, "has no meaning without `mode: route`: the policy answers nothing");
        }
        self.span(&path.key("ttl"), section.ttl, &TTL);
        self.span(&path.key("max_wait"), section.max_wait, &WAIT);
        let entry = path.key("max_entry_bytes");
        self.within(&entry, &section.max_entry_bytes, &ENTRY_BYTES);
        let most = self.config.response_cache.max_bytes / PARTS;
        if ENTRY_BYTES.contains(&section.max_entry_bytes) && section.max_entry_bytes > most {
            let message = format!(
                "{} is more than a sixteenth of `response_cache.max_bytes` (allowed: at most {most})",
                section.max_entry_bytes
            );
            self.wrong(&entry, message);
        }
        if !(0.0..=2.0).contains(&section.max_temperature) {
            self.wrong(&path.key("max_temperature"), "is out of bounds (allowed: 0 to 2)");
        }
        if section.store && self.config.store.is_none() {
            self.wrong(&path.key("store"), "needs a `store` (allowed: false without one)");
        }
        if let Some(semantic) = &section.semantic {
            let path = path.key("semantic");
            self.reference(&path.key("classifier"), &semantic.classifier, "classifiers", "classifier");
            self.within(&path.key("max_entries"), &semantic.max_entries, &SEMANTIC_ENTRIES);
        }
    }
}
