//! Budgets, teams and the registry of client keys: what is refused, and how it is said.

use super::*;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}}
clients: {web: {keys: []}}
teams: {red: {}}
budgets:
  - BUDGET
";

/// Returns the problems of a file, of which there may be none.
fn problems_of(text: &str) -> Vec<String> {
    if Config::parse(text, "p.yaml").is_ok() { Vec::new() } else { problems(text) }
}

fn found(budget: &str) -> Vec<String> {
    problems_of(&FILE.replace("BUDGET", budget))
}

#[test]
fn a_budget_that_bounds_nothing_or_nobody_is_refused() {
    for (budget, expected) in [
        ("{name: b}", "budgets[0]: must hold `dollars`, `tokens` or `requests`"),
        ("{name: b, dollars: 0}", "budgets[0].dollars: is out of bounds (allowed: 0.000001 to 1000000 US dollars)"),
        ("{name: b, tokens: 0}", "budgets[0].tokens: 0 is out of bounds (allowed: 1 to 1000000000000)"),
        ("{name: b, requests: 0}", "budgets[0].requests: 0 is out of bounds (allowed: 1 to 1000000000000)"),
        ("{name: b, requests: 1, soft: 0}", "budgets[0].soft: 0 is out of bounds (allowed: above 0, at most 1)"),
        (
            "{name: b, requests: 1, max_sessions: 0}",
            "budgets[0].max_sessions: 0 is out of bounds (allowed: 1 to 1000000)",
        ),
        ("{name: b, requests: 1, lease: 61s}", "budgets[0].lease: 1m 1s is out of bounds (allowed: 0s to 1m)"),
    ] {
        assert_eq!(found(budget), [expected]);
    }
    assert_eq!(
        found("{name: b, requests: 1, per: team}\n  - {name: c, dollars: 2.5, per: session, lease: 0s}"),
        [""; 0]
    );
    let twice = found("{name: b, requests: 1}\n  - {name: b, requests: 1}");
    assert_eq!(twice, ["budgets[1].name: `b` is the name of another budget (allowed: a name of its own)"]);
}

#[test]
fn holders_need_the_sections_that_name_them() {
    let file = FILE.replace("BUDGET", "{name: b, requests: 1, per: HOLDER}");
    let without_teams = file.replace("teams: {red: {}}\n", "").replace("HOLDER", "team");
    let without_clients = file.replace("clients: {web: {keys: []}}\n", "").replace("HOLDER", "key");

    assert_eq!(problems_of(&without_teams), ["budgets[0].per: `team` needs `teams` (allowed: client, key, session)"]);
    assert_eq!(
        problems_of(&without_clients),
        ["budgets[0].per: `key` needs `clients`, whose keys tell them apart (allowed: session)"]
    );
}

#[test]
fn a_client_has_keys_or_a_registry_and_a_team_that_exists() {
    let file = FILE.replace("BUDGET", "{name: b, requests: 1}");
    let keyless = file.replace("{keys: []}", "{}");
    let registered = keyless.clone() + "client_keys: {file: keys.jsonl}\n";
    let stored = keyless.clone() + "client_keys: {store: {refresh: 5s}}\n";
    let teamless = file.replace("{keys: []}", "{team: blue, keys: []}");

    assert_eq!(
        problems_of(&keyless),
        ["clients.web: must hold `keys` (allowed: none only with `client_keys`, whose registry holds them)"]
    );
    assert_eq!(problems_of(&registered), [""; 0]);
    assert_eq!(
        problems_of(&stored),
        ["client_keys.store: needs `store`, which is not configured (allowed: {file: PATH})"]
    );
    assert_eq!(problems_of(&teamless), ["clients.web.team: there is no team `blue` (allowed: red)"]);
}
