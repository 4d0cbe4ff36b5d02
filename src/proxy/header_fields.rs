//! Header fields that stop here, in both directions.
//!
//! Pingora itself removes hop-by-hop fields and those that `Connection` nominates from the request that goes upstream,
//! before [`clean_request`] sees it, and keeps what a WebSocket upgrade needs. From answers it removes nothing:
//! [`clean_answer`] does, framing (`Transfer-Encoding`) aside, which Pingora writes anew.

use std::fmt::Write as _;
use std::mem;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request, response};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{ErrorType, OrErr, Result};
use pointsman_core::config::{Config, ForwardedHeaders, Glob};

use crate::proxy::downstream::listener;
use crate::upstream::BaseUrl;

/// Ours: neither forwarded from clients nor believed of upstreams.
pub(crate) const OURS: &str = "x-pointsman-";

/// The fields in which clients send keys: none of them may reach a provider that it is not for.
pub(crate) const KEY_FIELDS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// The field that names the APIs of a translation, and what was lost in it.
pub(in crate::proxy) const TRANSLATED: HeaderName = HeaderName::from_static("x-pointsman-translated");

/// The field by which OpenAI and Anthropic tell their SDKs whether to ask again.
pub(in crate::proxy) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The longest id of a client's that is kept.
const MAX_ID: usize = 128;

/// Fields of one connection, not of the answer. `Transfer-Encoding` is Pingora's.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
];

/// Fields that tell of the operator's account with a provider, or of the provider's own machines.
pub(crate) const ACCOUNT: [&str; 18] = [
    "alt-svc",
    "anthropic-organization-id",
    "azureml-model-session",
    "expect-ct",
    "nel",
    "openai-organization",
    "openai-project",
    "public-key-pins",
    "report-to",
    "reporting-endpoints",
    "server",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "via",
    "x-powered-by",
    "x-served-by",
    "x-vllm-host",
];

/// The prefixes of account fields that come in families.
pub(crate) const ACCOUNT_PREFIXES: [&str; 10] = [
    "anthropic-ratelimit-",
    "apim-",
    "cf-",
    "ratelimit",
    "x-amz",
    "x-azure-",
    "x-envoy-",
    "x-litellm-",
    "x-ms-",
    "x-ratelimit-",
];

/// Tells a request apart, for clients and upstreams.
pub(in crate::proxy) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-pointsman-upstream-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields that are added to a header at most, but for rare ones.
const ROOM: usize = 16;

/// The fields that say where a request came from.
pub(crate) const FORWARDED: [HeaderName; 7] = [
    header::FORWARDED,
    FORWARDED_FOR,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("true-client-ip"),
];

/// The origin of a request.
#[derive(Debug, Clone, Copy)]
struct RequestOrigin {
    address: IpAddr,
    proto: &'static str,
}

/// Returns the client's own id for its request, if it is 1 to 128 visible ASCII characters.
pub(in crate::proxy) fn request_id(header: &RequestHeader) -> Option<String> {
    let id = header.headers.get(REQUEST_ID)?.to_str().ok()?;
    is_request_id(id).then(|| id.to_owned())
}

/// Tells whether `text` could be an id.
pub(in crate::proxy) fn is_request_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Removes what is not for upstreams, and names the request.
pub(in crate::proxy) fn clean_request(upstream: &mut HeaderMap, id: &str) -> Result<()> {
    for name in named(upstream, is_ours) {
        upstream.remove(&name);
    }
    upstream.insert(REQUEST_ID, value(id)?);
    Ok(())
}

/// Says who asks, as the listener that the request came to wants it.
pub(in crate::proxy) fn set_forwarded(upstream: &mut HeaderMap, session: &Session, config: &Config) -> Result<()> {
    let origin = session.client_addr().and_then(|address| address.as_inet()).map(|address| RequestOrigin {
        address: address.ip().to_canonical(),
        proto: if is_tls(session) { "https" } else { "http" },
    });
    let mode = listener::of(session, config).map_or(ForwardedHeaders::default(), |listen| listen.forwarded);
    forward(upstream, mode, origin)
}

/// Removes what is not for clients: the connection's fields, the account's that are not `exposed`, and what only we may
/// say.
pub(in crate::proxy) fn clean_answer(answer: &mut HeaderMap, status: StatusCode, exposed: &[Glob]) {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        remove_hop_by_hop(answer);
    }
    let stops = |name: &HeaderName| is_ours(name) || (is_account(name.as_str()) && !is_exposed(name.as_str(), exposed));
    for name in named(answer, stops) {
        answer.remove(&name);
    }
}

