//! A client's key in a request, and its allowance in the answer.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pointsman_core::config::Name;

use crate::clients::{Client, Clients, Unit};
use crate::proxy::Proxy;
use crate::proxy::answer::headers;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::context::RequestContext;

/// The fields in which clients send keys.
pub(in crate::proxy) const KEY_FIELDS: [HeaderName; 3] =
    [header::AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

/// What the headers of an allowance are called, by [`Unit`]: limit, remaining, reset.
const REQUESTS: [&str; 3] =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const TOKENS: [&str; 3] = ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

/// The client of one request.
#[derive(Debug)]
pub(in crate::proxy) struct ClientUse {
    client: Arc<Client>,
    /// The field that its key came in.
    pub(in crate::proxy) key_field: HeaderName,
    /// Tokens that were taken for the prompt.
    debited: u64,
}

impl ClientUse {
    /// Returns the client.
    pub(in crate::proxy) const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Returns the client's name in the configuration.
    pub(in crate::proxy) fn name(&self) -> &Name {
        self.client.name()
    }

    /// Corrects what was taken from the allowance, once it is known how many tokens the request took: prompt and answer
    /// together. A second call corrects the first.
    pub(in crate::proxy) fn settle(&mut self, actual: u64) {
        self.client.settle(self.debited, actual);
        self.debited = actual;
    }
}

impl Proxy {
    /// Lets a request in, or says why not: load first, then the header's size, then the client's key.
    pub(in crate::proxy) fn admit(&self, session: &Session, ctx: &mut RequestContext) -> Result<(), Rejection> {
        let limits = &ctx.snapshot.config.limits;
        if self.open.count() > limits.max_requests {
            return Err(Rejection::Overloaded);
        }
        let header = session.req_header();
        if header_bytes(header) > limits.max_header_bytes {
            return Err(Rejection::HeaderTooLarge { limit: limits.max_header_bytes });
        }
        if !ctx.snapshot.clients.are_required() {
            return Ok(());
        }
        let client = identify(&ctx.snapshot.clients, header);
        let client = ctx.client.insert(client.ok_or(Rejection::InvalidApiKey)?);
        client.client.admit().map_err(|limited| Rejection::RateLimited { limited })
    }
}

/// Refuses a request that `policy` serves, or none, when its client may not use that.
pub(in crate::proxy) fn authorize(ctx: &RequestContext, policy: Option<&Name>) -> Result<(), Rejection> {
    if may_use(ctx, policy) { Ok(()) } else { Err(Rejection::NotAllowed) }
}

/// Returns whether a request's client may use `policy`; `None` stands for passing through.
pub(in crate::proxy) fn may_use(ctx: &RequestContext, policy: Option<&Name>) -> bool {
    ctx.client.as_ref().is_none_or(|used| used.client.may_use(policy))
}

/// Takes the prompt's tokens from the client's allowance; they are counted only if it has one.
pub(in crate::proxy) fn debit(ctx: &mut RequestContext, tokens: impl FnOnce() -> u64) -> Result<(), Rejection> {
    let Some(used) = ctx.client.as_mut().filter(|used| used.client.counts_tokens()) else { return Ok(()) };
    let tokens = tokens();
    used.client.debit(tokens).map_err(|limited| Rejection::RateLimited { limited })?;
    used.debited = tokens;
    Ok(())
}

/// Writes what the client has left, in OpenAI's header names.
pub(in crate::proxy) fn show(answer: &mut HeaderMap, ctx: &RequestContext) -> Result<()> {
    let Some(used) = &ctx.client else { return Ok(()) };
    for left in used.client.allowances() {
        let [limit, remaining, reset] = match left.unit {
            Unit::Requests => REQUESTS,
            Unit::Tokens => TOKENS,
        };
        answer.insert(limit, HeaderValue::from(left.limit));
        answer.insert(remaining, HeaderValue::from(left.remaining));
        answer.insert(reset, headers::value(&format!("{:.3}s", left.reset.as_secs_f64()))?);
    }
    Ok(())
}

/// Tries every field: a client may send Pointsman's key in one and its own for the provider in another.
fn identify(clients: &Clients, header: &RequestHeader) -> Option<ClientUse> {
    KEY_FIELDS.into_iter().find_map(|key_field| {
        let client = clients.identify(key_in(header.headers.get(&key_field)?.as_bytes(), &key_field))?;
        Some(ClientUse { client: Arc::clone(client), key_field, debited: 0 })
    })
}

/// Cuts `Bearer` off an `Authorization` value; other schemes hold no key of ours.
fn key_in<'v>(value: &'v [u8], field: &HeaderName) -> &'v [u8] {
    const BEARER: &[u8] = b"bearer ";
    if field != header::AUTHORIZATION {
        return value;
    }
    match value.split_at_checked(BEARER.len()) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(BEARER) => key.trim_ascii(),
        _ => b"",
    }
}

fn header_bytes(header: &RequestHeader) -> usize {
    let fields: usize = header.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    header.raw_path().len() + fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_a_bearer_key_is_in_any_case_and_no_part_of_it() {
        let authorization = |value: &'static str| key_in(value.as_bytes(), &header::AUTHORIZATION);

        assert_eq!(authorization("Bearer sk-1"), b"sk-1");
        assert_eq!(authorization("bearer  sk-1 "), b"sk-1");
        for none in ["", "Bearer", "sk-1", "Basic c2s="] {
            assert_eq!(authorization(none), b"", "{none}");
        }
        assert_eq!(key_in(b"sk-1", &KEY_FIELDS[1]), b"sk-1");
    }
}
