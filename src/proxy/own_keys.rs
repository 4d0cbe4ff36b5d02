//! Keys of Pointsman's own clients in a request, wherever they stand: none of them is for a provider.
//!
//! A client may send its key in several fields at once, so the field that it is known by says nothing of the others.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::attempt::client_account;
use super::downstream::client_use::{ClientUse, key_in};
use super::header_fields::KEY_FIELDS;
use crate::clients::Clients;

/// The beginning of the subprotocol by which browsers send a key with a WebSocket.
const PROTOCOL: &str = "openai-insecure-api-key.";

/// The keys that the client of a request may have in it.
#[derive(Clone, Copy)]
pub(super) struct OwnKeys<'c> {
    clients: &'c Clients,
    /// The field that the client is known by.
    known_by: &'c HeaderName,
}

impl<'c> OwnKeys<'c> {
    /// Returns those of a request whose client is known by a key.
    pub(super) fn of(clients: &'c Clients, client: Option<&'c ClientUse>) -> Option<Self> {
        client.map(|client| Self { clients, known_by: &client.key_field })
    }

    /// Returns the names of the fields that hold such a key: of those in which keys are sent, to us or to any vendor.
    pub(super) fn fields(&self, fields: &HeaderMap) -> Vec<HeaderName> {
        let holds = |name: &HeaderName| {
            name == self.known_by
                || (may_hold_key(name) && fields.get_all(name).iter().any(|value| self.is_in(name, value)))
        };
        fields.keys().filter(|name| holds(name)).cloned().collect()
    }

    /// Returns whether the one that the client is known by is the only key in the fields that we look for keys in.
    pub(super) fn is_only_key(fields: &HeaderMap) -> bool {
        KEY_FIELDS.iter().map(|field| fields.get_all(field).iter().count()).sum::<usize>() == 1
    }

    /// Returns a query without such keys, which may be empty; `None` where it holds none.
    fn without(&self, query: &str) -> Option<String> {
        let is_own = |pair: &&str| client_account::key_of(pair).is_some_and(|key| self.is_key(key.as_bytes()));
        let pairs = || query.split('&');
        pairs().any(|pair| is_own(&pair)).then(|| pairs().filter(|pair| !is_own(pair)).collect::<Vec<_>>().join("&"))
    }

    /// Returns a target, a path with its query, without such keys; `None` where it holds none.
    pub(super) fn target_without(&self, target: &str) -> Option<String> {
        let (path, query) = target.split_once('?')?;
        let kept = self.without(query)?;
        Some(if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") })
    }

    /// Removes such keys from the query of a request.
    pub(super) fn leave_query(&self, request: &mut Parts) {
        let target = request.uri.path_and_query().and_then(|target| self.target_without(target.as_str()));
        let Some(target) = target.and_then(|target| target.parse::<PathAndQuery>().ok()) else { return };
        let mut parts = std::mem::take(&mut request.uri).into_parts();
        parts.path_and_query = Some(target);
        request.uri = Uri::from_parts(parts).unwrap_or_default(); // a path in place of a path
    }

    fn is_in(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        let value = value.as_bytes();
        if *name == header::SEC_WEBSOCKET_PROTOCOL {
            let offered = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            return offered.filter_map(|one| one.strip_prefix(PROTOCOL.as_bytes())).any(|key| self.is_key(key));
        }
        self.is_key(value.trim_ascii()) || self.is_key(key_in(value, &header::AUTHORIZATION))
    }

    fn is_key(&self, key: &[u8]) -> bool {
        !key.is_empty() && self.clients.identify(key).is_some()
    }
}

fn may_hold_key(name: &HeaderName) -> bool {
    KEY_FIELDS.contains(name) || *name == header::SEC_WEBSOCKET_PROTOCOL || client_account::is_account(name.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::clients::{ClientSections, hash_key};

    fn clients() -> Clients {
        let keys = [b"pm-1", b"pm-2"].map(|key| json!({"sha256": hash_key(key).to_string()}));
        let sections = serde_json::from_value(json!({"anna": {"keys": keys}})).expect("clients");
        Clients::build(ClientSections { clients: Some(&sections), teams: &BTreeMap::new() }, None, None)
    }

    fn found(fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let clients = clients();
        let keys = OwnKeys { clients: &clients, known_by: &header::AUTHORIZATION };
        let fields =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        keys.fields(&fields.collect()).into_iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn every_field_that_holds_a_client_s_key_is_found_and_no_other() {
        let sent = [
            ("authorization", "Bearer pm-1"),
            ("x-api-key", "pm-1"),
            ("api-key", "pm-2"),
            ("x-goog-api-key", "AIza"),
            ("x-portkey-api-key", "pm-1"),
            ("cf-aig-authorization", "Bearer pm-1"),
            ("sec-websocket-protocol", "realtime, openai-insecure-api-key.pm-1"),
            ("x-token", "another"),
            ("x-title", "pm-1"),
        ];

        let mut names = found(&sent);

        names.sort_unstable();
        let expected = [
            "api-key",
            "authorization",
            "cf-aig-authorization",
            "sec-websocket-protocol",
            "x-api-key",
            "x-portkey-api-key",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_key_behind_another_in_the_same_field_is_found() {
        assert_eq!(found(&[("x-api-key", "sk-own"), ("x-api-key", "pm-1")]), ["x-api-key"]);
    }

    #[test]
    fn a_query_loses_clients_keys_and_keeps_every_other() {
        let clients = clients();
        let keys = OwnKeys { clients: &clients, known_by: &header::AUTHORIZATION };

        assert_eq!(keys.without("key=AIza&api%2Dkey=pm%2D1&limit=2").as_deref(), Some("key=AIza&limit=2"));
        assert_eq!(keys.without("token=pm-2").as_deref(), Some(""));
        assert_eq!(keys.without("key=AIza&name=pm-1"), None);
    }
}
