use std::collections::BTreeMap;

use futures::executor::block_on;
use pointsman_core::config::{ClientConfigs, TeamConfig, UtcMoment};
use serde_json::{Value, json};

use super::*;
use crate::clients::ClientSections;

/// A Monday, a quarter past eleven.
fn now() -> u64 {
    "2026-11-30T11:15:00Z".parse::<UtcMoment>().expect("a moment").0
}

const DAY: u64 = 24 * 60 * 60;

/// Clients `web` and `app` of the team `red`, and `lone` of none.
pub(super) fn clients() -> Clients {
    let sections: ClientConfigs =
        serde_json::from_value(json!({"web": {"team": "red"}, "app": {"team": "red"}, "lone": {}})).expect("clients");
    let teams: BTreeMap<Name, TeamConfig> = serde_json::from_value(json!({"red": {}})).expect("teams");
    Clients::build(ClientSections { clients: Some(&sections), teams: &teams }, None, None)
}

pub(super) fn configs(budgets: &Value) -> Vec<BudgetConfig> {
    serde_json::from_value(budgets.clone()).expect("budgets")
}

/// Budgets of the clients above, with the metrics that they count in.
struct Counting {
    budgets: Budgets,
    clients: Clients,
    metrics: Arc<Metrics>,
}

impl Counting {
    fn of(budgets: &Value) -> Self {
        let (metrics, clients) = (Arc::new(Metrics::new()), clients());
        let own = Budgets::new(Arc::clone(&metrics));
        own.adopt(&configs(budgets), &clients);
        Self { budgets: own, clients, metrics }
    }

    fn party(&self, client: &str) -> BudgetParty<'_> {
        BudgetParty { client: self.clients.named(client).map(|client| &**client), key: None, session: None }
    }

    fn take(&self, client: &str, amounts: BudgetAmounts, now: u64) -> Result<Option<BudgetReservation>, BudgetRefusal> {
        block_on(self.budgets.reserve(self.party(client), amounts, now, None))
    }

    /// Uses so many US dollars, and settles by as many.
    fn spend(&self, client: &str, dollars: f64, now: u64) -> bool {
        let amounts = BudgetAmounts::of(dollars, 0, 1);
        let taken = self.take(client, amounts, now);
        taken.map(|reservation| reservation.expect("a budget").settle(amounts)).is_ok()
    }
}

#[test]
fn a_holder_has_its_budget_and_takes_nothing_from_another() {
    let counting = Counting::of(&json!([{"name": "daily", "dollars": 1.0}]));

    let web = [counting.spend("web", 0.6, now()), counting.spend("web", 0.5, now()), counting.spend("web", 0.4, now())];
    let app = counting.spend("app", 1.0, now());
    let lone = [counting.spend("lone", 1.1, now()), counting.spend("lone", 0.1, now())];

    assert_eq!((web, app), ([true, false, true], true));
    assert_eq!(lone, [false, true], "what is dearer than the whole budget is never sent");
}

#[test]
fn the_clients_of_a_team_share_its_budget_and_a_client_without_one_has_none() {
    let counting = Counting::of(&json!([{"name": "team", "per": "team", "requests": 2}]));
    let one = BudgetAmounts::of(0.0, 0, 1);

    let held =
        [counting.take("web", one, now()).expect("the first"), counting.take("app", one, now()).expect("the second")];

    assert!(held.iter().all(Option::is_some));
    assert!(counting.take("web", one, now()).is_err());
    assert!(counting.take("lone", one, now()).expect("no budget").is_none());
    drop(held);
    assert!(counting.take("app", one, now()).is_ok(), "what nobody answered is given back");
}

#[test]
fn a_reservation_that_was_never_taken_gives_nothing_back() {
    let counting = Counting::of(&json!([{"name": "daily", "requests": 2}]));
    let one = BudgetAmounts::of(0.0, 0, 1);
    let _held = counting.take("web", one, now()).expect("the first");

    let ledger = counting.budgets.roster.load().all[0].clone();
    let counter = ledger.counter(counting.party("web"), now()).expect("a holder");
    drop(BudgetReservation::new(vec![(ledger, counter)], one, None)); // as where its client left while the store was asked

    assert!(counting.spend("web", 0.0, now()));
    assert!(!counting.spend("web", 0.0, now()));
}

