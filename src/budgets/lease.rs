//! The account of one counter between this process and the store: what was granted ahead of need, spent and returned.
//!
//! All three only say how much it is in sum since the account began, so that a report may be lost, repeated or
//! overtaken by a later one, and nothing is counted twice. The lead is what was granted and neither spent nor returned,
//! nor needed by a request whose answer is still under way: requests that fit into it ask nobody. A lead lasts for as long as the store certainly keeps it; one that its process
//! does not renew goes back to all. Knows nothing of the store's words (`store_counter`).

use std::time::Duration;

use tokio::time::Instant;

use super::amounts::{BudgetAmounts, BudgetBounds, BudgetUnit};

/// Turns of the exchange with the store for which a lead is to last.
const TURNS_AHEAD: i64 = 4;

/// The share of the usual use that is forgotten each turn, as its reciprocal.
const FORGOTTEN: i64 = 8;

/// The time after the lease for which the store keeps what its process does not renew.
const KEPT_BEYOND: Duration = Duration::from_secs(2);

/// The part of that time for which the process may still use it: the rest is for clocks that run at different speeds.
const USED_BEYOND: Duration = Duration::from_secs(1);

/// The terms on which a counter's parts are drawn from the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeaseTerms {
    /// The bounds beyond which requests are refused.
    pub(super) bounds: BudgetBounds,
    /// The time that an unused part may be held.
    pub(super) lease: Duration,
    /// The number of the store that grants it.
    pub(super) store: u64,
}

/// A process's account of one counter.
#[derive(Debug, Default)]
pub(super) struct LeaseAccount {
    terms: LeaseTerms,
    granted: BudgetAmounts,
    spent: BudgetAmounts,
    returned: BudgetAmounts,
    /// What requests need that the store was asked for: it may be granted by now, and is theirs.
    awaited: BudgetAmounts,
    /// The parts of `spent` and `returned` that the store has certainly heard of.
    told: ToldAmounts,
    /// What all have used, as the store said last, and what had been spent here by then.
    heard: HeardUse,
    /// The time since when the store has the counter, as it said last; 0 where it never did.
    since: i64,
    /// The most that the store lets the process hold.
    most: BudgetAmounts,
    /// What requests took since the last turn, and usually take in one.
    lately: BudgetAmounts,
    usually: BudgetAmounts,
    last_use: Option<Instant>,
    valid_until: Option<Instant>,
    /// The numbers of the last report, and of the last that was answered.
    reports: u64,
    answered: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct ToldAmounts {
    spent: BudgetAmounts,
    returned: BudgetAmounts,
}

#[derive(Debug, Clone, Copy, Default)]
struct HeardUse {
    used: BudgetAmounts,
    spent: BudgetAmounts,
}

/// A process's report on its account, with what it asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseReport {
    pub(super) spent: BudgetAmounts,
    pub(super) returned: BudgetAmounts,
    /// The part of `spent` that the store has certainly heard of.
    pub(super) told: BudgetAmounts,
    /// Counts up, so that a report that was overtaken is known as such.
    pub(super) number: u64,
    /// What a request needs; nothing where none waits.
    pub(super) need: BudgetAmounts,
    /// The lead that the process would like to have.
    pub(super) target: BudgetAmounts,
    pub(super) bounds: BudgetBounds,
    /// The time since when the store had the counter when the process last heard of it; 0 where it never did.
    pub(super) since: i64,
    /// What all had spent by then.
    pub(super) heard: BudgetAmounts,
    sent: Instant,
    lease: Duration,
}

/// The store's answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeaseAnswer {
    /// What the process was granted in sum.
    pub(super) granted: BudgetAmounts,
    /// What all processes have spent, so far as they have said.
    pub(super) used: BudgetAmounts,
    /// What other processes hold unused.
    pub(super) others: BudgetAmounts,
    /// The most that the process may hold.
    pub(super) most: BudgetAmounts,
    /// The time since when the store has the counter; another one where it has lost it meanwhile.
    pub(super) since: i64,
}

impl LeaseAccount {
    /// Returns what all have used, by what this process knows.
    pub(super) fn used(&self) -> BudgetAmounts {
        self.heard.used.plus(self.heard.spent.to(self.spent))
    }

    /// Takes `amounts` by what this process knows, where they fit within `bounds`.
    ///
    /// # Errors
    /// The unit of which too little is left; then nothing is taken.
    pub(super) fn take_by_knowledge(&mut self, amounts: BudgetAmounts, bounds: BudgetBounds) -> Result<(), BudgetUnit> {
        match bounds.lack(self.used(), amounts) {
            Some(unit) => Err(unit),
            None => {
                self.add(amounts);
                Ok(())
            }
        }
    }

    /// Takes `amounts` from the lead; returns whether they were there.
    pub(super) fn take_lead(&mut self, amounts: BudgetAmounts, terms: &LeaseTerms, now: Instant) -> bool {
        if self.terms != *terms || self.valid_until.is_none_or(|end| end <= now) {
            return false;
        }
        let (lead, used) = (self.lead(), self.used());
        let has = |unit: usize| match (terms.bounds.0[unit], amounts.0[unit]) {
            (None, _) => true,
            // Nothing fits wherever something is left.
            (Some(bound), 0) => used.0[unit] < bound,
            (Some(_), amount) => lead.0[unit] >= amount,
        };
        let has_all = (0..BudgetUnit::ALL.len()).all(has);
        if has_all {
            self.add(amounts);
            self.note_use(amounts, now);
        }
        has_all
    }

