//! The response cache: its defaults, and what is refused.

use super::*;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
response_cache: {max_bytes: 2097152}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    MODE
    strategy: {kind: random, models: [small]}
    cache: {CACHE}
";

fn file(mode: &str, cache: &str) -> String {
    FILE.replace("MODE", mode).replace("CACHE", cache)
}

#[test]
fn a_cache_is_read_with_its_defaults_and_makes_its_classifier_embed() {
    let text = file("mode: route", "max_entry_bytes: 65536, semantic: {classifier: default}");
    let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));

    let cache = config.policies[0].cache.as_ref().expect("a cache");

    assert_eq!((cache.ttl.0.as_secs(), cache.max_wait.0.as_secs(), cache.store), (600, 30, false));
    assert_eq!((cache.max_temperature, cache.tools), (0.0, CachedTools::Refuse));
    let semantic = cache.semantic.as_ref().expect("a comparison");
    assert_eq!((semantic.min_similarity.get(), semantic.max_entries), (0.97, 1000));
    assert_eq!(semantic.guard, SemanticGuard::Content);
    assert!(config.classifiers["default"].embeds);
    assert_eq!(ResponseCacheConfig::default().max_bytes, 256 << 20);
}

#[test]
fn bounds_that_do_not_fit_and_names_of_nothing_are_refused() {
    for (mode, cache, expected) in [
        ("mode: route", "", "max_entry_bytes: 262144 is more than a sixteenth of `response_cache.max_bytes`"),
        ("mode: route", "max_entry_bytes: 2048, ttl: 0s", "policies[0].cache.ttl: 0s is out of bounds"),
        ("mode: route", "max_entry_bytes: 2048, max_wait: 1h", "policies[0].cache.max_wait: 1h is out of bounds"),
        (
            "mode: route",
            "max_entry_bytes: 2048, max_temperature: 3",
            "max_temperature: is out of bounds (allowed: 0 to 2)",
        ),
        ("mode: route", "max_entry_bytes: 2048, store: true", "policies[0].cache.store: needs a `store`"),
        ("mode: route", "max_entry_bytes: 2048, semantic: {classifier: other}", "there is no classifier `other`"),
        ("mode: shadow", "max_entry_bytes: 2048", "policies[0].cache: has no meaning without `mode: route`"),
    ] {
        let found = problems(&file(mode, cache));

        assert!(found.len() == 1 && found[0].contains(expected), "{cache}: {found:?}");
    }
}
