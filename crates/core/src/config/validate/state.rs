//! The memory of which provider keeps what.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, root};
use crate::config::StateConfig;

const HOLD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 366);
const ENTRIES: RangeInclusive<usize> = 1..=10_000_000;

impl ConfigChecker<'_> {
    pub(super) fn state(&mut self, state: &StateConfig) {
        let path = root("state");
        self.span(&path.key("hold"), state.hold, &HOLD);
        self.span(&path.key("hold_objects"), state.hold_objects, &HOLD);
        self.within(&path.key("max_entries"), &state.max_entries, &ENTRIES);
    }
}
