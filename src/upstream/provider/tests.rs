//! The peers that are picked, those that are not, and what a reload leaves as it was.

use std::time::Duration;

use pointsman_core::config::TimeSpan;
use serde_json::{Value, json};

use super::*;

fn name() -> Name {
    Name::new("vllm").expect("a name")
}

fn next_of(section: Value, previous: Option<&Provider>) -> Result<Provider, ProviderFault> {
    let section: config::ProviderConfig = serde_json::from_value(section).expect("a provider");
    let environment = |variable: &str| (variable == "KEY").then(|| "s3cret".to_owned());
    let place = ConfigSurroundings { environment: &environment, base_dir: std::path::Path::new(".") };
    let resolved = ResolvedProvider::of(&section, &place)?;
    Ok(Provider::new(&name(), &section, resolved, previous, &Metrics::new()))
}

/// A provider with peers on the ports 1 to `peers`, and `more` keys.
fn section(peers: usize, more: &Value) -> Value {
    let peers: Vec<_> = (1..=peers).map(|port| format!("127.0.0.1:{port}")).collect();
    let mut section = json!({"base_url": "http://llm:1", "peers": peers, "breaker": {"consecutive_failures": 1}});
    section.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    section
}

fn provider(peers: usize, more: &Value) -> Provider {
    next_of(section(peers, more), None).expect("builds")
}

async fn pick(provider: &Provider, key: Option<u64>, tried: &[PeerId]) -> PeerLease {
    provider.pick(key, None, tried).await.expect("a peer")
}

/// Returns the ports of `count` picks, each given back before the next.
async fn ports(provider: &Provider, count: usize) -> Vec<u16> {
    let mut ports = Vec::new();
    for _ in 0..count {
        ports.push(pick(provider, None, &[]).await.endpoint.address.port());
    }
    ports
}

/// Ejects the peer with this port.
async fn eject(provider: &Provider, port: u16) {
    for _ in 0..provider.peers().count() {
        let lease = pick(provider, None, &[]).await;
        if lease.endpoint.address.port() == port {
            lease.report(PeerOutcome::ConnectFailed);
        }
    }
    assert!(!peer(provider, port).is_healthy(), "port {port} is ejected");
}

fn peer(provider: &Provider, port: u16) -> &Peer {
    provider.peers().find(|peer| peer.label().ends_with(&format!(":{port}"))).expect("a peer with this port")
}

/// Lets as many checks of a peer fail, or pass, as it takes.
fn check(provider: &Provider, port: u16, passed: bool) {
    let check = provider.health_check().expect("a health check");
    for _ in 0..check.unhealthy_after.max(check.healthy_after) {
        peer(provider, port).checked(passed, check);
    }
}

#[tokio::test]
async fn peers_take_turns() {
    assert_eq!(ports(&provider(2, &json!({})), 4).await, [1, 2, 1, 2]);
}

#[tokio::test]
async fn the_others_share_what_an_ejected_peer_would_get() {
    let provider = provider(4, &json!({}));
    eject(&provider, 2).await;

    let ports = ports(&provider, 30).await;

    for port in [1, 3, 4] {
        assert_eq!(ports.iter().filter(|other| **other == port).count(), 10, "port {port} of {ports:?}");
    }
}

#[tokio::test]
async fn the_peer_with_the_fewest_requests_in_flight_is_picked() {
    let provider = provider(3, &json!({"balance": "least_requests"}));
    let held = [pick(&provider, None, &[]).await, pick(&provider, None, &[]).await, pick(&provider, None, &[]).await];

    let [first, second, third] = held;
    let freed = second.endpoint.clone();
    drop(second);
    let next = pick(&provider, None, &[]).await;

    assert_eq!(next.endpoint, freed);
    assert_ne!(first.endpoint, third.endpoint);
}

