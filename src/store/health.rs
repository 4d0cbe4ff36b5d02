//! The state of the store, as callers see it without asking.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use pointsman_core::config::without_secrets;
use pointsman_telemetry::metrics::StoreMetrics;

use super::command::StoreOperation;

/// A server, and the kind of a command that it refuses.
pub(super) type RefusalKey = (String, &'static str);

type Refusals = BTreeMap<RefusalKey, String>;

/// The state of the store.
#[derive(Debug)]
pub(super) struct StoreHealth {
    trouble: ArcSwapOption<Box<str>>,
    /// The part of a store that does not answer while another part does.
    shortfall: ArcSwapOption<Box<str>>,
    /// The last refusals, in the servers' words.
    refusals: Mutex<Refusals>,
    /// True while there are any: a look without a lock.
    is_refused: AtomicBool,
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
        let [is_refused, is_used, is_away] = std::array::from_fn(|_| AtomicBool::new(false));
        Self { trouble, shortfall, refusals: Mutex::default(), is_refused, is_used, is_away, metrics }
    }

    /// Returns what is wrong with the store as a whole.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.load().as_deref().map(|text| Arc::from(&**text))
    }

    /// Returns which part of the store does not answer, or what a server does not do.
    pub(super) fn shortfall(&self) -> Option<Arc<str>> {
        let shortfall = self.shortfall.load().as_deref().map(|text| Arc::from(&**text));
        shortfall.or_else(|| {
            let refusals = self.is_refused.load(Ordering::Acquire).then(|| self.refusals())?;
            let said: Vec<&str> = refusals.values().map(|why| &**why).collect();
            (!said.is_empty()).then(|| said.join("; ").into())
        })
    }

    /// Notes what a server said to a command: one that it refuses is refused again, however well it answers to others. One
    /// line of the log for the first refusal, and one when none is left. `server` is empty where there is one.
    pub(super) fn answered(&self, server: &dyn fmt::Display, what: StoreOperation, answer: Result<(), &str>) {
        if answer.is_ok() && !self.is_refused.load(Ordering::Acquire) {
            return;
        }
        let server = server.to_string();
        let at = if server.is_empty() { String::new() } else { format!("{server}: ") };
        let key = (server, what.as_str());
        match answer {
            Ok(()) => self.forget_refusals(|known| *known != key),
            Err(why) => {
                let why = without_secrets(&format!("{at}refuses `{}`: {why}", what.as_str())).into_owned();
                if !self.is_refused.swap(true, Ordering::AcqRel) {
                    tracing::warn!("The store answers and does not do what it is asked: {why}");
                }
                self.refusals().insert(key, why);
            }
        }
    }

    /// Forgets refusals but those to keep.
    pub(super) fn forget_refusals(&self, is_kept: impl Fn(&RefusalKey) -> bool) {
        let mut refusals = self.refusals();
        refusals.retain(|key, _| is_kept(key));
        if refusals.is_empty() && self.is_refused.swap(false, Ordering::AcqRel) {
            tracing::info!("The store does what it is asked");
        }
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
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
