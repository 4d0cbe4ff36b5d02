//! The client's own accounts: fields and parameters of a request by which some vendor would bill, or let in, the client.
//!
//! They stop here unless the provider's credential is the client's own: beside the operator's key they would say whose
//! organisation pays, or hand one vendor's key to another.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Fields of accounts and of sessions, by their vendors: OpenAI, `ChatGPT`, Anthropic, Google, AWS, Azure, Hugging Face,
/// `DashScope`, Cloudflare Access, Modal, Helicone, GitLab, Vault; and the names under which
/// gateways take any of them.
pub(crate) const FIELDS: [&str; 42] = [
    "openai-organization",
    "openai-project",
    "chatgpt-account-id",
    "anthropic-workspace-id",
    "anthropic-organization-id",
    "x-goog-user-project",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    "x-goog-iap-jwt-assertion",
    "x-goog-iam-authorization-token",
    "x-goog-iam-authority-selector",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-user-agent",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "x-ms-token-aad-access-token",
    "x-ms-token-aad-id-token",
    "x-hf-bill-to",
    "x-dashscope-workspace",
    "cf-access-client-id",
    "cf-access-client-secret",
    "cf-access-jwt-assertion",
    "cf-access-token",
    "modal-key",
    "modal-secret",
    "helicone-auth",
    "private-token",
    "x-gitlab-token",
    "x-api-token",
    "api-token",
    "x-token",
    "token",
    "apikey",
    "x-apikey",
    "x-functions-key",
    "x-vault-token",
    "x-vertex-token",
    "authorization-x",
    "cookie",
    "cookie2",
];

/// The ends of fields that hold keys, whoever's they are.
pub(crate) const FIELD_ENDS: [&str; 9] = [
    "-api-key",
    "-apikey",
    "-api-token",
    "-authorization",
    "-auth-token",
    "-access-token",
    "-security-token",
    "-session-token",
    "-subscription-key",
];

/// Query parameters that hold keys, in lower case.
pub(crate) const PARAMETERS: [&str; 13] = [
    "key",
    "api-key",
    "api_key",
    "apikey",
    "x-api-key",
    "api_token",
    "token",
    "access_token",
    "auth_token",
    "subscription-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-amz-signature",
];

/// The beginnings of the subprotocols by which browsers send keys, and say whose they are, with a WebSocket.
const PROTOCOLS: [&str; 3] = ["openai-insecure-api-key.", "openai-organization.", "openai-project."];

/// Removes the client's accounts from the fields of a request.
pub(super) fn remove_fields(fields: &mut HeaderMap) {
    let own: Vec<HeaderName> = fields.keys().filter(|name| is_account(name.as_str())).cloned().collect();
    for name in own {
        fields.remove(&name);
    }
    let protocols = fields.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|given| without_keys(given.to_str().ok()?));
    if let Some(protocols) = protocols {
        fields.remove(header::SEC_WEBSOCKET_PROTOCOL);
        fields.extend(HeaderValue::from_str(&protocols).ok().map(|kept| (header::SEC_WEBSOCKET_PROTOCOL, kept)));
    }
}

/// Returns a query without the client's keys; `None` where nothing is left.
pub(super) fn without_parameters(query: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| key_of(pair).is_none()).collect();
    let kept = kept.join("&");
    (!kept.is_empty()).then_some(kept)
}

/// Returns whether a field is one of accounts or keys, whoever's they are.
pub(in crate::proxy) fn is_account(name: &str) -> bool {
    FIELDS.contains(&name) || FIELD_ENDS.iter().any(|end| name.ends_with(end))
}

/// Returns the key that a pair of a query holds. Compares the name as the most lenient server reads it.
pub(in crate::proxy) fn key_of(pair: &str) -> Option<Cow<'_, str>> {
    let (name, key) = form_urlencoded::parse(pair.as_bytes()).next()?;
    PARAMETERS.contains(&&*name.trim().to_ascii_lowercase()).then_some(key)
}

/// Returns the subprotocols without those that are keys; `None` where there is no key.
fn without_keys(protocols: &str) -> Option<String> {
    let is_key = |protocol: &&str| PROTOCOLS.iter().any(|start| protocol.starts_with(start));
    let all: Vec<&str> = protocols.split(',').map(str::trim).collect();
    let kept: Vec<&str> = all.iter().filter(|protocol| !is_key(protocol)).copied().collect();
    (kept.len() < all.len()).then(|| kept.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_keys_of_the_client_s_stop_here_and_the_rest_goes_on() {
        let mut fields = HeaderMap::new();
        let own = [
            "openai-organization",
            "cookie",
            "x-goog-api-key",
            "x-amz-security-token",
            "ocp-apim-subscription-key",
            "x-portkey-api-key",
            "cf-aig-authorization",
            "apikey",
            "x-apikey",
            "x-functions-key",
            "x-vault-token",
            "x-gitlab-token",
            "token",
            "api-token",
            "x-token",
            "x-vertex-token",
            "authorization-x",
        ];
        let others =
            ["openai-beta", "anthropic-version", "anthropic-beta", "idempotency-key", "x-session-id", "x-title"];
        for name in own.into_iter().chain(others) {
            fields.insert(name, HeaderValue::from_static("v"));
        }
        let protocols = "realtime, openai-insecure-api-key.sk-1, openai-project.p, openai-beta.realtime-v1";
        fields.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocols));

        remove_fields(&mut fields);

        assert!(own.iter().all(|name| !fields.contains_key(*name)), "{fields:?}");
        assert!(others.iter().all(|name| fields.contains_key(*name)), "{fields:?}");
        assert_eq!(fields[header::SEC_WEBSOCKET_PROTOCOL], "realtime, openai-beta.realtime-v1");
    }

    #[test]
    fn a_query_loses_its_keys_however_they_are_spelled() {
        assert_eq!(without_parameters("limit=2&key=AIza&after=a%20b").as_deref(), Some("limit=2&after=a%20b"));
        assert_eq!(without_parameters("api%2Dkey=1&Api_Key=2&k%65y=3&KEY"), None);
        assert_eq!(without_parameters("keys=1&monkey=2&x=key").as_deref(), Some("keys=1&monkey=2&x=key"));
    }
}
