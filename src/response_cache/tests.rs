//! The cache of a policy, with its answers' ages given.

use http::HeaderMap;
use pointsman_telemetry::Metrics;

use super::answer::tests::answer;
use super::*;

const CONFIG: &str = "
version: 1
listen: {address: 127.0.0.1:0}
providers: {one: {base_url: http://127.0.0.1:1/v1, credential: none}}
models: {small: {provider: one, name: NAME, price: {input: 1.0, output: 2.0}}}
policies:
  - name: auto
    strategy: {kind: random, models: [small]}
    cache: {ttl: 10s, max_entry_bytes: 1024}
";

fn config(small: &str) -> Config {
    let (config, problems) = Config::inspect(&CONFIG.replace("NAME", small), "test.yaml");
    assert!(problems.is_empty(), "{problems}");
    config.expect("a configuration")
}

fn cache_of(config: &Config, memory: &Arc<CacheMemory>) -> PolicyCache {
    let policy = &config.policies[0];
    let metrics = Metrics::new().response_cache(&policy.name);
    PolicyCache::new(policy, CacheContext { config, memory, store: None, metrics }).expect("the policy has a cache")
}

fn key_in(cache: &PolicyCache, client: &str, body: &str) -> CacheKey {
    let client = Name::new(client).expect("a name");
    let fields = HeaderMap::new();
    let scope = cache.scope(&AnswerOwner { client: Some(&client), asks_by_own_key: false, fields: &fields });
    let (model, path) = (Name::new("small").expect("a name"), "/v1/chat/completions");
    let asked = AskedAnswer { model: &model, set: b"{}", path, query: None, named: "auto", fields: &fields };
    KeyDigest::of(scope, &asked).exact(body.as_bytes())
}

fn at(seconds: u64) -> AnswerFreshness {
    AnswerFreshness { now: UnixMillis(1_000_000 + seconds * 1000), max_age: None }
}

#[test]
fn an_answer_is_found_until_its_time_is_over_and_by_its_own_client_only() {
    let memory = Arc::new(CacheMemory::new(1 << 20));
    let cache = cache_of(&config("small-1"), &memory);
    let key = key_in(&cache, "anna", "hello");

    cache.keep(key, answer("hi"));

    assert_eq!(cache.find(key, at(9)).expect("fresh").body, "hi");
    assert!(cache.find(key_in(&cache, "berta", "hello"), at(0)).is_none(), "another client's");
    assert!(cache.find(key_in(&cache, "anna", "hallo"), at(0)).is_none());
    let freshness = |seconds, most| AnswerFreshness { max_age: Some(Duration::from_secs(most)), ..at(seconds) };
    assert!(cache.find(key, freshness(5, 5)).is_none() && cache.find(key, freshness(5, 6)).is_some());
    assert!(cache.find(key, at(10)).is_none());
    assert_eq!(memory.size().0, 0, "what is too old for everybody is forgotten");
}

#[test]
fn an_answer_that_was_kept_by_a_clock_ahead_is_not_fresh_for_longer() {
    let memory = Arc::new(CacheMemory::new(1 << 20));
    let cache = cache_of(&config("small-1"), &memory);
    let key = key_in(&cache, "anna", "hello");
    let before = |seconds: u64| AnswerFreshness { now: UnixMillis(1_000_000 - seconds * 1000), max_age: None };

    cache.keep(key, answer("hi"));

    assert!(cache.find(key, before(60)).is_some(), "replicas may disagree");
    assert!(cache.find(key, before(61)).is_none());
}

#[test]
fn a_change_of_the_policy_s_models_finds_nothing_older() {
    let memory = Arc::new(CacheMemory::new(1 << 20));
    let before = cache_of(&config("small-1"), &memory);
    before.keep(key_in(&before, "anna", "hello"), answer("hi"));

    let (same, changed) = (cache_of(&config("small-1"), &memory), cache_of(&config("small-2"), &memory));

    assert!(same.find(key_in(&same, "anna", "hello"), at(1)).is_some());
    assert!(changed.find(key_in(&changed, "anna", "hello"), at(1)).is_none());
}
