//! The state of the store, as callers see it without asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use pointsman_core::config::without_secrets;
use pointsman_telemetry::metrics::StoreMetrics;

use super::command::StoreOperation;

/// The state of the store.
#[derive(Debug)]
pub(super) struct StoreHealth {
    trouble: ArcSwapOption<Box<str>>,
    /// The part of a store that does not answer while another part does.
    shortfall: ArcSwapOption<Box<str>>,
    is_used: AtomicBool,
    /// True once the log says that the store is away.
    is_away: AtomicBool,
    metrics: StoreMetrics,
}

impl StoreHealth {
    pub(super) fn new(metrics: StoreMetrics) -> Self {
        metrics.available(false);
        let trouble = ArcSwapOption::from_pointee(Box::from("not connected yet"));
        let shortfall = ArcSwapOption::empty();
        Self { trouble, shortfall, is_used: AtomicBool::new(false), is_away: AtomicBool::new(false), metrics }
    }

    /// Returns what is wrong with the store as a whole.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.load().as_deref().map(|text| Arc::from(&**text))
    }

    /// Returns which part of the store does not answer.
    pub(super) fn shortfall(&self) -> Option<Arc<str>> {
        self.shortfall.load().as_deref().map(|text| Arc::from(&**text))
    }

    /// Returns whether nobody has used the store before.
    pub(super) fn is_first_use(&self) -> bool {
        !self.is_used.load(Ordering::Relaxed) && !self.is_used.swap(true, Ordering::Relaxed)
    }

    /// Counts what a caller did not get.
    pub(super) fn failed(&self, what: StoreOperation) {
        self.metrics.failed(what.as_str());
    }

    pub(super) fn up(&self) {
        self.trouble.store(None);
        self.is_away.store(false, Ordering::Relaxed);
        self.metrics.available(true);
        tracing::info!("The store answers");
    }

    pub(super) fn down(&self, why: &str) {
        // The words are the client library's, which may repeat an address.
        let why = without_secrets(why);
        self.trouble.store(Some(Arc::new((&*why).into())));
        self.shortfall.store(None);
        self.metrics.available(false);
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!("The store does not answer, so this process goes by its own memory: {why}");
        }
    }

    /// Notes which part of the store does not answer, or that all of it does; one line of the log for each change
    /// between the two.
    pub(super) fn falls_short(&self, part: Option<String>) {
        let part = part.map(|part| without_secrets(&part).into_owned());
        match (&*self.shortfall.load(), &part) {
            (None, Some(part)) => tracing::warn!("A part of the store does not answer: {part}"),
            (Some(_), None) => tracing::info!("All of the store answers"),
            _ => {}
        }
        self.shortfall.store(part.map(|part| Arc::new(part.into())));
    }
}
