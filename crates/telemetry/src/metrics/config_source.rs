//! The metrics of the source of the configuration.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::{IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::{definitions as define, each};

/// The metrics of the source of the configuration.
pub struct ConfigSourceMetrics {
    checks: [IntCounter; SourceCheck::ALL.len()],
    reached: Family<IntGauge, 0>,
    info: Family<IntGauge, 2>,
}

/// The end of a question to the source of a configuration that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceCheck {
    /// The source has another text, which counts.
    Changed,
    /// The source has what serves.
    Unchanged,
    /// The source has a text that does not count: unsigned, too large, older.
    Refused,
    /// The source is not there, or gives no text.
    Failed,
}

impl ConfigSourceMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            checks: each(registry, define::SOURCE_CHECKS, SourceCheck::ALL.map(SourceCheck::as_str)),
            reached: Family::register(registry, define::SOURCE_REACHED),
            info: Family::register(registry, define::SOURCE_INFO),
        }
    }

    /// Shows the kind of the source and the version that serves: that of a former generation disappears.
    pub fn serves(&self, kind: &'static str, version: &Arc<str>) {
        self.info.retain(|[own_kind, own]| **own_kind == *kind && **own == **version);
        self.info.with([kind.into(), version.into()]).set(1);
    }

    /// Counts a question to the source.
    pub fn checked(&self, end: SourceCheck) {
        self.checks[end as usize].inc();
    }

    /// Shows when the source answered last as it should.
    pub fn reached(&self, at: SystemTime) {
        let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.reached.with([]).set(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
    }
}

impl SourceCheck {
    /// Every end.
    pub const ALL: [Self; 4] = [Self::Changed, Self::Unchanged, Self::Refused, Self::Failed];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Debug for ConfigSourceMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSourceMetrics").finish_non_exhaustive()
    }
}
