//! The work that looking for warnings may take: a file may hold rules and patterns by the thousand.

use std::cell::Cell;

/// The comparisons of cases that are made for one file; a case is a handful of variables.
const MAX_WORK: u64 = 500_000;

/// The work that is left; when there is none, no more warnings are found.
#[derive(Debug)]
pub(super) struct LintBudget(Cell<u64>);

impl LintBudget {
    pub(super) const fn new() -> Self {
        Self(Cell::new(MAX_WORK))
    }

    /// Takes `work` out of what is left; `None` where there is not so much.
    pub(super) fn spend(&self, work: usize) -> Option<()> {
        let left = self.0.get().checked_sub(work as u64);
        self.0.set(left.unwrap_or_default());
        left.map(drop)
    }
}
