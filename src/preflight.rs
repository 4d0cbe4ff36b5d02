//! The examination of a configuration before it serves: what in it cannot be meant, what its translations lose, and what
//! becomes of its own tests.
//!
//! `pointsman check` prints what is found here, and the console shows it on the lines of its editor. Nothing here prints,
//! and nothing is asked of a provider.

mod examination;
pub(crate) mod policy_tests;
mod spending;
mod translations;

use std::time::Duration;

use pointsman_core::config::ConfigProblem;
use pointsman_core::model_family;

pub(crate) use self::examination::{Examination, ExaminedClassifier, examine};
use crate::snapshot::Snapshot;

/// The longest time for a classifier over a test's prompt: tests are about where prompts go, not about how fast this
/// machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The findings on a sound configuration.
#[derive(Debug, Default)]
pub(crate) struct ConfigFindings {
    /// Things that cannot be meant.
    pub(crate) warnings: Vec<ConfigProblem>,
    /// Things that are as they should be, and worth knowing.
    pub(crate) notes: Vec<String>,
}

impl ConfigFindings {
    /// Looks at the configuration of `snapshot`.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut warnings = snapshot.policies.lint();
        warnings.extend_from_slice(snapshot.advisers.warnings());
        warnings.extend(snapshot.config.price_warnings());
        warnings.extend(snapshot.config.timeout_warnings());
        warnings.extend(snapshot.config.admin_warnings());
        warnings.extend(spending::warnings(snapshot));
        let translated = translations::examine(snapshot);
        warnings.extend(translated.warnings);
        let mut notes: Vec<String> = snapshot.config.admin.open_note().into_iter().collect();
        notes.extend(snapshot.config.open_listener_note());
        notes.extend(model_family::catalog_notes(&snapshot.config));
        notes.extend(translated.notes);
        Self { warnings, notes }
    }
}

/// Shortens `text` to one line of at most `limit` characters.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}
