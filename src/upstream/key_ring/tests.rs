//! Which key a request gets, and which of them rest.

use std::collections::BTreeMap;

use http::header;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn resolved(key: &str, weight: u32, value: &'static str) -> ResolvedKey {
    ResolvedKey { name: name(key), weight, field: header::AUTHORIZATION, value: HeaderValue::from_static(value) }
}

fn ring(weights: &[u32]) -> KeyRing {
    let keys = weights.iter().enumerate().map(|(index, weight)| resolved(&format!("k{index}"), *weight, "s3cret"));
    KeyRing::new(&name("p"), keys.collect(), None, &Metrics::new())
}

fn of(conversation: Option<u64>) -> KeyRequest<'static> {
    KeyRequest { conversation, ..KeyRequest::default() }
}

fn counts(ring: &KeyRing, conversations: impl Iterator<Item = Option<u64>>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for conversation in conversations {
        *counts.entry(ring.choose(of(conversation)).name().to_string()).or_default() += 1;
    }
    counts
}

#[test]
fn requests_are_spread_by_the_weights_in_any_stretch_of_them() {
    let ring = ring(&[3, 1]);

    for _ in 0..10 {
        let counts = counts(&ring, std::iter::repeat_n(None, 40));
        assert!((28..=32).contains(&counts["k0"]), "{counts:?}");
    }
}

