//! The first load of a process: there is nothing that serves yet, and perhaps a copy of what served in the process before.

use std::sync::Arc;

use super::StartError;
use crate::snapshot::{PreparedConfig, SnapshotBuilder};
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
