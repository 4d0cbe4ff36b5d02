//! The counter of one holder in one period: its account behind a lock that is held for a few additions, and never
//! across a wait.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pointsman_core::config::BudgetSpan;

use super::holders::OTHER_SESSIONS;
use super::lease::LeaseAccount;

/// The holder of a counter: who it is, and which of its sessions, 0 where that makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct HolderNumber {
    pub(super) owner: u64,
    pub(super) session: u64,
}

impl HolderNumber {
    /// Returns what a session is called: its number as the decision log writes it, or that of the sessions which share a
    /// counter.
    pub(super) fn session_name(self) -> String {
        if self.session == OTHER_SESSIONS { "others".to_owned() } else { format!("{:016x}", self.session) }
    }
}

/// What one holder has used of a budget in one period.
#[derive(Debug)]
pub(super) struct PeriodCounter {
    pub(super) holder: HolderNumber,
    pub(super) span: BudgetSpan,
    /// The name of the counter in the store.
    pub(super) key: Box<str>,
    account: Mutex<LeaseAccount>,
    /// True while the counter waits for its turn with the store.
    pub(super) is_queued: AtomicBool,
}

impl PeriodCounter {
    pub(super) fn new(holder: HolderNumber, span: BudgetSpan, key: String) -> Self {
        let (account, is_queued) = Default::default();
        Self { holder, span, key: key.into(), account, is_queued }
    }

    /// Returns the account. Additions to whole numbers end whole, so that one whose holder panicked is as good as any.
    pub(super) fn account(&self) -> MutexGuard<'_, LeaseAccount> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
