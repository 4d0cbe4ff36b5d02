//! The zero of the clocks that atomics hold: times of the process as numbers.

use std::sync::LazyLock;

use tokio::time::Instant;

/// The moment from which deployments count their milliseconds and seconds.
pub(super) static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
