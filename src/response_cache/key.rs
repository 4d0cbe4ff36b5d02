//! The key of an answer: a hash of everything that the answer depends on, and whose it is.
//!
//! Whose answers they are stands in every key, so that no look-up can find another client's. SHA-256, because two requests
//! with one key would get one answer.

use std::fmt;

use http::HeaderMap;
use pointsman_core::config::Name;
use sha2::{Digest, Sha256};

use super::single_ask::AskFrame;

/// The version of what a key is made of.
const VERSION: &[u8] = b"1";

/// Beginnings of the request fields that change what an API answers.
const NEGOTIATION: [&str; 3] = ["anthropic-", "openai-", "x-goog-"];

/// The fields of credentials.
const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// The key of one answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey(pub(super) [u8; 32]);

/// One client's answers by one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheScope(pub(super) [u8; 32]);

/// The owner of answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerOwner<'r> {
    /// The client whose key the request has, where clients have keys.
    pub(crate) client: Option<&'r Name>,
    /// True where the provider is asked with the credentials of whoever asks.
    pub(crate) asks_by_own_key: bool,
    /// The request's header fields.
    pub(crate) fields: &'r HeaderMap,
}

/// The parts of a request beside its body that its answer depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedAnswer<'r> {
    /// The model that was chosen.
    pub(crate) model: &'r Name,
    /// What rules set, as JSON.
    pub(crate) set: &'r [u8],
    /// The path of the API, and the request's query.
    pub(crate) path: &'r str,
    pub(crate) query: Option<&'r str>,
    /// The model that the client named, which may stand in its path.
    pub(crate) named: &'r str,
    /// The request's header fields.
    pub(crate) fields: &'r HeaderMap,
}

/// A hash over parts, each with its length, so that no two lists of parts are one.
#[derive(Clone)]
pub(crate) struct KeyDigest(Sha256);

impl KeyDigest {
    pub(super) fn new(kind: &[u8]) -> Self {
        let mut digest = Self(Sha256::new());
        digest.part(VERSION);
        digest.part(kind);
        digest
    }

    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub(super) fn end(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// Returns the digest of everything that an answer in `scope` depends on, but for the request's body.
    pub(crate) fn of(scope: CacheScope, asked: &AskedAnswer<'_>) -> Self {
        let mut digest = Self::new(b"answer");
        for part in [&scope.0[..], asked.model.as_bytes(), asked.set, asked.path.as_bytes(), asked.named.as_bytes()] {
            digest.part(part);
        }
        digest.part(asked.query.unwrap_or_default().as_bytes());
        let negotiated = asked.fields.iter().filter(|(name, _)| {
            let name = name.as_str();
            NEGOTIATION.iter().any(|start| name.starts_with(start)) && !CREDENTIALS.contains(&name)
        });
        for (name, value) in negotiated {
            digest.part(name.as_str().as_bytes());
            digest.part(value.as_bytes());
        }
        digest
    }

    /// Returns the key of the answer to a request with this body.
    pub(crate) fn exact(mut self, body: &[u8]) -> CacheKey {
        self.part(b"body");
        self.part(body);
        CacheKey(self.end())
    }

    /// Returns the frame of the asks whose requests are otherwise the same.
    pub(crate) fn framed(mut self, around: &[u8]) -> AskFrame {
        self.part(b"frame");
        self.part(around);
        AskFrame(self.end())
    }
}

impl CacheScope {
    /// Returns the scope of an owner's answers by the policy with this fingerprint. Where clients have no keys of ours, or
    /// the provider is asked with the client's own, their credentials tell clients apart.
    pub(super) fn of(fingerprint: &[u8], owner: &AnswerOwner<'_>) -> Self {
        let mut digest = KeyDigest::new(b"scope");
        digest.part(fingerprint);
        digest.part(owner.client.map_or(&[][..], |client| client.as_bytes()));
        if owner.client.is_none() || owner.asks_by_own_key {
            for field in CREDENTIALS {
                for value in owner.fields.get_all(field) {
                    digest.part(field.as_bytes());
                    digest.part(value.as_bytes());
                }
            }
        }
        Self(digest.end())
    }
}

impl CacheKey {
    /// Returns the key under which the store has the answer.
    pub(super) fn in_store(self) -> String {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("answer:{digits}")
    }
}

/// Enough to tell keys apart in a test; a hash says nothing else.
impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn fields(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        of.iter().map(field).collect()
    }

    fn scope(client: Option<&Name>, asks_by_own_key: bool, of: &[(&'static str, &'static str)]) -> CacheScope {
        CacheScope::of(b"policy", &AnswerOwner { client, asks_by_own_key, fields: &fields(of) })
    }

    #[test]
    fn clients_are_apart_by_their_names_and_without_names_by_their_credentials() {
        let (anna, berta) = (name("anna"), name("berta"));
        let (one, two) = ([("authorization", "Bearer 1")], [("authorization", "Bearer 2")]);

        assert_ne!(scope(Some(&anna), false, &one), scope(Some(&berta), false, &one));
        assert_eq!(scope(Some(&anna), false, &one), scope(Some(&anna), false, &two), "one client with two keys");
        assert_ne!(scope(Some(&anna), true, &one), scope(Some(&anna), true, &two), "the provider bills each key");
        assert_ne!(scope(None, false, &one), scope(None, false, &two));
        assert_ne!(scope(None, false, &one), scope(None, false, &[("x-api-key", "Bearer 1")]));
        assert_eq!(scope(None, false, &[]), scope(None, false, &[]));
    }

    #[test]
    fn everything_that_an_answer_depends_on_is_in_the_key() {
        let (small, large, headers) = (name("small"), name("large"), fields(&[("openai-beta", "a")]));
        let scope = scope(None, false, &[]);
        let asked = AskedAnswer {
            model: &small,
            set: b"{}",
            path: "/v1/chat/completions",
            query: None,
            named: "auto",
            fields: &headers,
        };
        let key = |asked: AskedAnswer<'_>, body: &[u8]| KeyDigest::of(scope, &asked).exact(body);
        let first = key(asked, b"body");

        assert_eq!(first, key(asked, b"body"));
        let (none, other) = (HeaderMap::new(), fields(&[("openai-beta", "b")]));
        for different in [
            key(asked, b"body "),
            key(AskedAnswer { model: &large, ..asked }, b"body"),
            key(AskedAnswer { set: b"{\"a\":1}", ..asked }, b"body"),
            key(AskedAnswer { path: "/v1/completions", ..asked }, b"body"),
            key(AskedAnswer { query: Some("alt=sse"), ..asked }, b"body"),
            key(AskedAnswer { named: "other", ..asked }, b"body"),
            key(AskedAnswer { fields: &none, ..asked }, b"body"),
            key(AskedAnswer { fields: &other, ..asked }, b"body"),
        ] {
            assert_ne!(first, different);
        }
    }

    #[test]
    fn no_two_lists_of_parts_are_one() {
        let of = |parts: &[&[u8]]| {
            let mut digest = KeyDigest::new(b"x");
            parts.iter().for_each(|part| digest.part(part));
            digest.end()
        };

        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b""]), of(&[]));
    }
}
