//! The threads that read files and build from them: each load has one of its own, with a stated stack and a deadline.
//!
//! A read can hang for good (a file system whose server is gone cannot be interrupted), and a build can take longer than
//! anybody waits. Such a load is left behind: its thread goes on, its result is dropped, and whoever asked is told. Only
//! so many may be left behind at once; then loads are refused until one of them ends.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

/// The stack of a load's thread. Reserved, not taken: what nests in a file is bounded, and this is far beyond its bounds.
const STACK: usize = 64 << 20;

/// The most loads that may be left behind at once.
const MOST_OVERDUE: usize = 2;

/// The loads of a process.
#[derive(Debug, Default)]
pub(super) struct LoadThreads(Arc<Mutex<LoadLedger>>);

/// The loads whose threads run.
#[derive(Debug, Default)]
struct LoadLedger {
    begun: u64,
    running: BTreeMap<u64, LoadPhase>,
}

/// The phase of a load whose thread runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoadPhase {
    /// Somebody waits for it.
    Awaited,
    /// It was left behind.
    Overdue,
}

/// The reason why a load came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The load took longer than it may. It may go on, and its result is dropped.
    #[error(
        "reading files or building from them did not end within {} and was given up",
        humantime::format_duration(*.deadline)
    )]
    Overdue {
        /// The time that the load had.
        deadline: Duration,
    },
    /// Loads that were given up have not ended.
    #[error("{count} loads that were given up still hang, and no more are started (allowed: {MOST_OVERDUE})")]
    Crowded {
        /// Their number.
        count: usize,
    },
    /// The load panicked.
    #[error("the load panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The operating system gives no thread.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}

impl LoadThreads {
    /// Runs `load` on a thread of its own, and waits for it as long as `deadline`.
    ///
    /// # Errors
    /// When it takes longer, panics, or cannot be started.
    pub(super) fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        load: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let number = self.ledger().begin()?;
        let (sender, result) = sync_channel(1);
        let ledger = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("load".into()).stack_size(STACK).spawn(move || {
            let loaded = catch_unwind(AssertUnwindSafe(load));
            locked(&ledger).running.remove(&number);
            let _ = sender.send(loaded); // nobody may wait any more, and then it is dropped here
        });
        if let Err(error) = thread {
            self.ledger().running.remove(&number);
            return Err(error.into());
        }
        let loaded = match result.recv_timeout(deadline) {
            Err(RecvTimeoutError::Timeout) if self.ledger().leave_behind(number) => {
                return Err(LoadError::Overdue { deadline });
            }
            Err(RecvTimeoutError::Timeout) => result.recv(), // it has just ended
            Ok(loaded) => Ok(loaded),
            Err(RecvTimeoutError::Disconnected) => return Err(panicked(&"its thread is gone")),
        };
        loaded.map_err(|_| panicked(&"its thread is gone"))?.map_err(|panic| panicked(&*panic))
    }

    fn ledger(&self) -> MutexGuard<'_, LoadLedger> {
        locked(&self.0)
    }
}

impl LoadLedger {
    fn begin(&mut self) -> Result<u64, LoadError> {
        let count = self.running.values().filter(|phase| **phase == LoadPhase::Overdue).count();
        if count >= MOST_OVERDUE {
            return Err(LoadError::Crowded { count });
        }
        self.begun += 1;
        self.running.insert(self.begun, LoadPhase::Awaited);
        Ok(self.begun)
    }

    /// Leaves a load behind; false when it has ended.
    fn leave_behind(&mut self, number: u64) -> bool {
        self.running.get_mut(&number).map(|phase| *phase = LoadPhase::Overdue).is_some()
    }
}

fn locked(ledger: &Mutex<LoadLedger>) -> MutexGuard<'_, LoadLedger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panicked(panic: &(dyn Any + Send)) -> LoadError {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    LoadError::Panicked { message: text.unwrap_or("it does not say why").to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::SyncSender;

    use super::*;

    const AGES: Duration = Duration::from_secs(3600);

    /// Leaves a load behind that ends when the sender is dropped.
    fn hang(threads: &LoadThreads) -> SyncSender<()> {
        let (held, hold) = sync_channel::<()>(1);
        let hung = threads.run(Duration::ZERO, move || _ = hold.recv());
        assert!(matches!(hung, Err(LoadError::Overdue { .. })), "{hung:?}");
        held
    }

    #[test]
    fn a_load_that_hangs_is_left_behind_and_the_next_one_runs() {
        let threads = LoadThreads::default();

        let held = hang(&threads);

        assert_eq!(threads.run(AGES, || 1).expect("a thread"), 1);
        drop(held);
    }

    #[test]
    fn no_more_than_two_are_left_behind_until_one_of_them_ends() {
        let threads = LoadThreads::default();
        let held = [hang(&threads), hang(&threads)];

        let refused = threads.run(AGES, || 1).expect_err("two hang").to_string();
        drop(held);
        while !threads.ledger().running.is_empty() {
            thread::yield_now();
        }

        assert_eq!(refused, "2 loads that were given up still hang, and no more are started (allowed: 2)");
        assert_eq!(threads.run(AGES, || 1).expect("they have ended"), 1);
    }

    #[test]
    fn a_panic_is_an_error_and_a_deep_recursion_has_room() {
        fn deep(level: u32) -> u64 {
            let frame = std::hint::black_box([u64::from(level); 64]);
            if level == 0 { frame[0] } else { deep(level - 1) + frame[63] }
        }
        let threads = LoadThreads::default();

        let panicked = threads.run(AGES, || assert!(std::hint::black_box(false), "of its own"));

        assert_eq!(panicked.expect_err("a panic").to_string(), "the load panicked: of its own");
        assert!(threads.run(AGES, || deep(20_000)).expect("ten megabytes of stack") > 0);
    }
}
