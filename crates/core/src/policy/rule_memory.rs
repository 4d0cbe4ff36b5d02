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
    pub(super) macros: Vec<OnceLock<Result<Value, ExpressionFailure>>>,
    /// The outcomes of tests of texts, by their positions.
    pub(super) tests: Vec<OnceLock<bool>>,
}

/// The failure of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExpressionFailure {
    pub(super) cause: FailureCause,
    /// The failure in words.
    pub(super) text: String,
}

/// The cause of an expression's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureCause {
    /// The request: a number that is none, a division by zero, a text that is too long.
    Request,
    /// A classifier or a judge that gave no answer, or texts that are not at hand.
    Signal,
}

impl ExpressionFailure {
    /// A failure that is the request's own.
    pub(super) const fn of_request(text: String) -> Self {
        Self { cause: FailureCause::Request, text }
    }

    /// A failure for want of a signal.
    pub(super) const fn of_signal(text: String) -> Self {
        Self { cause: FailureCause::Signal, text }
    }
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
