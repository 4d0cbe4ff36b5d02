use pointsman_core::config::Config;
use pointsman_core::policy::PolicySet;
use pointsman_core::policy::quota::QuotaReservation;

use super::*;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:0}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}, frontier: {provider: p}}
policies:
  - name: auto
    strategy: {kind: random, models: [small, frontier]}
    quotas: [{name: q, per: session, models: [frontier], share: 0, burst: 1, max_sessions: 3, window: 1m, otherwise: small}]
";

fn quota() -> PolicyQuota {
    let config = Config::parse(FILE, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let policies = PolicySet::compile(&config).expect("no rules");
    policies.iter().next().expect("a policy").quotas()[0].clone()
}

fn key(session: u64) -> AllowanceKey {
    AllowanceKey { client: None, session: Some(session) }
}

/// Asks for a strong answer of a session, and takes it if one is left.
fn ask(book: &mut AllowanceBook, quota: &PolicyQuota, session: u64, now: u64) -> bool {
    let is_left = quota.is_left(book.find(quota, &key(session), now));
    if is_left {
        book.change(quota, key(session), quota.taken(QuotaReservation::Answer(0.0)), now);
    }
    is_left
}

#[test]
fn a_client_that_makes_up_sessions_gets_no_more_than_the_sessions_that_are_told_apart_and_one() {
    let (quota, mut book) = (quota(), AllowanceBook::default());

    let strong = (0..100_000).filter(|session| ask(&mut book, &quota, *session, 5)).count();

    assert_eq!(strong, 4, "three sessions with a burst of one, and one that the others share");
    assert_eq!(book.clients[&None].sessions.len(), 3, "memory is bounded");
}

#[test]
fn sessions_that_are_over_make_room() {
    let (quota, mut book) = (quota(), AllowanceBook::default());
    let before = (0..4).filter(|session| ask(&mut book, &quota, *session, 0)).count();

    assert_eq!(before, 4);
    assert!(!ask(&mut book, &quota, 4, 59));
    book.change(&quota, key(4), QuotaChange::default(), 60);

    assert!(ask(&mut book, &quota, 4, 60), "the first three were quiet for a window");
}

#[test]
fn clients_never_share_an_allowance_and_those_that_are_gone_are_forgotten() {
    let (quota, mut book) = (quota(), AllowanceBook::default());
    let of = |client: &str| AllowanceKey { client: Some(Name::new(client).expect("a name")), session: Some(1) };
    book.change(&quota, of("anna"), quota.taken(QuotaReservation::Answer(0.0)), 0);

    assert!(!quota.is_left(book.find(&quota, &of("anna"), 0)));
    assert!(quota.is_left(book.find(&quota, &of("mallory"), 0)));
    book.keep_clients(|client| client == "mallory");
    assert!(book.clients.is_empty());
}

#[test]
fn what_others_are_to_hear_adds_up_is_taken_out_in_parts_and_is_kept_on_top_of_what_they_say() {
    let (quota, mut book) = (quota(), AllowanceBook::default());
    let taken = quota.taken(QuotaReservation::Answer(0.0));
    for session in [1, 1, 2] {
        let key = book.change(&quota, key(session), taken, 0);
        book.note(key, taken);
    }

    let first = book.take_unshared(1);
    let second = book.take_unshared(9);

    assert_eq!((first.len(), second.len(), book.take_unshared(9).len()), (1, 1, 0));
    let of_one = first.iter().chain(&second).find(|(own, _)| *own == key(1)).expect("a change");
    assert!((of_one.1.answers + 2.0).abs() < 1e-9);

    book.note(key(1), taken);
    book.replace(&quota, &key(1), quota.fresh(0));
    assert!(!quota.is_left(book.find(&quota, &key(1), 0)), "what came in meanwhile counts");
}