    /// Adds to what was spent, whatever is left.
    pub(super) fn add(&mut self, amounts: BudgetAmounts) {
        self.spent = self.spent.plus(amounts);
    }

    /// Reports for a request that needs more than the lead. All of the lead goes back, so that near the bound the
    /// request gets it together with what others have left.
    pub(super) fn ask(&mut self, need: BudgetAmounts, terms: LeaseTerms, now: Instant) -> LeaseReport {
        if self.terms.store != terms.store {
            // What another store has granted is nothing to this one.
            (self.granted, self.valid_until) = (self.spent.plus(self.returned).plus(self.awaited), None);
        }
        self.terms = terms;
        self.note_use(need, now);
        self.give_back(BudgetAmounts::default());
        self.awaited = self.awaited.plus(need);
        let target = self.target();
        self.report(need, target, now)
    }

    /// Ends the wait of a request that has asked for `need`.
    pub(super) fn end_wait(&mut self, need: BudgetAmounts) {
        self.awaited = need.to(self.awaited);
    }

    /// Reports once a turn. Gives back what is not needed: all where nothing was taken for as long as a lease is, or
    /// where the process ends.
    pub(super) fn turn(&mut self, now: Instant, ends: bool) -> LeaseReport {
        let is_idle = ends || self.last_use.is_none_or(|last| now.duration_since(last) >= self.terms.lease);
        let fading = BudgetAmounts(self.usually.0.map(|usually| usually - usually / FORGOTTEN));
        self.usually = self.lately.max(fading);
        self.lately = BudgetAmounts::default();
        let target = if is_idle { BudgetAmounts::default() } else { self.target() };
        let most = self.most;
        self.give_back(BudgetAmounts(std::array::from_fn(|unit| target.0[unit].min(most.0[unit]))));
        self.report(BudgetAmounts::default(), target, now)
    }

    /// Takes in what the store says to a report.
    pub(super) fn hear(&mut self, report: &LeaseReport, answer: &LeaseAnswer) {
        if report.number <= self.answered {
            return; // a later one says more
        }
        self.answered = report.number;
        (self.granted, self.most, self.since) = (answer.granted, answer.most, answer.since);
        self.told = ToldAmounts { spent: report.spent, returned: report.returned };
        self.heard = HeardUse { used: answer.used, spent: report.spent };
        self.valid_until = report.sent.checked_add(report.lease + USED_BEYOND);
    }

    /// Returns whether the process holds more than the store lets it.
    pub(super) fn is_recalled(&self) -> bool {
        self.lead().0.iter().zip(self.most.0).any(|(lead, most)| *lead > most)
    }

    /// Returns whether the store knows all, and nothing is held.
    pub(super) fn is_settled(&self) -> bool {
        let is_told = self.told.spent == self.spent && self.told.returned == self.returned;
        is_told && self.lead().0.iter().all(|lead| *lead <= 0)
    }

    /// Returns what was granted and is neither spent, returned nor awaited; less than nothing where more was spent.
    fn lead(&self) -> BudgetAmounts {
        self.spent.plus(self.returned).plus(self.awaited).to(self.granted)
    }

    fn note_use(&mut self, amounts: BudgetAmounts, now: Instant) {
        self.lately = self.lately.plus(amounts);
        self.last_use = Some(now);
    }

    /// Returns the lead that is worth having, in the units that are bounded.
    fn target(&self) -> BudgetAmounts {
        if self.terms.lease.is_zero() {
            return BudgetAmounts::default();
        }
        let target = self.lately.max(self.usually).times(TURNS_AHEAD);
        BudgetAmounts(std::array::from_fn(|unit| self.terms.bounds.0[unit].map_or(0, |_| target.0[unit].max(0))))
    }

    /// Gives all of the lead back but for `kept`.
    fn give_back(&mut self, kept: BudgetAmounts) {
        let excess = kept.to(self.lead()).max(BudgetAmounts::default());
        self.returned = self.returned.plus(excess);
    }

    fn report(&mut self, need: BudgetAmounts, target: BudgetAmounts, now: Instant) -> LeaseReport {
        self.reports += 1;
        let LeaseTerms { bounds, lease, .. } = self.terms;
        let (spent, returned, told) = (self.spent, self.returned, self.told.spent);
        let (number, since, heard) = (self.reports, self.since, self.heard.used);
        LeaseReport { spent, returned, told, number, need, target, bounds, since, heard, sent: now, lease }
    }
}

impl LeaseReport {
    /// Returns the time for which the store keeps what the process holds, unless it reports again.
    pub(super) fn kept(&self) -> Duration {
        self.lease + KEPT_BEYOND
    }

    /// Returns whether what the request needs would fit in `unit`, were nothing held by other processes.
    pub(super) fn fits_without_others(&self, answer: &LeaseAnswer, unit: BudgetUnit) -> bool {
        let own = self.spent.plus(self.returned).to(answer.granted);
        let used = answer.used.plus(own);
        let is_held = answer.others.0[unit as usize] > 0;
        let mut bound = BudgetBounds::default();
        bound.0[unit as usize] = self.bounds.0[unit as usize];
        is_held && bound.lack(used, self.need).is_none()
    }
}

#[cfg(test)]
mod tests;
