//! The progress of a policy's rules with one request, kept so that asking for a signal does not evaluate them twice.
//!
//! Data alone: [`super::rules`] evaluates, [`super::signals`] carries the memory from one step to the next.

use std::iter;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cel::Value;

use super::decision::RuleTrace;
use crate::config::Name;

/// The memory of what the rules of a policy came to, so that asking for a signal does not evaluate them twice.
#[derive(Debug, Default)]
pub(super) struct RuleMemory(Mutex<Option<(Name, Arc<RuleProgress>)>>);

/// The progress of a policy's rules with one request.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleProgress {
    /// The next rule to try.
    pub(super) next: usize,
    pub(super) over: bool,
    /// The last rule that was true and chose a model.
    pub(super) chosen: Option<usize>,
    /// The rule that denied the request.
    pub(super) denied: Option<usize>,
    /// The rules that were true and set parameters, in order.
    pub(super) set: Vec<usize>,
    /// Each rule that was evaluated.
    pub(super) traces: Vec<RuleTrace>,
    pub(super) values: ExpressionValues,
}

/// The values that expressions have found for one request so far, so that none is computed twice.
#[derive(Debug, Clone, Default)]
pub(super) struct ExpressionValues {
    /// The macros' values, by their positions.
    pub(super) macros: Vec<OnceLock<Result<Value, String>>>,
    /// The outcomes of tests of texts, by their positions.
    pub(super) tests: Vec<OnceLock<bool>>,
}

impl RuleMemory {
    /// Takes out the progress of the rules of `policy`.
    pub(super) fn take(&self, policy: &Name) -> Option<Arc<RuleProgress>> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        remembered.filter(|(own, _)| own == policy).map(|(_, tried)| tried)
    }

    pub(super) fn store(&self, policy: &Name, tried: &Arc<RuleProgress>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((policy.clone(), Arc::clone(tried)));
    }
}

impl ExpressionValues {
    /// Makes room for the values of so many macros and tests, none of which is known.
    pub(super) fn unknown(macros: usize, tests: usize) -> Self {
        let macros = iter::repeat_with(OnceLock::new).take(macros).collect();
        Self { macros, tests: iter::repeat_with(OnceLock::new).take(tests).collect() }
    }
}
