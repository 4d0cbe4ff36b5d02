//! The first load of a process: there is nothing that serves yet, and perhaps a copy of what served in the process before.

use std::sync::Arc;

use super::StartError;
use crate::reload::refuse_fixed;
use crate::snapshot::{PreparedConfig, Snapshot, SnapshotBuilder};
use crate::source::FetchReason;

/// Prepares what the source has at a start; where that does not serve, the copy of what served last.
pub(super) fn prepare_first(builder: &Arc<SnapshotBuilder>) -> Result<PreparedConfig, StartError> {
    builder.source.fetch(FetchReason::Start)?;
    match builder.prepare_in_time() {
        Err(error) if builder.source.fall_back() => {
            tracing::error!("What the source has is refused, and the kept copy of the configuration serves\n{error}");
            Ok(builder.prepare_in_time()?)
        }
        prepared => Ok(prepared?),
    }
}

/// Builds what was prepared; where that does not load, the copy of what served last, if it has the same listeners, which are
/// bound by then.
pub(super) fn build_first(builder: &Arc<SnapshotBuilder>, prepared: PreparedConfig) -> Result<Snapshot, StartError> {
    let bound = prepared.config().clone();
    match builder.build_in_time(prepared, None) {
        Err(error) if builder.source.fall_back() => {
            tracing::error!(
                "What the source has does not load, and the kept copy of the configuration serves\n{error}"
            );
            let kept = builder.prepare_in_time()?;
            refuse_fixed(&bound, kept.config()).map_err(Box::new)?;
            Ok(builder.build_in_time(kept, None)?)
        }
        built => Ok(built?),
    }
}
