use serde_json::json;

use super::*;

fn sections(value: serde_json::Value) -> config::ClientConfigs {
    serde_json::from_value(value).expect("clients")
}

fn one(rate_limit: &serde_json::Value, policies: &serde_json::Value) -> config::ClientConfigs {
    let keys = [json!({"sha256": hash_key(b"first").to_string()}), json!({"sha256": hash_key(b"second").to_string()})];
    sections(json!({"team": {"keys": keys, "rate_limit": rate_limit, "policies": policies}}))
}

fn build(sections: Option<&config::ClientConfigs>, previous: Option<&Clients>) -> Clients {
    Clients::build(ClientSections { clients: sections, teams: &BTreeMap::new() }, None, previous)
}

fn client(clients: &Clients) -> Arc<Client> {
    clients.identify(b"first").expect("a known key").client
}

#[test]
fn every_key_of_a_client_is_known_and_no_other() {
    let clients = build(Some(&one(&json!({}), &json!(null))), None);

    assert!(clients.are_required());
    assert_eq!(client(&clients).name().as_str(), "team");
    let second = clients.identify(b"second").expect("a known key");
    assert!(Arc::ptr_eq(&client(&clients), &second.client));
    assert_ne!(second.number, clients.identify(b"first").expect("a known key").number);
    for unknown in ["", "First", "firs", "first "] {
        assert!(clients.identify(unknown.as_bytes()).is_none(), "{unknown:?}");
    }
}

#[test]
fn a_section_without_clients_lets_nobody_in_and_no_section_lets_anyone() {
    let nobody = build(Some(&sections(json!({}))), None);

    assert!(nobody.are_required() && nobody.identify(b"first").is_none());
    assert!(!build(None, None).are_required());
}

#[test]
fn a_client_with_a_list_may_use_its_policies_and_may_not_pass_through() {
    let clients = build(Some(&one(&json!({}), &json!(["auto"]))), None);
    let (auto, other) = (Name::new("auto").expect("a name"), Name::new("other").expect("a name"));

    assert!(client(&clients).may_use(Some(&auto)));
    assert!(!client(&clients).may_use(Some(&other)) && !client(&clients).may_use(None));
}

#[tokio::test(start_paused = true)]
async fn requests_come_back_with_time() {
    let clients = build(Some(&one(&json!({"requests_per_minute": 2}), &json!(null))), None);
    let client = client(&clients);

    assert_eq!([client.admit(), client.admit()], [Ok(()), Ok(())]);
    let refused = client.admit().expect_err("used up");
    tokio::time::advance(refused.retry_after).await;

    assert_eq!((refused.unit, refused.per_minute), (RateUnit::Requests, 2));
    assert_eq!(refused.retry_after, Duration::from_secs(30));
    assert_eq!(client.admit(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_guessed_are_corrected_by_those_that_were_used() {
    let clients = build(Some(&one(&json!({"tokens_per_minute": 100}), &json!(null))), None);
    let client = client(&clients);

    client.debit(40).expect("enough");
    client.settle(40, 90);

    let left = client.allowances().next().expect("tokens are limited");
    assert_eq!(
        (left.unit, left.limit, left.remaining, left.reset),
        (RateUnit::Tokens, 100, 10, Duration::from_secs(54))
    );
    assert_eq!(client.debit(11).expect_err("10 are left").unit, RateUnit::Tokens);
    client.settle(0, 50);
    assert_eq!(client.admit().expect_err("in debt").unit, RateUnit::Tokens);
}

#[tokio::test(start_paused = true)]
async fn a_client_keeps_its_use_across_a_reload_unless_its_section_changed() {
    let (same, other) =
        (one(&json!({"requests_per_minute": 1}), &json!(null)), one(&json!({"requests_per_minute": 2}), &json!(null)));
    let first = build(Some(&same), None);
    client(&first).admit().expect("the first");

    let second = build(Some(&same), Some(&first));
    let third = build(Some(&other), Some(&second));

    assert!(client(&second).admit().is_err(), "a reload is no way to a fresh allowance");
    assert!(client(&third).admit().is_ok());
}
