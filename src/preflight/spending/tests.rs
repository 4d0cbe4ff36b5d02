use std::sync::Arc;

use pointsman_telemetry::Metrics;

use super::*;
use crate::snapshot::SnapshotBuilder;

/// Returns the warnings of a configuration with these budgets, clients and further sections.
fn warned(budgets: &str, clients: &str, more: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    let text = format!(
        "version: 1
listen: {{address: '127.0.0.1:0'}}
providers: {{p: {{base_url: 'http://127.0.0.1:1/v1'}}}}
models:
  free: {{provider: p}}
  priced: {{provider: p, price: {{input: 1, output: 2}}}}
policies:
  - {{name: auto, match: {{model: [auto]}}, strategy: {{kind: random, models: [priced]}}}}
{clients}
budgets: [{budgets}]
{more}
"
    );
    std::fs::write(&path, text).expect("written");
    let builder = SnapshotBuilder::new(&path, Arc::new(Metrics::new()));
    let prepared = builder.prepare().unwrap_or_else(|problems| panic!("{problems}"));
    let snapshot = builder.build(prepared, None).expect("a snapshot");
    warnings(&snapshot).iter().map(ToString::to_string).collect()
}

const CLIENTS: &str =
    "clients: {web: {}, app: {team: red, policies: [auto]}}\nteams: {red: {}}\nclient_keys: {file: keys.jsonl}";

#[test]
fn dollars_that_a_model_without_a_price_does_not_use_are_warned_about() {
    let of_web = warned("{name: a, clients: [web], dollars: 1}", CLIENTS, "");

    assert_eq!(of_web.len(), 1, "{of_web:?}");
    assert!(of_web[0].contains("budgets[0].dollars") && of_web[0].contains("`free`, without a `price`"), "{of_web:?}");
    assert!(!of_web[0].contains("`priced`") && !of_web[0].contains("pass through"), "{of_web:?}");
    assert_eq!(warned("{name: a, per: session, dollars: 1}", "", "").len(), 1, "without clients everybody may name it");
}

#[test]
fn dollars_are_counted_where_every_model_has_a_price_or_tokens_are_bound_too() {
    for budget in [
        "{name: a, clients: [app], dollars: 1}", // whose only policy has priced models
        "{name: a, clients: [web], dollars: 1, tokens: 1000}",
        "{name: a, clients: [web], requests: 7}",
    ] {
        assert_eq!(warned(budget, CLIENTS, ""), Vec::<String>::new(), "{budget}");
    }
    let denied = "clients: {web: {models: {deny: [free]}}}\nclient_keys: {file: keys.jsonl}";
    assert_eq!(warned("{name: a, dollars: 1}", denied, ""), Vec::<String>::new());
}

#[test]
fn what_passes_through_to_a_provider_without_listed_prices_is_warned_about() {
    let passing = warned("{name: a, clients: [web], dollars: 1}", CLIENTS, "default_provider: p");

    assert!(passing[0].contains("pass through to `default_provider`"), "{passing:?}");
    assert_eq!(warned("{name: a, clients: [app], dollars: 1}", CLIENTS, "default_provider: p").len(), 0);
}

#[test]
fn globs_that_match_nobody_and_budgets_for_nobody_are_warned_about() {
    let typo = warned("{name: a, clients: [ww, 'w*'], requests: 1}", CLIENTS, "");
    let team = warned("{name: a, teams: [blue], requests: 1}", CLIENTS, "");
    let nobody = warned("{name: a, clients: [web], teams: [red], requests: 1}", CLIENTS, "");

    assert_eq!(typo.len(), 1, "{typo:?}");
    assert!(typo[0].contains("budgets[0].clients[0]") && typo[0].contains("`ww` matches no client"), "{typo:?}");
    assert!(typo[0].contains("`app`, `web`"), "{typo:?}");
    assert!(team.len() == 1 && team[0].contains("`blue` matches no team (there are: `red`)"), "{team:?}");
    assert!(nobody.len() == 1 && nobody[0].contains("budgets[0]: is for nobody"), "{nobody:?}");
}
