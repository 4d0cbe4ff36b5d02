//! The counters of a budget's holders: a table of a fixed size, so that holders who are made up take no more memory.
//!
//! Found without a lock. A counter stays in its place until its period is over; the place is anybody's then. Sessions that
//! find no place among a few share one counter with the other sessions of their client, so that a client who makes
//! sessions up takes nothing from others; all who find none there either share one.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use pointsman_core::config::BudgetSpan;

use super::counter::{HolderNumber, PeriodCounter};

/// Places that are looked at for one holder.
const PROBES: usize = 32;

/// Places for the counters that the sessions of a client share.
const CLIENTS: usize = 1024;

/// The session of the counter that those of a client share who found no place.
pub(super) const OTHER_SESSIONS: u64 = u64::MAX;

/// The holder of the counter that those share who found no place at all.
const OTHERS: HolderNumber = HolderNumber { owner: u64::MAX, session: u64::MAX };

/// The counters of a budget's holders.
pub(super) struct HolderTable {
    places: Places,
    /// What the sessions of a client share that found no place.
    shared: Places,
    others: ArcSwapOption<PeriodCounter>,
    /// The beginning of the counters' names in the store.
    prefix: String,
}

type Places = Box<[ArcSwapOption<PeriodCounter>]>;

impl HolderTable {
    /// Makes a table with room for `holders`, and half as much again.
    pub(super) fn new(holders: usize, prefix: String) -> Self {
        let places = (holders + holders / 2).next_power_of_two().max(PROBES);
        let made = |places: usize| std::iter::repeat_with(ArcSwapOption::empty).take(places).collect();
        Self { places: made(places), shared: made(CLIENTS), others: ArcSwapOption::empty(), prefix }
    }

    /// Returns the counter of a holder in a period, if the holder has used anything.
    pub(super) fn find(&self, holder: HolderNumber, span: BudgetSpan) -> Option<Arc<PeriodCounter>> {
        for place in probes(&self.places, holder) {
            let held = place.load();
            // A holder takes the first place that is anybody's, and none becomes so before the period is over.
            let counter = held.as_ref().filter(|counter| is_current(counter, span))?;
            if counter.holder == holder && counter.span == span {
                return Some(Arc::clone(counter));
            }
        }
        None
    }

    /// Returns the counter of a holder in a period, and makes it the first time.
    pub(super) fn counter(&self, holder: HolderNumber, span: BudgetSpan) -> Arc<PeriodCounter> {
        let of_client = HolderNumber { session: OTHER_SESSIONS, ..holder };
        let own = probes(&self.places, holder).find_map(|place| self.claim(place, holder, span));
        let shared = || probes(&self.shared, of_client).find_map(|place| self.claim(place, of_client, span));
        let others = || self.claim(&self.others, OTHERS, span);
        own.or_else(shared).or_else(others).unwrap_or_else(|| self.made(OTHERS, span))
    }

    /// Returns the counters of a period.
    pub(super) fn counters(&self, span: BudgetSpan) -> impl Iterator<Item = Arc<PeriodCounter>> {
        let places = self.places.iter().chain(&self.shared).chain(std::iter::once(&self.others));
        places.filter_map(ArcSwapOption::load_full).filter(move |counter| counter.span == span)
    }

    /// Returns the holder's counter if the place is its own, or was anybody's.
    fn claim(
        &self,
        place: &ArcSwapOption<PeriodCounter>,
        holder: HolderNumber,
        span: BudgetSpan,
    ) -> Option<Arc<PeriodCounter>> {
        loop {
            let held = place.load();
            match held.as_ref() {
                // A request that began before the period ended may come after those of the next.
                Some(counter) if is_current(counter, span) => {
                    return (counter.holder == holder).then(|| Arc::clone(counter));
                }
                Some(_) | None => {}
            }
            let made = self.made(holder, span);
            let before = place.compare_and_swap(&*held, Some(Arc::clone(&made)));
            if before.as_ref().map(Arc::as_ptr) == held.as_ref().map(Arc::as_ptr) {
                return Some(made);
            }
        }
    }

    fn made(&self, holder: HolderNumber, span: BudgetSpan) -> Arc<PeriodCounter> {
        let HolderNumber { owner, session } = holder;
        let key = format!("{}:{}:{owner:016x}{session:016x}", self.prefix, span.start);
        Arc::new(PeriodCounter::new(holder, span, key))
    }
}

/// Returns the places that are looked at for a holder.
fn probes(
    places: &[ArcSwapOption<PeriodCounter>],
    holder: HolderNumber,
) -> impl Iterator<Item = &ArcSwapOption<PeriodCounter>> {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(holder);
    #[expect(clippy::cast_possible_truncation, reason = "any part of a hash will do")]
    let first = hash as usize;
    (0..PROBES).map(move |step| &places[first.wrapping_add(step) & (places.len() - 1)])
}

/// Returns whether a counter is of this period, or of the next, which requests of this one meet that come late. One of a
/// later period is of a clock that was wrong: it would keep its place until then.
fn is_current(counter: &PeriodCounter, span: BudgetSpan) -> bool {
    (span.start..=span.end).contains(&counter.span.start)
}
