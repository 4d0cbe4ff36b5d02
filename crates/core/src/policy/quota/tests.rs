use proptest::prelude::*;

use super::*;
use crate::config::{Config, QuotaConfig};

const HOUR: u64 = 3600;

fn quota(bounds: &str) -> PolicyQuota {
    let text = format!("name: q\nper: session\nmodels: [frontier]\notherwise: small\n{bounds}");
    let file = format!(
        "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{p: {{base_url: http://h}}}}\n\
         models: {{small: {{provider: p}}, frontier: {{provider: p, price: {{input: 1, output: 1}}}}}}\n\
         policies:\n  - name: auto\n    strategy: {{kind: random, models: [small, frontier]}}\n    quotas:\n      - {}\n",
        text.trim_end().replace('\n', "\n        ")
    );
    let config = Config::parse(&file, "c.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let section: &QuotaConfig = &config.policies[0].quotas[0];
    PolicyQuota::new(section)
}

/// One holder's allowance, driven as the gateway drives it.
struct Holder {
    quota: PolicyQuota,
    allowance: QuotaAllowance,
}

impl Holder {
    fn new(bounds: &str) -> Self {
        let quota = quota(bounds);
        Self { allowance: quota.fresh(0), quota }
    }

    fn is_left(&self, now: u64) -> bool {
        self.quota.is_left(self.quota.at(self.allowance, now))
    }

    fn change(&mut self, now: u64, change: QuotaChange) {
        self.allowance = self.quota.changed(self.quota.at(self.allowance, now), change);
    }

    /// Asks for a strong answer and returns what was reserved.
    fn ask(&mut self, now: u64, estimate: f64) -> QuotaReservation {
        let reserved = if self.is_left(now) { QuotaReservation::Answer(estimate) } else { QuotaReservation::Nothing };
        self.change(now, self.quota.taken(reserved));
        reserved
    }

    fn end(&mut self, now: u64, reserved: QuotaReservation, end: QuotaUse) {
        self.change(now, self.quota.settled(reserved, end));
    }

    /// Asks for a strong answer that comes at once; returns whether it was strong.
    fn answer(&mut self, now: u64, cost: f64) -> bool {
        let reserved = self.ask(now, cost);
        let is_strong = reserved != QuotaReservation::Nothing;
        self.end(now, reserved, if is_strong { QuotaUse::Strong(Some(cost)) } else { QuotaUse::Other });
        is_strong
    }
}

#[test]
fn a_new_holder_has_its_burst_and_then_its_share() {
    let mut holder = Holder::new("share: 0.2\nburst: 3");

    let answers: Vec<bool> = (0..23).map(|now| holder.answer(now, 0.0)).collect();

    assert!(answers[..3].iter().all(|strong| *strong));
    let strong = answers.iter().filter(|strong| **strong).count();
    assert_eq!(strong, 7, "three at once, and a fifth of 23: {answers:?}");
}

#[test]
fn what_fails_earns_nothing_and_gives_back_what_it_reserved() {
    let mut holder = Holder::new("share: 0.5\nburst: 1");

    for now in 0..50 {
        let reserved = holder.ask(now, 0.0);
        assert_eq!(reserved, QuotaReservation::Answer(0.0));
        holder.end(now, reserved, QuotaUse::Unanswered);
    }
    assert!(holder.answer(50, 0.0));
    for now in 51..100 {
        holder.end(now, QuotaReservation::Nothing, QuotaUse::Unanswered);
    }

    assert!(!holder.is_left(100), "49 failures bought a strong answer");
}

#[test]
fn an_answer_of_a_fallback_is_counted_by_the_model_that_gave_it() {
    let mut holder = Holder::new("share: 0\nburst: 2");

    let reserved = holder.ask(0, 0.0);
    holder.end(0, reserved, QuotaUse::Other); // the strong one failed
    holder.end(0, QuotaReservation::Nothing, QuotaUse::Strong(None)); // the weak one failed
    assert!(holder.answer(0, 0.0));
    assert!(!holder.is_left(0));

    (0..100).for_each(|_| holder.end(0, QuotaReservation::Nothing, QuotaUse::Strong(None)));
    assert!(holder.is_left(HOUR), "no more is owed than comes back");
}

#[test]
fn dollars_are_reserved_by_an_estimate_booked_as_they_are_and_come_back_in_a_window() {
    let mut holder = Holder::new("dollars: 1\nwindow: 1h");

    let reserved: Vec<_> = (0..4).map(|_| holder.ask(0, 0.4)).collect();
    let granted = reserved.iter().filter(|one| **one != QuotaReservation::Nothing).count();
    assert_eq!(granted, 3, "requests at once see what the others reserved");

    holder.end(0, reserved[0], QuotaUse::Strong(Some(0.1)));
    assert!(holder.is_left(0), "0.9 of 1");
    holder.end(0, reserved[1], QuotaUse::Strong(Some(2.1)));
    holder.end(0, reserved[2], QuotaUse::Strong(None));
    assert!(!holder.is_left(HOUR), "2.6 are owed, and 1 comes back in an hour");
    assert!(holder.is_left(2 * HOUR));
    assert!(!holder.quota.is_forgotten(holder.allowance, 2 * HOUR));
    assert!(holder.quota.is_forgotten(holder.allowance, 3 * HOUR));
}

#[test]
fn a_quiet_window_brings_the_burst_back_and_a_shorter_one_does_not() {
    let mut holder = Holder::new("share: 0\nburst: 1\nwindow: 1m");

    assert!(holder.answer(0, 0.0));
    assert!(!holder.answer(59, 0.0));
    assert!(!holder.answer(118, 0.0));
    assert!(holder.answer(178, 0.0));
}

#[test]
fn a_clock_that_goes_back_gives_nothing() {
    let mut holder = Holder::new("share: 0\nburst: 1\ndollars: 1");

    assert!(holder.answer(10 * HOUR, 2.0));

    assert!(!holder.is_left(0));
    assert!(!holder.is_left(10 * HOUR));
}

#[test]
fn rules_and_what_nobody_chose_are_exempt_unless_the_rules_are_bound() {
    let exempt = quota("share: 0.1");
    let bound = quota("share: 0.1\nrules: bound");

    assert!(!exempt.binds(DecisionMaker::Rule(0)) && bound.binds(DecisionMaker::Rule(0)));
    for by in [DecisionMaker::Strategy("tiers"), DecisionMaker::Override, DecisionMaker::Affinity] {
        assert!(exempt.binds(by), "{by:?}");
    }
    assert!(!bound.binds(DecisionMaker::Default));
}

proptest! {
    #[test]
    fn of_any_answers_in_a_row_no_more_are_strong_than_the_burst_and_the_share(
        share in 0.0..0.99_f64,
        burst in 1..20_u32,
        stream in prop::collection::vec((any::<bool>(), 0..60_u64, any::<bool>()), 1..300),
        from in 0..300_usize,
    ) {
        let mut holder = Holder::new(&format!("share: {share}\nburst: {burst}\nwindow: 30d"));
        let mut now = 0;
        let mut answers = Vec::new();
        for (wants_strong, pause, fails) in stream {
            now += pause;
            let reserved = if wants_strong { holder.ask(now, 0.0) } else { QuotaReservation::Nothing };
            let is_strong = reserved != QuotaReservation::Nothing;
            let end = match (fails, is_strong) {
                (true, _) => QuotaUse::Unanswered,
                (false, true) => QuotaUse::Strong(None),
                (false, false) => QuotaUse::Other,
            };
            holder.end(now, reserved, end);
            if !fails {
                answers.push(is_strong);
            }
        }
        let row = &answers[from.min(answers.len())..];
        let strong = row.iter().filter(|strong| **strong).count() as f64;
        prop_assert!(strong <= f64::from(burst) + share * row.len() as f64 + 1e-6);
    }

    #[test]
    fn dollars_of_any_stream_stay_within_the_bound_the_windows_and_one_answer(
        stream in prop::collection::vec((0..600_u64, 0.0..2.0_f64), 1..200),
    ) {
        let mut holder = Holder::new("dollars: 5\nwindow: 1h");
        let (mut now, mut spent) = (0, 0.0);
        for (pause, cost) in stream {
            now += pause;
            if holder.answer(now, cost) {
                spent += cost;
            }
        }
        prop_assert!(spent <= 5.0 * (1.0 + now as f64 / HOUR as f64) + 2.0);
    }
}