#[test]
fn a_refusal_says_which_bound_is_reached_and_when_it_begins_anew() {
    let counting = Counting::of(&json!([
        {"name": "daily", "dollars": 100.0},
        {"name": "weekly", "tokens": 1000, "period": "week"}
    ]));
    counting
        .take("web", BudgetAmounts::of(0.0, 900, 1), now())
        .expect("enough")
        .expect("a budget")
        .settle(BudgetAmounts::of(3.0, 990, 1));

    let refused = counting.take("web", BudgetAmounts::of(0.0, 11, 1), now()).expect_err("10 are left");

    let BudgetRefusal::Exceeded(exceeded) = refused else { panic!("{refused:?}") };
    assert_eq!((exceeded.budget.as_str(), exceeded.bound.as_str()), ("weekly", "1000 tokens a week"));
    assert_eq!((exceeded.resets_at, exceeded.wait), (now() + exceeded.wait, 7 * DAY - 11 * 3600 - 15 * 60));
    let uses = counting.budgets.uses(&counting.clients, now());
    let is_web_s = |own: &&BudgetUse| own.budget.name.as_str() == "daily" && own.holder.name == "web";
    let daily = uses.iter().find(is_web_s).expect("its use");
    assert!((daily.used_ratio - 0.03).abs() < 1e-9, "the refused request took nothing of it: {daily:?}");
    let text = counting.metrics.render();
    assert!(text.contains(r#"pointsman_budget_hits_total{budget="weekly",outcome="refused"} 1"#), "{text}");
}

#[test]
fn of_many_sessions_those_are_listed_that_used_most_and_what_the_others_share() {
    let counting = Counting::of(&json!([{"name": "session", "per": "session", "requests": 1000, "max_sessions": 1}]));
    for session in 1..=200 {
        let party = BudgetParty { session: Some(session), ..counting.party("web") };
        let amounts = BudgetAmounts::of(0.0, 0, if session == 1 { 300 } else { 1 });
        block_on(counting.budgets.reserve(party, amounts, now(), None))
            .expect("enough")
            .expect("a budget")
            .settle(amounts);
    }

    let uses = counting.budgets.uses(&counting.clients, now());

    let listed: Vec<_> = uses.iter().map(|own| (own.holder.name.as_str(), own.used.requests())).collect();
    assert_eq!(listed.len(), 20, "{listed:?}");
    assert_eq!(listed[0], ("0000000000000001", 300));
    assert!(listed[1].0 == "others" && listed[1].1 > 100, "{listed:?}");
    assert!(uses.iter().all(|own| own.holder.client.as_ref().is_some_and(|client| client.as_str() == "web")));
}

#[test]
fn a_period_s_end_begins_anew_and_a_late_settlement_stays_in_its_own() {
    let counting = Counting::of(&json!([{"name": "daily", "dollars": 1.0}]));
    let midnight = now() / DAY * DAY + DAY;
    let late = counting.take("web", BudgetAmounts::of(0.9, 0, 1), midnight - 1).expect("enough").expect("a budget");

    assert!(!counting.spend("web", 0.2, midnight - 1));
    assert!(counting.spend("web", 0.9, midnight));
    late.settle(BudgetAmounts::of(5.0, 0, 1));

    assert!(counting.spend("web", 0.1, midnight + DAY - 1), "yesterday's costs are not today's");
    assert!(!counting.spend("web", 0.1, midnight + DAY - 1));
    assert!(counting.spend("web", 1.0, midnight + DAY));
}

#[test]
fn a_reload_keeps_what_was_used_and_counts_it_against_the_new_bound() {
    let counting = Counting::of(&json!([{"name": "daily", "dollars": 1.0}]));
    assert!(counting.spend("web", 0.9, now()));

    counting.budgets.adopt(&configs(&json!([{"name": "daily", "dollars": 2.0}])), &clients());
    let after_more = [counting.spend("web", 1.2, now()), counting.spend("web", 1.0, now())];
    counting.budgets.adopt(&configs(&json!([{"name": "daily", "dollars": 1.0, "period": "month"}])), &clients());
    let monthly = counting.spend("web", 1.0, now());

    assert_eq!((after_more, monthly), ([false, true], true));
}

#[test]
fn beyond_its_soft_share_a_budget_is_tight_and_may_go_on_serving() {
    let counting =
        Counting::of(&json!([{"name": "daily", "dollars": 1.0, "soft": 0.5, "beyond": "serve", "clients": ["w*"]}]));
    let tight = || counting.budgets.tight(counting.party("web"), now());

    assert!(counting.spend("web", 0.4, now()) && tight().is_none());
    assert!(counting.spend("web", 0.1, now()));
    assert_eq!(tight().as_deref(), Some("daily"));
    assert!(counting.spend("web", 7.0, now()), "it only makes policies save");
    assert!(!counting.budgets.concern(counting.party("app").client));
    assert!(counting.budgets.tight(counting.party("web"), now() + DAY).is_none());
}

#[test]
fn requests_at_once_never_take_more_than_there_is() {
    let counting = Counting::of(
        &json!([{"name": "daily", "requests": 1000}, {"name": "hourly", "per": "team", "requests": 700, "period": "hour"}]),
    );

    let taken: usize = std::thread::scope(|scope| {
        let take = |client: &'static str| (0..400).filter(|_| counting.spend(client, 0.0, now())).count();
        let workers: Vec<_> = (0..8).map(|index| scope.spawn(move || take(["web", "app"][index % 2]))).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
    });

    assert_eq!(taken, 700);
}

#[test]
fn sessions_beyond_the_bound_share_one_allowance() {
    let counting = Counting::of(&json!([{"name": "session", "per": "session", "requests": 1, "max_sessions": 1}]));
    let take = |session: u64| {
        let party = BudgetParty { client: None, key: None, session: Some(session) };
        let taken = block_on(counting.budgets.reserve(party, BudgetAmounts::of(0.0, 0, 1), now(), None));
        taken.map(|reservation| reservation.expect("a budget").settle(BudgetAmounts::of(0.0, 0, 1))).is_ok()
    };

    let admitted = (1..=1000).filter(|session| take(*session)).count();

    assert!(admitted <= 66, "a table of 32 places, and one counter for all others: {admitted}");
    assert!(!take(1), "a session keeps what it has used");
}

#[test]
fn a_client_that_makes_sessions_up_takes_nothing_from_the_sessions_of_another() {
    let counting = Counting::of(&json!([{"name": "session", "per": "session", "requests": 1, "max_sessions": 1}]));
    let take = |client: &str, session: u64| {
        let party = BudgetParty { session: Some(session), ..counting.party(client) };
        let taken = block_on(counting.budgets.reserve(party, BudgetAmounts::of(0.0, 0, 1), now(), None));
        taken.map(|reservation| reservation.expect("a budget").settle(BudgetAmounts::of(0.0, 0, 1))).is_ok()
    };
    let made_up = (1..=1000).filter(|session| take("web", *session)).count();

    assert!((1..66).contains(&made_up), "{made_up}");
    assert!(take("app", 1), "what the sessions of another client share is used up, and not this client's");
    assert!((2..=1000).filter(|session| take("app", *session)).count() < 32);
}

#[test]
fn a_clock_that_was_ahead_for_a_while_leaves_nothing_behind() {
    let counting = Counting::of(&json!([{"name": "daily", "dollars": 1.0}]));

    assert!(counting.spend("web", 0.9, now() + 1000 * DAY));
    assert!(counting.spend("web", 0.9, now()), "today's allowance is whole");
    assert!(!counting.spend("web", 0.9, now()), "and counted");
    assert!(counting.spend("web", 0.9, now() + DAY), "tomorrow's is another");
}

#[test]
fn the_metrics_show_clients_and_teams_and_fall_with_the_period() {
    let counting =
        Counting::of(&json!([{"name": "daily", "dollars": 1.0}, {"name": "team", "per": "team", "dollars": 1.0}]));
    counting.spend("web", 0.5, now());

    counting.budgets.show(now());
    let before = counting.metrics.render();
    counting.budgets.show(now() + DAY);
    let after = counting.metrics.render();

    let series = |holder: &str, budget: &str, share: &str| {
        format!("pointsman_budget_used_ratio{{budget=\"{budget}\",holder=\"{holder}\"}} {share}")
    };
    assert!(
        before.contains(&series("web", "daily", "0.5")) && before.contains(&series("red", "team", "0.5")),
        "{before}"
    );
    assert!(
        before.contains(&series("app", "daily", "0")) && !before.contains(&series("lone", "team", "0")),
        "{before}"
    );
    assert!(after.contains(&series("web", "daily", "0")), "{after}");
}