#[tokio::test]
async fn only_the_keys_of_an_ejected_peer_move() {
    let provider = provider(4, &json!({"balance": "prefix_hash"}));
    let mut before = Vec::new();
    for key in 0..200 {
        before.push(pick(&provider, Some(key), &[]).await.endpoint.address.port());
    }
    let owned = |port| before.iter().filter(|other| **other == port).count();
    assert!((1..=4).all(|port| owned(port) > 20), "{before:?}");

    eject(&provider, 3).await;

    for (key, before) in (0..).zip(&before) {
        let after = pick(&provider, Some(key), &[]).await.endpoint.address.port();
        assert!(if *before == 3 { after != 3 } else { after == *before }, "key {key} went from {before} to {after}");
    }
}

#[tokio::test]
async fn no_peer_gets_more_than_a_quarter_over_its_share_of_the_requests_for_one_key() {
    let provider = provider(4, &json!({"balance": "prefix_hash"}));
    let favourite = pick(&provider, Some(7), &[]).await.peer();
    let mut held = Vec::new();

    for count in 1..=80_usize {
        held.push(pick(&provider, Some(7), &[]).await);

        let most = provider.peers().map(|peer| peer.in_flight()).max().expect("peers");
        assert!(most <= (5 * count).div_ceil(16), "{most} of {count} at one peer");
    }

    assert_eq!(held[0].peer(), favourite);
    assert!(provider.peers().all(|peer| peer.in_flight() > 0), "the others share what is too much for it");
    drop(held);
    assert_eq!(pick(&provider, Some(7), &[]).await.peer(), favourite, "it is back when it has room");
}

#[tokio::test]
async fn an_ejected_peer_does_not_count_for_the_share_of_the_others() {
    let provider = provider(3, &json!({"balance": "prefix_hash"}));
    eject(&provider, 2).await;
    let mut held = Vec::new();

    for _ in 0..8 {
        held.push(pick(&provider, Some(7), &[]).await);
    }

    let mut loads = [1, 3].map(|port| peer(&provider, port).in_flight());
    loads.sort_unstable();
    assert_eq!(loads, [3, 5]);
}

#[tokio::test]
async fn a_peer_that_was_tried_comes_last() {
    let provider = provider(2, &json!({}));
    let first = pick(&provider, None, &[]).await;
    let second = pick(&provider, None, &[first.peer()]).await;
    assert_ne!(first.peer(), second.peer());

    assert!(provider.has_untried(&[first.peer()]));
    assert!(!provider.has_untried(&[first.peer(), second.peer()]));
    let third = pick(&provider, None, &[first.peer(), second.peer()]).await;

    assert!([first.peer(), second.peer()].contains(&third.peer()), "there is no other");
}

#[tokio::test]
async fn the_limit_of_requests_in_flight_holds_to_the_request() {
    let provider = provider(1, &json!({"max_concurrent": 2}));

    let (first, _second) = (pick(&provider, None, &[]).await, pick(&provider, None, &[]).await);
    let refused = provider.pick(None, None, &[]).await;
    drop(first);
    let after = provider.pick(None, None, &[]).await;

    assert!(matches!(refused, Err(NoPeerError::AtLimit)), "{refused:?}");
    assert!(after.is_ok(), "a place was given back");
}

#[tokio::test(start_paused = true)]
async fn an_ejected_peer_is_left_alone_for_its_backoff_and_then_tried_once() {
    let provider = provider(2, &json!({}));
    eject(&provider, 1).await;
    assert_eq!(ports(&provider, 4).await, [2; 4]);

    tokio::time::advance(Duration::from_secs(1)).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pick(&provider, None, &[]).await);
    }
    let trials: Vec<_> = held.iter().filter(|lease| lease.endpoint.address.port() == 1).collect();
    assert_eq!(trials.len(), 1, "one trial at a time");
    trials[0].report(PeerOutcome::Answered(200));

    assert!(peer(&provider, 1).is_healthy());
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_client_left_is_given_to_another() {
    let provider = provider(2, &json!({"balance": "least_requests"}));
    eject(&provider, 1).await;
    let _busy = pick(&provider, None, &[]).await;
    tokio::time::advance(Duration::from_secs(1)).await;

    let abandoned = pick(&provider, None, &[]).await;
    assert_eq!(abandoned.endpoint.address.port(), 1);
    drop(abandoned);

    assert_eq!(pick(&provider, None, &[]).await.endpoint.address.port(), 1);
}