#[test]
fn conversations_are_spread_by_the_weights_and_each_keeps_its_key() {
    let ring = ring(&[3, 1]);
    let first: Vec<_> = (0..2000).map(|conversation| ring.choose(of(Some(conversation)))).collect();
    let share = first.iter().filter(|key| key.name().as_str() == "k0").count();

    assert!((1420..=1580).contains(&share), "{share} of 2000");
    for (conversation, key) in (0..).zip(&first) {
        assert!(Arc::ptr_eq(key, &ring.choose(of(Some(conversation)))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_key_rests_as_long_as_it_was_told_and_only_its_conversations_move() {
    let ring = ring(&[1, 1, 1]);
    let before: Vec<_> = (0..100).map(|conversation| ring.choose(of(Some(conversation)))).collect();

    before[0].answered(429, Some(Duration::from_secs(7)), None);

    for (conversation, key) in (0..).zip(&before) {
        let now = ring.choose(of(Some(conversation)));
        assert_eq!(Arc::ptr_eq(key, &now), !Arc::ptr_eq(key, &before[0]), "{conversation}");
    }
    assert!(!counts(&ring, std::iter::repeat_n(None, 50)).contains_key(before[0].name().as_str()));
    tokio::time::advance(Duration::from_millis(7001)).await;
    assert!(Arc::ptr_eq(&before[0], &ring.choose(of(Some(0)))));
}

#[tokio::test(start_paused = true)]
async fn when_all_rest_the_one_that_is_back_first_is_asked_and_says_how_long_that_takes() {
    let ring = ring(&[1, 1]);
    let keys: Vec<_> = ring.keys().cloned().collect();
    assert_eq!(ring.rest_of_all(None), None);

    keys[0].answered(429, Some(Duration::from_secs(9)), None);
    assert_eq!(ring.rest_of_all(None), None);
    keys[1].answered(429, Some(Duration::from_secs(4)), None);

    assert!(Arc::ptr_eq(&ring.choose(of(Some(1))), &keys[1]));
    assert!(
        Arc::ptr_eq(&ring.choose(KeyRequest { refused: &keys[1..], ..of(None) }), &keys[0]),
        "but for one that refused the request before"
    );
    assert!(!ring.has_ready(of(None)));
    assert!(ring.rest_of_all(None).is_some_and(|rest| rest <= Duration::from_secs(4) && rest > Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_out_until_it_is_let_in_or_a_while_has_passed() {
    let ring = ring(&[1, 1]);
    let keys: Vec<_> = ring.keys().cloned().collect();

    for status in [401, 402] {
        keys[0].answered(status, None, None);
        assert_eq!(counts(&ring, (0..20).map(Some)).len(), 1);
        keys[0].answered(404, None, None);
        assert_eq!(counts(&ring, (0..20).map(Some)).len(), 1, "another error says nothing of the key");
        keys[0].answered(200, None, None);
        assert_eq!(counts(&ring, (0..20).map(Some)).len(), 2);
    }
    keys[0].answered(401, None, None);
    tokio::time::advance(REFUSED_REST).await;
    tokio::task::yield_now().await;
    assert_eq!(counts(&ring, (0..20).map(Some)).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_ask_for_one_model_is_out_for_that_model_alone() {
    let ring = ring(&[1, 1]);
    let keys: Vec<_> = ring.keys().cloned().collect();
    let for_model = |model| KeyRequest { model: Some(model), ..of(None) };
    let asked = |model: &'static str| {
        let names = (0..20).map(|_| ring.choose(for_model(model)).name().to_string());
        names.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };

    keys[0].answered(403, None, Some("large"));

    assert_eq!((asked("large"), asked("small")), (vec!["k1".to_owned()], vec!["k0".to_owned(), "k1".to_owned()]));
    assert_eq!(
        (keys[0].refused_models(), keys[0].is_refused(), keys[0].rest_left()),
        (vec!["large".to_owned()], false, None)
    );
    keys[1].answered(403, None, Some("large"));
    assert!(!ring.has_ready(for_model("large")) && ring.has_ready(for_model("small")));
    assert!(ring.rest_of_all(Some("large")).is_some() && ring.rest_of_all(Some("small")).is_none());
    keys[1].answered(200, None, Some("small"));
    assert!(!ring.has_ready(for_model("large")), "another model says nothing of this one");
    keys[1].answered(200, None, Some("large"));
    assert_eq!(asked("large"), ["k1"]);
    tokio::time::advance(REFUSED_REST).await;
    assert_eq!(asked("large"), ["k0", "k1"]);
    keys[0].answered(403, None, None);
    assert!(
        ring.has_ready(KeyRequest { refused: &keys[1..], ..of(None) }),
        "of a model that nobody knows it says nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn one_task_waits_for_a_key_however_often_it_is_refused_and_let_in() {
    let ring = ring(&[1, 1]);
    let key = ring.choose(of(Some(0)));
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();

    for status in [401, 200].repeat(50) {
        key.answered(status, None, None);
        tokio::task::yield_now().await;
    }
    assert!(tasks() <= 1, "{} tasks", tasks());

    key.answered(429, Some(Duration::from_secs(2)), None);
    tokio::time::advance(Duration::from_millis(2001)).await;
    tokio::task::yield_now().await;
    assert!(Arc::ptr_eq(&key, &ring.choose(of(Some(0)))));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks(), 0, "nobody waits for a key that does not rest");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_began_before_a_limit_does_not_end_the_rest() {
    let ring = ring(&[1, 1]);
    let key = ring.choose(of(Some(0)));

    key.answered(429, None, None);
    key.answered(200, None, None);

    assert!(!Arc::ptr_eq(&key, &ring.choose(of(Some(0)))));
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_on_resting_after_a_reload_unless_its_value_is_another() {
    let metrics = Metrics::new();
    let two = |first| vec![resolved("k0", 1, first), resolved("k1", 5, "t")];
    let ring = KeyRing::new(&name("p"), two("s"), None, &metrics);
    ring.keys().for_each(|key| key.answered(401, None, None));

    let reloaded = KeyRing::new(&name("p"), two("s"), Some(&ring), &metrics);
    let rotated = KeyRing::new(&name("p"), two("rotated"), Some(&ring), &metrics);

    assert!(!reloaded.has_ready(of(None)));
    assert_eq!(counts(&rotated, (0..20).map(Some)).into_keys().collect::<Vec<_>>(), ["k0"]);
}

#[test]
fn no_value_shows() {
    assert_eq!(format!("{:?}", ring(&[1, 2])), "[UpstreamKey(k0), UpstreamKey(k1)]");
    assert!(!format!("{:?}", resolved("k", 1, "s3cret")).contains("s3cret"));
}