/// Makes a `Location` below the provider's base one below Pointsman's own.
pub(in crate::proxy) fn relocate(answer: &mut HeaderMap, base: &BaseUrl) {
    let location = answer.get(header::LOCATION).and_then(|value| value.to_str().ok());
    if let Some(here) = location.and_then(|location| base.unbase(location)).and_then(|here| value(&here).ok()) {
        answer.insert(header::LOCATION, here);
    }
}

/// Renames the provider's own id of the request, which its support asks for: ours, `id`, goes back to the client.
pub(in crate::proxy) fn rename_upstream_id(answer: &mut HeaderMap, id: &str) {
    if let Some(theirs) = answer.remove(REQUEST_ID).filter(|theirs| *theirs != *id) {
        answer.insert(UPSTREAM_REQUEST_ID, theirs);
    }
}

/// Changes the fields of a request through `http` itself.
///
/// Pingora's own setters parse a field's name again on every call and keep two maps, one for the spelling of names,
/// which no client and no upstream may rely on (RFC 9110, 5.1).
pub(in crate::proxy) fn edit_request(
    header: &mut RequestHeader,
    change: impl FnOnce(&mut request::Parts) -> Result<()>,
) -> Result<()> {
    let vacant = RequestHeader::from(Request::new(()).into_parts().0);
    let mut parts = request::Parts::from(mem::replace(header, vacant));
    parts.headers.reserve(ROOM);
    change(&mut parts)?;
    *header = RequestHeader::from(parts);
    Ok(())
}

/// Changes the fields of an answer, as [`edit_request`] does; its reason phrase stays.
pub(in crate::proxy) fn edit_answer(
    header: &mut ResponseHeader,
    change: impl FnOnce(&mut HeaderMap) -> Result<()>,
) -> Result<()> {
    let vacant = ResponseHeader::from(Response::new(()).into_parts().0);
    let header_before = mem::replace(header, vacant);
    let phrase =
        header_before.get_reason_phrase().filter(|phrase| Some(*phrase) != header_before.status.canonical_reason());
    let phrase = phrase.map(str::to_owned);
    let mut parts = response::Parts::from(header_before);
    parts.headers.reserve(ROOM);
    change(&mut parts.headers)?;
    *header = ResponseHeader::from(parts);
    if phrase.is_some() { header.set_reason_phrase(phrase.as_deref()) } else { Ok(()) }
}

/// Returns `text` as a field's value.
pub(in crate::proxy) fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).or_err(ErrorType::InvalidHTTPHeader, "while writing a header field")
}

/// Returns the names that `stops` picks; usually none, which costs no memory.
fn named(headers: &HeaderMap, stops: impl Fn(&HeaderName) -> bool) -> Vec<HeaderName> {
    headers.keys().filter(|name| stops(name)).cloned().collect()
}

fn remove_hop_by_hop(answer: &mut HeaderMap) {
    let nominated = answer.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let nominated: Vec<_> = nominated
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .collect();
    for name in nominated.iter().filter(|name| !is_framing(name)).chain(&HOP_BY_HOP) {
        answer.remove(name);
    }
}

/// An upstream that nominates its own framing would have the answer's end lost.
fn is_framing(name: &HeaderName) -> bool {
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONTENT_TYPE].contains(name)
}

pub(in crate::proxy) fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with(OURS)
}