#[tokio::test]
async fn answers_below_500_and_clients_that_leave_are_no_failures() {
    let provider = provider(1, &json!({}));

    for outcome in [200, 400, 429, 499].map(PeerOutcome::Answered).into_iter().chain([PeerOutcome::Cancelled]) {
        pick(&provider, None, &[]).await.report(outcome);
        assert!(peer(&provider, 1).is_healthy(), "{outcome:?}");
    }
    let lease = pick(&provider, None, &[]).await;
    lease.report(PeerOutcome::Answered(200));
    lease.report(PeerOutcome::Broken);

    assert!(!peer(&provider, 1).is_healthy(), "an answer that breaks off is a failure, although it began well");
}

#[tokio::test]
async fn when_all_are_ejected_all_are_tried() {
    let provider = provider(2, &json!({}));
    eject(&provider, 1).await;
    eject(&provider, 2).await;

    let (first, second) = (pick(&provider, None, &[]).await, pick(&provider, None, &[]).await);
    assert_ne!(first.peer(), second.peer());
    first.report(PeerOutcome::Answered(200));

    assert_eq!(provider.peers().filter(|peer| peer.is_healthy()).count(), 1, "a success brings its peer back");
}

#[tokio::test]
async fn health_checks_eject_and_bring_back_after_as_many_as_configured() {
    let more = json!({"health_check": {"path": "/health", "unhealthy_after": 3, "healthy_after": 2}});
    let provider = provider(2, &more);
    let check = provider.health_check().expect("a health check");

    let mut healthy = Vec::new();
    for passed in [false, false, true, false, false, false, true, false, true, true] {
        peer(&provider, 1).checked(passed, check);
        healthy.push(peer(&provider, 1).is_healthy());
    }

    assert_eq!(healthy, [true, true, true, true, true, false, false, false, false, true]);
}

#[tokio::test]
async fn peers_that_checks_found_down_are_tried_only_when_the_configuration_says_so() {
    for (fail_open, expected) in [(true, true), (false, false)] {
        let provider = provider(2, &json!({"health_check": {"path": "/health", "fail_open": fail_open}}));
        check(&provider, 1, false);
        assert_eq!(ports(&provider, 2).await, [2, 2]);

        check(&provider, 2, false);
        let picked = provider.pick(None, None, &[]).await;

        assert_eq!(picked.is_ok(), expected, "fail_open: {fail_open}");
        assert!(expected || matches!(picked, Err(NoPeerError::AllEjected)), "{picked:?}");
    }
}

