use super::*;

const LEASE: Duration = Duration::from_secs(1);

fn requests(count: i64) -> BudgetAmounts {
    BudgetAmounts([0, 0, count])
}

fn terms(bound: i64) -> LeaseTerms {
    LeaseTerms { bounds: BudgetBounds([None, None, Some(bound)]), lease: LEASE, store: 1 }
}

/// The answer of a store that has so much granted, knows of so much as spent, and lets the process hold so much.
fn answer(granted: i64, used: i64, most: i64) -> LeaseAnswer {
    let [granted, used, most] = [granted, used, most].map(requests);
    LeaseAnswer { granted, used, others: requests(0), most, since: 1 }
}

/// An account that was granted five requests when it asked for one, and has spent the one.
fn granted(now: Instant) -> LeaseAccount {
    let mut account = LeaseAccount::default();
    let report = account.ask(requests(1), terms(100), now);
    account.hear(&report, &answer(5, 0, 4));
    account.end_wait(requests(1));
    account.add(requests(1));
    account
}

#[test]
fn what_was_granted_is_there_until_it_is_spent() {
    let now = Instant::now();
    let mut account = granted(now);

    let taken = (0..9).filter(|_| account.take_lead(requests(1), &terms(100), now)).count();

    assert_eq!((taken, account.used()), (4, requests(5)));
    account.add(requests(-2)); // two were not answered
    assert!(account.take_lead(requests(2), &terms(100), now), "what is given back is there again");
    assert!(!account.take_lead(requests(1), &terms(100), now));
}

#[test]
fn what_was_not_renewed_in_time_is_spent_no_more() {
    let now = Instant::now();
    let mut account = granted(now);

    let last = account.take_lead(requests(1), &terms(100), now + LEASE + USED_BEYOND - Duration::from_millis(1));
    let late = account.take_lead(requests(1), &terms(100), now + LEASE + USED_BEYOND);

    assert_eq!((last, late), (true, false));
    assert!(account.turn(now, false).kept() > LEASE + USED_BEYOND, "the store keeps it for longer");
}

#[test]
fn what_is_not_used_goes_back_when_the_lease_is_over_and_when_the_process_ends() {
    let now = Instant::now();
    let [mut used, mut idle, mut ends] = [granted(now), granted(now), granted(now)];

    let returned = [
        used.turn(now + LEASE / 2, false).returned,
        idle.turn(now + LEASE, false).returned,
        ends.turn(now, true).returned,
    ];

    assert_eq!(returned, [requests(0), requests(4), requests(4)]);
    assert!(!idle.take_lead(requests(1), &terms(100), now));
    let report = idle.turn(now + LEASE, false);
    assert!(!idle.is_settled(), "the store has to hear of it");
    idle.hear(&report, &answer(5, 1, 0));
    assert!(idle.is_settled());
}

#[test]
fn what_the_store_lets_it_hold_no_more_is_recalled() {
    let now = Instant::now();
    let mut account = granted(now);

    let report = account.turn(now, false);
    account.hear(&report, &answer(5, 1, 1));

    assert!(account.is_recalled());
    assert_eq!(account.turn(now, false).returned, requests(3));
    assert!(!account.is_recalled());
}

#[test]
fn a_request_that_needs_more_than_the_lead_gives_it_back_and_asks_for_all() {
    let now = Instant::now();
    let mut account = granted(now);

    assert!(!account.take_lead(requests(6), &terms(100), now));
    let report = account.ask(requests(6), terms(100), now);

    assert_eq!((report.need, report.returned, report.spent), (requests(6), requests(4), requests(1)));
    assert!(!account.take_lead(requests(1), &terms(100), now), "nobody else spends it meanwhile");
}

#[test]
fn an_answer_that_a_later_one_overtook_changes_nothing() {
    let now = Instant::now();
    let mut account = granted(now);
    let earlier = account.turn(now, false);
    let later = account.turn(now, false);

    account.hear(&later, &answer(9, 7, 8));
    account.hear(&earlier, &answer(5, 1, 0));

    assert_eq!(account.used(), requests(7));
    assert!(account.take_lead(requests(8), &terms(100), now));
}

