//! The counters of a budget's holders: a table of a fixed size, so that holders who are made up take no more memory.
//!
//! Found and changed without a lock. A counter stays in its place until its period is over; the place is anybody's then.
//! Holders that find no place among a few share one counter.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use pointsman_core::config::BudgetSpan;

use super::counter::{HolderNumber, PeriodCounter};

/// Places that are looked at for one holder.
const PROBES: usize = 32;

/// The holder of the counter that those share who found no place.
const OTHERS: HolderNumber = HolderNumber { owner: u64::MAX, session: u64::MAX };

/// The counters of a budget's holders.
pub(super) struct HolderTable {
    places: Box<[ArcSwapOption<PeriodCounter>]>,
    others: ArcSwapOption<PeriodCounter>,
    /// The beginning of the counters' names in the store.
    prefix: String,
}

impl HolderTable {
    /// Makes a table with room for `holders`, and half as much again.
    pub(super) fn new(holders: usize, prefix: String) -> Self {
        let places = (holders + holders / 2).next_power_of_two().max(PROBES);
        let places = std::iter::repeat_with(ArcSwapOption::empty).take(places).collect();
        Self { places, others: ArcSwapOption::empty(), prefix }
    }

    /// Returns the counter of a holder in a period, if the holder has used anything.
    pub(super) fn find(&self, holder: HolderNumber, span: BudgetSpan) -> Option<Arc<PeriodCounter>> {
        for place in self.probes(holder) {
            let held = place.load();
            // A holder takes the first place that is anybody's, and none becomes so before the period is over.
            let counter = held.as_ref().filter(|counter| counter.span.start >= span.start)?;
            if counter.holder == holder && counter.span == span {
                return Some(Arc::clone(counter));
            }
        }
        None
    }

    /// Returns the counter of a holder in a period, and makes it the first time.
    pub(super) fn counter(&self, holder: HolderNumber, span: BudgetSpan) -> Arc<PeriodCounter> {
        let own = self.probes(holder).find_map(|place| self.claim(place, holder, span));
        own.or_else(|| self.claim(&self.others, OTHERS, span)).unwrap_or_else(|| self.made(OTHERS, span))
    }

    fn probes(&self, holder: HolderNumber) -> impl Iterator<Item = &ArcSwapOption<PeriodCounter>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(holder);
        #[expect(clippy::cast_possible_truncation, reason = "any part of a hash will do")]
        let first = hash as usize;
        (0..PROBES).map(move |step| &self.places[first.wrapping_add(step) & (self.places.len() - 1)])
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
                Some(counter) if counter.holder == holder && counter.span.start >= span.start => {
                    return Some(Arc::clone(counter));
                }
                Some(counter) if counter.holder != holder && counter.span.start >= span.start => return None,
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
