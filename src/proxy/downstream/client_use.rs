//! A client's key in a request, and its allowance in the answer.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use pointsman_core::config::Name;

use crate::clients::{Client, Clients, IdentifiedKey, RateUnit};
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::header_fields;
use crate::proxy::header_fields::KEY_FIELDS;

/// The names of the headers of an allowance, by [`RateUnit`]: limit, remaining, reset.
const REQUESTS: [&str; 3] =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const TOKENS: [&str; 3] = ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

/// The client of one request.
#[derive(Debug)]
pub(in crate::proxy) struct ClientUse {
    client: Arc<Client>,
    /// The number that tells its key apart from others.
    pub(in crate::proxy) key: u64,
    /// True where a budget counts its tokens, or what they cost.
    is_budgeted: bool,
    /// The field that its key came in.
    pub(in crate::proxy) key_field: HeaderName,
    /// Tokens that were taken for the prompt.
    debited: u64,
}

impl ClientUse {
    /// Finds the client whose key a request carries.
    pub(in crate::proxy) fn identify(clients: &Clients, header: &RequestHeader) -> Option<Self> {
        let (IdentifiedKey { client, number }, key_field) = find_key(clients, &header.headers)?;
        Some(Self { client, key: number, is_budgeted: false, key_field, debited: 0 })
    }

    /// Returns the client.
    pub(in crate::proxy) const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Returns the client's name in the configuration.
    pub(in crate::proxy) fn name(&self) -> &Name {
        self.client.name()
    }

    /// Has the tokens of its prompts counted for a budget.
    pub(in crate::proxy) const fn count_for_budgets(&mut self) {
        self.is_budgeted = true;
    }

    /// Returns whether the tokens of its prompts are counted, for a limit or a budget.
    pub(in crate::proxy) fn counts_tokens(&self) -> bool {
        self.is_budgeted || self.client.counts_tokens()
    }

    /// Takes a request from the client's allowance.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`] when none is left.
    pub(in crate::proxy) fn admit(&self) -> Result<(), Rejection> {
        self.client.admit().map_err(|limited| Rejection::RateLimited { limited })
    }

    /// Takes the prompt's tokens from the client's allowance; they are counted only if it has one.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`] when too few are left.
    pub(in crate::proxy) fn debit(&mut self, tokens: impl FnOnce() -> u64) -> Result<(), Rejection> {
        if !self.counts_tokens() {
            return Ok(());
        }
        let tokens = tokens();
        self.client.debit(tokens).map_err(|limited| Rejection::RateLimited { limited })?;
        self.debited = tokens;
        Ok(())
    }

    /// Writes what the client has left, in OpenAI's header names.
    ///
    /// # Errors
    /// None that is known: numbers are good header values.
    pub(in crate::proxy) fn show(&self, answer: &mut HeaderMap) -> pingora::Result<()> {
        for left in self.client.allowances() {
            let [limit, remaining, reset] = match left.unit {
                RateUnit::Requests => REQUESTS,
                RateUnit::Tokens => TOKENS,
            };
            answer.insert(limit, HeaderValue::from(left.limit));
            answer.insert(remaining, HeaderValue::from(left.remaining));
            answer.insert(reset, header_fields::value(&format!("{:.3}s", left.reset.as_secs_f64()))?);
        }
        Ok(())
    }

    /// Returns the tokens that were taken for the prompt; `None` where the client's are not counted.
    pub(in crate::proxy) fn debited(&self) -> Option<u64> {
        self.counts_tokens().then_some(self.debited)
    }

    /// Corrects what was taken from the allowance, once it is known how many tokens the request took: prompt and answer
    /// together. A second call corrects the first.
    pub(in crate::proxy) fn correct(&mut self, actual: u64) {
        self.client.settle(self.debited, actual);
        self.debited = actual;
    }
}

/// Finds the client's key among the fields of a request, or the metadata of a call, and the field that it came in. Tries
/// every field: a client may send Pointsman's key in one and its own for the provider in another.
pub(crate) fn find_key(clients: &Clients, fields: &HeaderMap) -> Option<(IdentifiedKey, HeaderName)> {
    KEY_FIELDS.into_iter().find_map(|field| {
        let found = clients.identify(key_in(fields.get(&field)?.as_bytes(), &field))?;
        Some((found, field))
    })
}

/// Returns whether a request's client may use `policy`; `None` stands for passing through.
pub(in crate::proxy) fn may_use(client: Option<&ClientUse>, policy: Option<&Name>) -> bool {
    client.is_none_or(|used| used.client.may_use(policy))
}

/// Cuts `Bearer` off an `Authorization` value; other schemes hold no key of ours.
pub(in crate::proxy) fn key_in<'v>(value: &'v [u8], field: &HeaderName) -> &'v [u8] {
    const BEARER: &[u8] = b"bearer ";
    if field != header::AUTHORIZATION {
        return value;
    }
    match value.split_at_checked(BEARER.len()) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(BEARER) => key.trim_ascii(),
        _ => b"",
    }
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