#[tokio::test]
async fn a_peer_that_checks_did_not_find_down_is_less_bad() {
    let provider = provider(2, &json!({"health_check": {"path": "/health", "fail_open": false}}));
    eject(&provider, 1).await;
    check(&provider, 2, false);

    assert_eq!(ports(&provider, 3).await, [1; 3], "its circuit is open, but nobody found it down");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_leaves_the_request_to_the_next_peer() {
    let peers = json!({"peers": ["no-such-host.invalid:1", "127.0.0.1:2"]});
    let provider = provider(0, &peers);

    let mut ports = Vec::new();
    for _ in 0..3 {
        ports.push(pick(&provider, None, &[]).await.endpoint.address.port());
    }

    assert_eq!(ports, [2, 2, 2]);
    assert!(!peer(&provider, 1).is_healthy(), "it counts as a failure");
}

#[tokio::test]
async fn a_provider_of_which_no_name_resolves_says_so_and_keeps_no_place() {
    let provider = provider(0, &json!({"peers": ["no-such-host.invalid:1"], "max_concurrent": 1}));

    for _ in 0..2 {
        assert!(matches!(provider.pick(None, None, &[]).await, Err(NoPeerError::Resolve(_))));
    }
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_of_the_peers_that_stay() {
    let before = provider(2, &json!({"max_concurrent": 2}));
    eject(&before, 2).await;
    let held = pick(&before, None, &[]).await;

    let after = next_of(section(3, &json!({"max_concurrent": 2})), Some(&before)).expect("builds");

    let healthy: Vec<_> = after.peers().map(|peer| peer.is_healthy()).collect();
    assert_eq!(healthy, [true, false, true]);
    assert_eq!(peer(&after, 1).in_flight(), 1, "the request that began before counts on");
    let _second = pick(&after, None, &[]).await;
    assert!(matches!(after.pick(None, None, &[]).await, Err(NoPeerError::AtLimit)));
    drop(held);
    assert_eq!(peer(&after, 1).in_flight() + peer(&after, 3).in_flight(), 1);
}

#[tokio::test]
async fn a_reload_that_calls_peers_in_another_way_forgets_how_they_fared() {
    let before = provider(2, &json!({}));
    eject(&before, 2).await;

    for more in [json!({"http": "h2"}), json!({"base_url": "http://other:1"})] {
        let after = next_of(section(2, &more), Some(&before)).expect("builds");
        assert!(after.peers().all(|peer| peer.is_healthy()), "{more}");
    }
    let patient = next_of(section(2, &json!({"timeouts": {"idle": "5s"}})), Some(&before)).expect("builds");
    assert!(!peer(&patient, 2).is_healthy(), "patience has nothing to do with it");
    assert_eq!(patient.timeouts.idle, TimeSpan::from_secs(5));
}

#[test]
fn connections_made_under_other_terms_are_not_shared() {
    let groups = [json!({}), json!({"http": "h2"}), json!({"tls": {"sni": "a"}}), json!({"tls": {"verify": false}})]
        .map(|more| provider(1, &more).connection_group);

    for (index, group) in groups.iter().enumerate() {
        assert!(!groups[..index].contains(group), "{index}");
    }
    assert_eq!(groups[0], provider(1, &json!({"balance": "prefix_hash"})).connection_group);
}

#[test]
fn a_key_from_the_environment_is_never_printed() {
    let provider = provider(1, &json!({"credential": {"env": "KEY"}}));

    let (field, value) = provider.credential.key().expect("a key");
    assert_eq!((field.as_str(), value.as_bytes()), ("authorization", &b"Bearer s3cret"[..]));
    assert!(!format!("{provider:?}").contains("s3cret"));
}

#[test]
fn a_key_goes_in_the_field_that_its_provider_looks_in() {
    let sent = |section: Value| {
        let provider = next_of(section, None).expect("builds");
        let (field, value) = provider.credential.key().expect("a key");
        format!("{field}: {}", value.to_str().expect("ASCII"))
    };
    let to = |host: &str| sent(json!({"base_url": format!("https://{host}/v1"), "credential": {"env": "KEY"}}));

    assert_eq!(to("api.anthropic.com"), "x-api-key: s3cret");
    assert_eq!(to("ours.openai.azure.com"), "api-key: s3cret");
    assert_eq!(to("generativelanguage.googleapis.com"), "x-goog-api-key: s3cret");
    for other in ["api.openai.com", "api.anthropic.com.example", "10.0.0.7:8000"] {
        assert_eq!(to(other), "authorization: Bearer s3cret", "{other}");
    }
    let stated = |field: &str| {
        sent(json!({"base_url": "https://api.anthropic.com", "credential": {"env": "KEY"}, "key_header": field}))
    };
    assert_eq!(stated("authorization"), "authorization: Bearer s3cret");
    assert_eq!(stated("api-key"), "api-key: s3cret");
    assert_eq!(stated("x-goog-api-key"), "x-goog-api-key: s3cret");
}

#[test]
fn a_missing_key_or_authority_is_named() {
    let missing = |more: Value| next_of(section(1, &more), None).expect_err("something is missing");

    assert_eq!(
        missing(json!({"credential": {"env": "OTHER"}})),
        ("credential", "environment variable `OTHER` is not set".to_owned())
    );
    let (key, message) = missing(json!({"tls": {"ca": "no-such-file.pem"}}));
    assert!(key == "tls" && message.contains("no-such-file.pem"), "{key}: {message}");
}
