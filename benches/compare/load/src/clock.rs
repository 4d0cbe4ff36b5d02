//! The machine's monotonic clock, which all processes on it share.

use rustix::time::{ClockId, clock_gettime};

/// Returns nanoseconds since the machine's start.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let whole = u64::try_from(time.tv_sec).expect("the monotonic clock is never negative");
    whole * 1_000_000_000 + u64::try_from(time.tv_nsec).expect("nanoseconds are never negative")
}
