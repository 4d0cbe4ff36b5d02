//! The subject of a report, whatever its rows tell: which bundle and head were measured on which file.

use pointsman_classifier::{BundleIdentity, HeadSpec};
use pointsman_core::config::Name;

use crate::dataset::DataIdentity;

/// The subject of a report: head, bundle and file.
#[derive(Debug)]
pub(super) struct EvaluationSubject<'e> {
    pub(super) bundle: BundleIdentity,
    pub(super) head: &'e HeadSpec,
    /// Models with heads of their own.
    pub(super) models: &'e [(String, Name)],
    pub(super) data: DataIdentity,
    pub(super) seed: u64,
    pub(super) left_out: LeftOutRows,
}

/// Rows that were not judged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeftOutRows {
    pub(super) contaminated: u64,
    pub(super) blank: u64,
    pub(super) unknown_label: u64,
}
