//! Header fields that stop here, in both directions.
//!
//! Pingora itself removes hop-by-hop fields and those that `Connection` nominates from the request that goes upstream,
//! before [`clean_request`] sees it, and keeps what a WebSocket upgrade needs. From answers it removes nothing:
//! [`clean_answer`] does, framing (`Transfer-Encoding`) aside, which Pingora writes anew.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::clients::KEY_FIELDS;
use super::context::RequestContext;
use crate::config::{Config, Forwarded, Glob};
use crate::upstream::Credential;

/// Ours: neither forwarded from clients nor believed of upstreams.
const OURS: &str = "x-pointsman-";

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
const ACCOUNT: [&str; 18] = [
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

/// How such fields begin that come in families.
const ACCOUNT_PREFIXES: [&str; 8] =
    ["anthropic-ratelimit-", "apim-", "cf-", "x-amz", "x-azure-", "x-envoy-", "x-ms-", "x-ratelimit-"];

const REQUEST_ID: &str = "x-request-id";
const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Everything that says where a request came from.
const FORWARDED: [HeaderName; 7] = [
    header::FORWARDED,
    HeaderName::from_static(FORWARDED_FOR),
    HeaderName::from_static(FORWARDED_PROTO),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("true-client-ip"),
];

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
struct Origin {
    address: IpAddr,
    proto: &'static str,
}

/// Returns the client's own id for its request, if it is 1 to 128 visible ASCII characters.
pub(super) fn request_id(header: &RequestHeader) -> Option<String> {
    let id = header.headers.get(REQUEST_ID)?.to_str().ok()?;
    is_request_id(id).then(|| id.to_owned())
}

/// Tells whether `text` could be an id.
pub(super) fn is_request_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Removes what is not for upstreams and says who asks. Client keys are removed with the credential; with
/// `passthrough`, the one that Pointsman knows goes only when it is the client's only one.
pub(super) fn clean_request(upstream: &mut RequestHeader, session: &Session, ctx: &RequestContext) -> Result<()> {
    for name in named(&upstream.headers, is_ours) {
        upstream.remove_header(&name);
    }
    upstream.insert_header(REQUEST_ID, ctx.request_id.as_str())?;
    if let (Some(used), Some(Credential::Passthrough)) = (&ctx.client, ctx.provider().map(|p| &p.credential))
        && KEY_FIELDS.iter().any(|field| *field != used.key_field && upstream.headers.contains_key(field))
    {
        upstream.remove_header(&used.key_field);
    }
    let origin = session.client_addr().and_then(|address| address.as_inet()).map(|address| Origin {
        address: address.ip().to_canonical(),
        proto: if is_tls(session) { "https" } else { "http" },
    });
    let local = session.server_addr().and_then(|address| address.as_inet()).copied();
    forward(upstream, forwarded_mode(&ctx.snapshot.config, local), origin)
}

/// Removes what is not for clients: the connection's fields, the account's, and what only we may say.
pub(super) fn clean_answer(answer: &mut ResponseHeader, ctx: &RequestContext) -> Result<()> {
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        remove_hop_by_hop(answer);
    }
    let config = &ctx.snapshot.config;
    let provider = ctx.provider().and_then(|provider| config.providers.get(&provider.name));
    let exposed = provider.map_or(&[][..], |provider| &provider.expose_headers);
    let stops = |name: &HeaderName| is_ours(name) || (is_account(name.as_str()) && !is_exposed(name.as_str(), exposed));
    for name in named(&answer.headers, stops) {
        answer.remove_header(&name);
    }
    // Ours goes back to the client, and the provider's is what its support asks for.
    match answer.remove_header(REQUEST_ID) {
        Some(theirs) if theirs != ctx.request_id.as_str() => {
            answer.insert_header("x-pointsman-upstream-request-id", theirs)
        }
        _ => Ok(()),
    }
}

/// Returns the names that `stops` picks; usually none, which costs no memory.
fn named(headers: &HeaderMap, stops: impl Fn(&HeaderName) -> bool) -> Vec<HeaderName> {
    headers.keys().filter(|name| stops(name)).cloned().collect()
}

