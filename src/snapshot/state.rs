//! The state of one classifier of a snapshot.

use pointsman_core::scores::ClassifierFailure;

use super::classifier_handle::ClassifierHandle;

/// A classifier that serves, or why it does not.
#[derive(Debug, Clone)]
pub(crate) enum ClassifierState {
    /// A classifier that scores: a bundle that was verified and warmed up, or a server that may be away.
    Ready(ClassifierHandle),
    /// A classifier that could not be loaded; policies fall to `otherwise`, and say so.
    Unavailable {
        /// The reason that decisions show.
        reason: ClassifierFailure,
        /// The mistake that an operator has to mend.
        detail: String,
    },
}
