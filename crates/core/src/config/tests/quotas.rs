//! Quotas: what is refused, and how it is said.

use super::*;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}, frontier: {provider: p}}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    strategy: {kind: random, models: [small, frontier]}
    quotas:
      - QUOTA
";

fn found(quota: &str) -> Vec<String> {
    problems(&FILE.replace("QUOTA", quota))
}

#[test]
fn a_quota_is_read_with_its_defaults() {
    let text = FILE.replace("QUOTA", "{name: q, per: session, models: [frontier], share: 0.2, otherwise: small}");
    let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));

    let quota = &config.policies[0].quotas[0];

    assert_eq!((quota.burst, quota.window.0.as_secs(), quota.max_sessions), (10, 3600, 1000));
    assert_eq!((quota.rules, quota.without_alternative), (QuotaOnRules::Exempt, QuotaWithoutAlternative::Serve));
    assert_eq!((quota.per, QuotaHolder::default()), (QuotaHolder::Session, QuotaHolder::Client));
}

#[test]
fn a_quota_that_bounds_nothing_or_cannot_be_counted_is_refused() {
    for (quota, expected) in [
        (
            "{name: q, per: session, models: [frontier], otherwise: small}",
            "policies[0].quotas[0]: must hold `share` or `dollars`",
        ),
        (
            "{name: q, per: session, models: [], share: 0.2, otherwise: small}",
            "policies[0].quotas[0].models: is empty (allowed: models of the catalog)",
        ),
        (
            "{name: q, models: [frontier], share: 0.2, otherwise: small}",
            "policies[0].quotas[0].per: `client` needs `clients`, whose keys tell them apart (allowed: session)",
        ),
        (
            "{name: q, per: session, models: [frontier], share: 0.2, otherwise: frontier}",
            "policies[0].quotas[0].otherwise: `frontier` is one of the `models` that the quota bounds",
        ),
        (
            "{name: q, per: session, models: [frontier], share: 1, otherwise: small}",
            "policies[0].quotas[0].share: 1 is out of bounds (allowed: 0 to below 1)",
        ),
        (
            "{name: q, per: session, models: [frontier], dollars: 5, otherwise: small}",
            "policies[0].quotas[0].dollars: `frontier` has no `price` under `models`, so its cost is not known",
        ),
        (
            "{name: q, per: session, models: [frontier], share: 0.2, burst: 0, otherwise: small}",
            "policies[0].quotas[0].burst: 0 is out of bounds (allowed: 1 to 1000000)",
        ),
        (
            "{name: q, per: session, models: [frontier], share: 0.2, window: 0s, otherwise: small}",
            "policies[0].quotas[0].window: 0s is out of bounds (allowed: 1s to 30days)",
        ),
        (
            "{name: q, per: session, models: [frontier], share: 0.2, max_sessions: 0, otherwise: small}",
            "policies[0].quotas[0].max_sessions: 0 is out of bounds (allowed: 1 to 1000000)",
        ),
        (
            "{name: q, per: session, models: [fronteer], share: 0.2, otherwise: small}",
            "policies[0].quotas[0].models[0]: there is no model `fronteer`, did you mean `frontier`? (allowed: small, frontier)",
        ),
    ] {
        assert_eq!(found(quota), [expected]);
    }
}

#[test]
fn two_quotas_of_a_policy_have_names_of_their_own() {
    let quota = "{name: q, per: session, models: [frontier], share: 0.2, otherwise: small}";

    let found = found(&format!("{quota}\n      - {quota}"));

    assert_eq!(found, ["policies[0].quotas[1].name: `q` is the name of another quota (allowed: a name of its own)"]);
}
