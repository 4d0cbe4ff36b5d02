//! Affinity, targets, the store and state: what is refused, and how it is said.

use super::*;

const HELD: &str = "version: 1
listen: {address: 127.0.0.1:8080}
store: {redis: {url: 'redis://127.0.0.1:6379/0', timeout: 5ms}}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, price: {input: 1, output: 2}}
  standard: {provider: p}
  frontier: {provider: p, price: {input: 10, output: 20}}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    strategy: {kind: threshold, classifier: default, strong: frontier, weak: small, threshold: 0.42}
    affinity: {key: conversation, hold: 1h, move: up_only}
    target: {strong: [frontier], share: 0.25}
";

fn found(old: &str, new: &str) -> Vec<String> {
    assert!(HELD.contains(old), "{old}");
    problems(&HELD.replacen(old, new, 1))
}

#[test]
fn what_is_held_is_read_with_its_defaults() {
    let config = Config::parse(HELD, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));

    let affinity = config.policies[0].affinity.as_ref().expect("affinity");
    assert_eq!(
        (&affinity.key, affinity.moves, affinity.max_entries),
        (&AffinityKey::Conversation, MoveRule::UpOnly, 100_000)
    );
    assert_eq!(affinity.cache.0.as_secs(), 300);
    assert_eq!(config.policies[0].target.as_ref().and_then(Target::aim), Some(TargetQuantity::Share(0.25)));
}

#[test]
fn a_target_says_one_thing_and_something_that_a_threshold_can_hold() {
    let target = "{strong: [frontier], share: 0.25}";
    for (new, expected) in [
        (
            "{strong: [frontier]}",
            "policies[0].target: must hold exactly one of `share`, `cost_per_hour` and `cost_per_1k`",
        ),
        (
            "{share: 0.2, cost_per_1k: 1}",
            "policies[0].target: must hold exactly one of `share`, `cost_per_hour` and `cost_per_1k`",
        ),
        (
            "{cost_per_1k: 0}",
            "policies[0].target.cost_per_1k: is out of bounds (allowed: above 0, at most 1000000000 US dollars)",
        ),
        (
            "{strong: [standard], share: 0.2}",
            "policies[0].target.strong: lacks `frontier`, the model above the threshold that is moved",
        ),
        (
            "{strong: [frontier, small], share: 0.2}",
            "policies[0].target.strong: holds `small`, the model below the threshold: moving it would change nothing",
        ),
        ("{share: 0.2, min: 0.6, max: 0.5}", "policies[0].target.min: 0.6 is not below `max`, which is 0.5"),
        ("{share: 0.2, max_drift: 0}", "policies[0].target.max_drift: 0 is out of bounds (allowed: 0.01 to 100)"),
    ] {
        assert_eq!(found(target, new), [expected]);
    }
}

#[test]
fn a_target_needs_one_threshold_and_prices_for_a_cost() {
    let strategy = "{kind: threshold, classifier: default, strong: frontier, weak: small, threshold: 0.42}";
    let two = format!("{{kind: cascade, stages: [{strategy}, {strategy}], otherwise: small}}");
    let cost = HELD.replace("share: 0.25", "cost_per_hour: 5");

    assert_eq!(
        found(strategy, "{kind: random, models: [small, frontier]}"),
        [
            "policies[0].target: has no threshold to move: the strategy is `random` (allowed: `threshold`, also within another)"
        ]
    );
    assert_eq!(
        found(strategy, &two),
        ["policies[0].target: cannot tell which of 2 `threshold` strategies to move (allowed: one)"]
    );
    assert_eq!(
        problems(&cost.replace("weak: small", "weak: standard")),
        ["policies[0].target: `standard` has no `price` under `models`, so its cost is not known"]
    );
    assert_eq!(
        problems(&cost.replace("input: 10, output: 20", "input: 1, output: 2")),
        ["policies[0].target: `frontier` does not cost more than `small`, so its share does not move the cost"]
    );
}

#[test]
fn affinity_needs_something_to_hold_by() {
    assert_eq!(
        found("key: conversation", "key: client"),
        ["policies[0].affinity.key: `client` needs `clients`, whose keys tell them apart"]
    );
    assert_eq!(
        found("key: conversation", "key: {header: 'no such'}"),
        ["policies[0].affinity.key.header: `no such` is not a header's name"]
    );
    assert_eq!(
        found("hold: 1h", "hold: 8d"),
        ["policies[0].affinity.hold: 8days is out of bounds (allowed: 1s to 7days)"]
    );
}

#[test]
fn a_store_s_url_is_one_and_a_password_in_it_is_never_repeated() {
    let url = "'redis://127.0.0.1:6379/0'";
    let with_password = HELD.replacen(url, "'redis://:s3cret@127.0.0.1:6379/0'", 1);
    let with_password = Config::parse(&with_password, "p.yaml").expect_err("a password").to_string();

    assert!(
        with_password.contains("must not hold a user or password") && !with_password.contains("s3cret"),
        "{with_password}"
    );
    assert_eq!(
        found(url, "http://127.0.0.1"),
        [
            "store.redis.url: is not the URL of a store (allowed: redis://, rediss://, valkey://, valkeys://, unix://, redis+unix://, valkey+unix://)"
        ]
    );
    assert_eq!(
        found(url, "{env: 'not a variable'}"),
        ["store.redis.url.env: must be the name of an environment variable, never the URL itself"]
    );
    assert!(Config::parse(&HELD.replace(url, "{env: REDIS_URL}"), "p.yaml").is_ok());
    assert!(Config::parse(&HELD.replace(url, "{file: redis.url}"), "p.yaml").is_ok());
}