fn remove_hop_by_hop(answer: &mut ResponseHeader) {
    let nominated = answer.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let nominated: Vec<_> = nominated
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .collect();
    for name in nominated.iter().filter(|name| !is_framing(name)).chain(&HOP_BY_HOP) {
        answer.remove_header(name);
    }
}

/// An upstream that nominates its own framing would have the answer's end lost.
fn is_framing(name: &HeaderName) -> bool {
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONTENT_TYPE].contains(name)
}

fn is_ours(name: &HeaderName) -> bool {
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

/// Returns what the listener at `local` says of clients; a listener is known by its port.
fn forwarded_mode(config: &Config, local: Option<SocketAddr>) -> Forwarded {
    let port = local.map(|local| local.port());
    let listen = config.listen.iter().find(|listen| Some(listen.address.port()) == port);
    listen.or(config.listen.first()).map_or(Forwarded::default(), |listen| listen.forwarded)
}

fn forward(upstream: &mut RequestHeader, mode: Forwarded, origin: Option<Origin>) -> Result<()> {
    if mode != Forwarded::Append {
        for name in &FORWARDED {
            upstream.remove_header(name);
        }
    }
    let Some(Origin { address, proto }) = origin.filter(|_| mode != Forwarded::Off) else { return Ok(()) };
    let list = joined(upstream, FORWARDED_FOR, &address.to_string());
    upstream.insert_header(FORWARDED_FOR, list)?;
    if !upstream.headers.contains_key(FORWARDED_PROTO) {
        upstream.insert_header(FORWARDED_PROTO, proto)?;
    }
    if upstream.headers.contains_key(header::FORWARDED) {
        // Written only for those who use it, so that the two never disagree.
        let element = match address {
            IpAddr::V4(address) => format!("for={address};proto={proto}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\";proto={proto}"),
        };
        let list = joined(upstream, header::FORWARDED.as_str(), &element);
        upstream.insert_header(header::FORWARDED, list)?;
    }
    Ok(())
}

/// Returns all values of a field as one list, with `last` at its end.
fn joined(upstream: &RequestHeader, name: &str, last: &str) -> String {
    let mut list = String::new();
    for value in upstream.headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok()) {
        let _ = write!(list, "{value}, "); // writing to a string
    }
    list + last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut header = RequestHeader::build("POST", b"/", None).expect("a request");
        for (name, value) in fields {
            header.append_header(*name, *value).expect("a field");
        }
        header
    }

    fn fields(header: &RequestHeader) -> Vec<(&str, &str)> {
        let mut fields: Vec<_> =
            header.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
        fields.sort_unstable();
        fields
    }

    fn forwarded(mode: Forwarded, address: &str, sent: &[(&'static str, &str)]) -> RequestHeader {
        let mut header = request(sent);
        let origin = Origin { address: address.parse().expect("an address"), proto: "https" };
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
            fields(&forwarded(Forwarded::Append, "2001:db8::1", &SENT)),
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
            fields(&forwarded(Forwarded::Replace, "10.9.9.9", &SENT)),
            [("x-forwarded-for", "10.9.9.9"), ("x-forwarded-proto", "https")]
        );
        assert_eq!(fields(&forwarded(Forwarded::Off, "10.9.9.9", &SENT)), []);
    }

    #[test]
    fn an_id_of_1_to_128_visible_characters_is_kept() {
        let longest = "x".repeat(MAX_ID);
        for id in ["a", "01J9-x/~!", longest.as_str()] {
            assert_eq!(request_id(&request(&[(REQUEST_ID, id)])).as_deref(), Some(id));
        }
        for id in ["", "a b", "a\tb", &format!("{longest}x")] {
            assert_eq!(request_id(&request(&[(REQUEST_ID, id)])), None, "{id:?}");
        }
    }

    #[test]
    fn what_an_answer_s_connection_nominates_goes_but_not_its_framing() {
        let mut answer = ResponseHeader::build(200, None).expect("an answer");
        for (name, value) in [
            ("connection", "close, X-Hop, content-length"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("content-length", "2"),
            ("x-kept", "1"),
        ] {
            answer.append_header(name, value).expect("a field");
        }

        remove_hop_by_hop(&mut answer);

        let mut left: Vec<_> = answer.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "x-kept"]);
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