fn is_account(name: &str) -> bool {
    ACCOUNT.contains(&name) || ACCOUNT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_exposed(name: &str, exposed: &[Glob]) -> bool {
    exposed.iter().any(|glob| glob.matches(name))
}

fn is_tls(session: &Session) -> bool {
    session.digest().is_some_and(|digest| digest.ssl_digest.is_some())
}

fn forward(upstream: &mut HeaderMap, mode: ForwardedHeaders, origin: Option<RequestOrigin>) -> Result<()> {
    if mode != ForwardedHeaders::Append {
        for name in &FORWARDED {
            upstream.remove(name);
        }
    }
    let Some(RequestOrigin { address, proto }) = origin.filter(|_| mode != ForwardedHeaders::Off) else {
        return Ok(());
    };
    let list = joined(upstream, &FORWARDED_FOR, &address.to_string());
    upstream.insert(FORWARDED_FOR, value(&list)?);
    if !upstream.contains_key(FORWARDED_PROTO) {
        upstream.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
    }
    if upstream.contains_key(header::FORWARDED) {
        // Written only for those who use it, so that the two never disagree.
        let element = match address {
            IpAddr::V4(address) => format!("for={address};proto={proto}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\";proto={proto}"),
        };
        let list = joined(upstream, &header::FORWARDED, &element);
        upstream.insert(header::FORWARDED, value(&list)?);
    }
    Ok(())
}

/// Returns all values of a field as one list, with `last` at its end.
fn joined(upstream: &HeaderMap, name: &HeaderName, last: &str) -> String {
    let mut list = String::new();
    for value in upstream.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok()) {
        let _ = write!(list, "{value}, "); // writing to a string
    }
    list + last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), self::value(value).expect("a value"))
        };
        fields.iter().map(field).collect()
    }

    fn fields(header: &HeaderMap) -> Vec<(&str, &str)> {
        let mut fields: Vec<_> =
            header.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
        fields.sort_unstable();
        fields
    }

    fn forwarded(mode: ForwardedHeaders, address: &str, sent: &[(&'static str, &str)]) -> HeaderMap {
        let mut header = request(sent);
        let origin = RequestOrigin { address: address.parse().expect("an address"), proto: "https" };
        forward(&mut header, mode, Some(origin)).expect("valid fields");
        header
    }

    const SENT: [(&str, &str); 5] = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-proto", "http"),
        ("x-real-ip", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
    ];

    #[test]
    fn append_adds_the_client_to_what_it_says() {
        assert_eq!(
            fields(&forwarded(ForwardedHeaders::Append, "2001:db8::1", &SENT)),
            [
                ("forwarded", "for=10.0.0.1, for=\"[2001:db8::1]\";proto=https"),
                ("x-forwarded-for", "10.0.0.1, 10.0.0.2, 2001:db8::1"),
                ("x-forwarded-proto", "http"),
                ("x-real-ip", "10.0.0.1"),
            ]
        );
    }

    #[test]
    fn replace_believes_nothing_and_off_says_nothing() {
        assert_eq!(
            fields(&forwarded(ForwardedHeaders::Replace, "10.9.9.9", &SENT)),
            [("x-forwarded-for", "10.9.9.9"), ("x-forwarded-proto", "https")]
        );
        assert_eq!(fields(&forwarded(ForwardedHeaders::Off, "10.9.9.9", &SENT)), []);
    }

    fn id_in(id: &str) -> Option<String> {
        let mut header = RequestHeader::build("POST", b"/", None).expect("a request");
        header.append_header("x-request-id", id).expect("a field");
        request_id(&header)
    }

    #[test]
    fn an_id_of_1_to_128_visible_characters_is_kept() {
        let longest = "x".repeat(MAX_ID);
        for id in ["a", "01J9-x/~!", longest.as_str()] {
            assert_eq!(id_in(id).as_deref(), Some(id));
        }
        for id in ["", "a b", "a\tb", &format!("{longest}x")] {
            assert_eq!(id_in(id), None, "{id:?}");
        }
    }

    #[test]
    fn what_an_answer_s_connection_nominates_goes_but_not_its_framing() {
        let mut answer = request(&[
            ("connection", "close, X-Hop, content-length"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("content-length", "2"),
            ("x-kept", "1"),
        ]);

        remove_hop_by_hop(&mut answer);

        let mut left: Vec<_> = answer.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "x-kept"]);
    }

    #[test]
    fn an_edited_answer_keeps_its_status_and_its_own_reason_phrase() {
        let mut answer = ResponseHeader::build(499, None).expect("an answer");
        answer.set_reason_phrase(Some("Client Closed Request")).expect("a phrase");
        answer.append_header("X-Kept", "1").expect("a field");

        let edited = edit_answer(&mut answer, |headers| {
            headers.insert(header::AGE, HeaderValue::from(7));
            Ok(())
        });

        assert!(edited.is_ok());
        assert_eq!((answer.status.as_u16(), answer.get_reason_phrase()), (499, Some("Client Closed Request")));
        assert_eq!(fields(&answer.headers), [("age", "7"), ("x-kept", "1")]);
    }

    #[test]
    fn the_account_is_hidden_and_what_clients_act_on_is_not() {
        for hidden in ["openai-organization", "x-ratelimit-remaining-tokens", "cf-ray", "set-cookie", "server", "via"] {
            assert!(is_account(hidden), "{hidden}");
        }
        for shown in ["retry-after", "retry-after-ms", "x-should-retry", "content-type", "openai-processing-ms"] {
            assert!(!is_account(shown), "{shown}");
        }
        assert!(is_exposed("x-ratelimit-reset-tokens", &[Glob::new("x-ratelimit-*").expect("a pattern")]));
    }
}
