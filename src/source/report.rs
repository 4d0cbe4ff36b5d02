//! What is known of a source, as the admin plane shows it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::SourceKind;
use super::version::ConfigVersion;

/// What is known of a source.
#[derive(Debug, Clone)]
pub(crate) struct SourceReport {
    pub(crate) kind: SourceKind,
    /// The path, or the URL without its query.
    pub(crate) name: String,
    /// The version that serves.
    pub(crate) version: Arc<ConfigVersion>,
    /// The time since when it serves.
    pub(crate) since: SystemTime,
    /// Whether texts without a signature count.
    pub(crate) is_unsigned: bool,
    pub(crate) fetched: SourceTimes,
}

/// The times of fetches, and their trouble.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceTimes {
    /// The time between two fetches; `None` for a file, which is watched.
    pub(crate) interval: Option<Duration>,
    /// The time of the last fetch, whatever came of it.
    pub(crate) checked: Option<SystemTime>,
    /// The time of the last fetch that the source answered as it should.
    pub(crate) reached: Option<SystemTime>,
    /// The reason why what the source has does not serve.
    pub(crate) trouble: Option<SourceTrouble>,
    /// Whether a copy is kept, or why not; `None` where none is wanted.
    pub(crate) copy: Option<Result<(), String>>,
}

/// The trouble with a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceTrouble {
    pub(crate) detail: String,
    pub(crate) since: SystemTime,
}

impl SourceReport {
    /// Returns whether there is more to say than the name of a file.
    pub(crate) fn is_notable(&self) -> bool {
        self.kind != SourceKind::File || !self.is_unsigned
    }

    /// Returns the report as the admin plane shows it.
    pub(crate) fn to_json(&self) -> Value {
        let moment = |at: SystemTime| humantime::format_rfc3339_seconds(at).to_string();
        let mut shown = json!({
            "kind": self.kind.as_str(),
            "name": self.name,
            "version": &*self.version,
            "since": moment(self.since),
            "signature_required": !self.is_unsigned,
        });
        let SourceTimes { interval: Some(interval), checked, reached, trouble, copy } = &self.fetched else {
            return shown;
        };
        shown["state"] = json!(if trouble.is_some() { "degraded" } else { "ready" });
        shown["detail"] = json!(trouble.as_ref().map(|trouble| &trouble.detail));
        shown["trouble_since"] = json!(trouble.as_ref().map(|trouble| moment(trouble.since)));
        shown["interval_seconds"] = json!(interval.as_secs_f64());
        shown["checked"] = json!(checked.map(moment));
        shown["reached"] = json!(reached.map(moment));
        shown["copy"] = match copy {
            None => json!("none"),
            Some(Ok(())) => json!("kept"),
            Some(Err(error)) => json!(format!("not kept: {error}")),
        };
        shown
    }
}