#[test]
fn a_store_s_url_comes_from_where_it_says_or_is_missed() {
    let lookup = |name: &str| (name == "REDIS_URL").then(|| "rediss://:s3cret@redis.internal".to_owned());
    let resolve = |env: &str| StoreUrl::Env { env: env.to_owned() }.resolve(&lookup, std::path::Path::new("."));

    assert_eq!(resolve("REDIS_URL").as_deref(), Ok("rediss://:s3cret@redis.internal"));
    assert_eq!(resolve("OTHER"), Err("environment variable `OTHER` is not set".to_owned()));
}

#[test]
fn state_has_defaults_and_bounds() {
    let config = Config::parse(HELD, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((config.state, config.policies[0].state), (StateConfig::default(), StateRule::Stay));

    for (new, path) in [
        ("hold: 0s", "state.hold: "),
        ("hold_objects: 9000h", "state.hold_objects: "),
        ("max_entries: 0", "state.max_entries: "),
        ("keep: 1h", "state.keep: "),
    ] {
        let found = found("version: 1\n", &format!("version: 1\nstate: {{{new}}}\n"));

        assert!(matches!(&found[..], [one] if one.starts_with(path)), "{found:?}");
    }
    let stripping = HELD.replacen("    target:", "    state: strip\n    target:", 1);
    assert_eq!(Config::parse(&stripping, "p.yaml").expect("a file").policies[0].state, StateRule::Strip);
}

/// Finds what is wrong with a `redis` section.
fn found_in_store(redis: &str) -> Vec<String> {
    found("url: 'redis://127.0.0.1:6379/0', timeout: 5ms", redis)
}

#[test]
fn a_store_says_once_where_its_servers_are() {
    const ONCE: &str = "store.redis: must say once where the servers are (allowed: one of url, urls and sentinel)";
    let sentinel = "sentinel: {master: m, urls: ['redis://s']}";
    for redis in [
        "timeout: 5ms",
        "urls: []",
        "url: 'redis://a', urls: ['redis://b']",
        &format!("url: 'redis://a', {sentinel}"),
        &format!("urls: ['redis://a'], {sentinel}"),
    ] {
        assert_eq!(found_in_store(redis), [ONCE], "{redis}");
    }
    for redis in [
        "url: {env: REDIS_URL}, cluster: true, username: u, password: {env: REDIS_PASSWORD}",
        "urls: ['redis://a:1', {env: B}, {file: c}, {url: {file: d}, zone: z}, {url: 'redis://e', zone: y}], zone: z",
        "urls: ['rediss://a', 'rediss://b/0'], cluster: true, tls: {ca: ca.pem}",
        "urls: ['redis://a/2', 'unix:///run/redis.sock']",
        &format!("{sentinel}, database: 3, password: {{file: p}}"),
        "sentinel: {master: m, urls: [{url: 'redis://s', zone: a}], username: u, password: {env: P}}, zone: {env: ZONE}",
    ] {
        let text = HELD.replacen("url: 'redis://127.0.0.1:6379/0', timeout: 5ms", redis, 1);
        let parsed = Config::parse(&text, "p.yaml");
        assert!(parsed.is_ok(), "{redis}: {parsed:?}");
    }
}

#[test]
fn the_parts_of_a_store_that_do_not_go_together_are_named() {
    let sentinel = |rest: &str| format!("sentinel: {{master: m, {rest}}}");
    for (redis, expected) in [
        (
            sentinel("urls: ['redis://s']") + ", cluster: true",
            "store.redis.cluster: has no meaning with sentinel (allowed: one of them)",
        ),
        (
            "url: 'redis://h/2', cluster: true".to_owned(),
            "store.redis.url: names a database, and a cluster has one only (allowed: a URL without one)",
        ),
        (
            "urls: ['redis://h', 'unix:///run/s'], cluster: true".to_owned(),
            "store.redis.urls[1]: has no meaning for a cluster or sentinels (allowed: a URL with a host)",
        ),
        (
            "urls: ['redis://h', 'rediss://i'], cluster: true".to_owned(),
            "store.redis.urls[1]: differs from the first in TLS (allowed: all with TLS, or none)",
        ),
        (
            sentinel("urls: ['redis://s/1']"),
            "store.redis.sentinel.urls[0]: names a database, and sentinels have none (allowed: `database` of `redis`)",
        ),
        (sentinel("urls: []"), "store.redis.sentinel.urls: 0 sentinels are out of bounds (allowed: 1 to 64)"),
        (
            "url: 'redis://h', database: 1".to_owned(),
            "store.redis.database: has no meaning without sentinel (allowed: the database in the URL)",
        ),
        (
            "url: 'redis://h', username: u".to_owned(),
            "store.redis.username: has no meaning without password (allowed: both, or none)",
        ),
        (
            "url: 'redis://h', password: {env: a b}".to_owned(),
            "store.redis.password.env: must be the name of an environment variable, never the password itself",
        ),
        (
            "urls: ['redis://h', 'redis://i'], zone: a".to_owned(),
            "store.redis.zone: has no meaning where no address has a zone (allowed: with zones in urls)",
        ),
        (
            "urls: [{url: 'redis://h', zone: a}]".to_owned(),
            "store.redis.zone: is missing, and addresses have zones (allowed: a name or {env: VARIABLE})",
        ),
        (
            "urls: ['http://h', 'redis://i']".to_owned(),
            "store.redis.urls[0]: is not the URL of a store (allowed: redis://, rediss://, valkey://, valkeys://, \
             unix://, redis+unix://, valkey+unix://)",
        ),
    ] {
        assert_eq!(found_in_store(&redis), [expected], "{redis}");
    }
}

#[test]
fn an_address_of_a_store_has_one_url() {
    const ONE: &str =
        "store.redis.urls[0]: must have one URL (allowed: {url: URL, zone: NAME}, {env: VARIABLE}, {file: PATH})";
    for redis in ["urls: [{uri: 'redis://h'}]", "urls: [{env: A, file: b}]", "urls: [{zone: a}]"] {
        let found = found_in_store(redis);
        assert!(found.iter().any(|problem| problem == ONE), "{redis}: {found:?}");
    }
}

#[test]
fn what_a_variable_holds_is_held_to_the_same_terms_and_never_repeated() {
    let environment = |name: &str| match name {
        "PLAIN" => Some("redis://h:1".to_owned()),
        "LOGIN" => Some("redis://u:s3cret@h:1".to_owned()),
        "SOCKET" => Some("unix:///run/s3cret".to_owned()),
        "SENTINEL" => Some("rediss://u:s3cret@[::1]/".to_owned()),
        "PASSWORD" => Some("s3cret".to_owned()),
        "ZONE" => Some("a zone".to_owned()),
        _ => None,
    };
    let access = |redis: &str| {
        let text = HELD.replacen("url: 'redis://127.0.0.1:6379/0', timeout: 5ms", redis, 1);
        let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{redis}: {problems}"));
        let Some(StoreConfig::Redis(redis)) = config.store else { panic!("a store") };
        redis.access(&environment, std::path::Path::new("."))
    };
    for (redis, expected) in [
        (
            "url: {env: SOCKET}, cluster: true",
            "store.redis.url: has no meaning for a cluster or sentinels (allowed: a URL with a host)",
        ),
        (
            "urls: [{env: PLAIN}, {env: LOGIN}], password: {env: PASSWORD}",
            "store.redis.urls[1]: names a user or password beside `password` (allowed: one of them)",
        ),
        ("urls: [{env: PLAIN}, {env: NONE}]", "store.redis.urls[1]: environment variable `NONE` is not set"),
        ("url: 'redis://h', password: {env: NONE}", "store.redis.password: environment variable `NONE` is not set"),
    ] {
        let wrong = access(redis).expect_err("a problem");
        let said: Vec<_> = wrong.iter().map(|(path, problem)| format!("{path}: {problem}")).collect();
        assert_eq!(said, [expected], "{redis}");
    }
    let zone = access("urls: [{url: {env: PLAIN}, zone: a}], zone: {env: ZONE}").expect_err("a zone with a space");
    assert!(zone[0].1.contains("is not a name"), "{zone:?}");

    let sentinels = access("sentinel: {master: m, urls: [{env: SENTINEL}, 'rediss://s:7']}, password: {env: PASSWORD}");
    let sentinels = sentinels.expect("sound");
    let urls: Vec<_> = sentinels.servers.iter().map(|server| server.url.as_str()).collect();
    assert_eq!(urls, ["rediss://u:s3cret@[::1]:26379/", "rediss://s:7"]);
    assert!(matches!(&sentinels.layout, StoreLayout::Sentinel { login: Some(_), database: 0, .. }), "{sentinels:?}");
    assert!(sentinels.login.is_none() && !format!("{sentinels:?}").contains("s3cret"), "{sentinels:?}");
}

#[test]
fn addresses_of_the_own_zone_come_first() {
    let text =
        "urls: ['redis://a', {url: 'redis://b', zone: y}, {url: 'redis://c', zone: z}, {url: 'redis://d', zone: y}]";
    let section = format!("{text}, zone: y");
    let text = HELD.replacen("url: 'redis://127.0.0.1:6379/0', timeout: 5ms", &section, 1);
    let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let Some(StoreConfig::Redis(redis)) = config.store else { panic!("a store") };

    let access = redis.access(&|_| None, std::path::Path::new(".")).expect("sound");

    let order: Vec<_> = access.own_zone_first().map(|server| server.url.as_str()).collect();
    assert_eq!(order, ["redis://b", "redis://d", "redis://a", "redis://c"]);
}