#[test]
fn what_a_request_waits_for_is_nobody_else_s_when_a_later_answer_comes_first() {
    let now = Instant::now();
    let mut account = LeaseAccount::default();
    let earlier = account.ask(requests(1), terms(100), now);
    let later = account.ask(requests(1), terms(100), now);

    account.hear(&later, &answer(2, 0, 0));
    account.end_wait(requests(1));
    account.add(requests(1));
    let stolen = account.take_lead(requests(1), &terms(100), now);
    account.hear(&earlier, &answer(1, 0, 0));
    account.end_wait(requests(1));
    account.add(requests(1));

    assert!(!stolen);
    assert_eq!((account.used(), account.lead()), (requests(2), requests(0)));
}

#[test]
fn what_was_granted_to_a_request_that_left_goes_back() {
    let now = Instant::now();
    let mut account = LeaseAccount::default();
    account.ask(requests(1), terms(100), now);
    let report = account.turn(now, false);
    account.hear(&report, &answer(1, 0, 0));
    assert!(account.is_settled());

    account.end_wait(requests(1));

    assert!(!account.is_settled());
    assert_eq!(account.turn(now, false).returned, requests(1));
}

#[test]
fn another_bound_and_another_store_have_granted_nothing() {
    let now = Instant::now();
    let mut account = granted(now);

    let others = [terms(50), LeaseTerms { store: 2, ..terms(100) }];
    let taken = others.map(|terms| account.take_lead(requests(1), &terms, now));
    let report = account.ask(requests(1), others[1], now);

    assert_eq!(taken, [false, false]);
    assert_eq!((report.returned, report.told), (requests(0), requests(0)), "the other store is told of all");
}

#[test]
fn what_costs_nothing_needs_no_lead_but_room() {
    let now = Instant::now();
    let mut account = LeaseAccount::default();
    let bounds = BudgetBounds([Some(10), None, None]);
    let terms = LeaseTerms { bounds, ..terms(0) };
    let report = account.ask(requests(1), terms, now);
    let used = |nanodollars: i64| LeaseAnswer { used: BudgetAmounts([nanodollars, 0, 0]), ..answer(1, 0, 0) };

    account.hear(&report, &used(9));
    account.end_wait(requests(1));
    let before = account.take_lead(requests(1), &terms, now);
    let report = account.turn(now, false);
    account.hear(&report, &used(10));

    assert_eq!((before, account.take_lead(requests(1), &terms, now)), (true, false));
}

#[test]
fn a_busy_process_draws_what_a_few_turns_take_and_an_idle_one_less_and_less() {
    let now = Instant::now();
    let mut account = granted(now);
    let busy = account.turn(now, false).target;
    let targets: Vec<i64> = (0..40).map(|_| account.turn(now, false).target.0[2]).collect();

    assert_eq!(busy, requests(TURNS_AHEAD));
    assert!(targets.is_sorted_by(|one, next| one >= next), "{targets:?}");
    (0..100).for_each(|_| account.add(requests(0)));
    let none = LeaseTerms { lease: Duration::ZERO, ..terms(100) };
    assert_eq!(account.ask(requests(1), none, now).target, requests(0), "without a lease every request asks");
}

#[test]
fn what_others_hold_may_be_waited_for() {
    let now = Instant::now();
    let mut account = LeaseAccount::default();
    let report = account.ask(requests(2), terms(10), now);
    let of = |used: i64, others: i64| LeaseAnswer { others: requests(others), ..answer(0, used, 0) };

    let fits = [of(8, 2), of(8, 0), of(9, 1), of(10, 2)]
        .map(|answer| report.fits_without_others(&answer, BudgetUnit::Requests));

    assert_eq!(fits, [true, false, false, false]);
}
